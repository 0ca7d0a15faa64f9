"""The rules of a policy: what browsers' signals refuse, and how long things are kept and may take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cookie_consent.policy_error import PolicyError
from cookie_consent.spelling import lists_to_tuples


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRules:
    """What a signal of the browser refuses.

    Args:
        gpc: purpose ids that Sec-GPC refuses; None for those with recipients or an exemption; () to ignore the signal.
        dnt: purpose ids that DNT refuses; None for those that trace; () to ignore the signal.
    """

    gpc: tuple[str, ...] | None = None
    dnt: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        lists_to_tuples(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules:
    """How long consent records are kept as proof.

    Args:
        keep: for how long after the consent has ended. Three years by default: as long as many claims can be made.
    """

    keep: timedelta = timedelta(days=1095)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRules:
    """How requests and complaints are dealt with.

    Args:
        due: the time in which they are answered. A month by default (GDPR Article 12(3)).
        keep_address: for how long a mail address is kept after the answer.
        keep: for how long a request is kept after the answer.
    """

    due: timedelta = timedelta(days=30)
    keep_address: timedelta = timedelta(days=30)
    keep: timedelta = timedelta(days=1095)

    def __post_init__(self) -> None:
        if self.keep_address > self.keep:
            raise PolicyError(
                "a mail address cannot be kept for longer than its request", "Write a shorter time.", key="keep_address"
            )
