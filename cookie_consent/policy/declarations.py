"""The content of a policy file, and whether its parts fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TypeVar

from cookie_consent.policy.errors import PlacedRow, PolicyError, Row, did_you_mean, select_placed
from cookie_consent.policy.goals import OF_GOAL, Funnel, Goal
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

MAX_PURPOSES = 32
"""Nobody reads more, and the answers would not fit in a cookie."""
ARRAYS = frozenset({"cookies", "recipients", "changes"})
"""The tables that a file writes in double brackets."""
_LISTS = ("purposes", "features", "services", "goals", "funnels", "cookies", "recipients", "changes")
_MOST_NAMED = 10
"""A message names at most so many missing texts."""
_REMEDIES = {
    "data": 'Say which kinds of data it uses, as in data = {{ {language} = "…" }}.',
    "country": 'Write where it handles the data, as in country = "US".',
    "use": 'Say what the recipient uses the data for, as in use = {{ {language} = "…" }}.',
}
"""Key -> what would be right, if the key is missing."""

Part = TypeVar("Part", bound=CheckedPart)


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
    for table in _LISTS:
        yield from labelled(table, getattr(declared, table))
    for service in declared.services:
        yield from ((f"[services.{service.id}.purposes.{id_}]", part) for id_, part in service.purposes.items())
    for table in ("signals", "records", "requests", "security"):
        yield f"[{table}]", getattr(declared, table)
    yield from (("[vendors]", mapping) for mapping in declared.vendors)


def labelled(table: str, parts: Iterable[Part]) -> Iterator[tuple[str, Part]]:
    """Yield each part of a list, behind its table."""
    for number, part in enumerate(parts, 1):
        name = getattr(part, "id", "") or getattr(part, "name", "")
        label = item_label(table, number, name) if table in ARRAYS else f"[{table}.{name}]"
        yield label, part


def item_label(table: str, number: int, *names: str) -> str:
    """Return how messages name an item of an array of tables: by its first name that is not empty, or its number."""
    name = next(filter(None, names), "")
    return f'[[{table}]] "{name}"' if name else f"[[{table}]] no. {number}"


def find_errors(policy: Declarations) -> Iterator[PolicyError]:
    """Yield an error for each part of a policy that does not fit to the others."""
    checks = (_check_names, _check_purposes, _check_services, _check_signals, _check_funnels, _check_languages)
    for check in checks:
        yield from select_placed(check(policy))


def _check_names(policy: Declarations) -> Iterator[PlacedRow]:
    for table in _LISTS:
        key = "name" if table == "cookies" else "id"
        label = f"[[{table}]]" if table in ARRAYS else f"[{table}]"
        names = Counter((getattr(part, "kind", ""), getattr(part, key, "")) for part in getattr(policy, table))
        for (_, name), count in names.items():
            yield label, name and count > 1, key, f'"{name}" is declared twice', "Keep one of them."


def _check_purposes(policy: Declarations) -> Iterator[PlacedRow]:
    known = {NECESSARY, *(purpose.id for purpose in policy.purposes)}
    names = ", ".join(sorted(known))
    yield "[purposes]", len(known) > MAX_PURPOSES, "", f"there are {len(known)}", f"Use at most {MAX_PURPOSES}."
    for purpose, table, key in _list_references(policy):
        yield from (
            (
                table,
                purpose == "?",
                key,
                "the purpose is still to be written",
                f'Write the one that it serves: {names}. "necessary" is for what the site cannot work without.',
            ),
            (
                table,
                purpose not in {"?", *known},
                key,
                f'there is no purpose "{purpose}"',
                f"{did_you_mean(purpose, known)} Or declare [purposes.{purpose}].",
            ),
        )
    declared = [recipient.id for recipient in policy.recipients]
    yield (
        "[site]",
        policy.site.recipients and declared,
        "recipients",
        f'it says that there are none, but [[recipients]] declares "{"".join(declared[:1])}"',
        "Leave one of the two out.",
    )


def _list_references(policy: Declarations) -> Iterator[tuple[str, str, str]]:
    """Yield each id of a purpose that another part names, and the table and the key of it."""
    for table, cookie in labelled("cookies", policy.cookies):
        yield cookie.purpose, table, "purpose"
    for table, recipient in labelled("recipients", policy.recipients):
        yield recipient.purpose, table, "purpose"
    for table, feature in labelled("features", policy.features):
        yield from ((purpose, table, "purposes") for purpose in feature.purposes)
    for service in policy.services:
        yield from ((purpose, f"[services.{service.id}.purposes.{purpose}]", "") for purpose in service.purposes)
    for key in ("gpc", "dnt"):
        yield from ((purpose, "[signals]", key) for purpose in getattr(policy.signals, key) or ())
    for mapping in policy.vendors:
        # A purpose that is no text is an error of the mapping itself.
        yield from ((id_, "[vendors]", mapping.id) for id_ in mapping.purposes.values() if isinstance(id_, str))


def _check_services(policy: Declarations) -> Iterator[PlacedRow]:
    retentions = {purpose.id: purpose.retention for purpose in policy.purposes}
    # "/shop" and "/shop/" are the same place.
    places = Counter((service.host, service.path.rstrip("/")) for service in policy.services)
    for service in policy.services:
        is_shadowed = places[service.host, service.path.rstrip("/")] > 1 and (service.host or service.path)
        problem = "another service has the same place"
        yield f"[services.{service.id}]", is_shadowed, "", problem, "One of the two is never reached."
        for purpose, override in service.purposes.items():
            table = f"[services.{service.id}.purposes.{purpose}]"
            longest = retentions.get(purpose)
            yield from (
                (
                    table,
                    override.refused and purpose == NECESSARY,
                    "refused",
                    "what is necessary cannot be refused",
                    "Leave it out.",
                ),
                (
                    table,
                    override.retention and (longest is None or override.retention > longest),
                    "retention",
                    "a service cannot keep data for longer than the site says",
                    f"Write a shorter time, or a longer one in [purposes.{purpose}].",
                ),
            )


def _check_signals(policy: Declarations) -> Iterator[PlacedRow]:
    for purpose in policy.purposes:
        # Sec-GPC is a legal opt-out of sale and sharing (11 CCR 7025): a policy cannot exclude such purposes from it.
        yield (
            "[signals]",
            purpose.sells and policy.signals.gpc is not None and purpose.id not in policy.signals.gpc,
            "gpc",
            f'Sec-GPC has to refuse "{purpose.id}", which is a sale or sharing',
            "List it, or leave the line out.",
        )
    for key in ("gpc", "dnt"):
        is_refused = NECESSARY in (getattr(policy.signals, key) or ())
        yield "[signals]", is_refused, key, "no signal refuses what is necessary", "Leave it out."


def _check_funnels(policy: Declarations) -> Iterator[PlacedRow]:
    known = {goal.id for goal in policy.goals}
    for table, funnel in labelled("funnels", policy.funnels):
        for step in funnel.steps:
            goal = step.removeprefix(OF_GOAL)
            remedy = f"{did_you_mean(goal, known)} Or declare [goals.{goal or 'NAME'}]."
            yield table, step.startswith(OF_GOAL) and goal not in known, "steps", f'there is no goal "{goal}"', remedy


def _check_languages(policy: Declarations) -> Iterator[PlacedRow]:
    """Yield a row for each text that lacks an offered language, and for each language that is not offered."""
    texts = list(_list_texts(policy))
    written = {language for text, _, _ in texts for language in text}
    offered = policy.site.languages
    unwritten = [language for language in offered if written and language not in written]
    for language in unwritten:
        yield (
            "[site]",
            True,
            "languages",
            f'no text is in "{language}"',
            f"Write each text in it, or take it out. Texts are in: {', '.join(sorted(written))}.",
        )
    for text, table, key in texts:
        missing = [f'"{tag}"' for tag in offered if tag not in unwritten and not text.get(tag, "").strip()]
        yield (
            table,
            missing,
            key,
            f"there is no text in the offered language {' and '.join(missing)}",
            f"Write it in each of: {', '.join(offered)}.",
        )
    places = [(language, table, key) for text, table, key in texts for language in text]
    places += [(language, f"[texts.{language}]", "") for language in policy.wording]
    for language, table, key in places:
        # Where a language has no text, or none is listed, the list is wrong and not the texts.
        if offered and not unwritten and language not in offered:
            yield (
                table,
                True,
                key,
                f'the language "{language}" is not offered',
                f"Add it to languages in [site], or leave it out. {did_you_mean(language, offered)}",
            )
    for language in offered:
        if language not in unwritten:
            yield from _check_wording(language, policy.wording.get(language, {}))


def _list_texts(policy: Declarations) -> Iterator[tuple[Texts, str, str]]:
    """Yield each text in several languages, and its table and key, but those that may be left out and are."""
    for table, part in labelled_parts(policy):
        for declared in fields(part):  # type: ignore[arg-type]
            if declared.type == "Texts":
                text = getattr(part, declared.name)
                if text or declared.default_factory is MISSING:
                    yield text, table, declared.name


def _check_wording(language: str, texts: Mapping[str, catalog.Text]) -> Iterator[PlacedRow]:
    """Yield a row for each text in the site's wording that is not valid, and for those that are missing."""
    table = f"[texts.{language}]"
    for key, text in texts.items():
        for row in _check_text(language, key, text):
            yield table, *row
    missing = sorted(catalog.names() - catalog.shipped(language).keys() - texts.keys())
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    yield (
        table,
        missing,
        "",
        f"no texts ship for this language, and these are not written: {', '.join(missing[:_MOST_NAMED])}{more}",
        f"Write them in {table}; the English ones are the model. "
        f"Texts ship for: {', '.join(catalog.shipped_languages())}.",
    )


