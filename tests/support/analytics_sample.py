"""The access records of a small site in one week, always the same, for the docs and the notebook.

`python -m tests.support.analytics_sample` runs examples/analytics.ipynb on them and keeps the output of its cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from cookie_consent.cli.main import main
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of
from tests.support.report_records import Record, line, time_text

NOTEBOOK = Path(__file__).parents[2] / "examples" / "analytics.ipynb"
FIRST, DAYS = date(2026, 11, 16), 7
LAST_CLOSED = FIRST + timedelta(days=5)
"""The last day of the closed file. The last of all days is in the live file."""
HOST = "registry.example"
_PAGES = {
    "/": ("/names", "/offices", "/tour"),
    "/names": ("/names/check", "/", "/offices"),
    "/names/check": ("/names/order", "/names"),
    "/names/order": ("/",),
    "/offices": ("/", "/tour"),
    "/tour": ("/names", "/"),
}
"""A page -> the next pages, the most frequent first."""
_ENTRIES = ("/", "/", "/", "/names", "/tour")
_REFERRERS = (
    "",
    "",
    "https://search.example",
    "https://search.example",
    "https://news.example",
    "https://blog.example",
)
_AGENTS = (
    ("Chrome", "Windows", "pc"),
    ("Chrome Mobile", "Android", "mobile"),
    ("Mobile Safari", "iOS", "mobile"),
    ("Firefox", "Linux", "pc"),
    ("Safari", "Mac OS X", "pc"),
    ("Edge", "Windows", "pc"),
)
_VISITORS = 240
_ACCEPTED = 0.6
"""The share of visitors who accept."""


def records() -> list[Record]:
    """The access records, oldest first."""
    random = Random(2026)  # noqa: S311 (records that are the same each time)
    made = [record for number in range(_VISITORS) for record in _visitor(random, number)]
    made.sort(key=lambda record: record["time"])
    first = {record["visitor.id"]: place for place, record in reversed([*enumerate(made)]) if is_view(record)}
    for place in first.values():
        made[place] = _page_of_yes(made[place])
    return [{**record, "log.record.uid": f"sampleOfTheTests-{number:x}"} for number, record in enumerate(made)]


def is_view(record: Record) -> bool:
    """Whether a person saw a page."""
    return record["record.kind"] == "view" or record.get("event.name") == "page_view"


def counts(of: list[Record]) -> list[Record]:
    """The daily counts, which include visitors who refused."""
    random = Random(2027)  # noqa: S311
    views = Counter(record["time"][:10] for record in of if is_view(record))
    made: list[Record] = []
    for day, recorded in sorted(views.items()):
        asked = round(recorded / 2)
        granted, refused = round(asked * _ACCEPTED), round(asked * 0.25)
        numbers = {"views": round(recorded / _ACCEPTED) + random.randrange(9), "views_recorded": recorded}
        numbers |= {"asked": asked, "granted": granted, "refused": refused, "partial": 3, "withdrawn": 1, "signal": 9}
        made += [_count(day, name, value, len(made) + place) for place, (name, value) in enumerate(numbers.items())]
    return made


def write(folder: Path) -> Path:
    """Write the records as a site does, the first days in a closed file; return the access log."""
    log = folder / "logs" / "access.jsonl"
    log.parent.mkdir()
    last = LAST_CLOSED
    made = records()
    for path, kept, key in ((log, made, "time"), (counts_path(log), counts(made), "count.day")):
        closed = [record for record in kept if record[key][:10] <= str(last)]
        path_of(path, last, 1, FileFormat.PLAIN).write_bytes(b"".join(map(line, closed)))
        path.write_bytes(b"".join(line(record) for record in kept if record[key][:10] > str(last)))
    return log


def notebook() -> Any:
    """Return the notebook of the examples."""
    import nbformat  # in the extra `full`

    return nbformat.read(NOTEBOOK, as_version=4)


def executed(folder: Path) -> Any:
    """Return the notebook with the output of its cells for the records in a folder."""
    from nbclient import NotebookClient  # in the extra `full`

    run = notebook()
    client = NotebookClient(run, timeout=120, resources={"metadata": {"path": str(folder)}}, record_timing=False)
    client.execute()
    for cell in run.cells:
        cell.metadata = {}
    run.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return run


def _visitor(random: Random, number: int) -> Iterator[Record]:
    browser, system, device = random.choices(_AGENTS, (8, 7, 6, 2, 3, 2))[0]
    own = {
        "record.version": 1,
        "server.address": HOST,
        "network.protocol.version": "1.1",
        "visitor.id": f"{number:03}{random.getrandbits(96):024x}",
        "client.address": f"203.0.{number % 113}.0",
        "user_agent.name": browser,
        "user_agent.os": system,
        "user_agent.device": device,
        "consent.policy": "3f1c9a7be2d40586",
    }
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        moment = start + timedelta(days=random.randrange(DAYS), hours=random.triangular(6, 23.5, 14))
        yield from _visit(random, own, moment)


def _visit(random: Random, own: Record, moment: datetime) -> Iterator[Record]:
    page, came_from = random.choice(_ENTRIES), random.choice(_REFERRERS)
    query = "utm_source=letter&utm_medium=mail&utm_campaign=autumn" if random.random() < 0.12 else ""
    for _ in range(random.choice((1, 1, 2, 3, 4, 5))):
        status = 404 if random.random() < 0.02 else 200
        yield (
            _request(own, moment, "view" if status == 200 else "request", page)
            | _where(came_from, query)
            | {"http.response.status_code": status, "duration_ms": round(random.expovariate(1 / 40) + 3, 3)}
        )
        if page == "/offices":
            yield _request(own, moment + timedelta(seconds=1), "request", "/offices.json") | {
                "http.response.status_code": 200,
                "duration_ms": round(random.expovariate(1 / 9) + 1, 3),
            }
        stay = timedelta(seconds=round(random.expovariate(1 / 50) + 2))
        moment, came_from, query = moment + stay, f"https://{HOST}{page}", ""
        page = random.choices(_PAGES[page], (5, 2, 1)[: len(_PAGES[page])])[0]


def _request(own: Record, moment: datetime, kind: str, path: str) -> Record:
    return {
        "time": time_text(moment),
        **own,
        "record.kind": kind,
        "http.request.method": "GET",
        "url.path": path,
        "http.route": path,
    }


def _page_of_yes(view: Record) -> Record:
    """Return the record of the page on which a visitor said yes. The page was sent before, so it is an event."""
    sent = ("http.request.method", "http.route", "http.response.status_code", "duration_ms")
    kept = {key: value for key, value in view.items() if key not in sent}
    return {**kept, "record.kind": "event", "event.name": "page_view"}


def _where(came_from: str, query: str) -> Record:
    return {key: value for key, value in {"http.request.referrer": came_from, "url.query": query}.items() if value}


def _count(day: str, name: str, value: int, number: int) -> Record:
    return {
        "time": f"{day}T00:00:00Z",
        "log.record.uid": f"sampleOfTheCounts-{number:x}",
        "record.version": 1,
        "count.day": day,
        "server.address": HOST,
        "consent.language": "en",
        "count.name": name,
        "count.value": value,
    }


def add_to_tables(folder: Path) -> None:
    """Add the days that are over to the tables that the notebook reads."""
    main(["compact", "--access-log", str(folder / "logs" / "access.jsonl")])


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        write(Path(place))
        add_to_tables(Path(place))
        import nbformat

        nbformat.write(executed(Path(place)), NOTEBOOK)
