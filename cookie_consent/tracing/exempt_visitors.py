"""Pseudonyms that last one day, for tracing under an exemption. Nothing is stored on the visitor's device.

A pseudonym is a keyed hash of what every request contains: host, truncated address and user agent. The key is a random
salt that lasts one day and is then overwritten. While the salt exists, whoever has it can find a pseudonym's address by
trying all addresses, so the salt is a secret and the pseudonym is personal data. Afterwards nobody can, and pseudonyms
of different days cannot be linked.
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
from cookie_consent.base.files import NO_FOLLOW, read_at, set_mode_and_owner, write_at
from cookie_consent.base.process import locking
from cookie_consent.decision.visit import Visit, host_of
from cookie_consent.tracing.tracer import Fields, Trace

_SALT_BYTES = 32
_ID_BYTES = 16
_MARK = b"consent-salt "
_LENGTH = len(_MARK) + 10 + 1 + 2 * _SALT_BYTES + 1
_log = logging.getLogger("cookie_consent")


class DailySalt:
    """Makes visitor ids that are valid for one day (UTC).

    Args:
        path: the file in which the processes of a host share the salt; None for a salt of this process only.
        make_salt: returns the given number of random bytes, derived from nothing that is stored.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, make_salt: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._path, self._make_salt = None if path is None else Path(path), make_salt
        self._day, self._salt = -1, bytearray()
        self._warned = False

    def visitor(self, now: float, *, site: str, address: str, agent: bytes) -> str | None:
        """Return the pseudonym of a visitor for today, or None if there is no salt at the moment.

        Args:
            now: seconds since 1970.
            site: the host of the request, so that pseudonyms differ between hosts.
            address: the visitor's truncated address, or "" if it cannot be read.
            agent: the User-Agent field.
        """
        if self._day != int(now // DAY) and not self._renew(now):
            return None
        message = b"\0".join((site.encode("utf-8", "surrogateescape"), address.encode("ascii"), agent))
        return base64.urlsafe_b64encode(hmac.digest(self._salt, message, "sha256")[:_ID_BYTES]).rstrip(b"=").decode()

    def expire(self, now: float) -> None:
        """Overwrite a salt whose day is over, in memory and in the file, even if no request comes.

        Args:
            now: seconds since 1970.
        """
        today = int(now // DAY)
        if self._day != today:
            self._wipe()
        if self._path is not None and self._path.exists():
            self._with_file(_overwrite_if_expired, now)

    def _renew(self, now: float) -> bool:
        """Load or make today's salt; return False if that is not possible at the moment."""
        self._wipe()
        salt = self._make_salt(_SALT_BYTES) if self._path is None else self._with_file(self._read_or_make, now)
        if salt is None:
            return False
        self._day, self._salt = int(now // DAY), bytearray(salt)
        return True

    def _wipe(self) -> None:
        self._salt[:] = bytes(len(self._salt))
        self._day = -1

    def _with_file(self, act: Callable[[int, float], bytes | None], now: float) -> bytes | None:
        """Call a function with the locked file, without waiting for the lock; return None if that fails."""
        assert self._path is not None  # noqa: S101 (callers check)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with locking.opened(self._path, os.O_RDWR | os.O_CREAT | NO_FOLLOW) as file:
                set_mode_and_owner(file, 0o600)
                return act(file, now)
        except BlockingIOError:
            return None  # Another process has the lock; the next request finds its salt.
        except OSError as error:
            if not self._warned:
                self._warned = True
                _log.warning("Nothing is recorded without consent: the salt of the day cannot be kept: %r", error)
            return None

    def _read_or_make(self, file: int, now: float) -> bytes | None:
        """Return today's salt from the file. The first process to need it overwrites yesterday's."""
        today, stored = int(now // DAY), _parse(read_at(file, _LENGTH + 1, 0))
        if stored is not None and stored[0] == today:
            return stored[1]
        if stored is not None and _begins_soon(stored[0], now):
            return None  # Another process's clock is past midnight already; its salt must stay.
        if stored is not None and stored[0] > today:
            _log.warning("The salt of a day to come is replaced by one of today: a clock was ahead when it was made.")
        salt = self._make_salt(_SALT_BYTES)
        _write(file, _line(today, salt))
        return salt


def _overwrite_if_expired(file: int, now: float) -> None:
    stored = _parse(read_at(file, _LENGTH + 1, 0))
    if stored is None or not (stored[0] == int(now // DAY) or _begins_soon(stored[0], now)):
        _write(file, b" " * _LENGTH)


def _begins_soon(day: int, now: float) -> bool:
    """Return whether a day begins so soon that it may have begun already by another process's clock."""
    return day > now // DAY and not is_future(day * DAY, now)


def _line(day: int, salt: bytes) -> bytes:
    return b"%b%010d %b\n" % (_MARK, day, salt.hex().encode())


def _parse(content: bytes) -> tuple[int, bytes] | None:
    """Return the day (days since 1970) and the salt in a file's content, or None if it is anything else."""
    try:
        day, salt = int(content[len(_MARK) :][:10]), bytes.fromhex(content[len(_MARK) + 11 :].decode("ascii"))
    except ValueError:
        return None
    return (day, salt) if content == _line(day, salt) and len(salt) == _SALT_BYTES else None


def _write(file: int, content: bytes) -> None:
    """Overwrite a file's content in place, because replacing the file would leave the old salt on the disk.

    This does not wait for the disk, which takes seconds. Backups and snapshots are not overwritten.
    """
    write_at(file, content, 0)
    os.ftruncate(file, len(content))


def exempt_trace(
    scope: Mapping[str, Any], fields: Fields, visit: Visit, salt: DailySalt | None, now: float
) -> Trace | None:
    """Return the trace of an exempt visit under the day's pseudonym, or None if there is no salt at the moment.

    Only the referrer's origin is recorded, and no query: the campaign that brought a visitor concerns advertising, for
    which exempt records must not be used (PECR, Schedule A1).

    Args:
        scope: the request's ASGI scope.
        fields: the request's header fields by name, in lowercase.
        visit: the visit, which is exempt.
        salt: makes the pseudonym.
        now: seconds since 1970.
    """
    assert salt is not None  # noqa: S101 (`AccessLog` has one if a purpose is exempt)
    visitor_id = pseudonym(scope, fields, salt, now)
    if visitor_id is None:
        return None
    origin = b"/".join(fields.get(b"referer", b"").split(b"/")[:3])
    trace = Trace({**fields, b"referer": origin}, visitor_id, visit.decision.policy.version, now, visit.exempt)
    trace.is_exempt = True
    return trace


def pseudonym(scope: Mapping[str, Any], fields: Fields, salt: DailySalt, now: float) -> str | None:
    """Return the day's pseudonym of a request's visitor, or None if there is no salt at the moment."""
    client = scope.get("client")
    address = (truncated(client[0]) if client else None) or ""
    return salt.visitor(now, site=host_of(scope), address=address, agent=fields.get(b"user-agent", b""))
