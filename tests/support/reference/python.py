"""The page on the arguments and methods of the public API, from the signatures and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from typing import Any

from tests.support.reference.docstrings import docstring_of
from tests.support.reference.functions import explained
from tests.support.reference.markdown import anchor, block, code, joined, link, sentence, table
from tests.support.reference.public_api import MODULES

_ELSEWHERE = {
    "cookie_consent.ConsentMiddleware": "options.md",
    "cookie_consent.Decision": "consent.md",
    "cookie_consent.RequestConsent": "consent.md",
    "cookie_consent.FeatureState": "consent.md#what-feature-returns",
    "cookie_consent.requires": "consent.md#requires",
    "cookie_consent.integrations.jinja.consent_context": "consent.md#in-templates",
    "cookie_consent.Site": "policy-file.md#site",
    "cookie_consent.Purpose": "policy-file.md#purposesid",
    "cookie_consent.Cookie": "policy-file.md#cookies",
    "cookie_consent.Recipient": "policy-file.md#recipients",
    "cookie_consent.Feature": "policy-file.md#featuresid",
    "cookie_consent.Service": "policy-file.md#servicesid",
}
"""Module and name -> the page of the reference that lists what it has."""
_MODULES_ELSEWHERE = dict.fromkeys(("cookie_consent.testing", "cookie_consent.testing.fixtures"), "testing.md")
"""Module -> the page of the reference that is about all of it."""
_READ_ON = {
    "cookie_consent.ledgers": ("proof", "proof.md"),
    "cookie_consent.sinks": ("where records are kept", "keeping-records.md#where-records-are-kept"),
    "cookie_consent.serve_report": ("the first report", "analytics.md#the-first-report"),
    "cookie_consent.logging": ("the other logs", "other-logs.md"),
    "cookie_consent.current": ("the other logs", "other-logs.md"),
    "cookie_consent.integrations.django": ("Django", "django.md"),
    "cookie_consent.integrations.jinja": ("features", "features.md#in-templates"),
    "cookie_consent.integrations.opentelemetry": ("the other logs", "other-logs.md"),
    "cookie_consent.integrations.sentry": ("the other logs", "other-logs.md"),
    "cookie_consent.integrations.html": ("cards", "cards.md"),
    "cookie_consent.evidence": ("what the visitor saw", "proof.md#what-the-visitor-saw"),
}
"""Module -> the text of a link, and the page that explains it."""
_TITLE = """\
# Python: arguments and methods

What each name of the [public API](public-api.md) takes and returns. What has a page of its own is only linked here."""


def page() -> str:
    return joined(
        _TITLE, "\n".join(f"- [`{name}`](#{anchor(name)})" for name in MODULES), *(_section(name) for name in MODULES)
    )


def _section(module: str) -> str:
    text, target = _READ_ON.get(module, ("", ""))
    found = import_module(module)
    title, about = f"## {code(module)}", sentence(docstring_of(found).text.split("\n\n")[0])
    if module in _MODULES_ELSEWHERE:
        return joined(title, about, f"[All that it has]({_MODULES_ELSEWHERE[module]}).")
    return joined(
        title,
        about,
        *(joined(f"### {code(name)}", *_named(module, name, getattr(found, name))) for name in found.__all__),
        f"Read on: {link(text, target)}." if text else "",
    )


def _named(module: str, name: str, public: Any) -> Iterator[str]:
    documented, elsewhere = docstring_of(public), _ELSEWHERE.get(f"{module}.{name}")
    if elsewhere:
        yield sentence(documented.text.split("\n\n")[0])
        yield f"[All that it has]({elsewhere})."
        return
    if inspect.isfunction(public) or (documented.names and not inspect.isabstract(public)):
        yield block("python", f"{name}{_signature(public)}")
    yield from explained(public)
    if inspect.isclass(public) and (rows := [*_members(public)]):
        yield table(("member", "what it does"), rows)


def _signature(public: Any) -> str:
    """Return the arguments of a function or class with their defaults."""
    signature = inspect.signature(public)
    parameters = [
        part.replace(
            annotation=part.empty, default=part.default if part.default is part.empty else _Default(part.default)
        )
        for part in signature.parameters.values()
        if part.name not in ("self", "cls")
    ]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


class _Default:
    """A default as the page writes it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        if isinstance(self._value, str):
            return f'"{self._value}"'
        if self._value is None or isinstance(self._value, bool | int | float | tuple):
            return repr(self._value)
        return str(getattr(self._value, "__name__", "…"))


def _members(public: type[Any]) -> Iterator[tuple[str, str]]:
    """Yield the methods and properties that a class itself defines."""
    for name, member in vars(public).items():
        member = getattr(member, "__func__", member)  # of a class method
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property | cached_property)):
            called = f"{name}{_signature(member)}" if inspect.isfunction(member) else name
            yield code(called), sentence(docstring_of(member).text.split("\n\n")[0])
