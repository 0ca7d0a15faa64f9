"""Tests of the HTML of pages, banner, boxes and the settings link, made from a policy and a decision."""

from __future__ import annotations

import html as html_module
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import html5lib
import pytest

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


def test_whole_pages_have_no_script(policy: Policy) -> None:
    for html in whole_pages(policy).values():
        assert not Outline(html).all("script")
        assert Outline(html).one("link", href=f"{BASE}/assets/{assets()['settings.css'].name}")


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


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            [
                "Example Registry",
                "for: <b>Access tracing</b> and <b>Maps and videos</b>?",
                "is responsible.",
                "Off if you refuse: Map of offices.",
                "Withdraw consent at any time: <a ",
                ">Privacy settings</a>.",
                "Data would go to <a ",
                "><bdi>Example Maps Inc.</bdi></a></p>",
            ],
        ),
        (
            "ja",
            [
                "<b>アクセス履歴の追跡</b>、<b>地図と動画</b>",
                "拒否時",
                "いつでも",
                ">プライバシー設定</a>",
                "事務所の地図",
            ],
        ),
    ],
)
def test_banner_names_controller_purposes_and_cost_of_refusal(
    policy: Policy, language: str, expected: list[str]
) -> None:
    html = banner(policy, language=language)
    for words in (*expected, "Example Registry Co., Ltd."):
        assert words in html
    assert Outline(html).one("a", href="https://example.jp/privacy")


def test_no_purpose_is_ticked_before_answer(policy: Policy) -> None:
    for html in (banner(policy), settings(policy)):
        boxes = Outline(html).all("input", type="checkbox")
        assert [box["value"] for box in boxes] == ["analytics", "media"]
        assert not any("checked" in box for box in boxes)


def test_banner_has_state_messages_and_assets_for_script(policy: Policy) -> None:
    section = Outline(banner(policy)).one("section")
    assert json.loads(section["data-state"]) == {"necessary": True, "analytics": False, "media": False}
    assert Outline(banner(policy)).one("h2", id=section["aria-labelledby"])["text"] == "Cookies and your privacy"
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


@pytest.mark.parametrize("reloads", [False, True])
def test_banner_tells_script_to_reload_after_grant(policy: Policy, reloads: bool) -> None:
    section = Outline(banner(policy, options=QuestionOptions(reloads=reloads))).one("section")
    assert ("data-reload" in section) is reloads


def test_modal_banner_is_an_open_dialog_without_script(policy: Policy) -> None:
    html = banner(policy, layout="modal")
    dialog = Outline(html).one("dialog")
    assert (dialog["class"], dialog["open"]) == ("pchoice pchoice-modal pchoice-part", "")
    assert "role" not in dialog
    assert Outline(html).one("h2", id=dialog["aria-labelledby"])


def test_each_checkbox_is_described_by_its_purpose(policy: Policy) -> None:
    outline = Outline(banner(policy))
    for field, description in zip(
        outline.all("input", type="checkbox"), ("We count visits.", "We show maps and videos."), strict=True
    ):
        assert outline.one("p", id=field["aria-describedby"])["text"] == description


# What is stored without a cookie.


@pytest.mark.parametrize(
    ("language", "kind", "lasts"),
    [
        ("en", "browser storage", "until it is deleted"),
        ("ja", "ブラウザーのストレージ", "削除されるまで"),
    ],
)
def test_settings_page_shows_the_kind_of_what_is_stored(policy: Policy, language: str, kind: str, lasts: str) -> None:
    kept = Cookie(name="seen of *", purpose="media", kind="storage")
    html = settings(replace(policy, cookies=(*policy.cookies, kept)), language=language)
    (row,) = re.findall(r"<tr><th[^>]*><code>seen of \*</code>.*?</tr>", html)
    assert f"<br>{kind}</th>" in row
    assert f">{lasts}<" in row
    assert kind not in settings(policy, language=language)


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


@pytest.mark.parametrize("said", [False, True])
def test_pages_say_that_nobody_receives_data_only_where_policy_says_it(policy: Policy, said: bool) -> None:
    site = replace(policy.site, recipients="none" if said else "")
    silent = replace(policy, site=site, recipients=())
    nobody = "No third party receives data for purposes of its own."
    assert banner(silent).count(nobody) == said
    assert settings(silent).count(nobody) == said


