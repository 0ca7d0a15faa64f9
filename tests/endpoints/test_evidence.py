"""Tests of the texts that the ledger keeps: what visitors were shown when they answered, word for word."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.http.features import consent_card, fallback_box
from cookie_consent.ledgers import Ledger, MemoryLedger
from cookie_consent.pages.evidence import SURFACES, explain
from cookie_consent.pages.wording import write_day
from tests.endpoints.test_do_not_sell import SELLS
from tests.support.asgi import NOW, PAGE, PREFIX, SITE, Clock, Visitor, install, policy, run, without_form_ids
from tests.support.browsers.browser import Form, forms
from tests.support.policies import KEY, full_policy_in, text_of

HTML = [("accept", "text/html")]
JAPANESE = [*HTML, ("accept-language", "ja")]
GPC = ("sec-gpc", "1")
CHANGE = '\n[[changes]]\ndate = 2025-06-15\ntext = { en = "A change.", ja = "変更。" }\n'
WIDER = SITE.replace("https://maps.example.com", "https://other.example.com").replace("IP address", "IP address, page")


async def _box(request: Request) -> Response:
    return HTMLResponse(PAGE.replace(b"<h1>", fallback_box(request.scope, "map").encode() + b"<h1>"))


@requires("media")
async def _offices(request: Request) -> Response:
    return PlainTextResponse("offices")


@requires("media", "analytics")
async def _everything(request: Request) -> Response:
    return PlainTextResponse("everything")


async def _card(request: Request) -> Response:
    return HTMLResponse(PAGE.replace(b"<h1>", consent_card(request, "maps", "", title="Where <we> are").encode()))


async def _home(request: Request) -> Response:
    language = request.query_params.get("language", "en")
    return HTMLResponse(PAGE.replace(b'lang="en"', b'lang="%b"' % language.encode()))


ROUTES = {"/": _home, "/map": _box, "/offices": _offices, "/everything": _everything, "/card": _card}


def site() -> ASGIApp:
    return Starlette(routes=[Route(path, endpoint) for path, endpoint in ROUTES.items()])


def without_own(html: str) -> str:
    """Return a part of a page without what the ledger does not keep: the id of the form, and where it leads back to."""
    html = re.sub(r'<input type="hidden" name="next" value="[^"]*">\n', "", without_form_ids(html))
    return re.sub(r'(?:&amp;|&)next=[^"#]*', "", html)


def banner_in(html: str) -> str:
    return without_own(html[html.index("<section") : html.index("<script")])


def question_in(html: str) -> str:
    return re.sub("^<link[^>]*>", "", without_own(html))


def box_in(html: str) -> str:
    return without_own(html[html.index('<link rel="stylesheet"') : html.rindex("<h1>")])


def settings_in(html: str) -> str:
    """Return the settings page without the lines that name the visitor's own records."""
    return re.sub(r"<li>[^\n]*(?:<code>|/records\?)[^\n]*</li>\n", "", without_form_ids(html))


class Surface(NamedTuple):
    """A form that asks: its page, the button that is pressed, and the part of the page that is kept."""

    path: str
    name: str
    button: str
    part: Callable[[str], str] = without_own
    query: bytes = b""


BANNER = Surface("/", "banner", "refuse_all", banner_in)
JAPANESE_PAGE = BANNER._replace(query=b"language=ja")
QUESTION = Surface(f"{PREFIX}/question", "banner", "accept_all", question_in)
AGAIN = Surface(f"{PREFIX}/question", "again", "refuse_all", question_in, b"again")
WHOIS = AGAIN._replace(query=b"again&next=/whois/map")
SETTINGS = Surface(PREFIX, "settings", "refuse_all", settings_in)
ERASED = SETTINGS._replace(query=b"erased")
BOX = Surface("/map", "box", "grant", box_in)
OFFICES = Surface("/offices", "page", "grant")
EVERYTHING = Surface("/everything", "page", "grant")
OPT_OUT = Surface(f"{PREFIX}/do-not-sell", "opt_out", "opt_out", without_form_ids)
ACCEPT, REFUSE = {"choice": "accept_all"}, {"choice": "refuse_all"}
MEDIA = {"choice": "save", "purposes": {"media": True}}
ONLY_MEDIA_ASKED = {"choice": "grant", "purposes": {"media": True}}


def form_of(html: str, surface: str, button: str) -> Form:
    """Return the form of a surface that has a button for all purposes."""
    return next(
        form for form in forms(html) if ("surface", surface) in form.hidden and ("choice", button) in form.buttons
    )


def newest_record(ledger: Ledger) -> dict[str, Any]:
    newest: dict[str, Any] = [json.loads(link.document) for link in ledger.links() if link.document][-1]
    return newest


def english(key: str) -> str:
    return escape(text_of(policy(), "en", key))


