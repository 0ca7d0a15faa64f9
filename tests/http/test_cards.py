"""Tests of cards: content of a recipient where it is allowed, and else who would receive what, to show once or always.

`tests/browser/test_cards.py` has the browser's side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from cookie_consent.http.features import consent_card
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.pages.evidence import explain
from tests.support.asgi import PAGE, PREFIX, SITE, Reply, Visitor, install, policy, run
from tests.support.browsers.browser import Form, forms
from tests.support.policies import text_of

HTML = [("accept", "text/html")]
MAPS = "https://maps.example.com"
MAP = f'<iframe src="{MAPS}/embed" title="Map"></iframe>'
RICH = SITE.replace(
    f'origins = ["{MAPS}"]',
    f'origins = ["{MAPS}"]\ndirectives = ["frame"]\ncountry = "US"\npolicy_url = "https://maps.example.com/privacy"\n'
    'use = { en = "Counts how often", ja = "回数を数えます" }',
).replace(
    "[features.map]",
    """[[recipients]]
id = "films"
name = "Films B.V."
purpose = "media"
origins = ["https://films.example.com"]
directives = ["frame"]
receives = { en = "Time of day", ja = "時刻" }

[features.map]""",
)
NEVER_MEDIA = SITE + "\n[services.whois.purposes.media]\nrefused = true\n"


def card_app(card: str = "maps", content: str = MAP, headers: Mapping[str, str] = {}, **options: Any) -> ASGIApp:
    """Return a site with the card at all paths, and its content twice at /twice."""

    async def page(request: Request) -> Response:
        times = 2 if request.url.path == "/twice" else 1
        cards = "".join(consent_card(request, card, content, **options) for _ in range(times))
        return HTMLResponse(PAGE.decode().replace("<h1>Hello</h1>", cards), headers=dict(headers))

    return Starlette(routes=[Route("/{path:path}", page, methods=["GET", "POST"])])


def visitor_of(app: ASGIApp, text: str = SITE, **options: Any) -> Visitor:
    """Return a visitor who has refused everything."""
    visitor = Visitor(install(app, text, **options), HTML)
    visitor.refuse()
    return visitor


@pytest.fixture
def visitor() -> Visitor:
    return visitor_of(card_app())


def always_form(page: Reply) -> Form:
    return next(form for form in forms(page.text) if ("surface", "card") in form.hidden)


def without_templates(html: str) -> str:
    """Return what a browser loads from: all but what is inside a template."""
    return re.sub(r"<template.*?</template>", "", html, flags=re.DOTALL)


def words(html: str) -> str:
    """Return the text of a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


# The card.


def test_card_names_recipient_and_loads_nothing_of_it() -> None:
    page = visitor_of(card_app(), RICH).get("/offices")
    box = page.text[page.text.index("<section") : page.text.index("</section>")]
    said = words(box)
    for text in (
        "Maps Inc. is switched off If you show it, Maps Inc. receives: IP address.",
        "Show once Always allow Data would go to Maps Inc. and Films B.V.",
        "Maps Inc. (IP address) Country: United States What it uses it for: Counts how often Films B.V.",
        "It needs your consent to: Maps and videos. You refused it. Privacy settings Privacy policy of Maps Inc.",
    ):
        assert text in said
    loaded = re.findall(r'\b(?:src|srcset|data|poster|action)="([^"]*)"', without_templates(page.text))
    assert [address for address in loaded if not address.startswith("/")] == []
    assert f'<template data-purpose="media">{MAP}</template>' in page.text


@pytest.mark.requirement("DG-04")
def test_card_is_in_language_of_visitor() -> None:
    said = words(visitor_of(card_app(), RICH).get("/offices", [("accept-language", "ja")]).text)
    assert "表示すると、 Maps Inc. に次の情報が提供されます：IPアドレス。" in said
    assert "今回だけ表示 常に許可" in said
    assert "所在国：アメリカ合衆国" in said


@pytest.mark.parametrize("card", ["maps", "map", "media"])
def test_card_names_each_recipient_of_what_it_asks_for(card: str) -> None:
    """Whatever it is about, "Always allow" grants its purposes, and so to all who receive data for them."""
    said = words(visitor_of(card_app(card), RICH).get("/offices").text)
    assert "If you show it, Maps Inc. receives: IP address." in said
    assert "Data would go to Maps Inc. and Films B.V." in said
    assert "Films B.V. (Time of day)" in said


