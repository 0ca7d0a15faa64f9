"""The page on the options of the middleware, from its signature and its docstring."""

from __future__ import annotations

import inspect

from cookie_consent import ConsentMiddleware
from tests.support.reference.markdown import docstring_of, page_of, sentence, table

_TITLE = """\
# Options of `ConsentMiddleware`

Only `policy` and `secret_keys` are needed. A wrong value stops the start with a message that says what would be right.
What visitors are asked stands in the [policy file](policy-file.md)."""
_FOR_TESTS = ("self", "clock")


def page() -> str:
    meanings = docstring_of(ConsentMiddleware).names
    options = inspect.signature(ConsentMiddleware.__init__).parameters
    rows = (
        (f"`{name}`", _default(option), sentence(meanings[name]))
        for name, option in options.items()
        if name not in _FOR_TESTS
    )
    return page_of(_TITLE, table(("option", "default", "what it says"), rows))


def _default(option: inspect.Parameter) -> str:
    if option.default is option.empty:
        return "needed"
    return f'`"{option.default}"`' if isinstance(option.default, str) else f"`{option.default!r}`".replace("'", '"')
