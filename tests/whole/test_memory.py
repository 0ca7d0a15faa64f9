"""Tests that what is kept of client input is bounded in number and in size."""

from __future__ import annotations

import gc
import socket
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp

from cookie_consent.base.addresses import host_name
from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.decision.own_cookies import HTTPS, OwnCookies
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.http.plan import Head, read_encoding
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import NOW, PHONE, PREFIX, SITE, Visitor, call, install, page_app, reply_app
from tests.support.policies import KEY
from tests.support.servers.live_server import Server
from tests.whole.test_live_server import serving

pytestmark = pytest.mark.server

MEGABYTE = 1024 * 1024
ROUNDS = 40
MOST_MORE = MEGABYTE
"""Less than one cache would keep of one kind of text from half of the rounds."""
MARK = "zq7"
VENDORS = """
[vendors]
google_consent_mode = { analytics_storage = "analytics" }
"""
"""Vendors are told in the head of each page where the endpoints are, which a client's mount path may begin."""


@contextmanager
def granting(server: Server) -> Iterator[str]:
    """Grant all, so that requests are traced, and yield the Cookie field."""
    with server.visitor() as visitor:
        visitor.post(PREFIX, json={"choice": "accept_all"})
        yield "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())


def memory_of(server: Server) -> int:
    """Return the resident memory of a server's process in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text("ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def status_of(server: Server, start: str, fields: list[tuple[str, str]], body: str = "") -> int:
    """Send a request with fields of any length over a new connection, and return the status."""
    address = urlsplit(server.address)
    assert address.hostname is not None
    assert address.port is not None
    fields = [*fields, ("connection", "close"), ("content-length", str(len(body)))]
    lines = [f"{start} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", body]
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        answer = connection.makefile("rb").read()
    return int(answer.split(b" ", 2)[1])


def long(number: int, length: int) -> str:
    """Return a long text that differs for each number."""
    return f"{number}{'x' * length}"


def flood(server: Server, cookies: str, number: int) -> list[int]:
    """Send a long text in each place where a client can put a text, and return the statuses."""
    huge, large = long(number, MEGABYTE), long(number, 60_000)
    host, phone, site = ("host", "site.example"), ("user-agent", PHONE), server.address
    plain, traced = [host, phone], [host, phone, ("cookie", cookies)]
    form = [*traced, ("origin", "http://site.example"), ("content-type", "application/x-www-form-urlencoded")]
    signals = [("sec-gpc", "1")] * (number + 1)
    return [
        status_of(server, start, fields, body)
        for start, fields, body in [
            ("GET /pages/one", [*plain, ("cookie", f"{huge}=1")], ""),
            ("GET /pages/one", [*plain, ("cookie", f"_ga{huge}=1; player={huge}")], ""),
            ("GET /pages/one", [*plain, ("cookie", f"consent={huge}; visitor={huge}")], ""),
            ("GET /pages/one", [*plain, *signals, ("cookie", f"{number}=1")], ""),
            ("GET /pages/one", [*traced[1:], ("host", huge)], ""),
            ("GET /", [*traced[1:], ("host", huge), ("accept", "text/html")], ""),
            ("GET /", [*traced, ("referer", f"{site}/{huge}"), ("accept", "text/html")], ""),
            ("GET /", [*traced, ("referer", f"https://{huge}.example/")], ""),
            ("GET /", [host, ("cookie", cookies), ("user-agent", huge)], ""),
            ("GET /", [*plain, ("accept-language", huge), ("accept", "text/html")], ""),
            ("GET /", [*plain, ("accept-language", f"{'a-' * 50_000}{number}"), ("accept", "text/html")], ""),
            (f"GET /pages/{large}", traced, ""),
            (f"GET /?utm_source={large}", [*traced, ("accept", "text/html")], ""),
            (f"GET /?{large[:1900]}", [*plain, ("accept", "text/html")], ""),
            (f"GET {PREFIX}?language={large}", plain, ""),
            (f"GET {PREFIX}/question?page_language={large}", plain, ""),
            (f"GET {PREFIX}/question?next=/{large[:2000]}", plain, ""),
            (f"GET {PREFIX}/state?page=/{large}", plain, ""),
            (f"GET {PREFIX}/policy/{large}", plain, ""),
            (f"POST {PREFIX}", [*plain, ("origin", f"http://{huge}"), ("content-type", huge)], ""),
            (f"POST {PREFIX}", [*traced, ("origin", "http://site.example"), ("content-type", huge)], ""),
            (f"POST {PREFIX}", form, f"choice={large}&policy={large[:1000]}"),
            (f"POST {PREFIX}/requests", form, f"kind=access&text={large}"),
            (f"POST {PREFIX}/events", [*form[:-1], ("content-type", "text/plain")], large[:4000]),
        ]
    ]


@pytest.mark.full_matrix
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_long_texts_do_not_grow_server_memory(tmp_path: Path) -> None:
    """httptools does not limit header fields, so a kept field may be as long as the client likes."""
    with serving(tmp_path, "--http", "httptools", "--no-access-log") as server, granting(server) as cookies:
        for number in range(5):  # until buffers have grown and all modules are loaded
            statuses = flood(server, cookies, number)
        assert all(200 <= status < 500 for status in statuses)
        before, looks = memory_of(server), []
        for number in range(5, 5 + ROUNDS):
            flood(server, cookies, number)
            looks.append(memory_of(server))
        # Large blocks are allocated and freed. Kept memory is there at each measurement.
        more = min(looks[ROUNDS // 2 :]) - before
        output = server.output.read_text("utf-8")
    assert more < MOST_MORE, f"{more / MEGABYTE:.0f} MB more"
    assert max(map(len, output.splitlines())) < 1000


class DiscardingSink(MemorySink):
    """A sink that keeps nothing, so that texts found in memory are kept elsewhere."""

    def write(self, line: bytes) -> None:
        """Discard a record."""

    def count(self, line: bytes) -> None:
        """Discard a count."""


def holders_of_long_texts() -> list[str]:
    """Describe the objects in this process that hold a long text with the mark."""
    gc.unfreeze()  # otherwise gc.get_objects lacks the caches of modules
    gc.collect()
    found, left = [], [holder for holder in gc.get_objects() if type(holder) is not FrameType]
    while left:
        holder = left.pop()
        for held in gc.get_referents(holder):
            if type(held) in (tuple, dict) and not gc.is_tracked(held):  # gc.get_objects lacks untracked containers
                left.append(held)
            elif type(held) in (str, bytes) and len(held) > LONGEST_KEPT:
                text = held if isinstance(held, str) else held.decode("latin-1")
                found += [f"{type(holder)}: {text[:60]}"] * (MARK * 80 in text)
    return found


def visit_with_long_texts(site: ASGIApp, times: int) -> None:
    """Send long texts in each place where a client can put a text, several times: some caches keep repeated texts."""
    visitor = Visitor(site, [("user-agent", PHONE), ("sec-fetch-site", "same-origin")])
    visitor.accept()
    long, longer, html = MARK * 120, MARK * 2000, ("accept", "text/html")
    fields = [
        ("host", long),
        ("referer", f"https://site.example/{long}"),
        ("referer", f"https://{long}/"),
        ("user-agent", long),
        ("accept-language", f"{long},{'de,' * 90}"),
        ("cookie", f"{longer}=1; _ga={longer}; consent={longer}"),
        ("origin", f"https://{long}"),
        ("content-type", long),
    ]
    for _ in range(times):
        for field in fields:
            visitor.get("/", [field, html])
            visitor.get(f"{PREFIX}/question", [field])
            visitor.send_form(f"choice={long}", [field])
            visitor.post(
                {"name": "download", "path": f"/{long}", "properties": {"a": long[:200]}}, [field], f"{PREFIX}/events"
            )
        for query in (
            f"language={long}",
            f"page_language={long}",
            f"next=/{long}",
            f"page=/{long}",
            f"utm_source={long}",
        ):
            for path in ("/", PREFIX, f"{PREFIX}/question", f"{PREFIX}/state"):
                visitor.get(path, [html], query=query.encode())
                Visitor(site).get(path, [html], query=query.encode())
        for path in (f"/{long}", f"{PREFIX}/policy/{long}", f"{PREFIX}/{long}"):
            visitor.get(path, [html])
            Visitor(site).get(path, [html], root_path=f"/{long}")
        visitor.send_form(f"reference={long}&secret={long}", path=f"{PREFIX}/requests/look-up")
        visitor.get("/", [("sec-gpc", "1")] * 300)


@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("undeclared", ["hold", "allow"])
@pytest.mark.no_cover
def test_no_cache_keeps_long_text_of_a_client(undeclared: str) -> None:
    """This includes the caches of the standard library and of the packages that parse fields."""
    app = page_app(reads=["analytics"])
    kept = {"access_log": DiscardingSink(), "ledger": MemoryLedger()}
    site = install(app, SITE + VENDORS, **kept, settings_link=True, undeclared=undeclared)
    visit_with_long_texts(site, 3)
    assert holders_of_long_texts() == []
    held = [{(MARK * 120, 1): b"1"}]
    assert len(holders_of_long_texts()) == len(held)


def test_repeated_signal_field_makes_one_cache_key() -> None:
    site = install()
    for times in (1, 300):
        call(site, headers=[("sec-gpc", "1")] * times)
    assert len(site._site.visits._known) == 1


@pytest.mark.no_cover
def test_cache_of_cookie_fields_is_limited_in_bytes() -> None:
    site = install()
    for number in range(3000):
        field = f"session={number}; {'x' * 2000}=1"
        for _ in range(2):
            call(site, headers=[("cookie", field)])
    known = site._site.visits._known
    assert 0 < sum(len(visit.visible_cookies or b"") for visit in known.values()) < len(known) * 100
    assert len(known) * 2000 <= 4.2 * MEGABYTE
    assert all(len(key[0][0]) == 32 for key in known if isinstance(key[0], tuple))
    assert len(known) == len([key for key in known if isinstance(key[0], tuple)])


@pytest.mark.parametrize("length", [256, 257])
def test_long_cookie_fields_are_distinguished_like_short_ones(length: int) -> None:
    seen: list[list[str]] = []
    site = install(reply_app(seen=seen))
    for _ in range(3):
        for letter in "ab":
            call(site, headers=[("cookie", f"_ga=1; session={letter * (length - 15)}")])
    assert [field[0][-1] for field in seen] == ["a", "b"] * 3


def test_only_64_kib_of_cookie_fields_are_read() -> None:
    seen: list[list[str]] = []
    site = install(reply_app(seen=seen))
    visitor = Visitor(site)
    visitor.accept()
    call(site, headers=[("cookie", f"session={'s' * 65_527}"), ("cookie", "_ga=1")])
    call(site, headers=[("cookie", f"session=s; {cookies_in(visitor)}"), *[("cookie", "session=t")] * 20_000])
    call(site, headers=[("cookie", f"_ga=1; session=s; x={'y' * 70_000}")])
    call(site, headers=[("cookie", "y" * 70_000)])
    assert seen[0] == [f"session={'s' * 65_527}"]
    assert seen[1][0].startswith("session=s; __Host-consent=")
    assert 65_500 < len(seen[1][0]) <= 65_536
    assert seen[2:] == [["session=s"], []]


@pytest.mark.full_matrix
@pytest.mark.no_cover
def test_cookies_with_many_declared_names_use_little_memory() -> None:
    site = install()
    call(site)
    gc.collect()
    tracemalloc.start()
    for number in range(100):
        field = "; ".join(f"_ga{number:03}{name:03}=" for name in range(340))
        assert len(field) < 4096
        for _ in range(2):
            call(site, headers=[("cookie", field)])
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 5 * MEGABYTE


def test_overlong_host_is_recorded_as_other() -> None:
    assert host_name(b"a" * 255 + b":8000") == "a" * 255
    assert host_name(b"a" * 256) == "(other)"
    sink = MemorySink()
    site = install(page_app(), access_log=sink)
    visitor = Visitor(site, [("user-agent", PHONE), ("sec-fetch-dest", "document")])
    visitor.accept()
    for host in ("b" * 300, "b" * 300, "site.example"):
        call(site, headers=[*visitor.headers, ("cookie", cookies_in(visitor))], host=host)
    hosts = [record["server.address"] for record in sink.records]
    assert hosts == ["(other)", "(other)", "site.example"]
    assert site._site.access_log is not None
    site._site.access_log.counts.flush()
    assert {count["server.address"] for count in sink.counts} == {"(other)", "site.example"}


def test_overlong_content_type_is_no_page() -> None:
    for spaces, encoding in ((246, "ascii"), (247, None)):
        fields = [(b"content-type", b"text/html;" + b" " * spaces)]
        message = {"type": "http.response.start", "status": 200, "headers": fields}
        assert read_encoding(Head(message, {})) == encoding


def test_consent_cookie_with_many_purposes_is_read() -> None:
    answers = {f"purpose-{number:019}": Answer(State.GRANTED, "abcde") for number in range(20)}
    record = ConsentRecord(answers=answers, policy="v", decided_at=int(NOW), source="api", language="en")
    cookie = OwnCookies(KEY).set_consent(record, HTTPS).partition(b";")[0]
    assert OwnCookies(KEY).read_records(cookie, HTTPS) == [record]


def cookies_in(visitor: Visitor) -> str:
    return "; ".join(f"{name}={value}" for name, value in visitor.jar.items())
