"""Tests of the table [security]: what browsers would ignore or misread stops the start."""

from __future__ import annotations

import json
import tomllib

import pytest

from cookie_consent import Policy, PolicyError
from cookie_consent.policy.diff import announcement, compare
from cookie_consent.policy.security import SecurityRules
from tests.support.asgi import NOW, SITE, policy
from tests.support.policies import policy_of

TABLE = """
[security]
content_security_policy = \"\"\"default-src 'self'; img-src 'self' data: https:; sandbox allow-scripts; \\
    upgrade-insecure-requests; webrtc 'block'; report-uri /r\"\"\"
permissions_policy = 'camera=(), geolocation=(self "https://maps.example.com"), usb=*, midi=self;report-to=x'
referrer_policy = "no-referrer, strict-origin-when-cross-origin"
"""


def test_table_is_read_and_restored() -> None:
    kept = policy(SITE + TABLE)
    assert kept.security.content_security_policy.startswith("default-src 'self'; img-src")
    assert Policy.from_document(json.loads(json.dumps(kept.document()))).security == kept.security
    assert kept.version != policy(SITE).version


def test_empty_table_is_as_good_as_none() -> None:
    assert policy(SITE + "\n[security]\n").version == policy(SITE).version


def test_change_of_the_table_is_no_news_for_visitors() -> None:
    from datetime import UTC, datetime

    old, new = policy(SITE), policy(SITE + TABLE)
    (change,) = compare(old, new)
    assert (change.what, change.material) == ("[security] changed", False)
    assert announcement(old, new, datetime.fromtimestamp(NOW, UTC).date()) == ""


@pytest.mark.requirement("CSP-05")
@pytest.mark.parametrize(
    ("key", "value", "advice"),
    [
        ("content_security_policy", "defualt-src 'self'", 'Did you mean "default-src"'),
        ("content_security_policy", "default-src 'self', img-src *", "a comma would begin a second policy"),
        ("content_security_policy", "img-src a; IMG-SRC b", 'browsers ignore the second "img-src"'),
        ("content_security_policy", "script-src self", "read self as the name of a host. Write 'self'"),
        ("content_security_policy", "script-src Unsafe-Inline", "Write 'Unsafe-Inline'"),
        ("content_security_policy", "script-src 'nonce-abc'", "with 'nonce-abc', a script is loaded from any host"),
        ("content_security_policy", "script-src 'Strict-Dynamic'", "A policy of your app may have it"),
        ("content_security_policy", "img-src ü", "printable ASCII"),
        ("content_security_policy", "img-src a;\n script-src b", "printable ASCII"),
        ("permissions_policy", "camera 'none'", "\"camera 'none'\" cannot be read"),
        ("permissions_policy", "camera=(), geolocation", '"geolocation" cannot be read'),
        ("permissions_policy", "camera=(", "cannot be read"),
        ("referrer_policy", "none", "is no referrer policy"),
        ("referrer_policy", "no-referer", 'Did you mean "no-referrer"'),
        ("referrer_policy", 5, "5 is no text"),
        ("referer_policy", "origin", 'Did you mean "referrer_policy"'),
    ],
)
def test_value_that_browsers_would_ignore_or_misread_stops_the_start(key: str, value: object, advice: str) -> None:
    data = {**tomllib.loads(SITE), "security": {key: value}}
    with pytest.raises(PolicyError) as caught:
        policy_of(data)
    assert advice in str(caught.value)
    assert "[security]" in str(caught.value)
    assert f'"{key}"' in str(caught.value)


def test_empty_directives_are_no_error() -> None:
    assert SecurityRules(content_security_policy=" ;; default-src 'none' ; ").referrer_policy == ""
