"""Daily retention in the serving process; `cookie-consent purge` does the same for cron."""

from __future__ import annotations

import logging
import secrets
from functools import partial

from cookie_consent.base.clock import DAY, Daily, is_future, is_within, rfc3339
from cookie_consent.base.messages import log_failure
from cookie_consent.ledgers import Ledger, Removal
from cookie_consent.policy.parts import RequestRules

_log = logging.getLogger("cookie_consent")


class Retention(Daily):
    """Removes due records and requests once a day. Several processes and hosts may run it at once.

    Args:
        ledger: stores the records, and the requests beside them.
        rules: how long requests are kept. Each record states its own retention.
    """

    def __init__(self, ledger: Ledger, rules: RequestRules) -> None:
        super().__init__(self.run)
        self._ledger, self._rules = ledger, rules

    def run(self, now: float) -> None:
        """Remove what is due and log the counts. Records wait if another process did them within a day."""
        try:
            # `cookie-consent purge` removes requests only if given a policy, so its run does not count here.
            purged = self._ledger.requests.purge(now=now, rules=self._rules)
            is_done = is_within(DAY, last_removal(self._ledger, now), now)
            removed = (
                Removal(0, 0, 0)
                if is_done
                else self._ledger.remove(now=now, make_id=partial(secrets.token_urlsafe, 16))
            )
        except Exception as error:  # noqa: BLE001 (a ledger may raise anything; retention is retried tomorrow)
            log_failure("What is due could not be removed from the ledger", error)
            return
        _log.info(
            "Removed what is due from the ledger: %d records, %d texts, %d policies, %d requests, %d addresses.",
            *(removed.records, removed.texts, removed.policies),
            *purged.values(),
        )
        if removed.misfiled:
            _log.error(
                "Records that are due stay, since they are not as they were recorded: %d. Run: cookie-consent verify",
                removed.misfiled,
            )


def last_removal(ledger: Ledger, now: float) -> float | None:
    """Return the Unix time at which due records were last removed from a ledger, or None.

    A time in the future is logged and ignored: some host's clock was ahead when it removed records.

    Args:
        ledger: stores the records.
        now: Unix time in seconds.
    """
    last = ledger.last_removal()
    if last is None or not is_future(last, now):
        return last
    _log.warning(
        "Records were removed from the ledger at %s: a host's clock was ahead, or the one here is behind. It counts as "
        "not done; records that were not due may be gone.",
        rfc3339(last),
    )
    return ledger.last_removal(now)
