"""The bare loop that a forwarder is measured against."""
