"""Tests of the parts of a policy: which values they accept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import (
    DIRECTIVES,
    LONGEST_PURPOSE_ID,
    Cookie,
    Feature,
    Purpose,
    Recipient,
    Service,
    Site,
)

TEXT = {"en": "Text"}
SITE = Site(name="Site", controller="Ltd.", contact="a@b.example", prevailing_language="en", languages=("en", "ja"))
PURPOSE = Purpose(id="media", title=TEXT, description=TEXT)
COOKIE = Cookie(name="c", purpose="media")
RECIPIENT = Recipient(id="maps", name="Maps Inc.", purpose="media", receives=TEXT)
FEATURE = Feature(id="map", title=TEXT, purposes=("media",), fallback=TEXT)
SERVICE = Service(id="whois", path="/whois")
PARTS: dict[str, Any] = {
    "site": SITE, "purpose": PURPOSE, "cookie": COOKIE, "recipient": RECIPIENT, "feature": FEATURE, "service": SERVICE
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("site", "languages", ("zh-Hant-TW", "en", "ja")),
        ("site", "policy_url", ""),
        ("site", "time_zone", "Asia/Tokyo"),
        ("site", "recipients", "none"),
        ("site", "policy_url", "/privacy"),
        ("site", "policy_url", "https://example.jp/privacy"),
        ("site", "policy_url", "http://example.jp/"),
        ("purpose", "id", "a"),
        ("purpose", "id", "a-b_c9"),
        ("purpose", "id", "x" * LONGEST_PURPOSE_ID),
        ("purpose", "retention", timedelta(days=9999)),
        ("cookie", "name", "_ga*"),
        ("cookie", "name", "!#$%&'*+-.^_`|~9Az"),
        ("cookie", "name", "__Host-c"),
        ("cookie", "duration", timedelta(days=400)),
        ("cookie", "path", "/videos/%20?x"),
        ("cookie", "name", "n" * 256),
        ("cookie", "path", "/" * 1024),
        ("cookie", "domain", "example.jp"),
        ("cookie", "domain", ".example.jp"),
        ("cookie", "domain", "localhost"),
        ("cookie", "domain", "xn--wgv71a.jp"),
        ("recipient", "origins", ("https://maps.example.com", "http://localhost:8000", "https://*.example.com:65535")),
        ("recipient", "directives", DIRECTIVES),
        ("recipient", "policy_url", "https://maps.example.com/privacy"),
        ("feature", "purposes", ("media", "analytics")),
        ("service", "path", "/"),
        ("service", "host", "shop.example.jp"),
        ("service", "policy_url", "/whois/terms"),
    ],
)  # fmt: skip
def test_valid_value_is_accepted(part: str, key: str, value: object) -> None:
    assert getattr(replace(PARTS[part], **{key: value}), key) == value


@pytest.mark.parametrize(
    ("part", "key", "value", "remedy"),
    [
        ("site", "name", "", "Write it"),
        ("site", "controller", " \t", "Write it"),
        ("site", "contact", "", "Write it"),
        ("site", "languages", ("en", "english"), "Write language tags"),
        ("site", "languages", ("en", "j"), "Write language tags"),
        ("site", "languages", ("en", "ja_JP"), "Write language tags"),
        ("site", "languages", ("en", "../ja"), "Write language tags"),
        ("site", "languages", ("en", "ja", "en"), "List each once"),
        ("site", "policy_url", "privacy", "Write a path like"),
        ("site", "time_zone", "Tokyo", 'Write a name of the IANA database, like "Asia/Tokyo"'),
        ("site", "recipients", "nobody", 'Write "none", or declare each in [[recipients]]'),
        ("site", "policy_url", "//evil.example", "Write a path like"),
        ("site", "policy_url", "javascript:alert(1)", "Write a path like"),
        ("site", "policy_url", "/a\nb", "Write a path like"),
        ("purpose", "id", "", "a letter first"),
        ("purpose", "id", "Media", "a letter first"),
        ("purpose", "id", "9media", "a letter first"),
        ("purpose", "id", "media maps", "a letter first"),
        ("purpose", "id", "media\n", "a letter first"),
        ("purpose", "id", "メディア", "a letter first"),
        ("purpose", "id", "x" * (LONGEST_PURPOSE_ID + 1), "Use at most 27"),
        ("cookie", "name", "", "no spaces"),
        ("cookie", "name", "a b", "no spaces"),
        ("cookie", "name", "a;b", "no spaces"),
        ("cookie", "name", "a=b", "no spaces"),
        ("cookie", "name", "a,b", "no spaces"),
        ("cookie", "name", '"a"', "no spaces"),
        ("cookie", "name", "a\n", "no spaces"),
        ("cookie", "name", "クッキー", "no spaces"),
        ("cookie", "name", "*", "Name the cookies"),
        ("cookie", "name", "***", "Name the cookies"),
        ("cookie", "duration", timedelta(days=400, seconds=1), '"400 days" at most'),
        ("cookie", "duration", timedelta(days=730), '"400 days" at most'),
        ("cookie", "path", "", 'begins with "/"'),
        ("cookie", "path", "videos", 'begins with "/"'),
        ("cookie", "path", "/a b", 'begins with "/"'),
        ("cookie", "path", "/a;b", 'begins with "/"'),
        ("cookie", "path", "/動画", 'begins with "/"'),
        ("cookie", "name", "n" * 257, "Write 256 at most"),
        ("cookie", "path", "/" * 1025, "Write 1024 at most"),
        ("cookie", "domain", "", "Write a host name"),
        ("cookie", "domain", "Example.JP", "Write a host name"),
        ("cookie", "domain", "https://example.jp", "Write a host name"),
        ("cookie", "domain", "example.jp:443", "Write a host name"),
        ("cookie", "domain", "example.jp; Secure", "Write a host name"),
        ("cookie", "domain", "-a.jp", "Write a host name"),
        ("cookie", "domain", "a..jp", "Write a host name"),
        ("cookie", "domain", "..a.jp", "Write a host name"),
        ("cookie", "domain", f"{'a' * 64}.jp", "Write a host name"),
        ("cookie", "domain", ".".join(["a" * 60] * 5), "Write a host name"),
        ("recipient", "id", "Maps", "a letter first"),
        ("recipient", "name", "", "Write it"),
        ("recipient", "origins", ("",), "scheme and host only"),
        ("recipient", "origins", ("maps.example.com",), "scheme and host only"),
        ("recipient", "origins", ("https://",), "scheme and host only"),
        ("recipient", "origins", ("https://maps.example.com/",), "scheme and host only"),
        ("recipient", "origins", ("https://maps.example.com/path",), "scheme and host only"),
        ("recipient", "origins", ("https://Maps.example.com",), "scheme and host only"),
        ("recipient", "origins", ("https://user@maps.example.com",), "scheme and host only"),
        ("recipient", "origins", ("https://a.*.example.com",), "scheme and host only"),
        ("recipient", "origins", ("https://*",), "scheme and host only"),
        ("recipient", "origins", ("https://a; script-src *",), "scheme and host only"),
        ("recipient", "origins", ("ftp://maps.example.com",), "scheme and host only"),
        ("recipient", "origins", ("https://maps.example.com:",), "scheme and host only"),
        ("recipient", "origins", ("https://a.example", "https://b.example:port"), "scheme and host only"),
        ("recipient", "origins", ("https://maps.example.com:65536",), "Ports go up to 65535"),
        ("recipient", "directives", ("frame", "imgs"), 'Did you mean "img"?'),
        ("recipient", "directives", ("img-src",), 'Did you mean "img"?'),
        ("recipient", "directives", ("",), "Known: child"),
        ("recipient", "policy_url", "maps.example.com", "Write a path like"),
        ("feature", "id", "Map", "a letter first"),
        ("feature", "purposes", (), "Name what it needs"),
        ("service", "id", "Whois", "a letter first"),
        ("service", "path", "whois", 'begins with "/"'),
        ("service", "path", "/who is", 'begins with "/"'),
        ("service", "host", "Shop.example.jp", "small letters"),
        ("service", "host", "shop.example.jp/", "small letters"),
        ("service", "policy_url", "terms", "Write a path like"),
    ],
)
def test_invalid_value_is_rejected_with_remedy(part: str, key: str, value: object, remedy: str) -> None:
    with pytest.raises(PolicyError) as caught:
        replace(PARTS[part], **{key: value})
    assert caught.value.key == key
    assert remedy in str(caught.value)


@pytest.mark.parametrize(("offered", "named"), [(("en", "ja"), "en, ja"), ((), "none listed")])
def test_prevailing_language_must_be_offered(offered: tuple[str, ...], named: str) -> None:
    with pytest.raises(PolicyError, match=f"choose one of: {named}") as caught:
        replace(SITE, prevailing_language="de", languages=offered)
    assert caught.value.key == "prevailing_language"


@pytest.mark.parametrize("change", [{"traces": True}, {"refused": True}, {"sells": True}])
def test_necessary_purpose_cannot_trace_sell_or_be_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match="Make it another purpose"):
        Purpose(id="necessary", title=TEXT, description=TEXT, **change)


def test_only_a_purpose_that_traces_erases_on_withdrawal() -> None:
    with pytest.raises(PolicyError, match="nothing is recorded that could be erased"):
        Purpose(id="ads", title=TEXT, description=TEXT, erase_on_withdrawal=True)


@pytest.mark.parametrize(
    ("place", "key"),
    [({"domain": "example.jp"}, "domain"), ({"path": "/a"}, "path"), ({"domain": "a.jp", "path": "/a"}, "domain")],
)
@pytest.mark.parametrize("name", ["__Host-c", "__HOST-c", "__host-c"])
def test_host_cookie_must_have_no_domain_or_path(name: str, place: dict[str, str], key: str) -> None:
    with pytest.raises(PolicyError, match="Leave domain and path out") as caught:
        Cookie(name=name, purpose="media", domain=place.get("domain"), path=place.get("path", "/"))
    assert caught.value.key == key


def test_service_needs_path_or_host() -> None:
    with pytest.raises(PolicyError, match='Write path = "/…" or host = "…"'):
        Service(id="whois")


MAKERS: dict[str, Callable[[str], object]] = {
    "cookie name": lambda text: replace(COOKIE, name=text),
    "cookie path": lambda text: replace(COOKIE, path=text),
    "cookie domain": lambda text: replace(COOKIE, domain=text),
    "origin": lambda text: replace(RECIPIENT, origins=(text,)),
    "directive": lambda text: replace(RECIPIENT, directives=(text,)),
    "language": lambda text: replace(SITE, languages=("en", text)),
    "link": lambda text: replace(SITE, policy_url=text),
    "purpose id": lambda text: replace(PURPOSE, id=text),
    "service path": lambda text: replace(SERVICE, path=text),
    "service host": lambda text: replace(SERVICE, host=text),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@given(text=st.text() | st.text("/:.*;- \r\nahtps", max_size=20))
def test_accepted_text_cannot_break_header_field(make: Callable[[str], object], text: str) -> None:
    try:
        make(text)
    except PolicyError:
        return
    assert text.isprintable()
    assert "\n" not in text


@pytest.mark.requirement("ST-05")
@pytest.mark.parametrize("name", ["theme", "ajs:cart", "seen of *", "設定", "n" * 256])
def test_key_of_the_browsers_storage_has_any_name_and_lifetime(name: str) -> None:
    stored = Cookie(name=name, purpose="media", kind="storage", duration=timedelta(days=4000))
    assert stored.is_stored
    assert not Cookie(name="theme", purpose="media").is_stored


@pytest.mark.parametrize(
    ("changes", "key", "remedy"),
    [
        ({"name": " "}, "name", "Write it"),
        ({"name": "*"}, "name", "Name the cookies"),
        ({"name": "n" * 257}, "name", "Write 256 at most"),
        ({"path": "/a"}, "path", "Leave the line out"),
        ({"domain": "example.jp"}, "domain", "Leave the line out"),
        ({"kind": "localStorage"}, "kind", 'Write "cookie" or "storage"'),
    ],
)
def test_storage_that_browsers_do_not_have_is_rejected(changes: dict[str, Any], key: str, remedy: str) -> None:
    with pytest.raises(PolicyError) as error:
        Cookie(**{"name": "theme", "purpose": "media", "kind": "storage", **changes})
    assert error.value.key == key
    assert remedy in error.value.remedy
