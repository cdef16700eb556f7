"""A neutral load generator: WebRTC handshakes in Python, packets in C, the same for every server under test."""
