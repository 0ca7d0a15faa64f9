"""Checks the hosts on which one answer counts, and the domain in which their cookie lives."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cookie_consent.base.cookies.places import is_domain
from cookie_consent.policy.errors import PolicyError

LONGEST_HOST_NAMES = 256
"""The largest number of bytes for the hosts in the consent cookie, which browsers send with each request."""
_NOT_IN_HOST = re.compile(r"^[a-z]+://|^\.+|[/?#].*$|:[0-9]*(?=[/?#]|$)|\.+$", re.IGNORECASE)
"""Around a host name: a scheme, dots, a path, a port."""


def host_label(host: str, domain: str) -> str:
    """Return how the consent cookie names a host of a domain: the labels before the domain; "" is the domain itself."""
    return host.removesuffix(domain).removesuffix(".")


def check_hosts(domain: str, hosts: Sequence[str]) -> None:
    """Check that a cookie in the domain can reach all hosts, and names each once.

    Public suffixes such as "co.uk" pass, because no list of them is complete. Browsers refuse cookies for them.

    Raises:
        PolicyError: it cannot, or one of the two is missing.
    """
    if not hosts:
        example = f'Write the hosts on which one answer counts: hosts = ["{domain}", "www.{domain}"].'
        raise PolicyError("hosts are missing", example, key="hosts")
    for host in hosts:
        _require_domain(host, "hosts")
        if hosts.count(host) > 1:
            raise PolicyError(f'the host "{host}" is listed twice', "List each once.", key="hosts")
    common = _common_domain(hosts)
    if not domain:
        remedy = f'Write domain = "{common}".' if common else _NOTHING_IN_COMMON
        raise PolicyError("the domain in which the hosts share their cookie is missing", remedy, key="domain")
    _require_domain(domain, "domain")
    for host in hosts:
        if host != domain and not host.endswith(f".{domain}"):
            fits = f'Write domain = "{common}", or take the host out.' if common else _NOTHING_IN_COMMON
            raise PolicyError(f'no cookie of "{domain}" reaches "{host}"', fits, key="hosts")
    length = sum(len(host_label(host, domain)) + 1 for host in hosts)
    if length > LONGEST_HOST_NAMES:
        raise PolicyError(
            f"the hosts take {length} bytes in a cookie that comes with each request",
            f"List fewer; {LONGEST_HOST_NAMES} bytes are the most.",
            key="hosts",
        )


_NOTHING_IN_COMMON = "Hosts share a cookie only within one domain: take out those of other domains."


def _require_domain(value: str, key: str) -> None:
    """Raise a PolicyError unless a value is the name of a host or domain for which browsers store a Domain cookie."""
    if is_domain(value):
        return
    meant = _NOT_IN_HOST.sub("", value.strip()).lower()
    if not meant.isascii():
        meant = _in_ascii(meant)
    if is_domain(meant):
        raise PolicyError(f"{value!r} is no bare host name in small ASCII letters", f'Write "{meant}".', key=key)
    raise PolicyError(
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
