"""Tests of the cross-site check and of the parameter `next`."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cookie_consent.base.addresses import safe_next
from cookie_consent.endpoints.request import is_cross_site

HOST = "site.example"
CROSS, OWN = True, False


@pytest.mark.requirement("CS-02")
@pytest.mark.parametrize(
    ("fetch_sites", "origins", "judged"),
    [
        # If Sec-Fetch-Site is sent, it decides, whatever Origin says.
        (["same-origin"], [], OWN),
        (["none"], [], OWN),
        (["same-origin"], ["https://evil.example"], OWN),
        (["cross-site"], [], CROSS),
        (["same-site"], [], CROSS),
        (["cross-site"], ["https://site.example"], CROSS),
        (["same-origin", "cross-site"], ["https://site.example"], CROSS),
        # An unknown value is ignored.
        (["same-origin, cross-site"], ["https://evil.example"], CROSS),
        (["Same-Origin"], [], CROSS),
        (["yes"], ["https://site.example"], OWN),
        ([""], [], CROSS),
        # Otherwise Origin must be the site's own.
        ([], ["https://site.example"], OWN),
        ([], ["https://SITE.example:443"], OWN),
        ([], ["https://site.example", "https://site.example"], OWN),
        ([], ["https://site.example", "https://evil.example"], CROSS),
        ([], ["http://site.example"], CROSS),
        ([], ["https://site.example:8443"], CROSS),
        ([], ["https://www.site.example"], CROSS),
        ([], ["https://site.example.evil.example"], CROSS),
        ([], ["https://site.example/path"], CROSS),
        ([], ["https://evil@site.example"], CROSS),
        ([], ["https://site.example?x"], CROSS),
        ([], ["https://site.example#x"], CROSS),
        ([], ["https://[site.example"], CROSS),
        ([], ["https://site.example:port"], CROSS),
        ([], ["null"], CROSS),
        ([], [""], CROSS),
        # A POST with neither field is refused.
        ([], [], CROSS),
    ],
)
def test_cross_site_is_judged_by_sec_fetch_site_else_origin(
    fetch_sites: list[str], origins: list[str], judged: bool
) -> None:
    assert is_cross_site(fetch_sites, origins, "https", HOST) is judged


@pytest.mark.parametrize(
    ("origin", "host", "judged"),
    [
        ("http://site.example", "site.example:80", OWN),
        ("http://site.example:8000", "site.example:8000", OWN),
        ("http://[::1]:8000", "[::1]:8000", OWN),
        ("http://127.0.0.1", "127.0.0.1:80", OWN),
        ("null", "", CROSS),
        ("http://", "", CROSS),
        ("http://site.example", "", CROSS),
        ("http://site.example", "site.example/", CROSS),
        ("http://site.example", "x@site.example", CROSS),
        ("http://site.example", "[", CROSS),
    ],
)
def test_origin_is_compared_with_host_and_port(origin: str, host: str, judged: bool) -> None:
    assert is_cross_site([], [origin], "http", host) is judged


@pytest.mark.requirement("CS-03")
@given(st.lists(st.text(max_size=12), max_size=3), st.lists(st.text(max_size=30), max_size=3), st.text(max_size=20))
def test_cross_site_check_never_raises(fetch_sites: list[str], origins: list[str], host: str) -> None:
    assert is_cross_site(fetch_sites, origins, "https", host) in (True, False)


@pytest.mark.requirement("CS-03")
@given(st.lists(st.text(max_size=12), min_size=1, max_size=3))
def test_foreign_origin_is_cross_site(origins: list[str]) -> None:
    foreign = [f"https://{origin}.evil.example" for origin in origins]
    assert is_cross_site([], foreign, "https", HOST)


def as_browsers_read(path: str) -> str:
    """Prepare a URL as the parser of the URL standard does: strip it, drop tabs and line ends, turn backslashes."""
    trimmed = path.strip("".join(map(chr, range(0x21))))
    return re.sub("[\t\n\r]", "", trimmed).replace("\\", "/")


_parts = st.sampled_from(
    ["/", "\\", "//", "evil.example", "@", ":", "?", "#", "\t", "\n", "\r", " ", "%2f", "%5c", ".", "..", "https:", "a"]
)
_paths = st.one_of(
    st.lists(_parts, max_size=8).map("".join), st.text(max_size=12), st.text(max_size=12).map("/".__add__)
)


@pytest.mark.requirement("CS-05")
@given(_paths)
@example("/\t/evil.example")
@example("/.//evil.example")
@example("/..//evil.example")
@example("/\uff0fevil.example")
def test_accepted_next_stays_on_site_in_every_parser(path: str) -> None:
    safe = safe_next(path)
    if not safe:
        return
    assert safe == path
    for base in ("https://site.example/privacy-choices", "http://site.example"):
        for reading in (path, as_browsers_read(path)):
            resolved = urlsplit(urljoin(base, reading))
            assert (resolved.scheme, resolved.netloc) == (base.partition(":")[0], HOST)
    read = as_browsers_read(path)
    assert read == path
    assert read.startswith("/")
    assert not read.startswith("//")
