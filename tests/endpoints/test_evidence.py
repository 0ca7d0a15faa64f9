"""Tests of the texts that the ledger keeps: what visitors were shown when they answered, word for word."""

from __future__ import annotations

import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.decision.decision import Decision
from cookie_consent.http.features import fallback_box
from cookie_consent.ledgers import Ledger, MemoryLedger, open_ledger
from cookie_consent.pages.assets import assets
from cookie_consent.pages.evidence import SURFACES, explain, hash_sources
from cookie_consent.pages.pages import Pages
from cookie_consent.pages.wording import write_day
from tests.support.asgi import (
    NOW,
    PAGE,
    PREFIX,
    SITE,
    Clock,
    Visitor,
    install,
    policy,
    run,
    without_form_ids,
)
from tests.support.browsers.browser import Form, forms
from tests.support.policies import KEY, full_policy_in, text_of

HTML = [("accept", "text/html")]
NEXT = re.compile(r'<input type="hidden" name="next" value="[^"]*">\n')
NEXT_IN_LINK = re.compile(r'(?:&amp;|&)next=[^"#]*')


async def _box(request: Request) -> Response:
    return HTMLResponse(PAGE.replace(b"<h1>", fallback_box(request.scope, "map").encode() + b"<h1>"))


@requires("media")
async def _offices(request: Request) -> Response:
    return PlainTextResponse("offices")


@requires("media", "analytics")
async def _everything(request: Request) -> Response:
    return PlainTextResponse("everything")


async def _home(request: Request) -> Response:
    language = request.query_params.get("language", "en")
    return HTMLResponse(PAGE.replace(b'lang="en"', b'lang="%b"' % language.encode()))


def site() -> ASGIApp:
    return Starlette(
        routes=[
            Route("/", _home),
            Route("/map", _box),
            Route("/offices", _offices),
            Route("/everything", _everything),
            Route("/whois/map", _box),
        ]
    )


def japanese_visitor(app: ASGIApp) -> Visitor:
    return Visitor(app, [*HTML, ("accept-language", "ja")])


def without_own_parts(html: str) -> str:
    """Return a text as the ledger keeps it: without the next path and the id of the form."""
    return NEXT_IN_LINK.sub("", NEXT.sub("", without_form_ids(html)))


def question_in(html: str) -> str:
    """Return the question that is served by itself, as the ledger keeps it: without its stylesheet."""
    return re.sub("^<link[^>]*>", "", without_own_parts(html))


def banner_in(html: str) -> str:
    """Return the banner in a page, as the ledger keeps it."""
    return html[html.index("<section") : html.index("<script")]


def settings_of(html: str) -> str:
    """Return the settings page without the lines that name the visitor's own records."""
    return re.sub(r"<li>[^\n]*(?:<code>|/records\?)[^\n]*</li>\n", "", without_form_ids(html))


def form_of(html: str, surface: str) -> Form:
    return next(form for form in forms(html) if ("surface", surface) in form.hidden)


def newest_record(ledger: Ledger, visitor: Visitor) -> dict[str, Any]:
    """Return the visitor's newest record. A plain refusal has no consent id: then it is the newest of all."""
    records: list[dict[str, Any]] = visitor.get(f"{PREFIX}/export").json["consent_records"]
    if records:
        assert records == run(ledger.records(records[0]["consent_id"]))
        return records[-1]
    newest: dict[str, Any] = [json.loads(link.document) for link in ledger.links() if link.document][-1]
    assert newest["consent_id"] is None
    return newest


def english(key: str) -> str:
    return escape(text_of(policy(), "en", key))


def kept_texts(ledger: Ledger, visitor: Visitor) -> tuple[str, str]:
    """Return the texts of the visitor's newest record: as shown, and in the prevailing language."""
    explained = run(explain(ledger, newest_record(ledger, visitor)))
    return explained.html, explained.prevailing_html


# The text on each surface.


def test_kept_text_matches_banner_in_page(ledger: Ledger) -> None:
    app = install(site(), ledger=ledger)
    visitor = Visitor(app, HTML)
    shown, prevailing = visitor.get("/", query=b"language=ja").text, visitor.get("/").text
    visitor.send_form(form_of(shown, "banner").pressed("refuse_all"))
    assert kept_texts(ledger, visitor) == (
        without_own_parts(banner_in(shown)),
        without_own_parts(banner_in(prevailing)),
    )
    assert text_of(policy(), "ja", "banner_title") in kept_texts(ledger, visitor)[0]
    assert (newest_record(ledger, visitor)["language"], newest_record(ledger, visitor)["surface"]) == ("ja", "banner")


