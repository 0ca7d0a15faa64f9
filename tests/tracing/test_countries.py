"""Tests of countries in access records: the table, its faults, and for which records it is asked."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.ledgers.glossary import COUNTRY
from cookie_consent.ledgers.receipt import receipt
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.countries import Countries
from tests.ledgers.test_receipt import KEPT
from tests.support.asgi import NOW, PHONE, PREFIX, SITE, Clock, Visitor, install
from tests.support.mmdb import write_entries, write_table
from tests.support.policies import full_policy_data, policy_of

LOCATED = SITE.replace("traces = true", "traces = true\nrecords_country = true")
AUDIENCE = """
[purposes.audience]
title = { en = "Audience", ja = "計測" }
description = { en = "We count visits.", ja = "訪問を数えます。" }
retention = "90 days"
traces = true
exempt = "cnil_audience"
"""
NETWORKS = {"203.0.113.0/24": "JP", "198.51.100.0/25": "DE", "2001:db8::/32": "FR", "192.0.2.0/24": "japan"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "countries.mmdb", NETWORKS)


def visitor(table: Path, sink: MemorySink, text: str = LOCATED, **options: Any) -> Visitor:
    return Visitor(install(text=text, access_log=sink, countries=table, **options), [("user-agent", PHONE)])


def country(table: Path, address: str) -> str:
    return Countries(table, Clock(), by_consent=True, by_exemption=False).of(address, is_exempt=False)


# Records.


def test_record_has_the_country_of_the_whole_address(table: Path) -> None:
    """198.51.100.200 is in no country, though its truncated address is."""
    sink = MemorySink()
    one = visitor(table, sink)
    one.accept()
    for address in ("198.51.100.9", "198.51.100.200", "203.0.113.9", "10.0.0.1"):
        one.get("/", client=(address, 80))
    assert [(record["client.address"], record.get(COUNTRY)) for record in sink.records] == [
        ("198.51.100.0", "DE"),
        ("198.51.100.0", None),
        ("203.0.113.0", "JP"),
        ("10.0.0.0", None),
    ]


def test_event_has_the_country(table: Path) -> None:
    sink = MemorySink()
    one = visitor(table, sink)
    one.accept()
    one.post({"name": "download", "path": "/"}, path=f"{PREFIX}/events", client=("203.0.113.9", 80))
    (record,) = sink.records
    assert (record["event.name"], record[COUNTRY]) == ("download", "JP")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.255", "JP"),
        ("::ffff:203.0.113.9", "JP"),
        ("2001:db8:1::1", "FR"),
        ("2001:db8::1%eth0", "FR"),
        ("2001:db9::1", ""),
        ("192.0.2.1", ""),  # whose code is none
        ("testclient", ""),
        ("", ""),
    ],
)
def test_country_of_address(table: Path, address: str, expected: str) -> None:
    assert country(table, address) == expected


def test_table_of_ipv4_alone_knows_no_other_address(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = write_table(tmp_path / "countries.mmdb", {"203.0.113.0/24": "JP"}, ip_version=4)
    assert (country(table, "203.0.113.9"), country(table, "2001:db8::1")) == ("JP", "")
    assert not caplog.records


def test_country_is_looked_up_once_for_each_visitor(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    of = Countries.of

    def seen(countries: Countries, address: str, *, is_exempt: bool) -> str:
        looked_up.append(address)
        return of(countries, address, is_exempt=is_exempt)

    monkeypatch.setattr(Countries, "of", seen)
    one = visitor(table, MemorySink())
    one.accept()
    for _ in range(3):
        one.get("/")
    assert len(looked_up) == 1


@pytest.mark.parametrize(
    ("located", "expected"), [("analytics", (None, "JP")), ("audience", ("JP", None))], ids=["by consent", "exempt"]
)
def test_country_is_recorded_only_for_purposes_that_say_so(table: Path, located: str, expected: Any) -> None:
    """Records without consent are made before the answer, the others after it."""
    both = SITE + AUDIENCE
    head, name, rest = both.partition(f"[purposes.{located}]")
    sink = MemorySink()
    one = visitor(table, sink, head + name + rest.replace("traces = true", "traces = true\nrecords_country = true", 1))
    one.get("/", client=("203.0.113.9", 80))
    one.accept()
    one.get("/", client=("203.0.113.9", 80))
    assert tuple(record.get(COUNTRY) for record in sink.records) == expected


# What stops the start.


def test_without_access_log_the_start_fails(table: Path) -> None:
    with pytest.raises(ValueError, match="countries: nothing is recorded without an access_log"):
        install(text=LOCATED, countries=table)


def test_policy_that_does_not_say_so_stops_the_start(table: Path) -> None:
    with pytest.raises(ValueError, match=r"does not tell visitors .* records_country = true"):
        install(access_log=MemorySink(), countries=table)


def test_policy_that_says_so_for_some_tracing_purposes_stops_the_start(table: Path) -> None:
    text = LOCATED + AUDIENCE.replace('exempt = "cnil_audience"', "").replace("audience", "research")
    with pytest.raises(ValueError, match="does not tell which purpose it is for"):
        install(text=text, access_log=MemorySink(), countries=table)


def cut_off(table: Path) -> None:
    table.write_bytes(table.read_bytes()[:-100])


def overwrite(table: Path) -> None:
    """Make the entries unreadable; the tree of networks and the description of the table stay."""
    data = table.read_bytes()
    first, last = data.index(b"continent") - 10, data.index(b"\xab\xcd\xefMaxMind.com")
    table.write_bytes(data[:first] + b"\xff" * (last - first) + data[last:])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (Path.unlink, "cannot be read: No such file or directory"),
        (lambda table: table.rename(table.with_name("old")) and table.mkdir(), "cannot be read: Is a directory"),
        (lambda table: table.write_text("203.0.113.0/24,JP"), "is damaged, or no MMDB file"),
        (lambda table: table.write_bytes(b""), "is damaged, or no MMDB file"),
        (cut_off, "is damaged, or no MMDB file"),
        (overwrite, "is damaged, or no MMDB file"),
        (lambda table: write_table(table, NETWORKS, kind="GeoLite2-City"), 'of another kind, "GeoLite2-City"'),
        (
            lambda table: write_entries(table, {"203.0.113.0/24": {"asn": "AS64496"}}, kind="GeoLite2-ASN"),
            'of another kind, "GeoLite2-ASN"',
        ),
        (
            lambda table: write_entries(table, {"203.0.113.0/24": {"country": "JP"}}, kind="flat country"),
            "has no country.iso_code",
        ),
    ],
    ids=["missing", "folder", "text", "empty", "cut off", "overwritten", "cities", "networks", "another form"],
)
def test_unusable_table_stops_the_start(table: Path, spoil: Callable[[Path], object], says: str) -> None:
    spoil(table)
    with pytest.raises(ValueError, match=f"countries: .*countries.mmdb .*{says}"):
        install(text=LOCATED, access_log=MemorySink(), countries=table)


@pytest.mark.parametrize("option", ["", 5, True])
def test_option_that_is_no_path_stops_the_start(option: Any) -> None:
    with pytest.raises(ValueError, match=r"countries: .* is not valid. Write the path"):
        install(text=LOCATED, access_log=MemorySink(), countries=option)


# While the site runs.


def of_consent(table: Path, clock: Clock) -> Callable[[str], str]:
    countries = Countries(table, clock, by_consent=True, by_exemption=False)
    return lambda address: countries.of(address, is_exempt=False)


def test_replaced_table_is_read_within_ten_minutes(table: Path) -> None:
    clock = Clock(NOW)
    found = of_consent(table, clock)
    os.replace(write_table(table.with_name("new.mmdb"), {"203.0.113.0/24": "KR"}), table)
    assert found("203.0.113.9") == "JP"
    clock.forward(seconds=601)
    assert found("203.0.113.9") == "KR"


def test_table_that_was_not_replaced_stays_in_use(table: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock(NOW)
    found = of_consent(table, clock)
    clock.forward(seconds=601)
    assert found("203.0.113.9") == "JP"
    assert not caplog.records


@pytest.mark.parametrize("spoil", [Path.unlink, cut_off])
def test_unreadable_new_table_leaves_the_old_one_in_use(
    table: Path, spoil: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(NOW)
    found = of_consent(table, clock)
    whole = table.read_bytes()
    spoil(table)
    clock.forward(seconds=601)
    assert found("203.0.113.9") == "JP"
    assert "the table that was read before stays in use" in caplog.text
    table.write_bytes(whole.replace(b"JP", b"KR"))
    clock.forward(seconds=601)
    assert found("203.0.113.9") == "KR"


def test_damage_costs_the_country_and_no_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first entries can be read, and the last cannot."""
    caplog.set_level(logging.WARNING)
    networks = {f"10.{number}.0.0/16": "JP" for number in range(200)}
    table = write_table(tmp_path / "countries.mmdb", networks)
    data = table.read_bytes()
    end = data.index(b"\xab\xcd\xefMaxMind.com")
    table.write_bytes(data[: end - 60] + b"\xff" * 60 + data[end:])
    sink = MemorySink()
    one = visitor(table, sink)
    one.accept()
    for address in ("10.0.0.1", "10.199.0.1", "10.199.0.2"):
        one.get("/", client=(address, 80))
    assert [record.get(COUNTRY) for record in sink.records] == ["JP", None, None]
    assert caplog.text.count("is damaged") == 1


# What visitors are told.


@pytest.mark.parametrize("text", [SITE, LOCATED])
def test_settings_page_says_that_the_country_is_recorded(text: str) -> None:
    html = Visitor(install(text=text)).get(PREFIX, query=b"language=en").text
    assert ("The country that your IP address belongs to" in html) == (text == LOCATED)


@pytest.mark.parametrize("located", [True, False])
def test_receipt_lists_the_country_if_it_is_recorded(located: bool) -> None:
    data = full_policy_data()
    data["purposes"]["analytics"]["records_country"] = located
    purpose = receipt(KEPT, policy_of(data), PREFIX)["purposes"][0]
    assert (COUNTRY in [item["pii_type"] for item in purpose["pii_information"]]) is located
