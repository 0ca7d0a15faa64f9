"""Tests of `check --page`: it says what the Content-Security-Policy would forbid on a page of the running site."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cookie_consent.cli.main import FINDING, GOOD, WRONG_USAGE, main
from cookie_consent.visitors.pages.stylesheet import inline_style
from tests.enforcement.csp.test_edit_csp import MAPS, RECIPIENTS

Capture = pytest.CaptureFixture[str]
STRICT = "\n[security]\ncontent_security_policy = \"default-src 'self'; img-src 'self' data:\"\n"
GOOD_PAGE = f"""<!doctype html><title>x</title><link rel="stylesheet" href="/site.css">
<link rel="help" href="//x.example"><img src="http://[x">
<script nonce="abc">1</script><script data-vendors="{{}}">1</script><script type="module" data-choices>1</script>
<script type="text/plain" data-purpose="x" src="//cdn.example/a.js"></script>
<script type="application/ld+json">{{}}</script><script src="app.js"></script>
<img src="data:image/png;base64,AAAA" srcset=" , a.png 1x"><form action="/send"><button formaction="">x</button></form>
<template data-purpose="media"><iframe src="{MAPS}"></iframe><template></template><script>1</script></template>
<style>{inline_style("link.css")}</style><a href="https://elsewhere.example">x</a><iframe src="about:blank"></iframe>"""
BROKEN = [
    ('<script src="https://cdn.example/a.js"></script>', "script-src-elem: https://cdn.example/a.js"),
    ("<script>start()</script>", "script-src-elem: code in the page"),
    ('<button onclick="go()">x</button>', "script-src-attr: code in the page"),
    ('<p style="color: red">x</p>', "style-src-attr: code in the page"),
    ("<style>p { color: red }</style>", "style-src-elem: code in the page"),
    ('<link rel="stylesheet" href="//cdn.example/a.css">', "style-src-elem: http://cdn.example/a.css"),
    ('<img src="a.png" srcset="https://cdn.example/b.png 2x">', "img-src: https://cdn.example/b.png"),
    ('<video src="blob:x"></video>', "media-src: blob:x"),
    ('<form action="https://pay.example/"></form>', "form-action: https://pay.example/"),
    ('<base href="https://elsewhere.example/">', "base-uri: https://elsewhere.example/"),
    ('<iframe src="http://127.0.0.1:1/"></iframe>', "frame-src: http://127.0.0.1:1/"),
]


class _Page(BaseHTTPRequestHandler):
    html = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.html)

    def log_message(self, *said: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a page whose HTML a test sets."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/shop/"
        server.shutdown()


@pytest.fixture
def strict(tmp_path: Path) -> str:
    """The path of a policy file with a strict policy for browsers."""
    path = tmp_path / "consent.toml"
    path.write_text(RECIPIENTS + STRICT, "utf-8")
    return str(path)


def show(html: str) -> None:
    _Page.html = html.encode()


def test_page_under_whose_policy_all_works_is_good(address: str, strict: str, capsys: Capture) -> None:
    show(GOOD_PAGE)
    assert main(["check", strict, "--page", address]) == GOOD
    assert "would forbid nothing that is in the HTML" in capsys.readouterr().out


@pytest.mark.parametrize(("html", "said"), BROKEN)
def test_what_the_policy_would_break_is_named(html: str, said: str, address: str, strict: str, capsys: Capture) -> None:
    show(f"<!doctype html><title>x</title>\n{html}")
    assert main(["check", strict, "--page", address]) == FINDING
    out = capsys.readouterr().out
    assert f"- line 2, {said}" in out
    assert out.count("\n- ") == 1


def test_recipient_is_held_back_until_it_is_granted(address: str, strict: str, capsys: Capture) -> None:
    show(f'<iframe src="{MAPS}/embed"></iframe>')
    assert main(["check", strict, "--page", address]) == GOOD
    assert f"hold back until it is granted:\n- line 1, frame-src: {MAPS}/embed" in capsys.readouterr().out
    assert main(["check", strict, "--page", address, "--json"]) == GOOD
    (page,) = json.loads(capsys.readouterr().out)["pages"]
    use = {"directive": "frame-src", "address": f"{MAPS}/embed", "line": 1}
    assert page == {"page": address, "forbidden": [{"use": use, "until": True}]}


def test_default_policy_is_compared_if_the_file_has_none(address: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "consent.toml").write_text(RECIPIENTS, "utf-8")
    show('<p style="color: red">x</p><script>1</script>')
    assert main(["check", str(tmp_path / "consent.toml"), "--page", address]) == FINDING
    out = capsys.readouterr().out
    assert "script-src-elem" in out
    assert "style-src" not in out


def test_policy_without_default_src_allows_what_it_does_not_name(address: str, tmp_path: Path, capsys: Capture) -> None:
    text = f"{RECIPIENTS}\n[security]\ncontent_security_policy = \"script-src 'self'\"\n"
    (tmp_path / "consent.toml").write_text(text, "utf-8")
    show('<img src="https://cdn.example/a.png">')
    assert main(["check", str(tmp_path / "consent.toml"), "--page", address]) == GOOD
    assert "has no default-src" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("file:///etc/passwd", "is no address of a page"),
        ("/shop", "is no address of a page"),
        ("http://127.0.0.1:1/", "cannot be read: [Errno"),
        ("http://[/", "cannot be read"),
    ],
)
def test_page_that_cannot_be_read_is_wrong_usage(address: str, why: str, strict: str, capsys: Capture) -> None:
    assert main(["check", strict, "--page", address]) == WRONG_USAGE
    assert why in capsys.readouterr().err


def test_other_pages_are_read_beside_one_that_cannot_be(address: str, strict: str, capsys: Capture) -> None:
    show("<script>1</script>")
    assert main(["check", strict, "--page", "http://127.0.0.1:1/", "--page", address]) == WRONG_USAGE
    said = capsys.readouterr()
    assert "- line 1, script-src-elem" in said.out
    assert "http://127.0.0.1:1/ cannot be read" in said.err