@pytest.mark.parametrize("layout", ["corner", "bar", "modal"])
def test_kept_text_matches_banner_served_by_itself(layout: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger, layout=layout))
    shown = visitor.get(f"{PREFIX}/question").text
    visitor.send_form(form_of(shown, "banner").pressed("accept_all"))
    assert kept_texts(ledger, visitor) == (question_in(shown), question_in(shown))


def test_kept_text_of_reopened_banner_shows_earlier_answer(ledger: Ledger) -> None:
    clock = Clock()
    visitor = japanese_visitor(install(ledger=ledger, clock=clock))
    visitor.save(media=True)
    clock.forward(days=3)
    shown = visitor.get(f"{PREFIX}/question", query=b"again").text
    prevailing = visitor.get(f"{PREFIX}/question", query=b"again&language=en").text
    assert 'value="media" aria-describedby="pchoice-about-media" checked' in shown
    visitor.send_form(form_of(shown, "again").pressed("accept_all"))
    assert kept_texts(ledger, visitor) == (question_in(shown), question_in(prevailing))
    assert (newest_record(ledger, visitor)["source"], newest_record(ledger, visitor)["surface"]) == (
        "settings",
        "again",
    )


def test_kept_text_matches_settings_page_before_first_answer(ledger: Ledger) -> None:
    visitor = japanese_visitor(install(ledger=ledger))
    shown = visitor.get(PREFIX).text
    prevailing = visitor.get(PREFIX, query=b"language=en").text
    visitor.send_form(form_of(shown, "settings").pressed("accept_all"))
    html, prevailing_html = kept_texts(ledger, visitor)
    assert (html, prevailing_html) == (without_form_ids(shown), without_form_ids(prevailing))


@pytest.mark.parametrize("days", [0, 1, 100, 183])
def test_kept_text_of_settings_page_has_dates_that_visitor_saw(ledger: Ledger, days: int) -> None:
    clock = Clock()
    visitor = japanese_visitor(install(ledger=ledger, clock=clock))
    visitor.save(media=True)
    clock.forward(days=days, seconds=61)
    shown = visitor.get(PREFIX).text
    prevailing = visitor.get(PREFIX, query=b"language=en").text
    for date in ("2025-06-15", "2025-12-16"):
        assert f'<time datetime="{date}">' in shown
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    clock.forward(days=30)
    html, prevailing_html = kept_texts(ledger, visitor)
    assert html == settings_of(shown)
    assert prevailing_html == settings_of(prevailing)


def test_kept_text_keeps_date_of_policy_change_on_day_of_answer() -> None:
    text = SITE + '\n[[changes]]\ndate = 2025-06-15\ntext = { en = "A change.", ja = "変更。" }\n'
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(text=text, ledger=ledger, clock=clock))
    visitor.accept()
    clock.forward(days=2)
    shown = visitor.get(PREFIX).text
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    assert kept_texts(ledger, visitor)[0] == settings_of(shown)
    # The answer, the change, and the policy, which is as old as its newest change.
    assert shown.count('<time datetime="2025-06-15">') == 3


@pytest.mark.parametrize("languages", [("he", "hu"), ("fa", "th"), ("zh-Hant", "ar")])
def test_kept_text_has_dates_in_format_of_each_language(languages: tuple[str, str]) -> None:
    prevailing_language, language = languages
    clock, ledger = Clock(), MemoryLedger()
    app = ConsentMiddleware(site(), full_policy_in(*languages), KEY, ledger=ledger, clock=clock)
    visitor = Visitor(app, [("accept-language", language)])
    visitor.accept()
    clock.forward(days=2)
    shown = visitor.get(PREFIX).text
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    html, prevailing_html = kept_texts(ledger, visitor)
    for text, tag in ((html, language), (prevailing_html, prevailing_language)):
        assert write_day(NOW, tag) in text
        assert write_day(NOW + 184 * 86_400, tag) in text
        assert "⟦" not in text
    assert html == settings_of(shown)


def test_kept_text_has_expiry_date_of_configured_lifetime() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock, consent_days=30))
    visitor.accept()
    clock.forward(days=2)
    shown = visitor.get(PREFIX).text
    assert '<time datetime="2025-07-15">' in shown
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    assert kept_texts(ledger, visitor)[0] == settings_of(shown)


