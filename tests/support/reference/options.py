"""The page on the middleware's options, from its signature, its docstring, and what it says to a wrong value."""

from __future__ import annotations

import inspect
import re
import time
from typing import Any

from cookie_consent import ConsentMiddleware, middleware
from cookie_consent.ledgers import MemoryLedger
from tests.support.asgi import policy, reply_app
from tests.support.policies import KEY
from tests.support.reference.docstrings import docstring_of
from tests.support.reference.markdown import code, joined, link, prose, sentence, table

_TITLE = """\
# Options of `ConsentMiddleware`

Every option, with its type, its default and what it takes. Only `policy` and `secret_keys` are needed, and a wrong
value stops the start with a message that says what would be right. What visitors are asked stands in the [policy
file](policy-file.md)."""
GROUPS = {
    "What is needed": ("app", "policy", "secret_keys"),
    "Where records are kept": ("ledger", "access_log", "query_keys", "server_logs", "mask_client"),
    "What visitors see": ("inject", "layout", "later", "settings_link", "language", "inline_style"),
    "What is enforced": ("undeclared", "csp", "edit_csp", "country", "history"),
    "Pages and paths": ("prefix", "shared_pages", "desk"),
    "Cookies of our own": ("consent_cookie", "visitor_cookie", "consent_days", "visitor_days"),
    "For tests": ("clock", "make_id"),
}
"""Heading -> the options below it."""
READ_ON = {
    "policy": ("Policy file, every key", "reference/policy-file.md"),
    "prefix": ("Every path below it", "reference/http.md"),
    "consent_cookie": ("Cookies of our own", "reference/cookies.md"),
    "visitor_cookie": ("Cookies of our own", "reference/cookies.md"),
    "ledger": ("Proof", "proof.md"),
    "access_log": ("Keeping and erasing records", "keeping-records.md"),
    "query_keys": ("Access records", "access-record.md"),
    "inject": ("Leave /admin out", "how-to/leave-admin-out.md"),
    "layout": ("Layouts", "banner.md#layouts"),
    "later": ("“Decide later”", "banner.md#decide-later"),
    "settings_link": ("Your own link", "banner.md#your-own-link"),
    "language": ("Which language a visitor reads", "banner.md#which-language-a-visitor-reads"),
    "country": ("Regimes", "regimes.md"),
    "csp": ("What browsers may load", "security.md"),
    "inline_style": ("Where the style is", "banner.md#where-the-style-is"),
    "shared_pages": ("Pages that shared caches keep", "caching.md"),
    "undeclared": ("Which cookies may exist", "policy.md#cookies-which-cookies-may-exist"),
    "history": ("When you change the policy", "policy.md#when-you-change-it"),
    "desk": ("The help desk", "proof.md#the-help-desk"),
    "server_logs": ("The other logs", "other-logs.md"),
    "mask_client": ("The other logs", "other-logs.md"),
}
"""Option -> the text of a link, and the page that explains it."""
_KNOWN = ("ASGIApp", "Callable", "Any")
"""Names of types that need no explanation."""


def page() -> str:
    options = parameters()
    sections = [
        joined(f"## {title}", *(_section(options[name]) for name in names if name in options))
        for title, names in grouped(options).items()
    ]
    return joined(_TITLE, "## All at a glance", _overview(options), *sections)


def parameters() -> dict[str, inspect.Parameter]:
    """Return the options in the order of the signature."""
    signature = inspect.signature(ConsentMiddleware.__init__)
    return {name: parameter for name, parameter in signature.parameters.items() if name != "self"}


def grouped(options: dict[str, inspect.Parameter]) -> dict[str, tuple[str, ...]]:
    """Return heading -> options, with those that no group names at the end."""
    named = {name for names in GROUPS.values() for name in names}
    others = tuple(name for name in options if name not in named)
    return {**GROUPS, **({"More": others} if others else {})}


def meanings() -> dict[str, str]:
    """Return option -> what the docstring says of it."""
    return docstring_of(ConsentMiddleware).names


def values(name: str) -> str:
    """Return what the middleware asks for if an option has a value of the wrong kind."""
    wrong = _Wrong()
    given: dict[str, Any] = {"app": reply_app(), "policy": policy(), "secret_keys": KEY, "ledger": MemoryLedger()}
    try:
        ConsentMiddleware(**(given | {name: wrong}))
    except ValueError as error:
        said = str(error).removeprefix(f"{name}: ")
        remedy = re.sub(rf"^{wrong!r} is no[^.:]*[.:] ", "", said)
        return remedy[:1].upper() + remedy[1:]
    raise AssertionError(f"{name}= takes whatever it is given")


class _Wrong:
    """A value that no option takes."""

    def __repr__(self) -> str:
        return "…"


def _overview(options: dict[str, inspect.Parameter]) -> str:
    rows = [
        (f"[`{name}`](#{name})", _default(options[name]), prose(re.split(r"[.:;] |\.$", meanings()[name])[0]))
        for names in grouped(options).values()
        for name in names
        if name in options
    ]
    return table(("option", "default", "what it says"), rows)


def _section(option: inspect.Parameter) -> str:
    (text, target), asked_for = READ_ON.get(option.name, ("", "")), values(option.name)
    says_more = option.annotation != "bool" and not asked_for.startswith("It ")
    return joined(
        f"### `{option.name}`",
        f"{code(_type(option.annotation))}, {_is_needed(option)}",
        sentence(meanings()[option.name]),
        f"**Values.** {sentence(asked_for)}" if says_more else "",
        f"Read on: {link(text, target)}." if text else "",
    )


def _type(annotation: str) -> str:
    """Return an annotation with what the names of types in it stand for."""
    return re.sub(r"\b[A-Z]\w+\b", lambda name: _meant(name[0]), annotation)


def _meant(name: str) -> str:
    type_ = None if name in _KNOWN else getattr(middleware, name, None)
    return name if type_ is None or isinstance(type_, type) else re.sub(r"(?:\w+\.)+", "", str(type_))


def _is_needed(option: inspect.Parameter) -> str:
    return "needed" if option.default is option.empty else f"default {_default(option)}"


def _default(option: inspect.Parameter) -> str:
    if option.default is option.empty:
        return "needed"
    default: object = option.default
    if callable(default):
        name: str = getattr(default, "__name__", "")
        return code(f"time.{name}" if default is time.time else name)
    return code(f'"{default}"' if isinstance(default, str) else repr(default).replace("'", '"'))
