"""Tests of addresses: of clients, of hosts and of pages, inside and outside a mounted app."""

from __future__ import annotations

from typing import Any

import pytest

from cookie_consent.base.addresses import (
    address,
    host_name,
    is_secure,
    local_path,
    outer_path,
    read_host,
    safe_next,
    scope_at,
    split_address,
    split_origin,
    truncate_address,
)


@pytest.mark.parametrize(
    ("root", "path", "inside", "outside"),
    [
        ("", "/x", "/x", "/x"),
        ("/", "/x", "/x", "/x"),
        ("/api", "/api/x", "/x", "/api/x"),
        ("/api/", "/api/x", "/x", "/api/x"),
        ("/api", "/api", "", "/api"),
        ("/api", "/x", "/x", "/api/x"),  # a proxy removed the mount path
        ("/api", "/apix", "/apix", "/api/apix"),  # only a common beginning
    ],
)
def test_mounted_app_has_local_and_outer_path(root: str, path: str, inside: str, outside: str) -> None:
    scope = {"path": path, "root_path": root}
    assert (local_path(scope), outer_path(scope)) == (inside, outside)
    assert (local_path({"path": path}), outer_path({"path": path})) == (path, path)
    assert address(root, "/p") == root.rstrip("/") + "/p"


@pytest.mark.requirement("LP-01")
@pytest.mark.parametrize(
    ("sent", "truncated"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("203.0.113.77:80", None),
        ("client", None),
        ("", None),
    ],
)
def test_address_is_truncated_to_its_network(sent: str, truncated: str | None) -> None:
    assert truncate_address(sent) == truncated


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b"Site.Example:8000", "site.example"),
        (b"site.example.", "site.example"),
        (b"[2001:DB8::1]:80", "[2001:db8::1]"),
        (b"[2001:db8::1]", "[2001:db8::1]"),
        (b"", ""),
        (b"a" * 255 + b":8000", "a" * 255),
        (b"a" * 256, "(other)"),
    ],
)
def test_host_is_named_without_its_port(field: bytes, name: str) -> None:
    assert host_name(field) == name
    assert read_host({"headers": [(b"x", b"y"), (b"host", field), (b"host", b"other")]}) == name
    assert read_host({"headers": []}) == ""


@pytest.mark.parametrize(
    ("scheme", "secure"), [("https", True), ("wss", True), ("http", False), ("ws", False), (None, False)]
)
def test_request_is_secure_by_its_scheme(scheme: str | None, secure: bool) -> None:
    assert is_secure({} if scheme is None else {"scheme": scheme}) is secure


@pytest.mark.parametrize(
    ("sent", "parts", "origin"),
    [
        ("https://Site.example:8443/a?b#c", ("https", "Site.example:8443", "/a", "b"), ("https", "site.example", 8443)),
        ("HTTP://site.example", ("HTTP", "site.example", "", ""), ("http", "site.example", None)),
        ("/a/b?c=d?e", ("", "", "/a/b", "c=d?e"), None),
        ("about:blank", ("about", "", "blank", ""), None),
        ("https://site.example:port/", ("https", "site.example:port", "/", ""), None),
        ("https://[::1/", ("https", "[::1", "/", ""), None),
        (f"https://{'a' * 300}/", ("https", "a" * 300, "/", ""), None),
        ("a\nb", ("", "", "a\nb", ""), None),
    ],
)
def test_address_is_split_into_its_parts(sent: str, parts: tuple[str, ...], origin: Any) -> None:
    split = split_address(sent)
    assert (split.scheme, split.netloc, split.path, split.query, split.fragment) == (*parts, "")
    assert split_origin(split) == origin


def test_scope_at_another_address_has_its_path_and_query() -> None:
    scope = {"path": "/x", "raw_path": b"/x", "query_string": b"", "headers": []}
    there = scope_at(scope, "https://site.example/%E3%81%82?q=1#f")
    assert there == {"path": "/あ", "raw_path": b"/%E3%81%82", "query_string": b"q=1", "headers": []}


@pytest.mark.parametrize(
    ("path", "is_safe"),
    [
        ("/", True),
        ("/a/b?c=d&e#f", True),
        ("/" + "a" * 2047, True),
        ("/" + "a" * 2048, False),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("/a b", False),
        ("/\t/evil.example", False),
        ("/a\nb", False),
        ("https://evil.example", False),
        ("a", False),
        ("", False),
    ],
)
def test_next_page_is_followed_only_on_this_site(path: str, is_safe: bool) -> None:
    assert safe_next(path) == (path if is_safe else "")
