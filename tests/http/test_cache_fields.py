"""Tests of Vary and Cache-Control: how fields are merged, and which responses get them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.base.cookies import Headers
from cookie_consent.http.plan import plain_fields
from cookie_consent.http.send import depend_on
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PHONE, Visitor, call, install, page_app, reply_app

ADDED = (b"Cookie", b"Sec-GPC")


def merge_fields(headers: Headers) -> Headers:
    return depend_on(plain_fields(headers), ADDED)


def values_of(headers: Headers, name: bytes) -> list[bytes]:
    return [value for own, value in headers if own.lower() == name]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [b"Cookie, Sec-GPC"]),
        ([b""], [b"Cookie, Sec-GPC"]),
        ([b"Accept-Encoding"], [b"Accept-Encoding, Cookie, Sec-GPC"]),
        ([b"cookie"], [b"cookie, Sec-GPC"]),
        ([b"SEC-GPC , COOKIE"], [b"SEC-GPC, COOKIE"]),
        ([b"Accept", b"Cookie"], [b"Accept, Cookie, Sec-GPC"]),
        ([b"*"], [b"*"]),
        ([b"Accept, *"], [b"Accept, *"]),
    ],
)
def test_vary_adds_each_missing_field_name_once(before: list[bytes], after: list[bytes]) -> None:
    headers = [(b"x", b"1"), *((b"Vary", value) for value in before), (b"y", b"2")]
    merged = merge_fields(headers)
    assert values_of(merged, b"vary") == after
    assert merged[:2] == [(b"x", b"1"), (b"y", b"2")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [b"private"]),
        ([b""], [b"private"]),
        ([b"max-age=60"], [b"max-age=60, private"]),
        ([b"public, max-age=60"], [b"max-age=60, private"]),
        ([b"PUBLIC"], [b"private"]),
        ([b"s-maxage=60,Max-Age=5"], [b"Max-Age=5, private"]),
        ([b"s-maxage = 60"], [b"private"]),
        ([b"private"], [b"private"]),
        ([b"Private, max-age=60"], [b"Private, max-age=60"]),
        ([b"no-store"], [b"no-store"]),
        ([b"No-Store, public"], [b"No-Store"]),
        ([b"no-cache"], [b"no-cache, private"]),
        ([b"must-revalidate", b"max-age=1"], [b"must-revalidate, max-age=1, private"]),
        ([b"public", b"max-age=1"], [b"max-age=1, private"]),
        ([b"max-age=1", b"public"], [b"max-age=1, private"]),
        # This form makes only the named fields private.
        ([b'private="set-cookie"'], [b'private="set-cookie", private']),
        ([b'no-cache="a, public, \\", s-maxage=1", public'], [b'no-cache="a, public, \\", s-maxage=1", private']),
        ([b'extension="private, no-store"'], [b'extension="private, no-store", private']),
        ([b"publicity, s-maxage-not=1"], [b"publicity, s-maxage-not=1, private"]),
        ([b",, ,max-age=1,,"], [b"max-age=1, private"]),
        ([b'x="unended, public'], [b'x="unended, private']),
    ],
)
def test_cache_control_forbids_shared_caches_and_keeps_other_directives(
    before: list[bytes], after: list[bytes]
) -> None:
    headers = [(b"x", b"1"), *((b"Cache-Control", value) for value in before), (b"y", b"2")]
    kept = merge_fields(headers)
    assert values_of(kept, b"cache-control") == after
    assert kept[:2] == [(b"x", b"1"), (b"y", b"2")]


def test_private_response_loses_the_fields_of_single_caches() -> None:
    """With X-Accel-Expires nginx ignores Cache-Control: two visitors would get the same form."""
    names = ("x-accel-expires", "surrogate-control", "edge-control", "cdn-cache-control", "surf-cache-control")
    before = [(name, "max-age=60") for name in names]
    asked = call(install(page_app(headers=[("ETag", "e"), *before])))
    assert [asked.get(name) for name in names] == [""] * 5
    assert (asked.get("cache-control"), b"refuse_all" in asked.body) == ("private", True)
    assert [name for name, _ in merge_fields([(b"X-Accel-Expires", b"60")])] == [b"vary", b"cache-control"]
    untouched = call(install(reply_app(headers=before)))
    assert [(name, untouched.get(name)) for name in names] == before


_words = st.sampled_from(
    [
        *("public", "PUBLIC", "private", "no-store", "no-cache", "max-age=60", "s-maxage=60", "S-MaxAge = 1"),
        *(
            'private="set-cookie"',
            'no-cache="x, public"',
            "immutable",
            "stale-while-revalidate=9",
            "",
            " ",
            "a=\\",
        ),
    ]
)
_lists = st.lists(_words, max_size=4).map(lambda words: ",".join(words).encode())
_varies = st.lists(
    st.sampled_from(["Cookie", "cookie", "Accept", "sec-gpc", "*", "", " Accept-Language "]), max_size=4
).map(lambda words: ",".join(words).encode())
_names = st.sampled_from([b"cache-control", b"Cache-Control", b"cdn-cache-control"])
_headers = st.lists(
    st.one_of(
        st.tuples(_names, _lists),
        st.tuples(st.sampled_from([b"vary", b"Vary"]), _varies),
        st.tuples(st.sampled_from([b"x", b"set-cookie"]), st.binary(max_size=4)),
    ),
    max_size=6,
)


def directives(headers: Headers, name: bytes) -> list[bytes]:
    """Return the directives of a field. They are separated by commas outside quotes."""
    found = []
    for value in values_of(headers, name):
        word, quoted, rest = bytearray(), False, iter(value)
        for byte in rest:
            if quoted and byte == ord("\\"):
                word += bytes([byte, next(rest, 32)])
                continue
            quoted ^= byte == ord('"')
            if byte == ord(",") and not quoted:
                found.append(bytes(word))
                word.clear()
            else:
                word.append(byte)
        found.append(bytes(word))
    return [word.strip() for word in found if word.strip()]


def _is_for_shared_caches(directive: bytes) -> bool:
    return bool(re.fullmatch(rb"(?i)public(\s*=.*)?|s-maxage(\s*=.*)?", directive))


@given(_headers)
def test_cache_control_loses_only_shared_cache_directives(headers: Headers) -> None:
    before = directives(headers, b"cache-control")
    after = directives(merge_fields(headers), b"cache-control")
    kept = [word for word in before if not _is_for_shared_caches(word)]
    assert after[: len(kept)] == kept
    assert after[len(kept) :] in ([], [b"private"])
    assert {word.lower() for word in after} & {b"private", b"no-store"}
    assert directives(merge_fields(headers), b"cdn-cache-control") == []


@pytest.mark.requirement("CA-01")
@given(_headers)
def test_vary_keeps_existing_names_and_repeats_none(headers: Headers) -> None:
    merged = merge_fields(headers)
    before = [word for word in directives(headers, b"vary") if word]
    after = [word for word in directives(merged, b"vary") if word]
    added = list(after)
    for word in before:
        added.remove(word)
    lowered = [word.lower() for word in before]
    assert added == ([] if b"*" in lowered else [name for name in ADDED if name.lower() not in lowered])


@given(_headers)
def test_other_fields_keep_their_order(headers: Headers) -> None:
    def others(headers: Headers) -> Headers:
        return [field for field in headers if not field[0].lower().endswith((b"cache-control", b"vary"))]

    assert others(merge_fields(headers)) == others(plain_fields(headers))


# Responses of a site.


@pytest.mark.requirement("CA-02")
def test_response_that_sets_our_cookie_is_never_public() -> None:
    app = install(reply_app(headers=[("cache-control", "public, s-maxage=9")]), access_log=MemorySink())
    visitor = Visitor(app, [("user-agent", PHONE)])
    accepted = visitor.accept()
    assert {"__Host-consent", "__Host-visitor"} == set(accepted.set_cookies)
    assert accepted.get("cache-control") == "no-store"
    del visitor.jar["__Host-visitor"]
    reply = visitor.get()
    assert list(reply.set_cookies) == ["__Host-visitor"]
    assert reply.get("cache-control") == "private"
    assert "Cookie" in reply.get("vary")
