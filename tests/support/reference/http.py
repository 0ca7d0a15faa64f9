"""The page on the HTTP interface, from the table of endpoints and their docstrings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from cookie_consent.endpoints.answer_records import PostedAnswer
from cookie_consent.endpoints.endpoints import ENDPOINTS
from cookie_consent.endpoints.request import is_cross_site
from cookie_consent.endpoints.settings import describe_state
from cookie_consent.http.options import GPC_PATH
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.events import _CHECKS
from tests.support.asgi import NOW, Clock, Visitor, install
from tests.support.reference.markdown import docstring_of, page_of, prose, sentence, table

PREFIX = "/privacy-choices"
_TITLE = f"""\
# HTTP interface

Every path of the middleware, what it takes and what it returns. All but one are below [`prefix`](options.md), which is
`{PREFIX}` unless you set another."""
_ANSWERS = """\
`POST` at the prefix takes an answer, as a form or as JSON. A form gets 303 to `next`, or to the settings page; JSON
gets 200 and [what holds now](#what-holds-now). The response sets the consent cookie. [Answer by
JSON](../how-to/answer-by-json.md) has an example."""
_RULES = """\
- A form with `save` and no `purpose` refuses all. JSON with `save` needs `purposes`; what it leaves out is refused.
- A `next` that leads to another site is ignored.
- With a `policy` that is no longer in force, nothing is kept, and the response is 409."""
_PROBLEMS = """\
A refused request changes nothing. Programs get problem details (RFC 9457), with `status`, `title` and `detail`. People
who sent a form, or followed a link, get a page with a text in their language."""
_FIELDS = """\
The endpoints read these:

| field | what for |
| --- | --- |
| `Cookie` | the visitor's answer: [cookies of our own](cookies.md) |
| `Sec-GPC`, `DNT` | signals; `?gpc=1` counts as `Sec-GPC: 1`, unless another site sent the request |
| `Accept` | whether problems and the help desk answer with a page or with JSON |
| `Accept-Language` | the language of pages, where neither `?language=` nor the app says it |
| `Sec-Fetch-Site`, `Origin` | whether the site's own page sent a `POST` |

Each response has `Cache-Control: no-store`, `X-Content-Type-Options: nosniff` and `Vary`. A file at `/assets/` may be
kept for ever instead. `Retry-After` says after how many seconds a 429 may be tried again, `Allow` which methods a 405
allows. [Caching](../caching.md) says what pages of your app get."""
_PATTERNS = {"/policy/*": "/policy/VERSION", "/assets/*": "/assets/NAME", "/*.js": "/SCRIPT.js"}
_ITEM = re.compile(r"^- `(\w+)`: (.*)$", re.MULTILINE)


def page() -> str:
    return page_of(
        _TITLE,
        "## Endpoints",
        table(("request", "what it does", "problems"), _endpoints()),
        "## Giving an answer",
        _ANSWERS,
        table(("in a form", "in JSON", "what it is"), _answer_fields()),
        _RULES,
        "## What holds now",
        f"`GET {PREFIX}/state` returns this, and so does an answer:",
        table(("key", "example", "what it is"), _state()),
        "## Events",
        f"`POST {PREFIX}/events` takes a JSON object. `name` and `path` are needed.",
        table(("name", "what it is"), ((f"`{name}`", prose(remedy)) for name, (_, remedy) in _CHECKS.items())),
        "## Problems",
        _PROBLEMS,
        sentence(docstring_of(is_cross_site).text.split("\n\n")[1]),
        "## Header fields",
        _FIELDS,
    )


def site() -> Visitor:
    """Return the only visitor of a site, whose clock stands still."""
    return Visitor(install(ledger=MemoryLedger(), access_log=MemorySink(), clock=Clock(int(NOW))))


def endpoints() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Yield the method, the path below the prefix and the function of each endpoint, in the order of their table."""
    for pattern, methods in ENDPOINTS.items():
        path = _PATTERNS.get(pattern, pattern)
        for method, endpoint in methods.items():
            yield method, path, endpoint


def _endpoints() -> Iterator[tuple[str, ...]]:
    for method, path, endpoint in endpoints():
        documented = docstring_of(endpoint)
        address = path if path == GPC_PATH else f"{PREFIX}{path}"
        said = " ".join(map(_in_a_cell, documented.text.removeprefix("Respond with ").split("\n\n")))
        yield f"`{method} {address}`", said, prose(documented.raises.get("Problem", "–"))


def _in_a_cell(paragraph: str) -> str:
    """Return a paragraph of a docstring, or its list of names, as one sentence."""
    items = _ITEM.findall(paragraph)
    return (
        prose("; ".join(f"`{name}`: {text.rstrip('.')}" for name, text in items)) + "."
        if items
        else sentence(paragraph)
    )


def _answer_fields() -> Iterator[tuple[str, ...]]:
    meanings = docstring_of(PostedAnswer).names
    in_json = {"purposes": '"purposes": {"ID": true}'}
    in_form = {"purposes": "purpose=ID`, repeated"}
    for name in ("choice", "purposes", "policy", "next", "source"):
        if name in meanings:
            yield f"`{in_form.get(name, f'{name}`')}", f"`{in_json.get(name, name)}`", _in_json(meanings[name])


def _in_json(meaning: str) -> str:
    """Return what a docstring says of a value, without Python's words."""
    return sentence(meaning.replace("->", "→").replace('; "" if not given', "").replace('; "" for none', ""))


def _state() -> Iterator[tuple[str, ...]]:
    visitor = site()
    visitor.save(media=True)
    state = visitor.get(f"{PREFIX}/state").json
    meanings = dict(_ITEM.findall(docstring_of(describe_state).text))
    assert state.keys() <= meanings.keys(), "The docstring of describe_state lacks a key"
    for name, meaning in meanings.items():
        example = f"`{json.dumps(state[name])}`" if name in state else "–"
        yield f"`{name}`", example, _in_json(meaning)
