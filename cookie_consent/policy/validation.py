"""Checks that the parts of a policy fit together: names are declared once, and texts exist in every language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from cookie_consent.policy.declarations import Declarations
from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.parts import NECESSARY, Cookie, Service, Texts
from cookie_consent.policy.regimes import Regime, regimes
from cookie_consent.policy.regions import regions, require_keys
from cookie_consent.texts import catalog
from cookie_consent.texts.locales import plurals

MAX_PURPOSES = 32
"""Nobody reads more, and the answers would not fit in a cookie."""
MAX_CHOSEN_RECIPIENTS = 120
"""A form has at most 200 fields, and the purposes and what describes the form need some of them."""


def check(policy: Declarations) -> None:
    """Check a policy's parts against each other.

    Raises:
        PolicyError: they do not fit. The message names the table and key, what is wrong and what would be right.
    """
    _check_purposes(policy)
    _check_exempt(policy)
    _check_cookies(policy)
    _check_recipients(policy)
    _check_features(policy)
    _check_services(policy)
    _check_signals(policy)
    _check_imports(policy)
    _check_vendors(policy)
    for number, change in enumerate(policy.changes, 1):
        _require_all_languages(policy, change.text, f"[[changes]] no. {number}", "text")
    if policy.site.authority:
        _require_all_languages(policy, policy.site.authority.name, "[site.authority]", "name")
    _check_wording(policy)


def check_in_force(policy: Declarations) -> None:
    """Check what only the policy in force has to satisfy; earlier versions may lack it.

    Raises:
        PolicyError: a purpose that traces has no retention, or the law of a region or regime asks for more.
    """
    for purpose in policy.purposes:
        if purpose.traces and purpose.retention is None:
            raise PolicyError(
                "a purpose that traces has to say how long its records are kept",
                'Write "395 days" or less (13 months: CNIL, audience measurement).',
                table=f"[purposes.{purpose.id}]",
                key="retention",
            )
    for region in policy.site.regions:
        _check_region(policy, region)
    for code in dict.fromkeys((policy.site.regime, *policy.site.regimes.values())):
        if code:
            _check_regime(policy, regimes()[code])


def _check_region(policy: Declarations, region: str) -> None:
    law, language = regions()[region], policy.site.languages[0]
    for purpose in policy.purposes:
        if purpose.id != NECESSARY:
            table = f"[purposes.{purpose.id}]"
            require_keys(purpose, law.purposes, region=region, table=table, language=language)
    for recipient in policy.recipients:
        table = f'[[recipients]] "{recipient.id}"'
        require_keys(recipient, law.recipients, region=region, table=table, language=language)


def _check_regime(policy: Declarations, regime: Regime) -> None:
    if "gpc" in regime.binding_signals and policy.signals.gpc == ():
        raise PolicyError(
            f"no site may ignore Sec-GPC under the law of {regime.name} ({regime.law})",
            "Leave the line out, or list the purposes that it refuses.",
            table="[signals]",
            key="gpc",
        )
    if not regime.transmission_notice:
        return
    if regime.notice_language not in policy.site.languages:
        raise PolicyError(
            f'the law of {regime.name} asks for a page in the language "{regime.notice_language}" ({regime.law})',
            f'Add "{regime.notice_language}", and write each text in it.',
            table="[site]",
            key="languages",
        )
    for recipient in policy.recipients:
        if not recipient.use:
            raise PolicyError(
                f"the law of {regime.name} asks for this key ({regime.law})",
                f'Say what the recipient uses the data for, as in use = {{ {regime.notice_language} = "…" }}.',
                table=f'[[recipients]] "{recipient.id}"',
                key="use",
            )


def _check_wording(policy: Declarations) -> None:
    """Check that each offered language has every text of the pages, and that wording has only offered languages."""
    for language in policy.wording:
        _require_offered(policy, language, f"[texts.{language}]")
    for language in policy.site.languages:
        table, texts = f"[texts.{language}]", policy.wording.get(language, {})
        for key, text in texts.items():
            _check_text(language, text, table, key)
        missing = sorted(catalog.names() - catalog.shipped(language).keys() - texts.keys())
        if missing:
            raise PolicyError(
                f"no texts ship for this language, and these are not written: {', '.join(missing)}",
                f"Write them in [texts.{language}]; the English ones are the model.",
                table=table,
            )


def _check_text(language: str, text: catalog.Text, table: str, key: str) -> None:
    """Check that a text in the site's wording is known, not empty, and has its plural forms if it contains a number."""
    if key not in catalog.names():
        raise PolicyError("there is no such text", did_you_mean(key, catalog.names()), table=table, key=key)
    forms = text if isinstance(text, Mapping) else {"": text}
    needed = plurals(language) if catalog.is_counted(key) else frozenset()
    if isinstance(text, Mapping) != catalog.is_counted(key) or not needed <= forms.keys():
        example = ", ".join(f'{category} = "…"' for category in sorted(needed))
        remedy = f"Write it as in {{ {example} }}." if needed else 'Write one text, as in "…".'
        raise PolicyError("the text has not the forms that it needs", remedy, table=table, key=key)
    if not all(form.strip() for form in forms.values()):
        raise PolicyError("the text is empty", "Write it, or leave the line out.", table=table, key=key)


