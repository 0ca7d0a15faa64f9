"""Tests of what handlers learn about a request."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from cookie_consent.endpoints.inquiry import Inquiry
from tests.support.asgi import NOW, PREFIX, Fields, install, scope


def inquiry(headers: Fields = (), **more: Any) -> Inquiry:
    request = Request(scope("POST", PREFIX, headers, **more))
    parts = install()._site
    visit, place = parts.visits.read(request.scope, PREFIX), parts.own_cookies.place(request.scope)
    return Inquiry.of(request, visit, place=place, language="en", path=PREFIX, prefix=PREFIX, now=NOW)


def test_base_includes_mount_path() -> None:
    assert inquiry().base == PREFIX
    assert inquiry(root_path="/shop").base == f"/shop{PREFIX}"
    assert inquiry(root_path="/shop/").base == f"/shop{PREFIX}"


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
def test_only_https_is_secure(scheme: str, secure: bool) -> None:
    assert inquiry(scheme=scheme).place.secure is secure


def test_cookie_fields_are_joined() -> None:
    assert inquiry([("cookie", "a=1"), ("cookie", "b=2")]).cookies == b"a=1; b=2"
    assert inquiry().cookies == b""


@pytest.mark.parametrize(
    ("content_type", "is_form"),
    [
        ("application/x-www-form-urlencoded", True),
        ("Multipart/Form-Data; boundary=x", True),
        ("text/plain;charset=utf-8", True),
        ("application/json", False),
        ("", False),
    ],
)
def test_content_types_of_html_forms_are_recognised(content_type: str, is_form: bool) -> None:
    asked = inquiry([("content-type", content_type)] if content_type else [])
    assert (asked.content_type, asked.is_form) == (content_type, is_form)


@pytest.mark.parametrize(
    ("accept", "wants_json"), [("application/json", True), ("application/problem+json", True), ("text/html", False)]
)
def test_accept_header_with_json_wants_json(accept: str, wants_json: bool) -> None:
    assert inquiry([("accept", accept)]).wants_json is wants_json


@pytest.mark.parametrize(
    ("query", "next_path"), [(b"", ""), (b"next=/there", "/there"), (b"next=//evil.example", ""), (b"next=", "")]
)
def test_next_path_never_leaves_the_site(query: bytes, next_path: str) -> None:
    assert inquiry(query=query).next_path == next_path
