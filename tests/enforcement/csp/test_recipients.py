"""Tests of the recipients' origins in Content-Security-Policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.base.caching import Headers
from cookie_consent.enforcement.csp.recipients import Origins, Sources, recipient_sources, with_recipients
from cookie_consent.enforcement.csp.tags import nonces
from cookie_consent.policy.parts import Recipient
from cookie_consent.policy.policy import Policy
from tests.support.policies import small_policy

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


def make_recipient(id_: str, purpose: str, directives: Iterable[str], *origins: bytes) -> Recipient:
    texts = tuple(origin.decode() for origin in origins)
    return Recipient(
        id=id_, name=id_, purpose=purpose, receives={"en": "Address"}, origins=texts, directives=tuple(directives)
    )


def policy_with(*recipients: Recipient) -> Policy:
    return small_policy("analytics", "media", recipients=recipients)


def edited(field: bytes, sources: Sources) -> tuple[bytes, bool]:
    [(name, value)], withheld = with_recipients([(ENFORCED, field)], sources)
    assert name == ENFORCED
    return value, withheld


def allowing(*origins: bytes, directive: bytes = b"img-src") -> Sources:
    return {directive: Origins(origins, frozenset())}


def refusing(*origins: bytes, directive: bytes = b"img-src") -> Sources:
    return {directive: Origins((), frozenset(origins))}


# Sources that recipients need.


def test_origins_are_grouped_by_directive_and_decision() -> None:
    maps = make_recipient("maps", "media", ["frame", "form-action"], MAPS, TILES)
    stats = make_recipient("stats", "analytics", ["frame"], STATS)
    assert recipient_sources(policy_with(maps, stats), {"necessary": True, "analytics": False, "media": True}) == {
        b"form-action": Origins((MAPS, TILES), frozenset()),
        b"frame-src": Origins((MAPS, TILES), frozenset([STATS])),
    }


def test_origin_shared_with_allowed_recipient_is_allowed() -> None:
    shared = [
        make_recipient("maps", "media", ["img"], MAPS, TILES),
        make_recipient("stats", "analytics", ["img"], MAPS),
    ]
    sources = recipient_sources(policy_with(*shared), {"analytics": True, "media": False})
    assert sources == {b"img-src": Origins((MAPS,), frozenset([TILES]))}


def test_necessary_recipient_is_allowed_and_undecided_recipient_refused() -> None:
    both = [make_recipient("cdn", "necessary", ["style"], TILES), make_recipient("maps", "media", ["style"], MAPS)]
    origins = Origins((TILES,), frozenset([MAPS]))
    assert recipient_sources(policy_with(*both), {"necessary": True}) == {
        b"style-src": origins,
        b"style-src-elem": origins,
    }


def test_recipient_without_directives_or_origins_has_no_sources() -> None:
    silent = [make_recipient("mail", "media", [], MAPS), make_recipient("print", "media", ["img"])]
    assert recipient_sources(policy_with(*silent), {"media": True}) == {}


def test_directive_comes_after_its_fallbacks() -> None:
    every = make_recipient("all", "media", ["worker", "script", "frame", "child"], MAPS)
    names = [b"child-src", b"frame-src", b"script-src", b"script-src-elem", b"worker-src"]
    assert list(recipient_sources(policy_with(every), {})) == names


# Editing the policy.


@pytest.mark.parametrize(
    ("field", "expected"),
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
def test_allowed_origin_is_added_if_missing(field: bytes, expected: bytes) -> None:
    assert edited(field, allowing(MAPS)) == (expected, False)


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
def test_present_or_unrestricted_origin_is_not_added(field: bytes) -> None:
    headers = [(b"Content-Security-Policy", field)]
    same, withheld = with_recipients(headers, allowing(MAPS))
    assert same is headers
    assert withheld is False


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"img-src 'self' https://maps.example.com data:", b"img-src 'self' data:"),
        (b"img-src https://maps.example.com", b"img-src 'none'"),
        (b"img-src 'none' https://maps.example.com", b"img-src 'none'"),
        (b"img-src x HTTPS://MAPS.example.com https://maps.example.com", b"img-src x"),
        (b"x y;  img-src https://maps.example.com  z ;", b"x y;  img-src z;"),
    ],
)
def test_refused_origin_is_removed(field: bytes, expected: bytes) -> None:
    assert edited(field, refusing(MAPS)) == (expected, True)


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
def test_only_identical_source_expression_is_removed(field: bytes) -> None:
    headers = [(ENFORCED, field)]
    same, withheld = with_recipients(headers, refusing(MAPS))
    assert same is headers
    assert withheld is True


def test_origin_refused_in_fallback_adds_restricting_directive() -> None:
    expected = b"default-src https://maps.example.com; img-src 'none'"
    assert edited(b"default-src https://maps.example.com", refusing(MAPS)) == (expected, True)


@pytest.mark.parametrize("kind", [b"script-src", b"style-src"])
def test_existing_elem_directive_is_edited(kind: bytes) -> None:
    sources = {kind: Origins((MAPS,), frozenset([STATS])), kind + b"-elem": Origins((MAPS,), frozenset([STATS]))}
    field = kind + b" 'self'; " + kind + b"-elem https://stats.example.com"
    expected = kind + b" 'self' https://maps.example.com; " + kind + b"-elem https://maps.example.com"
    assert edited(field, sources) == (expected, True)
    assert edited(kind + b" 'self'", sources) == (kind + b" 'self' https://maps.example.com", True)


@pytest.mark.parametrize("kind", [b"script-src", b"style-src"])
def test_missing_elem_directive_is_not_added(kind: bytes) -> None:
    field = kind + b" 'self' https://stats.example.com"
    sources = {kind + b"-elem": Origins((MAPS,), frozenset([STATS]))}
    assert edited(field, sources) == (field, False)


@pytest.mark.parametrize("field", [b"script-src 'self'", b""])
def test_nothing_is_withheld_if_directive_is_unrestricted(field: bytes) -> None:
    assert edited(field, refusing(MAPS)) == (field, False)


def test_added_directive_omits_refused_origin() -> None:
    sources = {b"img-src": Origins((MAPS,), frozenset([STATS]))}
    expected = b"default-src x https://stats.example.com; img-src x https://maps.example.com"
    assert edited(b"default-src x https://stats.example.com", sources) == (expected, True)


@pytest.mark.parametrize(
    ("directive", "field", "copy"),
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
def test_missing_directive_is_copied_from_its_fallback(directive: bytes, field: bytes, copy: bytes) -> None:
    assert edited(field, allowing(MAPS, directive=directive)) == (field + b"; " + copy + b" " + MAPS, False)


def test_missing_form_action_is_not_added() -> None:
    for sources in (allowing(MAPS, directive=b"form-action"), refusing(MAPS, directive=b"form-action")):
        assert edited(b"default-src 'self'", sources) == (b"default-src 'self'", False)
    assert edited(b"form-action 'self'", allowing(MAPS, directive=b"form-action"))[0].endswith(MAPS)


def test_child_src_is_not_added_if_script_src_governs_workers() -> None:
    field = b"default-src 'none'; script-src 'self'"
    for sources in (allowing(MAPS, directive=b"child-src"), refusing(MAPS, directive=b"child-src")):
        assert edited(field, sources) == (field, False)


def test_added_directive_copies_edited_fallback() -> None:
    maps, stats = (
        make_recipient("maps", "media", ["child"], MAPS),
        make_recipient("stats", "analytics", ["frame"], STATS),
    )
    sources = recipient_sources(policy_with(maps, stats), {"analytics": True})
    assert edited(b"child-src c " + MAPS, sources) == (b"child-src c; frame-src c " + STATS, True)


def test_report_only_policy_is_edited_and_withholds_nothing() -> None:
    headers = [(b"x", b"img-src x"), (REPORTED.title(), b"img-src https://maps.example.com")]
    assert with_recipients(headers, refusing(MAPS)) == (
        [(b"x", b"img-src x"), (REPORTED.title(), b"img-src 'none'")],
        False,
    )


def test_response_without_policy_is_unchanged() -> None:
    headers = [(b"content-type", b"text/html"), (b"x-content-security-policy", b"img-src x")]
    assert with_recipients(headers, allowing(MAPS))[0] is headers


def test_script_hosts_are_edited_with_strict_dynamic() -> None:
    field = b"script-src 'strict-dynamic' 'nonce-abc' "
    assert edited(field + STATS, refusing(STATS, directive=b"script-src"))[0] == field.rstrip()


@pytest.mark.slow
def test_huge_policy_is_edited() -> None:
    sources = {**allowing(STATS), **refusing(MAPS, directive=b"frame-src")}
    huge = b"default-src " + b"'self' " * 20_000 + b";" * 20_000 + b"," * 20_000 + b"img-src x;" * 20_000
    assert STATS in edited(huge, sources)[0]
    assert nonces([(ENFORCED, huge)]) == ("", "")


# Properties for any header fields.

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
_recipients = st.lists(
    st.builds(
        make_recipient,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["analytics", "media", "necessary"]),
        st.lists(st.sampled_from([name.decode().removesuffix("-src") for name in FALLBACKS]), max_size=4),
        *[st.sampled_from([MAPS, TILES, STATS])] * 2,
    ),
    max_size=3,
    unique_by=lambda recipient: recipient.id,
)
_policies = _recipients.map(lambda recipients: policy_with(*recipients))
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


def effective_sources(directives: Mapping[bytes, set[bytes]], name: bytes) -> set[bytes] | None:
    """Return the effective sources of a directive, or None if neither it nor a fallback of it is there."""
    names = [own for own in (name, *FALLBACKS.get(name, ())) if own in directives]
    return directives[names[0]] if names else None


@given(_headers, _policies, _purposes)
def test_directives_without_recipient_stay_byte_for_byte(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    after, _ = with_recipients(headers, sources)
    assert [name for name, _ in after] == [name for name, _ in headers]
    for old, new in zip(policies(headers), policies(after), strict=True):
        named = [words(part)[0].lower() in sources and part.isascii() for part in old]
        kept = [part for part, is_named in zip(old, named, strict=True) if not is_named]
        assert [part for part, is_named in zip(new, named, strict=False) if not is_named] == kept
        assert all(words(part)[0] in sources for part in new[len(old) :])


@given(_headers, _policies, _purposes)
def test_other_header_fields_are_unchanged(headers: Headers, policy: Policy, purposes: Mapping[str, bool]) -> None:
    after, _ = with_recipients(headers, recipient_sources(policy, purposes))
    others = [(old, new) for old, new in zip(headers, after, strict=True) if b"security" not in old[0].lower()]
    assert all(old is new for old, new in others)


@given(_headers, _policies, _purposes)
def test_directive_gains_only_its_allowed_origins(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    after, _ = with_recipients(headers, sources)
    for old, new in zip(map(read, policies(headers)), map(read, policies(after)), strict=True):
        for directive, own in new.items():
            origins = sources.get(directive, Origins((), frozenset()))
            base = old.get(directive)
            if base is None:
                base = set().union(*(old.get(name, set()) for name in FALLBACKS[directive]))
                base |= {origin for name in FALLBACKS[directive] if name in sources for origin in sources[name].allowed}
            assert own <= base | set(origins.allowed) | {b"'none'"}


@given(_headers, _policies, _purposes)
def test_inheriting_directive_gains_only_origins_of_its_fallback(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    after, _ = with_recipients(headers, sources)
    for old, new in zip(map(read, policies(headers)), map(read, policies(after)), strict=True):
        for name in FALLBACKS.keys() - sources.keys():
            before, now = effective_sources(old, name), effective_sources(new, name)
            given_too = {origin for own in FALLBACKS[name] if own in sources for origin in sources[own].allowed}
            assert (before is None) == (now is None)
            assert (now or set()) <= (before or set()) | given_too | {b"'none'"}


@given(_headers, _policies, _purposes)
def test_allowed_origins_are_effective_and_refused_ones_absent(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    for directives in map(read, policies(with_recipients(headers, sources)[0])):
        for name, origins in sources.items():
            own = effective_sources(directives, name)
            if own is not None and name != b"child-src":
                assert own >= set(origins.allowed)
            assert not directives.get(name, set()) & origins.refused


@given(_headers, _policies, _purposes)
def test_editing_policy_is_idempotent(headers: Headers, policy: Policy, purposes: Mapping[str, bool]) -> None:
    sources = recipient_sources(policy, purposes)
    once, withheld = with_recipients(headers, sources)
    twice, still = with_recipients(once, sources)
    assert twice is once
    assert withheld == still


@given(_headers, _policies)
def test_refusal_removes_origins_added_by_grant(headers: Headers, policy: Policy) -> None:
    refused = recipient_sources(policy, REFUSED)
    granted, _ = with_recipients(headers, recipient_sources(policy, GRANTED))
    for directives in map(read, policies(with_recipients(granted, refused)[0])):
        for name, origins in refused.items():
            assert not directives.get(name, set()) & origins.refused


@given(_headers, _policies, _purposes)
def test_origins_are_withheld_exactly_if_grant_would_add_them(
    headers: Headers, policy: Policy, purposes: Mapping[str, bool]
) -> None:
    sources = recipient_sources(policy, purposes)
    now, withheld = with_recipients(headers, sources)
    then, nothing = with_recipients(headers, recipient_sources(policy, GRANTED))
    lacking = [
        origin
        for here, there in zip(policies(now, ENFORCED), policies(then, ENFORCED), strict=True)
        for name, origins in sources.items()
        for origin in origins.refused
        & ((effective_sources(read(there), name) or set()) - (effective_sources(read(here), name) or set()))
    ]
    assert withheld == bool(lacking)
    assert nothing is False


@given(_headers)
def test_nonce_comes_from_policy(headers: Headers) -> None:
    for nonce in nonces(headers):
        assert nonce in ("", "a")


@given(st.lists(st.tuples(st.sampled_from([ENFORCED, REPORTED]), st.binary()), max_size=3))
def test_editing_any_bytes_never_raises(headers: Headers) -> None:
    every = recipient_sources(policy_with(make_recipient("a", "media", ["img", "frame", "child"], MAPS)), GRANTED)
    assert len(with_recipients(headers, every)[0]) == len(headers)
    assert nonces(headers)
