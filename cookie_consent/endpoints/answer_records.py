"""The record of an answer: reads the answer from a body, makes the record, and keeps it before a grant counts."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from anyio import fail_after

from cookie_consent.base.addresses import truncate_address
from cookie_consent.base.bounds import LONGEST_KEPT, LONGEST_WAIT, RateLimit
from cookie_consent.base.clock import seconds_of
from cookie_consent.base.messages import log_failure, warn_once
from cookie_consent.decision.decision import Decision, Reason, decide
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.endpoints.settings import list_own_cookies
from cookie_consent.http.forms import FORM, Problem, make_rate_problem, read_fields
from cookie_consent.http.site import Proof, Site
from cookie_consent.ledgers import Entry, Ledger
from cookie_consent.ledgers import records as ledger_records
from cookie_consent.pages.context import answered_at
from cookie_consent.pages.evidence import SURFACES, render_evidence
from cookie_consent.pages.pages import NOTICES
from cookie_consent.policy.diff import digests
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.parts import NECESSARY
from cookie_consent.policy.policy import Policy, find_card

_MAX_SEARCHED = 100
"""How many of a visitor's newest records are searched for an earlier answer."""
_LONGEST_WAIT_TO_REFUSE = 2.0
"""Seconds after which a refusal counts without its record."""
_CHOICES = ("accept_all", "refuse_all", "save", "grant", "opt_out")
_SOURCES = ("banner", "settings", "feature", "api")
_MARKS = {"once": re.compile(r"[A-Za-z0-9_-]{0,64}"), "answered": re.compile(r"[0-9]{1,10}")}
"""Marks of a form that help to recognise a double click and the text that was shown. A bad one is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedAnswer:
    """An answer as the visitor sent it. All attributes but `purposes` are texts, "" if not given.

    Attributes:
        choice: "accept_all" (grants all but what a signal refuses), "refuse_all", "save" (grants `purposes`, refuses
            all others), "grant" (grants `purposes` but for what a signal refuses, leaves all others as they are) or
            "opt_out" (refuses every sale or sharing, leaves all others as they are).
        purposes: purpose id -> whether it was ticked, for the purposes that the answer names.
        policy: the version of the policy that was shown.
        next: the address to continue at.
        source: where the answer was given: "banner", "settings", "feature" or "api". Without it, a form counts as
            "settings", and JSON as "api".
        language: the language that was shown.
        service: the id of the service on whose page it was given.
        surface: the kind of page or box that was shown.
        feature: the id of the feature that needed consent.
        card: what the form of a card says of it, see `Pages.read_card`.
        once: the id of the form.
        answered: the time of the answer that the form showed, in seconds since 1970; "0" for no answer.
        notice: the name of the message above the form.
        first: "1" if the question was the first of a visit.
        asked: the ids of the purposes that the form asked for, separated by spaces. The first three choices leave all
            others as they are. "" asks for all.
    """

    choice: str = ""
    purposes: Mapping[str, bool] = field(default_factory=dict)
    policy: str = ""
    next: str = ""
    source: str = ""
    language: str = ""
    service: str = ""
    surface: str = ""
    feature: str = ""
    card: str = ""
    once: str = ""
    answered: str = ""
    notice: str = ""
    first: str = ""
    asked: str = ""


class GivenAnswer(NamedTuple):
    """An answer on its way: what was sent, what was decided until now where it was given, and its record.

    Attributes:
        record: the answer. It has no consent id at first: the ledger decides whether it needs one.
        record_id: the id of its record in the ledger.
        is_new: whether it is new. The second click of a double click is not.
        problem: what to tell the visitor instead of success; None if all of the answer counts.
    """

    posted: PostedAnswer
    before: Decision
    record: ConsentRecord
    record_id: str = ""
    is_new: bool = True
    problem: Problem | None = None


_TEXTS = [attribute.name for attribute in fields(PostedAnswer) if attribute.name != "purposes"]


def read_answer(media_type: str, body: bytes, policy: Policy) -> PostedAnswer:
    """Parse and validate the body of an answer.

    Raises:
        Problem: 400, the body is no valid answer.
    """
    data = read_fields(media_type, body, repeated="purpose")
    purposes: Any
    if media_type == FORM:
        purposes = dict.fromkeys(data["purpose"], True)
        data = {"source": "settings", **data}
    else:
        purposes = data.get("purposes", None if data.get("choice") in ("save", "grant") else {})
        _check_purposes(purposes)
        data = {"source": "api", **data}
    texts = {}
    for name in _TEXTS:
        texts[name] = data.get(name, "")
        if not isinstance(texts[name], str):
            raise Problem(400, f'"{name}" has to be a text.')
    for name, pattern in _MARKS.items():
        if not pattern.fullmatch(texts[name]):
            texts[name] = ""
    posted = PostedAnswer(purposes=purposes, **texts)
    _check(posted, policy)
    return posted


def _check_purposes(purposes: Any) -> None:
    if not isinstance(purposes, dict) or not all(isinstance(value, bool) for value in purposes.values()):
        raise Problem(400, '"purposes" has to be an object of true and false.')
    if purposes.get(NECESSARY) is False:
        raise Problem(400, "What is necessary cannot be refused.")


def _check(posted: PostedAnswer, policy: Policy) -> None:
    """Check that all exists that an answer names. What the client sent is cut, because it is part of the response."""
    for kind, name, words in (("choice", posted.choice, _CHOICES), ("source", posted.source, _SOURCES)):
        if name not in words:
            raise Problem(400, f"There is no {kind} {name[:40]!r}. Known: {', '.join(words)}.")
    rows: list[tuple[str, str, Sequence[str]]] = [
        ("purpose", purpose, policy.optional) for purpose in posted.purposes if purpose != NECESSARY
    ]
    if posted.service:
        rows.append(("service", posted.service, [service.id for service in policy.services]))
    for kind, name, known in rows:
        if name not in known:
            raise Problem(400, f"There is no {kind} {name[:40]!r}. {did_you_mean(name[:40], known)}")
    if posted.choice == "grant" and not any(posted.purposes.values()):
        raise Problem(400, "There is no purpose to grant.")
    if posted.choice == "opt_out" and not policy.sells:
        raise Problem(400, "Nothing is sold or shared here.")


def make_record(
    posted: PostedAnswer, before: Decision, shown: Policy, *, now: int, language: str, lifetime: timedelta
) -> ConsentRecord:
    """Return the consent record of an answer, without a consent id: the ledger decides whether it needs one.

    Args:
        posted: the answer.
        before: the decision until now.
        shown: the policy that applies where the answer was given. What a service refuses is not asked there, and stays
            as it was.
        now: seconds since 1970.
        language: the language that was shown.
        lifetime: how long the answer is valid.
    """
    policy = before.policy
    granted, refused = _choose(posted, before)
    facts = digests(policy)
    answers = {}
    for purpose in policy.optional:
        is_closed = shown.in_force[purpose].refused and posted.choice != "opt_out"
        if purpose in refused and not is_closed:
            state = State.REFUSED
        elif purpose in granted and not is_closed:
            # A box that ran unasked and was left ticked is no consent (GDPR, recital 32), should the visitor move to
            # where consent is needed.
            is_left_ticked = before.reasons[purpose] is Reason.UNREFUSED and posted.choice != "accept_all"
            state = State.UNANSWERED if is_left_ticked else State.GRANTED
        else:
            state = _state_so_far(before, purpose)
        answers[purpose] = Answer(state, facts[purpose])
    return ConsentRecord(
        answers=answers,
        policy=policy.version,
        decided_at=now,
        source=posted.source,
        language=language,
        signals=frozenset(before.signals),
        lifetime=lifetime.total_seconds(),
    )


def _choose(posted: PostedAnswer, before: Decision) -> tuple[frozenset[str], frozenset[str]]:
    """Return the purposes that an answer grants, and those that it refuses. It leaves all others as they are."""
    asked = frozenset(posted.asked.split() or before.policy.optional)
    ticked = frozenset(purpose for purpose, is_ticked in posted.purposes.items() if is_ticked)
    none = frozenset[str]()
    match posted.choice:
        case "accept_all":
            return asked - before.refused_by_signal, none
        case "refuse_all":
            return none, asked | before.refused_by_signal
        case "save":
            return asked & ticked, asked - ticked
        case "grant":
            return ticked - before.refused_by_signal, none
        case _:
            return none, frozenset(before.policy.sells)


def keep_refusals(record: ConsentRecord, before: Decision) -> ConsentRecord | None:
    """Return what counts of an answer if its record cannot be stored: what it refuses. None if it refuses nothing.

    A refusal needs no proof. What the answer would newly allow stays as it was.
    """
    answers = dict(record.answers)
    for purpose in record.granted:
        answers[purpose] = answers[purpose]._replace(state=_state_so_far(before, purpose))
    refusal = replace(record, answers=answers)
    refused_before = before.record.refused if before.record else ()
    refuses_more = not set(refused_before).issuperset(refusal.refused)
    return refusal if refuses_more or not record.granted else None


def _state_so_far(before: Decision, purpose: str) -> State:
    """Return the state of a purpose that an answer leaves as it is.

    A grant stays only if it still counts, with signals and policy changes applied. A signal against a sale or sharing
    counts as a refusal, and is not asked about again.
    """
    if before.reasons[purpose] is Reason.GRANTED:
        return State.GRANTED
    was_refused = before.record is not None and purpose in before.record.refused
    is_opted_out = purpose in before.refused_by_signal and purpose in before.policy.sells
    return State.REFUSED if was_refused or is_opted_out else State.UNANSWERED


# The record is kept.


async def keep_record(site: Site, proof: Proof, request: OwnRequest, given: GivenAnswer) -> GivenAnswer:
    """Store the record of an answer. If the ledger fails, what the answer refuses counts all the same.

    Raises:
        Problem: 503, the ledger cannot store it, and it refuses nothing; 429, too many answers.
    """
    given = given._replace(record_id=secrets.token_urlsafe(16))
    refusal = keep_refusals(given.record, request.visit.decision)
    try:
        with fail_after(LONGEST_WAIT if refusal is None else _LONGEST_WAIT_TO_REFUSE):
            stored = await _store(site, proof, request, given)
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001 (nothing is allowed without its record, whatever fails)
        problem = Problem(503, "What the answer allows cannot be recorded just now.", "error_unavailable")
        if refusal is None:
            log_failure("The ledger could not keep a consent record; the answer was refused", error)
            raise problem from None
        log_failure("The ledger could not keep a consent record; what the answer refuses holds", error)
        refusal = replace(refusal, consent_id=given.before.consent_id)
        make_entry = await _prepare_entry(site, None, request, given)
        proof.waiting.add(given.record_id, refusal, make_entry)
        if refusal.answers == given.record.answers:
            return given._replace(record=refusal)
        return given._replace(record=refusal, problem=problem)
    proof.retention.run_if_due(request.now)
    return stored


async def _store(site: Site, proof: Proof, request: OwnRequest, given: GivenAnswer) -> GivenAnswer:
    """Append the record of an answer, unless it repeats the last one or is over a limit."""
    before = given.before
    record = given.record
    last: Mapping[str, Any] | None = None
    if before.consent_id:
        await proof.waiting.bring(before.consent_id)
        last = await proof.ledger.last(before.consent_id)
    known = last
    if before.record is not None and not before.consent_id and not before.record.granted:
        known = ledger_records.describe_record(before.record)  # a refusal without an id is in the cookie alone
    if known is not None and ledger_records.repeats(known, ledger_records.describe_record(record)):
        return _restore(given, known, is_new=False)
    given = given._replace(record=replace(record, consent_id=_choose_id(before, record, last)))
    unrecorded = await _apply_limits(site, proof.ledger, request, given, last)
    if unrecorded is not None:
        return unrecorded
    make_entry = await _prepare_entry(site, proof.ledger, request, given)
    stored = await proof.ledger.append(make_entry(given.record, previous=last["record_id"] if last else None))
    return _restore(given, stored, is_new=stored["record_id"] == given.record_id)


def _restore(given: GivenAnswer, stored: Mapping[str, Any], *, is_new: bool) -> GivenAnswer:
    """Return an answer with the id and the time of the stored one."""
    record = replace(given.record, consent_id=stored["consent_id"] or "", decided_at=seconds_of(stored["decided_at"]))
    return given._replace(record=record, is_new=is_new)


def _choose_id(before: Decision, record: ConsentRecord, last: Mapping[str, Any] | None) -> str:
    """Return the consent id of an answer; "" for a plain refusal.

    Consent and its withdrawal have to be provable (GDPR Article 7(1) and (3)). A refusal by a visitor who never
    consented is neither. It needs no id. Nor does one after a withdrawal whose records were removed: there is nothing
    left to prove.
    """
    was_granted = before.record is not None and bool(before.record.granted)
    if before.consent_id and (last is not None or was_granted):
        return before.consent_id
    return secrets.token_urlsafe(16) if record.granted else ""


async def _apply_limits(
    site: Site, ledger: Ledger, request: OwnRequest, given: GivenAnswer, last: Mapping[str, Any] | None
) -> GivenAnswer | None:
    """Count an answer. Return it if it is over a limit and needs no record; None if it is to be recorded.

    Over the limit a first refusal leaves no record, because no proof is owed for it. Another answer leaves one if it
    refuses something that the newest answer did not. Such a refusal is always possible, but cannot be repeated until
    something is granted again.

    Raises:
        Problem: 429, an answer over the limit grants something.
    """
    record = given.record
    if last is None:
        wait = count_first_answer(site.limits, request.scope.get("client"), request.now)
    else:
        wait = site.limits["answers"].wait(record.consent_id, request.now)
    if not wait:
        return None
    records = [] if last is None else await ledger.records(record.consent_id, _MAX_SEARCHED)
    newest, granted = ledger_records.find_newest_answer(records)
    if not granted.issuperset(record.granted):
        raise make_rate_problem(wait, "Too many answers came from this visitor or network; a refusal at any time.")
    if last is None:
        return given
    if newest is not None and set(newest["refused"]).issuperset(record.refused):
        return _restore(given, newest, is_new=False)
    return None


def count_first_answer(limits: Mapping[str, RateLimit], client: Sequence[Any] | None, now: float) -> float:
    """Count an answer without an earlier one. Return 0 if it is allowed, else the seconds to wait.

    A network is an IPv4 /24 or an IPv6 /48. An address that is missing or not public is usually that of a proxy. All
    visitors of the site may share it, so its limit is high.
    """
    network = truncate_address(str(client[0])) if client else None
    whence = "one public network"
    if network is None or not ipaddress.ip_address(network).is_global:
        network = ""
        whence = "addresses that are not public"
    limit = limits[f"first answers from {whence}"]
    wait = limit.wait(network, now)
    if wait:
        text = (
            f"Over {limit.most} first answers came within an hour from {whence}; for {wait:.0f} seconds consent is "
            "answered with 429, and refusals are not recorded. If a proxy stands in front, let the server take the "
            "client's address from its X-Forwarded-For: uvicorn --proxy-headers --forwarded-allow-ips=PROXY, "
            "hypercorn's ProxyFixMiddleware. docs/behind-a-proxy.md has the settings."
        )
        warn_once("networks", whence, text)
    return wait


async def _prepare_entry(
    site: Site, ledger: Ledger | None, request: OwnRequest, given: GivenAnswer
) -> Callable[..., Entry]:
    """Return what makes the entry of the ledger from a record and the id of the one before it.

    Without the ledger, a text that follows from an older answer is unknown.
    """
    context = ledger_records.RecordContext(record_id=given.record_id, policy=given.before.policy)
    shown = None
    # A path can come from the client: a long one must neither wait nor fill the cache of texts.
    if given.posted.surface in SURFACES and (ledger is not None or len(request.base) <= LONGEST_KEPT):
        then = await _find_decision_shown(ledger, given)
        shown = None if then is None else _render_shown_text(site, request, given, then)
    return partial(
        ledger_records.make_entry,
        context=context,
        before=given.before.record,
        form_id=given.posted.once,
        shown=shown,
    )


async def _find_decision_shown(ledger: Ledger | None, given: GivenAnswer) -> Decision | None:
    """Return the decision when the form was made; None if it is no longer known.

    The visitor may have answered since then, for example in another tab.
    """
    before = given.before
    time = int(given.posted.answered or answered_at(before))
    if time == answered_at(before):
        return before
    records = []
    if time and ledger is not None and before.consent_id:
        records = await ledger.records(before.consent_id, _MAX_SEARCHED)
    record = ledger_records.answer_at(records, time)
    if time and record is None:  # without a time, the form showed no answer
        return None
    return decide(before.policy, record, frozenset(before.signals), time)


def _render_shown_text(
    site: Site, request: OwnRequest, given: GivenAnswer, then: Decision
) -> ledger_records.ShownText | None:
    """Return the text that the visitor saw; None if it is unknown or the site's own form or program asked."""
    posted = given.posted
    feature = next((feature for feature in then.policy.features if feature.id == posted.feature), None)
    details: dict[str, Any] = {}
    if posted.surface == "settings":
        details["notice"] = posted.notice if posted.notice in NOTICES else ""
        details["counts_on"] = request.counts_on
        details["own_cookies"] = list_own_cookies(site, then.policy, request.base, request.place)
    elif posted.surface == "card":
        content = site.pages.read_card(posted.card)
        card = find_card(then.policy, content[0]) if content else None
        if content is None or card is None:
            return None
        _, reloads, title = content
        details = {"card": card, "reloads": reloads, "title": title}
    elif posted.surface in ("box", "page"):
        details["feature"] = feature
        if posted.surface == "page" or feature is None:
            ticked = [id_ for id_, is_ticked in posted.purposes.items() if is_ticked]
            details["missing"] = tuple(id_ for id_ in ticked if not then.purposes[id_])
    return render_evidence(
        site.pages,
        then,
        posted.surface,
        details,
        base=request.base,
        language=request.language,
        answered_before=given.before.record.decided_at if given.before.record else None,
    )
