"""Tests of the warning about hosts that pages load from before anybody allows it."""

from __future__ import annotations

import gzip
import logging
import re
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from cookie_consent.http.foreign_hosts import find_loads
from cookie_consent.policy.advice import placeholders
from cookie_consent.policy.errors import PolicyError
from tests.support.asgi import SITE, Clock, Visitor, install, policy, reply_app

HTML = "text/html; charset=utf-8"
TAG_MANAGER = """<script>(function(w,d,s,l,i){w[l]=w[l]||[];w[l].push({'gtm.start':
new Date().getTime(),event:'gtm.js'});var f=d.getElementsByTagName(s)[0],
j=d.createElement(s),dl=l!='dataLayer'?'&l='+l:'';j.async=true;j.src=
'https://www.googletagmanager.com/gtm.js?id='+i+dl;f.parentNode.insertBefore(j,f);
})(window,document,'script','dataLayer','GTM-1');</script>
<noscript><iframe src="https://www.googletagmanager.com/ns.html?id=GTM-1"></iframe></noscript>"""
TAG = '<script async src="https://www.googletagmanager.com/gtag/js?id=G-1&user=hanako"></script>'
MAP = '<iframe src="https://maps.example.com/embed"></iframe>'
REMEDY = (
    '<script src="https://www.googletagmanager.com/gtag/js?...">. Declare who gets the data, with purpose = '
    '"necessary" if the site does not work without, and else let it wait:'
)
LINES = """
[[recipients]]
id = "www-googletagmanager-com"
name = "…"
purpose = "?"
origins = ["https://www.googletagmanager.com"]
directives = ["script"]
receives = { en = "…", ja = "…" }

<script type="module" src="/privacy-choices/gated.js"></script>
<script type="text/plain" data-purpose="?" data-src="https://www.googletagmanager.com/gtag/js?..."></script>
"""
ENFORCES = '\nWith csp="enforce", browsers load from such hosts only what was allowed.\n'


def page(*parts: str) -> bytes:
    return f'<!doctype html><html lang="en"><head><title>t</title></head><body>{"".join(parts)}</body></html>'.encode()


def site(*parts: str, text: str = SITE, **options: Any) -> Visitor:
    return Visitor(install(reply_app(page(*parts), HTML), text, **{"settings_link": True, **options}))


class Pages:
    """An app whose page can change."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await reply_app(self.body, HTML)(scope, receive, send)


def hosts(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the hosts that the log names."""
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}
    return re.findall(r'^The page "[^"]*" (?:loads from|names) ([^,]+),', "\n".join(caplog.messages), re.MULTILINE)