def test_banner_that_asks_for_a_purpose_without_recipient_says_nothing_of_others(policy: Policy) -> None:
    others = (replace(policy.recipients[0], purpose="necessary"),)
    assert "third party" not in banner(replace(policy, recipients=others))


def test_banner_names_few_recipients_and_counts_many_with_link_to_their_list(policy: Policy) -> None:
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
    three = [("a", "A & B", "analytics"), ("c", "C", "media")]
    assert link(*three) == "Example Maps Inc., A &amp; B, and C"
    assert link(*three, ("d", "D", "media")) == "4 third parties would receive data"


def test_recipient_has_country_and_use_in_language_of_reader(policy: Policy) -> None:
    english, japanese = settings(policy), settings(policy, language="ja")
    assert "Country: United States" in english
    assert 'data-label="What it uses it for">Counts how often maps are shown.</td>' in english
    assert "所在国：アメリカ合衆国" in japanese
    assert "地図の表示回数を数えます。" in japanese
    assert "Country: United States" in unavailable(policy)
    silent = replace(policy, recipients=(replace(policy.recipients[0], country="", use={}),))
    assert "Country" not in settings(silent)
    assert "What it uses it for" not in settings(silent)
    # One of two recipients of a purpose says what it uses the data for: the other's cell is empty.
    both = replace(policy, recipients=(*policy.recipients, replace(policy.recipients[0], id="more", use={})))
    assert settings(both).count("<td></td>") == 1


# Further facts of purposes, and of the policy.


@pytest.mark.parametrize(
    ("language", "officer", "safeguard"),
    [
        ("en", "Data protection officer: officer@example.jp", "Safeguard of the transfer: Standard clauses"),
        ("ja", "データ保護責任者：officer@example.jp", "移転の保護措置：標準契約条項"),
    ],
)
def test_pages_name_data_protection_officer_and_safeguard_of_a_transfer(
    policy: Policy, language: str, officer: str, safeguard: str
) -> None:
    where: dict[str, Any] = {"base": BASE, "language": language, "next_path": ""}
    card = Pages().card(decision(policy), card=card_of(policy, "example-maps"), **where)
    pages = {
        "settings": settings(policy, language=language),
        "transmission": Pages().page("transmission.html", decision(policy), **where),
        "explaining page": unavailable(policy, language=language),
        "box": box(policy, language=language),
        "card": card,
    }
    said = {name: re.sub("<[^>]*>", "", html) for name, html in pages.items()}
    assert [name for name, text in said.items() if safeguard not in text] == []
    assert officer in said["settings"]
    assert '<a href="mailto:officer@example.jp"><bdi>officer@example.jp</bdi></a>' in pages["settings"]


def test_pages_say_nothing_of_an_officer_or_a_safeguard_that_the_policy_does_not_name(policy: Policy) -> None:
    recipients = tuple(replace(recipient, safeguard={}) for recipient in policy.recipients)
    bare = replace(policy, recipients=recipients, site=replace(policy.site, data_protection_officer=""))
    assert "Safeguard" not in settings(bare)
    assert "officer" not in settings(bare)


def facts(html: str) -> list[tuple[str, str]]:
    """Return the rows of the lists of facts about purposes: term, text."""
    return re.findall(r"<dt>([^<]+)</dt>\n<dd>([^<\n]+)</dd>", html.partition('id="pchoice-recipients"')[0])


def test_each_purpose_has_legal_basis_and_kinds_of_data(policy: Policy) -> None:
    assert facts(settings(policy)) == [
        ("Legal basis", "Your consent"),
        ("Kinds of data", "Address of your device"),
        ("Legal basis", "Consent (GDPR Art. 6(1)(a))"),
    ]
    assert ("法的根拠", "ご本人の同意") in facts(settings(policy, language="ja"))


