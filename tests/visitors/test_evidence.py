"""What was shown when an answer was given: told years later, word for word."""

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
from cookie_consent.enforcement.features import fallback_box
from cookie_consent.ledgers import Ledger, MemoryLedger, open_ledger
from cookie_consent.visitors.pages.assets import assets
from cookie_consent.visitors.pages.evidence import SURFACES, body_of, build, explain
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.wording import written_day
from tests.support.asgi import NOW, PAGE, PREFIX, SITE, Clock, Visitor, install, policy, run, without_once
from tests.support.browsers.browser import Form, forms
from tests.support.policies import KEY, full_in, text_of

HTML = [("accept", "text/html")]
NEXT = re.compile(r'<input type="hidden" name="next" value="[^"]*">\n')
NEXT_IN_LINK = re.compile(r'(?:&amp;|&)next=[^"#]*')


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    ledger = MemoryLedger() if request.param == "memory" else open_ledger(f"sqlite:///{tmp_path}/consent.db")
    yield ledger
    ledger.close()


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


def in_japanese(app: ASGIApp) -> Visitor:
    return Visitor(app, [*HTML, ("accept-language", "ja")])


def plain(html: str) -> str:
    """Return a text as it is for everybody: without the way back, and without what only its form has."""
    return NEXT_IN_LINK.sub("", NEXT.sub("", without_once(html)))


def question_in(html: str) -> str:
    """Return the question that stands in a page."""
    return html[html.index("<link", html.index("<body")) : html.index("</script>") + len("</script>")]


def settings_of(html: str) -> str:
    """Return the settings page without the lines that name the visitor's own records."""
    return re.sub(r"<li>[^\n]*(?:<code>|/records\?)[^\n]*</li>\n", "", without_once(html))


def form_of(html: str, surface: str) -> Form:
    return next(form for form in forms(html) if ("surface", surface) in form.hidden)


def last(ledger: Ledger, visitor: Visitor) -> dict[str, Any]:
    """Return the visitor's newest record; after a plain refusal, which has no id, the newest of all."""
    records: list[dict[str, Any]] = visitor.get(f"{PREFIX}/export").json["consent_records"]
    if records:
        assert records == run(ledger.records(records[0]["consent_id"]))
        return records[-1]
    newest: dict[str, Any] = [json.loads(link.document) for link in ledger.links() if link.document][-1]
    assert newest["consent_id"] is None
    return newest


def words(key: str) -> str:
    return escape(text_of(policy(), "en", key))


def attach(visitor: Visitor, record: dict[str, Any]) -> None:
    """Attach a note to a record."""
    said = {"record": record["record_id"], "note": "Mine"}
    assert visitor.post(said, path=f"{PREFIX}/records/note").status in (201, 303)


def told(ledger: Ledger, visitor: Visitor) -> tuple[str, str]:
    """Return what the visitor's newest record tells: as shown, and in the prevailing language."""
    explained = run(explain(ledger, last(ledger, visitor)))
    return explained.html, explained.prevailing_html


# The very text, on each surface.


def test_the_banner_in_a_page_is_told_as_it_stood_there(ledger: Ledger) -> None:
    app = install(site(), ledger=ledger)
    visitor = Visitor(app, HTML)
    shown, prevailing = visitor.get("/", query=b"language=ja").text, visitor.get("/").text
    visitor.send_form(form_of(shown, "banner").pressed("refuse_all"))
    assert told(ledger, visitor) == (plain(question_in(shown)), plain(question_in(prevailing)))
    assert text_of(policy(), "ja", "banner_title") in told(ledger, visitor)[0]
    assert (last(ledger, visitor)["language"], last(ledger, visitor)["surface"]) == ("ja", "banner")


@pytest.mark.parametrize("layout", ["corner", "bar", "modal"])
def test_the_banner_by_itself_is_told_byte_for_byte(layout: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger, layout=layout))
    shown = visitor.get(f"{PREFIX}/question").text
    visitor.send_form(form_of(shown, "banner").pressed("accept_all"))
    assert told(ledger, visitor) == (without_once(shown), without_once(shown))


