"""All that a site declares, as it stands in its policy file; nothing derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cookie_consent.parts import Change, Cookie, Feature, Purpose, Recipient, Service, Site
from cookie_consent.rules import RecordRules, RequestRules, SignalRules
from cookie_consent.texts.catalog import Text


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
