"""Tests of one answer for several hosts in a real browser, over https and http."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.asgi import PREFIX, SITE, SITE_TABLE, install, page_app
from tests.support.servers.processes import program_path
from tests.support.servers.threads import served

pytestmark = pytest.mark.browser

DOMAIN, WWW, SHOP, BLOG = "example.test", "www.example.test", "shop.example.test", "blog.example.test"
KEYS = f'domain = "{DOMAIN}"\nhosts = ["{DOMAIN}", "{WWW}", "{SHOP}"]\n'
SHARED = SITE.replace(SITE_TABLE, SITE_TABLE + KEYS)


@dataclass
class Served:
    """A site under any host name.

    Args:
        scheme: "https" or "http".
        port: its port.
        app: the app, which can be replaced.
    """

    scheme: str
    port: int = 0
    app: ASGIApp = field(default_factory=lambda: install(page_app(), SHARED))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def at(self, host: str, path: str = "/") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


def make_certificate(folder: Path) -> Path:
    """Make a self-signed certificate for this machine, with its key in the same file."""
    path = folder / "localhost.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = [program_path("openssl", "openssl"), "req", *kind, *subject, "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text("ascii") + Path(f"{path}.crt").read_text("ascii"), "ascii")
    return path


@pytest.fixture(params=["https", "http"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    site = Served(request.param)
    with served(site, make_certificate(tmp_path) if site.scheme == "https" else None) as site.port:
        yield site


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True, locale="en")
    yield context.new_page()
    context.close()


def press(page: Page, choice: str) -> None:
    """Press a button of the banner or of the settings page, and wait for the answer to be taken."""
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.locator(f"button[name=choice][value={choice}]").first.click()
    page.wait_for_load_state()


def asks(page: Page, address: str) -> bool:
    page.goto(address)
    return page.locator("button[name=choice][value=refuse_all]").count() > 0


def kept(context: BrowserContext) -> set[tuple[str, str]]:
    return {(cookie["name"], cookie["domain"]) for cookie in context.cookies()}


def status(page: Page, address: str) -> str:
    page.goto(f"{address}{PREFIX.removeprefix('/')}/state")
    return str(page.evaluate("JSON.parse(document.body.textContent).status"))


def test_refusal_on_one_host_counts_on_another(site: Served, page: Page) -> None:
    assert asks(page, site.at(SHOP))
    press(page, "refuse_all")
    assert kept(page.context) == {(f"{'__Secure-' if site.scheme == 'https' else ''}consent", f".{DOMAIN}")}
    for host in (WWW, SHOP, DOMAIN):
        assert not asks(page, site.at(host)), host
    page.goto(site.at(WWW, PREFIX))
    expect(page.locator("main")).to_contain_text(f"Your choice counts on: {DOMAIN}, {WWW}, {SHOP}.")
    assert asks(page, site.at(BLOG)), "not listed"
    press(page, "accept_all")
    assert [status(page, site.at(host)) for host in (BLOG, SHOP)] == ["granted", "refused"]


def test_first_shared_answer_replaces_that_of_the_host(site: Served, page: Page) -> None:
    site.app = install(page_app())
    page.goto(site.at(DOMAIN))
    press(page, "accept_all")
    assert {domain for _, domain in kept(page.context)} == {DOMAIN}
    site.app = install(page_app(), SHARED)
    assert asks(page, site.at(DOMAIN)) is (site.scheme == "http")
    page.goto(site.at(DOMAIN, PREFIX))
    press(page, "refuse_all")
    assert {domain for _, domain in kept(page.context)} == {f".{DOMAIN}"}
    assert status(page, site.at(WWW)) == "refused"
