"""Differential tests of tracing: records and counts of random visitors are those that an oracle expects.

With --full-matrix there are 100,000 requests, otherwise 900.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks.files.closed_files import counts_path, live_paths
from tests.support.asgi import request_time
from tests.support.tracing_oracle import is_played
from tests.support.tracing_simulation import Simulation

pytestmark = pytest.mark.slow

REQUESTS, FEWER, SEEDS = 25_000, 900, (1, 2, 3, 4)
SECRETS = (b"s3cr3t", b"203.0.113.77", b"Pixel", b"consent=", b"visitor=")
COUNTED = ("count.day", "server.address", "consent.language", "count.name", "count.detail")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        seeds = SEEDS if metafunc.config.getoption("--full-matrix") else SEEDS[:1]
        metafunc.parametrize("seed", seeds, scope="module")


@pytest.fixture(scope="module")
def play(seed: int, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """A play of random visitors that has ended."""
    play = Simulation(seed, tmp_path_factory.mktemp("play") / "access.jsonl")
    asyncio.run(play.run(REQUESTS if pytestconfig.getoption("--full-matrix") else FEWER))
    return play


def test_exactly_the_allowed_requests_are_recorded(play: Simulation) -> None:
    found = Counter(number_of(record) for record in lines(play.log))
    assert sorted(found.keys() - play.expected) == [], "recorded, but not allowed"
    assert sorted(play.expected.keys() - found) == [], "allowed, but not recorded"
    assert set(found.values()) == {1}, "no request is recorded twice"
    assert 0.05 < len(found) / play.requests < 0.6, "the play has many requests of both kinds"


def test_records_match_their_requests_and_hold_no_secrets(play: Simulation) -> None:
    for record in lines(play.log):
        values = play.expected[number_of(record)].values
        assert request_time(record) == pytest.approx(values.pop("came"), abs=0.002)
        assert {name: record.get(name) for name in values} == values
    assert [secret for secret in SECRETS if secret in play.log.read_bytes()] == []


def test_each_visitor_cookie_has_its_own_visitor_id(play: Simulation) -> None:
    ids = defaultdict(set)
    for record in lines(play.log):
        ids[play.expected[number_of(record)].visitor].add(record["visitor.id"])
    assert {len(each) for each in ids.values()} == {1}
    assert len(set().union(*ids.values())) == len(ids), "no two cookies share an id"


def test_exactly_the_events_that_happened_are_counted(play: Simulation) -> None:
    found: Counter[tuple[str, ...]] = Counter()
    for count in lines(counts_path(play.log)):
        if is_played(count["count.name"]):
            found[tuple(count.get(key, "") for key in COUNTED)] += count["count.value"]
    assert {name for _, _, _, name, _ in play.counted} == {
        "views", "views_recorded", "asked", "granted", "refused", "partial", "changed", "withdrawn", "signal",
        "degraded",
    }, "the play has counts of every name"  # fmt: skip
    assert found - play.counted == Counter(), "counted, but did not happen"
    assert play.counted - found == Counter(), "happened, but not counted"


def test_sums_by_one_thing_add_up_to_the_total(play: Simulation) -> None:
    sums: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for count in lines(counts_path(play.log)):
        sums[count["count.name"]][count["count.day"], count["server.address"]] += count["count.value"]
    for name in ("asked", "granted", "refused", "partial"):
        assert sums[f"{name}_by_policy"] == sums[name] != {}
    assert sums["granted_by_device"] == sums["granted"]
    assert sums["asked_by_device"].total() > 0
    assert sums["asked_by_device"] <= sums["asked"], "who has answered is asked again without a look at the device"
    assert sums.keys().isdisjoint({"refused_by_device", "partial_by_device"})


def number_of(record: Mapping[str, Any]) -> int:
    return int(record["url.path"].rpartition("/")[2])


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of live files. A line may be empty, where a process took the line before for torn."""
    text = b"\n".join(live.read_bytes() for live in live_paths(path))
    return [json.loads(line) for line in text.splitlines() if line.strip()]
