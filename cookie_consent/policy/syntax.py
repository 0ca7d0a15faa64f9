"""The syntax of ids, languages, hosts, paths, links, origins and durations in a policy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Annotated

from cookie_consent.base.cookies import is_domain
from cookie_consent.policy.errors import Row
from cookie_consent.texts.locales import is_country

HIGHEST_PORT = 65535
LONGEST_HOST_NAMES = 256
"""The largest number of bytes for the hosts in the consent cookie, which browsers send with each request."""
PLACEHOLDER = "…"
"""A text that begins so is to be written."""

LANGUAGE = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*")
COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_ORIGIN = re.compile(rf"(?:http|ws)s?://(?:\*\.)?{_LABEL}(?:\.{_LABEL})*(?::([0-9]{{1,5}}))?")
_NOT_IN_HOST = re.compile(r"^[a-z]+://|^\.+|[/?#].*$|:[0-9]*(?=[/?#]|$)|\.+$", re.IGNORECASE)
"""Around a host name: a scheme, dots, a path, a port."""
_DAY = 86400
_UNITS = {
    "year": 365 * _DAY,
    "month": 30 * _DAY,
    "week": 7 * _DAY,
    "day": _DAY,
    "hour": 3600,
    "minute": 60,
    "second": 1,
}
"""Unit -> its length in seconds."""
_EXACT = ("day", "hour", "minute", "second")
"""The units for writing a duration. Months and years are left out because their lengths vary."""
_ROUNDED_FROM = 3600
"""Above so many seconds a duration is rounded up to minutes: an app that computes Expires loses some seconds."""
_DURATION = re.compile(rf"([1-9][0-9]{{0,5}}) ({'|'.join(_UNITS)})s?")
"""Six digits at most, so that `timedelta` cannot overflow."""
_NOT_VALID = "is not valid here"
_NOTHING_IN_COMMON = "Hosts share a cookie only within one domain: take out those of other domains."

Fault = tuple[str, str]
"""What is wrong with a value, and what would be right."""
Check = Callable[[str], Iterator[Fault]]
"""Yields what is wrong with a value. In an annotation, it checks each value but the default."""


def rule(is_right: Callable[[str], object], problem: str, remedy: str | Callable[[str], str]) -> Check:
    """Return a check that a value is right."""

    def check(value: str) -> Iterator[Fault]:
        if not is_right(value):
            yield f"{value!r} {problem}", remedy if isinstance(remedy, str) else remedy(value)

    return check


def _is_link(value: str) -> bool:
    # Browsers read "//host" as an address on another host.
    return value.startswith(("/", "https://", "http://")) and not value.startswith("//") and value.isprintable()


def _is_origin(value: str) -> bool:
    match = _ORIGIN.fullmatch(value)
    return match is not None and int(match[1] or 0) <= HIGHEST_PORT


Name = Annotated[str, rule(str.strip, "is empty", "Write it, or leave the whole table out.")]
Id = Annotated[
    str,
    rule(re.compile(r"[a-z][a-z0-9_-]*").fullmatch, _NOT_VALID, "Use small letters, digits, - and _, a letter first."),
]
Language = Annotated[str, rule(LANGUAGE.fullmatch, _NOT_VALID, 'Write language tags like "ja" or "en-GB".')]
Path = Annotated[str, rule(re.compile(r"/[!-~]*").fullmatch, _NOT_VALID, 'A path begins with "/".')]
Host = Annotated[str, rule(HOST.fullmatch, _NOT_VALID, 'Write a host name in small letters, like "shop.example.jp".')]
Link = Annotated[str, rule(_is_link, "is no link", 'Write a path like "/terms" or an https:// address.')]
Origin = Annotated[
    str,
    rule(
        _is_origin,
        _NOT_VALID,
        'An origin is scheme and host only, in small letters: "https://maps.example.com". '
        f"Ports go up to {HIGHEST_PORT}.",
    ),
]
Country = Annotated[str, rule(is_country, "is no country", 'Write its code of ISO 3166-1, as in "JP", "US" or "GB".')]


def parse_duration(text: str) -> timedelta:
    """Read a duration such as "395 days". A month counts as 30 days, a year as 365.

    Raises:
        ValueError: the text is not a whole number, a space and a unit.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f'{text!r} is no duration: write a whole number and a unit, as in "395 days"')
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def written_duration(seconds: float) -> str:
    """Return a duration as a policy file writes it, such as "14 days", rounded up to seconds or minutes."""
    whole = math.ceil(seconds)
    if whole > _ROUNDED_FROM:
        whole = math.ceil(whole / 60) * 60
    unit = next(unit for unit in _EXACT if whole % _UNITS[unit] == 0)
    number = whole // _UNITS[unit]
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def host_label(host: str, domain: str) -> str:
    """Return how the consent cookie names a host of a domain: the labels before the domain; "" is the domain itself."""
    return host.removesuffix(domain).removesuffix(".")


