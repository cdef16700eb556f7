"""A running recording as live HLS: one programme cut from the parts while they are written."""
