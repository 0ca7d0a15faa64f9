"""Counts page views, questions and answers. They are plain numbers; nobody is traced."""

from __future__ import annotations

import atexit
import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import anyio

from cookie_consent.base.addresses import OTHER_HOSTS, host_name
from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.clock import DAY
from cookie_consent.base.threads import call_after_fork, start
from cookie_consent.sinks import Sink
from cookie_consent.tracing.access_record import VERSION, piece
from cookie_consent.tracing.breakdowns import MOST, Breakdowns, Shown

FLUSH_INTERVAL = 10.0
"""Seconds after which counts are written to the sink."""
BREAKDOWN_INTERVAL = 300.0
"""Seconds after which the sums by purpose, policy and so on are written. They are some dozens of lines each time, which
every report reads, and nobody waits for them."""
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
        self._day_begins = self._day_ends = self._breakdowns_due = 0.0
        self._day_text = ""
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Drop the sums in a forked process: the parent writes them."""
        self._reset_sums()
        self._breakdowns = Breakdowns()
        self._flush_expected_by = 0.0
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
        if now >= self._flush_expected_by:
            self._flush_later(now)

    def add_asked(self, host: bytes, language: str, shown: Shown, *, first: bool) -> None:
        """Count a page with the question.

        Args:
            host: the Host field of the request.
            language: the language of the question.
            shown: what it looked like and where it was.
            first: whether the visitor came from elsewhere, so that no page of this visit has asked yet.
        """
        if first:
            self.add("asked_first", host, language=language)
        self._break_down("asked_first" if first else "asked", host, shown)
        self.add("asked", host, language=language)

    def add_answer(
        self,
        name: str,
        host: bytes,
        language: str,
        shown: Shown,
        *,
        first: bool = False,
        purposes: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Count an answer.

        Args:
            name: the name of its count.
            host: the Host field of the request.
            language: the language of the question.
            shown: what the question looked like and where it was.
            first: whether it is an answer to the first question of a visit.
            purposes: "granted", "refused" or "withdrawn", and the purpose of which that is true.
        """
        if first:
            self.add("answered_first", host, language=language)
        self._break_down(name, host, shown, purposes)
        self.add(name, host, language=language)

    def _break_down(self, name: str, host: bytes, shown: Shown, purposes: tuple[tuple[str, str], ...] = ()) -> None:
        now, sums = self._clock(), self._breakdowns.sums
        if not self._day_begins <= now < self._day_ends:
            self._begin_day(now)
        if not sums:
            self._breakdowns_due = now + BREAKDOWN_INTERVAL
        elif len(sums) >= MOST:
            self._sum_up()
        self._breakdowns.add(name, self._hosts.get(host) or self._host(host), shown, purposes)

    def _flush_later(self, now: float) -> None:
        """Have the sums written after a while, on the running event loop; without one, write them now."""
        try:
            start(self._wait_and_flush, self._expect_no_flush)
        except RuntimeError:
            self.flush()
            return
        # The event loop may end before it has written them. Then a later count starts another task.
        self._flush_expected_by = now + 2 * FLUSH_INTERVAL
        if not self._registered_at_exit:
            self._registered_at_exit = True
            atexit.register(self._end)

    async def _wait_and_flush(self) -> None:
        while self._flush_expected_by:
            self._flush_expected_by = self._clock() + 2 * FLUSH_INTERVAL
            await anyio.sleep(FLUSH_INTERVAL)
            self._flush_what_is_due()

    def _expect_no_flush(self) -> None:
        self._flush_expected_by = 0.0

    def flush(self) -> None:
        """Write all sums to the sink."""
        self._sum_up()
        self._write()

    def _flush_what_is_due(self) -> None:
        """Write the sums to the sink. Those by purpose, policy and so on may wait for another time."""
        if self._breakdowns.sums and self._clock() < self._breakdowns_due:
            self._write()
        else:
            self.flush()
            self._expect_no_flush()

    def _sum_up(self) -> None:
        """Add the sums by purpose, policy and so on to the others."""
        for host, name, detail, value in self._breakdowns.take():
            self._sums.setdefault((self._day_text, host, "", name, detail), [0])[0] += value

    def _write(self) -> None:
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
        self._sum_up()
        self._breakdowns.begin_day()
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
