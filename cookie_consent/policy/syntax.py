"""The syntax of ids, languages, hosts, paths, links, origins and durations in a policy."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

from cookie_consent.base.cookies import is_domain
from cookie_consent.policy.errors import PolicyError
from cookie_consent.texts.locales import is_country

HIGHEST_PORT = 65535
PLACEHOLDER = "…"
"""A text that begins so is to be written."""

ID = re.compile(r"[a-z][a-z0-9_-]*")
LANGUAGE = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*")
COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
ORIGIN = re.compile(rf"(?:http|ws)s?://(?:\*\.)?{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?")
PATH = re.compile(r"/[!-~]*")
_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
}
_EXACT = ("day", "hour", "minute", "second")
"""The units for writing a duration. Months and years are left out because their lengths vary."""
_ROUNDED_FROM = 3600
"""Above so many seconds a duration is rounded up to minutes: an app that computes Expires loses some seconds."""
_DURATION = re.compile(r"([1-9][0-9]{0,5}) (second|minute|hour|day|week|month|year)s?")
"""Six digits at most, so that `timedelta` cannot overflow."""


def mismatch(pattern: re.Pattern[str], value: str, key: str, remedy: str) -> Iterator[PolicyError]:
    """Yield an error unless a value matches a pattern."""
    if not pattern.fullmatch(value):
        yield PolicyError(f"{value!r} is not valid here", remedy, key=key)


def wrong_id(value: str, key: str = "id") -> Iterator[PolicyError]:
    """Yield an error unless a value is a valid id."""
    yield from mismatch(ID, value, key, "Use small letters, digits, - and _, a letter first.")


def empty_text(value: str, key: str) -> Iterator[PolicyError]:
    """Yield an error if a text is empty or blank."""
    if not value.strip():
        yield PolicyError("the text is empty", "Write it, or leave the whole table out.", key=key)


def wrong_link(value: str, key: str) -> Iterator[PolicyError]:
    """Yield an error unless a value is a safe link: a path, or an http or https address."""
    # Browsers read "//host" as an address on another host.
    if value.startswith("//") or not (value.startswith(("/", "https://", "http://")) and value.isprintable()):
        yield PolicyError(f"{value!r} is no link", 'Write a path like "/terms" or an https:// address.', key=key)


def wrong_origin(value: str, key: str) -> Iterator[PolicyError]:
    """Yield an error unless a value is an origin: scheme, host and optionally a port."""
    if not ORIGIN.fullmatch(value):
        remedy = 'An origin is scheme and host only, in small letters: "https://maps.example.com".'
        yield PolicyError(f"{value!r} is not valid here", remedy, key=key)
    elif (port := value.rpartition(":")[2]).isdigit() and int(port) > HIGHEST_PORT:
        yield PolicyError(f"{value!r} has no valid port", f"Ports go up to {HIGHEST_PORT}.", key=key)


def wrong_country(value: str, key: str) -> Iterator[PolicyError]:
    """Yield an error unless a value is the code of a country."""
    if not is_country(value):
        yield PolicyError(
            f"{value!r} is no country", 'Write its code of ISO 3166-1, as in "JP", "US" or "GB".', key=key
        )


def parse_duration(text: str) -> timedelta:
    """Read a duration such as "395 days". A month counts as 30 days, a year as 365.

    Raises:
        ValueError: the text is not a whole number, a space and a unit.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f'{text!r} is no duration: write a whole number and a unit, as in "395 days"')
    return int(match[1]) * _UNITS[match[2]]


def written_duration(seconds: float) -> str:
    """Return a duration as a policy file writes it, such as "14 days", rounded up to seconds or minutes.

    Args:
        seconds: more than 0.
    """
    whole = math.ceil(seconds)
    if whole > _ROUNDED_FROM:
        whole = math.ceil(whole / 60) * 60
    lengths = ((unit, int(_UNITS[unit].total_seconds())) for unit in _EXACT)
    unit, length = next((unit, length) for unit, length in lengths if whole % length == 0)
    number = whole // length
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