def test_purpose_that_the_service_never_uses_does_not_claim_consent(policy: Policy) -> None:
    _, shop = policy.services
    silent = replace(policy, purposes=(*policy.purposes[:2], replace(policy.purposes[2], legal_basis={})))
    assert settings(silent).count("Legal basis") == 2
    assert settings(silent.under(shop)).count("Legal basis") == 1


def test_own_cookies_are_described(policy: Policy) -> None:
    site = install(access_log=MemorySink())._site
    for place in (HTTPS, HTTP):
        ours = list_own_cookies(site, policy, BASE, place)
        assert len(ours) == 5
        for language in policy.site.languages:
            html = settings(policy, own_cookies=ours, language=language)
            described = [html.count(f"<code>{cookie.name}</code><br>{cookie.description[language]}") for cookie in ours]
            assert described == [1] * 5


def test_version_comes_with_date_of_policy(policy: Policy) -> None:
    version = f"Version {policy.version} is in force. Last updated on "
    assert f'{version}<time datetime="2026-11-25">November 25, 2026</time>.' in settings(policy)
    undated = replace(policy, site=replace(policy.site, updated=None), changes=())
    assert "is in force." in settings(undated)
    assert "Last updated" not in settings(undated)


def test_visitor_is_told_of_complaint_to_authority(policy: Policy) -> None:
    link = Outline(settings(policy)).one("a", href="https://authority.example/complaints")
    assert link
    assert "<bdi>Commission</bdi>" in settings(policy)
    assert "<bdi>委員会</bdi>" in settings(policy, language="ja")
    unnamed = replace(policy, site=replace(policy.site, authority=None))
    assert "You may also complain to a data protection authority." in settings(unnamed)
    assert "authority.example" not in settings(unnamed)


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


def test_banner_after_policy_change_mentions_change(policy: Policy) -> None:
    expected = text_of(policy, "en", "banner_changed")
    without_the_new = replace(answered(policy, media=State.REFUSED), policy="an older one")
    to_less = replace(without_the_new, answers={**without_the_new.answers, "analytics": Answer(State.GRANTED, "older")})
    for record in (without_the_new, to_less):
        assert expected in banner(policy, record)
        assert expected in settings(policy, record)


def test_banner_and_settings_mention_honoured_signal(policy: Policy) -> None:
    assert "Global Privacy Control honoured" in banner(policy, None, "gpc")
    assert "refusal (Maps and videos)" in settings(policy, None, "gpc")
    assert "refusal (Access tracing)" in settings(policy, None, "dnt")
    assert "Global Privacy Control" not in settings(policy)
    deaf = replace(policy, signals=replace(policy.signals, gpc=()))
    assert "Global Privacy Control" not in banner(deaf, None, "gpc")


def test_banner_of_service_uses_its_texts_and_omits_refused_purposes(policy: Policy) -> None:
    whois, shop = (banner(policy.under(service)) for service in policy.services)
    assert "for: <b>Tracing of searches</b> and <b>Maps and videos</b>?" in whois
    assert Outline(whois).one("a", href="/whois/terms")["text"] == "Terms of this service"
    assert "for: <b>Access tracing</b>?" in shop
    assert "Map" not in shop
    assert "Terms of this service" not in shop


def test_banner_omits_missing_policy_url_and_features(policy: Policy) -> None:
    plain = replace(policy, site=replace(policy.site, policy_url=""), features=())
    for html in (banner(plain), settings(plain)):
        assert "Privacy policy<" not in html
    assert "Off if you refuse" in banner(policy)
    assert "You may refuse" not in banner(policy)
    assert "Off if you refuse" not in banner(plain)
    assert "You may refuse: the site works without it." in banner(plain)


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


