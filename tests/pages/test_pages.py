"""Tests of the HTML of pages, banner, boxes and the settings link, made from a policy and a decision."""

from __future__ import annotations

import html as html_module
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import html5lib
import pytest
from markupsafe import escape

from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.own_cookies import HTTP, HTTPS
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.endpoints.settings import list_own_cookies
from cookie_consent.pages.assets import assets
from cookie_consent.pages.context import QuestionOptions, list_values
from cookie_consent.pages.pages import LAYOUTS, Layout, Pages
from cookie_consent.policy.diff import digests
from cookie_consent.policy.parts import Authority, Cookie
from cookie_consent.policy.policy import Policy, card_of
from cookie_consent.sinks import MemorySink
from cookie_consent.texts import catalog
from tests.support.asgi import install
from tests.support.policies import full_policy_data, full_policy_in, policy_of, text_of

BASE = "/mounted/privacy-choices"
NOW = 1_780_000_000  # 2026-05-28, UTC
EMPTY = {"area", "br", "input", "link", "meta"}


class Outline(HTMLParser):
    """The elements of a page outside templates: the name, the attributes, and the text directly in the element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._inert = 0
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[list[str]] = [[]]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        words: list[str] = []
        if not self._inert:
            self.elements.append((tag, {name: value or "" for name, value in attrs}, words))
        self._inert += tag == "template"
        if tag not in EMPTY:
            self._open.append(words)

    def handle_endtag(self, tag: str) -> None:
        self._inert -= tag == "template"
        if tag not in EMPTY:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        found = ((attrs, words) for name, attrs, words in self.elements if name == tag)
        return [
            {**attrs, "text": "".join(words).strip()}
            for attrs, words in found
            if all(attrs.get(key) == value for key, value in wanted.items())
        ]

    def one(self, tag: str, **wanted: str) -> dict[str, str]:
        (found,) = self.all(tag, **wanted)
        return found


@pytest.fixture
def policy() -> Policy:
    return policy_of(full_policy_data())


@pytest.fixture
def pages() -> Pages:
    return Pages()


def answered(policy: Policy, **answers: State) -> ConsentRecord:
    facts = digests(policy)
    return ConsentRecord(
        answers={purpose: Answer(state, facts[purpose]) for purpose, state in answers.items()},
        policy=policy.version,
        decided_at=NOW - 86_400,
        source="banner",
        language="en",
    )


def decision(policy: Policy, record: ConsentRecord | None = None, *signals: str) -> Decision:
    return decide(policy, record, frozenset(signals), NOW)


def banner(
    policy: Policy, record: ConsentRecord | None = None, *signals: str, layout: Layout = "corner", **more: Any
) -> str:
    settings = {"base": BASE, "language": "en", "next_path": "/a?b=1", "encoding": "utf-8", **more}
    return Pages(layout=layout).banner(decision(policy, record, *signals), **settings).decode(settings["encoding"])


def reopened_banner(policy: Policy, record: ConsentRecord | None = None, **more: Any) -> str:
    return banner(policy, record, options=QuestionOptions(again=True), **more)


def settings_link(policy: Policy, record: ConsentRecord | None = None, *signals: str, **more: Any) -> str:
    given = {"base": BASE, "language": "en", "next_path": "/a?b=1", "encoding": "utf-8", **more}
    made = decision(policy, record, *signals)
    marked = Pages().mark_footer(made, **given)
    return (marked % list_values(made, BASE, given["next_path"])).decode(given["encoding"])


def settings(policy: Policy, record: ConsentRecord | None = None, *signals: str, **more: Any) -> str:
    return Pages().settings(decision(policy, record, *signals), **{"base": BASE, "language": "en", **more})


def unavailable(policy: Policy, record: ConsentRecord | None = None, *signals: str, **more: Any) -> str:
    given = {
        "base": BASE,
        "language": "en",
        "next_path": "/map",
        "missing": ("media",),
        "feature": policy.features[0],
        **more,
    }
    return Pages().unavailable(decision(policy, record, *signals), **given)


def box(policy: Policy, record: ConsentRecord | None = None, **more: Any) -> str:
    given = {"base": BASE, "language": "en", "next_path": "/map", "feature": policy.features[0], **more}
    return Pages().box(decision(policy, record), **given)


def message(policy: Policy, **more: Any) -> str:
    given = {"base": BASE, "language": "en", "title": "error_title", "text": "error_malformed", **more}
    return Pages().page("message.html", decision(policy), **given)


def whole_pages(policy: Policy, **more: Any) -> dict[str, str]:
    return {
        "settings": settings(policy, **more),
        "unavailable": unavailable(policy, **more),
        "message": message(policy, **more),
    }


def all_pages(policy: Policy, **more: Any) -> dict[str, str]:
    return {
        **whole_pages(policy, **more),
        "banner": banner(policy, **more),
        "again": reopened_banner(policy, **more),
        "modal": banner(policy, layout="modal", **more),
        "box": box(policy, **more),
        "link": settings_link(policy, **more),
    }


def fields(outline: Outline) -> Mapping[str, str]:
    return {field["name"]: field["value"] for field in outline.all("input", type="hidden")}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_page_is_valid_html(policy: Policy, language: str) -> None:
    parser = html5lib.HTMLParser(strict=True)
    record = answered(policy, analytics=State.GRANTED, media=State.REFUSED)
    for html in whole_pages(policy, language=language, next_path="/back").values():
        parser.parse(html)
    parser.parse(settings(policy, record, "gpc", language=language, notice="erased_not_proof"))
    fragments = [
        *(banner(policy, None, "gpc", language=language, layout=layout) for layout in LAYOUTS),
        *(reopened_banner(policy, record, language=language), box(policy, language=language)),
        settings_link(policy, language=language),
    ]
    for html in fragments:
        # HTML allows a stylesheet in the body ("body-ok"), and so does the parser.
        parser.parse(f"<!doctype html><html><head><title>-</title></head><body>{html}</body></html>")


@pytest.mark.requirement("AX-09")
@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_page_names_its_language_and_direction(policy: Policy, language: str) -> None:
    for html in whole_pages(policy, language=language).values():
        assert Outline(html).one("html", lang=language, dir="ltr")
    for html in (banner(policy, language=language), box(policy, language=language)):
        assert Outline(html).one("section", lang=language, dir="ltr")
    assert Outline(banner(policy, language=language, layout="modal")).one("dialog", lang=language, dir="ltr")
    assert Outline(settings_link(policy, language=language)).one("div", lang=language, dir="ltr")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_no_placeholder_is_left_in_pages(policy: Policy, language: str) -> None:
    record = answered(policy, analytics=State.GRANTED, media=State.REFUSED)
    here = policy.under(policy.services[0])
    more = [settings(policy, record, "gpc", "dnt", language=language), banner(here, None, "dnt", language=language)]
    for html in (*all_pages(policy, language=language).values(), *more):
        assert not re.search(r"\{\w+\}", re.sub(r'data-state="[^"]*"', "", html))


@pytest.mark.requirement("CSP-01")
def test_pages_have_no_inline_script_or_style(policy: Policy) -> None:
    for html in all_pages(policy).values():
        outline = Outline(html)
        for tag, attrs, words in outline.elements:
            assert tag != "style"
            assert not [name for name in attrs if name == "style" or name.startswith("on")]
            assert not any(value.lower().startswith("javascript:") for value in attrs.values())
            if tag == "script":
                assert attrs["src"].startswith(f"{BASE}/assets/")
                assert attrs["type"] == "module"
                assert not words


def test_hostile_policy_texts_are_escaped(policy: Policy) -> None:
    evil = "\"'><script>alert(1)</script>{site}"
    both = {"en": evil, "ja": evil}
    hostile = replace(
        policy,
        site=replace(
            policy.site,
            name=evil,
            controller=evil,
            contact=f"javascript:{evil}",
            authority=Authority(name=both, url=f"https://authority.example/{evil}"),
        ),
        purposes=tuple(
            replace(purpose, title=both, description=both, data=both, legal_basis=both) for purpose in policy.purposes
        ),
        recipients=tuple(replace(part, name=evil, receives=both, use=both) for part in policy.recipients),
        features=tuple(replace(feature, title=both, fallback=both) for feature in policy.features),
        services=tuple(replace(service, title=both) for service in policy.services),
        changes=tuple(replace(change, text=both) for change in policy.changes),
        wording={"en": {"refuse_all": evil, "kept": evil, "status_unknown": f"{evil} {{}} {{0}}"}},
    )
    for html in all_pages(hostile, next_path='/"><script>alert(2)</script>').values():
        assert "<script>" not in html
        assert all(script["src"].startswith(BASE) for script in Outline(html).all("script"))
        assert not any(a["href"].startswith("javascript:") for a in Outline(html).all("a"))


def test_next_path_is_escaped(policy: Policy) -> None:
    path = '/a "quoted" <b>?c=1&d=é'
    outline = Outline(banner(policy, next_path=path))
    assert fields(outline)["next"] == f"{path}#pchoice"
    address = f"{BASE}?language=en&next=/a%20%22quoted%22%20%3Cb%3E%3Fc%3D1%26d%3D%C3%A9"
    assert outline.one("a", href=address)["text"] == "Privacy settings"


def test_each_form_has_hidden_fields_of_its_surface(policy: Policy) -> None:
    common = {"policy": policy.version, "language": "en", "once": "", "answered": "0"}
    asked = {**common, "source": "banner", "surface": "banner", "next": "/a?b=1#pchoice"}
    assert fields(Outline(banner(policy))) == {**asked, "first": "", "asked": "analytics media"}
    assert fields(Outline(reopened_banner(policy))) == {**asked, "source": "settings", "surface": "again"}
    set_here = {**common, "source": "settings", "surface": "settings"}
    here = f"{BASE}?language=en"
    assert fields(Outline(settings(policy, next_path="/a"))) == {**set_here, "next": f"{here}&next=/a#pchoice"}
    assert fields(Outline(settings(policy, next_path="/a#b"))) == {**set_here, "next": f"{here}&next=/a%23b#pchoice"}
    assert fields(Outline(settings(policy))) == {**set_here, "next": f"{here}#pchoice"}
    needed = {**common, "source": "feature", "feature": "map", "purpose": "media", "next": "/map#pchoice-off-map"}
    assert fields(Outline(box(policy))) == {**needed, "surface": "box"}
    assert fields(Outline(unavailable(policy))) == {**needed, "surface": "page"}
    del needed["feature"]
    unnamed = {**needed, "surface": "page", "next": "/map#pchoice-off"}
    assert fields(Outline(unavailable(policy, feature=None))) == unnamed
    for html in (banner(policy), box(policy), unavailable(policy)):
        assert Outline(html).one("form", method="post", action=BASE)


@pytest.mark.requirement("UI-02")
@pytest.mark.parametrize("language", ["en", "ja"])
def test_refuse_button_comes_first_and_looks_like_accept_button(policy: Policy, language: str) -> None:
    for html in (banner(policy, language=language), settings(policy, language=language)):
        outline = Outline(html)
        refuse, accept = outline.one("button", value="refuse_all"), outline.one("button", value="accept_all")
        assert refuse["text"] == text_of(policy, language, "refuse_all")
        assert accept["text"] == text_of(policy, language, "accept_all")
        same = {"name", "type", "class"}
        assert {key: refuse[key] for key in same} == {key: accept[key] for key in same}
        assert refuse.keys() == accept.keys()
        assert html.index('"refuse_all"') < html.index('"accept_all"')


@pytest.mark.requirement("UI-05")
def test_no_purpose_is_ticked_before_answer(policy: Policy) -> None:
    for html in (banner(policy), settings(policy)):
        boxes = Outline(html).all("input", type="checkbox")
        assert [box["value"] for box in boxes] == ["analytics", "media"]
        assert not any("checked" in box for box in boxes)


def test_banner_has_state_messages_and_assets_for_script(policy: Policy) -> None:
    section = Outline(banner(policy)).one("section")
    assert json.loads(section["data-state"]) == {"necessary": True, "analytics": False, "media": False}
    assert Outline(banner(policy)).one("h2", id=section["aria-labelledby"])["text"] == "Cookies on"
    assert section["data-style"] == f"{BASE}/assets/{assets()['choices.css'].name}"
    for html in (banner(policy, layout="modal"), box(policy)):
        spoken = Outline(html).all("section") or Outline(html).all("dialog")
        assert {key: spoken[0][f"data-{key}"] for key in MESSAGES} == MESSAGES


MESSAGES = {
    "granted": "Your choice is saved. You accepted all purposes.",
    "refused": "Your choice is saved. You refused all purposes that are not strictly necessary.",
    "partial": "Your choice is saved. You accepted some of the purposes.",
    "opted_out": "Your choice is saved. You refused some of the purposes, and have not answered for the others.",
    "necessary": "Your choice is saved. Only what is strictly necessary is allowed.",
    "failed": "Your choice could not be saved. Please check the connection and try again.",
    "rejected": "Your choice was not accepted. Please reload the page and answer again.",
    "unavailable": "This is not possible just now. Nothing new has been allowed; please try again later.",
    "changed": "The policy has changed since this question was shown, so your choice was not saved. "
    "Answer again to see the new question.",
    "blocked": "Your browser saves no cookies. That counts as a refusal; some functions stay switched off.",
}
"""The messages of the script, by the outcome of an answer."""


def test_each_checkbox_is_described_by_its_purpose(policy: Policy) -> None:
    outline = Outline(banner(policy))
    for field, description in zip(
        outline.all("input", type="checkbox"), ("We count visits.", "We show maps and videos."), strict=True
    ):
        assert outline.one("p", id=field["aria-describedby"])["text"] == description


# What is stored without a cookie.


def test_settings_page_brings_a_script_only_to_clear_what_was_refused(policy: Policy) -> None:
    kept = Cookie(name="seen of *", purpose="media", kind="storage")
    stored = replace(policy, cookies=(*policy.cookies, kept))
    refused = answered(stored, analytics=State.GRANTED, media=State.REFUSED)
    (tag,) = re.findall(r"<script[^>]*>", settings(stored, refused))
    assert "seen\\\\ of\\\\ .*" in html_module.unescape(tag)
    assert "<script" not in settings(stored)
    assert "<script" not in settings(stored, answered(stored, analytics=State.REFUSED, media=State.GRANTED))
    assert "<script" not in settings(policy, answered(policy, analytics=State.REFUSED, media=State.REFUSED))


# Recipients.


@pytest.mark.requirement("EU-03")
@pytest.mark.parametrize("language", ["en", "ja"])
def test_question_says_that_the_answer_can_be_changed(policy: Policy, language: str) -> None:
    said, _, rest = text_of(policy, language, "banner_withdraw").partition("{settings}")
    html = banner(policy, language=language)
    assert said in html
    assert rest in html.partition(said)[2]


def test_banner_names_one_recipient_and_counts_several_with_link_to_their_list(policy: Policy) -> None:
    def link(*named: tuple[str, str, str]) -> str:
        maps = policy.recipients[0]
        others = tuple(replace(maps, id=id_, name=name, purpose=purpose) for id_, name, purpose in named)
        html = banner(replace(policy, recipients=(maps, *others)))
        address = f"{BASE}?language=en&amp;next=/a%3Fb%3D1#pchoice-recipients"
        (found,) = re.findall(rf'<a href="{re.escape(address)}"[^>]*>(.*?)</a>', html)
        return re.sub("</?bdi>", "", found)

    assert link() == "Example Maps Inc."
    # A recipient for two purposes comes once, and a recipient for necessary does not come.
    again, host = ("statistics", "Example Maps Inc.", "analytics"), ("host", "Host Ltd.", "necessary")
    assert link(again, host) == "Example Maps Inc."
    assert link(("a", "A & B", "analytics")) == "2 third parties would receive data"


# Further facts of purposes, and of the policy.


def facts(html: str) -> list[tuple[str, str]]:
    """Return the rows of the lists of facts about purposes: term, text."""
    return re.findall(r"<dt>([^<]+)</dt>\n<dd>([^<\n]+)</dd>", html.partition('id="pchoice-recipients"')[0])


def test_own_cookies_are_described(policy: Policy) -> None:
    site = install(access_log=MemorySink())._site
    for place in (HTTPS, HTTP):
        ours = list_own_cookies(site, policy, BASE, place)
        assert len(ours) == 5
        for language in policy.site.languages:
            html = settings(policy, own_cookies=ours, language=language)
            described = [html.count(f"<code>{cookie.name}</code><br>{cookie.description[language]}") for cookie in ours]
            assert described == [1] * 5


# Nonces.


@pytest.mark.parametrize("nonce", ["", "abc=", '"><b>'])
def test_box_tags_carry_nonce_set_by_app(policy: Policy, nonce: str) -> None:
    outline = Outline(box(policy, nonce=nonce))
    for tag in (outline.one("script"), *outline.all("link")):
        assert tag.get("nonce", "") == nonce
        assert ("nonce" in tag) is bool(nonce)


# Blocked cookies.


def test_page_before_answer_contains_blocked_cookies_message(policy: Policy) -> None:
    expected = text_of(policy, "en", "cookies_blocked")
    for html in (banner(policy), settings(policy)):
        assert Outline(html).one("p", id="pchoice", **{"class": "pchoice-blocked"})["text"] == expected
    answer = answered(policy, media=State.REFUSED, analytics=State.REFUSED)
    assert expected not in settings(policy, answer)


def test_marks_get_the_values_of_each_page(policy: Policy, pages: Pages) -> None:
    where: dict[str, Any] = {"base": BASE, "language": "en", "encoding": "utf-8", "options": QuestionOptions()}
    made = decision(policy)
    marked = pages.mark_banner(made, next_path="/a", **where)
    assert marked == pages.mark_banner(made, next_path="/b?c=&d", **where)
    html = marked % list_values(made, BASE, "/b?c=&d", form_id="one", first=True)
    for text in (b'value="/b?c=&amp;d#', b"next=/b%3Fc%3D%26d", b'value="one"', b'name="first" value="1"'):
        assert text in html
    assert b"\0" not in html


def test_characters_outside_encoding_become_references(policy: Policy) -> None:
    plain = banner(policy, language="ja", encoding="ascii")
    assert plain.isascii()
    assert html_module.unescape(plain) == html_module.unescape(banner(policy, language="ja"))


@pytest.mark.requirement("PO-07")
def test_policy_changes_are_listed_newest_first(policy: Policy) -> None:
    (change,) = policy.changes
    earlier, later = replace(change, date=date(2026, 3, 1)), replace(change, date=date(2026, 5, 20))
    html = settings(replace(policy, changes=(earlier, later)))
    assert [time["datetime"] for time in Outline(html).all("time")][-2:] == ["2026-05-20", "2026-03-01"]
    assert "Nothing so far." in settings(replace(policy, changes=()))


def test_message_page_shows_text_and_links_to_settings(policy: Policy) -> None:
    outline = Outline(message(policy, next_path="/x"))
    title = text_of(policy, "en", "error_title")
    assert outline.one("h1")["text"] == title
    assert outline.one("title")["text"] == f"{title} - Example Registry"
    assert outline.one("p", role="alert")["text"] == text_of(policy, "en", "error_malformed")
    assert outline.one("a", href=f"{BASE}?language=en&next=/x")


@pytest.mark.slow
def test_every_shipped_text_is_used() -> None:
    package = Path(catalog.__file__).parents[1]
    sources = [*package.rglob("*.py"), *package.rglob("*.html")]
    used = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    made = re.compile(
        r"status_|link_|signal_|why_|event_|given_|request_(see|correct|erase|complain)$|(day|hour|minute|second)s?$"
    )
    assert [key for key in sorted(catalog.names()) if f'"{key}"' not in used and not made.match(key)] == []


REFUSED = {"media": State.REFUSED, "analytics": State.GRANTED}
REFUSED_ALL = {"media": State.REFUSED, "analytics": State.REFUSED}
STALE = {"media": State.GRANTED, "analytics": State.UNANSWERED}


@pytest.mark.parametrize(
    ("states", "signals", "missing", "why"),
    [
        ({}, [], "media", "why_unanswered"),
        (REFUSED, [], "media", "why_refused"),
        (REFUSED_ALL, ["gpc"], "media", "why_refused"),
        (REFUSED, ["gpc"], "media", "why_gpc"),
        ({}, ["dnt", "gpc"], "media", "why_gpc"),
        ({}, ["dnt"], "analytics", "why_dnt"),
        (STALE, [], "media", "why_changed"),
        (STALE, [], "analytics", "why_unanswered"),
    ],
)
def test_explaining_page_says_why_feature_is_off(
    policy: Policy, states: dict[str, State], signals: list[str], missing: str, why: str
) -> None:
    record = answered(policy, **states) if states else None
    if record is not None and states is STALE:
        answers = {purpose: Answer(answer.state, "older") for purpose, answer in record.answers.items()}
        record = replace(record, answers=answers, policy="an older one")
    assert text_of(policy, "en", why) in unavailable(policy, record, *signals, missing=(missing,))


# What the pages say of a policy.

Change = Callable[[Policy], Policy]


def unchanged(policy: Policy) -> Policy:
    return policy


def site_with(**changes: Any) -> Change:
    return lambda policy: replace(policy, site=replace(policy.site, **changes))


def recipient_with(**changes: Any) -> Change:
    return lambda policy: replace(policy, recipients=(replace(policy.recipients[0], **changes),))


def without_recipients(**changes: Any) -> Change:
    return lambda policy: site_with(**changes)(replace(policy, recipients=()))


def service(number: int) -> Change:
    return lambda policy: policy.under(policy.services[number])


def without_retention(policy: Policy) -> Policy:
    purposes = tuple(replace(purpose, retention=None) for purpose in policy.purposes)
    return replace(policy, purposes=purposes, services=())


def storing(policy: Policy) -> Policy:
    return replace(policy, cookies=(*policy.cookies, Cookie(name="seen of *", purpose="media", kind="storage")))


def card(policy: Policy, **more: Any) -> str:
    where = {"base": BASE, "language": "en", "next_path": "", **more}
    return Pages().card(decision(policy), card=card_of(policy, "example-maps"), **where)


def transmission(policy: Policy, **more: Any) -> str:
    return Pages().page("transmission.html", decision(policy), **{"base": BASE, "language": "en", **more})


JAPANESE = {"language": "ja"}
NOBODY = "No third party receives data for purposes of its own."
SAFEGUARD = "Safeguard of the transfer: Standard clauses"
ARABIC = full_policy_in("ar")
IN_ARABIC = f"<bdi>{escape(ARABIC.site.controller)}</bdi>"
REQUIRED = [
    *("Access tracing", "We count visits.", "Kept for 395 days.", "_ga*", "example.jp", "/videos", "IP address"),
    *("Example Maps Inc.", "https://maps.example.com", "Not available without it", "Map of offices", "this site"),
    *("until the browser is closed", "Keeps you signed in.", "<bdi>Example Registry Co., Ltd.</bdi> answers"),
    *("Whois", "shop.example.jp", "Never used there: Maps and videos.", "Maps were added.", "Country: United States"),
    *("You have not answered yet.", "Always on</p>", "<bdi>Commission</bdi>"),
    *(f'href="{address}"' for address in ("https://example.jp/privacy", "/whois/terms", "mailto:privacy@example.jp")),
    *(f'href="{address}"' for address in (f"{BASE}/export", f"{BASE}/policy", "https://maps.example.com/privacy")),
    'Data protection officer: <a href="mailto:officer@example.jp"><bdi>officer@example.jp</bdi></a>',
    *("<dd>Your consent</dd>", "<dd>Address of your device</dd>", "<dd>Consent (GDPR Art. 6(1)(a))</dd>", SAFEGUARD),
    'data-label="What it uses it for">Counts how often maps are shown.</td>',
    'Last updated on <time datetime="2026-11-25">November 25, 2026</time>.',
    'href="https://authority.example/complaints"',
]
REQUIRED_IN_JAPANESE = [
    *(
        "アクセス履歴の追跡",
        "訪問を数えます。",
        "保存期間：395日",
        "IPアドレス",
        "同意がないと利用できない機能",
        "常に有効",
    ),
    *(
        "事務所の地図",
        "ブラウザーを閉じるまで",
        "このサイト",
        "ログインを保ちます。",
        "Whois検索",
        "地図を加えました。",
    ),
    *(
        "まだ回答されていません。",
        "所在国：アメリカ合衆国",
        "地図の表示回数を数えます。",
        "移転の保護措置：標準契約条項",
    ),
    *("データ保護責任者：", "ご本人の同意", "<bdi>委員会</bdi>"),
]
ASKED = [
    *("Cookies on <bdi>Example Registry</bdi></h2>", "May <bdi>Example Registry Co., Ltd.</bdi> use cookies"),
    *("similar data for <b>Access tracing</b> and <b>Maps and videos</b>?", "Change this any time in <a "),
    *("Off if you refuse: Map of offices.", "Data would go to", "><bdi>Example Maps Inc.</bdi></a>"),
    *(">Privacy settings</a>.</p>", 'href="https://example.jp/privacy"'),
]
SHOP = "This service does not use it, whatever you answer."


@pytest.mark.requirement("EU-04", "EU-05", "UI-16")
@pytest.mark.parametrize(
    ("page", "change", "more", "says", "says_not"),
    [
        (settings, unchanged, {}, REQUIRED, ["Global Privacy Control", "browser storage", NOBODY]),
        (settings, unchanged, JAPANESE, REQUIRED_IN_JAPANESE, []),
        (settings, without_recipients(recipients="none"), {}, [NOBODY], []),
        (settings, without_recipients(), {}, [], [NOBODY]),
        (settings, recipient_with(country="", use={}, safeguard={}), {}, [], ["Country", "What it uses", "Safeguard"]),
        (settings, site_with(data_protection_officer=""), {}, [], ["officer"]),
        (settings, site_with(updated=None), {}, ['Last updated on <time datetime="2026-11-25">'], []),
        (
            settings,
            lambda policy: replace(site_with(updated=None)(policy), changes=()),
            {},
            ["is in force.", "Nothing so far."],
            ["Last updated"],
        ),
        (
            settings,
            site_with(authority=None),
            {},
            ["You may also complain to a data protection authority."],
            ["authority.example"],
        ),
        (settings, site_with(policy_url=""), {}, [], ["Privacy policy<"]),
        (settings, site_with(contact="by post"), {}, ["by post"], ['href="by post"']),
        (settings, without_retention, {}, [], ["Kept for", "retention period"]),
        (settings, storing, {}, ["<br>browser storage</th>", ">until it is deleted<"], []),
        (settings, storing, JAPANESE, ["<br>ブラウザーのストレージ</th>", ">削除されるまで<"], []),
        (settings, service(0), {}, ["Tracing of searches", "Kept for 30 days."], [SHOP]),
        (settings, service(1), {}, [SHOP], ['value="media"']),
        (banner, unchanged, {}, ASKED, ["Global Privacy Control"]),
        (
            banner,
            unchanged,
            JAPANESE,
            [
                "<b>アクセス履歴の追跡</b>、<b>地図と動画</b>",
                "拒否時",
                "いつでも",
                ">プライバシー設定</a>",
                "事務所の地図",
            ],
            [],
        ),
        (banner, site_with(policy_url=""), {}, [], ["Privacy policy<"]),
        (banner, lambda policy: replace(policy, features=()), {}, [], ["Off if you refuse"]),
        (banner, without_recipients(), {}, [], [NOBODY, "third party"]),
        (banner, recipient_with(purpose="necessary"), {}, [], ["third party"]),
        (
            banner,
            service(0),
            {},
            ["data for <b>Tracing of searches</b> and <b>Maps and videos</b>?", '<a href="/whois/terms"'],
            [],
        ),
        (banner, service(1), {}, ["data for <b>Access tracing</b>?"], ["Map", "Terms of this service"]),
        (unavailable, unchanged, {}, ["Country: United States", SAFEGUARD], []),
        (box, unchanged, {}, [SAFEGUARD, 'aria-label="Map of offices is switched off"', 'data-purpose="media"'], []),
        (box, unchanged, {}, ["Allowed now: Map of offices. Reload the page to show it.", ">Show now</button>"], []),
        (box, unchanged, JAPANESE, ["有効になりました：事務所の地図。", ">今すぐ表示</button>"], []),
        (card, unchanged, {}, [SAFEGUARD], []),
        (transmission, unchanged, {}, [SAFEGUARD], []),
        (settings, lambda _: ARABIC, {"language": "ar"}, [IN_ARABIC, "<bdi>privacy@example.jp</bdi></a>"], []),
        (banner, lambda _: ARABIC, {"language": "ar"}, [IN_ARABIC, f"<bdi>{ARABIC.site.name}</bdi>"], []),
    ],
)
def test_page_says_what_the_policy_says(
    policy: Policy,
    page: Callable[..., str],
    change: Change,
    more: dict[str, Any],
    says: list[str],
    says_not: list[str],
) -> None:
    html = page(change(policy), **more)
    assert [words for words in says if words not in html] == []
    assert [words for words in says_not if words in html] == []


@pytest.mark.requirement("SG-07")
@pytest.mark.parametrize(
    ("page", "signal", "expected"),
    [
        (banner, "gpc", "Global Privacy Control honoured"),
        (settings, "gpc", "refusal (Maps and videos)"),
        (settings, "dnt", "refusal (Access tracing)"),
    ],
)
def test_page_says_what_a_signal_refuses_if_it_is_honoured(
    policy: Policy, page: Callable[..., str], signal: str, expected: str
) -> None:
    assert expected in page(policy, None, signal)
    deaf = replace(policy, signals=replace(policy.signals, gpc=(), dnt=()))
    assert expected not in page(deaf, None, signal)
