"""Selective forwarding: packets in, packets out. Knows no users, no roles, and imports nothing of ours."""
