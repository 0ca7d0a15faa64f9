"""Tests of sessions, views and bounces in a report, each with a small log, and of files that change meanwhile."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.report import report
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of
from cookie_consent.sinks.files.parquet import compact
from tests.support.report_records import Record, few_lists, line, time_text

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
COUNTED = {"time": "2026-11-10T12:00:00Z", "count.day": "2026-11-10"}
MIDNIGHT = datetime(2026, 11, 11, tzinfo=UTC)


def record(minutes: float, path: str = "/", *, at: datetime = NOON, **more: Any) -> Record:
    """A view of a page by one visitor, some minutes after noon."""
    number = str(more.pop("uid", f"uid-{minutes}-{path}"))
    return {
        "time": time_text(at + timedelta(minutes=minutes)),
        "log.record.uid": number,
        "record.version": 1,
        "record.kind": "view",
        "http.request.method": "GET",
        "server.address": "site.example",
        "url.path": path,
        "http.response.status_code": 200,
        "duration_ms": 10.0,
        "visitor.id": "ann",
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def event(minutes: float, name: str, path: str = "/", **more: Any) -> Record:
    """An event on a page, some minutes after noon."""
    made = record(minutes, path, uid=f"event-{minutes}", record__kind="event", event__name=name, **more)
    return {key: value for key, value in made.items() if not key.startswith("http.") and (key in more or value != 10.0)}


def reported(tmp_path: Path, *records: Record, lists: str = "", **asked: Any) -> dict[str, Any]:
    """Return the report of an access log with these records; of the lists, which take long, only those named."""
    log = tmp_path / "access.jsonl"
    log.write_bytes(b"".join(map(line, records)))
    day = NOON.date()
    with few_lists(lists):
        return report(log, **{"since": day, "until": day, "threshold": 1, **asked})


def paths(rows: list[Record]) -> list[str]:
    return [row["path"] for row in rows]


@pytest.mark.slow
def test_pause_over_thirty_minutes_ends_session(tmp_path: Path) -> None:
    end = 10.0 / 60_000  # of the first response, in minutes
    assert reported(tmp_path, record(0), record(30 + end))["sessions"] == 1
    assert reported(tmp_path, record(0), record(30 + end + 1 / 60_000))["sessions"] == 2


@pytest.mark.slow
def test_reading_a_page_for_forty_minutes_does_not_end_session(tmp_path: Path) -> None:
    made = reported(
        tmp_path, record(0), event(40, "page_leave", duration_ms=2_399_000.0), record(41, "/next"), lists="pages"
    )
    assert made["sessions"] == 1
    assert made["session_seconds"]["median"] == pytest.approx(41 * 60, abs=0.1)
    assert made["pages"][0]["median_seconds"] == 2399.0


@pytest.mark.slow
def test_download_of_an_hour_does_not_end_session(tmp_path: Path) -> None:
    made = reported(tmp_path, record(0, duration_ms=3_600_000.0), event(1, "scroll"), record(80))
    assert made["sessions"] == 1


@pytest.mark.slow
def test_new_campaign_starts_session_and_same_campaign_does_not(tmp_path: Path) -> None:
    letter, advert = "utm_source=letter&utm_medium=mail", "utm_source=advert"
    made = reported(
        tmp_path,
        record(0, url__query=letter),
        record(1),
        record(2, url__query=letter),
        record(3, url__query=advert),
        record(4),
        record(5, url__query=letter),
        record(6, url__query="utm_term=no+campaign"),
        lists="campaigns",
    )
    assert made["sessions"] == 3
    assert made["campaigns"] == [
        {"source": "letter", "medium": "mail", "campaign": "", "sessions": 2, "visitors": 1},
        {"source": "advert", "medium": "", "campaign": "", "sessions": 1, "visitors": 1},
    ]


@pytest.mark.slow
def test_campaign_during_direct_session_starts_session(tmp_path: Path) -> None:
    assert reported(tmp_path, record(0), record(1, url__query="utm_source=letter"), record(2))["sessions"] == 2


@pytest.mark.slow
def test_each_host_has_its_own_sessions(tmp_path: Path) -> None:
    made = reported(tmp_path, record(0), record(1, server__address="shop.example"), record(2))
    assert (made["sessions"], made["visitors"]) == (2, 1)


@pytest.mark.slow
def test_page_view_event_counts_as_view(tmp_path: Path) -> None:
    made = reported(tmp_path, record(0), event(1, "page_view", "/two"), lists="exit_pages")
    assert (made["views"], made["bounce_rate"]) == (2, 0.0)
    assert paths(made["exit_pages"]) == ["/two"]


@pytest.mark.slow
def test_single_view_is_a_bounce_unless_an_event_follows(tmp_path: Path) -> None:
    alone, left = record(0), event(1, "page_leave", duration_ms=50_000.0)
    assert reported(tmp_path, alone, left)["bounce_rate"] == 1.0
    assert reported(tmp_path, alone, event(1, "download"))["bounce_rate"] == 0.0


def script_request(minutes: float, **more: Any) -> Record:
    """A request of a page's script, some minutes after noon."""
    return record(minutes, "/data", record__kind="request", **more)


