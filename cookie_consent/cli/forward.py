"""The command that brings access records from a NATS stream on to another sink."""

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
from cookie_consent.cli.command import FINDING, GOOD, Command, UnusableError, complain, guarded, in_short, progress
from cookie_consent.cli.options import counted, say, say_json
from cookie_consent.sinks import BufferedSink, open_sink

if TYPE_CHECKING:
    from cookie_consent.sinks.nats.forwarder import Forwarder
    from cookie_consent.sinks.nats.store import NatsStore

_PATIENCE = 30.0
"""How long a run with --once goes on trying: a cluster that lost a server needs some seconds for a new leader."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
"""Between two tries; each pause is twice as long as the one before, times a random part of it (seconds)."""
_STREAMS = ("nats://", "tls://")


class Stop:
    """Whether to end; becomes true with SIGTERM while it is listened to."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, _: int = 0, __: FrameType | None = None) -> None:
        """Ask for the end."""
        self.asked = True

    @contextmanager
    def by_signal(self) -> Iterator[None]:
        """Listen to SIGTERM."""
        before = signal.signal(signal.SIGTERM, self.ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


def bring_on(
    forwarder: Forwarder,
    stop: Stop,
    *,
    once: bool,
    patience: float,
    seen: Callable[[int], object] = lambda number: None,
) -> None:
    """Bring messages on until it is asked to stop; once: until all that is there is brought on.

    Args:
        forwarder: does it.
        stop: asks for the end.
        once: ends with the last message.
        patience: for how long it is tried again, if once (seconds).
        seen: is told how many messages were brought on.

    Raises:
        UnusableError: once, and the stream or the store could not be used for that long.
    """
    taken, failing_since, told, backoff = 0, None, set[int](), Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    while not stop.asked:
        try:
            taken += forwarder.step()
            told = _told(forwarder.undone, told)
            if once and forwarder.waiting() <= len(forwarder.undone):
                return
        except Exception as error:  # noqa: BLE001 (whatever it is, nothing is lost, and it is tried again)
            failing_since = _said(error, failing_since, patience if once else None)
            time.sleep(backoff.next_pause())
        else:
            failing_since = None
            backoff.reset()
        seen(taken)


def _told(undone: Mapping[int, str], told: set[int]) -> set[int]:
    """Say which visitors could not be erased, each once; return what has been said."""
    for number in undone.keys() - told:
        complain(f"Not erased yet, it is tried again: {undone[number]}", GOOD)
    return set(undone)


def _said(error: Exception, since: float | None, patience: float | None) -> float:
    """Say once what goes wrong; return since when it does. Raises UnusableError where that is too long."""
    now = time.monotonic()
    why = in_short(error) or repr(error)
    if since is None:
        complain(f"Records wait in the stream: {why}", GOOD)
    elif patience is not None and now - since >= patience:
        raise UnusableError(f"The records that are left could not be brought on: {why}")
    return now if since is None else since


def _forward(arguments: argparse.Namespace) -> int:
    if not arguments.source.startswith(_STREAMS):
        raise UnusableError(
            f"--from takes the URL of a NATS stream, like nats://host:4222/STREAM, not {arguments.source}."
        )
    source, target = _opened(arguments.source), _opened(arguments.to)
    from cookie_consent.sinks.nats.forwarder import Forwarder  # here: open_sink has seen that what it needs is there

    stop = Stop()
    with closing(source.store), closing(target.store), stop.by_signal():
        forwarder = Forwarder(cast("NatsStore", source.store), target.store, _name(arguments.to))
        if arguments.once:
            with progress("messages", _there(forwarder)) as seen:
                bring_on(forwarder, stop, once=True, patience=_PATIENCE, seen=seen)
        else:
            bring_on(forwarder, stop, once=False, patience=_PATIENCE)
    return summary(forwarder, json=arguments.json)


def _there(forwarder: Forwarder) -> int:
    """Return how many messages wait; raises UnusableError where the stream cannot be read."""
    try:
        return forwarder.waiting()
    except Exception as error:  # noqa: BLE001 (whatever the client raises, it says it)
        raise UnusableError(f"--from: the stream cannot be read: {in_short(error) or repr(error)}") from None


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
    """Return what forwarders to one target share: where it is, and not who asks or how."""
    scheme, colon, rest = target.partition("://")
    if not colon or scheme == "file":
        return abspath(rest if colon else target)
    parts = urlsplit(target)
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def summary(forwarder: Forwarder, *, json: bool) -> int:
    """Say what was done; a finding where a visitor's records could not be erased."""
    counts, undone = forwarder.counts, forwarder.undone
    names = ("records", "counts", "dropped_invalid", "erasures")
    if json:
        say_json({**{name: counts[name] for name in names}, "not_erased": len(undone)})
    else:
        brought = f"{counted(counts['records'], 'record')} and {counted(counts['counts'], 'count')}"
        say(f"Brought on: {brought}. Erasures: {counts['erasures']:,}.")
    if counts["dropped_invalid"]:
        complain(f"Lines that can never be kept there, and are left out: {counts['dropped_invalid']:,}.", GOOD)
    return FINDING if undone else GOOD


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="source", metavar="URL", required=True, help="the stream, like nats://host:4222/STREAM"
    )
    parser.add_argument(
        "--to", metavar="URL", required=True, help="where the records go, like postgresql://host/database"
    )
    parser.add_argument("--once", action="store_true", help="end when all that is there is brought on")
    parser.add_argument("--json", action="store_true", help="for machines")


COMMANDS = (
    Command(
        "forward",
        "Bring access records from a NATS stream on to another place; runs until it is stopped, on as many hosts as "
        "you like.",
        _arguments,
        guarded(_forward),
    ),
)
