"""Counts what becomes of the question, and of the pages: numbers only, nobody is traced."""

from __future__ import annotations

import asyncio
import atexit
import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from cookie_consent.base.addresses import OTHER_HOSTS, host_name
from cookie_consent.base.clock import DAY
from cookie_consent.base.limits import LONGEST_KEPT
from cookie_consent.base.process.event_loop import call_later, current_loop
from cookie_consent.base.process.forking import call_after_fork
from cookie_consent.sinks import Sink
from cookie_consent.tracing.access_record import VERSION, piece

FLUSH = 10.0
"""Seconds after which counts go to the sink."""
_MOST_HOSTS = 100
_ID_BYTES = 12
_log = logging.getLogger("cookie_consent")

Row = tuple[str, str, str, str, str]
"""Day, host, language, name, detail."""


class Funnel:
    """Adds up counts for each day, host and language, and gives the sums to the sink, where others are added to them.

    Args:
        sink: where counts flow.
        clock: returns seconds since 1970.
        new_id: returns the unique id of a count. Each is random: a prefix, or a number that goes on, would tell between
            which access records of the process a count was made.
    """

    def __init__(
        self,
        sink: Sink,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(_ID_BYTES),
    ) -> None:
        self._sink, self._clock, self._new_id = sink, clock, new_id
        self._hosts: dict[bytes, str] = {}
        self._day_begins = self._day_ends = 0.0
        self._day_text = ""
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have counted nothing yet: in a process that was just forked, the sums are those of its parent."""
        self._begin_sums()
        self._waited_in: object | None = None
        self._ends_with_process = False

    def add(self, name: str, host: bytes, *, language: str = "", detail: str = "") -> None:
        """Count one.

        Args:
            name: what is counted, as docs/access-record.md has it.
            host: the Host field of the request.
            language: the offered language in which it was asked or answered.
            detail: of what, the feature's id say.
        """
        now = self._clock()
        if not self._day_begins <= now < self._day_ends:
            self._begin_day(now)
        found = self._found.get((host, language, name, detail))
        if found is None:
            found = self._find(host, language, name, detail)
        found[0] += 1
        try:
            loop: object = asyncio.get_running_loop()  # first: a view costs no other call
        except RuntimeError:
            loop = current_loop()
            if loop is None:  # in a thread
                self.flush()
                return
        if self._waited_in is not loop:  # nobody waits for the time to flush, or did in a loop that has ended
            self._waited_in = loop
            call_later(FLUSH, self.flush)
            if not self._ends_with_process:
                self._ends_with_process = True
                atexit.register(self._end)

    def flush(self) -> None:
        """Give what was counted to the sink."""
        self._waited_in = None
        sums = self._sums
        self._begin_sums()
        for row, (value,) in sums.items():
            try:
                self._sink.count(self._line(row, value))
            except Exception as error:  # noqa: BLE001 (whatever a sink raises, it costs the count and no page)
                _log.warning("The sink does not take counts; they are lost: %r", error)
                return

    def _end(self) -> None:
        """Bring what was counted to where it is kept: not every server says that it ends."""
        self.flush()
        self._sink.close()

    def _line(self, row: Row, value: int) -> bytes:
        day, host, language, name, detail = row
        values = {
            "time": f"{day}T00:00:00Z",  # no finer: it would tell between which access records it stands
            "log.record.uid": self._new_id(),
            "record.version": VERSION,
            "count.day": day,
            "server.address": host,
            "consent.language": language,
            "count.name": name,
            "count.detail": detail,
            "count.value": value,
        }
        return b"{%b}\n" % piece(values)

    def _begin_day(self, now: float) -> None:
        self._day_begins = now // DAY * DAY
        self._day_ends = self._day_begins + DAY
        self._day_text = datetime.fromtimestamp(now, UTC).date().isoformat()
        self._found.clear()

    def _begin_sums(self) -> None:
        self._sums: dict[Row, list[int]] = {}
        self._found: dict[tuple[bytes, str, str, str], list[int]] = {}
        """The sums of today, by the Host field itself: a count costs one look-up."""

    def _find(self, host: bytes, language: str, name: str, detail: str) -> list[int]:
        """Return the sum that a count of today is added to, in a list of its own."""
        known = self._hosts.get(host) or self._known(host)
        found = self._sums.setdefault((self._day_text, known, language, name, detail), [0])
        if host in self._hosts:
            self._found[host, language, name, detail] = found
        return found

    def _known(self, field: bytes) -> str:
        """Return the host of a new field; anybody can send any, so that only so many are told apart."""
        if len(field) > LONGEST_KEPT or len(self._hosts) >= _MOST_HOSTS:
            return OTHER_HOSTS
        host = self._hosts[field] = host_name(field)
        return host
