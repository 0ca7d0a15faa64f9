"""What a response says to caches: more careful than the app said it, never less."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.base.caching import Headers, depending_on, keep_private, vary_on
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PHONE, PREFIX, SITE, Visitor, answering, call, install, page

OURS = (b"Cookie", b"Sec-GPC")


def fields(headers: Headers, name: bytes) -> list[bytes]:
    return [value for own, value in headers if own.lower() == name]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ([], [b"Cookie, Sec-GPC"]),
        ([b""], [b"", b"Cookie, Sec-GPC"]),
        ([b"Accept-Encoding"], [b"Accept-Encoding, Cookie, Sec-GPC"]),
        ([b"cookie"], [b"cookie, Sec-GPC"]),
        ([b"SEC-GPC , COOKIE"], [b"SEC-GPC , COOKIE"]),
        ([b"Accept", b"Cookie"], [b"Accept, Sec-GPC", b"Cookie"]),
        ([b"*"], [b"*"]),
        ([b"Accept, *"], [b"Accept, *"]),
    ],
)
def test_vary_names_ours_beside_the_apps_each_once(said: list[bytes], says: list[bytes]) -> None:
    headers = [(b"x", b"1"), *((b"Vary", value) for value in said), (b"y", b"2")]
    merged = vary_on(headers, OURS)
    assert fields(merged, b"vary") == says
    assert [field for field in merged if field[0].lower() != b"vary"] == [(b"x", b"1"), (b"y", b"2")]


@pytest.mark.parametrize(
    ("said", "says"),
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
        ([b"must-revalidate", b"max-age=1"], [b"must-revalidate", b"max-age=1, private"]),
        ([b"public", b"max-age=1"], [b"max-age=1, private"]),
        ([b"max-age=1", b"public"], [b"max-age=1, private"]),
        # Only the named fields are private then.
        ([b'private="set-cookie"'], [b'private="set-cookie", private']),
        ([b'no-cache="a, public, \\", s-maxage=1", public'], [b'no-cache="a, public, \\", s-maxage=1", private']),
        ([b'extension="private, no-store"'], [b'extension="private, no-store", private']),
        ([b"publicity, s-maxage-not=1"], [b"publicity, s-maxage-not=1, private"]),
        ([b",, ,max-age=1,,"], [b"max-age=1, private"]),
        ([b'x="unended, public'], [b'x="unended, private']),
    ],
)
def test_no_shared_cache_may_keep_it_and_the_rest_is_as_the_app_said(said: list[bytes], says: list[bytes]) -> None:
    headers = [(b"x", b"1"), *((b"Cache-Control", value) for value in said), (b"y", b"2")]
    kept = keep_private(headers)
    assert fields(kept, b"cache-control") == says
    assert [field for field in kept if field[0].lower() != b"cache-control"] == [(b"x", b"1"), (b"y", b"2")]


@pytest.mark.parametrize(
    ("name", "said", "says"),
    [
        (b"X-Accel-Expires", b"60", b"0"),
        (b"x-accel-expires", b"@1893456000", b"0"),
        (
            b"Surrogate-Control",
            b'max-age=3600, content="ESI/1.0", stale-while-revalidate=9',
            b'no-store, content="ESI/1.0"',
        ),
        (b"Edge-Control", b"!no-store, cache-maxage=1h,dca=esi", b"no-store, dca=esi"),
        (b"edge-control", b"", b"no-store"),
    ],
)
def test_what_single_caches_read_first_lets_none_keep_it(name: bytes, said: bytes, says: bytes) -> None:
    headers = [(b"etag", b"e"), (name, said)]
    assert depending_on(headers, OURS)[:2] == [(b"etag", b"e"), (name, says)]
    assert (b"cache-control", b"private") in depending_on(headers, OURS)
    assert depending_on(depending_on(headers, OURS), OURS) == depending_on(headers, OURS)


def test_a_page_that_may_ask_is_kept_by_no_cache_that_reads_fields_of_its_own() -> None:
    """With X-Accel-Expires nginx keeps a page for all, whatever Cache-Control says: two visitors would get one form."""
    said = [("x-accel-expires", "60"), ("surrogate-control", "max-age=60"), ("edge-control", "max-age=60")]
    reply = call(install(page(headers=[*said, ("cdn-cache-control", "max-age=60")])))
    assert [reply.get(name) for name, _ in said] == ["0", "no-store", "no-store"]
    assert reply.get("cdn-cache-control") == "max-age=60, private"
    untouched = call(install(answering(headers=said)))
    assert [(name, untouched.get(name)) for name, _ in said] == said


def test_what_is_said_to_certain_caches_is_changed_alike() -> None:
    headers = [(b"CDN-Cache-Control", b"public, max-age=600"), (b"Surf-Cache-Control", b"no-store")]
    assert keep_private(headers) == [
        (b"CDN-Cache-Control", b"max-age=600, private"),
        (b"Surf-Cache-Control", b"no-store"),
        (b"cache-control", b"private"),
    ]


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
    """Split at commas that are in no quotes, character by character."""
    found = []
    for value in fields(headers, name):
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


def _is_for_all(directive: bytes) -> bool:
    return bool(re.fullmatch(rb"(?i)public(\s*=.*)?|s-maxage(\s*=.*)?", directive))


@given(_headers)
def test_cache_control_keeps_all_that_the_app_said_but_for_shared_caches(headers: Headers) -> None:
    for target in (b"cache-control", b"cdn-cache-control"):
        said, says = directives(headers, target), directives(keep_private(headers), target)
        kept = [word for word in said if not _is_for_all(word)]
        assert says[: len(kept)] == kept
        assert says[len(kept) :] in ([], [b"private"])
        if says or target == b"cache-control":
            assert {word.lower() for word in says} & {b"private", b"no-store"}


@given(_headers)
def test_vary_keeps_all_that_the_app_said_and_never_repeats_ours(headers: Headers) -> None:
    merged = vary_on(headers, OURS)
    said = [word for word in directives(headers, b"vary") if word]
    says = [word for word in directives(merged, b"vary") if word]
    added = list(says)
    for word in said:
        added.remove(word)
    lowered = [word.lower() for word in said]
    assert added == ([] if b"*" in lowered else [name for name in OURS if name.lower() not in lowered])


@given(_headers)
def test_saying_it_twice_says_it_once(headers: Headers) -> None:
    once = keep_private(vary_on(headers, OURS))
    assert keep_private(vary_on(once, OURS)) == once


@given(_headers)
def test_other_fields_and_their_order_stay(headers: Headers) -> None:
    def others(fields: Headers) -> Headers:
        return [field for field in fields if not field[0].lower().endswith((b"cache-control", b"vary"))]

    assert others(keep_private(vary_on(headers, OURS))) == others(headers)


# Where it is said: only where the decision was used.


def test_a_response_that_did_not_use_the_decision_stays_as_public_as_it_was() -> None:
    app = install(answering(headers=[("cache-control", "public, max-age=60")], sets=["_ga=1", "session=1"]))
    reply = call(app, headers=[("cookie", "_ga=1")])
    assert reply.get("cache-control") == "public, max-age=60"
    assert reply.get("vary") == ""


def test_reading_the_consent_makes_the_response_private() -> None:
    reply = call(install(answering(headers=[("cache-control", "public, max-age=60")], reads=["analytics"])))
    assert reply.get("cache-control") == "max-age=60, private"
    assert reply.get("vary") == "Cookie, Sec-GPC, DNT"


@pytest.mark.parametrize("user_agent", [PHONE, "Googlebot/2.1"])
def test_a_page_that_may_ask_is_private_for_people_and_robots_alike(user_agent: str) -> None:
    app = install(page(headers=[("cache-control", "s-maxage=60"), ("vary", "accept-encoding")]))
    reply = call(app, headers=[("accept", "text/html"), ("user-agent", user_agent)])
    assert (b"refuse_all" in reply.body) is (user_agent == PHONE)
    assert reply.get("cache-control") == "private"
    assert reply.get("vary").startswith("accept-encoding, Cookie, Sec-GPC, DNT")


def test_without_a_banner_to_put_in_a_page_is_as_public_as_it_was() -> None:
    reply = call(install(page(headers=[("cache-control", "public")]), inject=False))
    assert (reply.get("cache-control"), reply.get("vary")) == ("public", "")


def test_signals_that_the_policy_ignores_are_not_varied_on() -> None:
    ignoring = f'{SITE}\n[signals]\ngpc = "ignore"\ndnt = "ignore"\n'
    reply = call(install(answering(reads=["media"]), ignoring))
    assert reply.get("vary") == "Cookie"


def test_the_language_is_varied_on_where_it_was_chosen_for_the_visitor() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        assert isinstance(scope, dict)
        body = scope["state"]["consent"].language.encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": body})  # type: ignore[operator]

    reply = call(install(app), headers=[("accept-language", "ja")])
    assert reply.body == b"ja"
    assert reply.get("vary") == "Cookie, Sec-GPC, DNT, Accept-Language"


def test_no_cookie_of_ours_is_set_on_a_public_response() -> None:
    app = install(answering(headers=[("cache-control", "public, s-maxage=9")]), access_log=MemorySink())
    visitor = Visitor(app, [("user-agent", PHONE)])
    accepted = visitor.accept()
    assert {"__Host-consent", "__Host-visitor"} == set(accepted.set_cookies)
    assert accepted.get("cache-control") == "no-store"
    del visitor.jar["__Host-visitor"]
    reply = visitor.get()
    assert list(reply.set_cookies) == ["__Host-visitor"]
    assert reply.get("cache-control") == "private"
    assert "Cookie" in reply.get("vary")


def test_everything_under_the_prefix_is_kept_by_nobody() -> None:
    app = install()
    for path in ("", "/", "/state", "/receipt", "/export", "/policy", "/policy/0", "/nowhere"):
        assert call(app, path=PREFIX + path).get("cache-control") == "no-store", path
    assert call(app, path="/.well-known/gpc.json").get("cache-control") == "no-store"
