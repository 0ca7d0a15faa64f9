"""Many records from several processes into one log: each is there, and once; and the processes do not grow."""

from __future__ import annotations

import asyncio
import gc
import re
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from starlette.types import ASGIApp

from benchmarks import apps
from benchmarks.analytics_apps import traced_app
from benchmarks.serve import resident_kib
from benchmarks.table import Table
from cookie_consent.sinks import JsonLinesSink, MemorySink
from cookie_consent.sinks.closed_files import Form, Source, steadily
from cookie_consent.sinks.line_files import found_in

WORKERS = 4
_VISITORS = 100
"""In each process."""
_UID = re.compile(rb'"log\.record\.uid":"([^"]+)"')
_PATH = re.compile(rb'"url\.path":"(/offices/\d+-\d+)"')


@dataclass(frozen=True)
class Share:
    """What one process did.

    Args:
        requests: how many it served.
        seconds: how long it took, until all was written.
        cpu: how many seconds of CPU time it needed.
        sizes: its memory at each tenth of the way (KiB).
        stats: the counters of its sink.
    """

    requests: int
    seconds: float
    cpu: float
    sizes: list[int]
    stats: dict[str, int]


def measure(folder: Path, records: int) -> Table:
    """Serve requests in four processes, as raw ASGI messages without a pause, and look for the record of each.

    Args:
        folder: where the log is.
        records: how many, in all processes together.
    """
    path = folder / "million" / "access.jsonl"
    began = time.monotonic()
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        futures = [pool.submit(serve_share, path, number, records // WORKERS) for number in range(WORKERS)]
        shares = [future.result() for future in futures]
    seconds = time.monotonic() - began
    uids, paths, lines, files = steadily(path, _look)
    requests = sum(share.requests for share in shares)
    dropped = sum(number for share in shares for name, number in share.stats.items() if name.startswith("dropped"))
    table = Table(f"{requests:,} records from {WORKERS} processes into one log")
    table.rows = [
        {
            "process": number,
            "requests": share.requests,
            "written": share.stats["written"],
            "MiB at a tenth": round(share.sizes[0] / 1024, 1),
            "at the half": round(share.sizes[len(share.sizes) // 2 - 1] / 1024, 1),
            "at the end": round(share.sizes[-1] / 1024, 1),
            "CPU µs a request": round(share.cpu / share.requests * 1e6, 1),
        }
        for number, share in enumerate(shares, 1)
    ]
    table.notes = [
        f"{lines:,} lines in {files} files: {uids:,} uids, {paths:,} of {requests:,} requests; dropped: {dropped:,}",
        f"{requests / seconds:,.0f} records a second; each once: {'yes' if lines == uids == paths else 'NO'}, "
        f"lost without being counted: {requests - paths - dropped:,}",
    ]
    return table


def serve_share(path: Path, number: int, requests: int) -> Share:
    """Serve requests, each to a page of its own; called in a process of its own.

    Args:
        path: the live file of the log.
        number: of the process.
        requests: how many.
    """
    visitors = asyncio.run(_visitors())
    sink = JsonLinesSink(path)
    app = traced_app(sink)
    began, cpu, sizes = time.monotonic(), time.process_time(), []
    for tenth in range(10):
        numbers = range(requests * tenth // 10, requests * (tenth + 1) // 10)
        asyncio.run(_serve(app, numbers, number, visitors))
        gc.collect()
        sizes.append(resident_kib())
    sink.close()
    return Share(requests, time.monotonic() - began, time.process_time() - cpu, sizes, dict(sink.stats()))


async def _visitors() -> list[bytes]:
    elsewhere = traced_app(MemorySink())
    return [await apps.visit(elsewhere, "accept_all") for _ in range(_VISITORS)]


async def _serve(app: ASGIApp, numbers: Sequence[int], process: int, visitors: Sequence[bytes]) -> None:
    for number in numbers:
        scope = apps.make_scope(f"/offices/{process}-{number}", visitors[number % len(visitors)])
        await app(scope, apps.receive, apps.drop)
        await asyncio.sleep(0)


def _look(found: Sequence[Source]) -> tuple[int, int, int, int]:
    """Return how many uids, paths and lines there are, and how many files."""
    uids, paths, lines = set(), set(), 0
    for source in found:
        assert source.form is not Form.PARQUET, "nothing was compacted"
        with source.path.open("rb") as file:
            for line in found_in(file, source.form, bool):
                uid, page = _UID.search(line), _PATH.search(line)
                assert uid, line
                assert page, line
                uids.add(uid[1])
                paths.add(page[1])
                lines += 1
    return len(uids), len(paths), lines, len(found)
