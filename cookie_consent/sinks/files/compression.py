"""Compresses closed files on a separate thread, because a file takes seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cookie_consent.base.threads import call_after_fork, wait_until
from cookie_consent.sinks.files.closed_files import FileFormat, Source
from cookie_consent.sinks.files.line_io import compress_closed

_TIMEOUT, _PAUSE = 9.0, 1.0
"""How long to retry, and the interval (seconds). Another process may still be writing to a file that was just
closed."""
_log = logging.getLogger("cookie_consent")


class Compressor:
    """Compresses the closed files of some logs, including those that earlier processes left.

    Args:
        logs: their live files.
        file_format: the format of compressed files; FileFormat.PLAIN for no compression.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self, logs: Sequence[Path], file_format: FileFormat, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._logs, self._file_format, self._sleep = logs, file_format, sleep
        self._troubles: list[tuple[Source, Exception]] = []
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Start with no thread and nothing to do."""
        self._lock = threading.Lock()
        self._asked = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to compress closed files, without waiting."""
        if self._file_format is FileFormat.PLAIN:
            return
        with self._lock:
            self._asked = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="access-log-compression", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._is_asked():
            wait_until(self._are_compressed, _TIMEOUT, _PAUSE, self._sleep)
            for source, error in self._troubles:
                _log.warning("%s is not compressed now, and stays as it is: %s", source.path, error)

    def _are_compressed(self) -> bool:
        """Compress closed files; return False if another process has some of them locked."""
        self._troubles = [trouble for log in self._logs for trouble in compress_closed(log, self._file_format)]
        return not any(isinstance(error, TimeoutError) for _, error in self._troubles)

    def _is_asked(self) -> bool:
        """Return whether to run again. If not, the thread ends and the next `start` needs a new one."""
        with self._lock:
            asked, self._asked = self._asked, False
            if not asked:
                self._thread = None
            return asked
