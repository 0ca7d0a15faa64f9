"""Counts page views, questions and answers. They are plain numbers; nobody is traced."""

from __future__ import annotations

import atexit
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, NamedTuple

import anyio

from cookie_consent.base.addresses import OTHER_HOSTS, host_name
from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.clock import HOUR, rfc3339
from cookie_consent.base.threads import call_after_fork, start
from cookie_consent.policy.policy import Policy
from cookie_consent.tracing.access_record import VERSION, piece

if TYPE_CHECKING:
    from cookie_consent.sinks import Sink

FLUSH_INTERVAL = 30.0
"""Seconds after which counts are written to the sink."""
MOST = 2000
"""Sums are written when there are this many."""
MAX_HOSTS = 100
MAX_PREFIXES = 50
ARRIVED_ON_ERROR = "arrived_on_error"
"""The count of visits that began with an error. Its detail is the status, the site before and the path."""
FEW = 5
"""An error is named once so many visits began with it: before, its path may be a link that one person got."""
MAX_ERRORS = 500
OTHER_PREFIXES = "(other)"
"""The prefix of pages beyond the first fifty prefixes, and of those with a long or unprintable one, or a person's."""
_BY = frozenset(("asked", "asked_first", "granted", "refused", "partial", "changed"))
"""What is added up by policy, device and prefix. Withdrawals are only added up by purpose."""
_LONGEST_PREFIX = 32
_OF_PERSONS = frozenset("@~")
"""Signs in the paths of persons' pages and in addresses of mail. Counts of a visitor who refuses may name nobody."""
_ID_BYTES = 12
_log = logging.getLogger("cookie_consent")

Row = tuple[str, str, str, str]
"""Host, language, name, detail."""


class Shown(NamedTuple):
    """What a question looked like and where it was, for the sums. "" stands for what is not known.

    Args:
        policy: the policy that it was about.
        device: the class of the device.
        path: the path of the page.
    """

    policy: Policy
    device: str
    path: str