def test_the_banner_that_was_called_for_again_is_told_with_the_answer_that_it_showed(ledger: Ledger) -> None:
    clock = Clock()
    visitor = in_japanese(install(ledger=ledger, clock=clock))
    visitor.save(media=True)
    clock.forward(days=3)
    shown = visitor.get(f"{PREFIX}/question", query=b"again").text
    prevailing = visitor.get(f"{PREFIX}/question", query=b"again&language=en").text
    assert 'value="media" aria-describedby="pchoice-about-media" checked' in shown
    visitor.send_form(form_of(shown, "again").pressed("accept_all"))
    assert told(ledger, visitor) == (without_once(shown), without_once(prevailing))
    assert (last(ledger, visitor)["source"], last(ledger, visitor)["surface"]) == ("settings", "again")


def test_the_settings_page_is_told_before_a_first_answer(ledger: Ledger) -> None:
    visitor = in_japanese(install(ledger=ledger))
    shown = visitor.get(PREFIX).text
    prevailing = visitor.get(PREFIX, query=b"language=en").text
    visitor.send_form(form_of(shown, "settings").pressed("accept_all"))
    html, prevailing_html = told(ledger, visitor)
    assert (html, prevailing_html) == (without_once(shown), without_once(prevailing))


@pytest.mark.parametrize("days", [0, 1, 100, 179])
def test_the_settings_page_is_told_with_the_dates_that_this_visitor_saw(ledger: Ledger, days: int) -> None:
    clock = Clock()
    visitor = in_japanese(install(ledger=ledger, clock=clock))
    visitor.save(media=True)
    clock.forward(days=days, seconds=61)
    shown = visitor.get(PREFIX).text
    prevailing = visitor.get(PREFIX, query=b"language=en").text
    for date in ("2025-06-15", "2025-12-12"):
        assert f'<time datetime="{date}">' in shown
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    clock.forward(days=30)
    html, prevailing_html = told(ledger, visitor)
    assert html == settings_of(shown)
    assert prevailing_html == settings_of(prevailing)


def test_a_change_of_the_policy_on_the_day_of_the_answer_before_keeps_its_date() -> None:
    text = SITE + '\n[[changes]]\ndate = 2025-06-15\ntext = { en = "A change.", ja = "変更。" }\n'
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(text=text, ledger=ledger, clock=clock))
    visitor.accept()
    clock.forward(days=2)
    shown = visitor.get(PREFIX).text
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    assert told(ledger, visitor)[0] == settings_of(shown)
    assert shown.count('<time datetime="2025-06-15">') == 2


@pytest.mark.parametrize("languages", [("he", "hu"), ("fa", "th"), ("zh-Hant", "ar")])
def test_dates_are_told_in_the_writing_of_each_language(languages: tuple[str, str]) -> None:
    prevailing_language, language = languages
    clock, ledger = Clock(), MemoryLedger()
    app = ConsentMiddleware(site(), full_in(*languages), KEY, ledger=ledger, clock=clock)
    visitor = Visitor(app, [("accept-language", language)])
    visitor.accept()
    clock.forward(days=2)
    shown = visitor.get(PREFIX).text
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    html, prevailing_html = told(ledger, visitor)
    for text, tag in ((html, language), (prevailing_html, prevailing_language)):
        assert written_day(NOW, tag) in text
        assert written_day(NOW + 180 * 86_400, tag) in text
        assert "⟦" not in text
    assert html == settings_of(shown)


def test_another_lifetime_has_another_date() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock, consent_days=30))
    visitor.accept()
    clock.forward(days=2)
    shown = visitor.get(PREFIX).text
    assert '<time datetime="2025-07-15">' in shown
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    assert told(ledger, visitor)[0] == settings_of(shown)


def box_in(html: str) -> str:
    return html[html.rindex("<link") : html.rindex("<h1>")]