@pytest.mark.parametrize("options", [{}, {"settings_link": False}, {"inject": False}, {"shared_pages": True}])
@pytest.mark.parametrize("answer", ["none", "refuse", "accept"])
def test_host_of_nobody_is_logged_once_with_the_lines_that_gate_it(
    answer: str, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    visitor = site(TAG, TAG, **options)
    if answer != "none":
        getattr(visitor, answer)()
    for path in ("/blog", "/blog", "/shop"):
        visitor.get(path)
    (message,) = caplog.messages
    assert message == (
        'The page "/blog" loads from www.googletagmanager.com, which no recipient of the policy has: '
        f"{REMEDY}\n{LINES}{ENFORCES}"
    )


def test_pasted_lines_do_not_load_until_the_purpose_is_written_and_then_hold(caplog: pytest.LogCaptureFixture) -> None:
    site(TAG).get()
    table = caplog.messages[0][caplog.messages[0].index("[[recipients]]") :].partition("<script")[0]
    with pytest.raises(PolicyError, match="purpose"):
        policy(SITE + table)
    with_purpose = SITE + table.replace('purpose = "?"', 'purpose = "analytics"')
    both = (policy(with_purpose), policy())
    places, before = ({f'{it.table} key "{it.key}"' for _, it in placeholders(one)} for one in both)
    assert places - before == {f'[[recipients]] "www-googletagmanager-com" key "{key}"' for key in ("name", "receives")}
    declared = with_purpose.replace('"…"', '"Google"')
    caplog.clear()
    site(TAG, text=declared, csp="enforce").get()
    waiting = LINES.partition("<")[2].replace('"?"', '"analytics"')
    assert list(find_loads(f"<{waiting}".encode())) == []
    site(f"<{waiting}", text=declared).get()
    assert caplog.messages == []


def test_script_that_an_inline_script_inserts_is_logged_with_the_lines_that_gate_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site(TAG_MANAGER).get()
    (message,) = caplog.messages
    assert ': <script>..."https://www.googletagmanager.com/gtm.js?..."...</script>. Declare' in message
    assert '\n<script type="text/plain" data-purpose="?">...</script>\n' in message
    script = TAG_MANAGER.partition("<noscript")[0]
    waiting = script.replace("<script>", '<script type="text/plain" data-purpose="media">')
    caplog.clear()
    site(waiting).get()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("html", "host", "waits"),
    [
        (MAP, "maps.example.com", '<iframe data-purpose="media" data-src="https://maps.example.com/embed"></iframe>'),
        (
            "<img src=//maps.example.com/a>",
            "maps.example.com",
            '<img data-purpose="media" data-src="//maps.example.com/a">',
        ),
        (
            '<img srcset="https://img.other.example/a 2x">',
            "img.other.example",
            '<img data-purpose="?" data-srcset="https://img.other.example/a">',
        ),
        (
            '<link rel="stylesheet" href="https://fonts.example/css">',
            "fonts.example",
            '<link rel="stylesheet" data-purpose="?" data-href="https://fonts.example/css">',
        ),
        (
            "<style>@import url(https://fonts.example/css)</style>",
            "fonts.example",
            '<link rel="stylesheet" data-purpose="?" data-href="https://fonts.example/css">',
        ),
        (
            '<form action="https://news.example/join">',
            "news.example",
            '<template data-purpose="?"><form action="https://news.example/join">...</form></template>',
        ),
    ],
)
def test_each_kind_of_element_has_its_line(html: str, host: str, waits: str, caplog: pytest.LogCaptureFixture) -> None:
    site(html).get()
    assert hosts(caplog) == [host]
    assert f"\n{waits}\n" in caplog.messages[0]
    assert list(find_loads(waits.encode())) == []


def test_host_of_a_recipient_is_logged_while_its_purpose_is_not_allowed(caplog: pytest.LogCaptureFixture) -> None:
    visitor = site(MAP)
    visitor.accept()
    visitor.get("/granted")
    assert caplog.messages == []
    visitor.refuse()
    visitor.get("/refused")
    assert caplog.messages == [
        'The page "/refused" loads from maps.example.com, although "media" is not allowed: '
        '<iframe src="https://maps.example.com/embed">. Let it wait:\n\n'
        '<script type="module" src="/privacy-choices/gated.js"></script>\n'
        f'<iframe data-purpose="media" data-src="https://maps.example.com/embed"></iframe>\n{ENFORCES}'
    ]


def test_browsers_stop_what_is_not_declared_where_a_policy_is_enforced(caplog: pytest.LogCaptureFixture) -> None:
    site(TAG, MAP, csp="enforce").get()
    (message,) = caplog.messages
    assert message == (
        'The page "/" names www.googletagmanager.com, which no recipient of the policy has, so our '
        "Content-Security-Policy stops it: "
        f"{REMEDY}\n{LINES}"
    )


@pytest.mark.parametrize(
    ("sources", "is_named"),
    [
        ("default-src 'self' https://www.googletagmanager.com", False),
        ("default-src 'self'; script-src 'self' *.googletagmanager.com:443", False),
        ("default-src 'self'; script-src https:", False),
        ("default-src 'self' https://other.example", True),
        ("default-src 'self' *.agmanager.com", True),
        ("default-src 'self' *", False),
        ("default-src 'self' *; script-src 'self' https://googletagmanager.com/x", True),
        ("default-src 'self' *; script-src *; script-src-elem 'self'", True),
        ("default-src 'self'; img-src *", True),
    ],
)
def test_what_the_sites_own_policy_lets_everybody_load_is_not_logged(
    sources: str, is_named: bool, caplog: pytest.LogCaptureFixture
) -> None:
    site(TAG, text=f'{SITE}\n[security]\ncontent_security_policy = "{sources}"\n').get()
    assert bool(hosts(caplog)) == is_named


