"""Looks up the country of an address in a table that the site provides. No request is made, and no address is kept."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from cookie_consent.base.checks import check
from cookie_consent.policy.policy import Policy
from cookie_consent.sinks.optional import library

if TYPE_CHECKING:
    from maxminddb import Reader

_CODE = re.compile("[A-Z]{2}")
_REPLACED_WITHIN = 600
"""Seconds after which the file is looked at again. Tables are replaced once or twice a week."""
_TRIED = 100
"""How many entries of a table to try. A table of another form has none with a country."""
_REMEDY = 'Write the path of a table of countries in the MMDB format, as in "GeoLite2-Country.mmdb".'
_log = logging.getLogger("cookie_consent")


def countries_of(
    path: str | os.PathLike[str] | None, policy: Policy, clock: Callable[[], float], *, has_log: bool
) -> Countries | None:
    """Return what looks up countries, for the middleware's option; None without the option.

    Args:
        path: the option: the path of a table, or None.
        policy: the policy in force. It says for which purposes the country is recorded.
        clock: returns seconds since 1970.
        has_log: whether there is an access log.

    Raises:
        ValueError: the file is missing, damaged or no table of countries, the policy does not say that countries are
            recorded, or nothing is recorded at all.
    """
    if path is None:
        return None
    check("countries", path, is_valid=isinstance(path, str | os.PathLike) and bool(os.fspath(path)), remedy=_REMEDY)
    if not has_log:
        raise ValueError("countries: nothing is recorded without an access_log. Set one, or leave countries out.")
    by_consent = {part.records_country for part in policy.purposes if part.traces}
    if len(by_consent) > 1:
        raise ValueError(
            "countries: a record does not tell which purpose it is for. Write records_country = true in each purpose "
            "of the policy that traces, or in none of them."
        )
    if True not in by_consent:
        raise ValueError(
            "countries: the policy does not tell visitors that their country is recorded. Write records_country = true "
            "in the purposes that trace, or leave countries out."
        )
    return Countries(path, clock)


class Countries:
    """A table of countries. If its file is replaced while the site runs, the new one is read within ten minutes.

    The file is read into memory, so that nothing happens to the site if it is overwritten in place.

    Args:
        path: the path of the table.
        clock: returns seconds since 1970.

    Raises:
        ValueError: the file is missing, damaged, or no table of countries.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._checked, self._file, self._is_damaged = clock(), _identity(path), False
        self._table = _read(path)

    def of(self, address: str) -> str:
        """Return the country of an address as a code of ISO 3166-1; "" if the table does not know it.

        Args:
            address: a whole address.
        """
        if not 0 <= self._clock() - self._checked < _REPLACED_WITHIN:
            self._checked = self._clock()
            self._read_again()
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return ""
        try:
            return _country(self._table.get(getattr(parsed, "ipv4_mapped", None) or parsed))
        except Exception as error:  # noqa: BLE001 (a damaged table costs the country, and fails no page)
            # A table of IPv4 addresses alone raises ValueError for all others.
            if not isinstance(error, ValueError) and not self._is_damaged:
                _log.warning("countries: %s is damaged: %s", self._path, error)
                self._is_damaged = True
            return ""

    def _read_again(self) -> None:
        """Read the table if its file was replaced. While the new one cannot be read, the old one stays."""
        try:
            file = _identity(self._path)
            if file != self._file:
                self._table, self._file, self._is_damaged = _read(self._path), file, False
                _log.info("countries: the new table %s is in use.", self._path)
        except ValueError as error:
            _log.warning("%s Until then, the table that was read before stays in use.", error)


def _identity(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Return what differs once a file was replaced.

    Raises:
        ValueError: there is no such file.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise ValueError(f"countries: {os.fspath(path)} cannot be read: {error.strerror}. {_REMEDY}") from None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: str | os.PathLike[str]) -> Reader:
    """Read a table into memory.

    Raises:
        ValueError: the file is missing, damaged, or no table of countries.
    """
    maxminddb: Any = library("maxminddb", "A table of countries needs", "cookie-consent[countries]")
    name = os.fspath(path)
    try:
        table: Reader = maxminddb.open_database(name, maxminddb.MODE_MEMORY)
        kind = table.metadata().database_type
        is_known = any(_country(entry) for _, entry in islice(table, _TRIED))
    except OSError as error:
        raise ValueError(f"countries: {name} cannot be read: {error.strerror}. {_REMEDY}") from None
    except Exception:  # noqa: BLE001 (the library raises many errors for damaged files)
        raise ValueError(f"countries: {name} is damaged, or no MMDB file. Download it again.") from None
    if "country" not in kind.lower():
        raise ValueError(
            f'countries: {name} is a table of another kind, "{kind}". Only the country is recorded, so that a table of '
            'cities or networks is not read. Use one of countries, such as "GeoLite2-Country" or "DBIP-Country-Lite".'
        )
    if not is_known:
        raise ValueError(
            f'countries: {name} has no country.iso_code, as a table in the form of "GeoLite2-Country" has.'
        )
    return table


def _country(entry: Any) -> str:
    """Return the country of an entry, or ""."""
    country = entry.get("country") if isinstance(entry, dict) else None
    code = country.get("iso_code") if isinstance(country, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
