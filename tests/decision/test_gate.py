"""Tests of the gate: which cookies pass in both directions, what is logged, and what a refusal expires."""

from __future__ import annotations

import asyncio
import logging
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import cookie_parser
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from cookie_consent.base.cookies import Headers, split_cookies
from cookie_consent.decision.cookie_log import count_blocked, held_cookies, log_request, note_response
from cookie_consent.decision.gate import SHORTENED, Finding, Gate, count_reasons
from cookie_consent.pages.assets import assets
from cookie_consent.policy.errors import PolicyError
from cookie_consent.sinks.memory import MemorySink
from tests.support.asgi import (
    NOW,
    PAGE,
    PHONE,
    PREFIX,
    SITE,
    Clock,
    Visitor,
    call,
    drive,
    install,
    page_app,
    policy,
    raw_headers,
    reply_app,
    scope,
)
from tests.support.browsers.browser import stored_cookie
from tests.support.policies import policy_of

NECESSARY_ONLY = {"necessary": True, "analytics": False, "media": False}
ALL_ALLOWED = dict.fromkeys(NECESSARY_ONLY, True)
OWN_COOKIES = {"__Host-consent": frozenset({"necessary"}), "__Host-visitor": frozenset({"analytics"})}

CONVERSIONS: dict[str, Callable[[bytes], Any]] = {
    "bytearray": bytearray,
    "memoryview": memoryview,
    "str": lambda part: part.decode("latin-1"),
}
LISTS: dict[str, Callable[[list[tuple[Any, Any]]], Any]] = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "lists": lambda fields: [[*field] for field in fields],
}


class LoggedGate(Gate):
    """A gate whose findings are counted and logged, as those of a running site."""

    def incoming(self, field: bytes, purposes: Mapping[str, bool]) -> tuple[bytes, dict[str, int]]:
        passed, findings, _ = self.filter_request(field, purposes)
        log_request(findings, purposes)
        return passed, count_reasons(findings)

    def outgoing(self, fields: Headers, purposes: Mapping[str, bool]) -> Headers:
        passed, findings = self.filter_response(fields, purposes, NOW)
        note_response(findings)
        return passed


def gate(text: str = SITE, *, hold_undeclared: bool = True) -> LoggedGate:
    return LoggedGate(policy(text), OWN_COOKIES, undeclared="hold" if hold_undeclared else "allow")


def passes(field: str | bytes, purposes: Mapping[str, bool] = NECESSARY_ONLY, *, hold_undeclared: bool = True) -> bool:
    line = field.encode("latin-1") if isinstance(field, str) else field
    return bool(gate(hold_undeclared=hold_undeclared).outgoing([(b"set-cookie", line)], purposes))


# Cookies that the app sets


@pytest.mark.requirement("ST-04")
def test_only_necessary_cookies_are_set_before_answer() -> None:
    sets = ["_ga=1; Path=/", "session=s; HttpOnly", "mystery=1", "player=1", "_ga_session=1", "_ga_other=1"]
    reply = call(install(reply_app(sets=sets)))
    assert reply.all("set-cookie") == ["session=s; HttpOnly", "_ga_session=1"]


def test_allowed_cookies_are_set_byte_for_byte() -> None:
    visitor = Visitor(install(reply_app(sets=["_ga=\xe9 1;Path=/x ;Foo", "player=1", "mystery=1"])))
    visitor.save(analytics=True)
    assert visitor.get().all("set-cookie") == ["_ga=\xe9 1;Path=/x ;Foo"]


@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.http.response.start"])
def test_websocket_cookies_are_gated(kind: str) -> None:
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
        {"type": kind, "headers": [(b"x-kept", b"1"), (b"set-cookie", b"session=s")], "status": 403},
        {"type": "websocket.send", "text": "_ga=1"},
    ]


def test_websocket_is_accepted_without_header_fields() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "websocket.accept", "subprotocol": "chat"})  # type: ignore[operator]

    sent = asyncio.run(drive(install(app), scope(kind="websocket")))
    assert [(message["type"], message["subprotocol"]) for message in sent] == [("websocket.accept", "chat")]
    assert list(sent[0].get("headers", ())) == []


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
def test_most_specific_cookie_declaration_counts(name: str, purposes: set[str] | None) -> None:
    needed = NECESSARY_ONLY | dict.fromkeys(purposes or (), True)
    assert passes(f"{name}=1", needed) is (purposes is not None)
    assert passes(f"{name}=1", NECESSARY_ONLY) is (purposes == set())


