"""Tests of answers that grant some recipients of a purpose: read, recorded, proven and shown."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.base.problem import Problem
from cookie_consent.decision.consent_cookie import SALT, ConsentCookie
from cookie_consent.decision.decision import decide
from cookie_consent.decision.recipients import RecipientBits, granted_recipients
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.signing import Signer
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.ledgers import records as proof
from cookie_consent.policy.parts import Service, ServicePurpose
from cookie_consent.visitors.answers.posted import PostedAnswer, make_record, read_answer
from cookie_consent.visitors.answers.records import MAX_ANSWERS
from cookie_consent.visitors.pages.assets import assets
from cookie_consent.visitors.pages.evidence import explain
from tests.support.asgi import PREFIX, Visitor, install, reply_app
from tests.support.policies import KEY, NOW, chosen_policy, granting_recipients, granting_record, refusing_record

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
POLICY = chosen_policy("adnet", "bidder", "counter")
ALL = frozenset({"adnet", "bidder", "counter"})
SHOP = Service(id="shop", path="/shop", purposes={"ads": ServicePurpose(refused=True)})

SITE = """
[site]
name = "Example"
controller = "Example Ltd."
contact = "privacy@example.com"
prevailing_language = "en"
languages = ["en"]

[purposes.ads]
title = { en = "Advertising" }
description = { en = "We show ads." }
choice = "recipient"

[purposes.media]
title = { en = "Media" }
description = { en = "We show maps." }

[[cookies]]
name = "_adnet"
purpose = "ads"
recipient = "adnet"
duration = "1 day"

[[cookies]]
name = "_bidder"
purpose = "ads"
recipient = "bidder"
duration = "1 day"

[[recipients]]
id = "adnet"
name = "AdNet Inc."
purpose = "ads"
receives = { en = "Address" }
origins = ["https://adnet.example"]
directives = ["script"]

[[recipients]]
id = "bidder"
name = "Bidder & Sons"
purpose = "ads"
receives = { en = "Address" }
origins = ["https://bidder.example"]
directives = ["script"]

