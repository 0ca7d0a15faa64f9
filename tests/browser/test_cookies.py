"""Tests of cookies in Chromium's own store: only allowed ones are kept, as long as declared, and deleted ones are lost.

The streams of Set-Cookie fields are random. FULL_MATRIX=1 makes more of them.
"""

from __future__ import annotations

import random
import socketserver
import threading
import time
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from cookie_consent.base.cookies import Headers
from cookie_consent.decision.gate import Gate
from tests.support.asgi import PREFIX, Clock, install, page_app, policy
from tests.support.servers.threads import served

pytestmark = pytest.mark.browser

HOST = "www.site.example"
OURS = {"consent": frozenset({"necessary"}), "visitor": frozenset({"analytics"})}
CONSENTS = [
    {"necessary": True, "analytics": False, "media": False},
    {"necessary": True, "analytics": True, "media": False},
    {"necessary": True, "analytics": False, "media": True},
]
DAY = 86_400
FIELDS_PER_STREAM = 40
SESSION = {"session"}
BY_SCRIPT = {
    "_ga": "Path=/; Domain=site.example",
    "_ga_2": "Path=/; Domain=www.site.example",
    "_ga_3": "Path=/",
    "player": "Path=/videos; Domain=site.example",
}
"""The name of a cookie that a script sets -> its attributes."""
ANSWER = """([address, choice]) => fetch(address, {
    method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({choice}),
}).then((answer) => answer.json()).then((state) => state.status)"""


class Server(socketserver.ThreadingTCPServer):
    """Answers each request with the given fields, byte for byte, and keeps the Cookie field of the last request."""

    daemon_threads = True
    cookies = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fields: Headers = []


class _Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        lines = list(iter(self.rfile.readline, b"\r\n"))
        fields = b""
        if b"favicon" not in lines[0]:
            self.server.cookies = b"".join(line[8:].strip() for line in lines if line.lower().startswith(b"cookie: "))
            fields = b"".join(b"%b: %b\r\n" % pair for pair in self.server.fields)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n%b\r\nok" % fields)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture
def rng() -> random.Random:
    """Random numbers, the same in each run."""
    return random.Random(20_250_615)  # noqa: S311 (no secret)


@pytest.fixture
def streams(pytestconfig: pytest.Config) -> int:
    """How many streams of fields the store takes."""
    return 400 if pytestconfig.getoption("--full-matrix") else 40


def take(page: Page, server: Server, fields: Headers) -> bytes:
    """Let the store take Set-Cookie fields; return the Cookie field of the request for them."""
    server.fields = fields
    page.goto(f"http://{HOST}:{server.server_address[1]}/")
    return server.cookies


def kept(context: BrowserContext) -> set[str]:
    """Return the names of the stored cookies, but for those of ours."""
    return {cookie["name"] for cookie in context.cookies()} - {"consent", "visitor", "visitor-erasure"}


def test_stored_cookies_are_allowed_and_live_no_longer_than_declared(
    page: Page, server: Server, rng: random.Random, streams: int
) -> None:
    stored = 0
    for _ in range(streams):
        now = time.time()
        allowed = rng.choice(CONSENTS)
        sent = [(b"set-cookie", random_set_cookie(rng, now)) for _ in range(FIELDS_PER_STREAM)]
        page.context.clear_cookies()
        take(page, server, Gate(policy(), OURS).filter_response(sent, allowed, now)[0])
        for cookie in page.context.cookies():
            stored += 1
            limit = longest_lifetime(cookie["name"], allowed)
            assert limit is not None, f"stored, but not allowed: {cookie}, of {allowed} and {sent}"
            assert cookie["expires"] <= now + limit + 60, f"stored for too long: {cookie}, of {sent}"
    assert stored > streams, "the streams contain cookies that are stored"
    take(page, server, [(b"set-cookie", random_set_cookie(rng, now)) for _ in range(5 * FIELDS_PER_STREAM)])
    names = [cookie["name"] for cookie in page.context.cookies()]
    assert any(longest_lifetime(name, CONSENTS[0]) is None for name in names), "without the gate they are not allowed"


def longest_lifetime(name: str, allowed: Mapping[str, bool]) -> float | None:
    """Return how long a cookie may be stored according to the policy file (seconds); None if not at all."""
    if name == "session" or name == "_ga_session":
        return 0
    if name.startswith("_ga"):
        return 395 * DAY if allowed["analytics"] else None
    if name == "player":
        return 30 * DAY if allowed["media"] else None
    return None


def random_set_cookie(rng: random.Random, now: float) -> bytes:
    """Return a plausible Set-Cookie field with some odd bytes."""
    name = rng.choice(NAMES)
    if rng.random() < 0.15:
        name = rng.choice(ODD_BYTES) + name
    if rng.random() < 0.15:
        name += rng.choice(ODD_BYTES)
    pair = name + rng.choice([b"=", b"=", b"=", b"=", b" = ", b"==", b""]) + rng.choice(VALUES)
    attributes = [rng.choice(attributes_at(now)) for _ in range(rng.choice([0, 0, 1, 1, 2, 3]))]
    return rng.choice([b"; ", b"; ", b";", b" ;\t"]).join([pair, *attributes])


