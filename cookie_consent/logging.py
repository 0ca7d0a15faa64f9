"""Masks or drops the servers' access log lines of visitors who did not consent to access tracing."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from cookie_consent.base.addresses import truncate_address
from cookie_consent.base.messages import check
from cookie_consent.current import is_traced

__all__ = ["filter_access_logs"]

ACCESS_LOGGERS = ("uvicorn.access", "hypercorn.access", "granian.access", "gunicorn.access")
"""The loggers to which servers write a line for each request."""
MODES = ("mask", "drop")
"""What to do with a line, the strictest mode last."""

_MORE_LOGGERS = ("uvicorn.error", "uvicorn.asgi")
"""The first one gets lines about websockets; below INFO both get lines about single connections."""
_NOTHING = "-"
_HARMLESS = frozenset(("l", "t", "s", "st", "S", "m", "U", "H", "b", "B", "T", "D", "M", "L", "p"))
"""Atoms of Apache's log format, as in hypercorn and gunicorn, that do not identify the visitor."""
_HARMLESS_IN_GRANIAN = frozenset(("time", "dt_ms", "status", "path", "method", "scheme", "protocol"))

_log = logging.getLogger("cookie_consent")


class AccessFilter(logging.Filter):
    """Keeps lines unchanged if tracing is allowed on the current request, and masks or drops all others.

    A line that cannot be attributed to a request is treated as without consent. Lines of an unknown format are dropped.
    So are lines below INFO, in which a server reports single connections for debugging.

    Args:
        mode: "mask" keeps method, path, status and the truncated address; "drop" drops the line.
    """

    def __init__(self, mode: str = "mask") -> None:
        super().__init__()
        self.mode = mode

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a line, after masking it if necessary."""
        if (record.name == "uvicorn.error" and not _is_about_connection(record)) or is_traced():
            return True
        if self.mode == "drop" or record.levelno < logging.INFO:
            return False
        try:
            record.args = _MASKS[record.name](record.args)
        except (KeyError, TypeError, ValueError, AttributeError):
            # A server has changed its format. A line that cannot be read cannot be masked.
            return False
        return True


def set_server_logs(server_logs: str) -> None:
    """Apply the middleware's option `server_logs`: "keep" leaves the logs unchanged."""
    check(
        "server_logs", server_logs, is_valid=server_logs in (*MODES, "keep"), remedy='Write "mask", "drop" or "keep".'
    )
    if server_logs != "keep":
        filter_access_logs(server_logs)


def filter_access_logs(mode: str = "mask") -> None:
    """Filter the access logs of uvicorn, hypercorn, granian and gunicorn in this process.

    Call it before or after the server sets up its logging; both work, because loggers keep their filters. If it is
    called several times, the strictest mode applies.

    Args:
        mode: what to do with the lines of visitors who did not consent: "mask" or "drop".

    Raises:
        ValueError: there is no such mode.
    """
    check("mode", mode, is_valid=mode in MODES, remedy='Write "mask" or "drop".')
    filters = logging.getLogger(ACCESS_LOGGERS[0]).filters
    own = next((item for item in filters if isinstance(item, AccessFilter)), None)
    if own is None:
        own = AccessFilter()
    elif MODES.index(own.mode) >= MODES.index(mode):
        return
    own.mode = mode
    for name in (*ACCESS_LOGGERS, *_MORE_LOGGERS):
        logging.getLogger(name).addFilter(own)
    _log.info("Access logs of the server: lines of visitors who did not consent are %s.", _DONE[mode])


def _is_about_connection(record: logging.LogRecord) -> bool:
    """Return whether a line of uvicorn's general log is about one connection rather than the server."""
    return record.levelno < logging.INFO or str(record.msg).startswith('%s - "WebSocket ')


def _mask_request(args: Any) -> tuple[object, ...]:
    """Mask the arguments of uvicorn's '%s - "%s %s HTTP/%s" %d'."""
    client, method, target, version, status = args
    return (_mask_address(client), method, _cut_query(target), version, status)


def _mask_websocket(args: Any) -> tuple[object, ...]:
    """Mask the arguments of uvicorn's '%s - "WebSocket %s" [accepted]', or of the same with a status."""
    client, target, *status = args
    return (_mask_address(client), _cut_query(target), *status)


def _mask_atoms(args: Any) -> dict[str, object]:
    """Mask the atoms of hypercorn and gunicorn: all header fields, and "r", in which gunicorn has the query."""
    line = f"{args['m']} {args['U']} {args['H']}"
    masked = {"h": _mask_address(args["h"]), "r": line, "R": line, "Uq": args["U"]}
    return _keep_atoms(args, _HARMLESS, masked)


def _mask_granian(args: Any) -> dict[str, object]:
    """Mask the atoms of granian, including the header fields, whose names there are _h0 and so on."""
    return _keep_atoms(args, _HARMLESS_IN_GRANIAN, {"addr": _mask_address(args["addr"])})


def _keep_atoms(args: Any, names: frozenset[str], masked: dict[str, object]) -> dict[str, object]:
    """Return the atoms with these names, and the masked ones. A missing one is "-", as servers write it."""
    harmless = {name: args[name] for name in names & args.keys()}
    return defaultdict(lambda: _NOTHING, harmless | masked)


def _mask_address(client: str) -> str:
    """Return a truncated address. The address may have a port, and uvicorn writes IPv6 without brackets."""
    before_port = client.rpartition(":")[0]
    likely = before_port if client.count(":") == 1 else client
    return truncate_address(likely) or truncate_address(before_port.strip("[]")) or _NOTHING


def _cut_query(target: str) -> str:
    return target.partition("?")[0]


_DONE: Mapping[str, str] = {
    "mask": "kept with a truncated address, and without user agent, referrer and query",
    "drop": "left out",
}
_MASKS: Mapping[str, Callable[[Any], Any]] = {
    "uvicorn.access": _mask_request,
    "uvicorn.error": _mask_websocket,
    "hypercorn.access": _mask_atoms,
    "gunicorn.access": _mask_atoms,
    "granian.access": _mask_granian,
}