[[recipients]]
id = "maps"
name = "Maps Inc."
purpose = "media"
receives = { en = "Address" }
"""


def recipients_after(
    body: str | Mapping[str, Any], before: ConsentRecord | None = None, *signals: str
) -> frozenset[str] | State:
    """Return which recipients an answer grants, or the state of the purpose if it grants none."""
    text, kind = (body, FORM) if isinstance(body, str) else (json.dumps(body), JSON)
    posted = read_answer(kind, text.encode(), POLICY)
    decision = decide(POLICY, before, frozenset(signals), NOW)
    answer = make_record(posted, decision, POLICY, now=NOW, language="en").answers["ads"]
    if answer.state is not State.GRANTED:
        assert answer.recipients is None
        return answer.state
    assert answer.recipients != ALL
    return ALL if answer.recipients is None else answer.recipients


G, R, U = State.GRANTED, State.REFUSED, State.UNANSWERED
ON, OFF, SOME = granting_record(POLICY), refusing_record(POLICY), granting_recipients(POLICY, "adnet", "bidder")


# Forms.


@pytest.mark.parametrize(
    ("body", "before", "granted"),
    [
        pytest.param("choice=accept_all", SOME, ALL, id="all"),
        pytest.param("choice=refuse_all&purpose=ads&recipient=adnet", SOME, R, id="none"),
        pytest.param("choice=save&purpose=ads", None, ALL, id="the purpose"),
        pytest.param("choice=save&purpose=ads", SOME, {"adnet", "bidder"}, id="the purpose again"),
        pytest.param("choice=save", SOME, R, id="nothing"),
        pytest.param("choice=save&recipient=adnet", None, {"adnet"}, id="a recipient"),
        pytest.param("choice=save&purpose=ads&recipient=adnet&recipient=bidder", ON, {"adnet", "bidder"}, id="both"),
        pytest.param("choice=save&purpose=media&recipient=counter", SOME, {"counter"}, id="another"),
        # The form showed the purpose ticked, and its recipients.
        pytest.param("choice=save&shown_on=ads&purpose=ads&recipient=adnet", ON, {"adnet"}, id="one left"),
        pytest.param("choice=save&shown_on=ads&purpose=ads", ON, R, id="all recipients unticked"),
        pytest.param("choice=save&shown_on=ads&recipient=adnet", ON, R, id="the purpose unticked"),
        pytest.param("choice=save&shown_on=ads", ON, R, id="everything unticked"),
        pytest.param("choice=save&shown_on=media&shown_on=x&purpose=ads", None, ALL, id="shown for another purpose"),
        # A box that asks for one.
        pytest.param("choice=grant&recipient=adnet", None, {"adnet"}, id="allow one"),
        pytest.param("choice=grant&recipient=adnet", OFF, {"adnet"}, id="allow one after a refusal"),
        pytest.param("choice=grant&recipient=counter", SOME, ALL, id="allow the last one"),
        pytest.param("choice=grant&purpose=ads", None, ALL, id="allow the purpose"),
        pytest.param("choice=grant&purpose=media", SOME, {"adnet", "bidder"}, id="allow another purpose"),
        pytest.param("choice=grant&purpose=media", OFF, R, id="allow another purpose after a refusal"),
    ],
)
def test_form_grants_recipients(body: str, before: ConsentRecord | None, granted: frozenset[str] | State) -> None:
    assert recipients_after(body, before) == granted


# JSON.


@pytest.mark.parametrize(
    ("choice", "purposes", "recipients", "before", "granted"),
    [
        ("save", {"ads": True}, {}, None, ALL),
        ("save", {"ads": True}, {}, SOME, {"adnet", "bidder"}),
        ("save", {"ads": True}, {"adnet": False}, None, {"bidder", "counter"}),
        ("save", {"ads": True}, {"adnet": False}, SOME, {"bidder"}),
        ("save", {"ads": True}, {"adnet": True}, None, {"adnet"}),
        ("save", {"ads": True}, {"adnet": True, "bidder": False}, SOME, {"adnet"}),
        ("save", {"ads": True}, dict.fromkeys(ALL, True), SOME, ALL),
        ("save", {"ads": True}, dict.fromkeys(ALL, False), ON, R),
        ("save", {"ads": False}, {"adnet": True}, SOME, R),
        ("save", {}, {"adnet": True}, None, {"adnet"}),
        ("save", {}, {"adnet": False}, ON, R),
        ("grant", {}, {"adnet": True}, None, {"adnet"}),
        ("grant", {"ads": False}, {"counter": True}, SOME, ALL),
        ("grant", {"media": True}, {"adnet": False}, SOME, {"bidder"}),
        ("grant", {"media": True}, {"adnet": False, "bidder": False}, SOME, R),
        ("grant", {"media": True}, {"adnet": False}, None, U),
        ("accept_all", {}, {"adnet": False}, None, ALL),
    ],
)
def test_json_grants_recipients(
    choice: str,
    purposes: dict[str, bool],
    recipients: dict[str, bool],
    before: ConsentRecord | None,
    granted: frozenset[str] | State,
) -> None:
    body = {"choice": choice, "purposes": purposes, "recipients": recipients}
    assert recipients_after(body, before) == granted


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"choice": "save", "purposes": {}, "recipients": ["adnet"]}, '"recipients" has to be an object of true and'),
        (
            {"choice": "save", "purposes": {}, "recipients": {"adnet": 1}},
            '"recipients" has to be an object of true and',
        ),
        ({"choice": "save", "recipients": {"adnet": True}}, '"purposes" has to be an object of true and false'),
        ({"choice": "save", "purposes": {}, "recipients": {"adnett": True}}, "There is no recipient 'adnett'. Did you"),
        ({"choice": "save", "purposes": {}, "recipients": {"\n" * 99: True}}, "There is no recipient"),
        (
            {"choice": "save", "purposes": {}, "recipients": {"maps": True}},
            "not chosen by itself. Name its purpose, 'me",
        ),
        ({"choice": "grant", "recipients": {"adnet": False}}, "There is no purpose to grant."),
    ],
)
def test_wrong_recipients_are_refused(body: Mapping[str, Any], detail: str) -> None:
    visitor = Visitor(install(text=SITE))
    reply = visitor.post(body)
    assert (reply.status, reply.set_cookies) == (400, {})
    assert detail in reply.json["detail"]
    assert len(reply.json["detail"]) < 300


def test_deciding_later_names_no_recipients() -> None:
    assert read_answer(FORM, b"choice=later&recipient=nonsense", POLICY).recipients == {}


def test_form_with_unknown_recipient_is_refused() -> None:
    with pytest.raises(Problem, match="There is no recipient 'nobody'"):
        read_answer(FORM, b"choice=save&recipient=nobody", POLICY)


@given(
    st.sampled_from(["save", "grant", "accept_all", "refuse_all", "opt_out"]),
    st.dictionaries(st.sampled_from(["ads", "media", "necessary"]), st.booleans()),
    st.dictionaries(st.sampled_from(["adnet", "bidder", "counter"]), st.booleans()),
    st.sampled_from([None, ON, OFF, SOME]),
    st.frozensets(st.sampled_from(["gpc", "dnt"])),
)
def test_no_answer_grants_a_recipient_that_it_refuses_or_none_at_all(
    choice: str,
    purposes: dict[str, bool],
    recipients: dict[str, bool],
    before: ConsentRecord | None,
    signals: frozenset[str],
) -> None:
    purposes = {**purposes, "necessary": True}
    posted = PostedAnswer(choice=choice, purposes=purposes, recipients=recipients, source="api")
    decision = decide(POLICY, before, signals, NOW)
    record = make_record(posted, decision, POLICY, now=NOW, language="en")
    ads = record.answers["ads"]
    assert (ads.recipients is None) or (ads.state is G and ads.recipients and ads.recipients < ALL)
    after = granted_recipients(decide(POLICY, record, signals, NOW))
    if choice in ("save", "grant"):
        assert not any(recipients.get(id_) is False for id_ in after)
        held, named = granted_recipients(decision), {id_ for id_ in ALL if recipients.get(id_)}
        assert after <= held | named or purposes.get("ads")
    # Read back from the cookie, the record is the same.
    cookie = ConsentCookie(Signer(KEY, SALT), recipients=RecipientBits([POLICY]))
    assert cookie.read([cookie.write(record).encode()]) == [record]


# What an answer does not ask about stays as it was.


def test_page_of_a_service_that_refuses_the_purpose_leaves_recipients_as_they_are() -> None:
    posted = read_answer(FORM, b"choice=save&purpose=media", POLICY)
    decision = decide(POLICY, SOME, frozenset(), NOW)
    record = make_record(posted, decision, POLICY.under(SHOP), now=NOW, language="en")
    assert record.answers["ads"] == SOME.answers["ads"]


def test_grant_that_a_signal_ended_is_not_renewed() -> None:
    assert recipients_after("choice=grant&purpose=media", SOME, "gpc") == U


# The site.


def partly(visitor: Visitor) -> None:
    """Give an answer that leaves out "bidder"."""
    visitor.post({"choice": "save", "purposes": {"ads": True, "media": True}, "recipients": {"bidder": False}})


def test_state_names_recipients_only_where_they_are_chosen() -> None:
    visitor = Visitor(install(text=SITE))
    assert visitor.state()["recipients"] == {"adnet": False, "bidder": False, "maps": False}
    partly(visitor)
    assert visitor.state()["recipients"] == {"adnet": True, "bidder": False, "maps": True}
    assert "recipients" not in Visitor(install(text=SITE.replace('choice = "recipient"', ""))).state()


def test_app_asks_for_one_recipient() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["state"]["consent"].allows_recipient("bidder"))
        await reply_app()(scope, receive, send)

    visitor = Visitor(install(app, text=SITE))
    for answer in (lambda: None, visitor.accept, lambda: partly(visitor)):
        answer()
        reply = visitor.get()
    assert seen == [False, True, False]
    assert reply.get("vary") == "Cookie, Sec-GPC"


def test_cookies_of_a_refused_recipient_are_held_and_expired() -> None:
    visitor = Visitor(install(reply_app(headers=[("set-cookie", "_adnet=1"), ("set-cookie", "_bidder=1")]), text=SITE))
    visitor.accept()
    visitor.get()
    assert {"_adnet", "_bidder"} <= visitor.jar.keys()
    reply = visitor.post({"choice": "save", "purposes": {"ads": True}, "recipients": {"bidder": False}})
    assert any(re.match("_bidder=;.*Max-Age=0", field) for field in reply.all("set-cookie"))
    assert not any(field.startswith("_adnet=") for field in reply.all("set-cookie"))
    assert reply.get("clear-site-data") == '"cache"'
    assert visitor.get().all("set-cookie") == ["_adnet=1"]


def test_policy_of_the_page_names_only_granted_recipients() -> None:
    visitor = Visitor(install(reply_app(b"", "text/html"), text=SITE, csp="enforce"))
    partly(visitor)
    sent = visitor.get().get("content-security-policy")
    assert "https://adnet.example" in sent
    assert "https://bidder.example" not in sent


# The proof.


def records_of(ledger: MemoryLedger) -> list[dict[str, Any]]:
    return [json.loads(link.document) for link in ledger.links() if link.document is not None]


def test_record_says_which_recipients_were_granted() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(text=SITE, ledger=ledger))
    visitor.accept()
    partly(visitor)
    partly(visitor)  # a double click
    visitor.save(media=True)
    all_, some, none = records_of(ledger)
    assert "recipients" not in all_
    assert (some["event"], some["status"], some["granted"]) == ("changed", "partial", ["ads", "media"])
    assert some["recipients"] == {"ads": ["adnet"]}
    assert (none["event"], none["granted"], "recipients" in none) == ("changed", ["media"], False)


def test_signal_leaves_no_recipients_of_what_it_switches_off() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(text=SITE + '\n[signals]\ngpc = ["media"]\ndnt = ["ads"]\n', ledger=ledger))
    partly(visitor)
    visitor.get(headers=[("sec-gpc", "1")])
    visitor.get(headers=[("sec-gpc", "1"), ("dnt", "1")])
    _, media, both = records_of(ledger)
    assert (media["granted"], media["recipients"]) == (["ads"], {"ads": ["adnet"]})
    assert (both["granted"], "recipients" in both) == ([], False)


def test_receipt_names_only_granted_recipients() -> None:
    visitor = Visitor(install(text=SITE, ledger=MemoryLedger()))
    partly(visitor)
    receipt = visitor.get(f"{PREFIX}/receipt").json
    ads = next(purpose for purpose in receipt["purposes"] if purpose["id"] == "ads")
    assert (ads["recipients"], receipt["recipients"]) == (["AdNet Inc."], {"ads": ["adnet"]})
    parties = [party["party_name"] for party in receipt["party_identification"]]
    assert parties == ["Example Ltd.", "AdNet Inc.", "Maps Inc."]
    assert visitor.get(f"{PREFIX}/export").json["consent"]["recipients"] == {"ads": ["adnet"]}


@pytest.mark.parametrize(
    ("before", "after", "more_granted", "more_refused"),
    [
        pytest.param(SOME, SOME, False, False, id="the same"),
        pytest.param(SOME, ON, True, False, id="all instead of some"),
        pytest.param(ON, SOME, False, True, id="some instead of all"),
        pytest.param(SOME, granting_recipients(POLICY, "adnet"), False, True, id="fewer"),
        pytest.param(SOME, granting_recipients(POLICY, "adnet", "counter"), True, True, id="others"),
        pytest.param(SOME, OFF, False, True, id="none"),
        pytest.param(OFF, SOME, True, True, id="some instead of none"),
    ],
)
def test_limit_of_answers_looks_at_recipients(
    before: ConsentRecord, after: ConsentRecord, more_granted: bool, more_refused: bool
) -> None:
    newest, answer = (proof.document(record, timedelta(days=1)) for record in (before, after))
    assert proof.grants_more(answer, newest["granted"], newest) == more_granted
    assert proof.refuses_more(answer, newest) == more_refused


def test_over_the_hourly_limit_a_recipient_can_be_refused_but_not_granted() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(text=SITE, ledger=ledger))
    visitor.accept()
    for number in range(MAX_ANSWERS):
        visitor.save(ads=True, media=number % 2 == 1)
    known = len(records_of(ledger))
    for recipients, status in (({"bidder": False}, 200), ({"bidder": True, "adnet": True}, 429), ({}, 200)):
        reply = visitor.post({"choice": "save", "purposes": {"ads": True, "media": True}, "recipients": recipients})
        assert reply.status == status
    assert len(records_of(ledger)) == known + 1
    assert visitor.state()["recipients"]["bidder"] is False


# The pages.


def boxes(html: str) -> dict[str, bool]:
    """Return the tick boxes of a page: their value -> whether they are ticked."""
    inputs = re.findall(r'<input type="checkbox" name="(purpose|recipient)" value="([^"]*)"([^>]*)>', html)
    return {f"{name} {value}": "checked" in rest for name, value, rest in inputs}


def test_settings_page_has_a_box_for_each_recipient() -> None:
    visitor = Visitor(install(text=SITE))
    nothing = ("purpose ads", "recipient adnet", "recipient bidder", "purpose media")
    assert boxes(visitor.get(PREFIX).text) == dict.fromkeys(nothing, False)
    partly(visitor)
    page = visitor.get(PREFIX)
    assert boxes(page.text) == dict.fromkeys(nothing, True) | {"recipient bidder": False}
    assert re.findall('name="shown_on" value="([^"]*)"', page.text) == ["ads"]
    assert "You accepted all purposes, but not all recipients." in page.text
    assert page.get("content-security-policy").endswith("; script-src 'self'")
    assert (
        page.text.count(f'<script type="module" src="{PREFIX}/assets/{assets()["recipients.js"].name}"></script>') == 1
    )


def test_form_of_the_settings_page_leaves_a_recipient_out() -> None:
    visitor = Visitor(install(text=SITE))
    visitor.accept()
    visitor.send_form("choice=save&shown_on=ads&purpose=ads&purpose=media&recipient=adnet&source=settings")
    assert visitor.state()["recipients"] == {"adnet": True, "bidder": False, "maps": True}
    visitor.send_form("choice=save&shown_on=ads&purpose=media&recipient=adnet&source=settings")
    assert visitor.state()["purposes"] == {"necessary": True, "ads": False, "media": True}


def test_page_of_a_policy_without_choice_has_no_boxes_and_no_script() -> None:
    page = Visitor(install(text=SITE.replace('choice = "recipient"', ""))).get(PREFIX)
    assert boxes(page.text) == {"purpose ads": False, "purpose media": False}
    assert "<script" not in page.text
    assert "script-src" not in page.get("content-security-policy")


def test_service_that_refuses_the_purpose_offers_no_recipients() -> None:
    shop = '\n[services.shop]\nhost = "shop.example"\n[services.shop.purposes.ads]\nrefused = true\n'
    page = Visitor(install(text=SITE + shop)).get(PREFIX, host="shop.example")
    assert boxes(page.text) == {"purpose media": False}


def test_question_links_to_the_choice_of_recipients() -> None:
    visitor = Visitor(install(text=SITE))
    question = visitor.get(f"{PREFIX}/question").text
    link = '<a href="/privacy-choices?language=en#pchoice-purpose-ads"'
    assert question.count(link) == question.count("Choose recipients one by one") == 1
    assert 'id="pchoice-purpose-ads"' in visitor.get(PREFIX).text
    assert boxes(question) == {"purpose ads": False, "purpose media": False}


def test_records_and_receipt_name_the_granted_recipients() -> None:
    visitor = Visitor(install(text=SITE, ledger=MemoryLedger()))
    partly(visitor)
    for path in ("records", "receipt/page"):
        page = visitor.get(f"{PREFIX}/{path}").text
        assert "<dd>Advertising: <bdi>AdNet Inc.</bdi></dd>" in page
        assert "<dd>Media</dd>" in page
        assert "Bidder" not in page


def test_proof_shows_the_boxes_as_they_were() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(text=SITE, ledger=ledger))
    partly(visitor)
    page = visitor.get(PREFIX).text
    fields = dict(re.findall('<input type="hidden" name="(surface|language|answered|once)" value="([^"]*)">', page))
    visitor.send_form(f"choice=save&shown_on=ads&purpose=ads&recipient=adnet&{urlencode(fields)}")
    shown = asyncio.run(explain(ledger, records_of(ledger)[-1]))
    assert shown is not None
    assert (
        boxes(shown.html)
        == boxes(page)
        == {"purpose ads": True, "recipient adnet": True, "recipient bidder": False, "purpose media": True}
    )
