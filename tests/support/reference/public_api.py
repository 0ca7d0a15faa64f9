"""The page on the public API, from the modules and their `__all__`."""

from __future__ import annotations

import importlib
from types import ModuleType

from tests.support.reference.docstrings import docstring_of
from tests.support.reference.markdown import anchor, joined, link, sentence, table

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
_TITLE = f"""\
# The public API

What your code may import. Within a major version, code that uses only these names keeps working.

**All else is internal** and may change in any version: modules that this page does not list, names that `__all__` does
not have, and names that begin with an underscore. An internal module says so, or the package that it is in.

What each name takes is on {link("a page of its own", "reference/python.md")}, and so is what
{link("`consent`", "reference/consent.md")} has for your code."""


def page() -> str:
    return joined(
        _TITLE,
        "\n".join(f"- [`{name}`](#{anchor(name)})" for name in MODULES),
        *(_section(name, importlib.import_module(name)) for name in MODULES),
    )


def _section(name: str, module: ModuleType) -> str:
    rows = ((f"`{public}`", sentence(summary_of(getattr(module, public)))) for public in module.__all__)
    return joined(f"## `{name}`", sentence(summary_of(module)), table(("name", "what it is"), rows))


def summary_of(documented: object) -> str:
    """Return the first paragraph of a docstring."""
    return docstring_of(documented).text.partition("\n\n")[0]
