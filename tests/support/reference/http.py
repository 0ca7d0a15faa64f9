"""The page on the HTTP interface, from the table of endpoints, their docstrings, and responses of a real site."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from cookie_consent.base.cross_site import is_cross_site
from cookie_consent.ledgers.glossary import MEANINGS
from cookie_consent.tracing.events import _CHECKS
from cookie_consent.visitors.answers.posted import _OF_FORMS, PostedAnswer
from cookie_consent.visitors.endpoints import _DEPENDS
from cookie_consent.visitors.routes import GPC_PATH
from cookie_consent.visitors.settings import SettingsEndpoints
from cookie_consent.visitors.state import States
from tests.support.reference.docstrings import docstring_of
from tests.support.reference.exchanges import Site
from tests.support.reference.markdown import anchor, code, joined, link, prose, sentence, table
from tests.support.reference.problems import problems_table

PREFIX = "/privacy-choices"
_EXAMPLE = link("example", "policy.md#an-example")
_TITLE = f"""\
# HTTP interface

Every path of the middleware, what it takes and what it returns. All but one are below [`prefix`](options.md#prefix),
which is `{PREFIX}` unless you set another. The examples are real responses, for the policy file of the {_EXAMPLE};
signed and random values are shown as `…`."""
_ITEM = re.compile(r"^- `(\w+)`: (.*)$", re.MULTILINE)


def page() -> str:
    return joined(
        _TITLE,
        "## All at a glance",
        table(("request", "what it does"), _overview()),
        "## Giving an answer",
        *_answering(),
        "## What holds now",
        *_state(),
        "## All other paths",
        *(_section(method, path, handler) for method, path, handler in endpoints() if (method, path) not in _FIRST),
        "## Problems",
        *_problems(),
        "## Header fields",
        *_header_fields(),
        "## Pages of your app",
        *_pages(),
    )


_FIRST = (("POST", ""), ("GET", "/state"))
"""The endpoints that have sections of their own."""


def endpoints() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Yield the method, the path below the prefix and the handler of each endpoint, in the order of their table.

    Scripts and other files have one path for all.
    """
    handlers = Site().app._endpoints._routes._table
    for path, methods in handlers.items():
        if "." not in path:
            for method, handler in methods.items():
                yield method, path, handler
        if path == "/policy":
            yield "GET", "/policy/VERSION", SettingsEndpoints.past_policy
    yield "GET", "/SCRIPT.js", handlers["/choices.js"]["GET"]
    yield "GET", "/assets/NAME", next(found["GET"] for path, found in handlers.items() if path.startswith("/assets/"))
    yield "GET", GPC_PATH, SettingsEndpoints.gpc


def _heading(method: str, path: str) -> str:
    return f"{method} {path if path == GPC_PATH else f'{PREFIX}{path}'}"


def _overview() -> Iterator[tuple[str, str]]:
    sections = {"POST ": "#giving-an-answer", "GET /state": "#what-holds-now"}
    for method, path, handler in endpoints():
        heading = _heading(method, path)
        target = sections.get(f"{method} {path}", f"#{anchor(f'`{heading}`')}")
        yield f"[{code(heading)}]({target})", sentence(_what(_documented(handler).text).split("\n\n")[0])


def _documented(handler: Callable[..., Any]) -> Any:
    return docstring_of(handler.func if isinstance(handler, partial) else handler)


def _section(method: str, path: str, handler: Callable[..., Any]) -> str:
    documented = _documented(handler)
    return joined(
        f"### {code(_heading(method, path))}",
        *_text(documented.text),
        _statuses(documented.raises),
        *_EXTRA.get((method, path), list)(),
    )


def _what(text: str) -> str:
    return text.removeprefix("Respond with ")


def _text(text: str) -> Iterator[str]:
    """Yield the paragraphs of a docstring; a list of names becomes a table."""
    for paragraph in _what(text).split("\n\n"):
        items = _ITEM.findall(paragraph)
        if items:
            yield table(("name", "what it is"), ((f"`{name}`", _in_json(meaning)) for name, meaning in items))
        else:
            yield sentence(paragraph)


def _in_json(meaning: str) -> str:
    """Return what a docstring says of a value, without Python's words."""
    return sentence(meaning.replace("->", "→").replace('; "" if not given', "").replace('; "" for none', ""))


def _statuses(raises: Mapping[str, str]) -> str:
    """Return the status codes of problems that a docstring names."""
    return f"**Problems**: {prose(raises['Problem'])}" if "Problem" in raises else ""


def _answering() -> Iterator[str]:
    yield (
        f"`POST {PREFIX}` takes an answer, as a form or as JSON. A form gets 303 to `next`, or to the settings page; "
        "JSON gets 200 and [what holds now](#what-holds-now). The response sets the consent cookie."
    )
    meanings = docstring_of(PostedAnswer).names
    rows = [
        ("`choice`", "`choice`", _in_json(meanings["choice"])),
        ("`purpose=ID`, repeated", '`"purposes": {"ID": true}`', _in_json(meanings["purposes"])),
        ("`recipient=ID`, repeated", '`"recipients": {"ID": true}`', _in_json(meanings["recipients"])),
        *((f"`{name}`", f"`{name}`", _in_json(meanings[name])) for name in ("policy", "next", "source")),
    ]
    yield table(("in a form", "in JSON", "what it is"), rows)
    yield (
        "- A form with `save` and no `purpose` refuses all. JSON with `save` needs `purposes`; what it leaves out is "
        "refused.\n"
        "- A `next` that leads to another site is ignored.\n"
        "- With a `policy` that is no longer in force, nothing is kept, and the response is 409."
    )
    yield _statuses(_documented(_handler("POST", "")).raises)
    site = Site()
    yield "All accepted, as JSON:"
    yield site.show("POST", PREFIX, body={"choice": "accept_all"})
    yield "Then all but `media` withdrawn:"
    yield site.show("POST", PREFIX, body={"choice": "save", "purposes": {"media": True}})
    yield "One purpose accepted and the others refused, as a form:"
    yield Site().show("POST", PREFIX, body="choice=save&purpose=media&next=/offices")
    yield "Our own forms say more of themselves. It is kept with the proof:"
    described = {"shown_on": "shown_on", **_OF_FORMS}
    yield table(("name", "what it is"), ((f"`{name}`", _in_json(meanings[field])) for name, field in described.items()))


def _handler(method: str, path: str) -> Callable[..., Any]:
    return next(handler for own, at, handler in endpoints() if (own, at) == (method, path))


def _state() -> Iterator[str]:
    yield from _text(_documented(_handler("GET", "/state")).text)
    site = Site()
    site.send("POST", PREFIX, body={"choice": "save", "purposes": {"media": True}})
    state = site.send("GET", f"{PREFIX}/state").json
    items = _ITEM.findall(docstring_of(States.of).text)
    assert state.keys() <= dict(items).keys(), "The docstring of States.of lacks a key"
    rows = ((f"`{name}`", code(_json(state[name])) if name in state else "–", _in_json(text)) for name, text in items)
    yield table(("key", "example", "what it is"), rows)
    yield site.show("GET", f"{PREFIX}/state")


def _erased() -> Iterator[str]:
    site = Site()
    site.send("POST", PREFIX, body={"choice": "accept_all"})
    yield site.show("POST", f"{PREFIX}/erase", headers={"accept": "application/json"}, body={})


def _shown_once() -> Iterator[str]:
    yield Site().show("POST", f"{PREFIX}/show-once", body="card=example-maps&next=/offices")


def _events() -> Iterator[str]:
    yield table(("name", "what it is"), ((f"`{name}`", prose(remedy)) for name, (_, remedy) in _CHECKS.items()))
    yield "`name` and `path` are needed."
    site = Site()
    site.send("POST", PREFIX, body={"choice": "accept_all"})
    yield site.show("POST", f"{PREFIX}/events", body={"name": "download", "path": "/offices"})


def _receipt() -> Iterator[str]:
    rows = ((f"`{name}`", sentence(meaning)) for name, meaning in MEANINGS["receipts"].items())
    yield table(("key", "what it is"), rows)


def _policy() -> Iterator[str]:
    yield "It has the tables of the [policy file](policy-file.md) as JSON, with durations in seconds, and `version`."


def _scripts() -> Iterator[str]:
    scripts = [name for name in Site().app._endpoints._routes._table if name.endswith(".js") and name.count("/") == 1]
    names = ", ".join(f"`{PREFIX}{name}`" for name in scripts)
    yield f"There are {names}. [Events and scripts](events.md) says what each does."


def _gpc() -> Iterator[str]:
    yield Site().show("GET", GPC_PATH)


def _reports() -> Iterator[str]:
    report = {"csp-report": {"blocked-uri": "https://maps.example.com/embed", "effective-directive": "frame-src"}}
    yield "It takes `application/csp-report` and `application/reports+json`, as browsers send them."
    yield Site().show("POST", f"{PREFIX}/csp-reports", headers={"content-type": "application/csp-report"}, body=report)


_EXTRA: Mapping[tuple[str, str], Callable[[], Iterable[str]]] = {
    ("POST", "/show-once"): _shown_once,
    ("GET", "/receipt"): _receipt,
    ("POST", "/erase"): _erased,
    ("GET", "/policy"): _policy,
    ("GET", "/SCRIPT.js"): _scripts,
    ("POST", "/events"): _events,
    ("POST", "/csp-reports"): _reports,
    ("GET", GPC_PATH): _gpc,
}
"""Endpoint -> what its section has beside the docstring."""


def _problems() -> Iterator[str]:
    yield (
        "A refused request changes nothing. Programs get problem details (RFC 9457). People who sent a form, or "
        "followed a link, get a page with a text in their language; [names of texts](texts.md) has it."
    )
    yield Site().show("POST", PREFIX, headers={"sec-fetch-site": "cross-site"}, body={"choice": "accept_all"})
    yield sentence(docstring_of(is_cross_site).text.split("\n\n")[1])
    yield problems_table()


def _header_fields() -> Iterator[str]:
    fields = _DEPENDS.split(", ")
    assert fields == [*_REQUEST_FIELDS], "A field that the endpoints read has no meaning here"
    yield "The endpoints read these:"
    yield table(("field", "what for"), ((f"`{name}`", meaning) for name, meaning in _REQUEST_FIELDS.items()))
    reply = Site().send("GET", f"{PREFIX}/state")
    names = ("cache-control", "vary", "x-content-type-options")
    yield "Each response has these. A file at `/assets/` may be kept for ever instead:"
    yield table(("field", "value"), ((f"`{name.title()}`", code(reply.get(name))) for name in names))
    yield "`Retry-After` says after how many seconds a 429 may be tried again, `Allow` which methods a 405 allows."


_REQUEST_FIELDS = {
    "Cookie": "the visitor's answer: [cookies of our own](cookies.md)",
    "Sec-GPC": "Global Privacy Control; `?gpc=1` counts as `Sec-GPC: 1`, unless another site sent the request",
    "DNT": "Do Not Track",
    "Accept": "whether problems and the help desk answer with a page or with JSON",
    "Accept-Language": "the language of pages, where neither `?language=` nor the app says it",
    "Sec-Fetch-Site": "whether the site's own page sent a `POST`",
    "Origin": "the same, from browsers without `Sec-Fetch-Site`",
}


def _pages() -> Iterator[str]:
    yield (
        "What the middleware changes on a page that sets a cookie of a purpose, `Set-Cookie: _ga=1`. An answer that "
        "was not given, a refusal, and a yes:"
    )
    rows = []
    for answer, choice in (("none yet", ""), ("refused", "refuse_all"), ("accepted", "accept_all")):
        site = Site(settings_link=False)
        if choice:
            site.send("POST", PREFIX, body={"choice": choice})
        reply = site.send("GET", "/")
        rows.append((answer, *(_value(reply.get(name)) for name in ("set-cookie", "cache-control", "vary"))))
    yield table(("answer", "`Set-Cookie`", "`Cache-Control`", "`Vary`"), rows)
    caches, csp = link("pages that shared caches keep", "caching.md"), link("what browsers may load", "security.md")
    yield f"Read on: {caches}, {csp}."


def _value(field: str) -> str:
    return code(field) if field else "–"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