def test_line_for_the_script_has_the_path_at_which_the_app_is_mounted(caplog: pytest.LogCaptureFixture) -> None:
    site(MAP).get("/shop/offices", root_path="/shop")
    assert '\n<script type="module" src="/shop/privacy-choices/gated.js"></script>\n' in caplog.messages[0]


@pytest.mark.parametrize("src", ["/a.js", "https://site.example/a.js", "//SITE.example:8443/a.js"])
def test_own_host_is_not_logged(src: str, caplog: pytest.LogCaptureFixture) -> None:
    site(f'<script src="{src}"></script>').get()
    assert caplog.messages == []


@pytest.mark.parametrize("host", ["shop.site.example", "cdn.site.example", "site.example"])
def test_hosts_of_the_site_are_not_logged(host: str, caplog: pytest.LogCaptureFixture) -> None:
    own = 'languages = ["en", "ja"]\ndomain = "site.example"\nhosts = ["www.site.example", "shop.site.example"]'
    text = SITE.replace('languages = ["en", "ja"]', own)
    site(f'<img src="https://{host}/a">', text=text).get(host="www.site.example")
    assert caplog.messages == []


def test_stream_is_looked_through_and_nothing_of_it_is_held_back(caplog: pytest.LogCaptureFixture) -> None:
    body = page(TAG)
    chunks = [body[:at] for at in (90,)] + [body[90:140], body[140:], b""]
    reply = Visitor(install(reply_app(chunks, HTML), inject=False)).get()
    assert reply.chunks == chunks
    assert hosts(caplog) == ["www.googletagmanager.com"]


def test_beginning_of_a_long_page_is_looked_through(caplog: pytest.LogCaptureFixture) -> None:
    site(TAG, "x" * 300_000, MAP).get()
    assert hosts(caplog) == ["www.googletagmanager.com"]


def test_page_that_changes_is_looked_through_again_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    pages, clock = Pages(page()), Clock()
    visitor = Visitor(install(pages, settings_link=True, clock=clock))
    visitor.get()
    pages.body = page(TAG)
    visitor.get()
    visitor.get()
    clock.forward(seconds=11)
    visitor.get()
    assert hosts(caplog) == ["www.googletagmanager.com"]


@pytest.mark.parametrize(
    ("method", "app", "options"),
    [
        ("GET", reply_app(page(TAG), HTML), {"inject": ["/*"]}),
        ("GET", reply_app(page(TAG), "text/plain"), {}),
        ("GET", reply_app(gzip.compress(page(TAG)), HTML, headers=[("content-encoding", "gzip")]), {}),
        ("POST", reply_app(page(TAG), HTML), {}),
    ],
)
def test_other_responses_are_not_looked_through(
    method: str, app: Any, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    Visitor(install(app, **options)).request(method, "/a")
    assert caplog.messages == []


@pytest.mark.slow
def test_what_users_write_and_clients_ask_for_is_kept_only_while_short_and_few(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pages = Pages(page(*(f'<img src="https://h{number}.example/">' for number in range(300))))
    app = install(pages)
    visitor = Visitor(app)
    visitor.get()
    assert len(hosts(caplog)) == 100
    pages.body = page(f'<img src="https://{"a" * 300}.example/">')
    for number in range(1200):
        visitor.get(f"/{number}")
        visitor.get(f"/{number}{'x' * 300}")
    kept = app._site.foreign_hosts.pages
    assert len(kept) == 1000
    assert max(map(len, kept)) <= 256


def test_page_cannot_forge_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    site(f'<img src="https://h.example/a\x1b[31m\xe9{"x" * 500}&quot;">').get('/a\nWARNING: "')
    (message,) = caplog.messages
    assert message.replace("\n", "").isprintable()
    assert message.replace("…", "").isascii()
    assert len(message) < 1200
