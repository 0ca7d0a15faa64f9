"""Checks the hosts on which one answer counts, and the domain in which their cookie lives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cookie_consent.base.cookies import is_domain
from cookie_consent.policy.errors import PolicyError

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
