"""How many random examples a test tries: as many as it says in the full matrix, otherwise a share of them."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

_MOST = 100


def register_profiles() -> None:
    """Register the profiles of Hypothesis, and load the one for `make test`."""
    # No deadline: tests wait for events, and examples may be slow on a busy machine.
    here = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("default-here", here)
    settings.register_profile("full", here, max_examples=_MOST)
    settings.register_profile("quick", here, max_examples=10)
    # For `make mutate`: only whether a test fails counts, so examples are not shrunk.
    plain = [Phase.explicit, Phase.generate]
    settings.register_profile("mutation", here, max_examples=50, derandomize=True, phases=plain)
    settings.load_profile("default-here")


def examples(number: int) -> settings:
    """Return settings for a test that tries `number` examples in the full matrix.

    With another profile the test tries the share of them that this profile tries of 100.
    """
    return settings(max_examples=max(1, number * settings().max_examples // _MOST))