def test_banner_differs_for_each_input(policy: Policy, pages: Pages) -> None:
    record = answered(policy, media=State.GRANTED)
    decisions = [
        decision(policy),
        decision(policy, None, "gpc"),
        decision(policy, record),
        decision(policy.under(policy.services[0])),
        decision(replace(policy, changes=())),
    ]
    made = {
        pages.banner(made, base=base, language=language, next_path=path, encoding="utf-8", options=asking)
        for made in decisions
        for base in (BASE, "/elsewhere")
        for language in ("en", "ja")
        for path in ("/a", "")
        for asking in (QuestionOptions(), QuestionOptions(reloads=True), QuestionOptions(again=True))
    }
    assert len(made) == len(decisions) * 24


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            ["Access tracing", "We count visits.", "Kept for 395 days.", "_ga*", "example.jp", "/videos",
             "Example Maps Inc.", "IP address", "https://maps.example.com", "Not available without it",
             "Map of offices", "Always on", "until the browser is closed", "this site", "Keeps you signed in.",
             "<bdi>Example Registry Co., Ltd.</bdi> answers",
             "Whois", "shop.example.jp", "Never used there: Maps and videos.", "Maps were added.",
             "You have not answered yet."],
        ),
        (
            "ja",
            ["アクセス履歴の追跡", "訪問を数えます。", "保存期間：395日", "IPアドレス", "同意がないと利用できない機能",
             "事務所の地図", "常に有効", "ブラウザーを閉じるまで", "このサイト", "ログインを保ちます。", "Whois検索",
             "地図を加えました。", "まだ回答されていません。"],
        ),
    ],
)  # fmt: skip
def test_settings_page_contains_all_required_information(policy: Policy, language: str, expected: list[str]) -> None:
    html = settings(policy, language=language)
    for words in (*expected, policy.version):
        assert words in html
    outline = Outline(html)
    for address in (
        "https://example.jp/privacy", "/whois/terms", "https://maps.example.com/privacy", "mailto:privacy@example.jp",
        f"{BASE}/export", f"{BASE}/policy",
    ):  # fmt: skip
        assert outline.all("a", href=address)


def test_necessary_purpose_has_no_checkbox(policy: Policy) -> None:
    outline = Outline(settings(policy))
    assert not outline.all("input", value="necessary")
    assert outline.one("p", **{"class": "pchoice-fixed"})["text"] == "Always on"


def test_policy_changes_are_listed_newest_first(policy: Policy) -> None:
    (change,) = policy.changes
    earlier, later = replace(change, date=date(2026, 3, 1)), replace(change, date=date(2026, 5, 20))
    html = settings(replace(policy, changes=(earlier, later)))
    assert [time["datetime"] for time in Outline(html).all("time")][-2:] == ["2026-05-20", "2026-03-01"]
    assert "Nothing so far." in settings(replace(policy, changes=()))


def test_translated_settings_page_names_prevailing_language(policy: Policy) -> None:
    outline = Outline(settings(policy, next_path="/a?b"))
    (note, offered) = outline.all("a", href=f"{BASE}?language=ja&next=/a%3Fb")[::-1]
    assert note["text"] == "The version in Japanese prevails."
    assert offered["text"] == "日本語"
    assert offered["lang"] == "ja"
    assert outline.one("a", **{"aria-current": "true"})["text"] == "English"
    assert "（日本語）が優先します" not in settings(policy, language="ja")


def test_names_and_contact_keep_their_writing_direction_on_arabic_pages() -> None:
    policy = full_policy_in("ar")
    controller = f"<bdi>{policy.site.controller}</bdi>"
    contacts = {"privacy@example.jp": "<bdi>privacy@example.jp</bdi></a>", "+81 3 1234": "<bdi>+81 3 1234</bdi>"}
    for contact, expected in contacts.items():
        html = settings(replace(policy, site=replace(policy.site, contact=contact)), language="ar")
        assert f"<bdi>{policy.site.name}</bdi></a></p>" in html
        assert controller in html
        assert expected in html
    assert controller in banner(policy, language="ar")
    assert f"<bdi>{policy.site.name}</bdi>" in banner(policy, language="ar")


def test_site_in_one_language_has_no_language_links(policy: Policy) -> None:
    english = catalog.shipped("en")
    one = Policy(
        site=replace(policy.site, languages=("en",), prevailing_language="en", contact="by post", authority=None),
        wording={"en": english},
    )
    html = settings(one)
    assert not Outline(html).all("nav")
    assert "by post" in html
    assert not Outline(html).all("a", href="by post")