class Counts:
    """Adds up counts by hour, host and language, and writes the sums to the sink. Readers add up the sums.

    Args:
        sink: where counts are written.
        clock: returns seconds since 1970.
        new_id: returns the unique id of a count. It must be random: a prefix or a serial number would reveal between
            which access records of the process the count was made.
        zone: the time zone of the site. Hours begin when its clocks begin one.
    """

    def __init__(
        self,
        sink: Sink,
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(_ID_BYTES),
        zone: tzinfo = UTC,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._new_id = new_id
        self._zone = zone
        self._hour = 0.0
        self._day = ""
        self._hosts: dict[bytes, str] = {}
        self._prefixes: set[str] = set()
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Drop the sums in a forked process: the parent writes them."""
        self._sums: Counter[Row] = Counter()
        self._errors: Counter[Row] = Counter()
        self._flush_expected_by = 0.0

    def add(self, name: str, host: bytes, *, language: str = "", detail: str = "") -> None:
        """Count one event.

        Args:
            name: what is counted; docs/access-record.md lists the names.
            host: the Host field of the request.
            language: the offered language of the question or answer.
            detail: a detail, such as the feature's id.
        """
        now = self._enter_hour()
        row = (self._name_host(host), language, name, detail)
        if name == ARRIVED_ON_ERROR:
            self._add_error(row)
        else:
            self._sums[row] += 1
        self._flush_if_due(now)

    def add_with_details(
        self, names: Collection[str], host: bytes, language: str, shown: Shown, purposes: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Count a page with the question, or an answer.

        Args:
            names: the names of its counts.
            host: the Host field of the request.
            language: the language of the question.
            shown: what the question looked like and where it was.
            purposes: "asked", "granted", "refused", "withdrawn" or "changed", and the purpose of which that is true.
        """
        now = self._enter_hour()
        where = self._name_host(host)
        details = {"policy": shown.policy.version, "device": shown.device, "prefix": self._name_prefix(shown.path)}
        rows = [(where, language, name, "") for name in names]
        rows += [(where, "", f"{name}_by_purpose", purpose) for name, purpose in purposes]
        for name in _BY.intersection(names):
            rows += [(where, "", f"{name}_by_{thing}", detail) for thing, detail in details.items() if detail]
        self._sums.update(rows)
        self._flush_if_due(now)

    def _add_error(self, row: Row) -> None:
        """Count a visit that began with an error. Until there were a few, they wait; then all count at once."""
        if not _names_nobody(row[-1], LONGEST_KEPT):
            self._sums[_make_other(row)] += 1
            return
        if row not in self._errors and len(self._errors) >= MAX_ERRORS:
            self._join_errors()
        self._errors[row] += 1
        if self._errors[row] == FEW:
            self._sums[row] += FEW
        elif self._errors[row] > FEW:
            self._sums[row] += 1

    def _join_errors(self) -> None:
        """Count the errors with which few visits began without their names, and forget all names."""
        for row, seen in self._errors.items():
            if seen < FEW:
                self._sums[_make_other(row)] += seen
        self._errors.clear()

    def _flush_if_due(self, now: float) -> None:
        """Have the sums written after a while, on the running event loop; now if there is none, or if they are many."""
        if len(self._sums) >= MOST:
            self._write()
        if now < self._flush_expected_by:
            return
        try:
            start(self._wait_and_write)
        except RuntimeError:
            self._write()
            return
        # The event loop may end before it has written them. Then a later count starts another task.
        self._flush_expected_by = now + 2 * FLUSH_INTERVAL
        atexit.unregister(self._end)
        atexit.register(self._end)  # again, because the last registered runs first: before the sink is closed

    async def _wait_and_write(self) -> None:
        await anyio.sleep(FLUSH_INTERVAL)
        self._flush_expected_by = 0.0
        self._write()

    def flush(self) -> None:
        """Write all that was counted to the sink, at the end of the process."""
        self._join_errors()
        self._write()

    def _write(self) -> None:
        sums = self._sums
        self._sums = Counter()
        # Sorted: the order in which they began would tell something of the order of visits.
        for row in sorted(sums):
            try:
                self._sink.count(self._make_line(row, sums[row]))
            except Exception as error:  # noqa: BLE001 (a failing sink loses counts, but fails no page)
                _log.warning("The sink does not take counts; they are lost: %r", error)
                return

    def _end(self) -> None:
        """Flush at exit, because not every server sends a lifespan shutdown."""
        self.flush()
        self._sink.close()

    def _make_line(self, row: Row, value: int) -> bytes:
        host, language, name, detail = row
        values = {
            "time": rfc3339(self._hour),  # a finer time would reveal between which access records it was counted
            "log.record.uid": self._new_id(),
            "record.version": VERSION,
            "count.day": self._day,
            "server.address": host,
            "consent.language": language,
            "count.name": name,
            "count.detail": detail,
            "count.value": value,
        }
        return b"{%b}\n" % piece(values)

    def _enter_hour(self) -> float:
        """Return the time. If another hour has begun, write the sums of the one before."""
        now = self._clock()
        if not self._hour <= now < self._hour + HOUR:
            self._write()
            offset = datetime.fromtimestamp(now, self._zone).utcoffset()
            ahead = offset.total_seconds() if offset else 0.0
            self._hour = (now + ahead) // HOUR * HOUR - ahead
            day = rfc3339(self._hour)[:10]
            if day != self._day:
                self._day = day
                self._prefixes.clear()
        return now

    def _name_host(self, field: bytes) -> str:
        """Return the host of a Host field. Clients can send any, so only the first hundred are told apart."""
        host = self._hosts.get(field)
        if host is None:
            if len(field) > LONGEST_KEPT or len(self._hosts) >= MAX_HOSTS:
                return OTHER_HOSTS
            host = self._hosts[field] = host_name(field)
        return host

    def _name_prefix(self, path: str) -> str:
        """Return the first part of a path. Clients can send any, so only fifty a day are told apart."""
        end = path.find("/", 1)
        prefix = path if end < 0 else path[:end]
        if prefix and prefix not in self._prefixes:
            if not _names_nobody(prefix, _LONGEST_PREFIX) or len(self._prefixes) >= MAX_PREFIXES:
                return OTHER_PREFIXES
            self._prefixes.add(prefix)
        return prefix


def _names_nobody(text: str, longest: int) -> bool:
    """Return whether a text that a client sent may be counted by: it is short, printable and no person's."""
    return len(text) <= longest and text.isprintable() and _OF_PERSONS.isdisjoint(text)


def _make_other(row: Row) -> Row:
    """Return the row of errors that are not named."""
    host, language, name, detail = row
    status = detail.partition(" ")[0]
    return host, language, name, f"{status} (other) (other)"