def box_in(html: str) -> str:
    return html[html.index('<link rel="stylesheet"') : html.rindex("<h1>")]


def test_kept_text_matches_fallback_box(ledger: Ledger) -> None:
    app = install(site(), ledger=ledger, inject=False)
    visitor = japanese_visitor(app)
    shown, prevailing = visitor.get("/map").text, Visitor(app, HTML).get("/map").text
    visitor.send_form(form_of(shown, "box").pressed("grant"))
    record = newest_record(ledger, visitor)
    assert kept_texts(ledger, visitor)[1] == without_own_parts(box_in(prevailing))
    assert kept_texts(ledger, visitor)[0] == without_own_parts(box_in(shown))
    assert (record["surface"], record["feature"], record["source"]) == ("box", "map", "feature")


@pytest.mark.parametrize(("path", "feature"), [("/offices", "map"), ("/everything", None)])
def test_kept_text_matches_explaining_page(ledger: Ledger, path: str, feature: str | None) -> None:
    visitor = japanese_visitor(install(site(), ledger=ledger))
    shown = visitor.get(path).text
    assert "⟦" not in shown
    visitor.send_form(form_of(shown, "page").pressed("grant"))
    assert visitor.get(path).text == path.removeprefix("/")
    assert kept_texts(ledger, visitor)[0] == without_own_parts(shown)
    record = newest_record(ledger, visitor)
    assert (record["surface"], record["feature"], record["language"]) == ("page", feature, "ja")
    assert text_of(policy(), "en", "unavailable_page") in kept_texts(ledger, visitor)[1] or feature == "map"


def test_kept_text_of_explaining_page_names_only_missing_purposes() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    visitor.save(media=True)
    shown = visitor.get("/everything").text
    visitor.send_form(form_of(shown, "page").pressed("grant"))
    assert kept_texts(ledger, visitor)[0] == without_own_parts(shown)
    assert "Maps and videos" not in shown


def test_kept_text_of_explaining_page_omits_purposes_allowed_before() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    visitor.save(media=True)
    shown = visitor.get("/everything").text
    form = form_of(shown, "page")
    purposes = {"analytics": True, "media": True}
    visitor.post({**dict(form.hidden), "choice": "save", "source": "feature", "purposes": purposes}, HTML)
    assert kept_texts(ledger, visitor)[0] == without_own_parts(shown)


@pytest.mark.parametrize("signals", [[("sec-gpc", "1")], [("dnt", "1"), ("sec-gpc", "1")]])
@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/question"])
def test_kept_text_mentions_signal(signals: list[tuple[str, str]], path: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), [*HTML, *signals])
    surface, query = ("settings", b"") if path == PREFIX else ("again", b"again")
    shown = visitor.get(path, query=query).text
    assert "Global Privacy Control" in shown
    form = next(form for form in forms(shown) if ("choice", "save") in form.buttons)
    visitor.send_form(f"{form.pressed('save')}&purpose=media")
    html = kept_texts(ledger, visitor)[0]
    if surface == "settings":
        assert html == settings_of(shown)
    else:
        assert html == question_in(shown)


@pytest.mark.parametrize("answered", [False, True])
def test_kept_text_on_service_page_is_text_of_service(ledger: Ledger, answered: bool) -> None:
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    if answered:
        visitor.accept()
    shown = visitor.get(f"{PREFIX}/question", query=b"again&next=/whois/map").text
    visitor.send_form(form_of(shown, "again").pressed("refuse_all"))
    assert kept_texts(ledger, visitor)[0] == question_in(shown)
    assert newest_record(ledger, visitor)["service"] == "whois"
    assert "Access tracing" not in kept_texts(ledger, visitor)[0]


def test_kept_text_of_older_banner_omits_later_answer() -> None:
    """The banner had no ticked boxes. A box that is ticked beforehand is no consent."""
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    shown = visitor.get("/").text
    visitor.accept()
    visitor.send_form(form_of(shown, "banner").pressed("refuse_all"))
    assert kept_texts(ledger, visitor)[0] == without_own_parts(banner_in(shown))
    assert " checked" not in kept_texts(ledger, visitor)[0]


