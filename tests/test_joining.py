"""Who holds the ledger and the access log finds few visitors of the one in the other."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from benchmarks.joining import VISITORS, joined
from cookie_consent.sinks import line_files
from cookie_consent.sinks.closed_files import Form, path_of
from cookie_consent.sinks.line_files import compress_closed

DAY = date(2026, 11, 25)
# Nothing but luck is left: a quarter of an hour has fifteen answers. All but all were found before.
FEW = VISITORS // 4


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, int]]:
    return joined()


@pytest.mark.parametrize(
    "way", ["nearest second", "nearest to the middle", "order of the times", "order of the lines", "order of the ids"]
)
def test_neither_time_nor_ids_nor_lines_of_a_closed_file_tell_who_answered(
    found: dict[str, dict[str, int]], way: str
) -> None:
    assert found["closed"][way] < FEW


def test_in_the_live_file_it_is_only_the_order_of_the_lines(found: dict[str, dict[str, int]]) -> None:
    assert {way for way, number in found["live"].items() if number >= FEW} == {"order of the lines"}


def test_a_large_file_is_sorted_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_files, "_SORTED_AT_ONCE", 60)
    log, lines = tmp_path / "access.jsonl", [b"%02d" % number for number in (3, 1, 2, 0, 7, 5, 6, 4) * 5]
    path_of(log, DAY, 1, Form.PLAIN).write_bytes(b"\n".join(lines))
    assert compress_closed(log, Form.GZIP) == []
    with path_of(log, DAY, 1, Form.GZIP).open("rb") as file:
        made = list(line_files.found_in(file, Form.GZIP, bool))
    assert sorted(made) == sorted(lines)
    first = made[: len(made) // 4]
    assert first == sorted(first) != lines[: len(first)]
    assert made != sorted(lines), "not all at once"
