"""The page on the decision that an app reads, from its classes and their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from cookie_consent import consent_of, requires
from cookie_consent.decision.decision import Decision, FeatureState, decide
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.enforcement.request_consent import RequestConsent
from cookie_consent.enforcement.requires import Requires
from cookie_consent.integrations.jinja import consent_context
from tests.support.policies import consent_record, granting_record, refusing_record
from tests.support.reference.docstrings import docstring_of
from tests.support.reference.example import policy
from tests.support.reference.functions import described, explained
from tests.support.reference.markdown import block, code, joined, link, sentence, table

NOT_FOR_APPS = frozenset({"tag_nonce", "degrade", "count_card", "app_language", "language_of_page", "prefer_language"})
"""Names of `RequestConsent` that only the middleware uses, beside its "Attributes"."""
_TITLE = """\
# `request.state.consent`

What your app may do on this request, and what the visitor answered. Reading it makes the response depend on the
visitor, so it becomes private. It never changes during a request."""
_PLACES = (
    ("Starlette, FastAPI", "`request.state.consent`"),
    ("any framework, with its type", "`consent_of(request)`; see [below](#consent_of)"),
    ("any ASGI app", '`scope["state"]["consent"]`'),
    ("Jinja2, with `consent_context`", "`consent`"),
)
_EXAMPLE = """\
from starlette.responses import PlainTextResponse


async def offices(request):
    consent = request.state.consent
    if consent.allows("media"):
        return PlainTextResponse("the map")
    return PlainTextResponse(consent.feature("map").fallback)"""
_SHOWN = ("status", "outcome", "purposes", "should_ask", "signals", "honours_gpc", "traces")


def page() -> str:
    members = dict(public_members(RequestConsent))
    return joined(
        _TITLE,
        table(("where", "how to get it"), _PLACES),
        block("python", _EXAMPLE),
        f"Read on: {link('switch features on and off', 'features.md')}.",
        "## Attributes",
        table(("attribute", "type", "what it is"), _attributes(members)),
        "## What they are after an answer",
        "For the policy file of the " + link("example", "policy.md#an-example") + ", where `analytics` traces and "
        "`media` has a recipient:",
        _values(),
        "## Methods",
        *(_method(name, member) for name, member in members.items() if inspect.isfunction(member)),
        "## What `feature` returns",
        sentence(docstring_of(FeatureState).text),
        table(("attribute", "type", "what it is"), _fields(FeatureState)),
        "## `consent_of`",
        block("python", "consent_of(request) -> RequestConsent"),
        *explained(consent_of),
        "## `requires`",
        *described(requires, "requires"),
        'What it returns, `needs_media = requires("media")`, has more than that:',
        table(("name", "what it is"), _of_requires()),
        "## In templates",
        "`Jinja2Templates(..., context_processors=[consent_context])` gives templates these:",
        docstring_of(consent_context).text.partition("\n\n")[2],
    )


def public_members(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names that an app may use, with what they are, in the order in which the classes define them."""
    for_us = docstring_of(RequestConsent).entries["Attributes"].keys() | NOT_FOR_APPS
    for name in dict.fromkeys([*(part.name for part in fields(Decision)), *vars(Decision), *vars(kind)]):
        if not name.startswith("_") and name not in for_us:
            yield name, getattr(kind, name)


def _attributes(members: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    declared = {name.strip("`"): (type_, meaning) for name, type_, meaning in _fields(Decision)}
    for name, member in members.items():
        if isinstance(member, property) and member.fget and member.__doc__:
            yield f"`{name}`", code(member.fget.__annotations__["return"]), sentence(docstring_of(member).text)
        elif name in declared:
            yield (f"`{name}`", *declared[name])


def _fields(kind: type[Any]) -> Iterable[tuple[str, str, str]]:
    meanings = docstring_of(kind).names
    return ((f"`{part.name}`", code(str(part.type)), sentence(meanings[part.name])) for part in fields(kind))


def _values() -> str:
    shown = policy()
    answers: dict[str, tuple[ConsentRecord | None, frozenset[str]]] = {
        "nothing yet": (None, frozenset()),
        "all accepted": (granting_record(shown), frozenset()),
        "all refused": (refusing_record(shown), frozenset()),
        "only `media` accepted": (
            consent_record(shown, {"analytics": State.REFUSED, "media": State.GRANTED}), frozenset()
        ),
        "nothing yet, and `Sec-GPC: 1`": (None, frozenset({"gpc"})),
        "all accepted, then `Sec-GPC: 1`": (granting_record(shown), frozenset({"gpc"})),
    }  # fmt: skip
    decisions = {
        situation: decide(shown, record, signals, record.decided_at if record else 0)
        for situation, (record, signals) in answers.items()
    }
    rows = (
        (situation, *(code(_written(getattr(decision, name))) for name in _SHOWN))
        for situation, decision in decisions.items()
    )
    return table(("answer", *(f"`{name}`" for name in _SHOWN)), rows)


def _written(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(id_ for id_, allowed in value.items() if allowed)
    return repr(value).replace("'", '"')


def _of_requires() -> Iterable[tuple[str, str]]:
    for called, member in (("responses", Requires.responses), ("unmet(request)", Requires.unmet)):
        yield f"`needs_media.{called}`", sentence(docstring_of(member).text)


def _method(name: str, method: Callable[..., Any]) -> str:
    documented = method if method.__qualname__.startswith("Decision") else getattr(Decision, name, method)
    return joined(f"### `{name}`", *described(documented, f"consent.{name}"))