def test_settings_page_shows_conditions_of_service(policy: Policy) -> None:
    whois, shop = (settings(policy.under(service)) for service in policy.services)
    assert "Tracing of searches" in whois
    assert "Kept for 30 days." in whois
    assert text_of(policy, "en", "refused_here") not in whois
    assert text_of(policy, "en", "refused_here") in shop
    assert not Outline(shop).all("input", value="media")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Map of offices is switched off", "The addresses are listed below.", "Maps and videos",
                "We show maps and videos.", "You have not answered yet.", "Allow Maps and videos and go on",
                "<bdi>Example Maps Inc.</bdi> (IP address, address of the page)"]),
        ("ja", ["事務所の地図は無効になっています", "住所は下にあります。", "まだ回答されていません。",
                "地図と動画に同意して続ける"]),
    ],
)  # fmt: skip
def test_explaining_page_offers_grant_of_missing_purpose(policy: Policy, language: str, expected: list[str]) -> None:
    html = unavailable(policy, language=language)
    for words in expected:
        assert words in html
    outline = Outline(html)
    assert outline.one("button", name="choice", value="grant")
    assert fields(outline)["purpose"] == "media"
    assert fields(outline)["next"] == "/map#pchoice-off-map"
    assert not outline.all("a", href="/map")


def test_explaining_page_says_why_feature_is_off(policy: Policy) -> None:
    why = partial(text_of, policy, "en")
    refused = answered(policy, media=State.REFUSED, analytics=State.GRANTED)
    refused_all = answered(policy, media=State.REFUSED, analytics=State.REFUSED)
    stale = ConsentRecord(
        answers={"media": Answer(State.GRANTED, "older"), "analytics": Answer(State.UNANSWERED, "older")},
        policy="an older one",
        decided_at=NOW,
        source="banner",
        language="en",
    )
    assert why("why_unanswered") in unavailable(policy)
    assert why("why_refused") in unavailable(policy, refused)
    assert why("why_refused") in unavailable(policy, refused_all, "gpc")
    assert why("why_gpc") in unavailable(policy, refused, "gpc")
    assert why("why_gpc") in unavailable(policy, None, "dnt", "gpc")
    assert why("why_dnt") in unavailable(policy, None, "dnt", missing=("analytics",))
    assert why("why_changed") in unavailable(policy, stale)
    assert why("why_unanswered") in unavailable(policy, stale, missing=("analytics",))


def test_box_names_feature_and_offers_grant(policy: Policy) -> None:
    outline = Outline(box(policy))
    section = outline.one("section")
    assert section["aria-label"] == "Map of offices is switched off"
    assert section["data-purpose"] == "media"
    assert outline.one("button")["text"] == "Allow Maps and videos and go on"


@pytest.mark.parametrize(
    ("language", "title", "expected", "button"),
    [
        ("en", "Map of offices", "Allowed now: Map of offices. Reload the page to show it.", "Show now"),
        ("ja", "事務所の地図", "有効になりました：事務所の地図。ページを再読み込みすると表示されます。", "今すぐ表示"),
    ],
)
def test_box_contains_its_replacement_for_after_grant(
    policy: Policy, language: str, title: str, expected: str, button: str
) -> None:
    inside = re.search(r"<template>(.*)</template>\s*</section>", box(policy, language=language), re.DOTALL)
    assert inside
    outline = Outline(inside[1])
    section = outline.one("section", **{"class": "pchoice-box pchoice-part"}, lang=language, dir="ltr")
    assert section["aria-label"] == title
    assert "data-purpose" not in section
    assert outline.all("p")[0]["text"] == expected
    assert outline.one("button", type="button")["text"] == button


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


def test_settings_page_says_how_long_data_is_kept_and_no_word_where_the_policy_says_none(policy: Policy) -> None:
    asked = [purpose for purpose in policy.purposes if purpose.id != "necessary"]
    told = [purpose.id for purpose in asked if purpose.retention]
    assert 0 < len(told) < len(asked)
    assert settings(policy).count("Kept for") == len(told)
    untold = tuple(replace(purpose, retention=None) for purpose in policy.purposes)
    html = settings(replace(policy, purposes=untold, services=()))
    assert "Kept for" not in html
    assert "retention period" not in html
