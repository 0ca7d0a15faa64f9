"""Tests of the gate with the cookie stores of Chromium and Python.

The stores keep only allowed cookies, for no longer than declared, and lose deleted ones. The streams of Set-Cookie
fields are random. FULL_MATRIX=1 makes more of them.
"""

from __future__ import annotations

import random
import socketserver
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import formatdate
from http.cookiejar import CookieJar
from typing import Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from cookie_consent.base.cookies import Headers
from cookie_consent.decision.gate import Gate
from tests.support.asgi import policy

HOST = "www.site.example"
OURS = {"consent": frozenset({"necessary"}), "visitor": frozenset({"analytics"})}
CONSENTS = [
    {"necessary": True, "analytics": False, "media": False},
    {"necessary": True, "analytics": True, "media": False},
    {"necessary": True, "analytics": False, "media": True},
]
DAY = 86_400
FIELDS_PER_STREAM = 40
pytestmark = pytest.mark.filterwarnings("ignore:http.cookiejar bug")


@dataclass(frozen=True)
class StoredCookie:
    """A stored cookie: its name, and when it ends (seconds since 1970); None for a session cookie."""

    name: str
    ends: float | None


class Store(Protocol):
    """A cookie store."""

    def take(self, fields: Headers, path: str = "/") -> None:
        """Take the Set-Cookie fields of a response."""

    def cookies(self) -> list[StoredCookie]:
        """Return the stored cookies."""

    def cookie_field(self, path: str = "/") -> bytes:
        """Return the Cookie field of a request."""

    def clear(self) -> None:
        """Delete all cookies."""


class PythonStore:
    """`http.cookiejar`, which HTTP clients in Python use.

    Of several Max-Age or Expires attributes it takes the first, browsers the last (RFC 6265bis section 5.7, step 3).
    Fields with several are therefore left out. Each field comes in its own response: one Max-Age without a value makes
    the store ignore the whole response.
    """

    def __init__(self) -> None:
        self._jar = CookieJar()

    def take(self, fields: Headers, path: str = "/") -> None:
        request = urllib.request.Request(f"http://{HOST}{path}")
        for name, value in fields:
            if any(value.lower().count(attribute) > 1 for attribute in (b"max-age", b"expires")):
                continue
            headers = Message()
            headers[name.decode()] = value.decode("latin-1")
            self._jar.extract_cookies(_Response(headers), request)  # type: ignore[arg-type]

    def cookies(self) -> list[StoredCookie]:
        return [StoredCookie(cookie.name, cookie.expires) for cookie in self._jar]

    def cookie_field(self, path: str = "/") -> bytes:
        request = urllib.request.Request(f"http://{HOST}{path}")
        self._jar.add_cookie_header(request)
        return (request.get_header("Cookie") or "").encode("latin-1")

    def clear(self) -> None:
        self._jar.clear()


@dataclass(frozen=True)
class _Response:
    headers: Message

    def info(self) -> Message:
        return self.headers


class ChromiumStore:
    """Chromium's cookie store, filled by responses of a server that sends any bytes."""

    def __init__(self, context: BrowserContext, page: Page, server: Server) -> None:
        self._context, self._page, self._server = context, page, server

    def take(self, fields: Headers, path: str = "/") -> None:
        self._server.fields = fields
        self._page.goto(f"http://{HOST}:{self._server.server_address[1]}{path}")
        self._server.fields = []

    def cookies(self) -> list[StoredCookie]:
        return [
            StoredCookie(cookie["name"], cookie["expires"] if cookie["expires"] >= 0 else None)
            for cookie in self._context.cookies()
        ]

    def cookie_field(self, path: str = "/") -> bytes:
        self.take([], path)
        return self._server.cookies

    def clear(self) -> None:
        self._context.clear_cookies()


class Server(socketserver.ThreadingTCPServer):
    """Answers each request with the given fields, byte for byte, and keeps the Cookie field of the last request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fields: Headers = []
        self.cookies = b""


class _Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        lines = list(iter(self.rfile.readline, b"\r\n"))
        if b"favicon" not in lines[0]:
            cookies = [line for line in lines if line.lower().startswith(b"cookie:")]
            self.server.cookies = cookies[0].partition(b":")[2].strip() if cookies else b""
        fields = b"".join(b"%b: %b\r\n" % pair for pair in self.server.fields)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n%b\r\nok" % fields)


@contextmanager
def chromium(browser: Browser) -> Iterator[ChromiumStore]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context()  # it ends with the browser, which the tests without one do not await
        yield ChromiumStore(context, context.new_page(), server)
        server.shutdown()


@pytest.fixture(scope="module", params=["Python", pytest.param("Chromium", marks=pytest.mark.browser)])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "Python":
        yield PythonStore()
    else:
        with chromium(request.getfixturevalue("browser")) as found:
            yield found


@pytest.fixture
def rng() -> random.Random:
    """Random numbers, the same in each run."""
    return random.Random(20_250_615)  # noqa: S311 (no secret)


def streams(pytestconfig: pytest.Config) -> int:
    return 400 if pytestconfig.getoption("--full-matrix") else 40


def test_stored_cookies_are_allowed_and_live_no_longer_than_declared(
    store: Store, rng: random.Random, pytestconfig: pytest.Config
) -> None:
    stored = 0
    for _ in range(streams(pytestconfig)):
        now, allowed = time.time(), rng.choice(CONSENTS)
        gate = Gate(policy(), OURS)
        sent = [(b"set-cookie", random_set_cookie(rng, now)) for _ in range(FIELDS_PER_STREAM)]
        store.clear()
        store.take(gate.filter_response(sent, allowed, now)[0])
        for cookie in store.cookies():
            stored += 1
            limit = longest_lifetime(cookie.name, allowed)
            assert limit is not None, f"stored, but not allowed: {cookie}, of {allowed} and {sent}"
            if cookie.ends is not None:
                assert cookie.ends <= now + limit + 60, f"stored for too long: {cookie}, of {sent}"
    assert stored > streams(pytestconfig), "the streams contain cookies that are stored"


def test_disallowed_cookies_are_stored_without_gate(store: Store, rng: random.Random) -> None:
    store.clear()
    for _ in range(5):
        store.take([(b"set-cookie", random_set_cookie(rng, time.time())) for _ in range(FIELDS_PER_STREAM)])
    assert any(longest_lifetime(cookie.name, CONSENTS[0]) is None for cookie in store.cookies())


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


def test_deletion_removes_cookies_from_every_place(
    store: Store, rng: random.Random, pytestconfig: pytest.Config
) -> None:
    gate = Gate(policy(), OURS)
    unsent = gate.find_unsent(policy().optional, "/privacy-choices")
    allowed = dict.fromkeys(policy().in_force, True)
    assert [cookie.name for cookie in unsent] == ["player"]
    deleted = 0
    for _ in range(streams(pytestconfig) // 3):
        store.clear()
        planted = [(b"set-cookie", random_planted_cookie(rng)) for _ in range(rng.randrange(1, 12))]
        store.take([*planted, (b"set-cookie", b"session=1; Path=/")])
        before = {cookie.name for cookie in store.cookies()}
        for _ in range(10):  # the next response deletes what did not fit into this one
            _, _, refusable = gate.filter_request(store.cookie_field(), allowed)
            names = [name for name, _ in refusable]
            if not names and "player" not in {cookie.name for cookie in store.cookies()}:
                break
            store.take(gate.expire_cookies(names, HOST, secure=False, unsent=unsent))
        assert {cookie.name for cookie in store.cookies()} == {"session"}, f"of {planted}"
        deleted += len(before) - 1
    assert deleted > streams(pytestconfig)


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
