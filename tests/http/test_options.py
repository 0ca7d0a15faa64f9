"""Tests of the option inject: the pages that are left out, by patterns or by a function."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from cookie_consent.http.options import read_inject
from tests.http.test_vendor_signals import VENDORS
from tests.support.asgi import PAGE, PHONE, Visitor, call, install, page_app

BROWSER = [("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document")]
ADMIN = ["/admin*"]


def site(inject: Any = ADMIN, app: Any = None, **options: Any) -> Visitor:
    """Return a visitor of a site with vendors and a link to the settings page."""
    made = install(app or page_app(), VENDORS, inject=inject, **{"settings_link": True, **options})
    return Visitor(made, BROWSER)


@pytest.mark.parametrize(
    ("pattern", "left_out", "kept"),
    [
        ("/docs*", ["/docs", "/docs/", "/docs/oauth2-redirect", "/docsify", "/docs\n"], ["/", "/a/docs", "/Docs"]),
        ("/docs", ["/docs"], ["/docs/", "/docs/a", "/doc"]),
        ("*.part", ["/a.part", "/a/b.part"], ["/a.part/b", "/apart"]),
        ("/a*b*c", ["/abc", "/a/b/b/c/c", "/axbxc"], ["/ab", "/acb", "/abcd"]),
        ("/a.b[c]", ["/a.b[c]"], ["/axb[c]", "/a.bc"]),
        ("*", ["/", "", "/a"], []),
    ],
)
def test_pattern_matches_paths(pattern: str, left_out: list[str], kept: list[str]) -> None:
    matches = read_inject([pattern])
    assert matches is not None
    assert [path for path in (*left_out, *kept) if matches({}, path)] == left_out


def test_pattern_with_many_wildcards_takes_a_long_path() -> None:
    """Trying each way in which the wildcards might match would take longer than the world is old."""
    matches = read_inject(["/" + "*a" * 12 + "b"])
    assert matches is not None
    assert not matches({}, "/" + "a" * 50_000)


async def _async_function(request: HTTPConnection) -> bool:
    return True


@pytest.mark.parametrize(
    ("inject", "remedy"),
    [
        ("/docs*", "Write True, False, a list of the paths to leave out"),
        (None, "Write True, False, a list"),
        (1, "Write True, False, a list"),
        (_async_function, "without async"),
        (["docs*"], "inject: 'docs*' is not valid. Write a path that begins with"),
        ([""], "a path that begins with"),
        (["/docs", 1], "inject: 1 is not valid"),
        (["https://example.jp/docs"], "a path that begins with"),
        (["/search?q=*"], "without a query"),
    ],
)
def test_wrong_value_stops_the_start(inject: Any, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inject") as error:
        install(inject=inject, access_log=tmp_path / "access.jsonl")
    assert remedy in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", ["nothing", "refuse", "accept"])
@pytest.mark.parametrize("options", [{}, {"csp": "enforce"}, {"shared_pages": True}])
def test_page_that_is_left_out_is_as_without_injection(options: dict[str, Any], answer: str) -> None:
    replies = []
    for inject in (ADMIN, lambda request: request.url.path != "/admin", False):
        if inject is False and "shared_pages" in options:
            continue
        visitor = site(inject, **options)
        if answer != "nothing":
            getattr(visitor, answer)()
        reply = visitor.get("/admin")
        assert reply.body == PAGE
        replies.append((reply.status, reply.headers))
    assert replies[1:] == replies[:-1]


@pytest.mark.parametrize("options", [{}, {"shared_pages": True}])
def test_request_for_page_that_is_left_out_reaches_the_app_unchanged(options: dict[str, Any]) -> None:
    """Pages that are left out may be compressed, and need not be sent again if they have not changed."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await page_app()(scope, receive, send)

    visitor = site(app=app, **options)
    conditions = [("accept-encoding", "gzip"), ("if-none-match", '"1"')]
    for path in ("/admin", "/"):
        visitor.get(path, headers=conditions)
    kept = [{b"accept-encoding", b"if-none-match"} & {name for name, _ in scope["headers"]} for scope in seen]
    assert kept == [{b"accept-encoding", b"if-none-match"}, set()]


@pytest.mark.parametrize(("root_path", "path"), [("/shop", "/shop/admin"), ("/shop/", "/shop/admin"), ("", "/admin")])
def test_pattern_is_for_the_path_inside_the_app(root_path: str, path: str) -> None:
    app = install(page_app(), inject=ADMIN)
    assert call(app, path=path, headers=BROWSER, root_path=root_path).body == PAGE
    assert call(app, path="/admin/shop", headers=BROWSER, root_path="/admin").body != PAGE


def test_function_gets_the_request_without_held_cookies() -> None:
    seen: list[dict[str, str]] = []

    def inject(request: HTTPConnection) -> bool:
        seen.append(dict(request.cookies))
        return "x-fragment" not in request.headers

    app = install(page_app(), inject=inject)
    fields = [*BROWSER, ("cookie", "_ga=1; session=2")]
    assert call(app, headers=[*fields, ("x-fragment", "1")]).body == PAGE
    assert call(app, headers=fields).body != PAGE
    assert seen == [{"session": "2"}] * 2


def _fails(request: HTTPConnection) -> bool:
    raise KeyError("no such user")


def _says_nothing(request: HTTPConnection) -> Any:
    return None


@pytest.mark.logs_an_exception
@pytest.mark.parametrize("inject", [_fails, _says_nothing])
def test_page_is_injected_if_the_function_fails(
    inject: Callable[[HTTPConnection], bool], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert call(install(page_app(), inject=inject), headers=BROWSER).body != PAGE
    assert "inject= failed" in caplog.text
