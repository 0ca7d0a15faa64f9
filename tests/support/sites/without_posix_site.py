"""A site with visitors and checks of its files, for a process that may lack POSIX functions."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import CannotEraseError, JsonLinesSink
from cookie_consent.sinks.spill import Spill
from tests.support.asgi import PHONE, PREFIX, Visitor, install, page_app

DAY = 86_400.0


def visit_all(folder: Path) -> None:
    """Let visitors accept, open pages, erase and refuse; end the server, and check its files."""
    app = install(page_app(), access_log=folder / "access.jsonl", ledger=f"sqlite:///{folder}/consent.db")
    visitor = Visitor(app, [("user-agent", PHONE)])
    _agree_and_erase(visitor)
    other = Visitor(app, [("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document")])
    other.accept()
    other.get("/事務所")
    asyncio.run(_end(app))
    check_purge(folder / "old.jsonl")
    check_spill_files(folder / "spill")


def _agree_and_erase(visitor: Visitor) -> None:
    visitor.accept()
    for path in ("/first", "/second"):
        assert visitor.get(path).status == 200
    export = visitor.get(f"{PREFIX}/export").json
    assert [record["url.path"] for record in export["access_records"]] == ["/first", "/second"]
    erased = visitor.post({}, [("accept", "application/json")], path=f"{PREFIX}/erase").json
    assert erased["erased"] == 2
    assert visitor.refuse().json["status"] == "refused"
    export = visitor.get(f"{PREFIX}/export").json
    assert [record["event"] for record in export["consent_records"]] == ["granted", "withdrawn"]
    assert export["access_records"] == []


async def _end(app: ConsentMiddleware) -> None:
    async def serving(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def nothing(*_: Any) -> Any:
        """Ignore the message."""

    app.app = serving
    await app({"type": "lifespan", "state": {}}, nothing, nothing)


def check_purge(path: Path) -> None:
    line = b'{"time":"2025-01-01T00:00:00.000Z","visitor.id":"%b","url.path":"/"}\n'
    path.write_bytes(line % b"old" + (line % b"new").replace(b"2025", b"2026"))
    sink = JsonLinesSink(path)
    assert [record["visitor.id"] for record in sink.read("new")] == ["new"]
    assert sink.purge(1_767_225_600.0, timedelta(days=30)) == 1  # 2026-01-01
    assert path.read_bytes().split() == (line % b"new").replace(b"2025", b"2026").split()
    sink.write(line % b"newer")
    sink.close()
    assert path.read_bytes().count(b"\n") == 3
    path.with_name("old-2025-01-01-0001.jsonl").write_bytes(line % b"closed")
    with pytest.raises(CannotEraseError, match="on Windows closed files cannot be changed"):
        sink.erase("closed")


def check_spill_files(folder: Path) -> None:
    spill, batch = Spill(folder), [(True, b'{"visitor.id":"v"}\n')]
    assert list(spill.batches(10)) == []
    spill.add(batch)
    assert list(spill.batches(10)) == [batch]
    assert not any(path.stat().st_size for path in folder.iterdir())
    spill.add(batch)
    assert spill.erase("v") == 1
    spill.after_fork()  # as if the process had ended
    assert list(Spill(folder).batches(10)) == []
    assert not any(path.stat().st_size for path in folder.iterdir())
