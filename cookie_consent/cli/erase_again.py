"""The `erase --again` command: erases those again whom a restored backup brought back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cookie_consent.cli.frame import UnusableError, counted, print_findings, print_json, print_text
from cookie_consent.cli.stores import existing_sink
from cookie_consent.report.export.stream import Span, stream
from cookie_consent.sinks import Sink
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.erased import hash_of
from cookie_consent.sinks.store import IncompleteError, PartlyErasedError


def erase_again(target: str, *, as_json: bool) -> int:
    """Erase the visitors again whom the list beside the access log names, and return the exit status.

    Args:
        target: the path or URL of the access log.
        as_json: whether to print JSON.

    Raises:
        UnusableError: there is no such log or list, or it cannot be read.
    """
    problems: list[str] = []
    with existing_sink(target) as sink:
        hashes = _listed(sink)
        visitors = {visitor_id for visitor_id in _visitors(target, problems) if hash_of(visitor_id) in hashes}
        erased = sum(_erased(sink, visitor_id, problems) for visitor_id in sorted(visitors))
    if as_json:
        print_json({"again": {"visitors": len(visitors), "access_records": erased}})
    else:
        print_text(f"Erased again: {counted(erased, 'access record')} of {counted(len(visitors), 'visitor')}.")
    return print_findings(problems[:1])


def _listed(sink: Sink) -> set[str]:
    """Return the hashes of the listed visitors."""
    listed = sink.erased_visitors if isinstance(sink, BufferedSink) else None
    if listed is None or not listed.path.is_file():
        raise UnusableError("There is no list of erased visitors beside this access log. It begins with the first.")
    return listed.hashes()


def _visitors(target: str, problems: list[str]) -> Iterator[str]:
    """Yield the visitor id of each record; note in `problems` which records cannot be read."""
    try:
        yield from _ids(stream(target, Span()))
    except IncompleteError as error:
        problems.append(str(error))


def _ids(records: Iterable[dict[str, object]]) -> Iterator[str]:
    return (visitor_id for record in records if isinstance(visitor_id := record.get("visitor.id"), str))


def _erased(sink: Sink, visitor_id: str, problems: list[str]) -> int:
    """Erase a visitor; return how many records, and note in `problems` where some may stay."""
    try:
        return sink.erase(visitor_id)
    except PartlyErasedError as error:
        problems.append(str(error))
        return 0