LONGEST_HOST_NAMES = 256
"""The largest number of bytes for the hosts in the consent cookie, which browsers send with each request."""
_NOT_IN_HOST = re.compile(r"^[a-z]+://|^\.+|[/?#].*$|:[0-9]*(?=[/?#]|$)|\.+$", re.IGNORECASE)
"""Around a host name: a scheme, dots, a path, a port."""


def host_label(host: str, domain: str) -> str:
    """Return how the consent cookie names a host of a domain: the labels before the domain; "" is the domain itself."""
    return host.removesuffix(domain).removesuffix(".")


def wrong_hosts(domain: str, hosts: Sequence[str]) -> Iterator[PolicyError]:
    """Yield an error for each host that no cookie in the domain can reach, or that is named twice.

    Public suffixes such as "co.uk" pass, because no list of them is complete. Browsers refuse cookies for them.
    """
    if not hosts:
        example = f'Write the hosts on which one answer counts: hosts = ["{domain}", "www.{domain}"].'
        yield PolicyError("hosts are missing", example, key="hosts")
    for host in dict.fromkeys(hosts):
        yield from _no_domain(host, "hosts")
        if hosts.count(host) > 1:
            yield PolicyError(f'the host "{host}" is listed twice', "List each once.", key="hosts")
    common = _common_domain(hosts)
    if domain:
        yield from _no_domain(domain, "domain")
    else:
        remedy = f'Write domain = "{common}".' if common else _NOTHING_IN_COMMON
        yield PolicyError("the domain in which the hosts share their cookie is missing", remedy, key="domain")
    if is_domain(domain):
        yield from _out_of_reach(domain, [host for host in hosts if is_domain(host)], common)


def _out_of_reach(domain: str, hosts: Sequence[str], common: str) -> Iterator[PolicyError]:
    for host in hosts:
        if host != domain and not host.endswith(f".{domain}"):
            fits = f'Write domain = "{common}", or take the host out.' if common else _NOTHING_IN_COMMON
            yield PolicyError(f'no cookie of "{domain}" reaches "{host}"', fits, key="hosts")
    length = sum(len(host_label(host, domain)) + 1 for host in hosts)
    if length > LONGEST_HOST_NAMES:
        yield PolicyError(
            f"the hosts take {length} bytes in a cookie that comes with each request",
            f"List fewer; {LONGEST_HOST_NAMES} bytes are the most.",
            key="hosts",
        )


_NOTHING_IN_COMMON = "Hosts share a cookie only within one domain: take out those of other domains."


def _no_domain(value: str, key: str) -> Iterator[PolicyError]:
    """Yield an error unless a value is the name of a host or domain for which browsers store a Domain cookie."""
    if is_domain(value):
        return
    meant = _NOT_IN_HOST.sub("", value.strip()).lower()
    if not meant.isascii():
        meant = _in_ascii(meant)
    if is_domain(meant):
        yield PolicyError(f"{value!r} is no bare host name in small ASCII letters", f'Write "{meant}".', key=key)
    else:
        yield PolicyError(
            f"browsers store no cookie with the domain {value!r}",
            'Write a name with a dot, like "example.jp"; no address, and no single word such as "localhost".',
            key=key,
        )


def _in_ascii(host: str) -> str:
    """Return an internationalised name as browsers send it, or "" if that is not certain."""
    try:
        encoded = host.encode("idna")
        # Python's codec maps letters such as "ß" otherwise than browsers do. They do not come back.
        return encoded.decode("ascii") if encoded.decode("idna") == host else ""
    except UnicodeError:
        return ""


def _common_domain(hosts: Sequence[str]) -> str:
    """Return the longest domain that all hosts have in common; "" if there is none."""
    labels = [host.split(".")[::-1] for host in hosts]
    common = []
    for one in zip(*labels, strict=False):
        if len(set(one)) > 1:
            break
        common.append(one[0])
    domain = ".".join(reversed(common))
    return domain if is_domain(domain) else ""