def test_a_box_is_told_as_it_stood_in_its_page(ledger: Ledger) -> None:
    app = install(site(), ledger=ledger, inject=False)
    visitor = in_japanese(app)
    shown, prevailing = visitor.get("/map").text, Visitor(app, HTML).get("/map").text
    visitor.send_form(form_of(shown, "box").pressed("grant"))
    record = last(ledger, visitor)
    assert told(ledger, visitor)[1] == plain(box_in(prevailing))
    assert told(ledger, visitor)[0] == plain(box_in(shown))
    assert (record["surface"], record["feature"], record["source"]) == ("box", "map", "feature")


@pytest.mark.parametrize(("path", "feature"), [("/offices", "map"), ("/everything", None)])
def test_a_page_in_place_of_a_feature_is_told_as_it_was(ledger: Ledger, path: str, feature: str | None) -> None:
    visitor = in_japanese(install(site(), ledger=ledger))
    shown = visitor.get(path).text
    assert "⟦" not in shown
    visitor.send_form(form_of(shown, "page").pressed("grant"))
    assert visitor.get(path).text == path.removeprefix("/")
    assert told(ledger, visitor)[0] == plain(shown)
    record = last(ledger, visitor)
    assert (record["surface"], record["feature"], record["language"]) == ("page", feature, "ja")
    assert text_of(policy(), "en", "unavailable_page") in told(ledger, visitor)[1] or feature == "map"


def test_a_page_names_only_what_was_missing() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    visitor.save(media=True)
    shown = visitor.get("/everything").text
    visitor.send_form(form_of(shown, "page").pressed("grant"))
    assert told(ledger, visitor)[0] == plain(shown)
    assert "Maps and videos" not in shown


def test_a_page_names_nothing_that_was_allowed_though_the_answer_allows_it_again() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    visitor.save(media=True)
    shown = visitor.get("/everything").text
    form = form_of(shown, "page")
    purposes = {"analytics": True, "media": True}
    visitor.post({**dict(form.hidden), "choice": "save", "source": "feature", "purposes": purposes}, HTML)
    assert told(ledger, visitor)[0] == plain(shown)


@pytest.mark.parametrize("signals", [[("sec-gpc", "1")], [("dnt", "1"), ("sec-gpc", "1")]])
@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/question", "/offices"])
def test_what_was_said_of_a_signal_is_told_too(signals: list[tuple[str, str]], path: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), [*HTML, *signals])
    surface, query = {PREFIX: ("settings", b""), "/offices": ("page", b"")}.get(path, ("again", b"again"))
    shown = visitor.get(path, query=query).text
    assert "Global Privacy Control" in shown
    button = "grant" if surface == "page" else "accept_all"
    visitor.send_form(form_of(shown, surface).pressed(button))
    html = told(ledger, visitor)[0]
    if surface == "settings":
        assert html == settings_of(shown)
    else:
        assert html == plain(shown)


@pytest.mark.parametrize("answered", [False, True])
def test_on_a_page_of_a_service_its_own_text_is_told(ledger: Ledger, answered: bool) -> None:
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    if answered:
        visitor.accept()
    shown = visitor.get(f"{PREFIX}/question", query=b"again&next=/whois/map").text
    visitor.send_form(form_of(shown, "again").pressed("refuse_all"))
    assert told(ledger, visitor)[0] == plain(shown)
    assert last(ledger, visitor)["service"] == "whois"
    assert "Access tracing" not in told(ledger, visitor)[0]


def test_a_banner_from_before_another_answer_is_told_without_that_answer() -> None:
    """It had no ticks, and nothing may look as if it had: a box that is ticked beforehand is no consent."""
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    shown = visitor.get("/").text
    visitor.accept()
    visitor.send_form(form_of(shown, "banner").pressed("refuse_all"))
    assert told(ledger, visitor)[0] == plain(question_in(shown))
    assert " checked" not in told(ledger, visitor)[0]


def test_a_banner_that_asks_anew_is_told_with_what_it_said_of_the_change(ledger: Ledger) -> None:
    before = Visitor(install(site(), ledger=ledger), HTML)
    before.accept()
    changed = SITE.replace('receives = { en = "IP address"', 'receives = { en = "IP address, the page"')
    changed = changed.replace('origins = ["https://maps.example.com"]', 'origins = ["https://other.example.com"]')
    visitor = Visitor(install(site(), changed, ledger=ledger), HTML)
    visitor.jar = before.jar
    shown = visitor.get("/").text
    assert text_of(policy(), "en", "banner_changed") in shown
    visitor.send_form(form_of(shown, "banner").pressed("accept_all"))
    assert told(ledger, visitor)[0] == plain(question_in(shown))


