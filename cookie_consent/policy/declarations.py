"""The content of a policy file, with nothing derived from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.imports import Import
from cookie_consent.policy.parts import Change, Cookie, Feature, Purpose, Recipient, Service, Site
from cookie_consent.policy.security import SecurityRules
from cookie_consent.policy.syntax import lists_to_tuples
from cookie_consent.policy.vendors.mapping import VendorMapping
from cookie_consent.texts.catalog import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRules:
    """What each signal of the browser refuses.

    Args:
        gpc: ids of the purposes that Sec-GPC refuses. None means those that have recipients, sell or are exempt; ()
            ignores the signal.
        dnt: ids of the purposes that DNT refuses. None means those that trace; () ignores the signal.
    """

    gpc: tuple[str, ...] | None = None
    dnt: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        lists_to_tuples(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules:
    """How long consent records are kept as proof.

    Args:
        keep: how long after the consent has ended. The default is three years, a common limitation period for claims.
    """

    keep: timedelta = timedelta(days=1095)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRules:
    """Deadlines and retention for visitors' requests and complaints.

    Args:
        due: the time to reply in. The default is a month (GDPR Article 12(3)).
        keep_address: how long a mail address is kept after the reply.
        keep: how long a request is kept after the reply; at least `keep_address`.

    Raises:
        PolicyError: `keep_address` is longer than `keep`.
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
    """The parts of a policy.

    Args:
        site: who asks, and in which languages.
        purposes: what storage is used for. "necessary" need not be listed.
        cookies: the cookies that may exist.
        recipients: the third parties that get data.
        features: what needs purposes, and the fallback of each.
        services: parts of the site with conditions of their own.
        changes: announced changes, in any order.
        signals: what the browser's signals refuse.
        records: how long consent records are kept.
        requests: deadlines and retention for visitors' requests.
        imports: the answers of other consent tools that are taken over.
        security: header fields that limit what browsers do.
        vendors: the vendors whose tags are told what the visitor allows.
        wording: language -> text name -> text, for shipped texts that the site words itself.
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
    imports: tuple[Import, ...] = ()
    security: SecurityRules = field(default_factory=SecurityRules)
    vendors: tuple[VendorMapping, ...] = ()
    wording: Mapping[str, Mapping[str, Text]] = field(default_factory=dict)
