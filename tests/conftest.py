"""What all tests share."""

from __future__ import annotations

import hypothesis

# A busy machine is no bug: what a test waits for it waits for by an event, and no example is too slow.
hypothesis.settings.register_profile(
    "default-here", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("default-here")
