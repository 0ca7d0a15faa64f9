"""Which cookies pass, both ways, over http and websocket, and what is said about those that do not."""

from __future__ import annotations

import asyncio
import logging
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from cookie_consent.base.cookies.fields import pairs
from cookie_consent.decision.gate import Gate, Headers
from cookie_consent.sinks.memory import MemorySink
from cookie_consent.visitors.pages.assets import assets
from tests.support.asgi import (
    NOW,
    PAGE,
    PHONE,
    PREFIX,
    SITE,
    Clock,
    Visitor,
    answering,
    call,
    drive,
    install,
    page,
    policy,
    raw,
    scope,
)
from tests.support.browsers.browser import stored
from tests.support.policies import policy_of

NOTHING = {"necessary": True, "analytics": False, "media": False}
EVERYTHING = dict.fromkeys(NOTHING, True)
OURS = {"__Host-consent": frozenset({"necessary"}), "__Host-visitor": frozenset({"analytics"})}


def gate(text: str = SITE, *, hold_undeclared: bool = True) -> Gate:
    return Gate(policy(text), OURS, undeclared="hold" if hold_undeclared else "allow", clock=lambda: NOW)


def passes(field: str | bytes, purposes: Mapping[str, bool] = NOTHING, *, hold_undeclared: bool = True) -> bool:
    line = field.encode("latin-1") if isinstance(field, str) else field
    return bool(gate(hold_undeclared=hold_undeclared).outgoing([(b"set-cookie", line)], purposes))


# What the app sends out.


def test_before_an_answer_only_what_is_necessary_leaves() -> None:
    sets = ["_ga=1; Path=/", "session=s; HttpOnly", "mystery=1", "player=1", "_ga_session=1", "_ga_other=1"]
    reply = call(install(answering(sets=sets)))
    assert reply.all("set-cookie") == ["session=s; HttpOnly", "_ga_session=1"]


def test_where_undeclared_cookies_are_held_one_that_is_only_read_as_another_counts_as_undeclared() -> None:
    held = gate()
    assert held.outgoing([(b"set-cookie", b"player\xa0=1")], NOTHING) == []
    assert {reason for (_, reason), times in held.held.items() if times} == {"undeclared"}


def test_after_consent_what_was_allowed_leaves_byte_for_byte() -> None:
    visitor = Visitor(install(answering(sets=["_ga=\xe9 1;Path=/x ;Foo", "player=1", "mystery=1"])))
    visitor.save(analytics=True)
    assert visitor.get().all("set-cookie") == ["_ga=\xe9 1;Path=/x ;Foo"]


@pytest.mark.parametrize("name", [b"set-cookie", b"Set-Cookie", b"SET-COOKIE"])
def test_it_does_not_matter_how_the_field_is_spelled(name: bytes) -> None:
    assert gate().outgoing([(name, b"_ga=1")], NOTHING) == []


def test_a_response_without_cookies_stays_the_very_same_list() -> None:
    headers = [(b"x-set-cookie", b"_ga=1"), (b"set-cookie2", b"_ga=1"), (b"new-cookies", b"_ga=1")]
    assert gate().outgoing(headers, NOTHING) is headers


@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.http.response.start"])
def test_a_websocket_is_gated_as_a_page_is(kind: str) -> None:
    seen: list[list[str]] = []

    async def app(scope: object, receive: object, send: object) -> None:
        assert isinstance(scope, dict)
        seen.append([value.decode() for name, value in scope["headers"] if name == b"cookie"])
        headers = [(b"x-kept", b"1"), (b"set-cookie", b"_ga=1"), (b"Set-Cookie", b"session=s")]
        await send({"type": kind, "headers": headers, "status": 403})  # type: ignore[operator]
        await send({"type": "websocket.send", "text": "_ga=1"})  # type: ignore[operator]

    connection = scope(path="/live", headers=[("cookie", "_ga=1; session=s")], kind="websocket")
    sent = asyncio.run(drive(install(app), connection))
    assert seen == [["session=s"]]
    assert sent == [
        {"type": kind, "headers": [(b"x-kept", b"1"), (b"Set-Cookie", b"session=s")], "status": 403},
        {"type": "websocket.send", "text": "_ga=1"},
    ]


def test_a_websocket_that_is_accepted_without_fields_is_accepted() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "websocket.accept", "subprotocol": "chat"})  # type: ignore[operator]

    sent = asyncio.run(drive(install(app), scope(kind="websocket")))
    assert [(message["type"], message["subprotocol"]) for message in sent] == [("websocket.accept", "chat")]
    assert list(sent[0].get("headers", ())) == []


def test_the_state_that_counts_is_the_one_when_the_response_starts() -> None:
    visitor = Visitor(install(answering(sets=["_ga=1"])))
    assert "_ga" not in visitor.get().set_cookies
    visitor.accept()
    assert "_ga" in visitor.get().set_cookies
    visitor.refuse()
    assert "_ga" not in visitor.get().set_cookies


@pytest.mark.parametrize(
    ("name", "purposes"),
    [
        ("_ga", {"analytics"}),
        ("_ga_other", {"analytics"}),
        ("_ga_session", set[str]()),
        ("_GA", None),
        ("x_ga", None),
        ("player", {"media"}),
        ("player2", None),
    ],
)
def test_the_declaration_with_most_detail_counts(name: str, purposes: set[str] | None) -> None:
    needed = NOTHING | dict.fromkeys(purposes or (), True)
    assert passes(f"{name}=1", needed) is (purposes is not None)
    assert passes(f"{name}=1", NOTHING) is (purposes == set())


def test_many_names_are_told_apart_without_end() -> None:
    own = gate()
    for number in range(2500):
        assert own.reason_to_hold(b"n%d" % number, NOTHING) == "undeclared"
    assert own.reason_to_hold(b"_ga", NOTHING) == "analytics"
    assert own.reason_to_hold(b"session", NOTHING) is None


