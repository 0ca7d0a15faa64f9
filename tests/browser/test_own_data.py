"""Tests of a visitor's own data in a browser: receipt, export and erasure; a double click leaves one consent record."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from cookie_consent import Policy
from cookie_consent.ledgers import open_ledger
from cookie_consent.pages.wording import Wording
from tests.support.browsers.visitor_browser import PREFIX, REGISTRY, NewVisitor, Sites, Visitor
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

POLICY = Policy.load(REGISTRY / "consent.toml")
TRACED = {"/names", "/account"}
"""The pages that the visitor opens after consent."""


@pytest.mark.requirement("PC-11")
@pytest.mark.parametrize(
    ("scripts", "language"),
    [(True, "en"), (False, "ja")],
    ids=["with JavaScript, in English", "without JavaScript, in Japanese"],
)
def test_visitor_reads_exports_and_erases_own_data(new_visitor: NewVisitor, scripts: bool, language: str) -> None:
    visitor = new_visitor(java_script_enabled=scripts, locale=language, accept_downloads=True)
    words = Wording(POLICY, language)
    visitor.open_with_banner("/")
    visitor.accept()
    for path in TRACED:
        visitor.go(path)
    visitor.go(PREFIX)
    main = visitor.page.get_by_role("main")
    main.get_by_text(str(words("see"))).click()
    expect(main).to_contain_text(str(words.pluralize("kept_records", 1)))
    consent_id, visitor_id = main.locator("li code").all_inner_texts()
    assert eventually(lambda: paths_of(visitor.sites.records, visitor_id) >= TRACED)
    check_receipt_and_export(visitor, words, consent_id, visitor_id)
    # The access record of this page may still be in the sink's queue when the erasure comes.
    visitor.go("/offices")
    visitor.go(PREFIX)
    visitor.page.get_by_role("button", name=str(words("erase"))).click()
    notice = visitor.page.get_by_role("status")
    expect(notice).to_contain_text(str(words("erased")))
    expect(notice).to_contain_text(str(words("proof_stays")))
    assert {"visitor", "consent"} & visitor.cookies.keys() == {"consent"}
    expect(visitor.page.get_by_text(visitor_id)).to_have_count(0)
    assert paths_of(visitor.sites.all_records(), visitor_id) == set()
    visitor.answer(visitor.choice("refuse_all"))
    expect(visitor.page.get_by_text(str(words("status_refused")))).to_be_visible()
    export = download_export(visitor, words)
    assert {record["event"] for record in export["consent_records"]} == {"granted", "withdrawn"}


def check_receipt_and_export(visitor: Visitor, words: Wording, consent_id: str, visitor_id: str) -> None:
    export = download_export(visitor, words)
    (answer,) = export["consent_records"]
    assert (answer["event"], answer["consent_id"]) == ("granted", consent_id)
    assert [receipt["record_id"] for receipt in export["receipts"]] == [answer["record_id"]]
    assert export["visitor_id"] == visitor_id
    assert {record["url.path"] for record in export["access_records"]} >= TRACED
    with visitor.page.expect_response(lambda response: response.url.endswith("/receipt")) as answered:
        visitor.page.get_by_role("link", name=str(words("receipt")), exact=True).click()
    receipt = answered.value.json()
    assert (receipt["consent_id"], receipt["granted"]) == (consent_id, list(POLICY.optional))
    assert receipt["withdraw_at"].startswith(visitor.sites.address)


def download_export(visitor: Visitor, words: Wording) -> dict[str, Any]:
    """Download the export from the settings page, and return its content."""
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name=str(words("export")), exact=True).click()
    assert download.value.suggested_filename.endswith(".json")
    found: dict[str, Any] = json.loads(Path(download.value.path()).read_text("utf-8"))
    return found


def paths_of(records: list[dict[str, Any]], visitor_id: str) -> set[str]:
    """Return the paths in the access records of a visitor."""
    return {record["url.path"] for record in records if record["visitor.id"] == visitor_id}


@pytest.mark.parametrize("path", ["/", PREFIX], ids=["question", "settings page"])
def test_second_click_while_ledger_is_busy_leaves_one_record(new_visitor: NewVisitor, path: str) -> None:
    visitor = new_visitor(java_script_enabled=False)
    before = len(ledger_events(visitor.sites))
    visitor.go(path)
    button = visitor.choice("accept_all")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box
    with locked_ledger(visitor.sites):
        for _ in ("first", "second"):
            with visitor.page.expect_request(lambda request: request.method == "POST"):
                visitor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert eventually(lambda: visitor.state["status"] == "granted")
    expect(visitor.page).to_have_url(re.compile("#pchoice$"))  # the page that follows the form has come
    assert ledger_events(visitor.sites)[before:] == ["granted"]


@contextmanager
def locked_ledger(sites: Sites) -> Iterator[None]:
    """Lock the file of the ledger, as another writing program does."""
    with closing(sqlite3.connect(sites.ledger.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def ledger_events(sites: Sites) -> list[str]:
    """Return the events of the consent records in the ledger, oldest first."""
    with closing(open_ledger(sites.ledger)) as ledger:
        return [json.loads(link.document)["event"] for link in ledger.links() if link.document is not None]
