"""Tests of a visitor's own data in a browser: receipt, export, erasure and the help desk.

Also: a double click leaves one consent record.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from cookie_consent import Policy
from cookie_consent.ledgers import open_ledger
from cookie_consent.pages.wording import Wording
from tests.support.browsers.visitor_browser import (
    PREFIX,
    REGISTRY,
    NewVisitor,
    Sites,
    Visitor,
    registry_sites,
)
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

POLICY = Policy.load(REGISTRY / "consent.toml")
COMMAND = [sys.executable, "-c", "import sys; from cookie_consent.cli import main; sys.exit(main())", "requests"]
"""The command with which the help desk works."""
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
def test_visitor_reads_exports_and_erases_own_data(new_visitor: NewVisitor, scripts: bool, language: str) -> None:
    visitor = new_visitor(java_script_enabled=scripts, locale=language, accept_downloads=True)
    words = Wording(POLICY, language)
    accept_and_visit_pages(visitor)
    consent_id, visitor_id = read_settings_page(visitor, words)
    check_receipt(visitor, words, consent_id)
    check_export(visitor, words, consent_id, visitor_id)
    erase_and_check_notice(visitor, words, visitor_id)
    withdraw_and_check_export(visitor, words)


def accept_and_visit_pages(visitor: Visitor) -> None:
    visitor.go("/")
    visitor.accept()
    for path in TRACED:
        visitor.go(path)


def read_settings_page(visitor: Visitor, words: Wording) -> tuple[str, str]:
    """Return the consent id and the visitor id that the settings page shows."""
    visitor.go(PREFIX)
    main = visitor.page.get_by_role("main")
    expect(main).to_contain_text(str(words.pluralize("kept_records", 1)))
    consent_id, visitor_id = (number.inner_text() for number in main.locator("li code").all())
    assert ledger_records(visitor.sites)[-1]["consent_id"] == consent_id
    assert eventually(lambda: paths(records_of(visitor.sites.records, visitor_id)) >= TRACED)
    return consent_id, visitor_id


def check_receipt(visitor: Visitor, words: Wording, consent_id: str) -> None:
    visitor.go(PREFIX)
    with visitor.page.expect_response(lambda response: response.url.endswith("/receipt")) as answered:
        visitor.page.get_by_role("link", name=str(words("receipt")), exact=True).click()
    receipt = answered.value.json()
    assert receipt["consent_id"] == consent_id
    assert receipt["granted"] == list(POLICY.optional)
    assert receipt["withdraw_at"].startswith(visitor.sites.address)


def check_export(visitor: Visitor, words: Wording, consent_id: str, visitor_id: str) -> None:
    visitor.go(PREFIX)
    export = downloaded(visitor, words, "export")
    (answer,) = export["consent_records"]
    assert answer["event"] == "granted"
    assert [receipt["record_id"] for receipt in export["receipts"]] == [answer["record_id"]]
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


def withdraw_and_check_export(visitor: Visitor, words: Wording) -> None:
    visitor.answer(visitor.choice("refuse_all"))
    expect(visitor.page.get_by_text(str(words("status_refused")))).to_be_visible()
    export = downloaded(visitor, words, "export")
    assert {record["event"] for record in export["consent_records"]} == {"granted", "withdrawn"}


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


def downloaded(visitor: Visitor, words: Wording, text: str) -> dict[str, Any]:
    """Download a JSON file, and return its content."""
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name=str(words(text)), exact=True).click()
    assert download.value.suggested_filename.endswith(".json")
    found: dict[str, Any] = json.loads(Path(download.value.path()).read_text("utf-8"))
    return found


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
