"""Every message of the wire; `signaling.protocol` puts them together and says how they are read."""
