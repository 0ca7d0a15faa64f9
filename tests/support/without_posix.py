"""Makes a process look to Python code like one on Windows, and runs a command or a site in it.

usage: python -m tests.support.without_posix COMMAND ARGUMENT...
       python -m tests.support.without_posix site FOLDER
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
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis

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
    rename, open_ = os.rename, os.open

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


if __name__ == "__main__":
    pretend()
    if sys.argv[1] == "site":
        from tests.support.sites.without_posix_site import visit_all

        visit_all(Path(sys.argv[2]))
    else:
        from cookie_consent.cli.main import main

        sys.exit(main(sys.argv[1:]))