@pytest.mark.slow
def test_script_requests_are_not_views(tmp_path: Path) -> None:
    made = reported(tmp_path, record(0), script_request(20), record(45), lists="entry_pages exit_pages routes")
    assert (made["views"], made["routes"][0]["requests"]) == (2, 3)
    assert (paths(made["entry_pages"]), paths(made["exit_pages"])) == (["/"], ["/"])


@pytest.mark.slow
def test_error_response_is_a_request_and_not_a_view(tmp_path: Path) -> None:
    letter, other = "utm_source=letter", "https://other.example"
    lost = [
        script_request(minute, http__response__status_code=status, url__query=letter, http__request__referrer=other)
        for minute, status in ((-1, 404), (1, 500), (2, 400))
    ]
    made = reported(
        tmp_path,
        record(0),
        record(1.5, "/end", http__response__status_code=304),
        *lost,
        lists="entry_pages exit_pages referrers campaigns routes",
    )
    assert (made["sessions"], made["views"], made["bounce_rate"]) == (1, 2, 0.0)
    assert (paths(made["entry_pages"]), paths(made["exit_pages"])) == (["/"], ["/end"])
    assert (made["campaigns"], made["referrers"][0]["referrer"]) == ([], "(direct)")
    assert (made["routes"][0]["requests"], made["routes"][0]["4xx"], made["routes"][0]["5xx"]) == (5, 2, 1)
    assert made["session_seconds"]["median"] == pytest.approx(2 * 60, abs=0.1)
    assert reported(tmp_path, *lost)["sessions"] == 0


@pytest.mark.slow
def test_session_lasts_until_its_last_response_ends(tmp_path: Path) -> None:
    requests = [script_request(20), script_request(50), script_request(80, duration_ms=60_000.0)]
    made = reported(tmp_path, record(0), *requests, lists="entry_pages exit_pages")
    assert (made["sessions"], made["bounce_rate"]) == (1, 1.0)
    assert made["session_seconds"]["median"] == 81 * 60
    made = reported(tmp_path, record(0), *requests, record(110, "/end"), lists="entry_pages exit_pages")
    assert (made["sessions"], paths(made["entry_pages"]), paths(made["exit_pages"])) == (1, ["/"], ["/end"])


@pytest.mark.slow
def test_script_requests_start_no_session(tmp_path: Path) -> None:
    assert reported(tmp_path, script_request(0), script_request(1))["sessions"] == 0
    made = reported(tmp_path, record(0), script_request(40), record(50), record(55))
    assert made["sessions"] == 2
    assert made["by_hour"][12]["sessions"] == 2
    assert made["session_seconds"]["mean"] == pytest.approx(5 * 60 / 2, abs=0.1)
    assert reported(tmp_path, script_request(-20, at=MIDNIGHT), record(5, at=MIDNIGHT))["sessions"] == 0


@pytest.mark.slow
def test_script_requests_belong_to_the_latest_session(tmp_path: Path) -> None:
    letter = record(10, url__query="utm_source=letter")
    made = reported(
        tmp_path, record(0), script_request(4), letter, script_request(11), script_request(12), lists="campaigns"
    )
    assert (made["sessions"], made["session_seconds"]["mean"]) == (2, pytest.approx(3 * 60, abs=0.1))
    made = reported(
        tmp_path, script_request(9), letter, script_request(10, uid="0"), script_request(12), lists="campaigns"
    )
    assert (made["sessions"], made["session_seconds"]["mean"]) == (1, pytest.approx(2 * 60, abs=0.1))
    assert made["campaigns"][0]["source"] == "letter"


@pytest.mark.slow
def test_script_request_during_long_page_view_does_not_end_session(tmp_path: Path) -> None:
    left = event(45, "page_leave", duration_ms=2_699_000.0)
    made = reported(tmp_path, record(0), script_request(40), left, record(46, "/next"))
    assert made["sessions"] == 1
    assert made["session_seconds"]["median"] == pytest.approx(46 * 60, abs=0.1)


@pytest.mark.slow
def test_event_without_view_is_no_session(tmp_path: Path) -> None:
    made = reported(tmp_path, event(0, "download"), lists="events")
    assert (made["sessions"], made["visitors"], made["bounce_rate"], made["views_per_session"]) == (0, 0, None, None)
    assert made["session_seconds"] == {"median": None, "mean": None}
    assert made["events"] == [{"event": "download", "events": 1, "visitors": 1}]


