"""Tests of a middleware inside another one: a mistake to warn about, or two with cookies of their own."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from tests.support.asgi import PHONE, PREFIX, SITE, Visitor, install, page_app

BROWSER = [("accept", "text/html"), ("sec-fetch-dest", "document"), ("user-agent", PHONE)]
DECLARES_INNER = (
    SITE
    + """
[[cookies]]
name = "*shop-consent"
purpose = "necessary"
duration = "184 days"
"""
)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_middleware_installed_twice_asks_once_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    twice, once = (install(app, settings_link=True) for app in (install(page_app(), settings_link=True), page_app()))
    visitor, other = Visitor(twice, BROWSER), Visitor(once, BROWSER)
    for answer in (lambda visitor: None, Visitor.refuse, Visitor.accept):
        for one in (visitor, other):
            answer(one)
        twice_served, once_served = visitor.get().text, other.get().text
        assert twice_served.count('name="choice"') == once_served.count('name="choice"')
        assert twice_served.count("data-privacy-settings") == once_served.count("data-privacy-settings") == 1
    assert messages(caplog) == [
        f'ConsentMiddleware is installed twice, one inside the other, both with prefix "{PREFIX}". The outer one asks '
        "and answers; both enforce. Remove one."
    ]


def test_inner_middleware_that_nobody_can_answer_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    site = install(Starlette(routes=[Mount("/shop", app=install(page_app()))]))
    for _ in range(2):
        Visitor(site, BROWSER).get("/shop/cart")
    (message,) = messages(caplog)
    assert f'its endpoints at "/shop{PREFIX}" is inside another one, at "{PREFIX}"' in message
    assert "[services.NAME]" in message


def test_inner_middleware_with_declared_cookies_of_its_own_asks_and_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = install(page_app(), cookie_prefix="shop-")
    visitor = Visitor(install(Starlette(routes=[Mount("/shop", app=shop)]), DECLARES_INNER), BROWSER)
    both = visitor.get("/shop/cart").text
    visitor.post({"choice": "refuse_all"}, path=f"/shop{PREFIX}")
    only_outer = visitor.get("/shop/cart").text
    assert both.count('name="choice"') == 2 * only_outer.count('name="choice"') > 0
    assert messages(caplog) == []


def test_mounted_middlewares_beside_each_other_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    routes = [Mount(path, app=install(page_app())) for path in ("/shop", "/blog")]
    for path in ("/shop/", "/blog/"):
        Visitor(Starlette(routes=routes), BROWSER).get(path)
    assert messages(caplog) == []


def test_state_of_the_apps_own_called_consent_is_no_outer_middleware(caplog: pytest.LogCaptureFixture) -> None:
    site = install(page_app())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await site({**scope, "state": {"consent": "of the app"}}, receive, send)

    assert Visitor(install(app), BROWSER).get().text.count("data-privacy-settings") == 0
    assert messages(caplog) == []
