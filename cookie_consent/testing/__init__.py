"""For a site's own tests: visitors who have answered, and checks of its pages and banner. Fixtures are in `fixtures`.

What `__all__` names here and in `fixtures` is public; the other modules are internal.
"""

from cookie_consent.audit.answers import aanswer, answer, arefuse, refuse
from cookie_consent.testing.banner import assert_no_dark_patterns, dark_patterns
from cookie_consent.testing.site import assert_declared, assert_no_storage_before_consent

__all__ = [
    "aanswer",
    "answer",
    "arefuse",
    "assert_declared",
    "assert_no_dark_patterns",
    "assert_no_storage_before_consent",
    "dark_patterns",
    "refuse",
]
