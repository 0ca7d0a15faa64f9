"""Stores the record of an answer in the ledger, before a grant counts, and limits first answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from anyio import fail_after

from cookie_consent.base.addresses import truncated
from cookie_consent.base.bounds import LONGEST_WAIT, RateLimit
from cookie_consent.base.clock import HOUR, seconds_of
from cookie_consent.base.messages import log_failure, warn_once
from cookie_consent.base.random_ids import new_id
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.endpoints.answers.posted import PostedAnswer, keep_refusals
from cookie_consent.endpoints.answers.waiting import GivenAnswer, WaitingRecords
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.endpoints.settings import list_own_cookies
from cookie_consent.http.forms import Problem, too_many
from cookie_consent.http.site import Site
from cookie_consent.ledgers import Entry
from cookie_consent.ledgers import records as proof
from cookie_consent.pages.evidence import SURFACES, Surface, render_evidence
from cookie_consent.pages.question import answered_at
from cookie_consent.policy.policy import find_card

FROM_A_NETWORK = 600
FROM_ELSEWHERE = 100_000
"""Limits an hour: for one public network, and for all clients without a public address together."""


class FirstAnswers:
    """Counts answers without an earlier answer, in each process.

    A network is an IPv4 /24 or an IPv6 /48. An address that is missing or not public is usually that of a proxy. All
    visitors of the site may share it, so its limit is high.
    """

    def __init__(self) -> None:
        self._networks = RateLimit(FROM_A_NETWORK, HOUR)
        self._elsewhere = RateLimit(FROM_ELSEWHERE, HOUR)

    def wait(self, client: Any, now: float) -> float:
        """Count an answer. Return 0 if it is allowed, else the seconds to wait.

        Args:
            client: the `client` of the ASGI scope: host and port, or None.
            now: seconds since 1970.
        """
        network = _public_network(str(client[0])) if client else None
        if network is not None:
            wait, most, whence = self._networks.wait(network, now), FROM_A_NETWORK, "one public network"
        else:
            wait, most, whence = self._elsewhere.wait("", now), FROM_ELSEWHERE, "addresses that are not public"
        if wait:
            text = (
                f"Over {most} first answers came within an hour from {whence}; for {wait:.0f} seconds consent is "
                "answered with 429, and refusals are not recorded. If a proxy stands in front, let the server take the "
                "client's address from its X-Forwarded-For: uvicorn --proxy-headers --forwarded-allow-ips=PROXY, "
                "hypercorn's ProxyFixMiddleware. docs/behind-a-proxy.md has the settings."
            )
            warn_once("networks", whence, text)
        return wait


def _public_network(host: str) -> str | None:
    """Return the network of a public address; None for any other text."""
    network = truncated(host)
    return network if network is not None and ipaddress.ip_address(network).is_global else None


MAX_ANSWERS, ANSWERS_WITHIN = 60, HOUR
"""Limit of records for one consent id, in each process: number of answers, and seconds."""
_MAX_SEARCHED = 100
"""How many of a visitor's newest records are searched for an earlier answer."""
_LONGEST_WAIT_TO_REFUSE = 2.0
"""Seconds after which a refusal holds without its record."""


class StoredAnswer(NamedTuple):
    """An answer that holds.

    Args:
        record: the answer as it was stored.
        is_new: whether it is new. The second click of a double click is not new.
        problem: what to tell the visitor instead of success; None if all of the answer holds.
    """

    record: ConsentRecord
    is_new: bool
    problem: Problem | None = None


