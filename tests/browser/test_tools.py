"""Tests of the banner with privacy tools: filter lists do not hide it, and autoconsent can refuse in it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
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
ONE_NAME = re.compile(r"##(?P<kind>[.#])(?P<name>[\w-]+)")


@dataclass(frozen=True)
class Filter:
    """One line of a filter list.

    Args:
        text: the filter.
        target: an element, or a path, that the filter should match.
    """

    text: str
    target: str

    @classmethod
    def read(cls, line: str) -> Filter:
        """Return the filter of a line in cookie_filters.txt."""
        text, _, target = line.partition("\t")
        named = ONE_NAME.fullmatch(text)
        if named:
            target = f'<div {"class" if named["kind"] == "." else "id"}="{named["name"]}">'
        return cls(text, target)


FILTERS = [
    Filter.read(line)
    for line in (Path(__file__).parents[1] / "support" / "data" / "cookie_filters.txt").read_text("utf-8").splitlines()
    if not line.startswith("!")
]


def filtered(lists: Sequence[Sequence[str]], page: Any, requests: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Return the styles of each filter list for a page, and the requests that it blocks."""
    told = json.dumps({"lists": lists, "page": page, "requests": requests})
    done = subprocess.run(
        ["node", ROOT / "tests" / "support" / "data" / "filter_lists.mjs"],
        input=told,
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.mark.full_matrix
def test_each_filter_matches_its_target(new_visitor: NewVisitor) -> None:
    page = new_visitor().page
    kinds = {".css": "stylesheet", ".js": "script"}
    requests = [
        {"url": f"https://site.example{it.target}", "type": kinds.get(Path(it.target).suffix, "fetch")}
        for it in FILTERS
    ]
    page.set_content("".join(f"{it.target}</div></form></a>" for it in FILTERS if it.target.startswith("<")))
    names = page.evaluate(NAMES) | {"url": "https://site.example/"}
    missed = []
    answers = filtered([[it.text] for it in FILTERS], names, requests)
    for it, answer, request in zip(FILTERS, answers, requests, strict=True):
        if it.target.startswith("<"):
            page.set_content(f"<body>{it.target}")
            does_it = len(page.evaluate(HIDDEN, answer["styles"])) == 1
        else:
            does_it = request["url"] in answer["blocked"]
        missed += [it.text] * (not does_it)
    assert missed == []


def expect_untouched(visitor: Visitor) -> None:
    """Expect that no filter hides an element of the page or blocks a request since the last call."""
    requests = [{"url": it.url, "type": it.resource_type} for it in visitor.requests()]
    assert requests
    (answer,) = filtered([[it.text for it in FILTERS]], visitor.page.evaluate(NAMES), requests)
    assert answer["styles"]
    assert visitor.page.evaluate(HIDDEN, answer["styles"]) == []
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
RULE = ROOT / "static" / "autoconsent.json"
RECOGNISED = ("de", "en", "es", "fr", "nl", "pl", "pt")
"""Languages in which autoconsent recognises a banner and its refusal without a rule."""
BY_RULE = ("ar", "fi", "ja", "zh-Hant")
"""Some languages in which autoconsent needs our rule."""
START = """([config, rules]) => {
    document.messages = [];
    window.autoconsentSendMessage = async message => {
        document.messages.push(structuredClone(message));
        if (message.type === "init") setTimeout(() => autoconsentReceiveMessage({ type: "initResp", config, rules }));
    };
}"""


class Autoconsent:
    """The content script of autoconsent on a page.

    Args:
        page: the page.
        rules: the rules that it knows.
        action: "optOut" or "optIn".
        guesses: whether it looks for banners without a rule.
    """

    def __init__(self, page: Page, rules: list[Any], *, action: str = "optOut", guesses: bool = False) -> None:
        self.page = page
        config = {
            "autoAction": action,
            "isMainWorld": True,
            "enableHeuristicDetection": guesses,
            "heuristicMode": "reject" if guesses else "off",
        }
        page.evaluate(START, [config, {"autoconsent": rules}])
        page.evaluate(CONTENT_SCRIPT.read_text("utf-8"))

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """Wait for messages of a kind, and return them."""
        self.page.wait_for_function("kind => document.messages.some(it => it.type === kind)", arg=kind)
        said: list[dict[str, Any]] = self.page.evaluate(
            "kind => document.messages.filter(it => it.type === kind)", kind
        )
        return said

    def finish(self) -> tuple[set[str], bool]:
        """Wait until it is done; return the names of the rules that matched, and whether its self-test passed."""
        self.messages("autoconsentDone")
        found = {message["cmp"] for message in self.messages("cmpDetected")}
        self.page.evaluate("autoconsentReceiveMessage({ type: 'selfTest' })")
        return found, all(message["result"] for message in self.messages("selfTestResult"))


def our_rule() -> dict[str, Any]:
    """Return the rule that we ship."""
    rule: dict[str, Any] = json.loads(RULE.read_text("utf-8"))
    return rule


def their_rules() -> list[Any]:
    """Return the rules that autoconsent ships."""
    rules: list[Any] = json.loads((AUTOCONSENT / "rules" / "rules.json").read_text("utf-8"))["autoconsent"]
    return rules


@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("language", RECOGNISED)
def test_autoconsent_recognises_banner_by_words_and_refuses(new_visitor: NewVisitor, language: str) -> None:
    visitor = new_visitor()
    visitor.go(f"/in/{language}")
    expect(visitor.banner).to_have_attribute("lang", language)
    tool = Autoconsent(visitor.page, their_rules(), guesses=True)
    assert tool.finish() == ({"HEURISTIC-REJECT"}, True)
    expect(visitor.banner).to_have_count(0)
    assert visitor.state["status"] == "refused"


@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("language", BY_RULE)
def test_autoconsent_with_our_rule_refuses_in_every_language(new_visitor: NewVisitor, language: str) -> None:
    visitor = new_visitor()
    visitor.go(f"/in/{language}")
    expect(visitor.banner).to_have_attribute("lang", language)
    tool = Autoconsent(visitor.page, [*their_rules(), our_rule()])
    assert tool.finish() == ({our_rule()["name"]}, True)
    expect(visitor.banner).to_have_count(0)
    assert visitor.state["status"] == "refused"
