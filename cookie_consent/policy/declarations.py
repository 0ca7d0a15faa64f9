"""The content of a policy file, and whether its parts fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.goals import Funnel, Goal, errors_in_goals
from cookie_consent.policy.laws import Law, laws
from cookie_consent.policy.parts import (
    NECESSARY,
    Change,
    CheckedPart,
    Cookie,
    Feature,
    Purpose,
    Recipient,
    RecordRules,
    RequestRules,
    Service,
    SignalRules,
    Site,
    Texts,
)
from cookie_consent.policy.security import SecurityRules
from cookie_consent.policy.vendors import VendorMapping
from cookie_consent.texts import catalog
from cookie_consent.texts.catalog import Text


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


MAX_PURPOSES = 32
"""Nobody reads more, and the answers would not fit in a cookie."""
_MOST_NAMED = 10
"""A message names at most so many missing texts."""

_REMEDIES = {
    "data": 'Say which kinds of data it uses, as in data = {{ {language} = "…" }}.',
    "country": 'Write where it handles the data, as in country = "US".',
    "use": 'Say what the recipient uses the data for, as in use = {{ {language} = "…" }}.',
}
"""Key -> what would be right, if the key is missing."""


def find_errors(policy: Declarations) -> Iterator[PolicyError]:
    """Yield an error for each part of a policy that does not fit to the others."""
    yield from _errors_in_purposes(policy)
    yield from _errors_in_cookies(policy)
    yield from _errors_in_recipients(policy)
    yield from _errors_in_features(policy)
    yield from _errors_in_services(policy)
    yield from _errors_in_signals(policy)
    yield from _errors_in_vendors(policy)
    yield from errors_in_goals(policy.goals, policy.funnels)
    for number, change in enumerate(policy.changes, 1):
        yield from _missing_languages(policy, change.text, item_label("changes", number), "text")
    if policy.site.authority:
        yield from _missing_languages(policy, policy.site.authority.name, "[site.authority]", "name")
    yield from _errors_in_wording(policy)


def _errors_in_wording(policy: Declarations) -> Iterator[PolicyError]:
    """Yield an error if an offered language lacks texts of the pages, and for wording in a language not offered."""
    for language in policy.wording:
        yield from _not_offered(policy, language, f"[texts.{language}]")
    for language in policy.site.languages:
        table, texts = f"[texts.{language}]", policy.wording.get(language, {})
        for key, text in texts.items():
            yield from _errors_in_text(language, text, table, key)
        missing = sorted(catalog.names() - catalog.shipped(language).keys() - texts.keys())
        if missing:
            more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
            yield PolicyError(
                f"no texts ship for this language, and these are not written: {', '.join(missing[:_MOST_NAMED])}{more}",
                f"Write them in [texts.{language}]; the English ones are the model. "
                f"Texts ship for: {', '.join(catalog.shipped_languages())}.",
                table=table,
            )


def _errors_in_text(language: str, text: catalog.Text, table: str, key: str) -> Iterator[PolicyError]:
    """Yield an error if a text in the site's wording is unknown or empty, or lacks the plural forms of its number."""
    if key not in catalog.names():
        yield PolicyError("there is no such text", did_you_mean(key, catalog.names()), table=table, key=key)
        return
    forms = text if isinstance(text, Mapping) else {"": text}
    counts = catalog.is_counted(key)
    # The shipped text has the forms of its language. Of another language one form is enough: which ones it has differs
    # from one release of the CLDR to the next.
    shipped = catalog.shipped(language).get(key, {})
    needed = {*shipped} if isinstance(shipped, Mapping) else set()
    if isinstance(text, Mapping) != counts or not forms or not needed <= forms.keys():
        example = ", ".join(f'{category} = "…"' for category in sorted(needed or {"other"}))
        remedy = f"Write it as in {{ {example} }}." if counts else 'Write one text, as in "…".'
        yield PolicyError("the text has not the forms that it needs", remedy, table=table, key=key)
    if not all(form.strip() for form in forms.values()):
        yield PolicyError("the text is empty", "Write it, or leave the line out.", table=table, key=key)


def _not_offered(policy: Declarations, language: str, table: str, key: str = "") -> Iterator[PolicyError]:
    # Without languages, the site is wrong and not the texts.
    if policy.site.languages and language not in policy.site.languages:
        yield PolicyError(
            f'the language "{language}" is not offered',
            f"Add it to languages in [site], or leave it out. {did_you_mean(language, policy.site.languages)}",
            table=table,
            key=key,
        )