@pytest.mark.slow
def test_duplicate_record_counts_once(tmp_path: Path) -> None:
    assert reported(tmp_path, record(0), record(0))["views"] == 1


@pytest.mark.slow
def test_session_over_midnight_belongs_to_its_first_day(tmp_path: Path) -> None:
    records = [record(-5, "/in", at=MIDNIGHT), record(5, "/out", at=MIDNIGHT)]
    first, second = (
        reported(tmp_path, *records, since=day, until=day, lists="exit_pages") for day in (NOON.date(), MIDNIGHT.date())
    )
    assert [(made["sessions"], made["views"], made["visitors"]) for made in (first, second)] == [(1, 1, 1), (0, 1, 1)]
    assert paths(first["exit_pages"]) == ["/out"]
    assert first["session_seconds"]["mean"] == pytest.approx(600, abs=0.1)


@pytest.mark.slow
def test_campaign_over_midnight_starts_no_second_session(tmp_path: Path) -> None:
    letter = "utm_source=letter"
    minutes = (-80, -55, -30, -5, 20)
    records = [record(minute, at=MIDNIGHT, url__query=letter) for minute in minutes]
    assert reported(tmp_path, *records, since=MIDNIGHT.date(), until=MIDNIGHT.date())["sessions"] == 0


@pytest.mark.slow
def test_own_pages_are_named_as_inside_the_site(tmp_path: Path) -> None:
    own, other = "https://site.example:8443/a", "https://other.example"
    made = reported(
        tmp_path,
        record(0, http__request__referrer=own),
        record(60, http__request__referrer=other),
        record(61, http__request__referrer="https://third.example"),
        record(120),
        lists="referrers",
    )
    assert [(row["referrer"], row["sessions"]) for row in made["referrers"]] == [
        ("(direct)", 1),
        ("(internal)", 1),
        (other, 1),
    ]


@pytest.mark.slow
def test_page_filter_keeps_whole_sessions(tmp_path: Path) -> None:
    made = reported(
        tmp_path,
        record(0, "/"),
        record(1, "/news/1"),
        record(60, "/"),
        where=(("page", "/news/*"),),
        lists="pages entry_pages",
    )
    assert (made["sessions"], made["views"], paths(made["entry_pages"]), paths(made["pages"])) == (
        1,
        1,
        ["/"],
        ["/news/1"],
    )


@pytest.mark.slow
def test_page_filter_gives_no_share(tmp_path: Path) -> None:
    counts = [
        {
            "log.record.uid": name,
            **COUNTED,
            "count.name": name,
            "count.value": 8,
        }
        for name in ("views", "views_recorded")
    ]
    counts_path(tmp_path / "access.jsonl").write_bytes(b"".join(map(line, counts)))
    assert reported(tmp_path, record(0))["share"] == {"views_recorded": 8, "views": 8, "share": 1.0}
    made = reported(tmp_path, record(0), where=(("page", "/"),))
    assert made["share"] == {"views_recorded": None, "views": None, "share": None}
    assert (made["by_day"][0]["all_views_recorded"], made["by_day"][0]["all_views"]) == (None, None)


@pytest.mark.slow
def test_page_view_events_are_not_in_shares(tmp_path: Path) -> None:
    counted = [("views", 4), ("views_recorded", 1)]
    counts = [
        {
            "log.record.uid": name,
            **COUNTED,
            "count.name": name,
            "count.value": value,
        }
        for name, value in counted
    ]
    counts_path(tmp_path / "access.jsonl").write_bytes(b"".join(map(line, counts)))
    made = reported(tmp_path, record(0), *(event(minute, "page_view", f"/{minute}") for minute in range(1, 9)))
    (day,) = made["by_day"]
    assert (made["views"], day["views"]) == (9, 9)
    assert made["share"] == {"views_recorded": 1, "views": 4, "share": 0.25}
    assert (day["all_views_recorded"], day["all_views"]) == (1, 4)


@pytest.mark.slow
def test_counts_of_zero_views_give_no_share(tmp_path: Path) -> None:
    counts_path(tmp_path / "access.jsonl").write_bytes(line({**COUNTED, "count.name": "views", "count.value": 0}))
    assert reported(tmp_path, record(0))["share"] == {"views_recorded": 0, "views": 0, "share": None}


@pytest.mark.slow
def test_small_groups_are_merged_and_totals_stay(tmp_path: Path) -> None:
    records = [record(n, f"/{n % 4}", visitor__id=f"v{n}") for n in range(9)] + [record(0, "/rare", visitor__id="v1")]
    made = reported(tmp_path, *records, threshold=3, lists="pages")
    assert [(row["path"], row["views"], row["visitors"]) for row in made["pages"]] == [("/0", 3, 3), ("(other)", 7, 6)]
    assert made["views"] == 10
    assert made["small_groups"]["threshold"] == 3


