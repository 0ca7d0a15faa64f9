"""The pages of docs/reference: the name of each file, and the function that returns its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from tests.support.reference import (
    commands,
    consent,
    cookies,
    css,
    events,
    http,
    options,
    policy_file,
    public_api,
    python,
    testing,
    texts,
)
from tests.support.reference.markdown import FOLDER, joined

__all__ = ["FOLDER", "PAGES"]

_MARK = "<!-- Made from the code by `make reference`: change the code, or tests/support/reference. -->"


def _marked(page: Callable[[], str]) -> Callable[[], str]:
    return cache(lambda: joined(_MARK, page()))


PAGES: Mapping[str, Callable[[], str]] = {
    "options.md": _marked(options.page),
    "policy-file.md": _marked(policy_file.page),
    "consent.md": _marked(consent.page),
    "http.md": _marked(http.page),
    "cookies.md": _marked(cookies.page),
    "css.md": _marked(css.page),
    "events.md": _marked(events.page),
    "python.md": _marked(python.page),
    "commands.md": _marked(commands.page),
    "texts.md": _marked(texts.page),
    "testing.md": _marked(testing.page),
    "public-api.md": _marked(public_api.page),
}
