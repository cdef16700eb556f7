"""Every figure we claim, one command each: ``python -m benchmarks NAME [--json]``."""