def test_under_a_mount_path_the_text_is_that_of_the_mounted_site() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger))
    shown = visitor.get(f"/shop{PREFIX}/question", root_path="/shop").text
    visitor.send_form(form_of(shown, "banner").pressed("accept_all"), path=f"/shop{PREFIX}", root_path="/shop")
    assert told(ledger, visitor)[0] == without_once(shown)
    assert f'action="/shop{PREFIX}"' in shown


# What lay open while an answer was given elsewhere, in another tab for example.


@pytest.mark.parametrize("days", [0, 3])
def test_a_settings_page_from_before_the_first_answer_is_told_without_that_answer(ledger: Ledger, days: int) -> None:
    clock = Clock()
    visitor = in_japanese(install(site(), ledger=ledger, clock=clock))
    shown, prevailing = visitor.get(PREFIX).text, visitor.get(PREFIX, query=b"language=en").text
    visitor.accept()
    clock.forward(days=days, seconds=5)
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    assert told(ledger, visitor) == (without_once(shown), without_once(prevailing))
    assert last(ledger, visitor)["event"] == "withdrawn"
    assert words("status_granted") not in told(ledger, visitor)[1]


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/question"])
@pytest.mark.slow
def test_what_showed_an_earlier_answer_is_told_with_that_answer_and_its_dates(ledger: Ledger, path: str) -> None:
    clock = Clock()
    visitor = Visitor(install(site(), ledger=ledger, clock=clock), HTML)
    visitor.save(media=True)
    clock.forward(days=2)
    shown = visitor.get(path, query=b"again").text
    visitor.accept()
    attach(visitor, last(ledger, visitor))
    clock.forward(days=2)
    form = form_of(shown, "settings" if path == PREFIX else "again")
    visitor.send_form(form.pressed("refuse_all"))
    assert settings_of(told(ledger, visitor)[0]) == settings_of(shown)
    assert words("status_partial") in told(ledger, visitor)[0]
    assert last(ledger, visitor)["answered_before"] == "2025-06-17T15:06:40Z"


def test_a_box_is_told_with_what_was_off_when_it_was_shown(ledger: Ledger) -> None:
    clock = Clock()
    visitor = Visitor(install(site(), ledger=ledger, clock=clock, inject=False), HTML)
    shown = visitor.get("/map").text
    visitor.accept()
    clock.forward(days=1)
    visitor.send_form(form_of(shown, "box").pressed("grant"))
    assert told(ledger, visitor)[0] == plain(box_in(shown))


def test_a_page_in_place_of_a_feature_is_told_with_what_was_off_when_it_was_shown(ledger: Ledger) -> None:
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
    assert told(ledger, visitor)[0] == plain(shown)
    assert words("why_refused") in shown


def test_a_page_that_showed_a_refusal_of_which_only_the_cookie_knew_tells_no_text(ledger: Ledger) -> None:
    clock = Clock()
    visitor = Visitor(install(site(), ledger=ledger, clock=clock), HTML)
    visitor.refuse()
    clock.forward(days=1)
    shown = visitor.get("/everything").text
    visitor.save(media=True)
    clock.forward(days=1)
    visitor.send_form(form_of(shown, "page").pressed("grant"))
    assert last(ledger, visitor)["text"] is None


def test_a_page_that_showed_an_answer_without_a_record_tells_no_text() -> None:
    """So it is with an answer from before there was a ledger, when another was given since."""
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
    record = last(ledger, visitor)
    assert (record["surface"], record["text"]) == (None, None)


