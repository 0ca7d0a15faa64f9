"""Tests of reading the User-Agent field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.base.user_agents import Agent, find_page_view_host, is_from_robot, read_agent
from tests.support.asgi import Fields, raw_headers
from tests.support.examples import examples


@pytest.mark.parametrize(
    ("field", "agent"),
    [
        (
            b"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
            Agent("Firefox", "Windows", "pc", is_bot=False),
        ),
        (
            b"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
            b"Mobile Safari/537.36",
            Agent("Chrome Mobile", "Android", "mobile", is_bot=False),
        ),
        (
            b"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 "
            b"Mobile/15E148 Safari/604.1",
            Agent("Mobile Safari", "iOS", "tablet", is_bot=False),
        ),
        (
            b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            Agent("Googlebot", "Other", "other", is_bot=True),
        ),
        (b"curl/8.5.0", Agent("curl", "Other", "other", is_bot=False)),
        (b"", Agent("Other", "Other", "other", is_bot=False)),
    ],
)
def test_browser_os_and_device_are_read(field: bytes, agent: Agent) -> None:
    assert read_agent(field) == agent
    assert is_from_robot({b"user-agent": field}) is agent.is_bot


def test_only_first_256_bytes_are_read() -> None:
    assert read_agent(b"x" * 256 + b" Googlebot/2.1").name == "Other"
    assert read_agent(b"x" * 242 + b" Googlebot/2.1").name == "Googlebot"
    assert not is_from_robot({})


@examples(40)
@given(st.binary(max_size=600))
def test_any_bytes_are_read_as_agent(field: bytes) -> None:
    assert read_agent(field).device in ("mobile", "tablet", "pc", "other")


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ([("host", "site.example")], b"site.example"),
        ([("host", "site.example"), ("sec-fetch-dest", "document")], b"site.example"),
        ([("host", "site.example"), ("sec-fetch-dest", "iframe")], None),
        ([("host", "site.example"), ("sec-fetch-dest", "empty")], None),
        ([("host", "site.example"), ("sec-purpose", "prefetch;prerender")], None),
        ([("host", "site.example"), ("purpose", "Prefetch")], None),
        ([], b""),
    ],
)
def test_page_is_seen_only_in_top_level_navigation(headers: Fields, host: bytes | None) -> None:
    assert find_page_view_host(dict(raw_headers(headers))) == host


def test_not_modified_page_is_seen_only_with_sec_fetch_dest() -> None:
    headers = [(b"host", b"site.example"), (b"sec-fetch-dest", b"document")]
    assert find_page_view_host(dict(headers), not_modified=True) == b"site.example"
    assert find_page_view_host(dict(headers[:1]), not_modified=True) is None
