"""The content of a policy file, with nothing derived from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from cookie_consent.policy.checked_part import CheckedPart
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.goals import Funnel, Goal
from cookie_consent.policy.parts import Change, Cookie, Feature, Purpose, Recipient, Service, Site
from cookie_consent.policy.security import SecurityRules
from cookie_consent.policy.vendors.mapping import VendorMapping
from cookie_consent.texts.catalog import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRules(CheckedPart):
    """What each signal of the browser refuses.

    Args:
        gpc: ids of the purposes that Sec-GPC refuses. None means those that have recipients or sell; ()
            ignores the signal.
        dnt: ids of the purposes that DNT refuses. None means those that trace; () ignores the signal.
    """

    gpc: tuple[str, ...] | None = None
    dnt: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules(CheckedPart):
    """How long consent records are kept as proof.

    Args:
        keep: how long after the consent has ended. The default is three years, a common limitation period for claims.
    """

    keep: timedelta = timedelta(days=1095)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRules(CheckedPart):
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

    def _errors(self) -> Iterator[PolicyError]:
        if self.keep_address > self.keep:
            yield PolicyError(
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
        security: header fields that limit what browsers do.
        vendors: the vendors whose tags are told what the visitor allows.
        goals: what reports count as success.
        funnels: the ways to it, step by step.
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
    security: SecurityRules = field(default_factory=SecurityRules)
    vendors: tuple[VendorMapping, ...] = ()
    goals: tuple[Goal, ...] = ()
    funnels: tuple[Funnel, ...] = ()
    wording: Mapping[str, Mapping[str, Text]] = field(default_factory=dict)


def labelled_parts(declared: Declarations) -> Iterator[tuple[str, CheckedPart]]:
    """Yield each part, behind its table as the policy file writes it: "[site]", '[[cookies]] "session"'."""
    yield "[site]", declared.site
    if declared.site.authority:
        yield "[site.authority]", declared.site.authority
    for table, named in (
        ("purposes", declared.purposes),
        ("features", declared.features),
        ("goals", declared.goals),
        ("funnels", declared.funnels),
    ):
        yield from ((f"[{table}.{part.id}]", part) for part in named)
    yield from labelled_cookies(declared)
    yield from labelled_recipients(declared)
    for service in declared.services:
        yield f"[services.{service.id}]", service
        yield from ((f"[services.{service.id}.purposes.{id_}]", part) for id_, part in service.purposes.items())
    yield from ((item_label("changes", number), change) for number, change in enumerate(declared.changes, 1))
    for table in ("signals", "records", "requests", "security"):
        yield f"[{table}]", getattr(declared, table)
    yield from (("[vendors]", mapping) for mapping in declared.vendors)


def labelled_cookies(declared: Declarations) -> Iterator[tuple[str, Cookie]]:
    """Yield each cookie, behind its table."""
    for number, cookie in enumerate(declared.cookies, 1):
        yield item_label("cookies", number, cookie.name), cookie


def labelled_recipients(declared: Declarations) -> Iterator[tuple[str, Recipient]]:
    """Yield each recipient, behind its table."""
    for number, recipient in enumerate(declared.recipients, 1):
        yield item_label("recipients", number, recipient.id, recipient.name), recipient


def item_label(table: str, number: int, *names: str) -> str:
    """Return how messages name an item of an array of tables: by its first name that is not empty, or its number."""
    name = next(filter(None, names), "")
    return f'[[{table}]] "{name}"' if name else f"[[{table}]] no. {number}"
