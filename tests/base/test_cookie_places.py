"""Tests of the domains and paths of cookies."""

from __future__ import annotations

import pytest

from cookie_consent.base.cookies import is_sent_to, list_settable_domains


@pytest.mark.parametrize(
    ("host", "domains"),
    [
        ("site.example", ["site.example"]),
        ("www.site.example", ["site.example", "www.site.example"]),
        ("xn--1-7fa.xn--p1ai", ["xn--1-7fa.xn--p1ai"]),
        ("g.f.e.d.c.b.a", ["b.a", "c.b.a", "d.c.b.a", "e.d.c.b.a", "f.e.d.c.b.a"]),
        ("localhost", []),
        ("", []),
        ("203.0.113.7", []),
        ("[2001:db8::1]", []),
        ("a..b", []),
        ("a.b;domain=c", []),
        ("a.b\n", []),
        ("(other)", []),
        ("a" * 64 + ".example", []),
    ],
)
def test_host_can_set_cookies_for_itself_and_parent_domains(host: str, domains: list[str]) -> None:
    assert list_settable_domains(host) == domains


@pytest.mark.parametrize(
    ("path", "cookie_path", "sent"),
    [
        ("/privacy-choices", "/", True),
        ("/privacy-choices", "/privacy-choices", True),
        ("/privacy-choices/events", "/privacy-choices", True),
        ("/privacy-choices/events", "/privacy-choices/", True),
        ("/privacy-choices", "/privacy-choices/", False),
        ("/privacy-choices", "/privacy", False),
        ("/privacy-choices", "/shop", False),
    ],
)
def test_cookie_is_sent_to_paths_below_its_path(path: str, cookie_path: str, sent: bool) -> None:
    assert is_sent_to(path, cookie_path) is sent