class AnswerRecords:
    """Stores consent records.

    Args:
        site: the site, which has a ledger.
    """

    def __init__(self, site: Site) -> None:
        assert site.ledger is not None  # noqa: S101 (see above)
        self._site = site
        self._ledger = site.ledger
        self._own_cookies = site.own_cookies
        self._pages = site.pages
        self._first_answers = FirstAnswers()
        self._limit = RateLimit(MAX_ANSWERS, ANSWERS_WITHIN)
        self._waiting = WaitingRecords(site.ledger, self._append, site.clock)

    async def keep(
        self,
        inquiry: OwnRequest,
        before: Decision,
        posted: PostedAnswer,
        record: ConsentRecord,
    ) -> StoredAnswer:
        """Store the record of an answer. If the ledger fails, what the answer refuses holds all the same.

        Args:
            inquiry: the request with the answer.
            before: the decision until now, where the answer was given.
            posted: the answer as the visitor sent it.
            record: the answer, without a consent id.

        Raises:
            Problem: 503, the ledger cannot store it, and it refuses nothing; 429, too many answers.
        """
        if before.record is not None and proof.repeats_refusal(before.record, record):
            return StoredAnswer(before.record, is_new=False)
        given = GivenAnswer(inquiry, before, posted, record, new_id())
        refusal = keep_refusals(record, inquiry.visit.decision)
        try:
            with fail_after(LONGEST_WAIT if refusal is None else _LONGEST_WAIT_TO_REFUSE):
                if before.consent_id:
                    await self._waiting.bring(before.consent_id)
                stored = await self._append(given)
        except Problem:
            raise
        except Exception as error:  # noqa: BLE001 (nothing is allowed without its record, whatever fails)
            return self._without_ledger(given, refusal, error)
        if self._site.retention is not None:
            self._site.retention.run_if_due(inquiry.now)
        return stored

    def _without_ledger(self, given: GivenAnswer, refusal: ConsentRecord | None, error: Exception) -> StoredAnswer:
        """Return what holds of an answer that the ledger could not store.

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
        self._waiting.add(given._replace(record=refusal))
        return StoredAnswer(refusal, is_new=True, problem=None if is_whole else problem)

    async def _append(self, given: GivenAnswer) -> StoredAnswer:
        inquiry, before, posted, record, record_id = given
        consent_id, last = await self._chain(before, record)
        record = replace(record, consent_id=consent_id)
        if last is None and not self._has_room(inquiry, before, record):
            return StoredAnswer(record, is_new=True)  # valid, but it needs no proof
        entry = proof.entry(
            record,
            proof.RecordContext(
                record_id=record_id,
                policy=before.policy,
            ),
            before=before.record,
            previous=last["record_id"] if last else None,
            form_id=posted.once,
            shown=await self._shown(inquiry, before, posted),
        )
        stored = (await self._repeated(inquiry, last, entry) if last else None) or await self._ledger.append(entry)
        answered = replace(record, consent_id=stored["consent_id"] or "", decided_at=seconds_of(stored["decided_at"]))
        return StoredAnswer(answered, is_new=stored["record_id"] == record_id)

    async def _chain(self, before: Decision, record: ConsentRecord) -> tuple[str, Mapping[str, Any] | None]:
        """Return the consent id of an answer, and the newest record with that id; "" and None for a plain refusal.

        Consent and its withdrawal have to be provable (GDPR Article 7(1) and (3)). A refusal by a visitor who never
        consented is neither. It needs no id. Nor does one after a withdrawal whose records were removed: there is
        nothing left to prove.
        """
        if before.record is not None and before.consent_id:
            records = await self._ledger.records(before.consent_id, 1)
            if records or before.record.in_state(State.GRANTED):
                return before.consent_id, records[-1] if records else None
        return new_id() if record.in_state(State.GRANTED) else "", None

    def _has_room(self, inquiry: OwnRequest, before: Decision, record: ConsentRecord) -> bool:
        """Tell whether to record one more answer of a visitor without an earlier one.

        Raises:
            Problem: 429, the limit of the client's network is reached and the answer consents: consent needs a record.
        """
        wait = self._first_answers.wait(inquiry.scope.get("client"), inquiry.now)
        if wait and record.in_state(State.GRANTED):
            raise too_many(wait, "Too many first answers came from this network; a refusal at any time.")
        return not wait

    async def _repeated(self, inquiry: OwnRequest, last: Mapping[str, Any], entry: Entry) -> Mapping[str, Any] | None:
        """Return the record that an answer repeats; None if the answer needs a record of its own.

        Above the limit, an answer gets a record only if it refuses something that the newest answer did not. Such a
        refusal is always possible, but cannot be repeated until something is granted again.

        Raises:
            Problem: 429, an answer above the limit grants something.
        """
        if proof.repeats(last, entry):
            return last
        wait = self._limit.wait(last["consent_id"], inquiry.now)
        if not wait:
            return None
        newest, granted = proof.newest_answer(await self._ledger.records(last["consent_id"], _MAX_SEARCHED))
        if proof.grants_more(entry.document, granted):
            raise too_many(
                wait, f"At most {MAX_ANSWERS} answers in {ANSWERS_WITHIN:.0f} seconds; a refusal at any time."
            )
        return None if proof.refuses_more(entry.document, newest) else newest

    async def _shown(self, inquiry: OwnRequest, before: Decision, posted: PostedAnswer) -> proof.ShownText | None:
        """Return the text that the visitor saw; None if it is unknown or the site's own form or program asked."""
        then = await self._when_shown(before, posted) if posted.surface in SURFACES else None
        if then is None:
            return None
        feature = next((feature for feature in then.policy.features if feature.id == posted.feature), None)
        missing = tuple(id_ for id_, wanted in posted.purposes.items() if wanted and not then.purposes[id_])
        surface = Surface(posted.surface, feature, missing, posted.notice, inquiry.counts_on)
        if posted.surface == "card":
            read = self._pages.read_card(posted.card)
            card = find_card(then.policy, read.id) if read else None
            if read is None or card is None:
                return None
            surface = replace(surface, card=card, title=read.title, reloads=read.reloads)
        return render_evidence(
            self._pages,
            then,
            surface,
            base=inquiry.base,
            language=inquiry.language,
            own_cookies=list_own_cookies(self._site, then.policy, inquiry.base, inquiry.place),
            answered_before=before.record.decided_at if before.record else None,
        )

    async def _when_shown(self, before: Decision, posted: PostedAnswer) -> Decision | None:
        """Return the decision when the form was made; None if it is no longer known.

        The visitor may have answered since then, for example in another tab.
        """
        answered = int(posted.answered or -1)
        if answered in (-1, answered_at(before)):
            return before
        signals = frozenset(before.signals)
        if answered == 0:
            # The form showed no answer. Without one, the time makes no difference.
            return decide(before.policy, None, signals, 0)
        records = await self._ledger.records(before.consent_id, _MAX_SEARCHED) if before.consent_id else []
        record = proof.answer_at(records, answered)
        if record is None:
            return None
        return decide(before.policy, record, signals, answered)