def _check_text(language: str, key: str, text: catalog.Text) -> list[Row]:
    if key not in catalog.names():
        return [(True, key, "there is no such text", did_you_mean(key, catalog.names()))]
    forms = text if isinstance(text, Mapping) else {"": text}
    counts = catalog.is_counted(key)
    # The shipped text has the forms of its language. Of another language one form is enough: which ones it has differs
    # from one release of the CLDR to the next.
    shipped = catalog.shipped(language).get(key)
    needed = shipped.keys() if isinstance(shipped, Mapping) else set()
    example = ", ".join(f'{category} = "…"' for category in sorted(needed or {"other"}))
    return [
        (
            isinstance(text, Mapping) != counts or not forms or not needed <= forms.keys(),
            key,
            "the text lacks a form that it needs",
            f"Write it as in {{ {example} }}." if counts else 'Write one text, as in "…".',
        ),
        (not all(map(str.strip, forms.values())), key, "the text is empty", "Write it, or leave the line out."),
    ]


def find_errors_in_force(policy: Declarations) -> Iterator[PolicyError]:
    """Yield what only the policy in force has to satisfy: each tracing purpose has a retention, and what a law asks."""
    return select_placed(_check_in_force(policy))


def _check_in_force(policy: Declarations) -> Iterator[PlacedRow]:
    for table, purpose in labelled("purposes", policy.purposes):
        yield (
            table,
            purpose.traces and purpose.retention is None,
            "retention",
            "a purpose that traces has to say how long its records are kept",
            'Write "395 days" or less (13 months: CNIL, audience measurement).',
        )
    for code in policy.site.laws:
        if code in laws():
            yield from _check_law(policy, laws()[code])


def _check_law(policy: Declarations, law: Law) -> Iterator[PlacedRow]:
    yield from (
        (
            "[signals]",
            "gpc" in law.binding_signals and policy.signals.gpc == (),
            "gpc",
            f"no site may ignore Sec-GPC under the law of {law.name} ({law.provisions})",
            "Leave the line out, or list the purposes that it refuses.",
        ),
        (
            "[site]",
            law.notice_language and law.notice_language not in policy.site.languages,
            "languages",
            f'the law of {law.name} asks for a page in the language "{law.notice_language}" ({law.provisions})',
            f'Add "{law.notice_language}", and write each text in it.',
        ),
    )
    example = (*policy.site.languages, "en")[0]
    optional = [purpose for purpose in policy.purposes if purpose.id != NECESSARY]
    parts: list[tuple[str, CheckedPart, Mapping[str, str]]] = [
        (table, part, law.purposes) for table, part in labelled("purposes", optional)
    ]
    parts += [(table, part, law.recipients) for table, part in labelled("recipients", policy.recipients)]
    for table, part, provisions in parts:
        for key, provision in provisions.items():
            problem = f"the law of {law.name} asks for this key ({provision})"
            yield table, not getattr(part, key), key, problem, _REMEDIES[key].format(language=example)
