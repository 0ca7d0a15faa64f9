"""The app's own Content-Security-Policy: its nonces, and the recipients' origins that belong in it now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.enforcement.content_security import (
    Headers,
    Origins,
    Sources,
    has_policy,
    nonces,
    recipient_sources,
    with_recipients,
)
from cookie_consent.policy.parts import Recipient
from cookie_consent.policy.policy import Policy
from tests.support.policies import small

ENFORCED, REPORTED = b"content-security-policy", b"content-security-policy-report-only"
MAPS, TILES, STATS = b"https://maps.example.com", b"https://*.tiles.example.com:8443", b"https://stats.example.com"
FALLBACKS = {
    b"child-src": [b"default-src"],
    b"connect-src": [b"default-src"],
    b"form-action": [],
    b"frame-src": [b"child-src", b"default-src"],
    b"img-src": [b"default-src"],
    b"script-src": [b"default-src"],
    b"worker-src": [b"child-src", b"script-src", b"default-src"],
}


def vendor(id_: str, purpose: str, directives: Iterable[str], *origins: bytes) -> Recipient:
    told = tuple(origin.decode() for origin in origins)
    return Recipient(
        id=id_, name=id_, purpose=purpose, receives={"en": "Address"}, origins=told, directives=tuple(directives)
    )


def site(*recipients: Recipient) -> Policy:
    return small("analytics", "media", recipients=recipients)


def edited(field: bytes, sources: Sources) -> tuple[bytes, bool]:
    [(name, value)], withheld = with_recipients([(ENFORCED, field)], sources)
    assert name == ENFORCED
    return value, withheld


def allowing(*origins: bytes, directive: bytes = b"img-src") -> Sources:
    return {directive: Origins(origins, frozenset())}


def refusing(*origins: bytes, directive: bytes = b"img-src") -> Sources:
    return {directive: Origins((), frozenset(origins))}


@pytest.mark.parametrize("name", [ENFORCED, REPORTED, b"Content-Security-Policy"])
def test_a_policy_is_there_whatever_its_spelling_and_even_if_it_only_reports(name: bytes) -> None:
    assert has_policy([(b"x", b"y"), (name, b"")])
    assert not has_policy([(b"x-" + name, b"img-src x")])


# The nonces that the app gives.


@pytest.mark.parametrize(
    ("field", "script", "style"),
    [
        (b"script-src 'nonce-abc'; style-src 'self' 'nonce-xyz'", "abc", "xyz"),
        (b"default-src 'nonce-abc'", "abc", "abc"),
        (b"default-src 'nonce-abc'; script-src 'self'", "", "abc"),
        (b"script-src 'nonce-abc'; script-src-elem 'nonce-elem'; style-src-elem 'nonce-xyz'", "elem", "xyz"),
        (b"script-src 'nonce-abc'; script-src-elem 'self'", "", ""),
        (b"script-src-attr 'nonce-abc'; img-src 'nonce-abc'", "", ""),
        (b"script-src 'nonce-one' 'nonce-two'", "one", ""),
        (b"script-src 'self'; script-src 'nonce-late'", "", ""),
        (b"SCRIPT-Src\t'NONCE-aBc'", "aBc", ""),
        (b"script-src 'self', script-src 'nonce-abc'", "abc", ""),
        (b"script-src 'nonce-aZ09+/-_=='", "aZ09+/-_==", ""),
        (b"script-src 'nonce-abc'junk; style-src x'nonce-abc'", "", ""),
        (b"style-src-elem 'nonce-elem'; style-src 'nonce-xyz'", "", "elem"),
        (b"style-src 'nonce-xyz'", "", "xyz"),
        (b"script-src 'nonce-'", "", ""),
        (b"script-src 'nonce-==='", "", ""),
        (b"script-src 'nonce-abc==='", "", ""),
        (b"script-src 'nonce-a=b'", "", ""),
        (b"script-src nonce-abc", "", ""),
        (b"script-src 'nonce-a\"b'", "", ""),
        (b"script-src 'nonce-a&b' 'nonce-<b>' 'nonce-good'", "good", ""),
        (b"script-src 'nonce-abc' \xe9", "", ""),
        (b"script-src\x0b'nonce-abc'", "", ""),
        (b"", "", ""),
    ],
)
def test_the_first_nonce_of_the_directive_that_holds_is_the_one(field: bytes, script: str, style: str) -> None:
    assert nonces([(b"x", b"script-src 'nonce-no'"), (b"Content-Security-Policy", field)]) == (script, style)


def test_an_enforced_nonce_goes_before_one_of_a_policy_that_only_reports() -> None:
    reported = (REPORTED, b"script-src 'nonce-reported'; style-src 'nonce-reported'")
    headers = [reported, (ENFORCED, b"script-src 'self'"), (ENFORCED, b"script-src 'nonce-enforced'")]
    assert nonces(headers) == ("enforced", "reported")


# What recipients need.


def test_origins_are_sorted_by_directive_and_by_whether_their_purpose_is_allowed() -> None:
    maps = vendor("maps", "media", ["frame", "form-action"], MAPS, TILES)
    stats = vendor("stats", "analytics", ["frame"], STATS)
    assert recipient_sources(site(maps, stats), {"necessary": True, "analytics": False, "media": True}) == {
        b"form-action": Origins((MAPS, TILES), frozenset()),
        b"frame-src": Origins((MAPS, TILES), frozenset([STATS])),
    }


def test_an_origin_that_an_allowed_recipient_needs_too_is_allowed() -> None:
    shared = [vendor("maps", "media", ["img"], MAPS, TILES), vendor("stats", "analytics", ["img"], MAPS)]
    sources = recipient_sources(site(*shared), {"analytics": True, "media": False})
    assert sources == {b"img-src": Origins((MAPS,), frozenset([TILES]))}


def test_recipients_of_the_necessary_purpose_are_allowed_and_of_a_purpose_that_is_not_told_refused() -> None:
    both = [vendor("cdn", "necessary", ["style"], TILES), vendor("maps", "media", ["style"], MAPS)]
    origins = Origins((TILES,), frozenset([MAPS]))
    assert recipient_sources(site(*both), {"necessary": True}) == {b"style-src": origins, b"style-src-elem": origins}


def test_a_recipient_without_directives_or_origins_needs_nothing() -> None:
    silent = [vendor("mail", "media", [], MAPS), vendor("print", "media", ["img"])]
    assert recipient_sources(site(*silent), {"media": True}) == {}


def test_a_directive_comes_after_those_that_it_falls_back_to() -> None:
    every = vendor("all", "media", ["worker", "script", "frame", "child"], MAPS)
    names = [b"child-src", b"frame-src", b"script-src", b"script-src-elem", b"worker-src"]
    assert list(recipient_sources(site(every), {})) == names


# The consent-aware policy.


@pytest.mark.parametrize(
    ("field", "becomes"),
    [
        (b"img-src 'self'", b"img-src 'self' https://maps.example.com"),
        (b"img-src", b"img-src https://maps.example.com"),
        (b"img-src 'none'", b"img-src https://maps.example.com"),
        (b"img-src 'NONE' 'report-sample'", b"img-src 'report-sample' https://maps.example.com"),
        (b" IMG-src\t'self' ;x ", b" IMG-src 'self' https://maps.example.com;x "),
        (b"img-src a; img-src b", b"img-src a https://maps.example.com; img-src b"),
        (b"img-src 'self', img-src data:", b"img-src 'self' https://maps.example.com, img-src data: " + MAPS),
        (b"default-src 'self'", b"default-src 'self'; img-src 'self' https://maps.example.com"),
        (b"default-src 'self'; ", b"default-src 'self'; img-src 'self' https://maps.example.com"),
        (b"default-src 'none'", b"default-src 'none'; img-src https://maps.example.com"),
        (b"default-src x,y", b"default-src x; img-src x https://maps.example.com,y"),
        (b"default-src x;\x0b", b"default-src x;\x0b; img-src x https://maps.example.com"),
        (b"default-src x; img-src \xe9", b"default-src x; img-src \xe9; img-src x https://maps.example.com"),
    ],
)
def test_an_allowed_origin_is_added_where_it_is_not_there(field: bytes, becomes: bytes) -> None:
    assert edited(field, allowing(MAPS)) == (becomes, False)


@pytest.mark.parametrize(
    "field",
    [
        b"img-src 'self' https://maps.example.com",
        b"img-src HTTPS://Maps.Example.com  'self'",
        b"img-src 'none' https://maps.example.com",
        b"default-src https://maps.example.com",
        b"script-src 'self'; frame-src x",
        b"upgrade-insecure-requests",
        b"default-src \xe9",
        b" ;; , ;",
        b"",
    ],
)
def test_nothing_is_added_where_the_origin_is_there_or_everything_is_allowed(field: bytes) -> None:
    headers = [(b"Content-Security-Policy", field)]
    same, withheld = with_recipients(headers, allowing(MAPS))
    assert same is headers
    assert withheld is False


@pytest.mark.parametrize(
    ("field", "becomes"),
    [
        (b"img-src 'self' https://maps.example.com data:", b"img-src 'self' data:"),
        (b"img-src https://maps.example.com", b"img-src 'none'"),
        (b"img-src 'none' https://maps.example.com", b"img-src 'none'"),
        (b"img-src x HTTPS://MAPS.example.com https://maps.example.com", b"img-src x"),
        (b"x y;  img-src https://maps.example.com  z ;", b"x y;  img-src z;"),
    ],
)
def test_a_refused_origin_is_taken_out(field: bytes, becomes: bytes) -> None:
    assert edited(field, refusing(MAPS)) == (becomes, True)


@pytest.mark.parametrize(
    "field",
    [
        b"img-src 'self'",
        b"img-src",
        b"img-src  https://maps.example.com/  https://maps.example.com:443 maps.example.com https://*.example.com",
        b"img-src x; img-src https://maps.example.com",
        b"default-src  'self'",
    ],
)
def test_only_the_very_same_source_expression_is_taken_out_and_a_grant_would_change_something(field: bytes) -> None:
    headers = [(ENFORCED, field)]
    same, withheld = with_recipients(headers, refusing(MAPS))
    assert same is headers
    assert withheld is True


def test_what_a_directive_falls_back_to_lets_nothing_refused_in() -> None:
    made = b"default-src https://maps.example.com; img-src 'none'"
    assert edited(b"default-src https://maps.example.com", refusing(MAPS)) == (made, True)


@pytest.mark.parametrize("kind", [b"script-src", b"style-src"])
def test_the_directive_of_elements_is_edited_where_the_app_has_one(kind: bytes) -> None:
    sources = {kind: Origins((MAPS,), frozenset([STATS])), kind + b"-elem": Origins((MAPS,), frozenset([STATS]))}
    field = kind + b" 'self'; " + kind + b"-elem https://stats.example.com"
    made = kind + b" 'self' https://maps.example.com; " + kind + b"-elem https://maps.example.com"
    assert edited(field, sources) == (made, True)
    assert edited(kind + b" 'self'", sources) == (kind + b" 'self' https://maps.example.com", True)


@pytest.mark.parametrize("kind", [b"script-src", b"style-src"])
def test_no_directive_of_elements_is_made(kind: bytes) -> None:
    field = kind + b" 'self' https://stats.example.com"
    sources = {kind + b"-elem": Origins((MAPS,), frozenset([STATS]))}
    assert edited(field, sources) == (field, False)


@pytest.mark.parametrize("field", [b"script-src 'self'", b""])
def test_nothing_is_withheld_where_the_origin_is_allowed_anyway(field: bytes) -> None:
    assert edited(field, refusing(MAPS)) == (field, False)


def test_what_is_made_for_an_allowed_origin_leaves_a_refused_one_out() -> None:
    sources = {b"img-src": Origins((MAPS,), frozenset([STATS]))}
    made = b"default-src x https://stats.example.com; img-src x https://maps.example.com"
    assert edited(b"default-src x https://stats.example.com", sources) == (made, True)


@pytest.mark.parametrize(
    ("directive", "field", "made"),
    [
        (b"frame-src", b"default-src d; child-src c", b"frame-src c"),
        (b"frame-src", b"default-src d", b"frame-src d"),
        (b"worker-src", b"default-src d; script-src s; child-src c", b"worker-src c"),
        (b"worker-src", b"default-src d; script-src s", b"worker-src s"),
        (b"worker-src", b"default-src d", b"worker-src d"),
        (b"script-src", b"default-src d; script-src-elem e", b"script-src d"),
        (b"child-src", b"default-src d; frame-src f", b"child-src d"),
        (b"child-src", b"default-src d; script-src s; worker-src w", b"child-src d"),
        (b"connect-src", b"default-src d", b"connect-src d"),
    ],
)
def test_a_missing_directive_is_a_copy_of_that_which_holds_in_its_place(
    directive: bytes, field: bytes, made: bytes
) -> None:
    assert edited(field, allowing(MAPS, directive=directive)) == (field + b"; " + made + b" " + MAPS, False)


def test_a_missing_form_action_allows_everything_and_stays_missing() -> None:
    for sources in (allowing(MAPS, directive=b"form-action"), refusing(MAPS, directive=b"form-action")):
        assert edited(b"default-src 'self'", sources) == (b"default-src 'self'", False)
    assert edited(b"form-action 'self'", allowing(MAPS, directive=b"form-action"))[0].endswith(MAPS)


def test_a_missing_child_src_is_not_made_where_it_would_take_the_place_of_script_src_for_workers() -> None:
    field = b"default-src 'none'; script-src 'self'"
    for sources in (allowing(MAPS, directive=b"child-src"), refusing(MAPS, directive=b"child-src")):
        assert edited(field, sources) == (field, False)


def test_a_directive_that_is_made_falls_back_to_one_that_is_edited_already() -> None:
    maps, stats = vendor("maps", "media", ["child"], MAPS), vendor("stats", "analytics", ["frame"], STATS)
    sources = recipient_sources(site(maps, stats), {"analytics": True})
    assert edited(b"child-src c " + MAPS, sources) == (b"child-src c; frame-src c " + STATS, True)


def test_policies_that_only_report_are_edited_alike_and_withhold_nothing() -> None:
    headers = [(b"x", b"img-src x"), (REPORTED.title(), b"img-src https://maps.example.com")]
    assert with_recipients(headers, refusing(MAPS)) == (
        [(b"x", b"img-src x"), (REPORTED.title(), b"img-src 'none'")],
        False,
    )


def test_an_app_without_a_policy_stays_without() -> None:
    headers = [(b"content-type", b"text/html"), (b"x-content-security-policy", b"img-src x")]
    assert with_recipients(headers, allowing(MAPS))[0] is headers


def test_hosts_of_scripts_are_edited_under_strict_dynamic_too() -> None:
    field = b"script-src 'strict-dynamic' 'nonce-abc' "
    assert edited(field + STATS, refusing(STATS, directive=b"script-src"))[0] == field.rstrip()


@pytest.mark.slow
def test_a_huge_field_is_no_trouble() -> None:
    sources = {**allowing(STATS), **refusing(MAPS, directive=b"frame-src")}
    huge = b"default-src " + b"'self' " * 20_000 + b";" * 20_000 + b"," * 20_000 + b"img-src x;" * 20_000
    assert STATS in edited(huge, sources)[0]
    assert nonces([(ENFORCED, huge)]) == ("", "")


# Whatever the app says.

_spaces = st.sampled_from([b" ", b"  ", b"\t", b"\n", b"\f"])
_names = st.sampled_from(
    [*FALLBACKS, b"default-src", b"IMG-SRC", b"Frame-Src", b"script-src-elem", b"sandbox", b"report-to", b"x"]
)
_words = st.sampled_from(
    [
        MAPS,
        TILES,
        STATS,
        MAPS.upper(),
        b"'none'",
        b"'self'",
        b"*",
        b"https:",
        b"'nonce-a'",
        b"'strict-dynamic'",
        b"\xe9",
    ]
)
_directives = st.builds(
    lambda before, name, words, space: before + space.join([name, *words]),
    st.sampled_from([b"", b" ", b"\t "]),
    _names,
    st.lists(_words, max_size=4),
    _spaces,
)
_serialized = st.lists(_directives | st.sampled_from([b"", b" "]), max_size=6).map(b";".join)
_fields = st.lists(_serialized, min_size=1, max_size=3).map(b",".join) | st.binary(max_size=30)
_field_names = st.sampled_from([ENFORCED, REPORTED, b"Content-Security-Policy", b"content-type", b""])
_headers = st.lists(st.tuples(_field_names, _fields), max_size=4)
_vendors = st.lists(
    st.builds(
        vendor,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["analytics", "media", "necessary"]),
        st.lists(st.sampled_from([name.decode().removesuffix("-src") for name in FALLBACKS]), max_size=4),
        *[st.sampled_from([MAPS, TILES, STATS])] * 2,
    ),
    max_size=3,
    unique_by=lambda recipient: recipient.id,
)
_policies = _vendors.map(lambda vendors: site(*vendors))
_purposes = st.fixed_dictionaries({"necessary": st.just(True), "analytics": st.booleans(), "media": st.booleans()})
GRANTED, REFUSED = {"necessary": True, "analytics": True, "media": True}, {"necessary": True}


def policies(headers: Headers, *kinds: bytes) -> list[list[bytes]]:
    """Return the directives of each policy as they are written, without empty ones."""
    fields = [value for name, value in headers if name.lower() in (kinds or (ENFORCED, REPORTED))]
    split = [policy.split(b";") for field in fields for policy in field.split(b",")]
    return [[part for part in parts if words(part)] for parts in split]


def words(part: bytes) -> list[bytes]:
    for space in b"\t\n\f\r":
        part = part.replace(bytes([space]), b" ")
    return [word for word in part.split(b" ") if word]


def read(parts: Iterable[bytes]) -> dict[bytes, set[bytes]]:
    """Return what a browser reads: directive -> its sources in small letters."""
    found: dict[bytes, set[bytes]] = {}
    for part in parts:
        name, *sources = words(part)
        if part.isascii():
            found.setdefault(name.lower(), {source.lower() for source in sources})
    return found


def holding(directives: Mapping[bytes, set[bytes]], name: bytes) -> set[bytes] | None:
    """Return the sources that hold for a directive, None where everything is allowed, or others say what is."""
    names = [own for own in (name, *FALLBACKS.get(name, ())) if own in directives]
    return directives[names[0]] if names else None


@given(_headers, _policies, _purposes)
def test_directives_that_no_recipient_names_stay_byte_for_byte(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    after, _ = with_recipients(headers, sources)
    assert [name for name, _ in after] == [name for name, _ in headers]
    for said, says in zip(policies(headers), policies(after), strict=True):
        named = [words(part)[0].lower() in sources and part.isascii() for part in said]
        kept = [part for part, is_named in zip(said, named, strict=True) if not is_named]
        assert [part for part, is_named in zip(says, named, strict=False) if not is_named] == kept
        assert all(words(part)[0] in sources for part in says[len(said) :])


@given(_headers, _policies, _purposes)
def test_other_fields_stay_as_they_are(headers: Headers, policy: Policy, purposes: Mapping[str, bool]) -> None:
    after, _ = with_recipients(headers, recipient_sources(policy, purposes))
    others = [(said, says) for said, says in zip(headers, after, strict=True) if b"security" not in said[0].lower()]
    assert all(said is says for said, says in others)


@given(_headers, _policies, _purposes)
def test_no_directive_gets_more_than_the_allowed_origins_that_name_it(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    after, _ = with_recipients(headers, sources)
    for said, says in zip(map(read, policies(headers)), map(read, policies(after)), strict=True):
        for directive, own in says.items():
            origins = sources.get(directive, Origins((), frozenset()))
            base = said.get(directive)
            if base is None:
                base = set().union(*(said.get(name, set()) for name in FALLBACKS[directive]))
                base |= {origin for name in FALLBACKS[directive] if name in sources for origin in sources[name].allowed}
            assert own <= base | set(origins.allowed) | {b"'none'"}


@given(_headers, _policies, _purposes)
def test_what_falls_back_to_another_directive_gets_no_more_than_the_origins_that_this_was_given(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    after, _ = with_recipients(headers, sources)
    for said, says in zip(map(read, policies(headers)), map(read, policies(after)), strict=True):
        for name in FALLBACKS.keys() - sources.keys():
            before, now = holding(said, name), holding(says, name)
            given_too = {origin for own in FALLBACKS[name] if own in sources for origin in sources[own].allowed}
            assert (before is None) == (now is None)
            assert (now or set()) <= (before or set()) | given_too | {b"'none'"}


@given(_headers, _policies, _purposes)
def test_allowed_origins_hold_and_refused_ones_are_listed_nowhere(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    for directives in map(read, policies(with_recipients(headers, sources)[0])):
        for name, origins in sources.items():
            own = holding(directives, name)
            if own is not None and name != b"child-src":
                assert own >= set(origins.allowed)
            assert not directives.get(name, set()) & origins.refused


@given(_headers, _policies, _purposes)
def test_editing_twice_is_editing_once(headers: Headers, policy: Policy, purposes: Mapping[str, bool]) -> None:
    sources = recipient_sources(policy, purposes)
    once, withheld = with_recipients(headers, sources)
    twice, still = with_recipients(once, sources)
    assert twice is once
    assert withheld == still


@given(_headers, _policies)
def test_a_refusal_after_a_grant_takes_out_what_the_grant_put_in(headers: Headers, policy: Policy) -> None:
    refused = recipient_sources(policy, REFUSED)
    granted, _ = with_recipients(headers, recipient_sources(policy, GRANTED))
    for directives in map(read, policies(with_recipients(granted, refused)[0])):
        for name, origins in refused.items():
            assert not directives.get(name, set()) & origins.refused


@given(_headers, _policies, _purposes)
def test_something_is_withheld_if_and_only_if_a_grant_would_add_it(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    now, withheld = with_recipients(headers, sources)
    then, nothing = with_recipients(headers, recipient_sources(policy, GRANTED))
    lacking = [
        origin
        for here, there in zip(policies(now, ENFORCED), policies(then, ENFORCED), strict=True)
        for name, origins in sources.items()
        for origin in origins.refused & ((holding(read(there), name) or set()) - (holding(read(here), name) or set()))
    ]
    assert withheld == bool(lacking)
    assert nothing is False


@given(_headers)
def test_a_nonce_is_safe_in_an_attribute_and_stands_in_a_policy(headers: Headers) -> None:
    for nonce in nonces(headers):
        assert nonce in ("", "a")


@given(st.lists(st.tuples(st.sampled_from([ENFORCED, REPORTED]), st.binary()), max_size=3))
def test_nothing_raises_whatever_the_bytes(headers: Headers) -> None:
    every = recipient_sources(site(vendor("a", "media", ["img", "frame", "child"], MAPS)), GRANTED)
    assert len(with_recipients(headers, every)[0]) == len(headers)
    assert nonces(headers)
