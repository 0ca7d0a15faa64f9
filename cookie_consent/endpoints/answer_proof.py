"""Keeps the record of an answer in the ledger, with the text that was shown, before a grant counts."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from anyio import fail_after

from cookie_consent.base.addresses import truncate_address
from cookie_consent.base.bounds import LONGEST_KEPT, LONGEST_WAIT, RateLimit
from cookie_consent.base.clock import seconds_of
from cookie_consent.base.messages import log_failure, warn_once
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.own_cookies import is_saved
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.endpoints.answer_body import PostedAnswer, keep_refusals
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.endpoints.settings import list_own_cookies
from cookie_consent.http.forms import Problem, make_rate_problem
from cookie_consent.http.site import Proof, Site
from cookie_consent.ledgers import Entry, Ledger
from cookie_consent.ledgers import records as ledger_records
from cookie_consent.pages.context import answered_at
from cookie_consent.pages.evidence import SURFACES, render_evidence
from cookie_consent.pages.pages import NOTICES
from cookie_consent.policy.policy import find_card

_MAX_SEARCHED = 100
"""How many of a visitor's newest records are searched for an earlier answer."""
_LONGEST_WAIT_TO_REFUSE = 2.0
"""Seconds after which a refusal counts without its record."""


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
        details["notice"] = posted.notice if posted.notice in NOTICES or is_saved(posted.notice) else ""
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