def test_card_counts_many_recipients_and_names_each_unfolded() -> None:
    more = "".join(RICH[RICH.index("[[recipients]]\nid = \"films") : RICH.index("[features.map]")].replace(
        "films", id_).replace("Films", id_) for id_ in ("songs", "games"))  # fmt: skip
    page = visitor_of(card_app(), RICH.replace("[features.map]", f"{more}[features.map]")).get("/offices")
    summary, _, unfolded = page.text.partition("<summary>")[2].partition("</summary>")
    assert words(summary) == "4 third parties would receive data"
    names = re.findall(r"<bdi>([^<]*)</bdi>", unfolded.partition("</ul>")[0])
    assert names == ["Maps Inc.", "Films B.V.", "songs B.V.", "games B.V."]


def test_card_names_no_recipient_of_what_is_allowed_already() -> None:
    both = RICH.replace(
        'purpose = "media"\norigins = ["https://films', 'purpose = "analytics"\norigins = ["https://films'
    )
    both = both.replace('purposes = ["media"]', 'purposes = ["media", "analytics"]')
    visitor = visitor_of(card_app("map"), both)
    assert "Data would go to Maps Inc. and Films B.V." in words(visitor.get("/offices").text)
    visitor.save(analytics=True, media=False)
    assert "Films B.V." not in visitor.get("/offices").text


@pytest.mark.parametrize(
    ("content", "size"),
    [
        ('<iframe src="/x" width="560" height="315"></iframe>', 'width="560" height="315" viewBox="0 0 560 315"'),
        ("<img HEIGHT=90 WIDTH=120>", 'width="120" height="90" viewBox="0 0 120 90"'),
        ("<img height='90' width='100%'>", 'width="100%" height="90"'),
        ('<iframe width="560">', None),
        ('<p><iframe width="560" height="315"></iframe></p>', None),
        ('<img data-width="5" height="99999">', None),
        ("Words", None),
    ],
)
def test_card_takes_the_size_of_its_content(content: str, size: str | None) -> None:
    page = visitor_of(card_app(content=content)).get("/offices").text
    sizes = re.findall(r'<svg class="pchoice-size" (.*) aria-hidden="true"></svg>', page)
    assert sizes == ([size] if size else [])


def test_card_of_unknown_id_is_an_error() -> None:
    with pytest.raises(LookupError, match=r'no recipient, feature or purpose "mapz" for a card\. Did you mean "map"'):
        visitor_of(card_app("mapz")).get("/offices")


def test_title_and_preview_are_shown() -> None:
    page = visitor_of(card_app(title="Where <we> are", preview="/static/map.png?v=1&w=2")).get("/offices")
    assert "Where &lt;we&gt; are" in page.text
    assert '<img class="pchoice-preview" src="/static/map.png?v=1&amp;w=2" alt="">' in page.text


@pytest.mark.parametrize(
    "preview",
    [f"{MAPS}/map.png", "//maps.example.com/map.png", "/\\maps.example.com/map.png", "map.png", "data:image/png,",
     "/a b",
     "https://site.example.evil/map.png", "https://site.example//maps.example.com/map.png"],
)  # fmt: skip
@pytest.mark.parametrize("granted", [False, True])
def test_preview_of_another_site_is_an_error(preview: str, granted: bool) -> None:
    visitor = visitor_of(card_app(preview=preview))
    if granted:
        visitor.accept()
    with pytest.raises(ValueError, match="a card loads nothing from other sites"):
        visitor.get("/offices")


@pytest.mark.parametrize("preview", ["http://SITE.example/static/map.png", URL("https://site.example/static/map.png")])
def test_preview_by_address_of_this_site_is_written_as_path(preview: Any) -> None:
    assert '<img class="pchoice-preview" src="/static/map.png"' in visitor_of(card_app(preview=preview)).get("/").text


@pytest.mark.parametrize("content", ["</template><img src=//evil>", "<template>", "</TEMPLATE x><template>"])
def test_content_that_would_leave_its_template_is_an_error(content: str) -> None:
    with pytest.raises(ValueError, match="without the other tag"):
        visitor_of(card_app(content=content)).get("/offices")


def test_content_may_have_templates() -> None:
    content = "<template><p>1</p></template><b>2</b>"
    page = visitor_of(card_app(content=content)).get("/offices")
    assert f'<template data-purpose="media">{content}</template>' in page.text


def test_granted_content_is_printed_plainly(visitor: Visitor) -> None:
    visitor.accept()
    page = visitor.get("/offices")
    assert f"<body>{MAP}</body>" in page.text
    assert page.get("vary").startswith("Cookie")


def test_two_cards_have_ids_of_their_own_that_stay(visitor: Visitor) -> None:
    ids = [re.findall(r'\bid="([^"]*)"', visitor.get("/twice").text) for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0]) == 4
    assert set(ids[0]).isdisjoint(re.findall(r'\bid="([^"]*)"', visitor.get("/fragment").text))


def test_card_where_purpose_is_never_used_offers_nothing() -> None:
    visitor = visitor_of(card_app(), NEVER_MEDIA)
    page = visitor.get("/whois/x")
    assert words(page.text).count("This service does not use it, whatever you answer.") == 1
    assert [form.action for form in forms(page.text)] == []
    assert MAPS not in page.text


