"""The `forward` command: moves access records from a NATS stream to another sink."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from os.path import abspath
from types import FrameType
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from cookie_consent.base.process.waiting import Backoff
from cookie_consent.cli.command import (
    FINDING,
    GOOD,
    Command,
    UnusableError,
    first_line,
    guarded,
    print_problem,
    progress,
)
from cookie_consent.cli.options import counted, print_json, print_text
from cookie_consent.sinks import BufferedSink, open_sink

if TYPE_CHECKING:
    from cookie_consent.sinks.nats.forwarder import Forwarder
    from cookie_consent.sinks.nats.store import NatsStore

_TIMEOUT = 30.0
"""How long a run with --once retries, in seconds. A cluster that lost a server needs a few seconds to elect a new
leader."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
"""Limits of the pause between two tries, in seconds. Pauses double, with a random factor."""
_STREAMS = ("nats://", "tls://")


class Stop:
    """A flag to stop. SIGTERM sets it inside `by_signal`."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, _: int = 0, __: FrameType | None = None) -> None:
        """Set the flag; has the signature of a signal handler."""
        self.asked = True

    @contextmanager
    def by_signal(self) -> Iterator[None]:
        """Let SIGTERM set the flag, until the context ends."""
        before = signal.signal(signal.SIGTERM, self.ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


def forward_messages(
    forwarder: Forwarder,
    stop: Stop,
    *,
    once: bool,
    timeout: float,
    seen: Callable[[int], object] = lambda number: None,
) -> None:
    """Move messages until `stop` is set, or once: until the stream is empty.

    Args:
        forwarder: moves the messages.
        stop: the flag to stop.
        once: whether to return when no messages are left.
        timeout: how long to retry if `once`, in seconds.
        seen: called with the number of messages moved.

    Raises:
        UnusableError: if `once`, the stream or the store failed for that long.
    """
    moved, failing_since, reported, backoff = 0, None, set[int](), Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    while not stop.asked:
        try:
            moved += forwarder.step()
            reported = _report_pending(forwarder.pending_erasures, reported)
            # Failed erasures stay in the stream. Waiting for them would never end.
            if once and forwarder.waiting() <= len(forwarder.pending_erasures):
                return
        except Exception as error:  # noqa: BLE001 (nothing is lost: every error is retried)
            failing_since = _report_failure(error, failing_since, timeout if once else None)
            time.sleep(backoff.next_pause())
        else:
            failing_since = None
            backoff.reset()
        seen(moved)


def _report_pending(pending_erasures: Mapping[int, str], reported: set[int]) -> set[int]:
    """Report each visitor once whose records could not be erased yet; return those reported."""
    for number in pending_erasures.keys() - reported:
        print_problem(f"Not erased yet, it is tried again: {pending_erasures[number]}", GOOD)
    return set(pending_erasures)


def _report_failure(error: Exception, since: float | None, timeout: float | None) -> float:
    """Report a new failure, and return when it began.

    Raises:
        UnusableError: it has lasted longer than `timeout`.
    """
    now = time.monotonic()
    why = first_line(error) or repr(error)
    if since is None:
        print_problem(f"Records wait in the stream: {why}", GOOD)
    elif timeout is not None and now - since >= timeout:
        raise UnusableError(f"The records that are left could not be brought on: {why}")
    return now if since is None else since


def _forward(arguments: argparse.Namespace) -> int:
    if not arguments.source.startswith(_STREAMS):
        raise UnusableError(
            f"--from takes the URL of a NATS stream, like nats://host:4222/STREAM, not {arguments.source}."
        )
    source, target = _opened(arguments.source), _opened(arguments.to)
    # Only now: open_sink has checked that its packages are installed.
    from cookie_consent.sinks.nats.forwarder import Forwarder

    stop = Stop()
    with closing(source.store), closing(target.store), stop.by_signal():
        forwarder = Forwarder(cast("NatsStore", source.store), target.store, _name(arguments.to))
        if arguments.once:
            with progress("messages", _waiting(forwarder)) as seen:
                forward_messages(forwarder, stop, once=True, timeout=_TIMEOUT, seen=seen)
        else:
            forward_messages(forwarder, stop, once=False, timeout=_TIMEOUT)
    return summary(forwarder, json=arguments.json)


def _waiting(forwarder: Forwarder) -> int:
    """Return the number of waiting messages.

    Raises:
        UnusableError: the stream cannot be read.
    """
    try:
        return forwarder.waiting()
    except Exception as error:  # noqa: BLE001 (clients raise errors of many kinds)
        raise UnusableError(f"--from: the stream cannot be read: {first_line(error) or repr(error)}") from None


def _opened(target: str) -> BufferedSink:
    try:
        sink = open_sink(target)
    except ValueError as error:
        raise UnusableError(str(error)) from None
    if not isinstance(sink, BufferedSink):
        scheme = target.partition("://")[0]
        raise UnusableError(f'Nothing can be brought on to "{scheme}://": its sink is no BufferedSink.')
    return sink


def _name(target: str) -> str:
    """Return the name that all forwarders to one target share.

    It is the target's address without credentials and parameters.
    """
    scheme, colon, rest = target.partition("://")
    if not colon or scheme == "file":
        return abspath(rest if colon else target)
    # The consumer in the stream is named by this. With credentials in it, a new password would start from the
    # beginning.
    parts = urlsplit(target)
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def summary(forwarder: Forwarder, *, json: bool) -> int:
    """Report what was done, and return the exit status: a finding if a visitor's records could not be erased."""
    counts, pending_erasures = forwarder.counts, forwarder.pending_erasures
    names = ("records", "counts", "dropped_invalid", "erasures")
    if json:
        print_json({**{name: counts[name] for name in names}, "not_erased": len(pending_erasures)})
    else:
        moved = f"{counted(counts['records'], 'record')} and {counted(counts['counts'], 'count')}"
        print_text(f"Brought on: {moved}. Erasures: {counts['erasures']:,}.")
    if counts["dropped_invalid"]:
        print_problem(f"Lines that can never be kept there, and are left out: {counts['dropped_invalid']:,}.", GOOD)
    return FINDING if pending_erasures else GOOD


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="source", metavar="URL", required=True, help="the stream, like nats://host:4222/STREAM"
    )
    parser.add_argument(
        "--to", metavar="URL", required=True, help="where the records go, like postgresql://host/database"
    )
    parser.add_argument("--once", action="store_true", help="end when the stream is empty")
    parser.add_argument("--json", action="store_true", help="print JSON")


FORWARD = Command(
    _arguments,
    guarded(_forward),
    "the records of some visitors are not erased yet",
)
