"""The visitor's state as plain data."""

from __future__ import annotations

from typing import Any

from cookie_consent.base.clock import rfc3339
from cookie_consent.decision.decision import Decision


class States:
    """Returns decisions as data for scripts and programs.

    Args:
        reloads: whether pages have to be loaded again after a grant.
    """

    def __init__(self, *, reloads: bool) -> None:
        self._reloads = reloads

    def of(self, decision: Decision) -> dict[str, Any]:
        """Return a decision as JSON data.

        - `status`: what the visitor answered: "unknown", "granted", "refused" or "partial".
        - `purposes`: purpose id -> whether it is allowed now, "necessary" included.
        - `outcome`: what holds on the whole, as the link at the end of pages says it; see `Decision`.
        - `should_ask`: whether the question is to be shown.
        - `asked`: ids of the purposes that it asks for.
        - `policy`: the version of the policy in force.
        - `decided_at`: when the visitor answered, or null.
        - `expires_at`: when that answer ends, or null.
        - `source`: where it was given: "banner", "settings", "feature" or "api"; "signal" if
          only a signal refuses something; else null.
        - `signals`: names of the browser's signals: "gpc", "dnt".
        - `honours_gpc`: whether Global Privacy Control turns something off, now or at some time since the answer.
        - `opted_out`: whether the visitor or a signal has refused every sale or sharing; false if the policy has none.
        - `overruled`: ids of the purposes that the visitor granted and that a signal has refused since.
        - `features`: feature id -> whether it is available.
        - `reloads`: whether pages have to be loaded again after a grant: their Content-Security-Policy names recipients
          only where they are allowed.
        - `law`: the code of the law that applies; only if the policy names one.
        """
        record = decision.record
        return {
            "status": decision.status,
            "purposes": dict(decision.purposes),
            "outcome": decision.outcome,
            "should_ask": decision.should_ask,
            "asked": list(decision.asked),
            "policy": decision.policy.version,
            "decided_at": rfc3339(record.decided_at) if record else None,
            "expires_at": rfc3339(record.expires_at) if record else None,
            "source": record.source if record else "signal" if decision.refused_by_signal else None,
            "signals": list(decision.signals),
            "honours_gpc": decision.honours_gpc,
            "opted_out": decision.opted_out,
            "overruled": sorted(decision.overruled),
            "features": {feature.id: decision.feature(feature.id).available for feature in decision.policy.features},
            "reloads": self._reloads,
            **({"law": decision.policy.law.code} if decision.policy.law else {}),
        }