def _require_offered(policy: Declarations, language: str, table: str, key: str = "") -> None:
    if language not in policy.site.languages:
        raise PolicyError(
            f'the language "{language}" is not offered',
            f"Add it to languages in [site], or leave it out. {did_you_mean(language, policy.site.languages)}",
            table=table,
            key=key,
        )


def _require_all_languages(policy: Declarations, text: Texts, table: str, key: str) -> None:
    """Check that a text exists in every offered language and in no other."""
    for language in text:
        _require_offered(policy, language, table, key)
    for language in policy.site.languages:
        if not text.get(language, "").strip():
            raise PolicyError(
                f'there is no text in the offered language "{language}"',
                f"Write it in each of: {', '.join(policy.site.languages)}.",
                table=table,
                key=key,
            )


def _require_unique(names: Iterable[str], table: str, key: str, thing: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise PolicyError(f'{thing} "{name}" is declared twice', "Keep one of them.", table=table, key=key)


def _require_known_purpose(policy: Declarations, purpose: str, table: str, key: str = "") -> None:
    known = {NECESSARY, *(declared.id for declared in policy.purposes)}
    if purpose not in known:
        raise PolicyError(
            f'there is no purpose "{purpose}"',
            f"{did_you_mean(purpose, known)} Or declare [purposes.{purpose}].",
            table=table,
            key=key,
        )


def _check_purposes(policy: Declarations) -> None:
    _require_unique((purpose.id for purpose in policy.purposes), "[purposes]", "id", "the purpose")
    number = len({NECESSARY, *(purpose.id for purpose in policy.purposes)})
    if number > MAX_PURPOSES:
        raise PolicyError(f"there are {number}", f"Use at most {MAX_PURPOSES}.", table="[purposes]")
    for purpose in policy.purposes:
        _require_all_languages(policy, purpose.title, f"[purposes.{purpose.id}]", "title")
        _require_all_languages(policy, purpose.description, f"[purposes.{purpose.id}]", "description")
        for key in ("data", "legal_basis"):
            if text := getattr(purpose, key):
                _require_all_languages(policy, text, f"[purposes.{purpose.id}]", key)
    _check_choices(policy)


def _check_choices(policy: Declarations) -> None:
    """Check that visitors can choose among the recipients of the purposes which offer that."""
    chosen = [purpose.id for purpose in policy.purposes if purpose.choice == "recipient"]
    for purpose in chosen:
        _check_choice(policy, purpose)
    number = sum(recipient.purpose in chosen for recipient in policy.recipients)
    if number > MAX_CHOSEN_RECIPIENTS:
        raise PolicyError(
            f"visitors would choose among {number} recipients",
            f"Let them choose among {MAX_CHOSEN_RECIPIENTS} at most.",
            table=f"[purposes.{chosen[0]}]",
            key="choice",
        )


def _check_choice(policy: Declarations, purpose: str) -> None:
    table = f"[purposes.{purpose}]"
    if purpose == NECESSARY:
        raise PolicyError("nobody is asked for what is necessary", "Leave it out.", table=table, key="choice")
    if not any(recipient.purpose == purpose for recipient in policy.recipients):
        raise PolicyError(
            "it has no recipients to choose from",
            f'Declare them in [[recipients]] with purpose = "{purpose}", or leave it out.',
            table=table,
            key="choice",
        )


def _check_exempt(policy: Declarations) -> None:
    """Check that at most one purpose is exempt, and that no cookie, recipient or feature uses it."""
    exempt = [purpose.id for purpose in policy.purposes if purpose.exempt]
    for id_ in exempt[1:]:
        raise PolicyError(
            f'"{exempt[0]}" is exempt already', "One purpose can be.", table=f"[purposes.{id_}]", key="exempt"
        )
    uses = [
        *((f'[[cookies]] "{part.name}"', "purpose", (part.purpose,), "without cookies") for part in policy.cookies),
        *(
            (f'[[recipients]] "{part.id}"', "purpose", (part.purpose,), "for this site alone")
            for part in policy.recipients
        ),
        *((f"[features.{part.id}]", "purposes", part.purposes, "for counting alone") for part in policy.features),
    ]
    for table, key, purposes, alone in uses:
        for id_ in set(exempt).intersection(purposes):
            raise PolicyError(
                f'"{id_}" runs without consent, and so {alone}',
                "Name a purpose that visitors are asked for.",
                table=table,
                key=key,
            )


def _check_cookies(policy: Declarations) -> None:
    _require_unique((cookie.name for cookie in policy.cookies), "[[cookies]]", "name", "the cookie")
    for cookie in policy.cookies:
        table = f'[[cookies]] "{cookie.name}"'
        _require_known_purpose(policy, cookie.purpose, table, "purpose")
        if cookie.description:
            _require_all_languages(policy, cookie.description, table, "description")
        if cookie.recipient:
            _check_recipient_of(policy, cookie, table)


def _check_recipient_of(policy: Declarations, cookie: Cookie, table: str) -> None:
    known = [recipient.id for recipient in policy.recipients if recipient.purpose == cookie.purpose]
    if cookie.recipient not in known:
        raise PolicyError(
            f'the purpose "{cookie.purpose}" has no recipient "{cookie.recipient}"',
            f"{did_you_mean(cookie.recipient, known)} Or leave it out.",
            table=table,
            key="recipient",
        )


def _check_recipients(policy: Declarations) -> None:
    _require_unique((recipient.id for recipient in policy.recipients), "[[recipients]]", "id", "the recipient")
    for recipient in policy.recipients:
        table = f'[[recipients]] "{recipient.id}"'
        _require_known_purpose(policy, recipient.purpose, table, "purpose")
        _require_all_languages(policy, recipient.receives, table, "receives")
        if recipient.use:
            _require_all_languages(policy, recipient.use, table, "use")


def _check_features(policy: Declarations) -> None:
    _require_unique((feature.id for feature in policy.features), "[features]", "id", "the feature")
    for feature in policy.features:
        table = f"[features.{feature.id}]"
        for purpose in feature.purposes:
            _require_known_purpose(policy, purpose, table, "purposes")
        _require_all_languages(policy, feature.title, table, "title")
        _require_all_languages(policy, feature.fallback, table, "fallback")


def _check_services(policy: Declarations) -> None:
    _require_unique((service.id for service in policy.services), "[services]", "id", "the service")
    # "/shop" and "/shop/" are the same place.
    places = Counter((service.host, service.path.rstrip("/")) for service in policy.services)
    for service in policy.services:
        table = f"[services.{service.id}]"
        if places[service.host, service.path.rstrip("/")] > 1:
            raise PolicyError("another service has the same place", "One of the two is never reached.", table=table)
        if service.title:
            _require_all_languages(policy, service.title, table, "title")
        for purpose in service.purposes:
            _check_override(policy, service, purpose)


def _check_vendors(policy: Declarations) -> None:
    for mapping in policy.vendors:
        for purpose in mapping.purposes.values():
            _require_known_purpose(policy, purpose, "[vendors]", mapping.id)


def _check_override(policy: Declarations, service: Service, purpose: str) -> None:
    table = f"[services.{service.id}.purposes.{purpose}]"
    _require_known_purpose(policy, purpose, table)
    override = service.purposes[purpose]
    of_site = next((declared.retention for declared in policy.purposes if declared.id == purpose), None)
    if override.refused and purpose == NECESSARY:
        raise PolicyError("what is necessary cannot be refused", "Leave it out.", table=table, key="refused")
    if override.retention and (of_site is None or override.retention > of_site):
        raise PolicyError(
            "a service cannot keep data for longer than the site says",
            f"Write a shorter time, or a longer one in [purposes.{purpose}].",
            table=table,
            key="retention",
        )
    for key in ("title", "description"):
        if text := getattr(override, key):
            _require_all_languages(policy, text, table, key)


def _check_signals(policy: Declarations) -> None:
    # Sec-GPC is a legal opt-out of sale and sharing (11 CCR 7025), so a policy cannot exclude such purposes from it.
    for purpose in policy.purposes:
        if purpose.sells and policy.signals.gpc is not None and purpose.id not in policy.signals.gpc:
            raise PolicyError(
                f'Sec-GPC has to refuse "{purpose.id}", which is a sale or sharing',
                "List it, or leave the line out.",
                table="[signals]",
                key="gpc",
            )
    for key in ("gpc", "dnt"):
        for purpose in getattr(policy.signals, key) or ():
            _require_known_purpose(policy, purpose, "[signals]", key)
            if purpose == NECESSARY:
                raise PolicyError("no signal refuses what is necessary", "Leave it out.", table="[signals]", key=key)


def _check_imports(policy: Declarations) -> None:
    _require_unique((part.id for part in policy.imports), "[imports]", "id", "the tool")
    _require_unique((part.cookie for part in policy.imports), "[imports]", "cookie", "the cookie")
    for part in policy.imports:
        table = f"[imports.{part.id}]"
        for purpose in part.purposes:
            _require_known_purpose(policy, purpose, table, "purposes")
            if purpose == NECESSARY:
                raise PolicyError("what is necessary needs no answer", "Leave it out.", table=table, key="purposes")
