"""Tests of a visitor's own data in a browser: records, notes, receipt, export, erasure and the help desk.

Also: a double click leaves one consent record.
"""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from cookie_consent import Policy
from cookie_consent.ledgers import open_ledger
from cookie_consent.visitors.pages.wording import Wording
from tests.support.browsers.axe import run_axe
from tests.support.browsers.visitor_browser import (
    PREFIX,
    REGISTRY,
    NewVisitor,
    Sites,
    Visitor,
    registry_sites,
    with_and_without_scripts,
)
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

POLICY = Policy.load(REGISTRY / "consent.toml")
COMMAND = [sys.executable, "-c", "import sys; from cookie_consent.cli import main; sys.exit(main())", "requests"]
"""The command with which the help desk works."""
NOTE = "It was my child who answered.\nPlease keep that in mind."
A4 = {"width": 794, "height": 1123}
"""In pixels of CSS, without margins."""
TRACED = {"/names", "/account"}
"""The pages that the visitor opens after consent."""


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The registry sites, with a ledger of their own."""
    with registry_sites(tmp_path_factory.mktemp("own-data")) as sites:
        yield sites


@pytest.mark.parametrize(
    ("scripts", "language"),
    [(True, "en"), (False, "ja")],
    ids=["with JavaScript, in English", "without JavaScript, in Japanese"],
)
def test_visitor_reads_annotates_exports_and_erases_own_data(
    new_visitor: NewVisitor, scripts: bool, language: str
) -> None:
    visitor = new_visitor(java_script_enabled=scripts, locale=language, accept_downloads=True)
    words = Wording(POLICY, language)
    asked = accept_and_visit_pages(visitor)
    consent_id, visitor_id = read_settings_page(visitor, words)
    check_record(visitor, words)
    check_shown_text(visitor, words, asked)
    attach_note_by_keyboard(visitor, words)
    check_receipt(visitor, words, consent_id)
    check_export(visitor, words, consent_id, visitor_id)
    erase_and_check_notice(visitor, words, visitor_id)
    withdraw_and_check_records(visitor, words)


def accept_and_visit_pages(visitor: Visitor) -> str:
    """Accept, visit two pages, and return the text of the banner."""
    visitor.go("/")
    asked = words_of(visitor.banner)
    visitor.accept()
    for path in TRACED:
        visitor.go(path)
    return asked


def read_settings_page(visitor: Visitor, words: Wording) -> tuple[str, str]:
    """Return the consent id and the visitor id that the settings page shows."""
    visitor.go(PREFIX)
    main = visitor.page.get_by_role("main")
    expect(main).to_contain_text(str(words.pluralize("kept_records", 1)))
    consent_id, visitor_id = (number.inner_text() for number in main.locator("li code").all())
    assert ledger_records(visitor.sites)[-1]["consent_id"] == consent_id
    assert eventually(lambda: paths(records_of(visitor.sites.records, visitor_id)) >= TRACED)
    return consent_id, visitor_id


def check_record(visitor: Visitor, words: Wording) -> None:
    follow_link(visitor, words, "records")
    (record,) = visitor.page.get_by_role("article").all()
    expect(record.get_by_role("heading", level=2)).to_contain_text(str(words("event_granted")))
    for purpose in POLICY.optional:
        expect(record.get_by_role("definition").filter(has_text=words.titles([purpose]))).to_have_count(1)
    expect(record).to_contain_text(str(words("given_banner")))


def check_shown_text(visitor: Visitor, words: Wording, asked: str) -> None:
    follow_link(visitor, words, "shown")
    shown = visitor.page.get_by_role("group", name=str(words("shown")))
    assert words_of(shown) == asked
    expect(shown.get_by_role("heading", name=str(words("banner_title")))).to_be_visible()
    # The purposes can be unfolded; the buttons are disabled.
    title = shown.locator("label").filter(has_text=words.titles([POLICY.optional[0]]))
    expect(title).to_be_hidden()
    shown.locator("summary").click()
    expect(title).to_be_visible()
    for button in shown.get_by_role("button").all():
        expect(button).to_be_disabled()
    follow_link(visitor, words, "records")


def attach_note_by_keyboard(visitor: Visitor, words: Wording) -> None:
    keyboard = visitor.page.keyboard
    tab_to(visitor.page, "summary")
    keyboard.press("Enter")
    tab_to(visitor.page, "textarea")
    keyboard.type(NOTE)
    tab_to(visitor.page, "button")
    keyboard.press("Enter")
    expect(visitor.page.get_by_role("status")).to_have_text(str(words("note_kept")))
    written = visitor.page.get_by_role("article").locator(".pchoice-written")
    assert written.inner_text() == NOTE
    expect(visitor.page.get_by_role("article")).to_have_count(1)


def check_receipt(visitor: Visitor, words: Wording, consent_id: str) -> None:
    visitor.go(PREFIX)
    expect(visitor.page.get_by_role("main")).to_contain_text(str(words.pluralize("kept_records", 1)))
    follow_link(visitor, words, "receipt")
    for purpose in POLICY.optional:
        expect(visitor.page.get_by_role("heading", name=words.titles([purpose]))).to_be_visible()
    receipt = downloaded(visitor, words, "receipt_data")
    assert receipt["consent_id"] == consent_id
    assert receipt["granted"] == list(POLICY.optional)
    assert receipt["withdraw_at"].startswith(visitor.sites.address)


def check_export(visitor: Visitor, words: Wording, consent_id: str, visitor_id: str) -> None:
    visitor.go(PREFIX)
    export = downloaded(visitor, words, "export")
    answer, note = export["consent_records"]
    assert (answer["event"], note["event"], note["note"]) == ("granted", "note", NOTE)
    assert [receipt["record_id"] for receipt in export["receipts"]] == [answer["record_id"]] == [note["about"]]
    assert answer["consent_id"] == consent_id
    assert export["visitor_id"] == visitor_id
    assert paths(export["access_records"]) >= TRACED
    for kind in ("consent_records", "access_records"):
        assert {key for record in export[kind] for key in record} <= export["meanings"][kind].keys()


def erase_and_check_notice(visitor: Visitor, words: Wording, visitor_id: str) -> None:
    assert "visitor" in visitor.cookies
    # The access record of this page may still be in the sink's queue when the erasure comes.
    visitor.go("/offices")
    visitor.go(PREFIX)
    visitor.page.get_by_role("button", name=str(words("erase"))).click()
    notice = visitor.page.get_by_role("status")
    expect(notice).to_contain_text(str(words("erased")))
    expect(notice).to_contain_text(str(words("proof_stays")))
    assert "visitor" not in visitor.cookies
    assert "consent" in visitor.cookies
    expect(visitor.page.get_by_text(visitor_id)).to_have_count(0)
    assert records_of(visitor.sites.all_records(), visitor_id) == []


def withdraw_and_check_records(visitor: Visitor, words: Wording) -> None:
    visitor.answer(visitor.choice("refuse_all"))
    expect(visitor.page.get_by_text(str(words("status_refused")))).to_be_visible()
    follow_link(visitor, words, "records")
    headings = [words_of(heading) for heading in visitor.page.get_by_role("heading", level=2).all()]
    events = [str(words(f"event_{event}")) for event in ("withdrawn", "granted")]
    assert [heading.split()[0] for heading in headings] == events
    # The note stays with its record.
    expect(visitor.page.get_by_role("article").last.locator(".pchoice-written")).to_have_text(NOTE)


@with_and_without_scripts
def test_visitor_exports_and_erases_records_after_withdrawal(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts, locale="en", accept_downloads=True)
    words = Wording(POLICY, "en")
    accept_and_visit_pages(visitor)
    _, visitor_id = read_settings_page(visitor, words)
    visitor.answer(visitor.choice("refuse_all"))
    assert "visitor" not in visitor.cookies
    assert visitor.cookies["visitor-erasure"]["path"] == PREFIX
    main = visitor.page.get_by_role("main")
    expect(main).to_contain_text(str(words("kept_withdrawn", date="|", id="|")).partition("|")[0].strip("\u2068"))
    expect(main.get_by_role("listitem").get_by_text(visitor_id)).to_be_visible()
    assert not scripts or not run_axe(visitor.page)  # axe is a script
    export = downloaded(visitor, words, "export")
    assert export["withdrawn_visitor_ids"] == [visitor_id]
    assert paths(export["access_records"]) >= TRACED
    sent = visitor.page.context.cookies(f"{visitor.sites.address}/offices")
    assert "visitor-erasure" not in {cookie["name"] for cookie in sent}
    visitor.go(PREFIX)
    visitor.page.get_by_role("button", name=str(words("erase"))).click()
    expect(visitor.page.get_by_role("status")).to_contain_text(str(words("erased")))
    expect(visitor.page.get_by_text(visitor_id)).to_have_count(0)
    assert "visitor-erasure" not in visitor.cookies
    assert records_of(visitor.sites.all_records(), visitor_id) == []


def test_complaint_is_sent_answered_and_exported(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(locale="en")
    words = Wording(POLICY, "en")
    visitor.go("/")
    visitor.accept()
    visitor.go(PREFIX)
    visitor.page.get_by_role("link", name=str(words("request_form"))).click()
    page = visitor.page
    expect(page.locator("script")).to_have_count(0)
    assert not run_axe(page)
    page.get_by_role("radio", name=str(words("request_complain"))).check()
    page.get_by_label(str(words("request_text"))).fill(NOTE)
    page.get_by_role("button", name=str(words("request_send")), exact=True).click()
    expect(page.get_by_role("status")).to_have_text(str(words("request_received")))
    assert not run_axe(page)
    reference = page.locator("code").inner_text()
    subprocess.run([*COMMAND, "answer", reference, "--text", "Sorry.", "--ledger", visitor.sites.ledger], check=True)
    visitor.go(PREFIX)
    (request,) = downloaded(visitor, words, "export")["requests"]
    assert (request["text"], request["answer"], request["state"]) == (NOTE, "Sorry.", "answered")


@pytest.mark.parametrize("path", ["/", PREFIX], ids=["question", "settings page"])
def test_second_click_while_ledger_is_busy_leaves_one_record(new_visitor: NewVisitor, path: str) -> None:
    visitor = new_visitor(java_script_enabled=False)
    before = len(ledger_records(visitor.sites))
    visitor.go(path)
    place = center(visitor.choice("accept_all"))
    with locked_ledger(visitor.sites):
        for _ in ("first", "second"):
            with visitor.page.expect_request(lambda request: request.method == "POST"):
                visitor.page.mouse.click(*place)
    assert eventually(lambda: visitor.state["status"] == "granted")
    expect(visitor.page).to_have_url(re.compile("#pchoice$"))  # the page that follows the form has come
    (record,) = ledger_records(visitor.sites)[before:]
    assert record["event"] == "granted"
    visitor.go(f"{PREFIX}/records")
    expect(visitor.page.get_by_role("article").locator("code")).to_have_text(record["record_id"])


def follow_link(visitor: Visitor, words: Wording, text: str) -> None:
    """Follow a link of one of our pages, and expect its text as the heading."""
    visitor.page.get_by_role("main").get_by_role("link", name=str(words(text)), exact=True).click()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(str(words(text)))


def downloaded(visitor: Visitor, words: Wording, text: str) -> dict[str, Any]:
    """Download a JSON file, and return its content."""
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name=str(words(text)), exact=True).click()
    assert download.value.suggested_filename.endswith(".json")
    found: dict[str, Any] = json.loads(Path(download.value.path()).read_text("utf-8"))
    return found


def words_of(part: Locator) -> str:
    """Return all words of a part of a page, also hidden ones."""
    return " ".join((part.text_content() or "").split())


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached")


def center(button: Locator) -> tuple[float, float]:
    """Return the middle of a button on the screen."""
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@contextmanager
def locked_ledger(sites: Sites) -> Iterator[None]:
    """Lock the file of the ledger, as another writing program does."""
    with closing(sqlite3.connect(sites.ledger.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def ledger_records(sites: Sites) -> list[dict[str, Any]]:
    """Return the consent records in the ledger, oldest first."""
    ledger = open_ledger(sites.ledger)
    try:
        return [json.loads(link.document) for link in ledger.links() if link.document is not None]
    finally:
        ledger.close()


def records_of(records: list[dict[str, Any]], visitor_id: str) -> list[dict[str, Any]]:
    """Return the access records of a visitor."""
    return [record for record in records if record["visitor.id"] == visitor_id]


def paths(records: list[dict[str, Any]]) -> set[str]:
    """Return the paths in access records."""
    return {record["url.path"] for record in records}
