"""For a site's own tests: visitors who have answered, and a check for dark patterns. pytest's fixtures: `fixtures`.

What `__all__` names here and in `fixtures` is public; the other modules are internal.
"""

from cookie_consent.testing.answers import aanswer, answer, arefuse, refuse
from cookie_consent.testing.banner import assert_no_dark_patterns, dark_patterns

__all__ = ["aanswer", "answer", "arefuse", "assert_no_dark_patterns", "dark_patterns", "refuse"]