def test_kept_text_of_banner_mentions_policy_change(ledger: Ledger) -> None:
    before = Visitor(install(site(), ledger=ledger), HTML)
    before.accept()
    changed = SITE.replace('receives = { en = "IP address"', 'receives = { en = "IP address, the page"')
    changed = changed.replace('origins = ["https://maps.example.com"]', 'origins = ["https://other.example.com"]')
    visitor = Visitor(install(site(), changed, ledger=ledger), HTML)
    visitor.jar = before.jar
    shown = visitor.get("/").text
    assert text_of(policy(), "en", "banner_changed") in shown
    visitor.send_form(form_of(shown, "banner").pressed("accept_all"))
    assert kept_texts(ledger, visitor)[0] == without_own_parts(banner_in(shown))


def test_kept_text_includes_mount_path() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger))
    shown = visitor.get(f"/shop{PREFIX}/question", root_path="/shop").text
    visitor.send_form(form_of(shown, "banner").pressed("accept_all"), path=f"/shop{PREFIX}", root_path="/shop")
    assert kept_texts(ledger, visitor)[0] == question_in(shown)
    assert f'action="/shop{PREFIX}"' in shown


# Forms that were open while the visitor answered in another tab.


@pytest.mark.parametrize("days", [0, 3])
def test_kept_text_of_older_settings_page_omits_later_answer(ledger: Ledger, days: int) -> None:
    clock = Clock()
    visitor = japanese_visitor(install(site(), ledger=ledger, clock=clock))
    shown, prevailing = visitor.get(PREFIX).text, visitor.get(PREFIX, query=b"language=en").text
    visitor.accept()
    clock.forward(days=days, seconds=5)
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    assert kept_texts(ledger, visitor) == (without_form_ids(shown), without_form_ids(prevailing))
    assert newest_record(ledger, visitor)["event"] == "withdrawn"
    assert english("status_granted") not in kept_texts(ledger, visitor)[1]


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/question"])
@pytest.mark.slow
def test_kept_text_of_older_form_shows_its_answer_and_dates(ledger: Ledger, path: str) -> None:
    clock = Clock()
    visitor = Visitor(install(site(), ledger=ledger, clock=clock), HTML)
    visitor.save(media=True)
    clock.forward(days=2)
    shown = visitor.get(path, query=b"again").text
    visitor.accept()
    clock.forward(days=2)
    form = form_of(shown, "settings" if path == PREFIX else "again")
    visitor.send_form(form.pressed("refuse_all"))
    assert settings_of(kept_texts(ledger, visitor)[0]) == settings_of(re.sub("^<link[^>]*>", "", shown))
    assert english("status_partial") in kept_texts(ledger, visitor)[0]
    assert newest_record(ledger, visitor)["answered_before"] == "2025-06-17T15:06:40Z"


def test_kept_text_of_older_box_names_purposes_missing_then(ledger: Ledger) -> None:
    clock = Clock()
    visitor = Visitor(install(site(), ledger=ledger, clock=clock, inject=False), HTML)
    shown = visitor.get("/map").text
    visitor.accept()
    clock.forward(days=1)
    visitor.send_form(form_of(shown, "box").pressed("grant"))
    assert kept_texts(ledger, visitor)[0] == without_own_parts(box_in(shown))


def test_kept_text_of_older_explaining_page_names_purposes_missing_then(ledger: Ledger) -> None:
    clock = Clock()
    visitor = Visitor(install(site(), ledger=ledger, clock=clock), HTML)
    visitor.accept()
    clock.forward(seconds=5)
    visitor.refuse()
    clock.forward(seconds=5)
    shown = visitor.get("/everything").text
    visitor.save(media=True)
    clock.forward(seconds=5)
    visitor.send_form(form_of(shown, "page").pressed("grant"))
    assert kept_texts(ledger, visitor)[0] == without_own_parts(shown)
    assert english("why_refused") in shown


def test_no_text_is_kept_if_page_showed_refusal_without_consent_id(ledger: Ledger) -> None:
    clock = Clock()
    visitor = Visitor(install(site(), ledger=ledger, clock=clock), HTML)
    visitor.refuse()
    clock.forward(days=1)
    shown = visitor.get("/everything").text
    visitor.save(media=True)
    clock.forward(days=1)
    visitor.send_form(form_of(shown, "page").pressed("grant"))
    assert newest_record(ledger, visitor)["text"] is None


