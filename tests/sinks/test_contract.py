"""Contract tests of the sinks: every sink passes them. Also: opening a sink by its URL."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks import JsonLinesSink, MemorySink, Sink, open_sink, without_spill
from tests.support.documentation import blocks
from tests.support.sink_lines import ROOT, TODAY, count_line, line, record

KINDS = ["memory", "jsonl", "postgresql", "clickhouse", "third-party"]
UNKNOWN_VISITOR = "a-visitor-without-records"


def _no_wait(_: float) -> None:
    """Do not sleep: no other process writes here."""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the example package of docs/keeping-records.md, and return the file in which its sink writes."""
    (module,) = (block for block in blocks("docs/keeping-records.md", "python") if "BufferedSink" in block)
    (declared,) = (block for block in blocks("docs/keeping-records.md", "toml") if "entry-points" in block)
    groups = tomllib.loads(declared)["project"]["entry-points"]
    installed = tmp_path / "installed"
    info = installed / "shelf_sink-1.0.dist-info"
    info.mkdir(parents=True)
    (installed / "shelf_sink.py").write_text(module, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf-sink\nVersion: 1.0\n", encoding="utf-8")
    lines = [line for group, made in groups.items() for line in (f"[{group}]", *map(" = ".join, made.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(installed)
    monkeypatch.delitem(sys.modules, "shelf_sink", raising=False)
    return tmp_path / "shelf.db"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty sink: on a server, or of the third-party package."""
    make: dict[str, Callable[[], str]] = {
        "postgresql": lambda: request.getfixturevalue("postgres_url"),
        "clickhouse": lambda: request.getfixturevalue("clickhouse_url"),
        "third-party": lambda: f"shelf://{request.getfixturevalue('shelf')}",
    }
    return spilling(make[kind](), tmp_path)


@pytest.fixture
def sink(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sink]:
    make: dict[str, Callable[[], Sink]] = {
        "memory": MemorySink,
        "jsonl": lambda: JsonLinesSink(tmp_path / "a" / "b" / "access.jsonl", sleep=_no_wait),
    }
    sink = make[kind]() if kind in make else open_sink(request.getfixturevalue("url"))
    yield sink
    sink.close()


def spilling(url: str, folder: Path) -> str:
    return f"{url}{'&' if '?' in url else '?'}spill={folder / 'spill'}"


def numbers(found: Iterator[dict[str, Any]]) -> list[int]:
    """Return the numbers of records, in order of time."""
    ordered = sorted(found, key=lambda record: str(record["time"]))
    return [int(record["log.record.uid"].rpartition("-")[2], 16) for record in ordered]


def test_written_records_are_read_back_by_visitor(sink: Sink) -> None:
    for number in range(600):
        sink.write(line(number, f"visitor-{number % 2}"))
    found = list(sink.read("visitor-1"))
    assert numbers(iter(found)) == list(range(1, 600, 2))
    assert min(found, key=lambda found: str(found["time"])) == record(1, "visitor-1")
    assert list(sink.read("visitor-3")) == []
    assert list(sink.read("visitor-")) == []


def test_close_writes_everything_and_sink_stays_usable(sink: Sink) -> None:
    sink.close()
    sink.write(line(1))
    sink.close()
    sink.close()
    assert sink.stats()["written"] == 1
    sink.write(line(2))
    sink.close()
    assert sink.stats()["written"] == 2
    assert numbers(sink.read("one")) == [1, 2]


# Files keep duplicate lines, and reports count each uid once; databases are tested in test_databases.
@pytest.mark.parametrize("kind", ["third-party"])
def test_record_written_twice_is_read_once(sink: Sink) -> None:
    for number in (1, 2, 1, 1):
        sink.write(line(number))
        sink.close()
    assert numbers(sink.read("one")) == [1, 2]


@pytest.mark.requirement("LP-12")
@pytest.mark.slow
def test_erase_removes_only_records_of_the_visitor(sink: Sink) -> None:
    for number, visitor in enumerate(("a", "b", "a", "ab", "b")):
        sink.write(line(number, visitor, but={"url.path": "/a"}))
    assert sink.erase("a") == 2
    assert sink.erase("a") == 0
    assert list(sink.read("a")) == []
    assert numbers(sink.read("b")) == [1, 4]
    assert numbers(sink.read("ab")) == [3]
    sink.write(line(5, "a", days=-1))  # a request that comes later
    assert numbers(sink.read("a")) == [5]


@pytest.mark.slow
def test_empty_sink_has_nothing_to_read_erase_or_purge(sink: Sink) -> None:
    assert isinstance(sink, Sink)
    assert list(sink.read(UNKNOWN_VISITOR)) == []
    assert sink.erase(UNKNOWN_VISITOR) == 0
    assert sink.purge(TODAY.timestamp(), timedelta(days=30)) == 0
    assert sink.stats().get("written", 0) == 0


@pytest.mark.parametrize("kind", ["memory", "jsonl"])
def test_purge_removes_only_old_records(sink: Sink) -> None:
    for number, days in enumerate((40, 35, 3, 0)):
        sink.write(line(number, days=days))
        sink.count(count_line(number, 1, days=days))
    sink.close()
    now, keep = TODAY.timestamp(), timedelta(days=30)
    assert sink.purge(now, keep, dry_run=True) == 2
    assert numbers(sink.read("one")) == [0, 1, 2, 3]
    assert sink.purge(now, keep) == 2
    assert sink.purge(now, keep) == 0
    assert numbers(sink.read("one")) == [2, 3]


def test_many_threads_may_write(sink: Sink) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 250):
            sink.write(line(number))

    threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 1000, 250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sink.close()
    assert sorted(numbers(sink.read("one"))) == list(range(1000))


def test_record_written_during_a_purge_stays_in_memory() -> None:
    """A server writes, and removes what is due in another thread."""
    sink = MemorySink()
    server = threading.Thread(target=sink.write, args=(line(1),))

    class Time(str):
        def __ge__(self, _: object) -> bool:
            server.start()
            server.join(0.05)
            return True

    sink.counts.append({"time": Time()})
    sink.purge(TODAY.timestamp(), timedelta(days=30))
    server.join(60)
    assert numbers(sink.read("one")) == [1]


@pytest.mark.parametrize("kind", ["postgresql", "clickhouse"])
def test_forked_child_gets_its_own_connection(sink: Sink, url: str) -> None:
    script = """if True:
        import os, sys
        from cookie_consent.sinks import open_sink
        from tests.support.sink_lines import line
        store = open_sink(sys.argv[1]).store
        store.write([line(1)], [])
        child = os.fork()
        store.write([line(3 if child else 2)], [])
        if not child:
            store.close()
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        store.write([line(4)], [])
        sys.exit(status)
    """
    subprocess.run([sys.executable, "-c", script, url], check=True, timeout=60, cwd=ROOT)
    assert numbers(sink.read("one")) == [1, 2, 3, 4]


# By path or URL


@pytest.mark.parametrize("target", ["{}/access.jsonl", "file://{}/access.jsonl"])
def test_file_sink_is_opened_by_path_or_url(target: str, tmp_path: Path) -> None:
    opened = open_sink(target.format(tmp_path))
    opened.write(line(1))
    opened.close()
    assert json.loads((tmp_path / "access.jsonl").read_text(encoding="utf-8")) == record(1)


@pytest.mark.parametrize("target", ["http://site.example/log", "kafka://x", "memory://"])
def test_unknown_url_scheme_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"there is no sink for .* begins with one of: clickhouse://, .*postgresql://"):
        open_sink(target)


def test_error_says_that_cookie_consent_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ValueError, match="need cookie-consent as an installed package"):
        open_sink("postgresql://host/site")


def test_error_names_package_that_third_party_sink_needs(
    tmp_path: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    with pytest.raises(ValueError, match='"shelf://" needs sqlite3: pip install "sqlite3"'):
        open_sink(spilling(f"shelf://{shelf}", tmp_path))


@pytest.mark.parametrize(
    "same",
    [
        "postgresql://user:new@host/site?sslmode=require",
        "postgresql://host/site?user=somebody&password=new&sslmode=require",
    ],
)
def test_spill_folder_does_not_depend_on_user_and_password(same: str) -> None:
    url, folder = without_spill("postgresql://user:old@host/site?sslmode=require")
    assert url == "postgresql://user:old@host/site?sslmode=require"
    assert without_spill(same)[1] == folder
    others = ("postgresql://user:old@host/other", "postgresql://user:old@host2/site", "postgres://user:old@host/site")
    assert len({folder, *(without_spill(other)[1] for other in others)}) == 4


@pytest.mark.parametrize(
    ("url", "rest", "folder"),
    [
        ("mq://host,other/S?spill=/var/spill", "mq://host,other/S", "/var/spill"),
        ("postgresql:///site?spill=a%20b&host=%2Frun", "postgresql:///site?host=%2Frun", "a b"),
        (
            "postgresql:///site?options=-c%20search_path%3Dapp&spill=/s&password=a+b",
            "postgresql:///site?options=-c%20search_path%3Dapp&password=a+b",
            "/s",
        ),
    ],
)
def test_url_keeps_its_other_parameters_unchanged(url: str, rest: str, folder: str) -> None:
    assert without_spill(url) == (rest, Path(folder))


def test_spill_folder_in_unknown_home_is_refused() -> None:
    with pytest.raises(ValueError, match=r'no such home. Name a folder in the URL: "\?spill=/var/lib'):
        open_sink("postgresql://host/site?spill=~nobody-has-this-name/spill")


@pytest.mark.parametrize(
    ("target", "package", "extra"),
    [
        ("postgresql://db.example/a", "psycopg", "postgresql"),
        ("clickhouse://db.example/a", "clickhouse_connect", "clickhouse"),
    ],
)
def test_missing_package_error_names_the_extra(
    target: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(f"cookie_consent.sinks.{extra}")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf'"{extra}://" needs {package}.*: pip install "cookie-consent\[{extra}\]"'):
        open_sink(target)
