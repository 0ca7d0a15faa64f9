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
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from cookie_consent.decision.once_cookie import ONCE_LIFETIME
from cookie_consent.enforcement.cards import consent_card
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.visitors.pages.evidence import explain
from tests.support.asgi import PAGE, PREFIX, SITE, Clock, Fields, Reply, Visitor, call, install, policy, run
from tests.support.browsers.browser import Form, forms
from tests.support.policies import text_of

HTML = [("accept", "text/html")]
MAPS = "https://maps.example.com"
MAP = f'<iframe src="{MAPS}/embed" title="Map"></iframe>'
ONCE, SHOW_ONCE = "__Host-consent-once", f"{PREFIX}/show-once"
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


def once_form(page: Reply) -> Form:
    (form,) = (form for form in forms(page.text) if form.action.endswith("/show-once"))
    return form


def show_once(visitor: Visitor, path: str = "/offices", **changes: str) -> Reply:
    """Press "Show once" in the page at a path."""
    fields = {**dict(once_form(visitor.get(path)).hidden), **changes}
    return visitor.send_form(urlencode(fields), path=SHOW_ONCE)


def always_form(page: Reply) -> Form:
    return next(form for form in forms(page.text) if ("surface", "card") in form.hidden)


def without_templates(html: str) -> str:
    """Return what a browser loads from: all but what is inside a template."""
    return re.sub(r"<template.*?</template>", "", html, flags=re.DOTALL)


def is_shown(page: Reply) -> bool:
    return MAP in without_templates(page.text)


