"""Tests of the endpoints: paths, methods, mounts, cross-site requests, errors and sizes."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from starlette.types import Message

from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import (
    PREFIX,
    SITE,
    Clock,
    Fields,
    Reply,
    Visitor,
    bodies,
    call,
    drive,
    install,
    policy,
    response_to,
    scope,
)
from tests.support.policies import text_of

FORM = ("content-type", "application/x-www-form-urlencoded")
JSON = ("content-type", "application/json")
OWN = ("sec-fetch-site", "same-origin")
PATHS = (*("", "/state", "/receipt", "/export", "/erase", "/policy", f"/policy/{policy().version}"),)
WRITE_PATHS = ("/erase",)
"""Paths that take only POST."""


def post(body: bytes = b"choice=accept_all", headers: Fields = (FORM, OWN), path: str = PREFIX, **more: Any) -> Reply:
    return call(install(), "POST", path, headers, body, **more)


def check_problem(reply: Reply, status: int) -> None:
    assert reply.status == status
    assert reply.get("content-type") == "application/problem+json"
    assert reply.json["status"] == status
    assert set(reply.json) == {"type", "title", "status", "detail"}
    check_sets_nothing(reply)


def check_error_page(reply: Reply, status: int) -> None:
    assert reply.status == status
    assert reply.get("content-type") == "text/html; charset=utf-8"
    assert reply.text.startswith("<!doctype html>")
    assert reply.get("content-security-policy").startswith("default-src 'none';")
    check_sets_nothing(reply)


def check_sets_nothing(reply: Reply) -> None:
    assert reply.all("set-cookie") == []
    assert reply.get("cache-control") == "no-store"
    assert reply.get("x-content-type-options") == "nosniff"


# Paths and methods.


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/"])
def test_prefix_works_with_and_without_final_slash(path: str) -> None:
    reply = call(install(), path=path, headers=[("accept", "text/html")])
    assert (reply.status, reply.get("location")) == (200, "")
    assert b"refuse_all" in reply.body
    assert post(path=path).status == 303


@pytest.mark.parametrize(
    "path", ["/nowhere", "/state/x", "/policy//", "//", "/assets", "/assets/", "/assets/../state", "/erase/all"]
)
def test_unknown_path_under_prefix_is_not_found(path: str) -> None:
    check_problem(call(install(), path=PREFIX + path), 404)
    check_problem(
        call(install(), "POST", PREFIX + path, [OWN, JSON]), 405 if path in ("/policy//", "/assets/../state") else 404
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere"), ("GET", "/do-not-sell"), ("GET", "/policy/1"), ("GET", "/erase"), ("POST", "/nowhere")],
)
def test_page_for_path_that_does_not_exist_blames_no_answer(method: str, path: str) -> None:
    reply = call(install(), method, PREFIX + path, [("accept", "text/html"), FORM, OWN], b"")
    check_error_page(reply, 405 if path == "/erase" else 404)
    assert text_of(policy(), "en", "error_request") in reply.text
    assert text_of(policy(), "en", "error_not_found") in reply.text
    assert text_of(policy(), "en", "error_malformed") not in reply.text


@pytest.mark.parametrize(("method", "path"), [("GET", "/requests"), ("POST", "/requests"), ("GET", "/receipt")])
def test_program_is_told_what_the_site_or_the_visitor_lacks(method: str, path: str) -> None:
    problem = call(install(), method, PREFIX + path, [OWN, FORM, ("accept", "application/json")], b"").json
    missing = {"/requests": "Requests are kept in the ledger, and there is none.", "/receipt": "There is no answer yet"}
    assert problem["status"] == 404
    assert problem["detail"].startswith(missing[path])


@pytest.mark.parametrize("path", ["/state", "/policy"])
def test_final_slash_of_path_is_ignored(path: str) -> None:
    assert call(install(), path=f"{PREFIX}{path}/").json == call(install(), path=f"{PREFIX}{path}").json


@pytest.mark.parametrize("path", ["/", "/privacy-choicesx", "/privacy", "/x/privacy-choices", "/.well-known/gpc.jsonx"])
def test_paths_outside_prefix_reach_the_app(path: str) -> None:
    assert call(install(), path=path).body == b"ok"


@pytest.mark.requirement("CS-01")
@pytest.mark.parametrize("path", [path for path in PATHS if path])
def test_read_endpoint_refuses_post_and_write_endpoint_refuses_get(path: str) -> None:
    method, allowed = ("GET", "POST") if path in WRITE_PATHS else ("POST", "GET, HEAD")
    reply = call(install(), method, PREFIX + path, [OWN, JSON], b"{}")
    check_problem(reply, 405)
    assert reply.get("allow") == allowed


@pytest.mark.requirement("CS-01")
def test_get_request_never_changes_consent() -> None:
    for query in (b"choice=accept_all", b"accept=all&choice=refuse_all&purpose=media"):
        reply = call(install(), path=PREFIX, query=query)
        assert reply.status == 200
        assert reply.all("set-cookie") == []


@pytest.mark.parametrize("path", [path for path in PATHS if path not in WRITE_PATHS] + ["/nowhere"])
def test_head_has_headers_of_get_without_body(path: str) -> None:
    visitor = Visitor(install(clock=lambda: 1_750_000_000))
    visitor.accept()
    got, head = visitor.get(PREFIX + path), visitor.request("HEAD", PREFIX + path)
    assert head.body == b""
    assert got.body != b""
    assert (head.status, head.headers) == (got.status, got.headers)


@pytest.mark.parametrize("prefix", ["/about/cookies", "/cookies-", "/c"])
def test_prefix_option_moves_endpoints(prefix: str) -> None:
    app = install(prefix=prefix)
    assert call(app, path=f"{prefix}/state").status == 200
    assert call(app, path=PREFIX).body == b"ok"
    text = call(app, path=prefix, headers=[("accept", "text/html")]).text
    assert f'action="{prefix}"' in text
    assert PREFIX not in text


# Mounted apps.


@pytest.mark.parametrize("root", ["/sub", "/sub/", "/a/b"])
def test_links_and_forms_include_mount_path(root: str) -> None:
    mounted = root.rstrip("/")
    for path in (f"{mounted}{PREFIX}", PREFIX):  # servers differ on whether the path holds the mount path
        text = call(install(), path=path, root_path=root, headers=[("accept", "text/html")]).text
        assert f'action="{mounted}{PREFIX}"' in text
        assert f'href="{mounted}{PREFIX}/export"' in text
        assert f'action="{PREFIX}"' not in text
    assert post(root_path=root, path=f"{mounted}{PREFIX}").get("location") == f"{mounted}{PREFIX}"
    assert call(install(), path=mounted, root_path=root).body == b"ok"
    assert call(install(), path=f"{mounted}x{PREFIX}", root_path=root).body == b"ok"


# Several Cookie fields, as HTTP/2 sends them.


# Cross-site requests.


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/erase"])
@pytest.mark.parametrize(
    ("headers", "lets_in"),
    [
        ([("sec-fetch-site", "same-origin")], True),
        ([("sec-fetch-site", "none")], True),
        ([("origin", "https://site.example")], True),
        ([("sec-fetch-site", "cross-site"), ("origin", "https://site.example")], False),
        ([("sec-fetch-site", "same-site")], False),
        ([("origin", "https://evil.example")], False),
        ([("origin", "null")], False),
        ([], False),
        ([("sec-fetch-site", "nonsense")], False),
        ([("referer", "https://site.example/")], False),
    ],
)
def test_post_is_accepted_only_from_same_origin(path: str, headers: Fields, lets_in: bool) -> None:
    reply = call(
        install(),
        "POST",
        path,
        [*headers, JSON, ("accept", "*/*, application/json")],
        b'{"choice":"save","purposes":{}}',
    )
    if lets_in:
        assert reply.status == 200
    else:
        check_problem(reply, 403)


# Errors.


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b"choice=maybe", [FORM, OWN]),
        (400, b"choice=save&purpose=nonsense", [FORM, OWN]),
        (400, b"\xff", [FORM, OWN]),
        (400, b"x", [("content-type", "multipart/form-data; boundary=x"), OWN]),
        (400, b"x", [("content-type", "text/plain"), OWN]),
        (403, b"choice=accept_all", [FORM]),
        (413, b"x" * 65_537, [FORM, OWN]),
        (409, b"choice=accept_all&policy=0123456789abcdef", [FORM, OWN]),
    ],
)
def test_form_error_is_a_page_unless_json_is_accepted(status: int, body: bytes, headers: Fields) -> None:
    check_error_page(post(body, headers), status)
    check_error_page(post(body, [*headers, ("accept", "text/html")]), status)
    check_problem(post(body, [*headers, ("accept", "application/json")]), status)
    check_problem(post(body, [*headers, ("accept", "application/problem+json, text/html")]), status)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b'{"choice": "maybe"}', [JSON, OWN]),
        (400, b"{", [JSON, OWN, ("accept", "text/html")]),
        (400, b"", [OWN]),
        (403, b'{"choice": "accept_all"}', [JSON]),
        (413, b" " * 65_537, [JSON, OWN]),
        (409, b'{"choice": "accept_all", "policy": "x"}', [JSON, OWN]),
    ],
)
def test_json_error_is_problem_details(status: int, body: bytes, headers: Fields) -> None:
    check_problem(post(body, headers), status)


@pytest.mark.parametrize("path", [f"{PREFIX}/events", f"{PREFIX}/events/"])
def test_event_error_is_problem_details_for_any_content_type(path: str) -> None:
    check_problem(post(b"{}", [("content-type", "text/plain"), OWN], path=path), 404)


def test_error_page_is_in_visitors_language() -> None:
    reply = post(b"choice=maybe", [FORM, OWN, ("accept-language", "ja, en;q=0.5")])
    assert 'lang="ja"' in reply.text
    assert reply.get("content-language") == "ja"
    assert text_of(policy(), "ja", "error_malformed") in reply.text


@pytest.mark.requirement("CS-04")
def test_answer_to_outdated_policy_gets_409_with_current_text() -> None:
    reply = post(b"choice=accept_all&policy=0123456789abcdef", [FORM, OWN])
    check_error_page(reply, 409)
    assert text_of(policy(), "en", "error_policy_changed") in reply.text
    assert f'value="{policy().version}"' in reply.text
    assert "Access tracing" in reply.text
    assert 'role="alert"' in reply.text


def test_refused_request_leaves_consent_unchanged() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger))
    visitor.accept()
    before = dict(visitor.jar), list(ledger.kept), visitor.state()
    for body in (b"{", b'{"choice": "maybe"}', b"x" * 70_000, b'{"choice": "refuse_all", "policy": "x"}'):
        assert visitor.post(body).status >= 400
    assert (visitor.jar, ledger.kept, visitor.state()) == before


# Sizes and disconnects.


@pytest.mark.requirement("CS-05")
def test_body_over_64_kib_gets_413() -> None:
    padded = b'{"choice": "accept_all"}'.ljust(65_536)
    assert post(padded, [JSON, OWN]).status == 200
    check_problem(post(padded + b" ", [JSON, OWN]), 413)


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/erase"])
@pytest.mark.parametrize("chunk", [1000, 65_537, 200_000])
def test_reading_of_streamed_body_stops_at_limit(path: str, chunk: int) -> None:
    read = 0

    async def receive() -> Message:
        nonlocal read
        read += chunk
        return {"type": "http.request", "body": b" " * chunk, "more_body": True}

    reply = Reply()

    async def send(message: Message) -> None:
        reply.messages.append(message)

    asyncio.run(install()(scope("POST", path, [JSON, OWN]), receive, send))
    check_problem(reply, 413)
    assert read <= 65_536 + chunk


def test_answer_in_chunks_is_joined() -> None:
    chunks = bodies(b'{"choi', b"", b'ce": "accept', b'_all"}')
    reply = asyncio.run(response_to(install(), scope("POST", PREFIX, [JSON, OWN]), chunks))
    assert reply.json["status"] == "granted"


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/erase"])
def test_client_disconnect_during_body_leaves_no_record(path: str) -> None:
    ledger = MemoryLedger()
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"choice": "accept_all"}', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent = asyncio.run(drive(install(ledger=ledger), scope("POST", path, [JSON, OWN]), messages))
    assert sent == []
    assert ledger.kept == []


# Global Privacy Control.


@pytest.mark.parametrize("path", ["", "/erase", "/events", "/requests"])
def test_every_post_from_another_site_is_refused(path: str) -> None:
    app = install(ledger=MemoryLedger(), access_log=MemorySink())
    check_problem(call(app, "POST", PREFIX + path, [("sec-fetch-site", "cross-site"), JSON], b"{}"), 403)


def test_read_endpoint_deletes_refused_cookies_and_a_file_does_not() -> None:
    visitor = Visitor(install())
    visitor.refuse()
    page = visitor.get(f"{PREFIX}/question", query=b"again").text
    (style,) = re.findall(r'href="([^"]*\.css)"', page)
    visitor.jar["player"] = "1"
    assert visitor.get(style).set_cookies == {}
    assert list(visitor.get(f"{PREFIX}/state").set_cookies) == ["player"]


# Global Privacy Control.


def changed_on(*days: str) -> str:
    return "".join(f'\n[[changes]]\ndate = {day}\ntext = {{ en = "x", ja = "y" }}\n' for day in days)


UPDATED = SITE.replace("[site]", "[site]\nupdated = 2025-03-01", 1)


@pytest.mark.parametrize(
    ("text", "days", "honours", "last"),
    [
        (SITE, 0, True, "2025-06-15"),
        (SITE, 17, True, "2025-07-02"),
        (SITE + '\n[signals]\ngpc = "ignore"\n', 0, False, "2025-06-15"),
        (SITE + '\n[signals]\ngpc = ["analytics"]\n', 0, True, "2025-06-15"),
        (UPDATED + changed_on("2025-01-01"), 0, True, "2025-03-01"),
        # A date that is not in the future.
        (SITE + changed_on("2026-01-02", "2026-11-25", "2025-01-01"), 200, True, "2025-01-01"),
        (SITE + changed_on("2026-01-02", "2026-11-25", "2025-01-01"), 201, True, "2026-01-02"),
    ],
)
def test_gpc_json_says_whether_signal_is_honoured_and_since_when(
    text: str, days: int, honours: bool, last: str
) -> None:
    clock = Clock()
    clock.forward(days=days)
    reply = call(install(text=text, clock=clock), path="/.well-known/gpc.json")
    assert (reply.status, reply.json) == (200, {"gpc": honours, "lastUpdate": last})
    assert reply.get("content-type") == "application/json"
    check_sets_nothing(reply)
    check_problem(call(install(), "POST", "/.well-known/gpc.json", [OWN]), 405)
