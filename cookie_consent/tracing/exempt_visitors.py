"""A visitor's pseudonym for one day, without anything stored on the device: for what runs without consent.

It is a keyed hash of what the request says anyway, under a salt that is random, that no later day has, and that is
overwritten when its day is over. While a salt lives, who has it can find the address of a pseudonym by trying them all;
so it is kept as a secret, and a pseudonym is personal data. Afterwards nobody can, and nobody can tell either which
pseudonyms of two days are one visitor's.
"""

from __future__ import annotations

import base64
import hmac
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cookie_consent.base.addresses import truncated
from cookie_consent.base.clock import DAY, is_future
from cookie_consent.base.files import NO_LINK, read_at, set_mode_and_owner, write_at
from cookie_consent.base.process import locking
from cookie_consent.decision.visit import Visit, host_of
from cookie_consent.tracing.tracer import Fields, Trace

_SALT_BYTES = 32
_ID_BYTES = 16
_MARK = b"consent-salt "
_LENGTH = len(_MARK) + 10 + 1 + 2 * _SALT_BYTES + 1
_log = logging.getLogger("cookie_consent")


class DailySalt:
    """Makes visitor ids that are good for one day (UTC).

    Args:
        path: a file by which all processes of a host have the same salt; None where one process is alone.
        make_salt: returns so many random bytes. Not derived from anything that is kept.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, make_salt: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._path, self._make_salt = None if path is None else Path(path), make_salt
        self._day, self._salt = -1, bytearray()
        self._warned = False

    def visitor(self, now: float, *, site: str, address: str, agent: bytes) -> str | None:
        """Return the pseudonym of a visitor for today; None where there is no salt just now.

        Args:
            now: seconds since 1970.
            site: the host that the request names, so that no pseudonym is good on two.
            address: the visitor's address without its last part; "" where it cannot be read.
            agent: the User-Agent field.
        """
        if self._day != int(now // DAY) and not self._renew(now):
            return None
        said = b"\0".join((site.encode("utf-8", "surrogateescape"), address.encode("ascii"), agent))
        return base64.urlsafe_b64encode(hmac.digest(self._salt, said, "sha256")[:_ID_BYTES]).rstrip(b"=").decode()

    def expire(self, now: float) -> None:
        """Overwrite a salt whose day is over, in memory and in the file; for when no request does.

        Args:
            now: seconds since 1970.
        """
        today = int(now // DAY)
        if self._day != today:
            self._forget()
        if self._path is not None and self._path.exists():
            self._look(_expired, now)

    def _renew(self, now: float) -> bool:
        """Have the salt of today at hand; return False where that cannot be just now."""
        self._forget()
        salt = self._make_salt(_SALT_BYTES) if self._path is None else self._look(self._taken, now)
        if salt is None:
            return False
        self._day, self._salt = int(now // DAY), bytearray(salt)
        return True

    def _forget(self) -> None:
        self._salt[:] = bytes(len(self._salt))
        self._day = -1

    def _look(self, act: Callable[[int, float], bytes | None], now: float) -> bytes | None:
        """Act on the file while no other process does; None where that cannot be done now. Never waits."""
        assert self._path is not None  # noqa: S101 (asked before)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with locking.opened(self._path, os.O_RDWR | os.O_CREAT | NO_LINK) as file:
                set_mode_and_owner(file, 0o600)
                return act(file, now)
        except BlockingIOError:
            return None  # Another process is at it; the next request finds what it made.
        except OSError as error:
            if not self._warned:
                self._warned = True
                _log.warning("Nothing is recorded without consent: the salt of the day cannot be kept: %r", error)
            return None

    def _taken(self, file: int, now: float) -> bytes | None:
        """Return the salt of today from the file. The first process to ask makes it, over that of the day before."""
        today, found = int(now // DAY), _parsed(read_at(file, _LENGTH + 1, 0))
        if found is not None and found[0] == today:
            return found[1]
        if found is not None and _is_tomorrows(found[0], now):
            return None  # Another process is past midnight already; its salt stays.
        if found is not None and found[0] > today:
            _log.warning("The salt of a day to come is replaced by one of today: a clock was ahead when it was made.")
        salt = self._make_salt(_SALT_BYTES)
        _write(file, _line(today, salt))
        return salt


def _expired(file: int, now: float) -> None:
    found = _parsed(read_at(file, _LENGTH + 1, 0))
    if found is None or not (found[0] == int(now // DAY) or _is_tomorrows(found[0], now)):
        _write(file, b" " * _LENGTH)


def _is_tomorrows(day: int, now: float) -> bool:
    """Return whether a day begins soon, so that it may have begun for a process whose clock differs a little."""
    return day > now // DAY and not is_future(day * DAY, now)


def _line(day: int, salt: bytes) -> bytes:
    return b"%b%010d %b\n" % (_MARK, day, salt.hex().encode())


def _parsed(content: bytes) -> tuple[int, bytes] | None:
    """Return the day (since 1970) and the salt of a file's content; None where it is anything else."""
    try:
        day, salt = int(content[len(_MARK) :][:10]), bytes.fromhex(content[len(_MARK) + 11 :].decode("ascii"))
    except ValueError:
        return None
    return (day, salt) if content == _line(day, salt) and len(salt) == _SALT_BYTES else None


def _write(file: int, content: bytes) -> None:
    """Write over what a file has, in its place: a new file under its name would leave the old one on the storage.

    Nobody waits until the storage has it, which is a matter of seconds. Copies and snapshots are not reached.
    """
    write_at(file, content, 0)
    os.ftruncate(file, len(content))


def exempt_trace(
    scope: Mapping[str, Any], fields: Fields, visit: Visit, salt: DailySalt | None, now: float
) -> Trace | None:
    """Return the trace of such a visit, under the pseudonym of the day; None where there is none just now.

    Of the page before only its origin is kept, and no query: by what campaign somebody came is a matter of advertising,
    for which none of this may be (PECR, Schedule A1).

    Args:
        scope: the request's ASGI scope.
        fields: the request's header fields by their names in small letters.
        visit: what is known of the request.
        salt: makes the pseudonym.
        now: seconds since 1970.
    """
    assert salt is not None  # noqa: S101 (there is one where a purpose is exempt)
    visitor_id = pseudonym(scope, fields, salt, now)
    if visitor_id is None:
        return None
    origin = b"/".join(fields.get(b"referer", b"").split(b"/")[:3])
    trace = Trace({**fields, b"referer": origin}, visitor_id, visit.decision.policy.version, now, visit.exempt)
    trace.is_exempt = True
    return trace


def pseudonym(scope: Mapping[str, Any], fields: Fields, salt: DailySalt, now: float) -> str | None:
    """Return the pseudonym of the day of whoever sent a request; None where there is none just now."""
    client = scope.get("client")
    address = (truncated(client[0]) if client else None) or ""
    return salt.visitor(now, site=host_of(scope), address=address, agent=fields.get(b"user-agent", b""))