@pytest.mark.parametrize(
    ("answered", "text"),
    [
        *((malformed, True) for malformed in ("", "x", "-1", "1.5", "1e9", "٣", "9" * 11, " 0", "0 ", "\0")),
        *((of_nobody, False) for of_nobody in ("1", "1749999999", "1750000001", "9" * 10)),
        ("0", True),
        ("1750000000", True),
    ],
)
def test_whatever_a_form_says_that_it_showed_the_answer_counts(ledger: Ledger, answered: str, text: bool) -> None:
    visitor = Visitor(install(ledger=ledger, clock=Clock()))
    visitor.accept()
    said = {"choice": "refuse_all", "source": "settings", "surface": "settings", "answered": answered}
    assert visitor.post(said).status == 200
    record = last(ledger, visitor)
    assert (record["event"], record["text"] is not None) == ("withdrawn", text)


def test_the_same_question_says_to_each_visitor_which_answer_it_shows() -> None:
    clock = Clock()
    app = install(clock=clock)
    for _ in range(2):
        visitor = Visitor(app)
        visitor.accept()
        for path, surface in ((f"{PREFIX}/question", "again"), (PREFIX, "settings")):
            form = form_of(visitor.get(path, query=b"again").text, surface)
            assert dict(form.hidden)["answered"] == str(int(clock.now))
        clock.forward(seconds=10)


def test_a_form_cannot_show_the_answer_of_somebody_else(ledger: Ledger) -> None:
    clock = Clock()
    app = install(ledger=ledger, clock=clock)
    Visitor(app).accept()
    clock.forward(seconds=10)
    visitor = Visitor(app)
    for said in ({}, {"answered": str(int(NOW))}):
        visitor.post({"choice": "save", "purposes": {"media": not said}, "surface": "settings", **said})
    assert last(ledger, visitor)["text"] is None


# What stood over the settings page.


def test_the_settings_page_that_says_that_the_policy_has_changed_is_told_with_that(ledger: Ledger) -> None:
    visitor = in_japanese(install(site(), ledger=ledger))
    reply = visitor.send_form("choice=accept_all&policy=0000000000000000&surface=settings&language=ja")
    assert reply.status == 409
    visitor.send_form(form_of(reply.text, "settings").pressed("accept_all"))
    assert told(ledger, visitor)[0] == without_once(reply.text)
    assert words("error_policy_changed") in told(ledger, visitor)[1]


@pytest.mark.parametrize("answers", [True, False])
def test_the_settings_page_that_says_what_was_erased_is_told_with_that(ledger: Ledger, answers: bool) -> None:
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    if answers:
        visitor.accept()
    shown = visitor.get(PREFIX, query=b"erased").text
    visitor.send_form(form_of(shown, "settings").pressed("refuse_all"))
    assert told(ledger, visitor)[0] == settings_of(shown)
    assert words("erased") in told(ledger, visitor)[0]
    assert (words("proof_stays") in told(ledger, visitor)[0]) == answers


@pytest.mark.parametrize("notice", ["kept", "error_too_many", "x" * 9999, "<script>", "\0", "地図"])
def test_a_notice_that_no_settings_page_has_is_none(ledger: Ledger, notice: str) -> None:
    visitor = Visitor(install(ledger=ledger))
    shown = visitor.get(PREFIX).text
    assert visitor.post({"choice": "accept_all", "surface": "settings", "notice": notice}).status == 200
    assert told(ledger, visitor)[0] == without_once(shown)


# Years later.


