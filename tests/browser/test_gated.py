"""Tests of gated.js: what waits for consent, in each tool's markup, starts once it is allowed, and never before."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator

import httpx
import pytest
from playwright.sync_api import Route

from tests.support.browsers.firefox import Firefox
from tests.support.browsers.visitor_browser import PREFIX, ROOT, NewVisitor, Sites, Visitor, serve, until
from tests.support.sites.gated_site import PAGES, TOOLS, app
from tests.support.waiting import eventually

pytestmark = pytest.mark.browser

EVERYTHING = {"analytics", "media", "ads"}
ORDER = ["1 inline", "2-slow.js", "3.js", "4 inline", "5.js", "6 inline", "7 inline"]
INSERT = "html => { document.querySelector('#place').innerHTML = html; }"
SETTLE = """async () => {
    for (let round = 0; round < 3; round++) {
        await fetch("/third/nothing/a.css");
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}"""
"""Waits for some rounds to the server, so that what was asked for before has arrived there."""
HTMX = "address => { htmx.ajax('GET', address, { target: '#place', swap: 'innerHTML' }); }"


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """The site of `gated_site`."""
    with serve(app) as sites:
        yield sites


def asked_with(sites: Sites, key: str) -> list[str]:
    """Return the files that the third party was asked for with a key, in order."""
    return [path.rpartition("/")[2] for path in sites.paths(f"/third/{key}/")]


class Viewer:
    """A visitor of the gallery, with a key of their own for what the third party is asked for.

    Args:
        visitor: the visitor.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page = visitor.page
        self.key = secrets.token_hex(8)

    def go(self, name: str, **query: str) -> None:
        """Open a page, and wait until gated.js has run."""
        self.visitor.go(f"/{name}?{httpx.QueryParams({'key': self.key, **query})}")
        self.settle()

    def settle(self) -> None:
        """Wait until the page has heard what holds, and has asked for whatever it starts."""
        self.page.evaluate(f"import('{PREFIX}/gated.js')")
        self.page.evaluate("window.consent?.ready")
        self.page.evaluate(SETTLE)

    def answer(self, granted: Iterable[str] = ()) -> None:
        """Grant purposes by a request of its own, so that the open page does not notice."""
        self.visitor.send_answer("save", **dict.fromkeys(granted, True))

    @property
    def asked(self) -> list[str]:
        """The files that the third party was asked for, in order."""
        return asked_with(self.visitor.sites, self.key)

    @property
    def ran(self) -> list[str]:
        """The scripts that have run, in order."""
        names: list[str] = self.page.evaluate("order")
        return names


@pytest.fixture
def viewer(new_visitor: NewVisitor) -> Viewer:
    """A visitor who has not answered."""
    return Viewer(new_visitor())


def expected(granted: set[str]) -> tuple[Counter[str], Counter[str]]:
    """Return the files that are asked for, and the scripts that run, if these purposes are granted."""
    files, ran = Counter[str](), Counter[str]()
    for tool in TOOLS.values():
        for needed, html in tool.items():
            is_off = needed.startswith("!")
            if is_off == set(needed.strip("!").split()).issubset(granted):
                continue
            names = re.findall(r"THIRD/([\w.-]+)", html)
            files.update(name for name in names if name != "ours.png")
            ran.update(name for name in names if name.endswith(".js"))
            ran.update(re.findall(r'note\("(.*?)"\)', html))
    return files, ran


def assert_started(viewer: Viewer, granted: set[str]) -> None:
    files, ran = expected(granted)
    if files["ours-wide.png"]:
        # The screen decides between the two pictures of a srcset.
        del files["ours-wide.png"]
        files["ours.png"] = 1
    assert eventually(lambda: Counter(viewer.ran) == ran), (ran - Counter(viewer.ran), Counter(viewer.ran) - ran)
    assert eventually(lambda: set(viewer.asked) >= set(files)), set(files) - set(viewer.asked)
    viewer.page.evaluate(SETTLE)
    assert Counter(viewer.ran) == ran
    # A browser asks for a film in parts.
    asked = Counter({name: 1 if name.endswith(("webm", "ogg")) else n for name, n in Counter(viewer.asked).items()})
    assert asked == files


@pytest.mark.requirement("ST-03", "VC-14")
def test_nothing_starts_before_answer_and_all_once_after_grant(viewer: Viewer) -> None:
    viewer.go("all")
    assert viewer.asked == []
    assert_started(viewer, set())
    viewer.visitor.ready()
    viewer.visitor.mark()
    viewer.visitor.accept()
    assert viewer.visitor.is_marked
    files, ran = expected(EVERYTHING)
    off = set(expected(set())[1])
    assert eventually(lambda: set(viewer.ran) == set(ran) | off)
    assert max(Counter(viewer.ran).values()) == 1
    assert eventually(lambda: set(viewer.asked) >= set(files) - {"ours-wide.png"})
    script = viewer.page.locator("script[data-kept]")
    assert (script.get_attribute("data-purpose"), script.get_attribute("data-kept")) == ("analytics", "as it was")
    assert viewer.visitor.warnings == []


@pytest.mark.parametrize(
    "granted",
    [
        pytest.param(set(), id="nothing"),
        pytest.param({"analytics"}, id="analytics", marks=pytest.mark.full_matrix),
        pytest.param({"media", "ads"}, id="media and ads", marks=pytest.mark.full_matrix),
        pytest.param(EVERYTHING, id="everything"),
    ],
)
def test_page_of_visitor_who_answered_starts_what_is_granted(viewer: Viewer, granted: set[str]) -> None:
    viewer.answer(granted)
    viewer.go("all")
    assert_started(viewer, granted)
    assert sum("/state" in request.url for request in viewer.visitor.requests()) == 1
    assert viewer.page.locator("script[src*='/choices.']").count() == 0
    assert viewer.visitor.warnings == []


def test_scripts_start_in_the_order_of_the_page(viewer: Viewer) -> None:
    viewer.answer({"analytics"})
    viewer.go("order")
    assert eventually(lambda: viewer.ran == ORDER), viewer.ran
    assert "missing.js" in viewer.asked
    assert "never.js" not in viewer.asked


@pytest.mark.parametrize(
    "granted_before",
    [
        pytest.param(True, id="granted before"),
        pytest.param(False, id="granted after", marks=pytest.mark.full_matrix),
    ],
)
def test_what_is_inserted_later_is_treated_alike(viewer: Viewer, granted_before: bool) -> None:
    if granted_before:
        viewer.answer(EVERYTHING)
    viewer.go("later")
    html = viewer.page.evaluate("document.querySelector('#later').innerHTML")
    viewer.page.evaluate(INSERT, html)
    viewer.settle()
    if granted_before:
        assert_started(viewer, EVERYTHING)
    else:
        assert_started(viewer, set())
        viewer.visitor.ready()
        viewer.visitor.accept()
        assert eventually(lambda: {"klaro.js", "orejime 3, after its file"} <= set(viewer.ran))
        assert max(Counter(viewer.ran).values()) == 1


@pytest.mark.parametrize(
    ("library", "go"),
    [
        pytest.param("@hotwired/turbo/dist/turbo.es2017-umd.js", "address => Turbo.visit(address)", id="Turbo"),
        pytest.param("htmx.org/dist/htmx.min.js", HTMX, id="htmx 4"),
        pytest.param("htmx2/dist/htmx.min.js", HTMX, id="htmx 2", marks=pytest.mark.full_matrix),
    ],
)
def test_pages_that_libraries_bring_are_treated_alike(viewer: Viewer, library: str, go: str) -> None:
    viewer.answer(EVERYTHING)
    viewer.go("later")
    viewer.visitor.mark()
    viewer.page.add_script_tag(path=ROOT / "node_modules" / library)
    viewer.page.evaluate(go, f"/all?key={viewer.key}")
    assert_started(viewer, EVERYTHING)
    assert viewer.visitor.is_marked


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({}, id="by itself", marks=pytest.mark.full_matrix),
        pytest.param({"choices": "1"}, id="beside choices.js"),
    ],
)
def test_only_granted_services_start(viewer: Viewer, query: dict[str, str]) -> None:
    viewer.go("services", **query)
    assert viewer.ran == []
    viewer.answer({"social", "chirp"})
    viewer.go("services", **query)
    assert eventually(lambda: "social" in viewer.ran)
    viewer.settle()
    assert (sorted(viewer.ran), viewer.asked) == (["chirp", "social"], ["chirp.html"])
    assert viewer.visitor.warnings == []


