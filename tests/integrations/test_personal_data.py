"""Tests of removing personal attributes from spans, events and logs."""

from __future__ import annotations

import pytest
from opentelemetry.semconv.attributes import (
    client_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
    user_agent_attributes,
)

from cookie_consent.integrations.personal_data import without_personal, without_query


def test_personal_attributes_of_semantic_conventions_are_removed() -> None:
    personal = (
        *(client_attributes.CLIENT_ADDRESS, client_attributes.CLIENT_PORT),
        *(network_attributes.NETWORK_PEER_ADDRESS, network_attributes.NETWORK_PEER_PORT),
        *(url_attributes.URL_QUERY, url_attributes.URL_FRAGMENT),
        user_agent_attributes.USER_AGENT_ORIGINAL,
        f"{http_attributes.HTTP_REQUEST_HEADER_TEMPLATE}.cookie",
        f"{http_attributes.HTTP_RESPONSE_HEADER_TEMPLATE}.set-cookie",
        *("session.id", "session.previous_id", "enduser.id", "enduser.pseudo.id", "user.id", "user.ip_address"),
        *("http.client_ip", "http.user_agent", "net.peer.ip", "net.peer.port", "net.sock.peer.addr"),
    )
    other = (
        *(http_attributes.HTTP_REQUEST_METHOD, http_attributes.HTTP_RESPONSE_STATUS_CODE, http_attributes.HTTP_ROUTE),
        *(server_attributes.SERVER_ADDRESS, server_attributes.SERVER_PORT),
        *(network_attributes.NETWORK_PROTOCOL_VERSION, url_attributes.URL_SCHEME),
        *("http.method", "http.status_code", "http.response.header.content-type", "net.host.port", "db.user"),
    )
    assert without_personal(dict.fromkeys((*personal, *other), 1)) == dict.fromkeys(other, 1)


@pytest.mark.parametrize("name", ["url.full", "url.path", "http.url", "http.target", "url"])
def test_url_attributes_lose_query_and_fragment(name: str) -> None:
    assert without_personal({name: "https://site.example/page?q=1#part"}) == {name: "https://site.example/page"}


def test_without_query_keeps_other_values() -> None:
    assert [without_query(value) for value in (None, 3, "/page", "/page#part?q")] == [None, 3, "/page", "/page"]
