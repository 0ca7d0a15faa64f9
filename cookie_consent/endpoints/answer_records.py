"""Stores the record of an answer in the ledger, before a grant counts."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from anyio import fail_after

from cookie_consent.base.addresses import truncated
from cookie_consent.base.bounds import LONGEST_WAIT, RateLimit
from cookie_consent.base.clock import seconds_of
from cookie_consent.base.messages import log_failure, warn_once
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.place import Place
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.endpoints.posted import PostedAnswer, keep_refusals
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.endpoints.settings import list_own_cookies
from cookie_consent.http.forms import Problem, too_many
from cookie_consent.http.site import Site
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers.records import (
    RecordContext,
    ShownText,
    answer_at,
    describe_record,
    find_newest_answer,
    make_entry,
    repeats,
)
from cookie_consent.ledgers.waiting import WaitingRecord
from cookie_consent.pages.evidence import SURFACES, Surface, render_evidence
from cookie_consent.pages.question import answered_at
from cookie_consent.policy.policy import find_card

_MAX_SEARCHED = 100
"""How many of a visitor's newest records are searched for an earlier answer."""
_LONGEST_WAIT_TO_REFUSE = 2.0
"""Seconds after which a refusal counts without its record."""


class StoredAnswer(NamedTuple):
    """An answer that counts.

    Attributes:
        record: the answer as it was stored.
        is_new: whether it is new. The second click of a double click is not.
        problem: what to tell the visitor instead of success; None if all of the answer counts.
    """

    record: ConsentRecord
    is_new: bool = True
    problem: Problem | None = None


class GivenAnswer(NamedTuple):
    """What the record of an answer is made of.

    Attributes:
        record_id: the id of the record.
        record: the answer.
        posted: the answer as the visitor sent it.
        before: the decision until now, where the answer was given.
        base: the address of the endpoints.
        place: where our own cookies live.
        counts_on: the hosts that the settings page named.
    """

    record_id: str
    record: ConsentRecord
    posted: PostedAnswer
    before: Decision
    base: str
    place: Place
    counts_on: tuple[str, ...]


async def keep_record(
    site: Site, request: OwnRequest, posted: PostedAnswer, before: Decision, record: ConsentRecord
) -> StoredAnswer:
    """Store the record of an answer. If the ledger fails, what the answer refuses counts all the same.

    Args:
        site: the site.
        request: the request with the answer.
        posted: the answer as the visitor sent it.
        before: the decision until now, where the answer was given.
        record: the answer, without a consent id.

    Raises:
        Problem: 503, the ledger cannot store it, and it refuses nothing; 429, too many answers.
    """
    ledger = site.ledger
    if ledger is None:
        return StoredAnswer(record)
    refusal = keep_refusals(record, request.visit.decision)
    short = replace(posted, next="", language="", asked="")
    given = GivenAnswer(
        secrets.token_urlsafe(16), record, short, before, request.base, request.place, request.counts_on
    )
    try:
        with fail_after(LONGEST_WAIT if refusal is None else _LONGEST_WAIT_TO_REFUSE):
            stored = await _store(site, ledger, request, given)
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001 (nothing is allowed without its record, whatever fails)
        return _do_without_ledger(site, ledger, given, refusal, error)
    if site.retention is not None:
        site.retention.run_if_due(request.now)
    return stored


async def _store(site: Site, ledger: Ledger, request: OwnRequest, given: GivenAnswer) -> StoredAnswer:
    """Append the record of an answer, unless it repeats the last one or is over a limit."""
    before = given.before
    last = await _find_last(site, ledger, before.consent_id)
    known = last
    if known is None and before.record is not None and not before.record.in_state(State.GRANTED):
        known = describe_record(before.record)  # a refusal without an id is in the cookie alone
    if known is not None and repeats(known, describe_record(given.record)):
        return _restore(given.record, known, is_new=False)
    record = replace(given.record, consent_id=_choose_id(before, given.record, last))
    if last is None and not _has_room(site, request, record):
        return StoredAnswer(record)  # valid, but it needs no proof
    newest = await _find_answer_over_limit(site, ledger, request, record) if last is not None else None
    if newest is not None:
        return _restore(record, newest, is_new=False)
    stored = await append_record(site, ledger, given._replace(record=record), last)
    return _restore(record, stored, is_new=stored["record_id"] == given.record_id)


async def _find_last(site: Site, ledger: Ledger, consent_id: str) -> Mapping[str, Any] | None:
    """Return the newest record with a consent id, after the ledger has got those that waited."""
    if not consent_id:
        return None
    if site.waiting is not None:
        await site.waiting.bring(consent_id)
    return await ledger.last(consent_id)


def _choose_id(before: Decision, record: ConsentRecord, last: Mapping[str, Any] | None) -> str:
    """Return the consent id of an answer; "" for a plain refusal.

    Consent and its withdrawal have to be provable (GDPR Article 7(1) and (3)). A refusal by a visitor who never
    consented is neither. It needs no id. Nor does one after a withdrawal whose records were removed: there is nothing
    left to prove.
    """
    if last is not None:
        return before.consent_id
    if before.consent_id and before.record is not None and before.record.in_state(State.GRANTED):
        return before.consent_id
    return secrets.token_urlsafe(16) if record.in_state(State.GRANTED) else ""