@pytest.mark.parametrize("name", ["__Host-consent", "__Host-visitor"])
@pytest.mark.parametrize("hold_undeclared", [True, False])
def test_our_own_cookies_are_not_for_the_app_to_set(name: str, hold_undeclared: bool) -> None:
    assert not passes(f"{name}=forged; Path=/; Secure", EVERYTHING, hold_undeclared=hold_undeclared)
    assert passes(f"{name}=; Path=/; Secure; Max-Age=0", NOTHING)


def test_undeclared_cookies_pass_where_they_are_only_reported() -> None:
    assert passes("mystery=1", hold_undeclared=False)
    assert not passes("_ga=1", hold_undeclared=False)


@pytest.mark.parametrize("name", ["\xa0_ga", "\x85_ga", "\x1c_ga", "\x1f\x85_ga", "\xa0" * 300 + "_ga", "\u3000_ga"])
def test_a_name_that_frameworks_strip_is_held_as_what_they_read(name: str) -> None:
    raw = name.encode("utf-8" if "\u3000" in name else "latin-1")
    field = raw + b"=1; \xa0mystery=2"
    assert (name.strip() in cookie_parser(field.decode("latin-1"))) is ("\u3000" not in name)
    assert gate(hold_undeclared=False).incoming(field, NOTHING) == (b"\xa0mystery=2", {"analytics": 1})
    assert gate(hold_undeclared=False).incoming(field, EVERYTHING) == (field, {})
    assert gate().incoming(field, EVERYTHING) == (b"", {"undeclared": 2})
    assert not passes(raw + b"=1", hold_undeclared=False)


def test_trailers_are_gated_as_the_start_is() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"ok"})
        await send({"type": "http.response.trailers", "headers": [(b"Set-Cookie", b"_ga=1"), (b"x", b"y")]})
        await send({"type": "http.response.trailers"})

    sent = asyncio.run(drive(install(app), scope()))
    assert [message.get("headers") for message in sent[2:]] == [[(b"x", b"y")], []]


@pytest.mark.parametrize("made_of", [bytearray, memoryview, lambda part: part.decode("latin-1")])
@pytest.mark.parametrize("given", [[(b"x-a", b"b")], [(b"Vary", b"Origin")], [(b"Cache-Control", b"public")]])
@pytest.mark.parametrize("granted", [False, True])
def test_a_response_without_a_page_has_fields_of_any_kind(made_of: Any, given: list[Any], granted: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(made_of(name), made_of(value)) for name, value in given]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"ok"})

    site = install(app, access_log=MemorySink())
    visitor = Visitor(site, [("user-agent", PHONE)])
    if granted:
        visitor.accept()
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.jar.items()) or "a=b"
    (start, _) = asyncio.run(drive(site, scope(headers=[*visitor.headers, ("cookie", cookies)])))
    told = b" ".join(bytes(value) for _, value in start["headers"] if isinstance(value, bytes))
    assert (b"private" in told) is granted
    assert not (granted and b"public" in told)