NAMES = [b"session", b"_ga", b"_ga_1", b"_ga_session", b"_GA", b"player", b"Player", b"mystery", b"consent", b"visitor",
         b"__Host-consent", b""]  # fmt: skip
ODD_BYTES = [
    b" ",
    b"\t",
    b"\xc2\xa0",
    b"\x1c",
    b"\xc2\x85",
    b'"',
    b",",
    b"\x7f",
    b"\x01",
    b"=",
    b"\xe3\x81\x82",
    b"$",
    b"x",
    b"; ",
]
VALUES = [b"1", b"", b'"1"', b'"a; b"', b"a=b", b"\xff", b"a b", b"a\tb", b"a,b=c", b"x" * 4090, b"deleted"]


def attributes_at(now: float) -> list[bytes]:
    year = formatdate(now + 366 * DAY, usegmt=True).encode()
    past, ages = (
        b"Thu, 01 Jan 1970 00:00:00 GMT",
        (b"0", b"-1", b"+1", b"00", b"0x", b"1e9", b"99999999999", b"3600", b""),
    )
    dates = (past, year, year.replace(b" GMT", b""), year.replace(b" ", b"-"), b"0", b"never", past + b"x" * 1100)
    return [
        *(name + b"=" + age for name in (b"Max-Age", b"max-age ", b"\tMAX-AGE") for age in ages),
        *(b"Expires=" + date for date in dates),
        *(b"expires = " + date for date in dates),
        b"Path=/", b"Path=/videos", b"Path", b"Domain=site.example", b"Domain=.site.example", b"Domain=example",
        b"Domain=other.example", b"HttpOnly", b"SameSite=None", b"SameSite=Lax", b"Secure", b"", b"_ga=2", b"x" * 1030,
        b'Comment="a; _ga=3"', b"Max-Age", b"Expires",
    ]  # fmt: skip


@pytest.mark.requirement("CK-13")
def test_deletion_removes_cookies_from_every_place(
    page: Page, server: Server, rng: random.Random, streams: int
) -> None:
    gate = Gate(policy(), OURS)
    unsent = gate.find_unsent(policy().optional, PREFIX)
    allowed = dict.fromkeys(policy().in_force, True)
    assert [cookie.name for cookie in unsent] == ["player"]
    deleted = 0
    for _ in range(streams // 3):
        page.context.clear_cookies()
        planted = [(b"set-cookie", random_planted_cookie(rng)) for _ in range(rng.randrange(1, 12))]
        take(page, server, [*planted, (b"set-cookie", b"session=1; Path=/")])
        deleted += len(kept(page.context)) - 1
        for _ in range(10):  # the next response deletes what did not fit into this one
            if kept(page.context) == SESSION:
                break
            _, _, refusable = gate.filter_request(take(page, server, []), allowed)
            names = [name for name, _ in refusable]
            take(page, server, gate.expire_cookies(names, HOST, secure=False, unsent=unsent))
        assert kept(page.context) == SESSION, f"of {planted}"
    assert deleted > streams


def random_planted_cookie(rng: random.Random) -> bytes:
    """Return a Set-Cookie field for one of the paths and domains that the declaration allows."""
    domain = rng.choice([b"", b"; Domain=site.example", b"; Domain=.site.example", b"; Domain=" + HOST.encode()])
    if rng.random() < 0.2:
        return b"player=1; Path=/videos" + domain
    odd = rng.choice(
        [
            b"",
            b"_1",
            b"-" * 200,
            b" a",
            b",a",
            b'"',
            b"\xe3\x81\x82",
            b"\xff",
            b"(x)",
            b"%s" % bytes([rng.randrange(0x21, 0x3B)]),
        ]
    )
    return b"_ga" + odd + b"=1; Path=/; Max-Age=3600" + domain


@pytest.mark.requirement("CK-13")
@pytest.mark.parametrize("end", ["refused", "expired", "lost"])
def test_end_of_consent_deletes_script_cookies_on_every_path_and_domain(page: Page, tmp_path: Path, end: str) -> None:
    clock = Clock(time.time())
    app = install(page_app(sets=["session=1", "_ga=1"]), clock=clock, access_log=tmp_path / "access.jsonl")
    with served(app) as port:
        site = f"http://{HOST}:{port}"
        page.goto(f"{site}/one")
        assert page.evaluate(ANSWER, [PREFIX, "accept_all"]) == "granted"
        set_cookies_by_script(page)
        page.goto(f"{site}/two")
        assert kept(page.context) == {*SESSION, *BY_SCRIPT}
        if end == "refused":
            assert page.evaluate(ANSWER, [PREFIX, "refuse_all"]) == "refused"
            assert kept(page.context) == SESSION
            set_cookies_by_script(page)
        else:
            clock.forward(days=185)
        if end == "lost":
            page.context.clear_cookies(name="consent")
        page.goto(f"{site}/three")
        page.goto(f"{site}/videos")
        assert kept(page.context) == SESSION
        assert "visitor" not in {cookie["name"] for cookie in page.context.cookies()}


def set_cookies_by_script(page: Page) -> None:
    """Let a script set cookies of analytics and media for the host, for the domain and on a path."""
    for name, attributes in BY_SCRIPT.items():
        page.evaluate("(cookie) => { document.cookie = cookie }", f"{name}=1; {attributes}")
