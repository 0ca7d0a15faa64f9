"""Tests of docs/how-to/leave-admin-out.md: its examples leave out what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from cookie_consent.http.options import read_inject
from tests.support.asgi import PAGE, PHONE, SITE, call, install, page_app
from tests.support.documentation import ROOT, blocks, run
from tests.support.policies import KEY

PATH = "docs/how-to/leave-admin-out.md"
PAGE_TEXT = (ROOT / PATH).read_text(encoding="utf-8")
PATTERNS, FUNCTION = blocks(PATH, "python")
BROWSER = [("user-agent", PHONE), ("accept", "text/html")]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Starlette:
    (tmp_path / "consent.toml").write_text(SITE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", KEY)
    return Starlette(routes=[Mount("/", page_app())])


def test_pages_at_the_paths_of_the_example_are_left_out(site: Starlette) -> None:
    run(PATTERNS, app=site)
    injected = [path for path in ("/admin/", "/docs", "/redoc", "/") if call(site, path=path).body != PAGE]
    assert injected == ["/"]


def test_function_of_the_example_leaves_out_a_host_and_previews(site: Starlette) -> None:
    run(FUNCTION, app=site, HTTPConnection=HTTPConnection)
    assert call(site, headers=BROWSER, host="example.jp").body != PAGE
    assert call(site, headers=BROWSER, host="admin.example.jp").body == PAGE
    assert call(site, headers=[*BROWSER, ("x-preview", "1")], host="example.jp").body == PAGE


def test_patterns_match_as_the_table_says() -> None:
    rows = re.findall(r"^\| (`[/*].*?) \| (.*) \| (.*) \|$", PAGE_TEXT, re.MULTILINE)
    assert len(rows) == 4
    for pattern, matched, others in rows:
        is_left_out = read_inject([pattern.strip("`")])
        assert is_left_out is not None
        for cell, expected in ((matched, True), (others, False)):
            paths = re.findall(r"`(.+?)`", cell)
            assert paths
            assert [is_left_out({}, path) for path in paths] == [expected] * len(paths)


def test_error_is_as_the_page_says() -> None:
    with pytest.raises(ValueError, match="inject") as error:
        install(inject="/admin*")
    assert f"ValueError: {error.value}\n" in PAGE_TEXT