def check_hosts(domain: str, hosts: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each host that no cookie in the domain can reach, or that is named twice.

    Public suffixes such as "co.uk" pass, because no list of them is complete. Browsers refuse cookies for them.
    """
    common = _find_common_domain(hosts)
    yield from (
        (
            not hosts,
            "hosts",
            "hosts are missing",
            f'Write the hosts on which one answer counts: hosts = ["{domain}", "www.{domain}"].',
        ),
        (
            not domain,
            "domain",
            "the domain in which the hosts share their cookie is missing",
            f'Write domain = "{common}".' if common else _NOTHING_IN_COMMON,
        ),
    )
    for key, names in (("hosts", dict.fromkeys(hosts)), ("domain", filter(None, [domain]))):
        yield from ((True, key, *fault) for name in names for fault in _check_domain(name))
    for host in dict.fromkeys(hosts):
        is_near = f".{host}".endswith(f".{domain}") or not is_domain(domain) or not is_domain(host)
        yield from (
            (hosts.count(host) > 1, "hosts", f'the host "{host}" is listed twice', "List each once."),
            (
                not is_near,
                "hosts",
                f'no cookie of "{domain}" reaches "{host}"',
                f'Write domain = "{common}", or take the host out.' if common else _NOTHING_IN_COMMON,
            ),
        )
    length = sum(len(host_label(host, domain)) + 1 for host in hosts)
    yield (
        length > LONGEST_HOST_NAMES,
        "hosts",
        f"the hosts take {length} bytes in a cookie that comes with each request",
        f"List fewer; {LONGEST_HOST_NAMES} bytes are the most.",
    )


def _check_domain(value: str) -> Iterator[Fault]:
    """Yield an error unless a value is the name of a host or domain for which browsers store a Domain cookie."""
    meant = _write_in_ascii(_NOT_IN_HOST.sub("", value.strip()).lower())
    if is_domain(value):
        return
    if is_domain(meant):
        yield f"{value!r} is no bare host name in small ASCII letters", f'Write "{meant}".'
    else:
        yield (
            f"browsers store no cookie with the domain {value!r}",
            'Write a name with a dot, like "example.jp"; no address, and no single word such as "localhost".',
        )


def _write_in_ascii(host: str) -> str:
    """Return an internationalised name as browsers send it, or "" if that is not certain."""
    try:
        encoded = host.encode("idna")
        # Python's codec maps letters such as "ß" otherwise than browsers do. They do not come back.
        return encoded.decode("ascii") if encoded.decode("idna") == host else ""
    except UnicodeError:
        return ""


def _find_common_domain(hosts: Sequence[str]) -> str:
    """Return the longest domain that all hosts have in common; "" if there is none."""
    first = hosts[0] if hosts else ""
    while first and not all(f".{host}".endswith(f".{first}") for host in hosts):
        first = first.partition(".")[2]
    return first if is_domain(first) else ""