@pytest.mark.requirement("CK-03")
@pytest.mark.parametrize("name", ["__Host-consent", "__Host-visitor"])
@pytest.mark.parametrize("hold_undeclared", [True, False])
def test_app_can_delete_but_not_set_our_cookies(name: str, hold_undeclared: bool) -> None:
    assert not passes(f"{name}=forged; Path=/; Secure", ALL_ALLOWED, hold_undeclared=hold_undeclared)
    assert passes(f"{name}=; Path=/; Secure; Max-Age=0", NECESSARY_ONLY)


@pytest.mark.parametrize("begin", [b"_ga", b"mystery"])
@pytest.mark.parametrize("length", [256, 257])
def test_name_that_is_too_long_to_declare_never_passes(
    begin: bytes, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A pattern may match it, and patterns are not matched against names of any length."""
    name = begin.ljust(length, b"x")
    own = gate(hold_undeclared=False)
    passed = begin == b"mystery" and length == 256
    assert passes(name + b"=1", hold_undeclared=False) is passed
    assert own.incoming(name + b"=1", NECESSARY_ONLY)[0] == (name + b"=1" if passed else b"")
    assert passes(name + b"=; Max-Age=0", hold_undeclared=False)
    told = [message for message in caplog.messages if "its name has more than 256 bytes" in message]
    assert len(told) == (length == 257)
    assert not any("\n" in message for message in told)


@pytest.mark.parametrize("name", ["\xa0_ga", "\x85_ga", "\x1c_ga", "\x1f\x85_ga", "\xa0" * 250 + "_ga", "\u3000_ga"])
def test_padded_name_is_gated_like_stripped_name(name: str) -> None:
    raw = name.encode("utf-8" if "\u3000" in name else "latin-1")
    field = raw + b"=1; \xa0mystery=2"
    assert (name.strip() in cookie_parser(field.decode("latin-1"))) is ("\u3000" not in name)
    assert gate(hold_undeclared=False).incoming(field, NECESSARY_ONLY) == (b"\xa0mystery=2", {"analytics": 1})
    assert gate(hold_undeclared=False).incoming(field, ALL_ALLOWED) == (field, {})
    assert gate().incoming(field, ALL_ALLOWED) == (b"", {"undeclared": 2})
    assert not passes(raw + b"=1", hold_undeclared=False)


def test_cookies_in_trailers_are_gated() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"ok"})
        await send({"type": "http.response.trailers", "headers": [(b"Set-Cookie", b"_ga=1"), (b"x", b"y")]})
        await send({"type": "http.response.trailers"})

    sent = asyncio.run(drive(install(app), scope()))
    assert [message.get("headers") for message in sent[2:]] == [[(b"x", b"y")], []]


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
@pytest.mark.parametrize("make_list", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("granted", [False, True])
def test_header_fields_of_any_type_are_gated(convert: Any, make_list: Any, granted: bool) -> None:
    """Servers accept bytearrays, and h11 accepts strings: such fields must neither bypass the gate nor raise."""
    sets = [b"_ga=1; Path=/", b"session=s", b"mystery=m"]
    html = [(b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Length", b"%d" % len(PAGE))]
    given = [*html, (b"Cache-Control", b"public"), *((b"Set-Cookie", line) for line in sets)]

    def remade(fields: list[tuple[bytes, bytes]]) -> Any:
        return make_list([(convert(name), convert(value)) for name, value in fields])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept", "headers": remade(given)})
            return
        await send({"type": "http.response.start", "status": 200, "headers": remade(given)})
        await send({"type": "http.response.body", "body": PAGE})

    site = install(app, access_log=MemorySink(), settings_link=True, csp="enforce")
    visitor = Visitor(site, [("user-agent", PHONE), ("accept", "text/html"), ("referer", "https://site.example/")])
    if granted:
        visitor.accept()
    cookies = ("cookie", visitor.cookies or "a=b")
    fields = [*raw_headers([*visitor.headers, cookies, ("sec-gpc", "0"), ("accept-language", "ja")])]
    for kind in ("http", "websocket"):
        request = scope(kind=kind, headers=[])
        request["headers"] = remade([*request["headers"], *fields])
        (start, *_) = asyncio.run(drive(site, request, []))
        passed = [value for name, value in start["headers"] if name.lower() == b"set-cookie"]
        assert passed[: 1 + granted] == [*sets[:1] * granted, sets[1]]
        assert sets[2] not in passed
    again = scope(path=PREFIX, headers=[])
    again["headers"] = remade([*again["headers"], *fields])
    assert asyncio.run(drive(site, again, []))[0]["status"] == 200


def test_cookie_without_name_is_undeclared() -> None:
    for field in ("_ga", "=_ga=1", "", " ; Path=/", "=session=1"):
        assert not passes(field, ALL_ALLOWED)


# Deletions. tests/base/test_cookies.py tests which fields are deletions.


@pytest.mark.parametrize(
    "attributes", ["Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Path=/; Max-Age=0; Secure"]
)
@pytest.mark.parametrize("name", ["_ga", "mystery", "player"])
def test_deletion_always_passes(name: str, attributes: str) -> None:
    assert passes(f"{name}=; {attributes}")


@pytest.mark.parametrize(
    "attributes",
    ["", "Max-Age=1", "Max-Age=0; Max-Age=60", "Max-Age=0; Max-Age=soon", "Expires=never", "Path=\0; Max-Age=0"],
)
def test_fake_or_ambiguous_deletion_is_held(attributes: str) -> None:
    assert not passes(f"_ga=value; {attributes}")


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
    """Return whether a cookie is allowed: the policy in another form."""
    if name in ("session", "_ga_session"):
        return True
    return purposes["media"] if name == "player" else purposes["analytics"] and name.startswith("_ga")


@given(headers=_responses, purposes=_decisions)
@example(headers=[(b"set-cookie", b"_ga=1; Max-Age=junk; Max-Age=0")], purposes=NECESSARY_ONLY)
def test_passed_cookie_is_allowed_or_stores_nothing(
    headers: list[tuple[bytes, bytes]], purposes: dict[str, bool]
) -> None:
    passed = gate().outgoing(list(headers), purposes)
    for name, value in passed:
        if name.lower() == b"set-cookie":
            cookie = stored_cookie(value, NOW)
            assert cookie is None or _is_allowed(cookie.name.decode("latin-1"), purposes)


@pytest.mark.requirement("CSP-11")
@given(headers=_responses, purposes=_decisions)
def test_gate_keeps_order_and_other_fields(headers: list[tuple[bytes, bytes]], purposes: dict[str, bool]) -> None:
    passed = gate().outgoing(list(headers), purposes)
    rest = iter([without_lifetime(field) for field in headers])
    assert all(without_lifetime(field) in rest for field in passed)
    assert [f for f in passed if f[0].lower() != b"set-cookie"] == [f for f in headers if f[0].lower() != b"set-cookie"]
    for field in headers:
        cookie = stored_cookie(field[1], NOW) if field[0].lower() == b"set-cookie" else None
        if cookie is not None and _is_allowed(cookie.name.decode("latin-1"), purposes):
            assert without_lifetime(field) in [without_lifetime(passed_on) for passed_on in passed]


def without_lifetime(field: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    """Return the parts of a field without Max-Age and Expires, byte for byte."""
    name, value = field
    if name.lower() != b"set-cookie":
        return field
    pair, *attributes = value.split(b";")
    names = [attribute.partition(b"=")[0].strip(b" \t").lower() for attribute in attributes]
    return name, pair, *(a for a, own in zip(attributes, names, strict=True) if own not in (b"max-age", b"expires"))


# Lifetimes

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
def test_passed_cookie_lives_no_longer_than_declared(name: str, attributes: list[str]) -> None:
    field = (b"Set-Cookie", "; ".join([f"{name}=1", *attributes]).encode("latin-1"))
    (passed,) = gate().outgoing([field], ALL_ALLOWED)
    assert without_lifetime(passed) == without_lifetime(field)
    assert gate().outgoing([passed], ALL_ALLOWED) == [passed]
    before, after, longest = stored_cookie(field[1], NOW), stored_cookie(passed[1], NOW), LASTING[name]
    assert (before is None) is (after is None)
    if before is None or after is None:
        return
    if longest is None or before.expiry is None:
        assert after.expiry is None
    else:
        assert after.expiry is not None
        assert after.expiry == pytest.approx(min(before.expiry, NOW + longest), abs=1)
        assert after.expiry <= NOW + longest


@pytest.mark.parametrize(
    ("field", "passed", "told"),
    [
        ("session=s; Max-Age=60", "session=s", None),
        ("session=s; Max-Age=61", "session=s", "61 seconds"),
        ("session=s; Path=/; Max-Age=1209600", "session=s; Path=/", "14 days"),
        ("player=1; Max-Age=2592060", "player=1; Max-Age=2592000", None),
        ("player=1; Max-Age=2592061", "player=1; Max-Age=2592000", "43202 minutes"),
        ("player=1; Expires=Tue, 15 Jul 2025 15:07:00 GMT", "player=1; Expires=Tue, 15 Jul 2025 15:06:40 GMT", None),
        ("player=1; Max-Age=1e99", "player=1", None),
        ("_ga=1; Max-Age=999999999", "_ga=1; Max-Age=34128000", "400 days"),
    ],
)
def test_longer_lifetime_than_declared_is_cut_and_logged_once(
    field: str, passed: str, told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    own = gate()
    for _ in range(2):
        assert own.outgoing([(b"set-cookie", field.encode())], ALL_ALLOWED) == [(b"set-cookie", passed.encode())]
    assert len(caplog.messages) == (told is not None)
    for message in caplog.messages:
        pasted = tomllib.loads(message[message.index("[[cookies]]") :])["cookies"]
        assert [cookie["duration"] for cookie in pasted] == [told]
    browsers_limit = gate(SITE.replace("395 days", "400 days"))
    browsers_limit.outgoing([(b"set-cookie", b"_ga=1; Max-Age=999999999")], ALL_ALLOWED)
    assert len(caplog.messages) == (told is not None)  # a browser keeps no cookie for longer


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
def test_toml_for_undeclared_cookie_has_observed_lifetime(
    caplog: pytest.LogCaptureFixture, attributes: str, duration: str
) -> None:
    gate().outgoing([(b"set-cookie", f"mystery=1; {attributes}".encode())], NECESSARY_ONLY)
    message = caplog.records[0].getMessage()
    assert tomllib.loads(message[message.index("[[cookies]]") :])["cookies"][0]["duration"] == duration


def test_lifetime_is_logged_for_name_seen_in_request_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = gate()
    for _ in range(2):
        own.incoming(b"mystery=1", NECESSARY_ONLY)
        own.outgoing([(b"set-cookie", b"mystery=1; Max-Age=1800")], NECESSARY_ONLY)
    messages = [record.getMessage() for record in caplog.records]
    assert [re.findall(r'cookie "(\w+)"|duration = "(.*)"', message) for message in messages] == [
        [("mystery", ""), ("", "session")],
        [("mystery", ""), ("", "30 minutes")],
    ]


# Cookies that the app sees


_pairs = st.one_of(
    st.builds(lambda name, value: f"{name}={value}".encode(), _names, st.sampled_from(["", "1", "a=b", '"q"'])),
    st.binary(max_size=8).map(lambda raw: raw.replace(b";", b"")),
)


@given(cookies=st.lists(_pairs, max_size=8), purposes=_decisions, hold_undeclared=st.booleans())
def test_app_sees_subset_of_cookies_byte_for_byte(
    cookies: list[bytes], purposes: dict[str, bool], hold_undeclared: bool
) -> None:
    field = b"; ".join(cookies)
    passed, held = gate(hold_undeclared=hold_undeclared).incoming(field, purposes)
    before, after = list(split_cookies(field)), list(split_cookies(passed))
    rest = iter(before)
    assert all(pair in rest for pair in after)
    assert len(before) == len(after) + sum(held.values())
    assert passed == field or held
    for raw_name, pair in before:
        name = raw_name.decode("latin-1")
        if _is_allowed(name, purposes) or name == "__Host-consent":
            assert after.count((raw_name, pair)) == before.count((raw_name, pair))
    for raw_name, _ in after:
        name = raw_name.decode("latin-1")
        undeclared = not (_is_allowed(name, ALL_ALLOWED) or name.startswith("__Host-"))
        assert not (undeclared and hold_undeclared)
        assert undeclared or _is_allowed(name, purposes) or name == "__Host-consent" or purposes["analytics"]


STORED = """
[[cookies]]
name = "theme*"
kind = "storage"
purpose = "necessary"

[[cookies]]
name = "consent"
kind = "storage"
purpose = "media"
"""


def test_key_of_the_browsers_storage_lets_no_cookie_of_its_name_pass() -> None:
    app = install(reply_app(sets=["theme=1"]), SITE + STORED)
    assert call(app, headers=[("cookie", "theme=1")]).all("set-cookie") == []


def test_key_of_the_browsers_storage_may_have_the_name_of_a_cookie() -> None:
    both = SITE + STORED + '\n[[cookies]]\nname = "theme*"\npurpose = "necessary"\n'
    assert call(install(reply_app(sets=["theme=1"]), both)).all("set-cookie") == ["theme=1"]
    twice = STORED.partition('[[cookies]]\nname = "consent"')[0]
    with pytest.raises(PolicyError, match="declared twice"):
        policy_of(tomllib.loads(SITE + STORED + twice))


# Log and counters


def test_held_undeclared_cookie_is_logged_once_with_toml_to_paste(caplog: pytest.LogCaptureFixture) -> None:
    app = install(reply_app(sets=["mystery=1", "other=1", "mystery=2"]))
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
        with pytest.raises(PolicyError) as error:
            policy_of(pasted)
        assert str(error.value) == (
            f'[[cookies]] "{name}" key "purpose": the purpose is still to be written. Write the one that it serves: '
            'analytics, media, necessary. "necessary" is for what the site cannot work without.'
        )
        pasted["cookies"][-1]["purpose"] = "media"
        assert name in {cookie.name for cookie in policy_of(pasted).cookies}


@pytest.mark.parametrize(
    ("name", "vendor", "purpose"),
    [
        ("_gid", "Google", "analytics"),
        ("_fbp", "Meta", "ads"),
        ("_hjSessionUser_1", "Hotjar", "analytics"),
        ("_pk_id.1", "Matomo", "analytics"),
    ],
)
def test_lines_to_paste_have_usual_purpose_of_third_partys_cookie(
    caplog: pytest.LogCaptureFixture, name: str, vendor: str, purpose: str
) -> None:
    call(install(reply_app(sets=[f"{name}=1"])))
    (warning,) = caplog.messages
    lines = warning[warning.index("[[cookies]]") :]
    unless = " unless you run it yourself" if vendor == "Matomo" else ""
    assert f"# as usual for {vendor}, which has to be in [[recipients]], too{unless}\n" in lines
    assert tomllib.loads(lines)["cookies"] == [{"name": name, "purpose": purpose, "duration": "session"}]


@given(name=st.from_regex(re.compile(r"[!#$%&'+\-.^_`|~0-9A-Za-z]{1,40}"), fullmatch=True))
def test_pasted_toml_declares_any_cookie_name(name: str) -> None:
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    log, undeclared = logging.getLogger("cookie_consent"), f"new-{name}"
    log.addHandler(handler)
    try:
        assert not passes(f"{undeclared}=1")
    finally:
        log.removeHandler(handler)
    lines = messages[0][messages[0].index("[[cookies]]") :].replace('"?"', '"necessary"')
    pasted = policy_of(tomllib.loads(SITE + lines))
    new_gate = Gate(pasted, OWN_COOKIES)
    assert new_gate.block_reason(undeclared.encode(), NECESSARY_ONLY) is None


def test_declared_cookie_that_waits_for_consent_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    before = Counter(held_cookies)
    app = install(reply_app(sets=["_ga=1"]))
    call(app)
    call(app, headers=[("cookie", "session=1")])
    assert caplog.records == []
    assert Counter(held_cookies) - before == {("response", "analytics"): 2}


def test_cookie_that_a_browser_sends_though_nobody_allowed_it_is_logged_once_for_each_declaration(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = Counter(held_cookies)
    app = install()
    for cookies in ("_ga_X=1; session=1", "_ga_Y=1", "player=1; player=2"):
        call(app, headers=[("cookie", cookies)])
    assert caplog.messages == [
        f'A browser sends the cookie "{name}", and no answer allows "{purpose}": a script in a page has set it, or it '
        "is from an earlier time. The app does not see it. Let what sets it wait (docs/gated.md):\n\n"
        f'<script type="text/plain" data-purpose="{purpose}" data-src="..."></script>\n'
        for name, purpose in [("_ga_X", "analytics"), ("player", "media")]
    ]
    assert Counter(held_cookies) - before == {("request", "analytics"): 2, ("request", "media"): 2}


def test_cookie_that_an_answer_allowed_is_not_logged_where_a_signal_a_service_or_its_end_holds_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    visitor = Visitor(install(clock=clock))
    visitor.accept()
    visitor.jar |= {"_ga": "1", "player": "1"}
    visitor.get()
    visitor.get("/whois")
    visitor.get("/", [("dnt", "1"), ("sec-gpc", "1")])
    clock.forward(days=190)
    visitor.get()
    assert caplog.records == []
    visitor.refuse()
    visitor.jar["_ga"] = "1"
    visitor.get()
    assert ['"_ga"' in message for message in caplog.messages] == [True]


def test_what_the_gate_does_is_logged_once_in_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cookie_consent")
    own, reporting = gate(), gate(hold_undeclared=False)
    for _ in range(2):
        own.incoming(b"__Host-consent=1; player=1", NECESSARY_ONLY | {"media": False})
        own.outgoing([(b"set-cookie", b"__Host-consent=forged; Path=/; Secure")], NECESSARY_ONLY)
        reporting.outgoing([(b"set-cookie", b"mystery=1; Max-Age=99999999")], NECESSARY_ONLY)
        reporting.incoming(b"mystery=1; strange=1", NECESSARY_ONLY)
    own.outgoing([(b"set-cookie", b"_ga=1")], NECESSARY_ONLY)
    beginnings = [message.partition(":")[0] for message in caplog.messages]
    assert beginnings.count('The cookie "player" is held back from a request') == 2  # at level DEBUG
    assert beginnings.count('The cookie "_ga" is held back from a response') == 1
    assert beginnings.count('The cookie "__Host-consent" was held back') == 1
    assert beginnings.count('The cookie "mystery" was let through') >= 1
    assert beginnings.count('The cookie "strange" was let through to the app') == 1


def test_names_from_clients_cannot_fill_log(caplog: pytest.LogCaptureFixture) -> None:
    own = gate()
    for number in range(300):
        own.incoming(b"made-up-%d=1" % number, NECESSARY_ONLY)
    assert len(caplog.records) == 101
    assert caplog.messages[-1] == "Further warnings about cookies that browsers send are not logged."
    own.outgoing([(b"set-cookie", b"of-the-app=1")], NECESSARY_ONLY)
    assert '"of-the-app"' in caplog.records[-1].getMessage()


@pytest.mark.parametrize("name", [b"\x1b[31m", b"a\nb", b'q"[[x]]\nname = "session"', b"\xe9\xff", b"x" * 256])
def test_cookie_name_cannot_forge_log_lines(caplog: pytest.LogCaptureFixture, name: bytes) -> None:
    gate().incoming(name + b"=1", NECESSARY_ONLY)
    message = caplog.records[0].getMessage()
    assert message.isascii()
    assert len(message) < 500
    lines = message.split("\n")
    assert all(line.isprintable() for line in lines)
    assert sum(line.startswith("name = ") for line in lines) == 1


def test_gate_returns_what_it_found_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    pure = Gate(policy(), OWN_COOKIES)
    sets = [b"_ga=1", b"mystery=1; Max-Age=60", b"__Host-consent=1", b"session=s; Max-Age=60", b"player=; Max-Age=0"]
    passed, found = pure.filter_response([(b"set-cookie", line) for line in sets], NECESSARY_ONLY, NOW)
    assert [line for _, line in passed] == [b"session=s", b"player=; Max-Age=0"]
    assert found == (
        Finding(b"_ga", "analytics", policy().find_cookie(b"_ga")),
        Finding(b"mystery", "undeclared", None, 60),
        Finding(b"__Host-consent", "reserved"),
        Finding(b"session", SHORTENED, policy().find_cookie(b"session"), 60, is_blocked=False),
    )
    reporting = Gate(policy(), OWN_COOKIES, undeclared="allow")
    visible, found, _ = reporting.filter_request(b"session=s; mystery=1", NECESSARY_ONLY)
    assert (visible, found) == (b"session=s; mystery=1", (Finding(b"mystery", "undeclared", is_blocked=False),))
    assert caplog.records == []


def test_held_cookies_are_counted_by_direction_and_reason() -> None:
    before = Counter(held_cookies)
    sets = [(b"set-cookie", name + b"=1") for name in (b"_ga", b"mystery", b"_ga_2", b"__Host-consent")]
    gate().outgoing(sets, NECESSARY_ONLY)
    count_blocked("request", gate().incoming(b"player=1; session=1; _ga=1", NECESSARY_ONLY)[1])
    assert Counter(held_cookies) - before == {
        ("response", "analytics"): 2,
        ("response", "undeclared"): 1,
        ("response", "reserved"): 1,
        ("request", "media"): 1,
        ("request", "analytics"): 1,
    }


# Cookies that a refusal expires


@pytest.mark.parametrize("accepted_before", [False, True])
@pytest.mark.parametrize("way", ["json", "form"])
def test_refusal_expires_cookies_of_its_request(accepted_before: bool, way: str) -> None:
    """The server sees HttpOnly cookies too, so it can expire them."""
    visitor = Visitor(install())
    if accepted_before:
        visitor.accept()
    visitor.jar |= {"_ga": "1", "_ga_2": "1", "player": "p", "session": "s", "_ga_session": "s", "mystery": "m"}
    reply = visitor.refuse() if way == "json" else visitor.send_form("choice=refuse_all")
    past = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    deleted = [field for field in reply.all("set-cookie") if "=;" in field]
    assert deleted == [
        f"player=; {past}; Path=/videos; Secure",
        f"_ga=; {past}; Path=/; Domain=site.example; Secure",
        f"_ga_2=; {past}; Path=/; Domain=site.example; Secure",
        f"player=; {past}; Path=/videos; Domain=site.example; Secure",
        f"_ga=; {past}; Path=/; Secure",
        f"_ga_2=; {past}; Path=/; Secure",
    ]
    assert reply.all("set-cookie")[0].startswith("__Host-consent=")
    assert all(stored_cookie(line.encode(), NOW) is None for line in deleted)


def deletions_of(own: Gate, field: bytes, *refused: str, secure: bool = True, host: str = "localhost") -> Headers:
    """Return what deletes the cookies of refused purposes that a request carried."""
    names = [name for name, purposes in own.filter_request(field, NECESSARY_ONLY)[2] if purposes <= {*refused}]
    return own.expire_cookies(names, host, secure=secure)


def test_repeated_cookie_is_expired_once() -> None:
    deletions = deletions_of(gate(), b"_ga=1; _ga=2; player=1", "analytics", secure=False)[::2]
    assert [value.partition(b"=")[0] for _, value in deletions] == [b"_ga"]
    assert not deletions[0][1].endswith(b"Secure")


@pytest.mark.parametrize("name", [b"_ga\n", b"_ga\r\nset-cookie: x", b"_ga\0", b"_ga\x7f", b"_ga\x1b"])
def test_invalid_cookie_name_is_not_expired(name: bytes) -> None:
    assert deletions_of(gate(), name + b"=1; _ga=1", "analytics") == deletions_of(gate(), b"_ga=1", "analytics")
    reply = call(
        install(),
        "POST",
        PREFIX,
        [("cookie", name + b"=1"), ("content-type", "application/json"), ("sec-fetch-site", "same-origin")],
        b'{"choice": "refuse_all"}',
    )
    assert list(reply.set_cookies) == ["__Host-consent", "player"]


@pytest.mark.parametrize(
    ("name", "host", "secure", "places"),
    [
        (b"__Secure-consent-state", "shop.site.example", True, ["; Domain=site.example; Secure"]),
        (b"consent-signal", "shop.site.example", False, ["; Domain=site.example", ""]),
        (b"__Host-consent-signal", "shop.site.example", True, ["; Secure"]),
        (b"__Host-consent-signal", "other.site.example", True, ["; Secure"]),
        (b"consent-signal", "other.site.example", False, [""]),
        (b"__Secure-visitor", "other.site.example", True, []),
    ],
)
def test_our_cookie_is_expired_where_its_host_has_it(name: bytes, host: str, secure: bool, places: list[str]) -> None:
    table = 'hosts = ["site.example", "shop.site.example"]\ndomain = "site.example"\n\n[purposes.analytics]'
    sharing = policy(SITE.replace("[purposes.analytics]", table, 1))
    own = Gate(sharing, {name.decode(): frozenset({"analytics"})})
    past = "=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"
    expired = [value.decode() for _, value in own.expire_cookies([name], host, secure=secure)]
    assert expired == [f"{name.decode()}{past}{place}" for place in places]


@pytest.mark.parametrize(
    ("name", "purpose", "path", "is_unsent"),
    [
        ("seen", "media", "/privacy-choices", False),
        ("seen-too", "media", "/", False),
        ("by-pattern-*", "media", "/videos", False),
        ("of-another", "analytics", "/videos", False),
        ("needed", "necessary", "/videos", False),
        ("unseen", "media", "/privacy-choices/", True),
        ("far", "media", "/videos", True),
    ],
)
def test_declared_cookie_is_unsent_if_it_is_refused_and_outside_the_path(
    name: str, purpose: str, path: str, is_unsent: bool
) -> None:
    own = gate(SITE + f'\n[[cookies]]\nname = "{name}"\npurpose = "{purpose}"\npath = "{path}"\n')
    unsent = own.find_unsent(["media"], PREFIX)
    assert [cookie.name for cookie in unsent] == ["player", *[name] * is_unsent]
    (first, *_) = own.expire_cookies([], "", secure=True, unsent=unsent)
    assert first[1].startswith(b"player=; Max-Age=0")


def test_host_prefixed_cookie_is_expired_without_domain() -> None:
    text = SITE + '\n[[cookies]]\nname = "__Host-ads"\npurpose = "media"\n'
    field = b"__Host-ads=1; __Host-visitor=v"
    deletions = [value for _, value in deletions_of(gate(text), field, "media", "analytics", host="www.site.example")]
    assert [deletion.partition(b"=")[0] for deletion in deletions] == [b"__Host-ads", b"__Host-visitor"]
    assert all(b"Domain" not in deletion for deletion in deletions)


def test_refusal_expires_cookie_for_every_possible_domain() -> None:
    """Scripts set cookies for the most general domain that the browser allows."""
    text = SITE.replace('domain = "site.example"\n', "")
    deletions = deletions_of(gate(text), b"_ga=1", "analytics", host="a.b.site.example")
    domains = [re.search(rb"Domain=([^;]+)", value) for _, value in deletions]
    assert [found and found[1] for found in domains] == [None, b"site.example", b"b.site.example", b"a.b.site.example"]
    declared = deletions_of(gate(), b"_ga=1", "analytics", host="www.site.example")
    assert b"Domain=site.example" in declared[0][1]
    dotted = SITE.replace('domain = "site.example"', 'domain = ".site.example"')
    assert deletions_of(gate(dotted), b"_ga=1", "analytics", host="www.site.example") == declared
    assert len(declared) == len({value for _, value in declared}) == 3


def test_deletions_are_bounded_and_begin_with_each_name() -> None:
    own, names = gate(), [b"_ga_%d" % number for number in range(500)]
    deletions = own.expire_cookies(names[:20], "a.b.site.example", secure=True)
    assert [value.partition(b"=")[0] for _, value in deletions[:20]] == names[:20]
    assert 20 < len(deletions) < 80
    assert 2900 < sum(len(name) + len(value) + 4 for name, value in deletions) <= 3072
    assert sum(len(value) for _, value in own.expire_cookies(names, "site.example", secure=True)) < 3072


# Cookies that are expired unseen, and cookies that come again


@pytest.mark.requirement("ST-09")
@pytest.mark.parametrize("sets", ["player=1; Path=/videos", "player=1; Path=/videos; Domain=site.example"])
@pytest.mark.parametrize("root_path", ["", "/sub"])
def test_withdrawal_expires_cookie_with_path(sets: str, root_path: str) -> None:
    async def visit() -> None:
        site = install(reply_app(sets=[sets, "session=s"]))
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


def test_returning_cookie_is_expired_again_after_refusal() -> None:
    visitor = Visitor(install(page_app()))
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


def test_expiring_response_is_private_and_assets_expire_nothing() -> None:
    visitor = Visitor(install(reply_app(headers=[("cache-control", "public, max-age=60")])))
    visitor.refuse()
    assert visitor.get().get("cache-control") == "public, max-age=60"
    visitor.jar["player"] = "1"
    reply = visitor.get()
    assert (reply.get("cache-control"), reply.get("vary")) == ("max-age=60, private", "Cookie, Sec-GPC, DNT")
    visitor.jar["player"] = "1"
    asset = visitor.get(f"{PREFIX}/assets/{assets()['choices.js'].name}")
    assert asset.get("cache-control").startswith("public")
    assert asset.all("set-cookie") == []


def test_accepted_websocket_expires_returning_cookie() -> None:
    site = install()
    visitor = Visitor(site)
    visitor.refuse()
    cookies = f"__Host-consent={visitor.jar['__Host-consent']}; _ga=1"
    (accepted, _) = asyncio.run(
        drive(site, scope(kind="websocket", headers=[("cookie", cookies)]), [{"type": "websocket.connect"}])
    )
    assert {value.partition(b"=")[0] for name, value in accepted["headers"] if name == b"set-cookie"} == {b"_ga"}