@pytest.mark.requirement("PC-03")
@pytest.mark.parametrize(
    ("surface", "before", "later", "how", "says"),
    [
        # Each surface, in a language other than the prevailing one.
        (JAPANESE_PAGE, [], [], {"headers": HTML}, text_of(policy(), "ja", "refuse_all")),
        (AGAIN, [MEDIA], [], {}, 'value="media" aria-describedby="pchoice-about-media" checked'),
        (SETTINGS, [], [], {}, ""),
        (SETTINGS, [MEDIA], [], {}, '<time datetime="2025-06-15">'),
        (BOX, [], [], {"inject": False}, "事務所の地図"),
        (OFFICES, [], [], {}, "事務所の地図"),
        (EVERYTHING, [], [], {}, "地図と動画"),
        (EVERYTHING, [MEDIA], [], {}, "アクセス履歴"),
        # What options, signals, services and changes of the policy make of it.
        *((QUESTION, [], [], {"layout": layout, "headers": HTML}, "") for layout in ("corner", "bar", "modal")),
        (SETTINGS, [ACCEPT], [], {"consent_days": 30}, '<time datetime="2025-07-15">'),
        (SETTINGS, [ACCEPT], [], {"text": SITE + CHANGE}, '<time datetime="2025-06-15">'),
        (SETTINGS, [], [], {"headers": [*HTML, GPC]}, "Global Privacy Control"),
        (SETTINGS._replace(button="save"), [], [], {"headers": [*HTML, GPC, ("dnt", "1")]}, "Global Privacy Control"),
        (AGAIN, [], [], {"headers": [*HTML, GPC]}, "Global Privacy Control"),
        (WHOIS, [], [], {"headers": HTML}, 'name="service" value="whois"'),
        (WHOIS, [ACCEPT], [], {"headers": HTML}, 'name="service" value="whois"'),
        (BANNER, [ACCEPT], [], {"then": WIDER, "headers": HTML}, english("banner_changed")),
        (BANNER, [ONLY_MEDIA_ASKED], [], {"headers": HTML}, "<b>Access tracing</b>?"),
        (ERASED, [], [], {"headers": HTML}, english("erased")),
        (ERASED, [ACCEPT], [], {"headers": HTML}, english("proof_stays")),
        (OPT_OUT, [ACCEPT], [], {"text": SELLS, "headers": HTML}, 'value="opt_out"'),
        # Forms that were open while the visitor answered in another tab. They show what they showed.
        (BANNER, [], [ACCEPT], {"headers": HTML}, ""),
        (SETTINGS, [], [ACCEPT], {}, ""),
        (SETTINGS, [MEDIA], [ACCEPT], {"headers": HTML}, english("status_partial")),
        (AGAIN, [MEDIA], [ACCEPT], {"headers": HTML}, english("status_partial")),
        (BOX, [], [ACCEPT], {"inject": False, "headers": HTML}, ""),
        (EVERYTHING, [ACCEPT, REFUSE], [MEDIA], {"headers": HTML}, english("why_refused")),
    ],
)
def test_kept_text_is_what_was_shown(
    surface: Surface, before: list[dict[str, Any]], later: list[dict[str, Any]], how: dict[str, Any], says: str
) -> None:
    clock, ledger = Clock(), MemoryLedger()
    options = {name: value for name, value in how.items() if name not in ("headers", "then")}
    visitor = Visitor(install(site(), **options, ledger=ledger, clock=clock), how.get("headers", JAPANESE))
    for answer in before:
        visitor.post(answer)
        clock.forward(days=2)
    if "then" in how:
        visitor.app = install(site(), how["then"], ledger=ledger, clock=clock)
    shown = visitor.get(surface.path, query=surface.query).text
    reader = Visitor(visitor.app, [field for field in visitor.headers if field[0] != "accept-language"])
    reader.jar = dict(visitor.jar)
    prevailing = reader.get(surface.path, query=surface.query.replace(b"language=ja", b"")).text
    form = form_of(shown, surface.name, surface.button)
    for answer in later:
        visitor.post(answer)
        clock.forward(days=1)
    visitor.send_form(form.pressed(surface.button))
    clock.forward(days=30)
    record = newest_record(ledger)
    assert record["surface"] == surface.name
    assert record["language"] == ("ja" if surface is JAPANESE_PAGE or "headers" not in how else "en")
    kept = run(explain(ledger, record))
    assert kept.html == surface.part(shown)
    assert kept.prevailing_html == surface.part(prevailing)
    assert says in kept.html
    assert dict(form.hidden)["once"] not in kept.html
    assert "⟦" not in kept.html


def test_kept_text_has_notice_of_changed_policy_and_mount_path() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), JAPANESE)
    root = f"/{'x' * 300}"
    where: dict[str, Any] = {"path": f"{root}{PREFIX}", "root_path": root}
    reply = visitor.send_form("choice=accept_all&policy=0000000000000000&surface=settings&language=ja", **where)
    assert reply.status == 409
    visitor.send_form(form_of(reply.text, "settings", "accept_all").pressed("accept_all"), **where)
    kept = run(explain(ledger, newest_record(ledger)))
    assert kept.html == without_form_ids(reply.text)
    assert english("error_policy_changed") in kept.prevailing_html
    assert f'action="{root}{PREFIX}"' in kept.html