def words(html: str) -> str:
    """Return the text of a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


# The card.


def test_card_names_recipient_and_loads_nothing_of_it() -> None:
    page = visitor_of(card_app(), RICH).get("/offices")
    box = page.text[page.text.index("<section") : page.text.index("</section>")]
    said = words(box)
    for text in (
        "Maps Inc. is switched off",
        "If you show it, Maps Inc. receives: IP address. Country: United States",
        "What it uses it for Counts how often",
        "It needs your consent to: Maps and videos. You refused it.",
        "Show once Always allow Privacy settings Privacy policy of Maps Inc.",
    ):
        assert text in said
    assert "Films B.V." not in said
    loaded = re.findall(r'\b(?:src|srcset|data|poster|action)="([^"]*)"', without_templates(page.text))
    assert [address for address in loaded if not address.startswith("/")] == []
    assert f'<template data-purpose="media">{MAP}</template>' in page.text


def test_card_is_in_language_of_visitor() -> None:
    said = words(visitor_of(card_app(), RICH).get("/offices", [("accept-language", "ja")]).text)
    assert "表示すると、 Maps Inc. に次の情報が提供されます：IPアドレス。 所在国：アメリカ合衆国" in said
    assert "今回だけ表示 常に許可" in said


def test_card_of_feature_names_all_recipients_and_has_its_fallback() -> None:
    said = words(visitor_of(card_app("map"), RICH).get("/offices").text)
    assert "Map of offices is switched off No map without consent. If you show it, Maps Inc. receives" in said
    assert "If you show it, Films B.V. receives: Time of day." in said


def test_card_of_purpose_names_all_its_recipients() -> None:
    said = words(visitor_of(card_app("media"), RICH).get("/offices").text)
    assert "Maps and videos is switched off" in said
    assert "Films B.V. receives" in said


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
    assert len(set(ids[0])) == len(ids[0]) == 6
    assert set(ids[0]).isdisjoint(re.findall(r'\bid="([^"]*)"', visitor.get("/fragment").text))


def test_card_where_purpose_is_never_used_offers_nothing() -> None:
    visitor = visitor_of(card_app(), NEVER_MEDIA)
    page = visitor.get("/whois/x")
    assert words(page.text).count("This service does not use it, whatever you answer.") == 1
    assert [form.action for form in forms(page.text)] == []
    assert MAPS not in page.text
    # Nor by a form of another page.
    form = dict(once_form(visitor.get("/offices")).hidden)
    visitor.send_form(urlencode({**form, "next": "/whois/x"}), path=SHOW_ONCE)
    assert MAPS not in visitor.get("/whois/x").text


def test_card_of_feature_counts_its_fallback(visitor: Visitor) -> None:
    seen: list[Any] = []

    async def page(request: Request) -> Response:
        html = consent_card(request, "map", MAP)
        seen.append(request.state.consent.degraded)
        return HTMLResponse(html)

    visitor_of(Starlette(routes=[Route("/", page)])).get("/")
    assert seen == [{"map"}]


@pytest.mark.parametrize("options", [{}, {"settings_link": True}, {"shared_pages": True}])
@pytest.mark.parametrize(
    ("given", "sent"),
    [({}, "no-cache, private"), ({"cache-control": "max-age=600", "expires": "0"}, "no-cache, private"),
     ({"cache-control": "no-store"}, "no-store")],
)  # fmt: skip
def test_browsers_keep_no_page_with_card_without_asking(
    given: dict[str, str], sent: str, options: dict[str, Any]
) -> None:
    visitor = visitor_of(card_app(headers=given), **options)
    for _ in range(3):  # the first pages at an address take another way
        page = visitor.get("/offices")
        assert (page.all("cache-control"), page.all("expires")) == ([sent], [])
    visitor.accept()
    page = visitor.get("/offices")
    assert page.all("expires") == ([given["expires"]] if "expires" in given else [])


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


@pytest.mark.parametrize("card", ["maps", "map", "media"])
def test_ledger_keeps_text_of_card(card: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(card_app(card), RICH, ledger=ledger), HTML)
    visitor.send_form(always_form(visitor.get("/offices")).pressed("grant"))
    (record,) = visitor.get(f"{PREFIX}/export").json["consent_records"]
    assert (record["surface"], record["source"]) == ("card", "feature")
    assert record["feature"] == ("map" if card == "map" else None)
    shown = run(explain(ledger, record))
    assert "Maps Inc. receives: IP address. Country: United States" in words(shown.html)
    assert ("Films B.V." in shown.html) is (card != "maps")
    assert MAPS + "/embed" not in shown.html


def test_ledger_keeps_same_text_for_all_visitors() -> None:
    ledger, texts = MemoryLedger(), set()
    for _ in range(2):
        visitor = Visitor(install(card_app(), ledger=ledger), HTML)
        visitor.send_form(always_form(visitor.get("/offices")).pressed("grant"))
        texts.add(visitor.get(f"{PREFIX}/export").json["consent_records"][0]["text"])
    assert len(texts) == 1


# Show once.


def test_show_once_shows_content_on_one_page_view(visitor: Visitor) -> None:
    reply = show_once(visitor)
    address, _, place = reply.get("location").partition("#")
    assert (reply.status, address) == (303, "/offices")
    (line,) = reply.all("set-cookie")
    assert line.startswith(f"{ONCE}=maps.")
    assert line.endswith(f"; Max-Age={ONCE_LIFETIME.seconds}; Path=/; HttpOnly; SameSite=Lax; Secure")
    page = visitor.get("/offices")
    note = text_of(policy(), "en", "shown_once")
    assert (
        f'<p class="pchoice-shown" id="{place}" role="status" tabindex="-1" lang="en" dir="ltr">{note}</p>' in page.text
    )
    assert is_shown(page)
    # Neither a reload nor a cache shows it again.
    assert page.all("cache-control") == ["no-store"]
    assert ONCE not in visitor.jar
    again = visitor.get("/offices")
    assert not is_shown(again)
    assert again.all("cache-control") == ["no-cache, private"]


def test_show_once_is_no_answer_and_leaves_no_record() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(card_app(), ledger=ledger, clock=(clock := Clock())), HTML)
    visitor.accept()
    visitor.save(media=False, analytics=True)
    before, records = visitor.state(), len(list(ledger.links()))
    clock.forward(seconds=5)
    show_once(visitor)
    assert visitor.state() == before
    assert is_shown(visitor.get("/offices"))
    assert visitor.state() == before
    assert len(list(ledger.links())) == records


def test_visitor_who_has_not_answered_is_still_asked() -> None:
    visitor = Visitor(install(card_app()), HTML)
    show_once(visitor)
    page = visitor.get("/offices")
    assert is_shown(page)
    assert 'class="pchoice pchoice-corner pchoice-part"' in page.text
    assert visitor.state()["status"] == "unknown"


def test_show_once_counts_on_its_page_only(visitor: Visitor) -> None:
    show_once(visitor, "/offices")
    assert not is_shown(visitor.get("/elsewhere"))
    assert not is_shown(visitor.request("POST", "/offices"))
    assert is_shown(visitor.get("/offices"))


@pytest.mark.parametrize(
    ("path", "query"),
    [("/a b", b""), ("/事業所", b"q=%E4%BA%8B|"), ("/a%2Fb", b""), ("/x", b"next=/y#z"), ("/a?b", b"c?d")],
)
def test_show_once_works_on_any_address(visitor: Visitor, path: str, query: bytes) -> None:
    form = once_form(visitor.get(path, query=query))
    assert visitor.send_form(urlencode(form.hidden), path=SHOW_ONCE).status == 303
    assert is_shown(visitor.get(path, query=query))


def test_show_once_works_for_any_id() -> None:
    id_ = "m" * 100
    visitor = visitor_of(card_app(id_), RICH.replace('id = "maps"', f'id = "{id_}"'))
    assert show_once(visitor).status == 303
    assert MAP in without_templates(visitor.get("/offices").text)


def test_show_once_works_in_mounted_app() -> None:
    site = Starlette(routes=[Mount("/shop", install(card_app()))])
    visitor = Visitor(site, HTML)
    form = once_form(visitor.get("/shop/offices"))
    assert form.action == f"/shop{SHOW_ONCE}"
    reply = visitor.send_form(urlencode(form.hidden), path=form.action)
    assert reply.get("location").startswith("/shop/offices#")
    assert is_shown(visitor.get("/shop/offices"))


def test_show_once_works_over_http() -> None:
    visitor = Visitor(install(card_app()), HTML, scheme="http")
    show_once(visitor)
    assert visitor.jar.keys() == {"consent-once"}
    assert is_shown(visitor.get("/offices"))
    assert not visitor.jar


def test_show_once_works_where_other_pages_are_shared() -> None:
    visitor = visitor_of(card_app(headers={"cache-control": "public, max-age=600"}), shared_pages=True)
    assert visitor.get("/offices").all("cache-control") == ["no-cache, private"]
    show_once(visitor)
    page = visitor.get("/offices")
    assert is_shown(page)
    assert page.all("cache-control") == ["no-store"]
    assert not is_shown(visitor.get("/offices"))


def test_cookie_of_show_once_is_worth_nothing_after_a_minute() -> None:
    visitor = visitor_of(card_app(), clock=(clock := Clock()))
    show_once(visitor)
    jar = dict(visitor.jar)
    clock.forward(seconds=59)
    assert is_shown(visitor.get("/offices"))
    visitor.jar = jar
    clock.forward(seconds=1)
    assert not is_shown(visitor.get("/offices"))


@pytest.mark.parametrize(
    "change", [lambda token: token + "A", lambda token: token.replace("maps", "map"), lambda _: "maps"]
)
def test_forged_cookie_shows_nothing(visitor: Visitor, change: Any) -> None:
    show_once(visitor)
    visitor.jar[ONCE] = change(visitor.jar[ONCE])
    assert not is_shown(visitor.get("/offices"))


def test_cookie_of_show_once_of_another_card_shows_nothing() -> None:
    visitor = visitor_of(card_app("films"), RICH)
    show_once(visitor, card="maps")
    assert not is_shown(visitor.get("/offices"))


def test_card_of_earlier_policy_shows_nothing() -> None:
    """The recipient is gone from the policy between "Show once" and the page."""
    visitor = visitor_of(card_app("films"), RICH)
    show_once(visitor)
    visitor.app = install(card_app("maps"), SITE)
    assert not is_shown(visitor.get("/offices"))


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"card": "mapz"}, 400), ({"card": ""}, 400), ({"card": "x" * 3000}, 400), ({"card": "necessary"}, 400),
     ({"next": ""}, 400), ({"next": "//evil.example"}, 400), ({"next": "https://evil.example/"}, 400),
     ({"policy": "0" * 16}, 409), ({"more": "x" * 5000}, 413)],
)  # fmt: skip
def test_bad_form_shows_nothing(visitor: Visitor, fields: dict[str, str], status: int) -> None:
    reply = show_once(visitor, **fields)
    assert reply.status == status
    assert reply.all("set-cookie") == []
    assert reply.get("content-type").startswith("text/html")
    assert "evil" not in reply.text
    assert not is_shown(visitor.get("/offices"))


@pytest.mark.parametrize("body", [b"", b"card", b"card=maps&card=maps&next=/", b"\xff", b"card=%ff&next=/"])
def test_unreadable_form_is_refused(visitor: Visitor, body: bytes) -> None:
    assert visitor.send_form(body, path=SHOW_ONCE).status == 400


@pytest.mark.parametrize(
    "site",
    [[("sec-fetch-site", "cross-site")], [("sec-fetch-site", "same-site")], [("origin", "https://evil.example")], []],
)
def test_other_sites_cannot_show_content(visitor: Visitor, site: Fields) -> None:
    body = urlencode(once_form(visitor.get("/offices")).hidden).encode()
    fields = [("content-type", "application/x-www-form-urlencoded"), *site]
    reply = visitor.request("POST", SHOW_ONCE, fields, body)
    assert reply.status == 403
    assert ONCE not in visitor.jar


def test_show_once_is_a_post(visitor: Visitor) -> None:
    reply = visitor.get(SHOW_ONCE, query=b"card=maps&next=/offices")
    assert (reply.status, reply.get("allow")) == (405, "POST")


def test_settings_page_lists_cookie_of_show_once() -> None:
    listed = words(call(install(), path=PREFIX, headers=HTML).text)
    assert f"{ONCE} Set when you choose “Show once”, so that the next page shows the content once" in listed
    without = re.sub(r"\[\[recipients\]\].*?\n\n", "", SITE, flags=re.DOTALL)
    assert ONCE not in call(install(text=without), path=PREFIX, headers=HTML).text


# Under a Content-Security-Policy of ours.


def test_own_policy_lets_in_the_recipient_that_is_shown_once() -> None:
    visitor = visitor_of(card_app(), RICH, csp="enforce")
    show_once(visitor)
    policies = [visitor.get("/offices").get("content-security-policy") for _ in range(2)]
    assert [MAPS in policy for policy in policies] == [True, False]
    assert "films.example.com" not in policies[0]


@pytest.mark.parametrize(
    ("options", "reloads"),
    [({}, False), ({"csp": "enforce"}, True)],
)
def test_scripts_leave_card_to_its_forms_where_policy_limits_page(options: dict[str, Any], reloads: bool) -> None:
    """They would put the content into a page whose policy forbids it, and the browser would report that."""
    page = visitor_of(card_app(), RICH, **options).get("/offices").text
    assert ("data-reload" in page) is reloads
    assert ("data-purpose" not in page) is reloads
    assert (re.search(r'<form id="[^"]*-always"', page) is not None) is reloads


@pytest.mark.parametrize(
    ("fields", "offered"),
    [([], True), ([("hx-request", "true")], False), ([("turbo-frame", "f")], False),
     ([("hx-request", "true"), ("hx-boosted", "true")], True)],
)  # fmt: skip
def test_fragment_under_policy_of_ours_does_not_offer_what_it_cannot_do(fields: Fields, offered: bool) -> None:
    assert ("Show once" in visitor_of(card_app(), RICH, csp="enforce").get("/offices", fields).text) is offered
    assert "Show once" in visitor_of(card_app(), RICH).get("/offices", fields).text


def test_card_of_page_with_endless_address_offers_only_always(visitor: Visitor) -> None:
    page = visitor.get("/" + "x" * 3000).text
    assert "Show once" not in page
    assert "Always allow" in page
