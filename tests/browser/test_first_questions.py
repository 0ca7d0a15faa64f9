"""Tests of the counts of questions: browsers say which one is the first of a visit, and bring its marks back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cookie_consent.sinks.files.closed_files import counts_path
from tests.support.browsers.visitor_browser import ROOT
from tests.support.servers.child_site import LOOPBACK, started

pytestmark = [pytest.mark.browser, pytest.mark.one_python]


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "form"])
def test_first_question_and_marks_of_the_answer_are_counted(scripts: bool, browser: Browser, tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    environ = {"EVENTS_ACCESS_LOG": str(log)}
    with (
        started("tests.support.sites.events_site:app", ROOT, tmp_path / "site.log", (LOOPBACK, 0), environ) as site,
        browser.new_context(java_script_enabled=scripts) as context,
    ):
        page = context.new_page()
        question = page.locator(".pchoice[data-live]" if scripts else ".pchoice")
        page.goto(f"{site.address}/before")
        expect(question).to_be_visible()
        page.reload()
        expect(question).to_be_visible()
        page.locator("#next").click()
        expect(question).to_be_visible()
        page.locator(".pchoice [value=accept_all]").click()
        expect(page.locator(".pchoice .pchoice-button")).to_have_count(0)
        page.locator("[data-privacy-settings]").click()
        expect(page.locator(".pchoice" if scripts else "main")).to_be_visible()
    found: Counter[str] = Counter()
    for count in map(json.loads, counts_path(log).read_bytes().splitlines()):
        found[" ".join([count["count.name"], count.get("count.detail", "")]).strip()] += count["count.value"]
    assert {name: found[name] for name in ("asked", "asked_first", "granted", "answered_first", "settings")} == {
        "asked": 3, "asked_first": 1, "granted": 1, "answered_first": 0, "settings": 1,
    }  # fmt: skip
    assert found["granted_by_prefix /next"] == found["granted_by_device pc"] == 1