def test_unknown_names_load_nothing_and_console_says_what_to_write(viewer: Viewer) -> None:
    viewer.answer(EVERYTHING)
    viewer.go("unmapped", map="")
    assert (viewer.asked, viewer.ran) == ([], [])
    (said,) = viewer.visitor.warnings
    assert '"statistics" is none of ' in said
    assert """data-map='{"statistics": "…"}'""" in said


def test_hostile_markup_runs_and_loads_nothing(viewer: Viewer) -> None:
    viewer.answer(EVERYTHING)
    viewer.go("hostile", map='{"constructor": "nothing"}')
    address = viewer.page.url
    assert (viewer.asked, viewer.ran) == ([], [])
    assert viewer.page.url == address
    assert {frame.url for frame in viewer.page.frames} <= {address, "about:blank", ""}
    assert {"Nothing loads from javascript:", "Nothing loads from data:"} <= {
        said.removeprefix("Error: ") for said in viewer.visitor.warnings
    }


@pytest.mark.full_matrix
def test_firefox_starts_everything_once_and_in_order(sites: Sites, firefox: Firefox) -> None:
    key = secrets.token_hex(8)
    firefox.go(f"{sites.address}/all?key={key}")
    assert asked_with(sites, key) == []
    firefox.answer("accept_all")
    for page, counts in (("all", expected(EVERYTHING)[1]), ("order", Counter(ORDER))):
        firefox.go(f"{sites.address}/{page}?key={key}")
        firefox.wait_for(f"order.length >= {counts.total()}")
        assert Counter(firefox.evaluate("order")) == counts
    assert firefox.evaluate("order") == ORDER
    assert firefox.evaluate("violations") == []


