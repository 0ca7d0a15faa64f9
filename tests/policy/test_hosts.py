"""Tests of the hosts on which one answer counts: what is accepted, and what each error proposes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cookie_consent.policy.errors import PolicyError, select_errors
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import LONGEST_HOST_NAMES, check_hosts
from tests.support.policies import full_policy_data, policy_of, small_policy

JP, SHOP, WWW = "example.jp", "shop.example.jp", "www.example.jp"


@pytest.mark.parametrize(
    ("domain", "hosts"),
    [
        (JP, [JP, SHOP]),
        (JP, [JP]),
        (JP, [SHOP, "a.b.c.example.jp"]),
        (SHOP, [f"a.{SHOP}", f"b.{SHOP}"]),
        ("xn--bcher-kva.example", ["www.xn--bcher-kva.example"]),
        ("example.co.uk", ["a.example.co.uk"]),
    ],
)
def test_hosts_of_a_domain_are_accepted(domain: str, hosts: list[str]) -> None:
    assert [*select_errors(check_hosts(domain, hosts))] == []
    data = full_policy_data()
    data["site"] |= {"domain": domain, "hosts": hosts}
    policy = policy_of(data)
    assert (policy.site.domain, policy.site.hosts) == (domain, tuple(hosts))
    assert Policy.from_document(policy.document()).version == policy.version


@pytest.mark.parametrize(
    ("domain", "hosts", "key", "said"),
    [
        (JP, [], "hosts", 'hosts = ["example.jp", "www.example.jp"]'),
        ("", [SHOP, WWW], "domain", 'Write domain = "example.jp".'),
        ("", [SHOP, "shop.other.jp"], "domain", "take out those of other domains"),
        (SHOP, [SHOP, WWW], "hosts", 'Write domain = "example.jp", or take the host out.'),
        (JP, [SHOP, "evilexample.jp"], "hosts", 'no cookie of "example.jp" reaches "evilexample.jp"'),
        (JP, [SHOP, "shop.example.jp.evil.test"], "hosts", "take out those of other domains"),
        (JP, [SHOP, WWW, SHOP], "hosts", 'the host "shop.example.jp" is listed twice'),
        (JP, ["Shop.Example.jp"], "hosts", 'Write "shop.example.jp".'),
        (JP, ["shop.example.jp:8443"], "hosts", 'Write "shop.example.jp".'),
        (JP, ["https://shop.example.jp:8443/a?b"], "hosts", 'Write "shop.example.jp".'),
        (JP, [" shop.example.jp. "], "hosts", 'Write "shop.example.jp".'),
        (f".{JP}", [SHOP], "domain", 'Write "example.jp".'),
        (JP.upper(), [SHOP], "domain", 'Write "example.jp".'),
        ("bücher.example", ["www.xn--bcher-kva.example"], "domain", 'Write "xn--bcher-kva.example".'),
        ("example.jp", ["日本語.example.jp"], "hosts", 'Write "xn--wgv71a119e.example.jp".'),
        ("straße.example", ["www.strasse.example"], "domain", "no cookie with the domain 'straße.example'"),
        ("a" * 70 + "ü.example", [SHOP], "domain", "browsers store no cookie"),
        ("localhost", ["app.localhost"], "domain", 'no single word such as "localhost"'),
        (JP, ["localhost"], "hosts", "browsers store no cookie with the domain 'localhost'"),
        ("jp", [JP], "domain", "browsers store no cookie"),
        ("10.0.0.1", ["10.0.0.1"], "hosts", "no address"),
        ("0.0.1", [JP], "domain", "no address"),
        (JP, ["[2001:db8::1]"], "hosts", "no address"),
        (JP, ["*.example.jp"], "hosts", "browsers store no cookie"),
        (JP, [""], "hosts", "browsers store no cookie"),
        (JP, ["shop_1.example.jp"], "hosts", "browsers store no cookie"),
    ],
)  # fmt: skip
def test_error_says_what_would_be_right(domain: str, hosts: list[str], key: str, said: str) -> None:
    data = full_policy_data()
    data["site"] |= {"domain": domain, "hosts": hosts}
    with pytest.raises(PolicyError) as caught:
        policy_of(data)
    assert said in str(caught.value)
    assert (caught.value.table, caught.value.key) == ("[site]", key)


@pytest.mark.requirement("CK-02")
def test_hosts_fit_into_the_cookie() -> None:
    most = LONGEST_HOST_NAMES // 4
    assert [*select_errors(check_hosts(JP, [f"{number:03}.{JP}" for number in range(most)]))] == []
    (error,) = select_errors(check_hosts(JP, [f"{number:03}.{JP}" for number in range(most + 1)]))
    assert error.problem.startswith(f"the hosts take {LONGEST_HOST_NAMES + 4} bytes")


def test_hosts_change_the_version() -> None:
    policy = small_policy()
    shared = replace(policy, site=replace(policy.site, domain=JP, hosts=(JP,)))
    assert shared.version != policy.version
