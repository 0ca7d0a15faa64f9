"""All that a site declares, as it stands in its policy file; nothing derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import Change, Cookie, Feature, Purpose, Recipient, Service, Site
from cookie_consent.policy.syntax import lists_to_tuples
from cookie_consent.texts.catalog import Text


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Declarations:
    """The parts of a policy, held together.

    Args:
        site: who asks, and in which languages.
        purposes: what storage is used for. "necessary" need not be listed.
        cookies: the cookies that may exist.
        recipients: the third parties that get data.
        features: what needs purposes, and its fallback.
        services: parts of the site with conditions of their own.
        changes: announced changes, any order.
        signals: what the browser's signals refuse.
        records: how long consent records are kept.
        requests: how requests and complaints are dealt with.
        wording: language -> the site's own wording of the shipped texts.
    """

    site: Site
    purposes: tuple[Purpose, ...] = ()
    cookies: tuple[Cookie, ...] = ()
    recipients: tuple[Recipient, ...] = ()
    features: tuple[Feature, ...] = ()
    services: tuple[Service, ...] = ()
    changes: tuple[Change, ...] = ()
    signals: SignalRules = field(default_factory=SignalRules)
    records: RecordRules = field(default_factory=RecordRules)
    requests: RequestRules = field(default_factory=RequestRules)
    wording: Mapping[str, Mapping[str, Text]] = field(default_factory=dict)