def test_kept_text_of_card_says_what_was_shown_with_the_title_that_the_app_gave() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger, inject=False), HTML)
    shown = visitor.get("/card").text
    visitor.send_form(form_of(shown, "card", "grant").pressed("grant"))
    kept = run(explain(ledger, newest_record(ledger))).html
    said = re.findall(r"<p[^>]*>(.*?)</p>", shown)
    assert said == re.findall(r"<p[^>]*>(.*?)</p>", kept)
    assert said[0] == "<b>Where &lt;we&gt; are</b>"


@pytest.mark.parametrize("languages", [("he", "hu"), ("fa", "th"), ("zh-Hant", "ar")])
def test_kept_text_has_dates_in_format_of_each_language(languages: tuple[str, str]) -> None:
    clock, ledger = Clock(), MemoryLedger()
    app = ConsentMiddleware(site(), full_policy_in(*languages), KEY, ledger=ledger, clock=clock)
    visitor = Visitor(app, [("accept-language", languages[1])])
    visitor.accept()
    clock.forward(days=2)
    shown = visitor.get(PREFIX).text
    visitor.send_form(form_of(shown, "settings", "refuse_all").pressed("refuse_all"))
    kept = run(explain(ledger, newest_record(ledger)))
    assert kept.html == settings_in(shown)
    for text, tag in ((kept.prevailing_html, languages[0]), (kept.html, languages[1])):
        assert write_day(NOW, tag) in text
        assert write_day(NOW + 184 * 86_400, tag) in text


@pytest.mark.parametrize("notice", ["kept", "error_too_many", "x" * 9999, "<script>", "\0", "地図"])
def test_kept_text_ignores_unknown_notice(notice: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger))
    shown = visitor.get(PREFIX).text
    assert visitor.post({**ACCEPT, "surface": "settings", "notice": notice}).status == 200
    assert run(explain(ledger, newest_record(ledger))).html == without_form_ids(shown)


# What is not known is not kept.


@pytest.mark.parametrize(
    ("answered", "is_kept"),
    [
        *((malformed, True) for malformed in ("", "x", "-1", "1.5", "1e9", "٣", "9" * 11, " 0", "0 ", "\0")),
        *((unknown, False) for unknown in ("1", "1749999999", "1750000001", "9" * 10)),
        ("0", True),
        ("1750000000", True),
    ],
)
def test_answer_counts_whatever_answered_field_says(ledger: Ledger, answered: str, is_kept: bool) -> None:
    visitor = Visitor(install(ledger=ledger, clock=Clock()))
    visitor.accept()
    assert visitor.post({**REFUSE, "surface": "settings", "answered": answered}).status == 200
    record = newest_record(ledger)
    assert (record["event"], record["text"] is not None) == ("withdrawn", is_kept)


@pytest.mark.parametrize(("has_ledger", "first", "then"), [(True, REFUSE, MEDIA), (False, ACCEPT, REFUSE)])
def test_no_text_is_kept_of_a_page_that_showed_an_answer_without_record(
    has_ledger: bool, first: dict[str, Any], then: dict[str, Any]
) -> None:
    clock, ledger = Clock(), MemoryLedger()
    app = install(site(), ledger=ledger, clock=clock)
    visitor = Visitor(app if has_ledger else install(clock=clock), HTML)
    visitor.post(first)
    visitor.app = app
    clock.forward(days=1)
    form = form_of(visitor.get(PREFIX).text, "settings", "accept_all")
    visitor.post(then)
    clock.forward(days=1)
    visitor.send_form(form.pressed("accept_all"))
    record = newest_record(ledger)
    assert (record["surface"], record["text"]) == (None, None)


@pytest.mark.parametrize(
    ("sent", "surface"),
    [
        ({}, None),
        ({"surface": "letter"}, None),
        *(({"source": source}, None) for source in ("api", "banner", "settings", "feature")),
        ({"surface": "card", "card": "maps"}, None),
        ({"source": "api", "surface": "banner"}, "banner"),
        ({"source": "feature", "surface": "box", "feature": "map"}, "box"),
        ({"source": "feature", "surface": "box", "feature": "nothing"}, "box"),
        ({"source": "feature", "surface": "box"}, "box"),
        ({"source": "feature", "surface": "page", "feature": "map"}, "page"),
    ],
)
def test_text_is_kept_only_for_known_surfaces(sent: dict[str, str], surface: str | None) -> None:
    ledger = MemoryLedger()
    assert Visitor(install(ledger=ledger)).post({**ACCEPT, **sent}).status == 200
    record = newest_record(ledger)
    assert record["surface"] == surface
    assert (run(explain(ledger, record)) is None) == (surface is None)
    assert surface is None or surface in SURFACES
    assert record["feature"] == ("map" if sent.get("feature") == "map" else None)
