"""Tests of the channels of sessions: which hosts and which mediums are known."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from cookie_consent.report.engines.dialect import DUCKDB, _environment


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with a table of sessions."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE sessions (referrer VARCHAR, campaign VARCHAR)")
        yield connection


@pytest.mark.parametrize(
    ("host", "channel"),
    [
        ("google.com", "search"),
        ("www.google.co.jp", "search"),
        ("www.google.com.au", "search"),
        ("google.de", "search"),
        ("news.google.com", "search"),
        ("cn.bing.com", "search"),
        ("uk.search.yahoo.com", "search"),
        ("search.yahoo.co.jp", "search"),
        ("google.evil.com", "other site"),
        ("google.evil.jp", "other site"),
        ("google.com.evil.example", "other site"),
        ("notgoogle.com", "other site"),
        ("docs.google.com", "other site"),
        ("googlexcom", "other site"),
        ("mail.google.com", "mail"),
        ("outlook.live.com", "mail"),
        ("mail.yahoo.co.jp", "mail"),
        ("l.facebook.com", "social"),
        ("facebook.com", "social"),
        ("old.reddit.com", "social"),
        ("t.co", "social"),
        ("xt.co", "other site"),
        ("at.t.co", "other site"),
        ("www.pinterest.co.uk", "social"),
        ("x.com", "social"),
        ("netflix.com", "other site"),
        ("[::1]", "other site"),
    ],
)
def test_host_of_site_before_decides_on_channel(database: duckdb.DuckDBPyConnection, host: str, channel: str) -> None:
    assert channel_of(database, f"https://{host}", "&&") == channel
    assert channel_of(database, f"https://{host}:8443", "&&") == channel


@pytest.mark.parametrize(
    ("campaign", "channel"),
    [
        ("letter&email&", "mail"),
        ("letter&E-Mail&one", "mail"),
        ("letter&newsletter&one", "mail"),
        ("facebook&social&", "social"),
        ("facebook&social_media&", "social"),
        ("google&organic&", "search"),
        ("blog&referral&", "other site"),
        ("google&cpc&spring", "paid search"),
        ("Bing&PPC&", "paid search"),
        ("letter&cpc&spring", "campaign"),
        ("facebook&paid&spring", "campaign"),
        ("facebook&paid-social&spring", "campaign"),
        ("&&spring", "campaign"),
        ("email&&", "campaign"),
    ],
)
def test_medium_of_campaign_decides_before_site(
    database: duckdb.DuckDBPyConnection, campaign: str, channel: str
) -> None:
    assert channel_of(database, "https://www.google.com", campaign) == channel
    assert channel_of(database, "", campaign) == channel


def test_session_without_campaign_and_site_is_direct(database: duckdb.DuckDBPyConnection) -> None:
    assert channel_of(database, "", "&&") == "direct"


def channel_of(database: duckdb.DuckDBPyConnection, referrer: str, campaign: str) -> str:
    database.execute("DELETE FROM sessions")
    database.execute("INSERT INTO sessions VALUES (?, ?)", [referrer, campaign])
    query = '{% from "channel.sql" import channel %} SELECT {{ channel("referrer", "campaign") }} FROM sessions'
    found = database.execute(_environment(DUCKDB).from_string(query).render()).fetchall()
    return str(found[0][0])
