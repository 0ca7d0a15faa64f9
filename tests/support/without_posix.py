"""Makes a process look to Python code like one on Windows, and runs a site and all commands in it.

usage: python -m tests.support.without_posix
"""

from __future__ import annotations

import asyncio  # loaded before `pretend`, as all modules here, because it needs what `pretend` removes
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

__all__ = ["asyncio", "hypothesis", "pretend", "signal", "socket", "ssl", "subprocess", "tempfile"]

_MISSING = {
    os: [
        *("fork", "forkpty", "register_at_fork", "pread", "pwrite", "fchmod", "fchown", "chown", "killpg", "getpgid"),
        *("setsid", "geteuid", "getuid", "getegid", "getgid", "sched_getaffinity", "uname", "mkfifo", "getloadavg"),
        *("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_SYNC"),
    ],
    signal: ["SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE", "alarm", "setitimer"],
}
_OWN_OPEN_FILES = Path("/proc/self/fd")


def pretend() -> None:
    """Remove what Windows lacks, and lock open files as Windows does. Call it before the package is imported."""
    msvcrt = windows_locks()
    for module, names in _MISSING.items():
        for name in names:
            delattr(module, name)
    for name in ("fcntl", "pwd", "grp", "resource", "termios"):
        sys.modules[name] = None  # type: ignore[assignment] # an import of it raises
    sys.modules["msvcrt"] = msvcrt
    _lock_open_files()


def windows_locks() -> ModuleType:
    """Return a module with the file locks of Windows: for a part of a file, per open file."""
    import fcntl

    module = ModuleType("msvcrt")
    made: Any = module

    def locking(file: int, mode: int, size: int) -> None:
        kind = fcntl.F_WRLCK if mode else fcntl.F_UNLCK
        place = os.lseek(file, 0, os.SEEK_CUR)
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, place, size, 0))
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None

    made.locking = locking
    return module


def _is_open(path: Any) -> bool:
    own = str(Path(path).absolute())
    return any(os.path.islink(link) and os.readlink(link) == own for link in _OWN_OPEN_FILES.iterdir())


def _lock_open_files() -> None:
    """Forbid to rename, replace or remove a file that this process has open, and to open a folder."""
    own: Any = os
    rename = os.rename
    open_ = os.open

    def unless_open(change: Any) -> Any:
        def changed(*paths: Any, **options: Any) -> None:
            if any(_is_open(path) for path in paths):
                raise PermissionError(13, "The process cannot access the file: it is being used by another process")
            change(*paths, **options)

        return changed

    def renamed(old: Any, new: Any) -> None:
        if os.path.exists(new):
            raise FileExistsError(17, "Cannot create a file when that file already exists", str(new))
        rename(old, new)

    def opened(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", str(path))
        return open_(path, flags, *more, **options)

    setattr(shutil, "_use_fd_functions", False)  # noqa: B010 (it would open folders)
    # As the module does on Windows. The one of POSIX removes its file while it is open.
    setattr(tempfile, "TemporaryFile", tempfile.NamedTemporaryFile)  # noqa: B010
    own.replace, own.rename, own.open = unless_open(os.replace), unless_open(renamed), opened
    own.unlink = own.remove = unless_open(os.unlink)


LEDGER = ("--ledger", "sqlite:///consent.db")
LOG = ("--access-log", "access.jsonl")
COMMANDS: list[tuple[int, list[str]]] = [
    (0, ["init", "方針.toml"]),
    (1, ["check", "方針.toml"]),
    (0, ["records", *LEDGER, "--json"]),
    (0, ["verify", *LEDGER]),
    (0, ["report", *LOG, "--json"]),
    (0, ["export", *LOG, "--format", "csv", "--out", "out.csv"]),
    (0, ["purge", *LEDGER, *LOG, "--policy", "consent.toml"]),
    (1, ["compact", "--access-log", "old.jsonl"]),
]
"""Exit status and words of each command, in the folder of a site that has run."""


def visit_site() -> None:
    """Let visitors accept, open pages, erase and refuse; then end the server."""
    from tests.support.asgi import PHONE, PREFIX, Visitor, drive, install, page_app

    app = install(page_app(), access_log="access.jsonl", ledger="sqlite:///consent.db")
    visitor = Visitor(app, [("user-agent", PHONE)])
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
    other = Visitor(app, [("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document")])
    other.accept()
    other.get("/事務所")
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    asyncio.run(drive(app, {"type": "lifespan", "state": {}}, events))


def purge_files(path: Path) -> None:
    """Purge and write a live file; a closed one cannot be changed."""
    from cookie_consent.sinks import CannotEraseError, JsonLinesSink

    line = b'{"time":"2025-01-01T00:00:00.000Z","visitor.id":"%b","url.path":"/"}\n'
    newer = (line % b"new").replace(b"2025", b"2026")
    path.write_bytes(line % b"old" + newer)
    sink = JsonLinesSink(path)
    assert [record["visitor.id"] for record in sink.read("new")] == ["new"]
    assert sink.purge(1_767_225_600.0, timedelta(days=30)) == 1  # 2026-01-01
    assert path.read_bytes().split() == newer.split()
    sink.write(line % b"newer")
    sink.close()
    assert path.read_bytes().count(b"\n") == 3
    path.with_name("old-2025-01-01-0001.jsonl").write_bytes(line % b"closed")
    with pytest.raises(CannotEraseError, match="on Windows closed files cannot be changed"):
        sink.erase("closed")


def spill_records(folder: Path) -> None:
    """Spill records, erase them, and take those of a process that ended."""
    from cookie_consent.sinks.spill import Spill

    batch = [(True, b'{"visitor.id":"v"}\n')]
    spill = Spill(folder)
    assert list(spill.batches(10)) == []
    spill.add(batch)
    assert list(spill.batches(10)) == [batch]
    spill.add(batch)
    assert spill.erase("v") == 1
    spill.after_fork()  # as if the process had ended
    assert list(Spill(folder).batches(10)) == []
    assert not any(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    """Do all of it."""
    pretend()
    visit_site()
    purge_files(Path("old.jsonl"))
    spill_records(Path("spill"))
    from cookie_consent.cli.main import main as run_command

    for status, words in COMMANDS:
        assert run_command(words) == status, words


if __name__ == "__main__":
    main()
