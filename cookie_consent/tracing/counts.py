"""Counts page views, questions and answers. They are plain numbers; nobody is traced."""

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

FLUSH_INTERVAL = 10.0
"""Seconds after which counts are written to the sink."""
_MAX_HOSTS = 100
_ID_BYTES = 12
_log = logging.getLogger("cookie_consent")

Row = tuple[str, str, str, str, str]
"""Day, host, language, name, detail."""


class Counts:
    """Adds up counts per day, host and language, and writes the sums to the sink. Readers add up the sums.

    Args:
        sink: where counts are written.
        clock: returns seconds since 1970.
        new_id: returns the unique id of a count. It must be random: a prefix or a serial number would reveal between
            which access records of the process the count was made.
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
        """Drop the sums in a forked process: the parent writes them."""
        self._reset_sums()
        self._flushing_loop: object | None = None
        self._registered_at_exit = False

    def add(self, name: str, host: bytes, *, language: str = "", detail: str = "") -> None:
        """Count one event.

        Args:
            name: what is counted; docs/access-record.md lists the names.
            host: the Host field of the request.
            language: the offered language of the question or answer.
            detail: a detail, such as the feature's id.
        """
        now = self._clock()
        if not self._day_begins <= now < self._day_ends:
            self._begin_day(now)
        total = self._todays_sums.get((host, language, name, detail))
        if total is None:
            total = self._sum_of(host, language, name, detail)
        total[0] += 1
        try:
            loop: object = asyncio.get_running_loop()  # the usual case, and the cheapest call
        except RuntimeError:
            loop = current_loop()
            if loop is None:  # a thread without an event loop
                self.flush()
                return
        if self._flushing_loop is not loop:  # no flush is scheduled, or it was in a loop that has ended
            self._flushing_loop = loop
            call_later(FLUSH_INTERVAL, self.flush)
            if not self._registered_at_exit:
                self._registered_at_exit = True
                atexit.register(self._end)

    def flush(self) -> None:
        """Write the sums to the sink."""
        self._flushing_loop = None
        sums = self._sums
        self._reset_sums()
        for row, (value,) in sums.items():
            try:
                self._sink.count(self._line(row, value))
            except Exception as error:  # noqa: BLE001 (a failing sink loses counts, but fails no page)
                _log.warning("The sink does not take counts; they are lost: %r", error)
                return

    def _end(self) -> None:
        """Flush at exit, because not every server sends a lifespan shutdown."""
        self.flush()
        self._sink.close()

    def _line(self, row: Row, value: int) -> bytes:
        day, host, language, name, detail = row
        values = {
            "time": f"{day}T00:00:00Z",  # a finer time would reveal between which access records it was counted
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
        self._todays_sums.clear()

    def _reset_sums(self) -> None:
        self._sums: dict[Row, list[int]] = {}
        self._todays_sums: dict[tuple[bytes, str, str, str], list[int]] = {}
        """Today's sums by the raw Host field, so that a count costs one look-up."""

    def _sum_of(self, host: bytes, language: str, name: str, detail: str) -> list[int]:
        """Return today's sum for a count, as a list of one number."""
        hostname = self._hosts.get(host) or self._host(host)
        total = self._sums.setdefault((self._day_text, hostname, language, name, detail), [0])
        if host in self._hosts:
            self._todays_sums[host, language, name, detail] = total
        return total

    def _host(self, field: bytes) -> str:
        """Return the host of a new Host field. Clients can send any, so only the first hundred are told apart."""
        if len(field) > LONGEST_KEPT or len(self._hosts) >= _MAX_HOSTS:
            return OTHER_HOSTS
        host = self._hosts[field] = host_name(field)
        return host