@pytest.mark.parametrize("made_of", [bytearray, memoryview])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_cookie_field_that_a_middleware_made_of_other_bytes_is_read(made_of: Any, at: int) -> None:
    seen: list[list[Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append([bytes(value) for name, value in scope["headers"] if name == b"cookie"])
        await answering()(scope, receive, send)

    asked = scope(headers=[("accept", "*/*")])
    asked["headers"].insert(at, (b"cookie", made_of(b"_ga=1; session=s")))
    asyncio.run(drive(install(app), asked, []))
    assert seen == [[b"session=s"]]


@pytest.mark.parametrize("made_of", [bytearray, memoryview, lambda part: part.decode("latin-1")])
@pytest.mark.parametrize("listed", [list, tuple, iter, lambda fields: [[*field] for field in fields]])
@pytest.mark.parametrize("granted", [False, True])
def test_whatever_header_fields_are_made_of_they_are_read(made_of: Any, listed: Any, granted: bool) -> None:
    """Servers take bytearrays, h11 takes texts too: nothing gets around the gate, and nothing raises."""
    sets = [b"_ga=1; Path=/", b"session=s", b"mystery=m"]
    html = [(b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Length", b"%d" % len(PAGE))]
    given = [*html, (b"Cache-Control", b"public"), *((b"Set-Cookie", line) for line in sets)]

    def remade(fields: list[tuple[bytes, bytes]]) -> Any:
        return listed([(made_of(name), made_of(value)) for name, value in fields])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept", "headers": remade(given)})
            return
        await send({"type": "http.response.start", "status": 200, "headers": remade(given)})
        await send({"type": "http.response.body", "body": PAGE})

    site = install(app, access_log=MemorySink(), settings_link=True, edit_csp=True)
    visitor = Visitor(site, [("user-agent", PHONE), ("accept", "text/html"), ("referer", "https://site.example/")])
    if granted:
        visitor.accept()
    cookies = ("cookie", "; ".join(f"{name}={value}" for name, value in visitor.jar.items()) or "a=b")
    fields = [*raw([*visitor.headers, cookies, ("sec-gpc", "0"), ("accept-language", "ja")])]
    for kind in ("http", "websocket"):
        asked = scope(kind=kind, headers=[])
        asked["headers"] = remade([*asked["headers"], *fields])
        (start, *_) = asyncio.run(drive(site, asked, []))
        passed = [value for name, value in start["headers"] if name.lower() == b"set-cookie"]
        assert passed[: 1 + granted] == [*sets[:1] * granted, sets[1]]
        assert sets[2] not in passed
    again = scope(path=PREFIX, headers=[])
    again["headers"] = remade([*again["headers"], *fields])
    assert asyncio.run(drive(site, again, []))[0]["status"] == 200


def test_a_cookie_without_a_name_is_none_that_is_declared() -> None:
    for field in ("_ga", "=_ga=1", "", " ; Path=/", "=session=1"):
        assert not passes(field, EVERYTHING)


# Deletions (RFC 6265bis section 5.6 and 5.7)


@pytest.mark.parametrize(
    "attributes",
    [
        "Max-Age=0",
        "max-age = 0 ",
        "MAX-AGE=-1",
        "Max-Age=000",
        "Max-Age=-0",
        "Max-Age=60; Max-Age=0",
        "Max-Age=0; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
        "Expires=Fri, 01 Jan 2100 00:00:00 GMT; Max-Age=0",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "expires=thu, 01-jan-70 00:00:00",
        "Expires=Thursday, 01-Jan-70 00:00:00 GMT",
        "Expires=Sun Nov  6 08:49:37 1994",
        "Expires=1 jan 1970 0:0:0",
        "Expires=Fri, 01 Jan 2100 00:00:00 GMT; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Path=/; Domain=site.example; HttpOnly; Max-Age=0; Secure",
    ],
)
@pytest.mark.parametrize("name", ["_ga", "mystery", "player"])
def test_a_deletion_always_passes(name: str, attributes: str) -> None:
    assert stored(f"{name}=; {attributes}".encode(), NOW) is None
    assert passes(f"{name}=; {attributes}")


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "Max-Age",
        "Max-Age=",
        "Max-Age=1",
        'Max-Age="0"',
        "Max-Age=+0",
        "Max-Age=0x0",
        "Max-Age=0.0",
        "Max-Age=\xb2",
        "Max-Age=0; Max-Age=60",
        "Max-Age=" + "0" * 1025,
        "X-Max-Age=0",
        "Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60",
        "Expires",
        "Expires=never",
        "Expires=Thu, 01 Jan 1970",
        "Expires=Thu, 01 Jan 1970 24:00:00 GMT",
        "Expires=Thu, 32 Jan 1970 00:00:00 GMT",
        "Expires=Mon, 30 Feb 1970 00:00:00 GMT",
        "Expires=Mon, 01 Jan 1600 00:00:00 GMT",
        "Expires=Fri, 01 Jan 2100 00:00:00 GMT",
        "Expires=Fri, 01-Jan-69 00:00:00 GMT",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
        "Max-Age\x0b=0",
        "\xa0Max-Age=0",
    ],
)
def test_a_fake_deletion_does_not_pass(attributes: str) -> None:
    assert not passes(f"_ga=value; {attributes}")


@pytest.mark.parametrize(
    "attributes",
    [
        "Max-Age=0; Max-Age=soon",
        "Max-Age=soon; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=soon",
        "Path=\0; Max-Age=0",
    ],
)
def test_what_browsers_read_differently_is_no_deletion(attributes: str) -> None:
    assert stored(f"_ga=1; {attributes}".encode(), NOW) is None
    assert not passes(f"_ga=1; {attributes}")


def test_a_date_too_long_for_browsers_deletes_nothing() -> None:
    assert stored(b"_ga=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT" + b" x" * 600, NOW) is not None
    assert not passes(b"_ga=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT" + b" x" * 600)


_dates = st.sampled_from(
    [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 01 Jan 2100 00:00:00 GMT",
        "Sun, 15 Jun 2025 15:06:40 GMT",
        "Sunday, 15-Jun-25 15:06:41",
        "01-Jan-69 00:00:00",
        "Mon, 29 Feb 2023 00:00:00 GMT",
        "1 jan 1600 1:1:1",
        "never",
        "",
        "Thu, 01 Jan 1970 00:00:00 GMT" + " ." * 600,
    ]
)
_ages = st.sampled_from(["0", "-1", "1", "", "00", "abc", "0 ", '"0"', "+1", "-", "--1", "0" * 1024, "1" * 1025])
_attributes = st.one_of(
    st.builds("{}={}".format, st.sampled_from(["Max-Age", "max-age ", " MAX-AGE", "Max-Age\t", "X-Age"]), _ages),
    st.builds("{}={}".format, st.sampled_from(["Expires", " eXPIRES ", "Expires2"]), _dates),
    st.sampled_from(["Path=/", "Domain=site.example", "HttpOnly", "", "Max-Age", "Expires", "Secure", "=0"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters=";"), max_size=8),
)  # fmt: skip
_names = st.sampled_from(
    ["_ga", "_ga_1", "_ga_session", "session", "player", "mystery", "", "__Host-consent", "__Host-visitor", "_GA"]
)
_set_cookies = st.builds(
    lambda name, value, attributes: "; ".join([f"{name}={value}", *attributes]).encode("latin-1"),
    _names,
    st.sampled_from(["", "1", "a b", "x=y"]),
    st.lists(_attributes, max_size=4),
)
_other_fields = st.tuples(
    st.sampled_from([b"vary", b"x", b"set-cookie2", b"Content-Type"]), st.binary(min_size=0, max_size=5)
)
_responses = st.lists(
    st.one_of(
        _other_fields,
        st.tuples(st.sampled_from([b"set-cookie", b"Set-Cookie", b"SET-COOKIE"]), _set_cookies),
        st.tuples(st.just(b"set-cookie"), st.binary(max_size=20)),
    ),
    max_size=8,
)
_decisions = st.fixed_dictionaries({"necessary": st.just(True), "analytics": st.booleans(), "media": st.booleans()})


def _is_allowed(name: str, purposes: Mapping[str, bool]) -> bool:
    """What the policy says, said another way."""
    if name in ("session", "_ga_session"):
        return True
    return purposes["media"] if name == "player" else purposes["analytics"] and name.startswith("_ga")


@given(headers=_responses, purposes=_decisions)
@example(headers=[(b"set-cookie", b"_ga=1; Max-Age=junk; Max-Age=0")], purposes=NOTHING)
def test_whatever_passes_is_allowed_or_stores_nothing(
    headers: list[tuple[bytes, bytes]], purposes: dict[str, bool]
) -> None:
    passed = gate().outgoing(list(headers), purposes)
    for name, value in passed:
        if name.lower() == b"set-cookie":
            cookie = stored(value, NOW)
            assert cookie is None or _is_allowed(cookie.name.decode("latin-1"), purposes)


@given(headers=_responses, purposes=_decisions)
def test_order_and_all_other_fields_stay(headers: list[tuple[bytes, bytes]], purposes: dict[str, bool]) -> None:
    passed = gate().outgoing(list(headers), purposes)
    rest = iter([without_lifetime(field) for field in headers])
    assert all(without_lifetime(field) in rest for field in passed)
    assert [f for f in passed if f[0].lower() != b"set-cookie"] == [f for f in headers if f[0].lower() != b"set-cookie"]
    for field in headers:
        cookie = stored(field[1], NOW) if field[0].lower() == b"set-cookie" else None
        if cookie is not None and _is_allowed(cookie.name.decode("latin-1"), purposes):
            assert without_lifetime(field) in [without_lifetime(passed_on) for passed_on in passed]


def without_lifetime(field: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    """Return the parts of a field, byte for byte, without those that say how long a cookie is kept."""
    name, value = field
    if name.lower() != b"set-cookie":
        return field
    pair, *attributes = value.split(b";")
    names = [attribute.partition(b"=")[0].strip(b" \t").lower() for attribute in attributes]
    return name, pair, *(a for a, own in zip(attributes, names, strict=True) if own not in (b"max-age", b"expires"))


# For how long they stay

DAY = 86_400
LASTING = {"session": None, "_ga_session": None, "_ga": 395 * DAY, "_ga_1": 395 * DAY, "player": 30 * DAY}
_long_dates = st.sampled_from(
    [
        "Fri, 13 Jun 2036 15:06:40 GMT",
        "Mon, 14 Jul 2025 15:06:40 GMT",
        "Tue, 15 Jul 2025 15:06:41 GMT",
        "Tuesday, 15-Jul-25 15:06:41 GMT",
        "15 jul 2025 15:6:41 +0900",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sun, 15 Jun 2025 15:06:40 GMT",
    ]
)
_long_ages = st.sampled_from(
    ["34560000", "2592000", "2592001", "31536000000000000000000000", "9" * 5000, "0001", "-", "1e9"]
)
_lasting = st.one_of(
    _attributes,
    st.builds("{}={}".format, st.sampled_from(["Max-Age", "max-age", "MAX-AGE ", " Max-Age"]), _long_ages),
    st.builds("{}={}".format, st.sampled_from(["Expires", "expires "]), _long_dates),
)  # fmt: skip


@given(name=st.sampled_from(sorted(LASTING)), attributes=st.lists(_lasting, max_size=5))
@example(name="session", attributes=["Max-Age=0; Expires=Fri, 13 Jun 2036 15:06:40 GMT"])
@example(name="player", attributes=["Max-Age=60; Max-Age=34560000; Expires=Fri, 13 Jun 2036 15:06:40 GMT"])
def test_no_cookie_that_passes_is_kept_for_longer_than_declared(name: str, attributes: list[str]) -> None:
    field = (b"Set-Cookie", "; ".join([f"{name}=1", *attributes]).encode("latin-1"))
    (passed,) = gate().outgoing([field], EVERYTHING)
    assert without_lifetime(passed) == without_lifetime(field)
    assert gate().outgoing([passed], EVERYTHING) == [passed]
    before, after, longest = stored(field[1], NOW), stored(passed[1], NOW), LASTING[name]
    assert (before is None) is (after is None)
    if before is None or after is None:
        return
    if longest is None or before.expiry is None:
        assert after.expiry is None
    else:
        assert after.expiry is not None
        assert after.expiry == pytest.approx(min(before.expiry, NOW + longest), abs=1)
        assert after.expiry <= NOW + longest


def kept(field: str, text: str = SITE) -> str:
    (passed,) = gate(text).outgoing([(b"set-cookie", field.encode())], EVERYTHING)
    return passed[1].decode()


@pytest.mark.parametrize(
    ("field", "passed"),
    [
        ("session=s; Path=/; Max-Age=34560000; HttpOnly", "session=s; Path=/; HttpOnly"),
        ("session=s;expires=Fri, 13 Jun 2036 15:06:40 GMT ;Secure", "session=s;Secure"),
        ("player=1; max-age = 34560000 ; Path=/videos", "player=1; max-age =2592000; Path=/videos"),
        ("player=1; Expires=Fri, 13 Jun 2036 15:06:40 GMT", "player=1; Expires=Tue, 15 Jul 2025 15:06:40 GMT"),
        ("player=1; Expires=Monday, 14-Jul-25 15:06:40 GMT", "player=1; Expires=Mon, 14 Jul 2025 15:06:40 GMT"),
        ("player=1; Max-Age=60; Max-Age=99999999", "player=1; Max-Age=60; Max-Age=2592000"),
        ("player=1; Max-Age=1e9; Expires=soon", "player=1"),
        ("player=1; Max-Age=2592000", "player=1; Max-Age=2592000"),
        ("player=Max-Age=99999999; X-Max-Age=99999999", "player=Max-Age=99999999; X-Max-Age=99999999"),
        ("session=; Max-Age=0; Path=/", "session=; Max-Age=0; Path=/"),
        ("session=; Expires=Thu, 01-Jan-1970 00:00:00 GMT", "session=; Expires=Thu, 01-Jan-1970 00:00:00 GMT"),
    ],
)
def test_each_attribute_says_no_more_than_is_declared(field: str, passed: str) -> None:
    assert kept(field) == passed


def test_what_lasts_longer_than_declared_is_said_once_with_the_lines_that_would_allow_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = PlainTextResponse("ok")
        response.set_cookie("_ga_1", "1", max_age=396 * DAY)
        await response(scope, receive, send)

    signed_in = SessionMiddleware(_filling_the_session, "k" * 32)
    for site in (install(signed_in), install(app)):
        visitor = Visitor(site)
        visitor.accept()
        for _ in range(2):
            reply = visitor.get()
            assert "14 days" not in str(reply.headers)
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 2
    assert 'cookie "session" is kept for the browser session' in warnings[0]
    assert "the app sets it for 14 days" in warnings[0]
    pasted = tomllib.loads(warnings[0][warnings[0].index("[[cookies]]") :])["cookies"]
    assert pasted == [{"name": "session", "purpose": "necessary", "duration": "14 days"}]
    assert '"_ga*" is kept for 395 days' in warnings[1]
    longer = SITE.replace('name = "session"\n', 'name = "session"\nduration = "14 days"\n')
    assert kept("session=s; max-age=1209600", longer) == "session=s; max-age=1209600"
    assert len(caplog.records) == 2


async def _filling_the_session(scope: Scope, receive: Receive, send: Send) -> None:
    scope["session"]["name"] = "value"
    await PlainTextResponse("ok")(scope, receive, send)


@pytest.mark.parametrize(("name", "longest"), [("session", 0), ("player", 30 * DAY)])
@pytest.mark.parametrize(("more", "warnings"), [(60, 0), (61, 1)])
def test_a_minute_more_than_declared_is_not_said(
    name: str, longest: int, more: int, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    kept(f"{name}=1; Max-Age={longest + more}")
    assert len(caplog.records) == warnings


def test_what_nobody_can_tell_apart_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    """Whose clock is some seconds ahead, and what browsers keep for 400 days however long it asks for."""
    text = SITE.replace('duration = "395 days"', 'duration = "400 days"')
    assert kept("_ga=1; Max-Age=999999999", text) == "_ga=1; Max-Age=34560000"
    assert kept("player=1; Expires=Tue, 15 Jul 2025 15:07:00 GMT") == "player=1; Expires=Tue, 15 Jul 2025 15:06:40 GMT"
    assert kept("player=1; Max-Age=1e99") == "player=1"
    assert caplog.records == []


@pytest.mark.parametrize(
    ("attributes", "duration"),
    [
        ("Max-Age=1209600; Path=/", "14 days"),
        ("Expires=Sun, 29 Jun 2025 15:06:40 GMT", "14 days"),
        ("Max-Age=1800", "30 minutes"),
        ("Max-Age=45", "45 seconds"),
        ("Max-Age=999999999", "400 days"),
        ("Path=/", "session"),
        ("Max-Age=0; Max-Age=soon", "session"),
    ],
)
def test_the_lines_for_an_undeclared_cookie_have_the_lifetime_that_was_seen(
    caplog: pytest.LogCaptureFixture, attributes: str, duration: str
) -> None:
    gate().outgoing([(b"set-cookie", f"mystery=1; {attributes}".encode())], NOTHING)
    message = caplog.records[0].getMessage()
    assert tomllib.loads(message[message.index("[[cookies]]") :])["cookies"][0]["duration"] == duration


def test_a_lifetime_is_told_also_of_a_name_that_a_request_was_seen_with_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = gate()
    for _ in range(2):
        own.incoming(b"mystery=1; _ga=1", NOTHING)
        own.outgoing([(b"set-cookie", b"mystery=1; Max-Age=1800"), (b"set-cookie", b"_ga=1; Max-Age=9")], NOTHING)
    messages = [record.getMessage() for record in caplog.records]
    assert [re.findall(r'cookie "(\w+)"|duration = "(.*)"', message) for message in messages] == [
        [("mystery", ""), ("", "session")],
        [("_ga", "")],
        [("mystery", ""), ("", "30 minutes")],
    ]


def test_an_undeclared_cookie_that_is_let_through_stays_as_it_is() -> None:
    field = (b"set-cookie", b"mystery=1; Max-Age=99999999")
    assert gate(hold_undeclared=False).outgoing([field], NOTHING) == [field]


# What the app gets to see.


def test_the_app_sees_only_what_it_may_read() -> None:
    seen: list[list[str]] = []
    app = install(answering(seen=seen))
    call(app, headers=[("cookie", "_ga=1; session=s;player=p ; mystery=m;  _ga_session = x")])
    assert seen == [["session=s; _ga_session = x"]]


def test_the_app_sees_none_where_it_may_read_none() -> None:
    seen: list[list[str]] = []
    call(install(answering(seen=seen)), headers=[("cookie", "_ga=1; player=p")])
    assert seen == [[]]


def test_the_fields_stay_as_they_came_where_nothing_is_held() -> None:
    seen: list[list[str]] = []
    call(install(answering(seen=seen)), headers=[("cookie", "session=s;;  "), ("cookie", "session=t")])
    assert seen == [["session=s;;  ", "session=t"]]


def test_several_cookie_fields_are_gated_as_one() -> None:
    seen: list[list[str]] = []
    app = install(answering(seen=seen))
    visitor = Visitor(app)
    visitor.save(media=True, analytics=False)
    fields = [
        ("cookie", pair)
        for pair in ("_ga=1", "session=s", "player=p", f"__Host-consent={visitor.jar['__Host-consent']}")
    ]
    call(app, headers=fields)
    assert seen[-1] == [f"session=s; player=p; __Host-consent={visitor.jar['__Host-consent']}"]


def test_the_visitor_id_reaches_the_app_only_while_tracing_is_allowed() -> None:
    seen: list[list[str]] = []
    visitor = Visitor(install(answering(seen=seen)))
    visitor.jar["__Host-visitor"] = "anything"
    visitor.get()
    assert seen[-1] == []
    visitor.accept()
    visitor.get()
    assert "__Host-visitor=anything" in seen[-1][0]


_pairs = st.one_of(
    st.builds(lambda name, value: f"{name}={value}".encode(), _names, st.sampled_from(["", "1", "a=b", '"q"'])),
    st.binary(max_size=8).map(lambda raw: raw.replace(b";", b"")),
)


@given(cookies=st.lists(_pairs, max_size=8), purposes=_decisions, hold_undeclared=st.booleans())
def test_the_app_sees_a_subset_byte_for_byte(
    cookies: list[bytes], purposes: dict[str, bool], hold_undeclared: bool
) -> None:
    field = b"; ".join(cookies)
    passed, held = gate(hold_undeclared=hold_undeclared).incoming(field, purposes)
    before, after = list(pairs(field)), list(pairs(passed))
    rest = iter(before)
    assert all(pair in rest for pair in after)
    assert len(before) == len(after) + sum(held.values())
    assert passed == field or held
    for raw_name, _ in before:
        name = raw_name.decode("latin-1")
        if _is_allowed(name, purposes) or name == "__Host-consent":
            assert after.count((raw_name, _)) == before.count((raw_name, _))
    for raw_name, _ in after:
        name = raw_name.decode("latin-1")
        undeclared = not (_is_allowed(name, EVERYTHING) or name.startswith("__Host-"))
        assert undeclared is False or not hold_undeclared
        assert undeclared or _is_allowed(name, purposes) or name == "__Host-consent" or purposes["analytics"]


# What is said about it


def test_each_name_is_warned_of_once_with_the_lines_that_would_declare_it(caplog: pytest.LogCaptureFixture) -> None:
    app = install(answering(sets=["mystery=1", "other=1", "mystery=2"]))
    for _ in range(3):
        call(app, headers=[("cookie", "mystery=1")])
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    for name, warning in zip(["mystery", "other"], warnings, strict=True):
        assert f'"{name}"' in warning
        assert "held back" in warning
        assert "no policy declares it" in warning
        pasted = tomllib.loads(SITE + warning[warning.index("[[cookies]]") :])
        assert pasted["cookies"][-1]["name"] == name
        assert name in {cookie.name for cookie in policy_of(pasted).cookies}


@given(name=st.from_regex(re.compile(r"[!#$%&'+\-.^_`|~0-9A-Za-z]{1,40}"), fullmatch=True))
def test_the_pasted_lines_declare_any_name_that_can_be_declared(name: str) -> None:
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    log, undeclared = logging.getLogger("cookie_consent"), f"new-{name}"
    log.addHandler(handler)
    try:
        assert not passes(f"{undeclared}=1")
    finally:
        log.removeHandler(handler)
    pasted = policy_of(tomllib.loads(SITE + messages[0][messages[0].index("[[cookies]]") :]))
    gate_then = Gate(pasted, OURS, clock=lambda: NOW)
    assert gate_then.reason_to_hold(undeclared.encode(), NOTHING) is None


def test_a_declared_name_is_warned_of_with_its_purpose(caplog: pytest.LogCaptureFixture) -> None:
    app = install(answering(sets=["_ga=1"]))
    call(app)
    call(app, headers=[("cookie", "_ga=1")])
    (record,) = caplog.records
    assert record.getMessage() == (
        'The cookie "_ga" was held back: its purpose "analytics" is not allowed on this request.'
    )


def test_a_name_that_only_the_app_may_not_read_is_warned_of_too(caplog: pytest.LogCaptureFixture) -> None:
    call(install(), headers=[("cookie", "player=1")])
    assert [record.getMessage() for record in caplog.records] == [
        'The cookie "player" was held back from the app: its purpose "media" is not allowed on this request.'
    ]


def test_a_name_of_ours_is_warned_of_as_such(caplog: pytest.LogCaptureFixture) -> None:
    call(install(answering(sets=["__Host-consent=forged; Path=/; Secure"])))
    assert "Give the app's cookie another name" in caplog.text


def test_where_undeclared_cookies_are_let_through_the_report_says_so(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[list[str]] = []
    app = install(answering(sets=["mystery=1"], seen=seen), undeclared="allow")
    for _ in range(2):
        reply = call(app, headers=[("cookie", "mystery=1; _ga=1")])
        assert list(reply.set_cookies) == ["mystery"]
    assert seen == [["mystery=1"], ["mystery=1"]]
    reports = [record.getMessage() for record in caplog.records if "mystery" in record.getMessage()]
    assert len(reports) == 1
    assert "let through" in reports[0]
    assert "[[cookies]]" in reports[0]


def test_names_that_clients_make_up_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    own = gate()
    for number in range(300):
        own.incoming(b"made-up-%d=1" % number, NOTHING)
    assert len(caplog.records) == 101
    assert "only counted" in caplog.records[-1].getMessage()
    own.outgoing([(b"set-cookie", b"of-the-app=1")], NOTHING)
    assert '"of-the-app"' in caplog.records[-1].getMessage()


@pytest.mark.parametrize("name", [b"\x1b[31m", b"a\nb", b'q"[[x]]\nname = "session"', b"\xe9\xff", b"x" * 5000])
def test_a_name_cannot_forge_lines_in_the_log(caplog: pytest.LogCaptureFixture, name: bytes) -> None:
    gate().incoming(name + b"=1", NOTHING)
    message = caplog.records[0].getMessage()
    assert message.isascii()
    assert len(message) < 500
    lines = message.split("\n")
    assert all(line.isprintable() for line in lines)
    assert sum(line.startswith("name = ") for line in lines) == 1


def test_what_is_held_back_is_counted_by_direction_and_reason() -> None:
    own = gate()
    own.outgoing([(b"set-cookie", b"_ga=1"), (b"set-cookie", b"mystery=1"), (b"set-cookie", b"_ga_2=1")], NOTHING)
    own.outgoing([(b"set-cookie", b"__Host-consent=1")], NOTHING)
    own.count("request", own.incoming(b"player=1; session=1; _ga=1", NOTHING)[1])
    assert own.held == {
        ("response", "analytics"): 2,
        ("response", "undeclared"): 1,
        ("response", "reserved"): 1,
        ("request", "media"): 1,
        ("request", "analytics"): 1,
    }


# Expired by a refusal


@pytest.mark.parametrize("accepted_before", [False, True])
@pytest.mark.parametrize("way", ["json", "form"])
def test_a_refusal_expires_in_the_same_response_what_the_request_carried(accepted_before: bool, way: str) -> None:
    """The server sees HttpOnly cookies as any others, so they go too."""
    visitor = Visitor(install())
    if accepted_before:
        visitor.accept()
    visitor.jar |= {"_ga": "1", "_ga_2": "1", "player": "p", "session": "s", "_ga_session": "s", "mystery": "m"}
    reply = visitor.refuse() if way == "json" else visitor.send_form("choice=refuse_all")
    past = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    assert reply.all("set-cookie")[1:] == [
        f"player=; {past}; Path=/videos; Secure",
        f"_ga=; {past}; Path=/; Domain=site.example; Secure",
        f"_ga_2=; {past}; Path=/; Domain=site.example; Secure",
        f"player=; {past}; Path=/videos; Domain=site.example; Secure",
        f"_ga=; {past}; Path=/; Secure",
        f"_ga_2=; {past}; Path=/; Secure",
    ]
    assert reply.all("set-cookie")[0].startswith("__Host-consent=")
    assert all(stored(line.encode(), NOW) is None for line in reply.all("set-cookie")[1:])


def test_a_refusal_of_one_purpose_expires_only_its_cookies() -> None:
    visitor = Visitor(install())
    visitor.jar |= {"_ga": "1", "player": "p"}
    assert list(visitor.save(analytics=False, media=True).set_cookies) == ["__Host-consent", "_ga"]


def test_a_refusal_expires_the_visitor_id() -> None:
    visitor = Visitor(install())
    visitor.jar["__Host-visitor"] = "old"
    assert "Max-Age=0" in visitor.refuse().set_cookies["__Host-visitor"]


def test_neither_a_signal_nor_an_acceptance_nor_silence_expires_anything() -> None:
    visitor = Visitor(install(answering()))
    visitor.jar |= {"_ga": "1", "player": "p"}
    assert visitor.get(headers=[("sec-gpc", "1"), ("dnt", "1")]).all("set-cookie") == []
    assert visitor.get().all("set-cookie") == []
    assert visitor.state([("sec-gpc", "1")])["status"] == "unknown"
    assert list(visitor.accept().set_cookies) == ["__Host-consent"]


def deletions_of(own: Gate, field: bytes, *refused: str, secure: bool = True, host: str = "localhost") -> Headers:
    """Return what deletes the cookies of refused purposes that a request carried."""
    names = [name for name, purposes in own.refusable_cookies(field) if purposes <= {*refused}]
    return own.deletions(names, host, secure=secure)


def test_a_cookie_that_came_several_times_is_expired_once() -> None:
    deletions = deletions_of(gate(), b"_ga=1; _ga=2; player=1", "analytics", secure=False)[::2]
    assert [value.partition(b"=")[0] for _, value in deletions] == [b"_ga"]
    assert not deletions[0][1].endswith(b"Secure")


@pytest.mark.parametrize("name", [b"_ga\n", b"_ga\r\nset-cookie: x", b"_ga\0", b"_ga\x7f", b"_ga\x1b"])
def test_a_name_that_no_cookie_can_have_is_not_sent_back(name: bytes) -> None:
    assert deletions_of(gate(), name + b"=1; _ga=1", "analytics") == deletions_of(gate(), b"_ga=1", "analytics")
    reply = call(
        install(),
        "POST",
        PREFIX,
        [("cookie", name + b"=1"), ("content-type", "application/json"), ("sec-fetch-site", "same-origin")],
        b'{"choice": "refuse_all"}',
    )
    assert list(reply.set_cookies) == ["__Host-consent", "player"]


def test_prefixed_names_are_expired_securely_on_every_connection() -> None:
    text = SITE + '\n[[cookies]]\nname = "__Secure-ads"\npurpose = "media"\n'
    ((_, deletion),) = deletions_of(gate(text), b"__Secure-ads=1", "media", secure=False)
    assert deletion.endswith(b"; Secure")


def test_a_cookie_that_only_the_host_can_have_is_expired_for_the_host_alone() -> None:
    text = SITE + '\n[[cookies]]\nname = "__Host-ads"\npurpose = "media"\n'
    field = b"__Host-ads=1; __Host-visitor=v"
    deletions = [value for _, value in deletions_of(gate(text), field, "media", "analytics", host="www.site.example")]
    assert [deletion.partition(b"=")[0] for deletion in deletions] == [b"__Host-ads", b"__Host-visitor"]
    assert all(b"Domain" not in deletion for deletion in deletions)


def test_a_refusal_expires_wherever_the_host_could_have_set_it() -> None:
    """A script sets its cookie for the most general domain that the browser lets it (CK-13)."""
    text = SITE.replace('domain = "site.example"\n', "")
    deletions = deletions_of(gate(text), b"_ga=1", "analytics", host="a.b.site.example")
    domains = [re.search(rb"Domain=([^;]+)", value) for _, value in deletions]
    assert [found and found[1] for found in domains] == [None, b"site.example", b"b.site.example", b"a.b.site.example"]
    declared = deletions_of(gate(), b"_ga=1", "analytics", host="www.site.example")
    assert b"Domain=site.example" in declared[0][1]
    assert len(declared) == len({value for _, value in declared}) == 3


def test_a_response_expires_no_more_than_proxies_take_and_begins_with_one_of_each() -> None:
    own, names = gate(), [b"_ga_%d" % number for number in range(500)]
    deletions = own.deletions(names[:20], "a.b.site.example", secure=True)
    assert [value.partition(b"=")[0] for _, value in deletions[:20]] == names[:20]
    assert 20 < len(deletions) < 80
    assert 2900 < sum(len(name) + len(value) + 4 for name, value in deletions) <= 3072
    assert sum(len(value) for _, value in own.deletions(names, "site.example", secure=True)) < 3072


# Expired where the endpoints cannot see it, and where it comes again


@pytest.mark.parametrize("sets", ["player=1; Path=/videos", "player=1; Path=/videos; Domain=site.example"])
@pytest.mark.parametrize("root_path", ["", "/sub"])
def test_a_cookie_below_a_path_does_not_survive_the_withdrawal(sets: str, root_path: str) -> None:
    async def visit() -> None:
        site = install(answering(sets=[sets, "session=s"]))
        mounted = Starlette(routes=[Mount(root_path, site)]) if root_path else site
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(mounted),
            base_url="https://www.site.example",
            headers={"sec-fetch-site": "same-origin"},
        ) as client:
            await client.post(f"{root_path}{PREFIX}", json={"choice": "accept_all"})
            await client.get(f"{root_path}/")
            assert {"player", "session"} <= {cookie.name for cookie in client.cookies.jar}
            reply = await client.post(f"{root_path}{PREFIX}", json={"choice": "refuse_all"})
            assert "player" not in reply.request.headers["cookie"]
            assert {cookie.name for cookie in client.cookies.jar} == {"__Host-consent", "session"}

    asyncio.run(visit())


def test_only_what_is_refused_and_cannot_be_sent_is_expired_unseen() -> None:
    text = SITE + "".join(
        f'\n[[cookies]]\nname = "{name}"\npurpose = "{purpose}"\npath = "{path}"\n'
        for name, purpose, path in [
            ("seen", "media", PREFIX),
            ("seen-too", "media", "/"),
            ("by-pattern-*", "media", "/videos"),
            ("of-another", "analytics", "/videos"),
            ("needed", "necessary", "/videos"),
            ("unseen", "media", f"{PREFIX}/"),
        ]
    )
    reply = Visitor(install(text=text)).save(analytics=True, media=False)
    assert list(reply.set_cookies) == ["__Host-consent", "player", "unseen"]


def test_what_comes_again_after_a_refusal_is_expired_again() -> None:
    visitor = Visitor(install(page()))
    visitor.refuse()
    visitor.jar["_ga_x"] = "1"
    reply = visitor.get("/whatever")
    assert set(reply.set_cookies) == {"_ga_x"}
    assert "Max-Age=0" in reply.set_cookies["_ga_x"]
    assert "_ga_x" not in visitor.jar
    visitor.jar |= {"player": "1", "session": "s"}
    for path in (PREFIX, f"{PREFIX}/state", f"{PREFIX}/policy"):
        visitor.jar["player"] = "1"
        assert set(visitor.get(path).set_cookies) == {"player"}
    assert visitor.get().all("set-cookie") == []


def test_the_response_that_expires_is_private_and_what_everybody_gets_expires_nothing() -> None:
    visitor = Visitor(install(answering(headers=[("cache-control", "public, max-age=60")])))
    visitor.refuse()
    assert visitor.get().get("cache-control") == "public, max-age=60"
    visitor.jar["player"] = "1"
    reply = visitor.get()
    assert (reply.get("cache-control"), reply.get("vary")) == ("max-age=60, private", "Cookie, Sec-GPC, DNT")
    visitor.jar["player"] = "1"
    asset = visitor.get(f"{PREFIX}/assets/{assets()['choices.js'].name}")
    assert asset.get("cache-control").startswith("public")
    assert asset.all("set-cookie") == []


def test_only_a_refusal_lets_later_responses_expire_anything() -> None:
    app = install(answering())
    for answer in (None, "accept_all"):
        visitor = Visitor(app)
        if answer:
            visitor.post({"choice": answer})
        for fields in ([], [("sec-gpc", "1")]):
            visitor.jar |= {"player": "1", "_ga": "1"}
            assert visitor.get(headers=fields).set_cookies.keys() <= {"__Host-consent-signal"}
    visitor.save(analytics=True, media=False)
    visitor.jar |= {"player": "1", "_ga": "1"}
    assert set(visitor.get().set_cookies) == {"player"}
    visitor.jar |= {"player": "1"}
    assert "player" not in visitor.accept().set_cookies


def test_an_answer_that_does_not_hold_any_longer_expires_nothing() -> None:
    clock = Clock()
    visitor = Visitor(install(answering(), clock=clock))
    visitor.refuse()
    clock.forward(days=181)
    visitor.jar |= {"player": "1"}
    assert visitor.get().all("set-cookie") == []


def test_a_websocket_that_is_accepted_expires_what_came_again() -> None:
    site = install()
    visitor = Visitor(site)
    visitor.refuse()
    cookies = f"__Host-consent={visitor.jar['__Host-consent']}; _ga=1"
    (accepted, _) = asyncio.run(
        drive(site, scope(kind="websocket", headers=[("cookie", cookies)]), [{"type": "websocket.connect"}])
    )
    assert {value.partition(b"=")[0] for name, value in accepted["headers"] if name == b"set-cookie"} == {b"_ga"}
