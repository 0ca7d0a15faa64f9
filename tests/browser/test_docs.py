"""Tests of the examples in docs/banner.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from tests.docs.test_docs import policy_in
from tests.support.browsers.visitor_browser import ROOT, NewVisitor, Sites
from tests.support.documentation import blocks
from tests.support.policies import KEY
from tests.support.servers.child_site import LOOPBACK, started

pytestmark = pytest.mark.browser

LINK, TEMPLATE = (block for block in blocks("docs/banner.md", "html") if "stylesheet" not in block)
(SCRIPT,) = blocks("docs/banner.md", "js")
(POLICY,) = blocks("docs/banner.md", "text")


async def page(request: Request) -> HTMLResponse:
    """Show the examples under the Content-Security-Policy that the docs recommend."""
    html = f'<!doctype html><html lang="en"><title>Docs</title><body><h1>Docs</h1>{TEMPLATE}{LINK}</body></html>'
    return HTMLResponse(html, headers={"content-security-policy": POLICY.strip()})


MEDIA = {"title": {"en": "Maps"}, "description": {"en": "We show maps."}}
app = Starlette(routes=[Route("/", page)])
app.add_middleware(
    ConsentMiddleware,
    policy=policy_in(["en"], purposes={"media": MEDIA}),
    secret_keys=KEY,
    settings_link=False,
)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site with the page."""
    folder = tmp_path_factory.mktemp("docs")
    with started("tests.browser.test_docs:app", ROOT, folder / "site.log", (LOOPBACK, 0), {}) as site:
        yield Sites(site.address, "", folder / "access.jsonl")


def test_examples_of_banner_docs_work(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    said: list[str] = []
    visitor.page.on("console", lambda message: said.append(f"{message.type} {message.text}"))
    visitor.go("/")
    visitor.page.evaluate(f"async () => {{ {SCRIPT.replace('consent.show();', '').replace('stop();', '')} }}")
    expect(visitor.page.locator("iframe")).to_have_count(0)
    visitor.accept()
    expect(visitor.page.locator("iframe")).to_have_count(1)
    heard = [line for line in said if line.startswith("log ")]
    assert len(heard) == 2  # by consent.on and by the document
    visitor.page.evaluate("consent.show()")
    expect(visitor.banner.get_by_role("heading", name="Privacy settings")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    visitor.page.locator("[data-privacy-settings]").click()
    expect(visitor.banner).to_be_focused()
    imported = 'import("/privacy-choices/choices.js").then(({ consent }) => consent === window.consent)'
    assert visitor.page.evaluate(imported)