def pages_seen_by(tmp_path: Path, threshold: int, *visitors_of: tuple[str, str]) -> list[tuple[str, int, int]]:
    """Return path, views and visitors of each page in a report. Each letter is a visitor who saw the page."""
    records = [
        record(number / 100, path, uid=f"{path}-{number}", visitor__id=visitor)
        for path, visitors in visitors_of
        for number, visitor in enumerate(visitors)
    ]
    made = reported(tmp_path, *records, threshold=threshold, lists="pages")["pages"]
    return [(row["path"], row["views"], row["visitors"]) for row in made]


@pytest.mark.slow
def test_too_small_other_row_absorbs_next_smallest_row(tmp_path: Path) -> None:
    pages = pages_seen_by(tmp_path, 3, ("/most", "abcde"), ("/more", "abcd"), ("/few", "abc"), ("/rare", "x"))
    assert pages == [("/most", 5, 5), ("/more", 4, 4), ("(other)", 4, 4)]
    pages = pages_seen_by(tmp_path, 3, ("/most", "abcde"), ("/rare", "x"))
    assert pages == [("(other)", 6, 6)]


@pytest.mark.slow
def test_other_row_is_measured_in_visitors_not_views(tmp_path: Path) -> None:
    pages = pages_seen_by(tmp_path, 3, ("/most", "abcde"), ("/more", "abcd"), ("/1", "xy"), ("/2", "xy"), ("/3", "yx"))
    assert pages == [("/most", 5, 5), ("(other)", 10, 6)]


@pytest.mark.slow
def test_list_of_too_few_visitors_is_empty(tmp_path: Path) -> None:
    assert pages_seen_by(tmp_path, 3, ("/1", "xy"), ("/2", "x")) == []
    assert pages_seen_by(tmp_path, 3, ("/1", "xy"), ("/2", "z")) == [("(other)", 3, 3)]


@pytest.mark.slow
def test_views_without_visitor_id_are_separate_sessions(tmp_path: Path) -> None:
    records = [record(n) for n in range(2)]
    for each in records:
        del each["visitor.id"]
    made = reported(tmp_path, *records)
    assert (made["views"], made["visitors"], made["sessions"]) == (2, 2, 2)


@pytest.mark.slow
def test_files_before_the_range_are_not_opened(tmp_path: Path) -> None:
    path_of(tmp_path / "access.jsonl", NOON.date() - timedelta(days=2), 1, FileFormat.GZIP).write_bytes(b"broken")
    assert reported(tmp_path, record(0))["views"] == 1


@pytest.mark.slow
def test_file_url_names_the_access_log(tmp_path: Path) -> None:
    reported(tmp_path, record(0))
    made = report(f"file://{tmp_path}/access.jsonl", since=NOON.date(), until=NOON.date())
    assert made["views"] == 1


@pytest.mark.slow
def test_file_names_with_quotes_and_wildcards_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "it's [a] *"
    folder.mkdir()
    assert reported(folder, record(0))["views"] == 1


@pytest.mark.slow
def test_reports_count_each_record_once_while_files_are_compacted(tmp_path: Path) -> None:
    log, days = tmp_path / "access.jsonl", 12
    first = date(2026, 10, 1)
    for number in range(days):
        day = first + timedelta(days=number)
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        text = b"".join(line(record(n / 10, f"/{number}", at=at, uid=f"{number}-{n}")) for n in range(300))
        path_of(log, day, 1, FileFormat.PLAIN).write_bytes(text)
    compacted: list[Any] = []
    thread = threading.Thread(target=lambda: compacted.append(compact(log)))
    thread.start()
    views: list[int] = []
    while thread.is_alive() or not views:
        views.append(report(log, since=first, until=first + timedelta(days=days))["views"])
    thread.join(60)
    views.append(report(log, since=first, until=first + timedelta(days=days))["views"])
    assert compacted[0].files == days
    assert set(views) == {300 * days}


@pytest.mark.parametrize(
    ("host", "referrer"),
    [
        ("site.example", "https://www.site.example"),
        ("www.site.example", "http://site.example:8080"),
        ("www.site.example", "https://www.site.example/a"),
    ],
)
def test_own_site_with_or_without_www_is_no_source(host: str, referrer: str, tmp_path: Path) -> None:
    came = record(0, server__address=host, http__request__referrer=referrer)
    other = record(1, visitor__id="bob", server__address=host, http__request__referrer="https://wwwsite.example")
    made = reported(tmp_path, came, other, lists="referrers")
    assert [row["referrer"] for row in made["referrers"]] == ["(internal)", "https://wwwsite.example"]
