"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Examples are about what is right, not about how fast this machine is at the moment.
settings.register_profile("consilium", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("consilium")
