"""Tests of what a refused POST is told that does not say where it comes from, as those of test clients."""

from __future__ import annotations

import logging

import pytest
from starlette.testclient import TestClient

from tests.support.asgi import PREFIX, install

ADVICE = "In a test, use cookie_consent.testing: answer(client) or refuse(client)."


@pytest.fixture(autouse=True)
def _only_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """Leave out what the client logs about each request, if another test has lowered the level."""
    caplog.set_level(logging.WARNING)


def test_post_of_test_client_is_told_what_to_use(caplog: pytest.LogCaptureFixture) -> None:
    response = TestClient(install()).post(PREFIX, json={"choice": "accept_all"})
    assert response.status_code == 403
    assert response.json()["detail"].endswith(ADVICE)
    assert [response.json()["detail"].endswith(record.getMessage()) for record in caplog.records] == [True]


def test_form_of_test_client_gets_a_page_for_visitors_and_the_log_says_what_to_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = TestClient(install())
    for _ in range(3):
        response = client.post(PREFIX, data={"choice": "accept_all"})
        assert (response.status_code, "cookie_consent" in response.text) == (403, False)
        assert response.headers["content-type"].startswith("text/html")
    assert [record.getMessage().endswith(ADVICE) for record in caplog.records] == [True]


@pytest.mark.parametrize("field", [("sec-fetch-site", "cross-site"), ("origin", "null"), ("sec-fetch-site", "?")])
def test_post_of_another_site_is_told_no_more(field: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    response = TestClient(install()).post(PREFIX, json={"choice": "accept_all"}, headers=dict([field]))
    assert response.json()["detail"] == "Only the site's own pages may do this."
    assert caplog.records == []