def _missing_languages(policy: Declarations, text: Texts, table: str, key: str) -> Iterator[PolicyError]:
    """Yield an error if a text lacks an offered language, and for each language that it has but the site lacks."""
    for language in text:
        yield from _not_offered(policy, language, table, key)
    missing = [f'"{language}"' for language in policy.site.languages if not text.get(language, "").strip()]
    if missing:
        yield PolicyError(
            f"there is no text in the offered language {' and '.join(missing)}",
            f"Write it in each of: {', '.join(policy.site.languages)}.",
            table=table,
            key=key,
        )


def _twice(names: Iterable[str], table: str, key: str, thing: str) -> Iterator[PolicyError]:
    for name, count in Counter(names).items():
        if name and count > 1:
            yield PolicyError(f'{thing} "{name}" is declared twice', "Keep one of them.", table=table, key=key)


def _unknown_purpose(policy: Declarations, purpose: str, table: str, key: str = "") -> Iterator[PolicyError]:
    known = {NECESSARY, *(declared.id for declared in policy.purposes)}
    if purpose == "?":
        names = ", ".join(sorted(known))
        remedy = f'Write the one that it serves: {names}. "necessary" is for what the site cannot work without.'
        yield PolicyError("the purpose is still to be written", remedy, table=table, key=key)
    elif purpose not in known:
        yield PolicyError(
            f'there is no purpose "{purpose}"',
            f"{did_you_mean(purpose, known)} Or declare [purposes.{purpose}].",
            table=table,
            key=key,
        )


def _errors_in_purposes(policy: Declarations) -> Iterator[PolicyError]:
    yield from _twice((purpose.id for purpose in policy.purposes), "[purposes]", "id", "the purpose")
    number = len({NECESSARY, *(purpose.id for purpose in policy.purposes)})
    if number > MAX_PURPOSES:
        yield PolicyError(f"there are {number}", f"Use at most {MAX_PURPOSES}.", table="[purposes]")
    for purpose in policy.purposes:
        yield from _missing_languages(policy, purpose.title, f"[purposes.{purpose.id}]", "title")
        yield from _missing_languages(policy, purpose.description, f"[purposes.{purpose.id}]", "description")
        for key in ("data", "legal_basis"):
            if text := getattr(purpose, key):
                yield from _missing_languages(policy, text, f"[purposes.{purpose.id}]", key)


def _errors_in_cookies(policy: Declarations) -> Iterator[PolicyError]:
    for kind, thing in (("cookie", "the cookie"), ("storage", "what is stored as")):
        names = (cookie.name for cookie in policy.cookies if cookie.kind == kind)
        yield from _twice(names, "[[cookies]]", "name", thing)
    for table, cookie in labelled_cookies(policy):
        yield from _unknown_purpose(policy, cookie.purpose, table, "purpose")
        if cookie.description:
            yield from _missing_languages(policy, cookie.description, table, "description")


def _errors_in_recipients(policy: Declarations) -> Iterator[PolicyError]:
    yield from _twice((recipient.id for recipient in policy.recipients), "[[recipients]]", "id", "the recipient")
    if policy.site.recipients and policy.recipients:
        problem = f'it says that there are none, but [[recipients]] declares "{policy.recipients[0].id}"'
        yield PolicyError(problem, "Leave one of the two out.", table="[site]", key="recipients")
    for table, recipient in labelled_recipients(policy):
        yield from _unknown_purpose(policy, recipient.purpose, table, "purpose")
        yield from _missing_languages(policy, recipient.receives, table, "receives")
        for key in ("safeguard", "use"):
            if text := getattr(recipient, key):
                yield from _missing_languages(policy, text, table, key)


def _errors_in_features(policy: Declarations) -> Iterator[PolicyError]:
    yield from _twice((feature.id for feature in policy.features), "[features]", "id", "the feature")
    for feature in policy.features:
        table = f"[features.{feature.id}]"
        for purpose in feature.purposes:
            yield from _unknown_purpose(policy, purpose, table, "purposes")
        yield from _missing_languages(policy, feature.title, table, "title")
        yield from _missing_languages(policy, feature.fallback, table, "fallback")


