"""Tests of reading a posted answer, and of making a consent record of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.decision import decide
from cookie_consent.decision.record import CONSENT_LIFETIME, SOURCES, Answer, ConsentRecord, State
from cookie_consent.endpoints.answer_body import PostedAnswer, make_record, read_answer
from cookie_consent.http.forms import Problem, read_media_type
from cookie_consent.policy.diff import digests
from cookie_consent.policy.policy import Policy
from tests.support.asgi import NOW, policy

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
POLICY = policy()


def form(body: str) -> PostedAnswer:
    return read_answer(FORM, body.encode("latin-1"), POLICY)


def data(value: object) -> PostedAnswer:
    return read_answer(JSON, value if isinstance(value, bytes) else json.dumps(value).encode(), POLICY)


def refusal(content_type: str, body: bytes) -> Problem:
    with pytest.raises(Problem) as raised:
        read_answer(read_media_type(content_type), body, POLICY)
    return raised.value


def answer_or_problem(body: bytes, content_type: str) -> PostedAnswer | Problem:
    try:
        return read_answer(read_media_type(content_type), body, POLICY)
    except Problem as problem:
        return problem


@pytest.mark.parametrize(
    ("body", "posted"),
    [
        ("choice=accept_all", PostedAnswer(choice="accept_all", source="settings")),
        (
            "choice=refuse_all&next=%2Fthere&source=banner",
            PostedAnswer(choice="refuse_all", next="/there", source="banner"),
        ),
        (
            "choice=save&purpose=media&purpose=analytics&language=ja&unknown=field",
            PostedAnswer(choice="save", purposes={"media": True, "analytics": True}, language="ja", source="settings"),
        ),
        (
            "choice=save&purpose=media&purpose=media",
            PostedAnswer(choice="save", purposes={"media": True}, source="settings"),
        ),
        ("choice=save", PostedAnswer(choice="save", source="settings")),
        ("choice=save&service=whois", PostedAnswer(choice="save", source="settings", service="whois")),
        ("choice=save&purpose=necessary", PostedAnswer(choice="save", purposes={"necessary": True}, source="settings")),
        (
            "choice=grant&purpose=media&source=feature",
            PostedAnswer(choice="grant", purposes={"media": True}, source="feature"),
        ),
        ("choice=accept_all&policy=", PostedAnswer(choice="accept_all", source="settings")),
        (
            f"choice=accept_all&policy={POLICY.version}",
            PostedAnswer(choice="accept_all", policy=POLICY.version, source="settings"),
        ),
    ],
)
def test_form_answer_is_read(body: str, posted: PostedAnswer) -> None:
    assert form(body) == posted
    assert read_answer(read_media_type(f"{FORM.upper()} ; charset=utf-8"), body.encode(), POLICY) == posted


@pytest.mark.parametrize(
    ("value", "posted"),
    [
        ({"choice": "accept_all"}, PostedAnswer(choice="accept_all", source="api")),
        ({"choice": "refuse_all", "source": "banner"}, PostedAnswer(choice="refuse_all", source="banner")),
        (
            {"choice": "save", "purposes": {"analytics": True, "media": False}, "next": "/a", "language": "en"},
            PostedAnswer(
                choice="save", purposes={"analytics": True, "media": False}, next="/a", language="en", source="api"
            ),
        ),
        ({"choice": "save", "purposes": {}}, PostedAnswer(choice="save", source="api")),
        (
            {"choice": "save", "purposes": {"necessary": True}},
            PostedAnswer(choice="save", purposes={"necessary": True}, source="api"),
        ),
        ({"choice": "accept_all", "unknown": [None, 1]}, PostedAnswer(choice="accept_all", source="api")),
        (
            {"choice": "accept_all", "policy": POLICY.version},
            PostedAnswer(choice="accept_all", policy=POLICY.version, source="api"),
        ),
    ],
)
def test_json_answer_is_read(value: object, posted: PostedAnswer) -> None:
    assert data(value) == posted
    assert read_answer(read_media_type("Application/JSON; charset=utf-8"), json.dumps(value).encode(), POLICY) == posted


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"&", b"choice", b"choice=", b"choice=maybe", b"choice=Accept_all", b"purpose=media"),
        *(b"choice=accept_all&choice=refuse_all", b"choice=accept_all&choice=accept_all"),
        *(b"choice=save&purpose=nonsense", b"choice=save&purpose=", b"choice=save&purpose=Media"),
        *(b"choice=accept_all&next=/a&next=/b", b"choice=accept_all&policy=&policy=", b"choice=accept_all&x=1&x=2"),
        *(b"choice=accept_all&source=signal", b"choice=accept_all&source=", b"choice=grant", b"choice=opt_out"),
        *(
            b"choice=accept_all&next=%ff",
            b"choice=accept_all&next=\xff",
            b"choice=accept_all&&",
            b"choice=accept_all&x",
        ),
        b"choice=save" + b"&purpose=media" * 200,
        b'{"choice": "accept_all"}',
        b"\0",
    ],
)
def test_malformed_form_is_refused(body: bytes) -> None:
    assert refusal(FORM, body).status == 400


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"null", b"[]", b'"accept_all"', b"1", b"{}", b'{"choice": null}', b'{"choice": ["accept_all"]}'),
        *(b'{"choice": "maybe"}', b'{"choice": "\\ud800"}', b'{"choice": "accept_all"} {}', b"\xff\xfe{}"),
        b'{"choice": "accept_all", "choice": "accept_all"}',
        *(b'{"choice": "save"}', b'{"choice": "save", "purposes": null}', b'{"choice": "save", "purposes": ["media"]}'),
        *(b'{"choice": "save", "purposes": {"media": 1}}', b'{"choice": "save", "purposes": {"media": "true"}}'),
        *(b'{"choice": "save", "purposes": {"media": null}}', b'{"choice": "save", "purposes": {"nonsense": true}}'),
        b'{"choice": "save", "purposes": {"nonsense": false}}',
        b'{"choice": "save", "purposes": {"media": true, "media": false}}',
        b'{"choice": "save", "purposes": {"necessary": false}}',
        b'{"choice": "accept_all", "purposes": {"media": "x"}}',
        b'{"choice": "accept_all", "service": "nonsense"}',
        b'{"choice": "accept_all", "service": 1}',
        *(b'{"choice": "accept_all", "policy": 1}', b'{"choice": "accept_all", "next": null}'),
        *(b'{"choice": "accept_all", "language": []}', b'{"choice": "accept_all", "source": "signal"}'),
        *(b'{"choice": "accept_all", "source": ""}', b'{"choice": "grant"}', b'{"choice": "opt_out"}'),
        b'{"choice": "grant", "purposes": {"media": false}}',
        *(b'{"choice": "accept_all", "once": %b}' % once for once in (b"1", b"null", b'["x"]', b"{}", b"true")),
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"choice": "accept_all", "x": ' + b"9" * 5000 + b"}",
        *(b'{"choice": "accept_all", "x": NaN}', b'{"choice": "accept_all", "x": Infinity}'),
        '{"choice": "accept_all"}'.encode("utf-16"),
        '{"choice": "accept_all"}'.encode("utf-32"),
        b'{"choice": "accept_all", "x": "\xff"}',
        b'{"choice": "accept_all", "x": "\xed\xa0\x80"}',
    ],
)
def test_malformed_json_is_refused(body: bytes) -> None:
    assert refusal(JSON, body).status == 400


def test_form_with_more_than_200_fields_is_refused() -> None:
    for count in (199, 200):
        assert form("choice=accept_all" + "".join(f"&f{n}=" for n in range(count - 1))).choice == "accept_all"
    assert refusal(FORM, ("choice=accept_all" + "".join(f"&f{n}=" for n in range(200))).encode()).status == 400


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data; boundary=x", "text/json", "form"])
def test_other_content_types_are_refused(content_type: str) -> None:
    problem = refusal(content_type, b"choice=accept_all")
    assert problem.status == 400
    assert FORM in problem.detail


def test_error_names_known_values() -> None:
    assert "accept_all, refuse_all, save" in refusal(FORM, b"choice=maybe").detail
    assert 'Did you mean "analytics"?' in refusal(FORM, b"choice=save&purpose=analytic").detail
    assert "banner, settings, feature, api" in refusal(FORM, b"choice=save&source=here").detail


def test_error_quotes_client_text_short_and_on_one_line() -> None:
    for body in (b"choice=" + b"x" * 9000, b"choice=save&source=%0a" + b"x" * 9000, b"choice=save&purpose=%0d%0a%00"):
        detail = refusal(FORM, body).detail
        assert len(detail) < 200
        assert detail.isprintable()


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)), st.sampled_from([FORM, JSON, "x"]))
def test_any_body_is_an_answer_or_a_problem(body: bytes, content_type: str) -> None:
    posted = answer_or_problem(body, content_type)
    assert isinstance(posted, Problem) or posted.choice in ("accept_all", "refuse_all", "save", "grant")


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["save", "accept_all"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["choice", "purposes", "media", "analytics", "necessary", "policy", "source", "x"]), inner
        ),
    ),
)


@given(_json)
def test_only_booleans_grant_in_any_json(value: Any) -> None:
    posted = answer_or_problem(json.dumps(value).encode(), JSON)
    if isinstance(posted, PostedAnswer):
        assert all(type(granted) is bool for granted in posted.purposes.values())
        assert posted.purposes.keys() <= {"necessary", "analytics", "media"}


# The record.


def record_of(
    posted: PostedAnswer,
    before: ConsentRecord | None = None,
    signals: frozenset[str] = frozenset(),
    shown: Policy = POLICY,
) -> ConsentRecord:
    decision = decide(POLICY, before, signals, NOW)
    return make_record(posted, decision, shown, now=int(NOW), language="ja", lifetime=CONSENT_LIFETIME)


def states(record: ConsentRecord) -> dict[str, State]:
    return {purpose: answer.state for purpose, answer in record.answers.items()}


G, R, U = State.GRANTED, State.REFUSED, State.UNANSWERED


@pytest.mark.requirement("ST-07", "UI-08")
@pytest.mark.parametrize(
    ("posted", "analytics", "media"),
    [
        (PostedAnswer(choice="accept_all"), G, G),
        (PostedAnswer(choice="accept_all", purposes={"media": False}), G, G),
        (PostedAnswer(choice="refuse_all"), R, R),
        (PostedAnswer(choice="refuse_all", purposes={"media": True}), R, R),
        (PostedAnswer(choice="save", purposes={"media": True}), R, G),
        (PostedAnswer(choice="save", purposes={"media": True, "analytics": False}), R, G),
        (PostedAnswer(choice="save"), R, R),
        (PostedAnswer(choice="grant", purposes={"media": True}), U, G),
        (PostedAnswer(choice="grant"), U, U),
        # What was not asked stays as it was.
        (PostedAnswer(choice="save", purposes={"analytics": True, "media": True}, asked="analytics"), G, U),
        (PostedAnswer(choice="save", purposes={"media": True}, asked="analytics"), R, U),
        (PostedAnswer(choice="accept_all", asked="media gone"), U, G),
        (PostedAnswer(choice="refuse_all", asked="media"), U, R),
    ],
)
def test_record_has_a_state_for_each_purpose(posted: PostedAnswer, analytics: State, media: State) -> None:
    assert states(record_of(posted)) == {"analytics": analytics, "media": media}


def test_answer_on_service_page_keeps_state_of_refused_purpose() -> None:
    """The page of the service does not ask about tracing."""
    whois = POLICY.under(POLICY.services[0])
    assert states(record_of(PostedAnswer(choice="accept_all"), shown=whois)) == {"analytics": U, "media": G}
    granted = record_of(PostedAnswer(choice="accept_all", source="banner"))
    assert states(record_of(PostedAnswer(choice="refuse_all"), granted, shown=whois)) == {"analytics": G, "media": R}


@pytest.mark.requirement("PC-04")
def test_record_has_answers_policy_time_source_and_signals() -> None:
    everything = {"analytics": True, "media": True}
    record = record_of(PostedAnswer(choice="save", purposes=everything, source="banner"), signals=frozenset({"gpc"}))
    assert record == ConsentRecord(
        answers={purpose: Answer(G, facts) for purpose, facts in digests(POLICY).items()},
        policy=POLICY.version,
        decided_at=int(NOW),
        source="banner",
        language="ja",
        signals=frozenset({"gpc"}),
    )
    assert record.source in SOURCES


def test_grant_of_one_purpose_keeps_state_of_others() -> None:
    refused = record_of(PostedAnswer(choice="refuse_all", source="banner"))
    assert states(record_of(PostedAnswer(choice="grant", purposes={"media": True}), refused)) == {
        "analytics": R,
        "media": G,
    }
    granted = record_of(PostedAnswer(choice="save", purposes={"analytics": True}, source="banner"))
    assert states(record_of(PostedAnswer(choice="grant", purposes={"media": True}), granted)) == {
        "analytics": G,
        "media": G,
    }


def test_grant_of_one_purpose_does_not_renew_grant_ended_by_signal() -> None:
    granted = record_of(PostedAnswer(choice="accept_all", source="banner"))
    later = record_of(PostedAnswer(choice="grant", purposes={"media": True}), granted, frozenset({"dnt"}))
    assert states(later) == {"analytics": U, "media": G}


def test_grant_of_one_purpose_does_not_renew_outdated_grant() -> None:
    granted = ConsentRecord(
        answers={"analytics": Answer(G, "other"), "media": Answer(R, digests(POLICY)["media"])},
        policy="0123456789abcdef",
        decided_at=int(NOW),
        source="banner",
        language="en",
    )
    later = record_of(PostedAnswer(choice="grant", purposes={"media": True}), granted)
    assert states(later) == {"analytics": U, "media": G}