def _has_room(site: Site, request: OwnRequest, record: ConsentRecord) -> bool:
    """Return whether to record one more answer of a visitor without an earlier one.

    Raises:
        Problem: 429, the limit of the client's network is reached and the answer consents: consent needs a record.
    """
    wait = count_first_answer(site.limits, request.scope.get("client"), request.now)
    if wait and record.in_state(State.GRANTED):
        raise too_many(wait, "Too many first answers came from this network; a refusal at any time.")
    return not wait


def _restore(record: ConsentRecord, stored: Mapping[str, Any], *, is_new: bool) -> StoredAnswer:
    """Return an answer with the id and the time of the stored one."""
    decided_at = seconds_of(stored["decided_at"])
    return StoredAnswer(replace(record, consent_id=stored["consent_id"] or "", decided_at=decided_at), is_new)


def _do_without_ledger(
    site: Site, ledger: Ledger, given: GivenAnswer, refusal: ConsentRecord | None, error: Exception
) -> StoredAnswer:
    """Return what counts of an answer that the ledger could not store.

    Raises:
        Problem: 503, nothing does.
    """
    problem = Problem(503, "What the answer allows cannot be recorded just now.", "error_unavailable")
    if refusal is None:
        log_failure("The ledger could not keep a consent record; the answer was refused", error)
        raise problem
    log_failure("The ledger could not keep a consent record; what the answer refuses holds", error)
    is_whole = refusal.answers == given.record.answers
    refusal = replace(refusal, consent_id=given.before.consent_id)
    if site.waiting is not None:
        append = partial(append_record, site, ledger, given._replace(record=refusal))
        posted = given.posted
        texts = (posted.surface, posted.feature, posted.card, posted.notice, given.base)
        site.waiting.add(WaitingRecord(given.record_id, refusal, append), max(map(len, texts)))
    return StoredAnswer(refusal, problem=None if is_whole else problem)


def count_first_answer(limits: Mapping[str, RateLimit], client: Sequence[Any] | None, now: float) -> float:
    """Count an answer without an earlier one. Return 0 if it is allowed, else the seconds to wait.

    A network is an IPv4 /24 or an IPv6 /48. An address that is missing or not public is usually that of a proxy. All
    visitors of the site may share it, so its limit is high.
    """
    network = truncated(str(client[0])) if client else None
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


async def _find_answer_over_limit(
    site: Site, ledger: Ledger, request: OwnRequest, record: ConsentRecord
) -> Mapping[str, Any] | None:
    """Count an answer. Return the newest one in place of it if it is over the limit and needs no record.

    It needs one if it refuses something that the newest answer did not. Such a refusal is always possible, but cannot
    be repeated until something is granted again.

    Raises:
        Problem: 429, an answer over the limit grants something.
    """
    limit = site.limits["answers"]
    wait = limit.wait(record.consent_id, request.now)
    if not wait:
        return None
    newest, granted = find_newest_answer(await ledger.records(record.consent_id, _MAX_SEARCHED))
    if not granted.issuperset(record.in_state(State.GRANTED)):
        raise too_many(wait, f"At most {limit.most} answers in {limit.seconds:.0f} seconds; a refusal at any time.")
    if newest is not None and set(newest["refused"]).issuperset(record.in_state(State.REFUSED)):
        return newest
    return None


async def append_record(
    site: Site, ledger: Ledger, given: GivenAnswer, last: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """Append the record of an answer to the ledger, behind the visitor's newest record; return what is stored."""
    entry = make_entry(
        given.record,
        RecordContext(record_id=given.record_id, policy=given.before.policy),
        before=given.before.record,
        previous=last["record_id"] if last else None,
        form_id=given.posted.once,
        shown=await _find_shown_text(site, ledger, given),
    )
    return await ledger.append(entry)


async def _find_shown_text(site: Site, ledger: Ledger, given: GivenAnswer) -> ShownText | None:
    """Return the text that the visitor saw; None if it is unknown or the site's own form or program asked."""
    posted = given.posted
    if posted.surface not in SURFACES:
        return None
    then = await _find_decision_shown(ledger, posted, given.before)
    if then is None:
        return None
    feature = next((feature for feature in then.policy.features if feature.id == posted.feature), None)
    missing = tuple(id_ for id_, is_ticked in posted.purposes.items() if is_ticked and not then.purposes[id_])
    surface = Surface(posted.surface, feature, missing, posted.notice, given.counts_on)
    if posted.surface == "card":
        content = site.pages.read_card(posted.card)
        card = find_card(then.policy, content.id) if content else None
        if content is None or card is None:
            return None
        surface = replace(surface, card=card, title=content.title, reloads=content.reloads)
    return render_evidence(
        site.pages,
        then,
        surface,
        base=given.base,
        language=given.record.language,
        own_cookies=list_own_cookies(site, then.policy, given.base, given.place),
        answered_before=given.before.record.decided_at if given.before.record else None,
    )


async def _find_decision_shown(ledger: Ledger, posted: PostedAnswer, before: Decision) -> Decision | None:
    """Return the decision when the form was made; None if it is no longer known.

    The visitor may have answered since then, for example in another tab.
    """
    if not posted.answered:
        return before
    time = int(posted.answered)
    if time == answered_at(before):
        return before
    record = None
    if time:  # else the form showed no answer, and without one the time makes no difference
        records = await ledger.records(before.consent_id, _MAX_SEARCHED) if before.consent_id else []
        record = answer_at(records, time)
        if record is None:
            return None
    return decide(before.policy, record, frozenset(before.signals), time)
