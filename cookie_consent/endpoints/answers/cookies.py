"""Header fields of the response to an answer: the consent cookie, and what is expired."""

from __future__ import annotations

from cookie_consent.base.addresses import outer_path
from cookie_consent.decision.decision import Decision
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import CONSENT, SAVED, SIGNAL, OwnCookies
from cookie_consent.decision.place import read_host
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.visit import refused_cookie_names
from cookie_consent.endpoints.request import OwnRequest

_EMPTY_CACHE = (b"clear-site-data", b'"cache"')


class AnswerCookies:
    """Returns the header fields of the response to an answer.

    Args:
        own_cookies: the middleware's own cookies.
        gate: expires refused cookies.
    """

    def __init__(self, own_cookies: OwnCookies, gate: Gate) -> None:
        self._own_cookies, self._gate = own_cookies, gate

    def fields(self, inquiry: OwnRequest, record: ConsentRecord, *, says_saved: bool) -> list[tuple[bytes, bytes]]:
        """Return the header fields.

        Args:
            inquiry: the request with the answer.
            record: the answer to be stored in the browser.
            says_saved: whether the next page says that the answer is saved.
        """
        scope, place, before = inquiry.scope, inquiry.place, inquiry.visit.decision
        replaced = self._own_cookies.forget_former((CONSENT, SIGNAL), inquiry.cookie_field, place, inquiry.base)
        fields = [(b"set-cookie", field) for field in (*replaced, self._own_cookies.set_consent(record, place=place))]
        if before.record is not None and before.record.overridden_by:
            # This answer was given in sight of the signals, so it overrides them (11 CCR 7025).
            fields.append((b"set-cookie", self._own_cookies.forget(SIGNAL, place)))
        fields += self._gate.expire_cookies(
            refused_cookie_names(inquiry.visit.refusable_cookies, record),
            read_host(scope),
            secure=place.secure,
            unsent=self._gate.find_unsent(record.in_state(State.REFUSED), outer_path(scope)),
        )
        if says_saved:
            fields.append((b"set-cookie", self._own_cookies.set(SAVED, "1", place)))
        if inquiry.is_form or _takes_away(before, record):
            # Otherwise the back button would restore pages as they were, with their scripts running (back-forward
            # cache). If nothing was taken away, our script updates its own pages, and the answer need not wait for the
            # cache to be emptied.
            fields.append(_EMPTY_CACHE)
        return fields

    def of_state(self, inquiry: OwnRequest, decision: Decision) -> list[tuple[bytes, bytes]]:
        """Return the header fields that make the cookie for scripts say what holds; none if there is no such cookie.

        Args:
            inquiry: the request.
            decision: what holds for the site from now on.
        """
        fields = self._own_cookies.set_state(decision, inquiry.cookie_field, inquiry.now, inquiry.place)
        return [(b"set-cookie", field) for field in fields]


def _takes_away(before: Decision, record: ConsentRecord) -> bool:
    """Return whether an answer refuses something that was allowed until now."""
    return any(before.purposes[purpose] for purpose in record.in_state(State.REFUSED))
