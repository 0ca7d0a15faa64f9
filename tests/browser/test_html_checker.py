"""Tests with the Nu Html Checker: our own pages, and what we add to pages."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlencode

import pytest

from cookie_consent.report.page.page import live_page
from cookie_consent.report.page.page import page as report_page
from tests.endpoints.test_do_not_sell import PATH as OPT_OUT
from tests.endpoints.test_do_not_sell import SELLS
from tests.endpoints.test_help_desk import Person
from tests.endpoints.test_laws import COUNTRY, with_laws
from tests.support.asgi import PREFIX, Reply, install
from tests.support.asgi import Visitor as Browser
from tests.support.asgi import page_app as asgi_page
from tests.support.browsers.visitor_browser import ROOT
from tests.support.report_sample import compared_report, sample_report
from tests.support.sites.checked_pages import DOCUMENTS, make_pages
from tests.support.sites.three_language_site import LANGUAGES, app

pytestmark = [pytest.mark.slow, pytest.mark.one_python]

CHECKER = ROOT / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
SITE = f"/corner{PREFIX}"
HTML = [("accept", "text/html")]
FAULTY = '<!doctype html><html lang="en"><title>Faulty</title><p hx-boost="false"><section role="region"></section>'


def visitor_with_answer(language: str, choice: str = "") -> Browser:
    """Return a visitor of the museum who has given this answer in the banner, or none."""
    visitor = Browser(app, [*HTML, ("accept-language", language)], scheme="http")
    if choice:
        given = {"choice": choice, "source": "banner", "surface": "banner", "language": language}
        visitor.post(given, path=SITE)
    return visitor


def own_page(path: str, choice: str = "") -> Callable[[str], Reply]:
    """Return a function that requests one of our own pages after an answer."""
    return lambda language: visitor_with_answer(language, choice).get(
        SITE + path, query=f"language={language}&next=/a".encode()
    )


def page_with_link(choice: str = "") -> Callable[[str], Reply]:
    """Return a function that requests a page with injected settings link."""
    return lambda language: visitor_with_answer(language, choice).get(f"/linked/{language}/")


def settings_in_place(language: str) -> Reply:
    """Return a page with the settings that the script loads."""
    visitor = visitor_with_answer(language, "accept_all")
    reply = visitor.get(f"{SITE}/question", query=f"again&language={language}".encode())
    shell = f'<!doctype html><html lang="{language}"><head><title>A page</title></head><body><h1>A page</h1>'
    reply.messages[1:] = [{"type": "http.response.body", "body": shell.encode() + reply.body}]
    return reply


def error_page(language: str) -> Reply:
    """Return the page for an invalid answer."""
    return visitor_with_answer(language).send_form(urlencode({"choice": "nonsense", "language": language}), path=SITE)


def outdated_answer(language: str) -> Reply:
    """Return the page for an answer to an earlier policy."""
    given = {"choice": "refuse_all", "policy": "0123456789abcdef", "language": language}
    return visitor_with_answer(language).send_form(urlencode(given), path=SITE)


def after_form(address: str) -> Callable[[str], Reply]:
    """Return a function that requests the page after a refusal without JavaScript, which says that it is saved."""

    def page(language: str) -> Reply:
        visitor = visitor_with_answer(language)
        visitor.send_form(urlencode({"choice": "refuse_all", "surface": "banner", "language": language}), path=SITE)
        return visitor.get(address.format(language=language), query=f"language={language}&next=/a".encode())

    return page


def request_received(language: str) -> Reply:
    """Return the page after a request to the help desk."""
    return Person().write(address="a@b.example")


def request_refused(language: str) -> Reply:
    """Return the page for a request to the help desk that has no text."""
    return Person().write(text="")


def seller_page(language: str, path: str, signals: Sequence[tuple[str, str]] = (("sec-gpc", "1"),)) -> Reply:
    """Return a page of a site that sells personal data."""
    site = install(asgi_page(), SELLS, settings_link=True)
    return Browser(site, [*HTML, ("accept-language", language), *signals]).get(path)


def page_under_law(country: str, path: str) -> Callable[[str], Reply]:
    """Return a function that requests a page of a site that follows the law of the visitor's place."""

    def page(language: str) -> Reply:
        site = install(asgi_page(), with_laws(), settings_link=True, country=COUNTRY)
        visitor = Browser(site, [*HTML, (COUNTRY, country), ("accept-language", language)])
        return visitor.get(path, query=f"language={language}".encode())

    return page


def shared_page(language: str) -> Reply:
    """Return a page that is the same for everybody."""
    site = install(asgi_page(), settings_link=True, shared_pages=True, language=lambda _: language)
    return Browser(site, HTML).get()


