"""Tests of the banner with privacy tools: filter lists do not hide it, and autoconsent can refuse in it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browsers.visitor_browser import ROOT, NewVisitor, Sites, Visitor
from tests.support.sites.house import MODULES

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=2)]


@pytest.fixture(scope="module")
def sites(house: Sites) -> Sites:
    """The sites under test."""
    return house


# Filter lists

NAMES = """() => {
    const elements = [...document.querySelectorAll("*")];
    return {
        url: location.href,
        classes: elements.flatMap(it => [...it.classList]),
        ids: elements.map(it => it.id).filter(Boolean),
        hrefs: elements.map(it => it.getAttribute("href")).filter(Boolean),
    };
}"""
HIDDEN = """styles => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(styles);
    const hidden = [...sheet.cssRules].flatMap(rule => [...document.querySelectorAll(rule.selectorText)]);
    return hidden.map(it => it.cloneNode().outerHTML);
}"""
LISTED = (Path(__file__).parents[1] / "support" / "data" / "cookie_filters.txt").read_text("utf-8").splitlines()
FILTERS = [line.partition("\t")[0] for line in LISTED if not line.startswith("!")]


WITNESS = '<div class="cookie-banner"></div>'
"""An element that a filter hides."""


def apply_filters(page: Any, requests: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Return the styles of the filters for a page, and the requests that they block."""
    told = json.dumps({"lists": [FILTERS], "page": page, "requests": requests})
    command = ["node", str(ROOT / "tests" / "support" / "data" / "filter_lists.mjs")]
    (answer,) = json.loads(subprocess.run(command, input=told, capture_output=True, text=True, check=True).stdout)
    found: dict[str, Any] = answer
    return found


def expect_untouched(visitor: Visitor) -> None:
    """Expect that no filter blocks a request since the last call, or hides an element of the page but for a witness."""
    visitor.page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", WITNESS)
    requests = [{"url": it.url, "type": it.resource_type} for it in visitor.requests()]
    assert requests
    answer = apply_filters(visitor.page.evaluate(NAMES), requests)
    assert set(visitor.page.evaluate(HIDDEN, answer["styles"])) == {WITNESS}
    assert answer["blocked"] == []


@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("layout", ["corner", "modal"])
def test_no_filter_hides_banner_or_blocks_its_requests(new_visitor: NewVisitor, layout: str) -> None:
    visitor = new_visitor().move(layout)
    visitor.go("/styled/none?box")
    expect(visitor.banner).to_be_visible()
    expect_untouched(visitor)
    visitor.refuse()
    expect(visitor.status).not_to_be_empty()
    expect_untouched(visitor)
    visitor.go("/styled/none")
    visitor.ready()
    visitor.page.evaluate("consent.show()")
    expect(visitor.banner).to_be_visible()
    expect_untouched(visitor)


# Autoconsent, which answers for the visitor

AUTOCONSENT = MODULES / "@duckduckgo" / "autoconsent"
CONTENT_SCRIPT = AUTOCONSENT / "dist" / "autoconsent.playwright.js"
RECOGNISED = ("de", "en", "en-GB", "fr", "nl")
"""Languages in which autoconsent recognises a banner and its refusal without a rule."""
BY_RULE = ("ar", "es", "fi", "ja", "pl", "pt", "zh-Hant")
"""Some languages in which autoconsent needs our rule."""
START = """([config, rules]) => {
    document.messages = [];
    window.autoconsentSendMessage = async message => {
        document.messages.push(structuredClone(message));
        if (message.type === "init") setTimeout(() => autoconsentReceiveMessage({ type: "initResp", config, rules }));
    };
}"""


OURS = json.loads((ROOT / "static" / "autoconsent.json").read_text("utf-8"))
THEIRS = json.loads((AUTOCONSENT / "rules" / "rules.json").read_text("utf-8"))["autoconsent"]


def messages(page: Page, kind: str) -> list[dict[str, Any]]:
    """Wait for messages of a kind from autoconsent, and return them."""
    page.wait_for_function("kind => document.messages.some(it => it.type === kind)", arg=kind)
    said: list[dict[str, Any]] = page.evaluate("kind => document.messages.filter(it => it.type === kind)", kind)
    return said


def let_refuse(page: Page, rules: list[Any], *, guesses: bool) -> set[str]:
    """Let autoconsent refuse on a page, by rules or without; return the names of the rules that matched."""
    config = {
        "autoAction": "optOut",
        "isMainWorld": True,
        "enableHeuristicDetection": guesses,
        "heuristicMode": "reject" if guesses else "off",
    }
    page.evaluate(START, [config, {"autoconsent": rules}])
    page.evaluate(CONTENT_SCRIPT.read_text("utf-8"))
    messages(page, "autoconsentDone")
    page.evaluate("autoconsentReceiveMessage({ type: 'selfTest' })")
    assert all(message["result"] for message in messages(page, "selfTestResult"))
    return {message["cmp"] for message in messages(page, "cmpDetected")}


@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize(
    ("language", "by_rule"), [*((it, False) for it in RECOGNISED), *((it, True) for it in BY_RULE)]
)
def test_autoconsent_refuses_by_words_and_with_our_rule_in_every_language(
    new_visitor: NewVisitor, language: str, by_rule: bool
) -> None:
    visitor = new_visitor()
    visitor.go(f"/in/{language}")
    expect(visitor.banner).to_have_attribute("lang", language.partition("-")[0] if language == "en-GB" else language)
    rules = [*THEIRS, OURS] if by_rule else THEIRS
    found = let_refuse(visitor.page, rules, guesses=not by_rule)
    assert found == ({OURS["name"]} if by_rule else {"HEURISTIC-REJECT"})
    expect(visitor.banner).to_have_count(0)
    assert visitor.state["status"] == "refused"
