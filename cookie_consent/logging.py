"""Keeps the logs of servers from saying who came, of visitors who did not consent to access tracing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from cookie_consent.base.addresses import truncated
from cookie_consent.base.checks import check
from cookie_consent.current import is_traced

ACCESS_LOGGERS = ("uvicorn.access", "hypercorn.access", "granian.access", "gunicorn.access")
"""The loggers to which servers write a line for each request."""
MODES = ("mask", "drop")
"""What can be done to a line, the strictest last."""

_MORE_LOGGERS = ("uvicorn.error", "uvicorn.asgi")
"""Lines about websockets go to the first one, and below INFO both tell of single connections."""
_NOTHING = "-"
_HARMLESS = frozenset(("l", "t", "s", "st", "S", "m", "U", "H", "b", "B", "T", "D", "M", "L", "p"))
"""Of the names of Apache's log format, as hypercorn and gunicorn have them, those that say nothing of who came."""
_HARMLESS_IN_GRANIAN = frozenset(("time", "dt_ms", "status", "path", "method", "scheme", "protocol"))

_log = logging.getLogger("cookie_consent")


class AccessFilter(logging.Filter):
    """Leaves lines as they are where tracing is allowed on the running request; masks or drops all others.

    Where it cannot be known whose line it is, nobody has consented to it. A line of a shape that no known server
    writes is dropped, and so is one below INFO, by which a server that is debugged tells of single connections.

    Args:
        mode: "mask" leaves method, path and status, and the address truncated; "drop" leaves the line out.
    """

    def __init__(self, mode: str = "mask") -> None:
        super().__init__()
        self.mode = mode

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is written; it may be changed."""
        if (record.name == "uvicorn.error" and not _tells_of_a_visitor(record)) or is_traced():
            return True
        if self.mode == "drop" or record.levelno < logging.INFO:
            return False
        try:
            record.args = _MASKS[record.name](record.args)
        except (KeyError, TypeError, ValueError, AttributeError):
            return False
        return True


def set_server_logs(server_logs: str) -> None:
    """Do what the middleware's option says: filter the access logs in a mode, or "keep" them as they are.

    Raises:
        ValueError: it is neither.
    """
    modes = (*MODES, "keep")
    check("server_logs", server_logs, fits=server_logs in modes, remedy=f"Write one of: {', '.join(modes)}.")
    if server_logs != "keep":
        filter_access_logs(server_logs)


def filter_access_logs(mode: str = "mask") -> None:
    """Filter the access logs of uvicorn, hypercorn, granian and gunicorn in this process.

    It may be called before or after the server sets up its logging: filters of loggers stay. Called several times,
    the strictest mode holds.

    Args:
        mode: what is done to the lines of visitors who did not consent: "mask" or "drop".

    Raises:
        ValueError: there is no such mode.
    """
    if mode not in MODES:
        raise ValueError(f'mode: {mode!r} is not valid. Write "mask" or "drop".')
    names = (*ACCESS_LOGGERS, *_MORE_LOGGERS)
    installed = _installed(names[0])
    if installed is not None and MODES.index(installed.mode) >= MODES.index(mode):
        return
    installed = installed or AccessFilter()
    installed.mode = mode
    for name in names:
        logging.getLogger(name).addFilter(installed)
    _log.info("Access logs of the server: lines of visitors who did not consent are %s.", _DONE[mode])


def _installed(name: str) -> AccessFilter | None:
    return next((own for own in logging.getLogger(name).filters if isinstance(own, AccessFilter)), None)


def _tells_of_a_visitor(record: logging.LogRecord) -> bool:
    """Return whether a line of uvicorn's general log is about one connection, and not about the server."""
    return record.levelno < logging.INFO or str(record.msg).startswith('%s - "WebSocket ')


def _mask_request(args: Any) -> tuple[object, ...]:
    """Mask '%s - "%s %s HTTP/%s" %d' of uvicorn."""
    client, method, target, version, status = args
    return (_mask_address(client), method, _path(target), version, status)


def _mask_websocket(args: Any) -> tuple[object, ...]:
    """Mask '%s - "WebSocket %s" [accepted]' of uvicorn, or the same with a status."""
    client, target, *status = args
    return (_mask_address(client), _path(target), *status)


def _mask_atoms(args: Any) -> dict[str, object]:
    """Mask the atoms of hypercorn and gunicorn: all header fields go, and "r", which gunicorn gives the query."""
    line = f"{args['m']} {args['U']} {args['H']}"
    kept = {name: args[name] for name in _HARMLESS & args.keys()}
    return _Atoms(kept, h=_mask_address(args["h"]), r=line, R=line, Uq=args["U"])


def _mask_granian(args: Any) -> dict[str, object]:
    """Mask the atoms of granian; header fields have names of their own there, _h0 and so on."""
    kept = {name: args[name] for name in _HARMLESS_IN_GRANIAN & args.keys()}
    return _Atoms(kept, addr=_mask_address(args["addr"]))


class _Atoms(dict[str, object]):
    """Parts of a line by their names; any other is "-", as servers have it."""

    def __missing__(self, name: str) -> str:
        return _NOTHING


def _mask_address(client: str) -> str:
    """Return an address, with or without a port (IPv6 without brackets, as uvicorn has it), truncated."""
    before_port = client.rpartition(":")[0]
    likely = before_port if client.count(":") == 1 else client
    return truncated(likely) or truncated(before_port.strip("[]")) or _NOTHING


def _path(target: str) -> str:
    return target.partition("?")[0]


_DONE: Mapping[str, str] = {
    "mask": "kept without address, user agent, referrer and query",
    "drop": "left out",
}
_MASKS: Mapping[str, Callable[[Any], Any]] = {
    "uvicorn.access": _mask_request,
    "uvicorn.error": _mask_websocket,
    "hypercorn.access": _mask_atoms,
    "gunicorn.access": _mask_atoms,
    "granian.access": _mask_granian,
}
