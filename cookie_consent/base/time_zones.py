"""Time zones by their names in the IANA database, which the system or the package tzdata brings."""

from __future__ import annotations

from datetime import UTC as UTC_ZONE
from datetime import tzinfo

UTC = "UTC"
_KNOWN = "Asia/Tokyo"


class UnknownTimeZoneError(ValueError):
    """There is no time zone of a name.

    Args:
        name: the name.
        remedy: what to do.
    """

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(f'there is no time zone "{name}". {remedy}')
        self.remedy = remedy


def time_zone(name: str) -> tzinfo:
    """Return a time zone. UTC is there on machines without a database of time zones, too.

    Args:
        name: its name in the IANA database, like "Asia/Tokyo".

    Raises:
        UnknownTimeZoneError: there is no such time zone.
    """
    if name == UTC:
        return UTC_ZONE
    try:
        return _of_database(name)
    except (ValueError, OSError, KeyError):  # no path, a folder, no file
        raise UnknownTimeZoneError(name, _remedy()) from None


def _remedy() -> str:
    advice = f'Write a name of the IANA database, like "{_KNOWN}", "Europe/Berlin" or "{UTC}".'
    try:
        _of_database(_KNOWN)
    except KeyError:
        advice += " This machine has no database of time zones: pip install tzdata."
    return advice


def _of_database(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # most sites name no time zone, and importing it takes milliseconds

    return ZoneInfo(name)
