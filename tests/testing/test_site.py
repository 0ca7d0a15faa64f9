"""Tests of the checks that a site's own tests run on all its pages."""

from __future__ import annotations

import contextlib

import pytest
from starlette.testclient import TestClient

from cookie_consent.testing import answer, assert_declared, assert_no_storage_before_consent
from tests.audit import planted
from tests.support.asgi import SITE, install, reply_app

pytestmark = pytest.mark.slow


def test_checks_for_own_tests_name_what_is_wrong() -> None:
    with TestClient(planted.app, "https://testserver", raise_server_exceptions=False) as client:
        answer(client, {"media"})
        before = dict(client.cookies)
        with pytest.raises(AssertionError, match=r"pixel\.example"):
            assert_declared(client)
        with pytest.raises(AssertionError) as raised:
            assert_no_storage_before_consent(client)
        assert dict(client.cookies) == before
    assert '"films.example" (purpose media), for unknown, refused, only analytics, GPC' in str(raised.value)
    assert "pixel.example" not in str(raised.value)


def test_checks_pass_where_site_and_policy_agree() -> None:
    from examples.registry.app import app

    with TestClient(app) as client:
        assert_declared(client)
        assert_no_storage_before_consent(client)


MAP = b"<!doctype html><html lang=en><title>Map</title><main><h1>Map</h1><img src=https://maps.example.com/map.png></main>"
IMAGES = 'origins = ["https://maps.example.com"]\ndirectives = ["img"]'


@pytest.mark.parametrize("csp", [None, "enforce"])
def test_what_a_policy_of_the_page_stops_is_not_loaded(csp: str | None) -> None:
    text = SITE.replace('origins = ["https://maps.example.com"]', IMAGES)
    app = install(reply_app(MAP, "text/html"), text, csp=csp)
    with TestClient(app, "https://testserver") as client:
        assert_declared(client)
        with contextlib.nullcontext() if csp else pytest.raises(AssertionError, match=r"maps\.example\.com"):
            assert_no_storage_before_consent(client)
