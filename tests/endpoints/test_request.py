"""Tests of what endpoints learn about a request."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message

from cookie_consent.endpoints.request import OwnRequest
from tests.support.asgi import PREFIX, Fields, install, scope


def own_request(headers: Fields = (), **more: Any) -> OwnRequest:
    return OwnRequest(install()._site, scope("POST", PREFIX, headers, **more), receive_nothing, PREFIX)


async def receive_nothing() -> Message:
    return {"type": "http.disconnect"}


def test_base_includes_mount_path() -> None:
    assert own_request().base == PREFIX
    assert own_request(root_path="/shop").base == f"/shop{PREFIX}"
    assert own_request(root_path="/shop/").base == f"/shop{PREFIX}"


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
def test_only_https_is_secure(scheme: str, secure: bool) -> None:
    assert own_request(scheme=scheme).place.secure is secure


def test_cookie_fields_are_joined() -> None:
    assert own_request([("cookie", "a=1"), ("cookie", "b=2")]).cookie_field == b"a=1; b=2"
    assert own_request().cookie_field == b""


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
    asked = own_request([("content-type", content_type)] if content_type else [])
    assert (asked.media_type, asked.is_form) == (content_type.partition(";")[0].lower(), is_form)


@pytest.mark.parametrize(
    ("accept", "wants_json"), [("application/json", True), ("application/problem+json", True), ("text/html", False)]
)
def test_accept_header_with_json_wants_json(accept: str, wants_json: bool) -> None:
    assert own_request([("accept", accept)]).wants_json is wants_json


@pytest.mark.parametrize(
    ("query", "next_path"), [(b"", ""), (b"next=/there", "/there"), (b"next=//evil.example", ""), (b"next=", "")]
)
def test_next_path_never_leaves_the_site(query: bytes, next_path: str) -> None:
    assert own_request(query=query).next_path == next_path