def _errors_in_services(policy: Declarations) -> Iterator[PolicyError]:
    yield from _twice((service.id for service in policy.services), "[services]", "id", "the service")
    # "/shop" and "/shop/" are the same place.
    places = Counter((service.host, service.path.rstrip("/")) for service in policy.services)
    for service in policy.services:
        table = f"[services.{service.id}]"
        if places[service.host, service.path.rstrip("/")] > 1 and (service.host or service.path):
            yield PolicyError("another service has the same place", "One of the two is never reached.", table=table)
        if service.title:
            yield from _missing_languages(policy, service.title, table, "title")
        for purpose in service.purposes:
            yield from _errors_in_override(policy, service, purpose)


def _errors_in_vendors(policy: Declarations) -> Iterator[PolicyError]:
    for mapping in policy.vendors:
        # A purpose that is no text is an error of the mapping itself.
        for purpose in (purpose for purpose in mapping.purposes.values() if isinstance(purpose, str)):
            yield from _unknown_purpose(policy, purpose, "[vendors]", mapping.id)


def _errors_in_override(policy: Declarations, service: Service, purpose: str) -> Iterator[PolicyError]:
    table = f"[services.{service.id}.purposes.{purpose}]"
    yield from _unknown_purpose(policy, purpose, table)
    override = service.purposes[purpose]
    of_site = next((declared.retention for declared in policy.purposes if declared.id == purpose), None)
    if override.refused and purpose == NECESSARY:
        yield PolicyError("what is necessary cannot be refused", "Leave it out.", table=table, key="refused")
    if override.retention and (of_site is None or override.retention > of_site):
        yield PolicyError(
            "a service cannot keep data for longer than the site says",
            f"Write a shorter time, or a longer one in [purposes.{purpose}].",
            table=table,
            key="retention",
        )
    for key in ("title", "description"):
        if text := getattr(override, key):
            yield from _missing_languages(policy, text, table, key)


def _errors_in_signals(policy: Declarations) -> Iterator[PolicyError]:
    # Sec-GPC is a legal opt-out of sale and sharing (11 CCR 7025), so a policy cannot exclude such purposes from it.
    for purpose in policy.purposes:
        if purpose.sells and policy.signals.gpc is not None and purpose.id not in policy.signals.gpc:
            yield PolicyError(
                f'Sec-GPC has to refuse "{purpose.id}", which is a sale or sharing',
                "List it, or leave the line out.",
                table="[signals]",
                key="gpc",
            )
    for key in ("gpc", "dnt"):
        for purpose in getattr(policy.signals, key) or ():
            yield from _unknown_purpose(policy, purpose, "[signals]", key)
            if purpose == NECESSARY:
                yield PolicyError("no signal refuses what is necessary", "Leave it out.", table="[signals]", key=key)


def find_errors_in_force(policy: Declarations) -> Iterator[PolicyError]:
    """Yield what only the policy in force has to satisfy: each tracing purpose has a retention, and what a law asks."""
    for purpose in policy.purposes:
        if purpose.traces and purpose.retention is None:
            yield PolicyError(
                "a purpose that traces has to say how long its records are kept",
                'Write "395 days" or less (13 months: CNIL, audience measurement).',
                table=f"[purposes.{purpose.id}]",
                key="retention",
            )
    for code in policy.site.laws:
        if code in laws():
            yield from _errors_by_law(policy, laws()[code])


def _errors_by_law(policy: Declarations, law: Law) -> Iterator[PolicyError]:
    if "gpc" in law.binding_signals and policy.signals.gpc == ():
        yield PolicyError(
            f"no site may ignore Sec-GPC under the law of {law.name} ({law.provisions})",
            "Leave the line out, or list the purposes that it refuses.",
            table="[signals]",
            key="gpc",
        )
    if law.notice_language and law.notice_language not in policy.site.languages:
        yield PolicyError(
            f'the law of {law.name} asks for a page in the language "{law.notice_language}" ({law.provisions})',
            f'Add "{law.notice_language}", and write each text in it.',
            table="[site]",
            key="languages",
        )
    language = (*policy.site.languages, "en")[0]
    for purpose in policy.purposes:
        if purpose.id != NECESSARY:
            yield from _missing(purpose, law.purposes, law, f"[purposes.{purpose.id}]", language)
    for table, recipient in labelled_recipients(policy):
        yield from _missing(recipient, law.recipients, law, table, language)


def _missing(part: object, asked_for: Mapping[str, str], law: Law, table: str, language: str) -> Iterator[PolicyError]:
    for key, provision in asked_for.items():
        if not getattr(part, key):
            yield PolicyError(
                f"the law of {law.name} asks for this key ({provision})",
                _REMEDIES[key].format(language=language),
                table=table,
                key=key,
            )