def test_no_text_is_kept_if_page_showed_answer_without_record() -> None:
    clock, ledger = Clock(), MemoryLedger()
    before = Visitor(install(clock=clock))
    before.accept()
    clock.forward(days=1)
    visitor = Visitor(install(ledger=ledger, clock=clock))
    visitor.jar = before.jar
    shown = visitor.get(PREFIX).text
    visitor.refuse()
    clock.forward(days=1)
    visitor.send_form(form_of(shown, "settings").pressed("accept_all"))
    record = newest_record(ledger, visitor)
    assert (record["surface"], record["text"]) == (None, None)


@pytest.mark.parametrize(
    ("answered", "text"),
    [
        *((malformed, True) for malformed in ("", "x", "-1", "1.5", "1e9", "٣", "9" * 11, " 0", "0 ", "\0")),
        *((unknown, False) for unknown in ("1", "1749999999", "1750000001", "9" * 10)),
        ("0", True),
        ("1750000000", True),
    ],
)
def test_answer_counts_whatever_answered_field_says(ledger: Ledger, answered: str, text: bool) -> None:
    visitor = Visitor(install(ledger=ledger, clock=Clock()))
    visitor.accept()
    sent = {"choice": "refuse_all", "source": "settings", "surface": "settings", "answered": answered}
    assert visitor.post(sent).status == 200
    record = newest_record(ledger, visitor)
    assert (record["event"], record["text"] is not None) == ("withdrawn", text)


def test_answered_field_is_time_of_visitors_own_answer() -> None:
    clock = Clock()
    app = install(clock=clock)
    for _ in range(2):
        visitor = Visitor(app)
        visitor.accept()
        for path, surface in ((f"{PREFIX}/question", "again"), (PREFIX, "settings")):
            form = form_of(visitor.get(path, query=b"again").text, surface)
            assert dict(form.hidden)["answered"] == str(int(clock.now))
        clock.forward(seconds=10)


def test_no_text_is_kept_if_other_visitors_answer_is_claimed(ledger: Ledger) -> None:
    clock = Clock()
    app = install(ledger=ledger, clock=clock)
    Visitor(app).accept()
    clock.forward(seconds=10)
    visitor = Visitor(app)
    for sent in ({}, {"answered": str(int(NOW))}):
        visitor.post({"choice": "save", "purposes": {"media": not sent}, "surface": "settings", **sent})
    assert newest_record(ledger, visitor)["text"] is None


# Notices on the settings page.


def test_kept_text_has_notice_of_changed_policy(ledger: Ledger) -> None:
    visitor = japanese_visitor(install(site(), ledger=ledger))
    reply = visitor.send_form("choice=accept_all&policy=0000000000000000&surface=settings&language=ja")
    assert reply.status == 409
    visitor.send_form(form_of(reply.text, "settings").pressed("accept_all"))
    assert kept_texts(ledger, visitor)[0] == without_form_ids(reply.text)
    assert english("error_policy_changed") in kept_texts(ledger, visitor)[1]


@pytest.mark.parametrize("answers", [True, False])
def test_kept_text_has_notice_of_erasure(ledger: Ledger, answers: bool) -> None:
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    if answers:
        visitor.accept()
    shown = visitor.get(PREFIX, query=b"erased").text
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    assert kept_texts(ledger, visitor)[0] == settings_of(shown)
    assert english("erased") in kept_texts(ledger, visitor)[0]
    assert (english("proof_stays") in kept_texts(ledger, visitor)[0]) == answers


@pytest.mark.parametrize("notice", ["kept", "error_too_many", "x" * 9999, "<script>", "\0", "地図"])
def test_kept_text_ignores_unknown_notice(ledger: Ledger, notice: str) -> None:
    visitor = Visitor(install(ledger=ledger))
    shown = visitor.get(PREFIX).text
    assert visitor.post({"choice": "accept_all", "surface": "settings", "notice": notice}).status == 200
    assert kept_texts(ledger, visitor)[0] == without_form_ids(shown)


# What is kept.