# Withdrawal, and answers elsewhere


def test_withdrawal_in_page_reloads_it_and_nothing_starts(viewer: Viewer) -> None:
    viewer.go("all")
    viewer.visitor.ready()
    viewer.visitor.accept()
    assert eventually(lambda: "ours.js" in viewer.ran)
    viewer.page.evaluate("consent.show()")
    with viewer.page.expect_event("load"):
        viewer.visitor.answer(viewer.visitor.choice("refuse_all"))
    before = len(viewer.asked)
    viewer.settle()
    assert_no_more(viewer, before)


def assert_no_more(viewer: Viewer, before: int) -> None:
    """Check that a page starts only what is for the times without consent, and asks for nothing more."""
    _, ran = expected(set())
    assert eventually(lambda: Counter(viewer.ran) == ran)
    assert len(viewer.asked) == before


def test_page_without_question_follows_answers_elsewhere(viewer: Viewer) -> None:
    viewer.answer()
    viewer.go("all")
    viewer.visitor.mark()
    assert viewer.asked == []
    viewer.answer(EVERYTHING)
    viewer.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert eventually(lambda: "ours.js" in viewer.ran)
    assert viewer.visitor.is_marked
    viewer.page.evaluate(SETTLE)
    before = len(viewer.asked)
    viewer.answer()
    with viewer.page.expect_event("load"):
        # Another tab says that there is an answer.
        other = viewer.visitor.context.new_page()
        other.goto(f"{viewer.visitor.sites.address}{PREFIX}/policy")
        other.evaluate(f"new BroadcastChannel('{viewer.visitor.sites.address}{PREFIX}').postMessage('')")
    viewer.settle()
    assert_no_more(viewer, before)


def test_unreachable_server_starts_nothing_and_console_says_so(viewer: Viewer) -> None:
    viewer.answer(EVERYTHING)
    viewer.page.route("**/state*", lambda route: route.abort())
    viewer.go("all")
    assert (viewer.asked, viewer.ran) == ([], [])
    assert any("/state" in said for said in viewer.visitor.warnings)


@pytest.mark.full_matrix
def test_page_whose_policy_is_edited_is_reloaded_once_for_grant_elsewhere(viewer: Viewer) -> None:
    def edit(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "reloads": True})

    viewer.page.route("**/state*", edit)
    viewer.answer()
    viewer.go("klaro")
    viewer.visitor.mark()
    viewer.answer(EVERYTHING)
    with viewer.page.expect_event("load"):
        viewer.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    viewer.visitor.mark()
    assert eventually(lambda: "klaro.js" in viewer.ran)
    viewer.settle()
    assert viewer.visitor.is_marked


# Policies


def test_everything_starts_under_trusted_types_without_violation(viewer: Viewer) -> None:
    viewer.answer(EVERYTHING)
    viewer.go("all", csp="trusted", nonce="fresh")
    assert_started(viewer, EVERYTHING)
    assert viewer.page.evaluate("violations") == []
    assert viewer.visitor.warnings == []


@pytest.mark.parametrize("nonce", [pytest.param("", marks=pytest.mark.full_matrix), "stolen"])
def test_script_without_nonce_of_page_does_not_start(viewer: Viewer, nonce: str) -> None:
    """Under 'strict-dynamic', what a script of the page inserts may run: injected markup could use that."""
    viewer.answer({"analytics"})
    viewer.go("cookieconsent", csp="trusted", nonce=nonce)
    assert (viewer.asked, viewer.ran) == ([], [])
    assert any("nonce" in said for said in viewer.visitor.warnings)


# Examples of the docs


def test_examples_of_docs_work(viewer: Viewer) -> None:
    loaded: list[str] = []

    def serve(route: Route) -> None:
        loaded.append(route.request.url)
        route.fulfill(content_type="text/javascript", body="var counter = { start: note };")

    viewer.page.route(re.compile(r"^https://\w+\.example/"), serve)
    viewer.go("docs-0")
    assert loaded == []
    viewer.visitor.accept()
    assert eventually(lambda: viewer.ran == ["example.jp"] and len(loaded) == 3), (loaded, viewer.ran)
    viewer.go("docs-1")
    assert viewer.page.evaluate("dataLayer") == []
    assert not any("not counted" in text for text in viewer.visitor.said)
    viewer.answer()
    viewer.go("docs-1")
    assert until(viewer.page, lambda: any("not counted" in text for text in viewer.visitor.said))
    mapped = re.search(r"data-map='(.*?)'", PAGES["docs-2"])
    assert mapped
    assert json.loads(mapped[1])["statistics"] == "analytics"
    assert viewer.visitor.warnings == []
