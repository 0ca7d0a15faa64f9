"""Tests of the endpoint for browsers' reports: what is counted, what is logged, and what nobody can do with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from cookie_consent.integrations.prometheus import CspReportCollector
from cookie_consent.visitors.csp_reports import counts as shared
from cookie_consent.visitors.csp_reports.counts import Key, ReportCounts
from cookie_consent.visitors.csp_reports.intake import MAX_LOGGED
from tests.enforcement.csp.test_edit_csp import MAPS, RECIPIENTS
from tests.support.asgi import PREFIX, Clock, Reply, Visitor, install, page_app

PATH = f"{PREFIX}/csp-reports"
BARE, WITH_MAPS = "default-src 'self'; img-src 'self'", f"default-src 'self'; img-src 'self' {MAPS}"


def of_report_uri(blocked: str, directive: str = "img-src", policy: str = BARE, how: str = "enforce") -> Any:
    return {
        "csp-report": {
            "document-uri": "https://site.example/secret/path?token=1",
            "blocked-uri": blocked,
            "effective-directive": directive,
            "violated-directive": f"{directive} 'self'",
            "original-policy": policy,
            "disposition": how,
        }
    }


def of_reporting_api(blocked: str, directive: str = "img-src", policy: str = BARE, how: str = "enforce") -> Any:
    body = {"blockedURL": blocked, "effectiveDirective": directive, "originalPolicy": policy, "disposition": how}
    return [{"type": "csp-violation", "age": 1, "url": "https://site.example/secret", "body": body}]


FORMATS = {"application/csp-report": of_report_uri, "application/reports+json": of_reporting_api}
each_format = pytest.mark.parametrize("kind", FORMATS)


@pytest.fixture(autouse=True)
def totals() -> Callable[[], Mapping[Key, int]]:
    """Returns the counts since the test began."""
    before = dict(shared.counts.totals())

    def since() -> Mapping[Key, int]:
        now = shared.counts.totals()
        return {key: now[key] - before.get(key, 0) for key in now if now[key] != before.get(key, 0)}

    return since


def send(visitor: Visitor, data: object, kind: str = "application/csp-report", **more: Any) -> Reply:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return visitor.request("POST", PATH, [("content-type", kind), *more.pop("headers", [])], body, **more)


def site(**options: Any) -> Visitor:
    return Visitor(install(page_app(), RECIPIENTS, **{"csp": "report", **options}))


@each_format
def test_recipient_of_refused_purpose_is_an_incident(
    kind: str, totals: Callable[[], Mapping[Key, int]], caplog: pytest.LogCaptureFixture
) -> None:
    visitor = site()
    for how in ("report", "enforce"):
        assert send(visitor, FORMATS[kind](f"{MAPS}/tile/7?user=jane", how=how), kind).status == 204
    assert totals() == {
        ("img-src", "maps", "incident", "report"): 1,
        ("img-src", "maps", "incident", "enforce"): 1,
    }
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    tried, enforced = caplog.messages
    assert f'reached for "{MAPS}" (recipient "maps", img-src) although "media" was not allowed' in tried
    assert "not stopped" in tried
    assert "It was stopped" in enforced
    assert not {"jane", "tile", "secret", "token"} & set(caplog.text.replace("/", " ").split())


@each_format
def test_granted_recipient_in_another_directive_is_no_incident(
    kind: str, totals: Callable[[], Mapping[Key, int]], caplog: pytest.LogCaptureFixture
) -> None:
    send(site(), FORMATS[kind](f"{MAPS}/x", "font-src", WITH_MAPS), kind)
    assert totals() == {("font-src", "maps", "undeclared", "enforce"): 1}
    assert 'add "font" to the directives of the recipient "maps"' in caplog.text


@pytest.mark.parametrize(
    ("blocked", "directive", "advice"),
    [
        (
            "https://cdn.example.org/a.js",
            "script-src-elem",
            'origins = ["https://cdn.example.org"] and directives = ["script"]',
        ),
        ("wss://live.example.org:8443", "connect-src", '"wss://live.example.org:8443"'),
        ("inline", "script-src-elem", 'nonce="{{ csp_nonce }}"'),
        ("eval", "script-src", "If it is meant, add it to script-src"),
        ("data:image/png;base64,AAAA", "img-src", '"data" on a page, which img-src does not allow'),
    ],
)
def test_what_no_policy_allows_is_logged_once_with_what_to_write(
    blocked: str, directive: str, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = site()
    for _ in range(3):
        send(visitor, of_report_uri(blocked, directive))
    (message,) = caplog.messages
    assert advice in message


@pytest.mark.parametrize(
    "blocked", ["chrome-extension://abc/x.js", "about:blank", "", "https://", "https://a b/", "x" * 9000]
)
def test_what_is_none_of_the_sites_business_is_counted_and_not_logged(
    blocked: str, totals: Callable[[], Mapping[Key, int]], caplog: pytest.LogCaptureFixture
) -> None:
    send(site(), of_report_uri(blocked))
    assert totals() == {("img-src", "", "undeclared", "enforce"): 1}
    assert caplog.messages == []


def test_incident_is_logged_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    visitor = site(clock=clock)
    for seconds, lines in ((0, 1), (3000, 1), (3000, 2)):
        clock.forward(seconds=seconds)
        send(visitor, of_report_uri(MAPS))
        assert len(caplog.messages) == lines


def test_log_is_short_whatever_comes(caplog: pytest.LogCaptureFixture) -> None:
    visitor = site()
    for number in range(2 * MAX_LOGGED):
        send(visitor, of_report_uri(f"https://host{number}.example.org"))
    assert len(caplog.messages) == MAX_LOGGED


@pytest.mark.parametrize(
    "text", ["img-src\r\nWARNING forged", "\u202e", "nothing-src", 5, None, ["img-src"], "x" * 9000]
)
def test_no_text_of_a_client_reaches_the_log_or_the_counts(
    text: object, totals: Callable[[], Mapping[Key, int]], caplog: pytest.LogCaptureFixture
) -> None:
    report = {**of_report_uri("https://cdn.example.org")["csp-report"], "effective-directive": text}
    report |= {"violated-directive": text, "disposition": text}
    send(site(), {"csp-report": report})
    (key,) = totals()
    assert key[0] in ("other", "img-src")
    assert all(message.isprintable() and "forged" not in message for message in caplog.messages)


def test_counts_are_bounded() -> None:
    few = ReportCounts()
    for number in range(1000):
        few.add(("img-src", str(number), "undeclared", "enforce"))
    assert len(few.totals()) == 501
    assert sum(few.totals().values()) == 1000


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 400),
        ("", b"{}", 400),
        ("application/csp-report", b"", 400),
        ("application/csp-report", b"\xff", 400),
        ("application/csp-report", b"[" * 60_000, 400),
        ("application/csp-report", b"[]", 400),
        ("application/csp-report", b'{"csp-report": 5}', 400),
        ("application/csp-report", b'{"csp-report": {}}', 204),
        ("application/reports+json", b"{}", 400),
        ("application/reports+json", b'[5, {"type": "deprecation", "body": {}}, {"type": "csp-violation"}]', 204),
        ("application/csp-report", b" " * 70_000, 413),
    ],
)
def test_malformed_report_is_refused(kind: str, body: bytes, status: int) -> None:
    reply = send(site(), body, kind)
    assert reply.status == status
    assert status == 204 or reply.get("content-type") == "application/problem+json"
    assert not reply.set_cookies


def test_only_some_reports_of_one_body_are_read(totals: Callable[[], Mapping[Key, int]]) -> None:
    send(site(), of_reporting_api(MAPS) * 200, "application/reports+json")
    assert sum(totals().values()) == 100


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 204),
        ([("sec-fetch-site", "same-origin")], 204),
        ([("origin", "https://site.example")], 204),
        ([("sec-fetch-site", "cross-site")], 403),
        ([("origin", "https://evil.example")], 403),
        ([("origin", "null"), ("sec-fetch-site", "cross-site")], 403),
    ],
)
def test_report_of_another_site_is_refused(headers: list[tuple[str, str]], status: int) -> None:
    assert send(site(), of_report_uri(MAPS), headers=headers).status == status


def test_other_endpoints_still_need_to_know_where_a_post_comes_from() -> None:
    assert site().request("POST", PREFIX, [("content-type", "application/json")], b"{}").status == 403
    assert site().get(PATH).status == 405


def test_prometheus_exports_counts() -> None:
    counted, registry = ReportCounts(), CollectorRegistry()
    registry.register(CspReportCollector(counted))
    counted.add(("img-src", "maps", "incident", "enforce"))
    exported = generate_latest(registry).decode()
    labels = 'directive="img-src",mode="enforce",recipient="maps",what="incident"'
    assert f"cookie_consent_csp_reports_total{{{labels}}} 1.0" in exported


_texts = st.none() | st.integers() | st.text(max_size=30) | st.sampled_from([MAPS, "img-src", "inline", BARE])
_names = st.sampled_from(["effective-directive", "blocked-uri", "disposition", "original-policy", "effectiveDirective"])
_reports = st.dictionaries(_names, _texts).map(lambda it: json.dumps({"csp-report": it}).encode())


@given(st.sampled_from([*FORMATS]), st.binary(max_size=40) | _reports)
def test_no_body_makes_an_error(kind: str, body: bytes) -> None:
    assert send(site(), body, kind).status in (204, 400)
