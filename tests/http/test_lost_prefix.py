"""Tests of the warning about a proxy that serves the app under a path of which the server does not know."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest

from cookie_consent import ConsentMiddleware
from tests.support.asgi import PHONE, Visitor, install, page_app

BROWSER = [("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-site", "same-origin")]
WARNING = (
    'A proxy seems to serve the app under "/shop" and to remove that from the path, and the server does not know. So '
    'answers go to "/privacy-choices", which the proxy does not pass on: its bare 404 is all that visitors get. Tell '
    'the server, as in "uvicorn --root-path /shop"; docs/behind-a-proxy.md says how for others.'
)


def site(**options: Any) -> ConsentMiddleware:
    return install(page_app(), **{"settings_link": True, **options})


def browse(app: ConsentMiddleware, paths: Iterable[str], under: str, dest: str = "document", **more: Any) -> None:
    """Follow links from page to page, as a browser does, through a proxy that serves the app under a path."""
    referrer: list[tuple[str, str]] = []
    for path in paths:
        Visitor(app, [*BROWSER, ("sec-fetch-dest", dest), *referrer]).get(path, **more)
        referrer = [("referer", f"https://site.example{under}{path}?q=1")]


def test_path_that_browsers_show_and_the_app_never_gets_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    app = site()
    browse(app, ["/", "/offices", "/news", "/", "/offices"], "/shop")
    assert caplog.messages == [WARNING]
    browse(app, ["/", "/offices", "/news", "/"], "/other")
    assert caplog.messages == [WARNING]


def test_referrer_on_the_same_host_is_enough_over_plain_http(caplog: pytest.LogCaptureFixture) -> None:
    app = site()
    Visitor(app).get("/offices")
    for host in ("other.example", "site.example"):
        for _ in range(3):
            assert caplog.messages == []
            Visitor(app, [("referer", f"http://{host}/shop/offices")]).get("/news")
    assert caplog.messages == [WARNING]


def test_what_one_page_loads_beside_it_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    app = site()
    Visitor(app, BROWSER).get("/offices/tokyo")
    for path in ("/a.css", "/b.js", "/c.png"):
        page = ("referer", "https://site.example/shop/offices/tokyo")
        Visitor(app, [*BROWSER, page, ("sec-fetch-dest", "style")]).get(path)
    assert caplog.messages == [WARNING]


def test_path_that_the_proxy_names_is_logged_once_a_page_was_served(caplog: pytest.LogCaptureFixture) -> None:
    app = site()
    for _ in range(3):
        Visitor(app, [("x-forwarded-prefix", "/shop/")]).get("/")
    assert caplog.messages == [WARNING]


@pytest.mark.parametrize(
    ("path", "named", "more"),
    [
        ("/", "/", {}),
        ("/", "shop", {}),
        ("/shop/x", "/shop", {}),
        ("/shop/x", "/shop", {"root_path": "/shop"}),
        ("/x", "/shop", {"root_path": "/shop"}),
    ],
)
def test_server_that_knows_the_path_or_none_is_not_logged(
    path: str, named: str, more: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = site()
    for _ in range(2):
        Visitor(app, [("x-forwarded-prefix", named)]).get(path, **more)
    browse(app, ["/", "/offices", "/news", "/", "/offices"], "/shop", **more)
    assert caplog.messages == ([WARNING] if not more else [])


def test_own_page_that_led_here_shows_that_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    app = site()
    Visitor(app, BROWSER).get("/")
    script = re.findall(r'<script type="module" src="([^"]+)"', Visitor(app, BROWSER).get("/").text)[0]
    asked = Visitor(app, [*BROWSER, ("referer", "https://site.example/"), ("sec-fetch-dest", "script")]).get(script)
    assert asked.status == 200
    browse(app, ["/", "/offices", "/news", "/", "/offices"], "/shop")
    assert caplog.messages == []


def test_pages_of_other_apps_on_the_host_are_no_signs(caplog: pytest.LogCaptureFixture) -> None:
    app = site()
    Visitor(app).get("/")
    browse(app, ["/api/names"] * 5, "/app", dest="empty")
    for site_of_page in ("cross-site", "same-site", "none"):
        headers = [("sec-fetch-site", site_of_page), ("referer", "https://other.example/blog/")]
        for _ in range(5):
            Visitor(app, headers).get("/about")
    assert caplog.messages == []


@pytest.mark.parametrize(
    "referrer", ["", "nonsense", "https://site.example", "/" * 5000, "https://site.example/%ff/\xff"]
)
def test_any_referrer_is_read(referrer: str, caplog: pytest.LogCaptureFixture) -> None:
    app = site()
    Visitor(app).get("/")
    for _ in range(2):
        Visitor(app, [*BROWSER, ("referer", referrer)]).get("/x")
    assert caplog.messages == []


def test_named_path_cannot_forge_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    visitor = Visitor(site(), [("x-forwarded-prefix", f'/a"\x1b[31m\xe9{"x" * 5000}')])
    visitor.get("/")
    visitor.get("/")
    (message,) = caplog.messages
    assert message.isprintable()
    assert message.isascii()
    assert len(message) < 700