PAGES: dict[str, Callable[[str], Reply]] = {
    "banner": page_with_link(),
    "banner in a bar": lambda language: visitor_with_answer(language).get(f"/bar/{language}/"),
    "banner in a dialog": lambda language: visitor_with_answer(language).get(f"/modal/{language}/"),
    "settings in place": settings_in_place,
    "link": page_with_link("refuse_all"),
    "link of a visitor who is traced": page_with_link("accept_all"),
    "fallback box": lambda language: visitor_with_answer(language, "refuse_all").get(f"/linked/{language}/way"),
    "card": lambda language: visitor_with_answer(language, "refuse_all").get(f"/linked/{language}/map"),
    "explaining page": lambda language: visitor_with_answer(language).get(f"/corner/{language}/film"),
    "settings page": own_page(""),
    "settings page after an answer": own_page("", "accept_all"),
    "settings page after an error": outdated_answer,
    "page that says an answer is saved": after_form("/linked/{language}/"),
    "settings page that says an answer is saved": after_form(SITE),
    "error page": error_page,
    "not found page": own_page("/nothing"),
    "requests page": own_page("/requests"),
    "do not sell": lambda language: seller_page(language, OPT_OUT, ()),
    "do not sell with a signal": lambda language: seller_page(language, OPT_OUT),
    "link of a site that sells": lambda language: seller_page(language, "/"),
    "settings page of a site that sells": lambda language: seller_page(language, PREFIX),
    "what is sent to whom": page_under_law("JP", f"{PREFIX}/transmission"),
    "link where the law asks to tell what is sent": page_under_law("JP", "/"),
    "settings page of a law of opting out": page_under_law("US", PREFIX),
    "page for everybody": shared_page,
    "request received": request_received,
    "request refused": request_refused,
}
ASKED = {
    "from": "2026-01-01",
    "to": "",
    "host": "",
    "period": "",
    "compare": "year",
    "step": "week",
    "where": ["event=search"],
}
REPORTS = {
    "report": report_page(sample_report()),
    "report that compares": report_page(compared_report()),
    "live report": live_page(ASKED, sample_report()),
    "live report that failed": live_page(ASKED, None, "There is no such day."),
}
LANGUAGES_OF = {
    **dict.fromkeys(("request received", "request sent too fast"), ("en",)),
    **dict.fromkeys(("do not sell", "do not sell with a signal"), ("en", "ja")),
    **dict.fromkeys(("link of a site that sells", "settings page of a site that sells"), ("en", "ja")),
    **dict.fromkeys(("what is sent to whom", "link where the law asks to tell what is sent"), ("en", "ja")),
    **dict.fromkeys(("settings page of a law of opting out", "page for everybody"), ("en", "ja")),
}
NAMES = [f"{name}, {language}" for name in PAGES for language in LANGUAGES_OF.get(name, LANGUAGES)]


EXPLAINED = {
    "Inline style violates Content Security Policy": "the policy has its hash, which the checker does not compute",
    "CSS: “container-type”: Property “container-type” doesn't exist": "container queries are newer than its CSS",
    "CSS: Unrecognized at-rule “@container”": "the same",
}
"""The beginning of a message about the style of the report -> why it is ignored."""


def check_pages(folder: Path, pages: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the errors and warnings of each page; one run of the checker checks all pages."""
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    options = ["--format", "json", "--exit-zero-always", "--stdout"]
    done = subprocess.run(["java", "-jar", CHECKER, *options, folder], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {name: [] for name in pages}
    for message in json.loads(done.stdout)["messages"]:
        name = Path(unquote(message["url"])).stem
        if name not in REPORTS or not message["message"].startswith(tuple(EXPLAINED)):
            found[name].append(f"{message['type']}: {message['message']} {message.get('extract', '')}")
    return found


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The errors and warnings of our own pages."""
    pages = {f"{name}, {language}": PAGES[name](language).text for name, language in (it.split(", ") for it in NAMES)}
    return check_pages(tmp_path_factory.mktemp("pages"), {**pages, **REPORTS, "faulty page": FAULTY})


def test_checker_reports_faulty_page(findings: dict[str, list[str]]) -> None:
    told = " ".join(findings["faulty page"])
    assert "hx-boost" in told
    assert "region" in told


def test_our_pages_are_valid_html(findings: dict[str, list[str]]) -> None:
    assert {name: found for name, found in findings.items() if found and name != "faulty page"} == {}


def count_errors(findings: Sequence[str]) -> Counter[str]:
    """Return the messages of errors, without the piece of the page."""
    return Counter(re.split(r"[.] ", it)[0] for it in findings if it.startswith("error"))


def test_pages_have_no_error_more_than_without_additions(tmp_path: Path) -> None:
    pages = {page.name: page for document in DOCUMENTS for page in make_pages(document)}
    findings = check_pages(tmp_path, {**DOCUMENTS, **{name: page.html for name, page in pages.items()}})
    more = {name: count_errors(findings[name]) - count_errors(findings[page.document]) for name, page in pages.items()}
    assert {name: errors for name, errors in more.items() if errors} == {}
