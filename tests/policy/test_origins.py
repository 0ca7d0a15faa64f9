"""Tests of what a source in a Content-Security-Policy covers."""

from __future__ import annotations

import pytest

from cookie_consent.policy.origins import covers

MAPS = "https://maps.example.com"


@pytest.mark.parametrize(
    ("source", "origin", "is_covered"),
    [
        (MAPS, MAPS, True),
        ("HTTPS://Maps.Example.com/path", MAPS, True),
        (MAPS, "https://tiles.example.com", False),
        (MAPS, "http://maps.example.com", False),
        ("http://maps.example.com", MAPS, True),
        (MAPS, "wss://maps.example.com", True),
        ("wss://maps.example.com", MAPS, False),
        ("maps.example.com", MAPS, True),
        ("maps.example.com:8443", MAPS, False),
        ("maps.example.com:8443", f"{MAPS}:8443", True),
        ("maps.example.com:*", f"{MAPS}:8443", True),
        (f"{MAPS}:8443", f"{MAPS}:8443", True),
        ("*.example.com", MAPS, True),
        ("https://*.example.com", MAPS, True),
        ("https://*.example.com", "https://example.com", False),
        ("*", MAPS, True),
        ("https:", MAPS, True),
        ("http:", MAPS, True),
        ("ws:", MAPS, False),
        ("data:", MAPS, False),
        ("'self'", MAPS, False),
        (MAPS, "inline", False),
        (MAPS, "ftp://maps.example.com", False),
        ("https://*:*", f"{MAPS}:8443", True),
    ],
)
def test_source_covers_origins_as_browsers_match_them(source: str, origin: str, is_covered: bool) -> None:
    assert covers(source, origin) is is_covered
