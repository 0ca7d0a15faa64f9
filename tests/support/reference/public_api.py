"""The page on the public API, from the modules, their `__all__`, the signatures and the docstrings."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from tests.support.reference.markdown import docstring_of, joined, page_of, prose, sentence, table

MODULES = (
    "cookie_consent",
    "cookie_consent.testing",
    "cookie_consent.testing.fixtures",
    "cookie_consent.integrations.jinja",
    "cookie_consent.integrations.html",
    "cookie_consent.integrations.django",
    "cookie_consent.integrations.opentelemetry",
    "cookie_consent.integrations.prometheus",
    "cookie_consent.integrations.sentry",
    "cookie_consent.ledgers",
    "cookie_consent.sinks",
    "cookie_consent.current",
    "cookie_consent.logging",
    "cookie_consent.evidence",
    "cookie_consent.serve_report",
)
"""The public modules: what `__all__` names in them is the public API."""
_ELSEWHERE = {
    "ConsentMiddleware": "options.md",
    "Decision": "consent.md",
    "RequestConsent": "consent.md",
    "FeatureState": "consent.md#what-feature-returns",
    "Site": "policy-file.md#site",
    "Purpose": "policy-file.md#purposesid",
    "Cookie": "policy-file.md#cookies",
    "Recipient": "policy-file.md#recipients",
    "Feature": "policy-file.md#featuresid",
    "Service": "policy-file.md#servicesid",
}
"""Name -> the page of the reference that lists what it has."""
_TITLE = """\
# The public API

What your code may import, and what it takes. Within a major version, code that uses only these names keeps working.

**All else is internal** and may change in any version: modules that this page does not list, names that `__all__` does
not have, and names that begin with an underscore. An internal module says so, or the package that it is in."""


def page() -> str:
    return page_of(_TITLE, *map(_section, MODULES))


def _section(name: str) -> str:
    module = importlib.import_module(name)
    rows = [row for public in module.__all__ for row in _rows(public, getattr(module, public))]
    return joined(f"## `{name}`", sentence(docstring_of(module).summary), table(("name", "what it is"), rows))


def _rows(name: str, public: Any) -> Iterator[tuple[str, str]]:
    if name in _ELSEWHERE:
        yield f"[`{name}`]({_ELSEWHERE[name]})", sentence(docstring_of(public).summary)
        return
    takes_arguments = inspect.isfunction(public) or (docstring_of(public).names and not inspect.isabstract(public))
    yield f"`{name}{_signature(public) if takes_arguments else ''}`", _explained(public)
    if inspect.isclass(public):
        yield from _members(name, public)


def _explained(public: Any) -> str:
    """Return what something does, its arguments and its errors, for a cell."""
    documented = docstring_of(public)
    arguments = [f"`{name}`: {sentence(text)}" for name, text in documented.names.items()]
    errors = [f"`{error}`: {sentence(text)}" for error, text in documented.raises.items()]
    text = " ".join(map(sentence, documented.text.split("\n\n")))
    return "<br>".join([text, *arguments, *errors])


def _signature(public: Any) -> str:
    """Return the arguments of a function or class with their defaults, without types."""
    signature = inspect.signature(public)
    parameters = [
        part.replace(annotation=part.empty, default=_Default.of(part))
        for part in signature.parameters.values()
        if part.name not in ("self", "cls")
    ]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


class _Default:
    """A default as the page writes it."""

    def __init__(self, value: object) -> None:
        self._value = value

    @classmethod
    def of(cls, part: inspect.Parameter) -> object:
        return part.empty if part.default is part.empty else cls(part.default)

    def __repr__(self) -> str:
        if isinstance(self._value, str):
            return f'"{self._value}"'
        if self._value is None or isinstance(self._value, bool | int | float | tuple):
            return repr(self._value)
        return str(getattr(self._value, "__name__", "…"))


def _members(of: str, public: type[Any]) -> Iterator[tuple[str, str]]:
    """Yield the methods and properties that a class itself defines."""
    for name, member in vars(public).items():
        member = getattr(member, "__func__", member)  # of a class method
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property | cached_property)):
            called = f"{name}{_signature(member)}" if inspect.isfunction(member) else name
            yield f"`{of}.{called}`", prose(docstring_of(member).summary)