@pytest.mark.slow
def test_kept_text_does_not_change_with_the_site(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/consent.db"
    ledger = open_ledger(url)
    before = Visitor(install(site(), ledger=ledger), HTML)
    shown, prevailing = before.get("/", query=b"language=ja").text, before.get(f"{PREFIX}/question").text
    before.send_form(form_of(shown, "banner").pressed("accept_all"))
    expected = (without_own_parts(banner_in(shown)), question_in(prevailing))
    assert kept_texts(ledger, before) == expected
    ledger.close()
    now = (
        SITE.replace("We count visits.", "We count all.")
        .replace("地図と動画", "動画")
        .replace("[purposes.a", "[purposes.z")
    )
    now = now.replace('purpose = "analytics"', 'purpose = "znalytics"').replace("whois.purposes.a", "whois.purposes.z")
    now += '\n[texts.ja]\nbanner_title = "別の題"\n\n[texts.en]\nbanner_title = "Another title"\n'
    ledger = open_ledger(url)
    after = Visitor(install(None, now, ledger=ledger, layout="modal"), HTML)
    after.jar = before.jar
    assert "Another title" in after.get(f"{PREFIX}/question").text
    assert kept_texts(ledger, after) == expected
    ledger.close()


def test_visitors_who_saw_same_page_share_one_kept_text() -> None:
    clock, ledger = Clock(), MemoryLedger()
    app = install(site(), ledger=ledger, clock=clock)
    texts = []
    for _ in range(3):
        visitor = Visitor(app, HTML)
        visitor.accept()
        clock.forward(days=1)
        texts.append(visitor.get(PREFIX).text)
        visitor.send_form(form_of(texts[-1], "settings").pressed("refuse_all"))
        clock.forward(days=1)
    assert len(set(texts)) == 3
    assert len([name for kind, name, _ in ledger.cited() if kind == "texts"]) == 1


def test_kept_text_is_rendered_once_per_language(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, made = Clock(), list[str]()
    app = install(site(), ledger=MemoryLedger(), clock=clock)
    render = Pages.settings

    def settings(pages: Pages, decision: Decision, **more: Any) -> str:
        made.append(more["language"])
        return render(pages, decision, **more)

    visitors = [Visitor(app, HTML) for _ in range(5)]
    answer = {"source": "settings", "surface": "settings", "language": "ja", "policy": policy().version}
    monkeypatch.setattr(Pages, "settings", settings)
    for choice in ("accept_all", "refuse_all"):
        for visitor in visitors:
            assert visitor.post({**answer, "choice": choice}).status == 200
            clock.forward(days=1)
    assert made == ["ja", "en"] * 2, "once before an answer, and once after an answer of any day"
    root = f"/{'x' * 256}"
    for _ in range(2):
        Visitor(app, HTML).post({**answer, "choice": "accept_all"}, path=f"{root}{PREFIX}", root_path=root)
    assert made[4:] == ["ja", "en"] * 2, "a long path is not kept in the cache"


def test_kept_text_has_no_form_id_and_no_next_path() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    for path, surface, button in (
        (f"{PREFIX}/question", "banner", "refuse_all"),
        ("/map", "box", "grant"),
        ("/everything", "page", "grant"),
        (PREFIX, "settings", "refuse_all"),
    ):
        form = form_of(visitor.get(path).text, surface)
        once = dict(form.hidden)["once"]
        assert len(once) == 22
        assert visitor.send_form(form.pressed(button)).status == 303
        html, prevailing = kept_texts(ledger, visitor)
        assert once not in html + prevailing
        assert 'name="once" value=""' in html
        assert 'value="/map' not in html


@pytest.mark.parametrize(
    ("sent", "surface"),
    [
        ({"source": "api"}, None),
        ({}, None),
        ({"surface": "letter"}, None),
        ({"source": "banner"}, None),
        ({"source": "settings"}, None),
        ({"source": "feature"}, None),
        ({"source": "api", "surface": "banner"}, "banner"),
        ({"source": "feature", "surface": "box", "feature": "map"}, "box"),
        ({"source": "feature", "surface": "box", "feature": "nothing"}, "box"),
        ({"source": "feature", "surface": "box"}, "box"),
        ({"source": "feature", "surface": "page", "feature": "map"}, "page"),
    ],
)
def test_text_is_kept_only_for_known_surfaces(sent: dict[str, str], surface: str | None) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger))
    assert visitor.post({"choice": "accept_all", **sent}).status == 200
    record = newest_record(ledger, visitor)
    assert record["surface"] == surface
    assert (run(explain(ledger, record)) is None) == (surface is None)
    assert surface is None or surface in SURFACES
    assert record["feature"] == ("map" if sent.get("feature") == "map" else None)


# The build.


def test_build_is_hash_of_templates_and_assets() -> None:
    templates = sorted((Path(__file__).parents[2] / "cookie_consent" / "pages" / "templates").glob("*.html"))
    parts = [*(path.read_bytes() for path in templates), *(asset.content for asset in assets().values())]
    assert len(templates) > 8
    assert hash_sources() == hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
