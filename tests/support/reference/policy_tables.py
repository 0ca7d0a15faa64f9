"""The tables of a policy file for the page: the class that reads each, and changes that ask visitors again or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cookie_consent.policy.declarations import RecordRules, RequestRules, SignalRules
from cookie_consent.policy.goals import Funnel, Goal
from cookie_consent.policy.parts import (
    Authority,
    Change,
    Cookie,
    Feature,
    Purpose,
    Recipient,
    Service,
    ServicePurpose,
    Site,
)
from cookie_consent.policy.security import SecurityRules
from tests.support.reference.example import REMOVED, in_another_language

Changes = Mapping[str, Any]
"""What `example.changed` takes."""
Step = Changes | tuple[Changes, Changes]
"""A change of the file with every table, or of what the first changes make of it."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the policy file.

    Args:
        name: how the file writes it.
        part: the class that holds it.
        place: where the file with every table has one.
        about: what it is for; Markdown.
        read_on: the page that explains it.
        changes: key -> what is changed, as the page says it -> the change. Texts are reworded without being named here.
        entries: the same for whole tables that are added or removed.
    """

    name: str
    part: type[Any]
    place: str
    about: str
    read_on: str = "policy.md"
    changes: Mapping[str, Mapping[str, Step]] = field(default_factory=dict)
    entries: Mapping[str, Step] = field(default_factory=dict)


_ADS, _AD, _ADNET = "purposes ads", "cookies 0", "recipients 0"
_ONE_BY_ONE = {f"{_ADS} choice": "recipient"}
_OF_ADNET = {f"{_AD} recipient": "adnet"}
_OTHER_PURPOSE = {"title": {"en": "Social media"}, "description": {"en": "We show posts."}}
_OTHER_RECIPIENT = {"id": "bidder", "name": "Bidder", "purpose": "ads", "receives": {"en": "IP address"}}

TABLES = (
    Table(
        name="[site]",
        part=Site,
        place="site",
        about="Who asks, in which languages, and under which laws. It is needed.",
        read_on="policy.md#site-who-asks",
        changes={
            "name": {"": {"site name": "Shop"}},
            "controller": {"": {"site controller": "Shop Inc."}},
            "languages": {"": in_another_language("ja")},
            "prevailing_language": {"": {**in_another_language("ja"), "site prevailing_language": "ja"}},
            "contact": {"": {"site contact": "desk@shop.example"}},
            "policy_url": {"": {"site policy_url": "/terms"}},
            "updated": {"": {"site updated": date(2026, 11, 2)}},
            "domain": {
                "": {"site domain": "a.shop.example", "site hosts": ["a.shop.example", "b.a.shop.example"]},
            },
            "hosts": {
                "a host added": {"site hosts": ["shop.example", "www.shop.example", "m.shop.example"]},
                "a host removed": {"site hosts": ["shop.example"]},
            },
            "regions": {"": {"site regions": ["GB"]}},
            "regime": {"": {"site regime": "eu"}},
            "regimes": {"": {"site regime": "eu", "site regimes": {"US": "us-optout"}}},
            "authority": {"": {"site authority url": "https://other.example"}},
            "time_zone": {"": {"site time_zone": "Asia/Tokyo"}},
        },
    ),
    Table(
        name="[site.authority]",
        part=Authority,
        place="site authority",
        about="The authority that visitors can complain to.",
        changes={"url": {"": {"site authority url": "https://other.example"}}},
    ),
    Table(
        name="[purposes.ID]",
        part=Purpose,
        place=_ADS,
        about="One reason to store or read something. Visitors say yes or no to each. `necessary` is always there.",
        read_on="policy.md#purposesid-why-something-is-stored",
        changes={
            "retention": {"longer": {f"{_ADS} retention": "40 days"}, "shorter": {f"{_ADS} retention": "20 days"}},
            "traces": {
                "to `true`": {f"{_ADS} traces": True},
                "to `false`": {"purposes analytics traces": REMOVED, "signals dnt": []},
            },
            "erase_on_withdrawal": {"": {"purposes analytics erase_on_withdrawal": True}},
            "sells": {"to `true`": {f"{_ADS} sells": True}, "to `false`": ({f"{_ADS} sells": True}, {})},
            "choice": {"written": _ONE_BY_ONE, "taken away": (_ONE_BY_ONE, {})},
        },
        entries={
            "added": {"purposes social": _OTHER_PURPOSE},
            "removed": {"purposes media": REMOVED, "features map purposes": ["ads"]},
        },
    ),
    Table(
        name="[[cookies]]",
        part=Cookie,
        place=_AD,
        about="A cookie that the site, or a script on it, sets or reads. One that is not declared is held back.",
        read_on="policy.md#cookies-which-cookies-may-exist",
        changes={
            "name": {"": {f"{_AD} name": "_ad2"}},
            "purpose": {"": {f"{_AD} purpose": "media"}},
            "duration": {"longer": {f"{_AD} duration": "40 days"}, "shorter": {f"{_AD} duration": "1 day"}},
            "path": {"": {f"{_AD} path": "/shop"}},
            "domain": {"": {f"{_AD} domain": "shop.example"}},
            "recipient": {"written": _OF_ADNET, "taken away": (_OF_ADNET, {})},
        },
        entries={"added": {"cookies 1": {"name": "_b", "purpose": "ads"}}, "removed": {"cookies": []}},
    ),
    Table(
        name="[[recipients]]",
        part=Recipient,
        place=_ADNET,
        about="A third party that gets data once its purpose is allowed.",
        read_on="policy.md#recipients-who-gets-data",
        changes={
            "id": {"": {f"{_ADNET} id": "adnet2"}},
            "name": {"": {f"{_ADNET} name": "AdNet Ltd."}},
            "purpose": {"": {f"{_ADNET} purpose": "media"}},
            "origins": {
                "one added": {f"{_ADNET} origins": ["https://ads.example", "https://cdn.ads.example"]},
                "one removed": {f"{_ADNET} origins": []},
            },
            "directives": {"": {f"{_ADNET} directives": ["img"]}},
            "policy_url": {"": {f"{_ADNET} policy_url": "https://ads.example/terms"}},
            "country": {"": {f"{_ADNET} country": "JP"}},
        },
        entries={"added": {"recipients 1": _OTHER_RECIPIENT}, "removed": {"recipients": [], "vendors": {}}},
    ),
    Table(
        name="[features.ID]",
        part=Feature,
        place="features map",
        about="What the site offers that needs purposes, and what visitors read in its place.",
        read_on="policy.md#featuresid-what-degrades",
        changes={"purposes": {"": {"features map purposes": ["ads"]}}},
        entries={"added or removed": {"features": {}}},
    ),
    Table(
        name="[services.ID]",
        part=Service,
        place="services help",
        about="A part of the site with conditions of its own: a path with all below it, a host, or both. It needs "
        "one of them.",
        read_on="policy.md#servicesid-parts-of-the-site-with-their-own-conditions",
        changes={
            "path": {"": {"services help path": "/support"}},
            "host": {"": {"services help host": "help.shop.example"}},
            "policy_url": {"": {"services help policy_url": "/support/terms"}},
            "purposes": {"": {"services help purposes": {}}},
        },
        entries={"added or removed": {"services": {}}},
    ),
    Table(
        name="[services.ID.purposes.PURPOSE]",
        part=ServicePurpose,
        place="services help purposes ads",
        about="What a service has otherwise for one purpose. What is left out stays as the site has it.",
        read_on="policy.md#servicesid-parts-of-the-site-with-their-own-conditions",
        changes={
            "retention": {
                "longer": {"services help purposes ads retention": "20 days"},
                "shorter": {"services help purposes ads retention": "1 day"},
            },
            "refused": {"": {"services help purposes ads refused": True}},
        },
    ),
    Table(
        name="[[changes]]",
        part=Change,
        place="changes 0",
        about="A change of the policy that the settings page, and for thirty days each page, announces.",
        read_on="policy.md#when-you-change-it",
        changes={"date": {"": {"changes 0 date": date(2026, 11, 2)}}},
        entries={"added or removed": {"changes": []}},
    ),
    Table(
        name="[signals]",
        part=SignalRules,
        place="signals",
        about="What the browser's own signals refuse: Global Privacy Control, and Do Not Track.",
        read_on="policy.md#signals",
        changes={"gpc": {"": {"signals gpc": "ignore"}}, "dnt": {"": {"signals dnt": "ignore"}}},
    ),
    Table(
        name="[records]",
        part=RecordRules,
        place="records",
        about="How long consent records are kept as proof, where a ledger is set.",
        read_on="proof.md#retention",
        changes={"keep": {"": {"records keep": "30 days"}}},
    ),
    Table(
        name="[requests]",
        part=RequestRules,
        place="requests",
        about="By when the help desk answers, and how long it keeps what.",
        read_on="proof.md#the-help-desk",
        changes={
            "due": {"": {"requests due": "20 days"}},
            "keep_address": {"": {"requests keep_address": "20 days"}},
            "keep": {"": {"requests keep": "200 days"}},
        },
    ),
    Table(
        name="[security]",
        part=SecurityRules,
        place="security",
        about="Header fields that the middleware sends where the app sends none.",
        read_on="security.md",
        changes={
            "content_security_policy": {"": {"security content_security_policy": "default-src https:"}},
            "permissions_policy": {"": {"security permissions_policy": "camera=()"}},
            "connection_allowlist": {"": {"security connection_allowlist": ["https://api.example"]}},
            "referrer_policy": {"": {"security referrer_policy": "origin"}},
        },
    ),
    Table(
        name="[goals.ID]",
        part=Goal,
        place="goals signup",
        about="What a visit is for: an event, or a page. Reports count the sessions that reach it.",
        read_on="goals.md",
        changes={
            "event": {"": {"goals signup event": "sign_up"}},
            "page": {"": {"goals signup": {"page": "/welcome"}}},
        },
        entries={"added or removed": {"goals": {}}},
    ),
    Table(
        name="[funnels.ID]",
        part=Funnel,
        place="funnels order",
        about="Steps that lead to a goal. Reports say how many sessions come how far.",
        read_on="goals.md",
        changes={"steps": {"": {"funnels order steps": ["/cart", "event:paid"]}}},
        entries={"added or removed": {"funnels": {}}},
    ),
)
