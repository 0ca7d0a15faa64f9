"""Makes the header fields by which a browser keeps an answer, and drops what the answer refuses."""

from __future__ import annotations

from cookie_consent.base.paths import outer_path
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.visit import host_of, refused_names
from cookie_consent.visitors.inquiry import Inquiry


class AnswerCookies:
    """Makes the header fields of the response to an answer.

    Args:
        own: our own cookies.
        gate: expires the cookies that are refused.
    """

    def __init__(self, own: OwnCookies, gate: Gate) -> None:
        self._own, self._gate = own, gate

    def fields(self, inquiry: Inquiry, record: ConsentRecord) -> list[tuple[bytes, bytes]]:
        """Return the header fields.

        Args:
            inquiry: the request that brought the answer.
            record: the answer, as the browser is to keep it.
        """
        scope, secure, before = inquiry.request.scope, inquiry.secure, inquiry.visit.decision
        refused = frozenset(record.in_state(State.REFUSED))
        fields = [(b"set-cookie", self._own.set_consent(record, secure=secure))]
        if before.record is not None and before.record.overruled:
            fields.append((b"set-cookie", self._own.forget_signals(secure=secure)))
        fields += self._gate.expired(
            refused_names(inquiry.visit.carried, record),
            host_of(scope),
            secure=secure,
            unsent=self._gate.out_of_reach(refused, outer_path(scope)),
        )
        if inquiry.is_form or any(before.purposes[purpose] for purpose in refused):
            # Else the back button brings pages back as they were, with all that runs in them (back-forward cache).
            # Where nothing was taken away, our script sees to its own pages, and no answer waits for an empty cache.
            fields.append((b"clear-site-data", b'"cache"'))
        return fields