def test_card_of_what_a_signal_refuses_is_shown_once_alone() -> None:
    page = Visitor(install(card_app()), HTML).get("/offices", [("sec-gpc", "1")]).text
    assert page.count(">Show once</button>") == 1
    assert page.count(f'<template data-purpose="media">{MAP}</template>') == 1
    assert "Always allow" not in page


def test_card_of_feature_counts_its_fallback(visitor: Visitor) -> None:
    seen: list[Any] = []

    async def page(request: Request) -> Response:
        html = consent_card(request, "map", MAP)
        seen.append(request.state.consent.degraded)
        return HTMLResponse(html)

    visitor_of(Starlette(routes=[Route("/", page)])).get("/")
    assert seen == [{"map"}]


# Always allow.


def test_always_allow_is_an_answer_and_leads_back_to_the_content(visitor: Visitor) -> None:
    form = always_form(visitor.get("/offices", query=b"a=1"))
    reply = visitor.send_form(form.pressed("grant"))
    address, _, place = reply.get("location").partition("#")
    assert (reply.status, address) == (303, "/offices?a=1")
    page = visitor.get("/offices", query=b"a=1")
    assert f'<span id="{place}"></span>{MAP}' in page.text
    assert text_of(policy(), "en", "kept") in page.text
    assert f"<body>{MAP}</body>" in visitor.get("/offices", query=b"a=1").text
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "media": True}


def test_always_allow_says_if_the_browser_kept_no_cookie(visitor: Visitor) -> None:
    place = dict(always_form(visitor.get("/offices")).hidden)["next"].partition("#")[2]
    assert f'<p class="pchoice-blocked" id="{place}" hidden>' in visitor.get("/offices").text


def text_kept_of(visitor: Visitor, ledger: MemoryLedger, **changed: str) -> str | None:
    """Send the answer of the card at /offices, with fields of its form changed, and return the words that are kept."""
    form = always_form(visitor.get("/offices"))
    fields = [(name, changed.get(name, value)) for name, value in form.hidden]
    visitor.send_form(urlencode([*fields, ("choice", "grant")]))
    shown = run(explain(ledger, visitor.get(f"{PREFIX}/export").json["consent_records"][-1]))
    return words(shown.html) if shown else None


@pytest.mark.parametrize("csp", [None, "enforce"])
@pytest.mark.parametrize("title", ["", "Where <we> are, on a “map”"])
@pytest.mark.parametrize("card", ["maps", "map", "media"])
def test_ledger_keeps_card_word_for_word(card: str, title: str, csp: Any) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(card_app(card, title=title), RICH, ledger=ledger, csp=csp, inject=False), HTML)
    page = visitor.get("/offices").text
    read = words(page[page.index("<section") : page.index("</section>")])
    kept = text_kept_of(visitor, ledger)
    assert kept == read
    assert (words(title.replace("<", "&lt;").replace(">", "&gt;")) or "is switched off") in kept


@pytest.mark.parametrize("forged", ["", "maps", "maps 0 Free money", "map 0 .AA.abc"])
def test_title_that_a_visitor_makes_up_is_not_kept_as_shown(forged: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(card_app(title="Offices"), RICH, ledger=ledger), HTML)
    assert text_kept_of(visitor, ledger, card=forged) is None
    assert visitor.state()["purposes"]["media"] is True


# Show once.


def test_show_once_is_a_button_for_the_script_alone(visitor: Visitor) -> None:
    page = visitor.get("/offices").text
    note = text_of(policy(), "en", "shown_once")
    button = f'<button type="button" class="pchoice-button pchoice-once" data-shown="{note}">Show once</button>'
    assert f'<template class="pchoice-offer">{button}</template>' in page


def test_page_with_card_is_private_where_other_pages_are_shared() -> None:
    visitor = visitor_of(card_app(headers={"cache-control": "public, max-age=600"}), shared_pages=True)
    page = visitor.get("/offices")
    assert "private" in page.get("cache-control")
    assert page.get("vary").startswith("Cookie")


# Under a Content-Security-Policy of ours.


@pytest.mark.parametrize(
    ("options", "reloads"),
    [({}, False), ({"csp": "enforce"}, True)],
)
def test_scripts_leave_card_to_its_forms_where_policy_limits_page(options: dict[str, Any], reloads: bool) -> None:
    """They would put the content into a page whose policy forbids it, and the browser would report that."""
    page = visitor_of(card_app(), RICH, **options).get("/offices").text
    assert ("Show once" not in page) is reloads
    assert ("data-purpose" not in page) is reloads
    assert (re.search(r'<form id="[^"]*-always"', page) is not None) is reloads
