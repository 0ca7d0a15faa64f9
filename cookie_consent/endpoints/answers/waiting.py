"""Records of refusals that the ledger could not keep: the log tells each of them, and the ledger gets them later."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy
from dataclasses import replace
from typing import NamedTuple

from anyio import fail_after, sleep
from starlette.requests import Request

from cookie_consent.base.bounds import LONGEST_KEPT, LONGEST_WAIT
from cookie_consent.base.clock import seconds_of
from cookie_consent.base.threads import start
from cookie_consent.decision.decision import Decision
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.endpoints.answers.posted import PostedAnswer
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers import records as proof
from cookie_consent.policy.policy import canonical_json

MAX_WAITING = 1000
"""They take about 3 MB with a policy of four purposes."""
LONGEST_WAITING = 50 * 60
"""Seconds. `verify` accepts dates that are up to an hour out of order; this leaves ten minutes for differing clocks."""
PAUSE = 10.0
"""Seconds between two tries."""
_log = logging.getLogger("cookie_consent")


class GivenAnswer(NamedTuple):
    """An answer with everything that its record is made of.

    Args:
        inquiry: the request with the answer.
        before: the decision until now, where the answer was given.
        posted: the answer as the visitor sent it.
        record: the answer, without a consent id.
        record_id: the id of its record.
    """

    inquiry: OwnRequest
    before: Decision
    posted: PostedAnswer
    record: ConsentRecord
    record_id: str


class WaitingRecords:
    """Keeps refusals in memory until the ledger takes their records.

    Args:
        ledger: the ledger.
        append: makes a record of an answer and appends it to the ledger.
        clock: returns seconds since 1970.
    """

    def __init__(
        self,
        ledger: Ledger,
        append: Callable[[GivenAnswer], Awaitable[object]],
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._append = append
        self._clock = clock
        self._waiting: OrderedDict[str, GivenAnswer] = OrderedDict()
        self._is_trying = False

    def add(self, given: GivenAnswer) -> None:
        """Log the record of an answer, and try from now on to bring it to the ledger."""
        document = {"record_id": given.record_id, **proof.document(given.record)}
        _log.error("A refusal holds, and its record waits for the ledger: %s", canonical_json(document).decode())
        posted = given.posted
        texts = (posted.surface, posted.feature, posted.card, posted.notice, given.inquiry.base)
        if len(self._waiting) < MAX_WAITING and max(map(len, texts)) <= LONGEST_KEPT:
            self._waiting[given.record_id] = _without_request(given)
        if self._waiting and not self._is_trying:
            self._is_trying = True
            start(self._try_again(), self._end)

    async def bring(self, consent_id: str | None = None) -> None:
        """Bring what waits to the ledger, oldest first.

        Args:
            consent_id: whose records; None for all.

        Raises:
            Exception: the ledger still fails. What it did not take goes on waiting.
        """
        for record_id, given in [*self._waiting.items()]:
            if consent_id not in (None, given.record.consent_id) or self._waiting.pop(record_id, None) is None:
                continue
            try:
                await self._bring(given)
            except BaseException:  # cancelling, too
                self._waiting[record_id] = given
                self._waiting.move_to_end(record_id, last=False)
                raise

    async def _bring(self, given: GivenAnswer) -> None:
        """Append a record, unless it is too old, or a newer one of the same visitor is in the ledger."""
        record = given.record
        if self._clock() - record.decided_at > LONGEST_WAITING:
            return
        last = await self._ledger.last(record.consent_id)
        if last is None or seconds_of(last["decided_at"]) <= record.decided_at:
            await self._append(given)
            _log.warning("The ledger has kept the record that waited: %s", given.record_id)

    async def _try_again(self) -> None:
        while self._waiting:
            await sleep(PAUSE)
            with suppress(Exception), fail_after(LONGEST_WAIT):
                await self.bring()

    def _end(self) -> None:
        self._is_trying = False


def _without_request(given: GivenAnswer) -> GivenAnswer:
    """Return an answer without what only its response needs, so that nothing long stays in memory."""
    inquiry = copy(given.inquiry)
    inquiry.visit = replace(inquiry.visit, visible_cookies=None, refusable_cookies=(), refused_cookies=())
    for name in ("_headers", "_query_params"):
        vars(inquiry).pop(name, None)
    Request.__init__(inquiry, {"type": "http"})
    inquiry.cookie_field = b""
    inquiry.content_type = ""
    return given._replace(inquiry=inquiry, posted=replace(given.posted, next="", language="", first=""))