@pytest.mark.slow
def test_what_was_shown_stays_what_it_was_whatever_the_site_says_now(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/consent.db"
    ledger = open_ledger(url)
    before = Visitor(install(site(), ledger=ledger), HTML)
    shown, prevailing = before.get("/", query=b"language=ja").text, before.get(f"{PREFIX}/question").text
    before.send_form(form_of(shown, "banner").pressed("accept_all"))
    expected = (plain(question_in(shown)), without_once(prevailing))
    assert told(ledger, before) == expected
    ledger.close()
    now = (
        SITE.replace("We count visits.", "We count all.")
        .replace("地図と動画", "動画")
        .replace("[purposes.a", "[purposes.z")
    )
    now = now.replace('purpose = "analytics"', 'purpose = "znalytics"').replace("whois.purposes.a", "whois.purposes.z")
    now += '\n[texts.ja]\nbanner_title = "別の題"\n\n[texts.en]\nbanner_title = "Another title"\n'
    ledger = open_ledger(url)
    after = Visitor(install(site(), now, ledger=ledger, layout="modal"), HTML)
    after.jar = before.jar
    assert "Another title" in after.get(f"{PREFIX}/question").text
    assert told(ledger, after) == expected
    ledger.close()


def test_two_visitors_who_saw_the_same_have_one_text() -> None:
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


def test_a_text_that_many_saw_is_made_once_in_each_language(monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert made == ["ja", "en"] * 2, "before an answer, and with one of whichever day"
    root = f"/{'x' * 256}"
    for _ in range(2):
        Visitor(app, HTML).post({**answer, "choice": "accept_all"}, path=f"{root}{PREFIX}", root_path=root)
    assert made[4:] == ["ja", "en"] * 2, "a long path is no key of what is kept"


def test_neither_the_id_of_a_form_nor_the_way_back_is_in_what_is_kept() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    for path, surface, button in (
        ("/map", "box", "grant"),
        ("/everything", "page", "grant"),
        (PREFIX, "settings", "refuse_all"),
        (f"{PREFIX}/question", "banner", "accept_all"),
    ):
        form = form_of(visitor.get(path).text, surface)
        once = dict(form.hidden)["once"]
        assert len(once) == 22
        assert visitor.send_form(form.pressed(button)).status == 303
        html, prevailing = told(ledger, visitor)
        assert once not in html + prevailing
        assert 'name="once" value=""' in html
        assert 'value="/map' not in html


@pytest.mark.parametrize(
    ("said", "surface"),
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
def test_a_text_is_told_only_where_one_of_ours_was_shown(said: dict[str, str], surface: str | None) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger))
    assert visitor.post({"choice": "accept_all", **said}).status == 200
    record = last(ledger, visitor)
    assert record["surface"] == surface
    assert (run(explain(ledger, record)) is None) == (surface is None)
    assert surface is None or surface in SURFACES
    assert record["feature"] == ("map" if said.get("feature") == "map" else None)


def test_a_record_by_a_signal_or_a_note_tells_no_text() -> None:
    for record in ({"event": "signal"}, {"event": "note"}, {"text": None}):
        assert run(explain(MemoryLedger(), record)) is None


# What can be shown inside of another page.


def test_a_text_is_shown_without_what_belongs_to_a_page_as_a_whole() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger), HTML)
    for path in ("/map", "/offices", PREFIX, f"{PREFIX}/question"):
        shown = visitor.get(path).text
        inside = body_of(shown)
        for whole in ("<body", "<html", "<head>", "<main", "<script", "<link", "doctype"):
            assert whole not in inside
        assert "<p" in inside
        assert inside in re.sub(r"</?main>|<link [^>]*>|<script [^>]*></script>", "", shown)


def test_what_is_no_page_is_shown_whole() -> None:
    assert body_of("<p>Only this.</p>") == "<p>Only this.</p>"
    assert body_of('<link rel="x" href="/y"><p>&lt;link a&gt;</p><script src="z"></script>') == "<p>&lt;link a&gt;</p>"
    assert body_of("<html><body>\n<main>Text</main>\n</body></html>") == "\nText\n"
    assert body_of("") == ""


def test_a_dialog_does_not_lie_over_the_page_that_shows_it() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(site(), ledger=ledger, layout="modal"), HTML)
    shown = visitor.get(f"{PREFIX}/question").text
    assert "<dialog " in shown
    assert "dialog" not in re.sub(r'"[^"]*"', "", body_of(shown))
    assert body_of("<dialogue>") == "<dialogue>"


# What made it.


def test_the_build_is_the_hash_of_all_that_questions_are_made_of() -> None:
    templates = sorted(
        (Path(__file__).parents[2] / "cookie_consent" / "visitors" / "pages" / "templates").glob("*.html")
    )
    parts = [*(path.read_bytes() for path in templates), *(asset.content for asset in assets().values())]
    assert len(templates) > 8
    assert build() == hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
