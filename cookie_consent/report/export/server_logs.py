"""Access records as lines of an NCSA combined log, for other tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

Record = Mapping[str, Any]

_UNKNOWN = "-"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
IN_PATHS, IN_URLS, IN_NAMES = "/:@!$&()*,;=~", "/:@!$&()*,;=~?[]+%", " "
"""Characters that are not escaped, besides letters, digits and "_.-~". Quotes and backslashes always are escaped."""
PRODUCTS = {
    "Chrome": "Chrome/- Safari/-",
    "Chrome Mobile": "Chrome/- Safari/-",
    "Chrome Mobile WebView": "Chrome/- Safari/-",
    "Chrome Mobile iOS": "CriOS/-",
    "DuckDuckGo Mobile": "Ddg/-",
    "Firefox iOS": "Firefox/-",
    "Firefox Mobile": "Firefox/-",
    "Mobile Safari": "Version/- Safari/-",
    "Safari": "Version/- Safari/-",
    "Samsung Internet": "SamsungBrowser/-",
    "UC Browser": "UCBrowser/-",
    "Yandex Browser": "YaBrowser/-",  # Matomo's importer takes "yandex" for a robot
}
"""Browser family -> the product names in its user agent. Other browsers use the name of their family."""
SYSTEMS = {"Mac OS X": "Macintosh; Mac OS X", "Chrome OS": "CrOS"}
APPLE_DEVICES = {"tablet": "iPad"}


def ncsa(record: Record) -> str:
    """Return a request as a line of an NCSA combined log (Apache, nginx), in ASCII and without the line end.

    The user field is the visitor's pseudonym. Times are in UTC. The number of bytes is unknown.

    Args:
        record: the record of a request, not of an event.
    """
    request = " ".join((_text(record, "http.request.method"), _target(record), _protocol(record)))
    return (
        f"{_address(record)} - {_text(record, 'visitor.id')} [{_ncsa_time(record['time'])}] "
        f'"{request}" {_status(record)} - "{_referrer(record)}" "{user_agent(record)}"'
    )


def user_agent(record: Record) -> str:
    """Return a user agent field like "(Windows; pc) Firefox/-"; "-" if neither browser nor system is known.

    It uses the words that log readers recognise. It never has a version, because records have none.
    """
    device = record.get("user_agent.device", "other")
    system = _system(_family(record, "user_agent.os"), device)
    browser = _family(record, "user_agent.name")
    if not browser and not system:
        return _UNKNOWN
    product = PRODUCTS.get(browser) or f"{_escaped(browser, IN_NAMES)}/-" if browser else _UNKNOWN
    return f"({system or _UNKNOWN}; {_escaped(device)}) {product}"


def _system(family: str, device: str) -> str:
    if family == "iOS":
        return f"{APPLE_DEVICES.get(device, 'iPhone')}; iOS"
    return SYSTEMS.get(family) or _escaped(family, IN_NAMES)


def _family(record: Record, key: str) -> str:
    family: str = record.get(key, "")
    return "" if family == "Other" else family


def _target(record: Record) -> str:
    query = f"?{_text(record, 'url.query', IN_URLS)}" if record.get("url.query") else ""
    return _text(record, "url.path", IN_PATHS) + query


def _protocol(record: Record) -> str:
    version = _text(record, "network.protocol.version")
    return _UNKNOWN if version == _UNKNOWN else f"HTTP/{version}"


def _address(record: Record) -> str:
    return _text(record, "client.address", ":")


def _referrer(record: Record) -> str:
    return _text(record, "http.request.referrer", IN_URLS)


def _status(record: Record) -> str:
    return str(record.get("http.response.status_code", _UNKNOWN))


def _ncsa_time(time: str) -> str:
    """Return a time in NCSA format, independent of the locale: "2026-11-25T…" -> "25/Nov/2026:…"."""
    return f"{time[8:10]}/{_MONTHS[int(time[5:7]) - 1]}/{time[:4]}:{time[11:19]} +0000"


def _text(record: Record, key: str, safe: str = "") -> str:
    return _escaped(record.get(key, ""), safe) or _UNKNOWN


def _escaped(text: str, safe: str = "") -> str:
    """Return a text as percent-encoded ASCII, so that it ends neither a field nor a line.

    Lone surrogates become "?".
    """
    return quote(text, safe, errors="replace")
