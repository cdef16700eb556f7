"""Packets and words into a replay. Knows the tap types of `sfu` and nothing else of ours."""
