"""The page on the decision that an app reads, from its classes and their docstrings."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from cookie_consent.decision.decision import Decision, FeatureState, decide
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.integrations.jinja import consent_context
from tests.support.documentation import blocks
from tests.support.policies import consent_record, granting_record, policy_of, refusing_record
from tests.support.reference.markdown import docstring_of, page_of, sentence, table

NOT_FOR_APPS = frozenset({"app_language", "language_of_page", "prefer_language"})
"""Names of `RequestConsent` that only the middleware uses, beside its "Attributes"."""
_TITLE = """\
# `request.state.consent`

What your app may do on this request, and what the visitor answered. Reading it makes the response depend on the
visitor, so it becomes private. It never changes during a request. [Features](../features.md) shows how to use it.

| where | how to get it |
| --- | --- |
| Starlette, FastAPI | `request.state.consent` |
| any framework, with its type | `consent_of(request)` |
| any ASGI app | `scope["state"]["consent"]` |
| Jinja2, with `consent_context` | `consent` |"""
_SHOWN = ("status", "outcome", "purposes", "should_ask", "signals", "honours_gpc", "traces")


def page() -> str:
    members = dict(public_members())
    methods = {name: member for name, member in members.items() if inspect.isfunction(member)}
    return page_of(
        _TITLE,
        "## Attributes",
        table(("attribute", "type", "what it is"), _attributes(members)),
        "## What they are after an answer",
        "For the policy file of the [example](../policy.md#an-example), where `analytics` traces and `media` has a "
        "recipient:",
        _values(),
        "## Methods",
        table(("method", "what it does"), (_method(name, method) for name, method in methods.items())),
        "## What `feature` returns",
        table(("attribute", "type", "what it is"), _fields(FeatureState)),
        "## In templates",
        "`Jinja2Templates(..., context_processors=[consent_context])` gives templates these:",
        docstring_of(consent_context).text.partition("\n\n")[2],
    )


def public_members() -> Iterator[tuple[str, Any]]:
    """Yield the names that an app may use, with what they are, in the order in which the classes define them."""
    for_us = docstring_of(RequestConsent).names.keys() | NOT_FOR_APPS
    for name in dict.fromkeys([*(part.name for part in fields(Decision)), *vars(Decision), *vars(RequestConsent)]):
        if not name.startswith("_") and name not in for_us:
            yield name, getattr(RequestConsent, name)


def _attributes(members: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    declared = {row[0].strip("`"): row for row in _fields(Decision)}
    for name, member in members.items():
        if isinstance(member, property) and member.fget and member.__doc__:
            yield f"`{name}`", f"`{member.fget.__annotations__['return']}`", sentence(docstring_of(member).text)
        elif name in declared:
            yield declared[name]


def _fields(kind: type[Any]) -> Iterable[tuple[str, ...]]:
    meanings = docstring_of(kind).names
    return ((f"`{part.name}`", f"`{part.type}`", sentence(meanings[part.name])) for part in fields(kind))


def _values() -> str:
    shown = policy_of(tomllib.loads(blocks("docs/policy.md", "toml")[0]))
    media_alone = consent_record(shown, {"analytics": State.REFUSED, "media": State.GRANTED})
    situations: dict[str, tuple[ConsentRecord | None, frozenset[str]]] = {
        "nothing yet": (None, frozenset()),
        "all accepted": (granting_record(shown), frozenset()),
        "all refused": (refusing_record(shown), frozenset()),
        "only `media` accepted": (media_alone, frozenset()),
        "nothing yet, and `Sec-GPC: 1`": (None, frozenset({"gpc"})),
        "all accepted, then `Sec-GPC: 1`": (granting_record(shown), frozenset({"gpc"})),
    }
    rows = []
    for situation, (record, signals) in situations.items():
        decision = decide(shown, record, signals, record.decided_at if record else 0)
        rows.append((situation, *(f"`{_written(getattr(decision, name))}`" for name in _SHOWN)))
    return table(("answer", *(f"`{name}`" for name in _SHOWN)), rows)


def _written(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(id_ for id_, allowed in value.items() if allowed)
    return repr(value).replace("'", '"')


def _method(name: str, member: Any) -> tuple[str, str]:
    method = getattr(Decision, name, member)
    documented = docstring_of(method)
    arguments = [part for part in inspect.signature(method).parameters.values() if part.name != "self"]
    called = ", ".join(str(part.replace(annotation=part.empty)) for part in arguments)
    errors = [f"`{error}`: {sentence(text)}" for error, text in documented.raises.items()]
    return f"`{name}({called})`", " ".join([sentence(documented.summary), *errors])
