"""The Nu Html Checker finds nothing wrong in what we add to pages, nor in our own pages."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlencode, urlsplit

import pytest

from cookie_consent.report.page.page import live_page
from cookie_consent.report.page.page import page as report_page
from tests.support.asgi import PREFIX, Reply, install
from tests.support.asgi import Visitor as Browser
from tests.support.asgi import page as asgi_page
from tests.support.browsers.visitor_browser import ROOT
from tests.support.report_sample import compared_report, sample_report
from tests.support.sites.three_language_site import LANGUAGES, app
from tests.visitors.test_do_not_sell import PATH as OPT_OUT
from tests.visitors.test_do_not_sell import SELLS
from tests.visitors.test_help_desk import REQUESTS, Person

pytestmark = pytest.mark.browser

CHECKER = ROOT / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
SITE = f"/corner{PREFIX}"
HTML = [("accept", "text/html")]
FAULTY = '<!doctype html><html lang="en"><title>Faulty</title><p hx-boost="false"><section role="region"></section>'


def come(language: str, choice: str = "") -> Browser:
    """Come to the museum as somebody who has given this answer in the question, or none."""
    visitor = Browser(app, [*HTML, ("accept-language", language)], scheme="http")
    if choice:
        given = {"choice": choice, "source": "banner", "surface": "banner", "language": language}
        visitor.post(given, path=SITE)
    return visitor


def own(path: str, choice: str = "") -> Callable[[str], Reply]:
    """Return what shows a page of ours to those who gave an answer."""
    return lambda language: come(language, choice).get(SITE + path, query=f"language={language}&next=/a".encode())


def linked(choice: str = "") -> Callable[[str], Reply]:
    """Return what shows a page that has only what the middleware put in."""
    return lambda language: come(language, choice).get(f"/linked/{language}/")


def asked_in_place(language: str) -> Reply:
    """Show the question that a script brings into a page, in a page."""
    reply = come(language, "accept_all").get(f"{SITE}/question", query=f"again&language={language}".encode())
    shell = f'<!doctype html><html lang="{language}"><head><title>A page</title></head><body><h1>A page</h1>'
    reply.messages[1:] = [{"type": "http.response.body", "body": shell.encode() + reply.body}]
    return reply


def shown(language: str) -> Reply:
    """Show what was shown when an answer was given."""
    visitor = come(language, "accept_all")
    records = visitor.get(f"{SITE}/records", query=f"language={language}".encode()).text
    (address,) = re.findall(r'href="([^"]*/records/shown[^"]*)"', records)
    parts = urlsplit(unescape(address))
    return visitor.get(parts.path, query=parts.query.encode())


def failed(language: str) -> Reply:
    """Say that an answer was none."""
    return come(language).send_form(urlencode({"choice": "nonsense", "language": language}), path=SITE)


def outdated(language: str) -> Reply:
    """Ask again whoever answered to an earlier policy."""
    given = {"choice": "refuse_all", "policy": "0123456789abcdef", "language": language}
    return come(language).send_form(urlencode(given), path=SITE)


def received(language: str) -> Reply:
    """Say that a request was received."""
    return Person().write(address="a@b.example")


def too_fast(language: str) -> Reply:
    """Say that a request was sent too fast."""
    person = Person()
    return person.send_form(urlencode({"token": person.token(0), "kind": "see", "text": "What?"}), path=REQUESTS)


def seller(language: str, path: str) -> Reply:
    """Show a page of a site that sells."""
    site = install(asgi_page(), SELLS, settings_link=True)
    return Browser(site, [*HTML, ("accept-language", language), ("sec-gpc", "1")]).get(path)


PAGES: dict[str, Callable[[str], Reply]] = {
    "question": linked(),
    "question in a bar": lambda language: come(language).get(f"/bar/{language}/"),
    "question in a dialog": lambda language: come(language).get(f"/modal/{language}/"),
    "question in place": asked_in_place,
    "link": linked("refuse_all"),
    "link of a visitor who is traced": linked("accept_all"),
    "box": lambda language: come(language, "refuse_all").get(f"/linked/{language}/way"),
    "explaining page": lambda language: come(language).get(f"/corner/{language}/film"),
    "settings page": own(""),
    "settings page after an answer": own("", "accept_all"),
    "settings page after an error": outdated,
    "error page": failed,
    "nothing there": own("/nothing"),
    "records page": own("/records", "accept_all"),
    "what was shown": shown,
    "receipt page": own("/receipt/page", "accept_all"),
    "requests page": own("/requests"),
    "do not sell": lambda language: seller(language, OPT_OUT),
    "link of a site that sells": lambda language: seller(language, "/"),
    "settings page of a site that sells": lambda language: seller(language, PREFIX),
    "request received": received,
    "request sent too fast": too_fast,
}
ASKED = {"from": "2026-01-01", "to": "", "host": "", "path": "/shop", "compare": "1"}
REPORTS = {
    "report": report_page(sample_report()),
    "report that compares": report_page(compared_report()),
    "live report": live_page(ASKED, sample_report()),
    "live report that failed": live_page(ASKED, None, "There is no such day."),
}
LANGUAGES_OF = {
    **dict.fromkeys(("request received", "request sent too fast"), ("en",)),
    **dict.fromkeys(("do not sell", "link of a site that sells", "settings page of a site that sells"), ("en", "ja")),
}
NAMES = [f"{name}, {language}" for name in PAGES for language in LANGUAGES_OF.get(name, LANGUAGES)]


EXPLAINED = {
    "Inline style violates Content Security Policy": "the policy has its hash, which the checker does not compute",
    "CSS: “container-type”: Property “container-type” doesn't exist": "container queries are newer than its CSS",
    "CSS: Unrecognized at-rule “@container”": "the same",
}
"""The beginning of a message about the report's own style -> why nothing is wrong."""


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the checker says of each page, errors and warnings; one start of Java checks them all."""
    folder = tmp_path_factory.mktemp("pages")
    made = {f"{name}, {language}": PAGES[name](language).text for name, language in (it.split(", ") for it in NAMES)}
    made |= {**REPORTS, "faulty page": FAULTY}
    for name, html in made.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    options = ["--format", "json", "--exit-zero-always", "--stdout"]
    done = subprocess.run(["java", "-jar", CHECKER, *options, folder], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {name: [] for name in made}
    for message in json.loads(done.stdout)["messages"]:
        name = Path(unquote(message["url"])).stem
        if name not in REPORTS or not message["message"].startswith(tuple(EXPLAINED)):
            found[name].append(f"{message['message']} {message.get('extract', '')}")
    return found


def test_checker_reports_faulty_page(findings: dict[str, list[str]]) -> None:
    told = " ".join(findings["faulty page"])
    assert "hx-boost" in told
    assert "region" in told


@pytest.mark.parametrize("name", [*NAMES, *REPORTS])
def test_page_is_valid_html(findings: dict[str, list[str]], name: str) -> None:
    assert findings[name] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_checked_pages_contain_expected_markup(language: str) -> None:
    holds = {
        "question": ('class="pchoice pchoice-corner"', 'class="pchoice-way-back"'),
        "question in a bar": ('class="pchoice pchoice-bar"',),
        "question in a dialog": ("<dialog ",),
        "question in place": ("data-again",),
        "link": ('class="pchoice-way-back"',),
        "box": ('class="pchoice-box"',),
        "explaining page": ('value="grant"',),
        "settings page": ('value="save"',),
        "settings page after an answer": ("/receipt/page",),
        "settings page after an error": ('role="alert"', 'value="save"'),
        "error page": ('role="alert"',),
        "nothing there": ('role="alert"',),
        "records page": ('name="note"',),
        "what was shown": ("pchoice-shown",),
        "receipt page": ("receipt.json",),
        "requests page": ('name="reference"',),
        "do not sell": ('value="opt_out"', "pchoice-signal"),
        "link of a site that sells": ('class="pchoice-honoured"', "/do-not-sell"),
        "settings page of a site that sells": ("/do-not-sell", "pchoice-signal"),
        "request received": ("pchoice-notice",),
        "request sent too fast": ('role="alert"',),
    }
    pages = {name: PAGES[name](language).text for name in holds}
    assert [(name, mark) for name, marks in holds.items() for mark in marks if mark not in pages[name]] == []
