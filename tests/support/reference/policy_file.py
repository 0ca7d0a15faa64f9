"""The page on the policy file, from the classes of its parts, and from what they say to wrong and to changed files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from datetime import timedelta
from typing import Any

from cookie_consent import PolicyError
from cookie_consent.policy.diff import EVERYBODY, WHO_CHOSE, asks_again, hosts_asking_again
from cookie_consent.policy.parts import CHOICES, DIRECTIVES
from cookie_consent.policy.regimes import regimes
from cookie_consent.policy.regions import regions
from cookie_consent.policy.syntax import written_duration
from cookie_consent.policy.vendors.catalog import Vendor, vendors
from tests.support.policies import policy_of, toml_inline
from tests.support.reference.docstrings import docstring_of
from tests.support.reference.example import changed
from tests.support.reference.markdown import anchor, code, joined, link, sentence, table
from tests.support.reference.policy_errors import WRONG, WRONG_KINDS, WRONG_PLACES, errors_of, errors_table
from tests.support.reference.policy_tables import TABLES, Step, Table

_KINDS = {
    "str": "text",
    "Texts": "texts",
    "bool": "boolean",
    "int": "whole number",
    "date": "date",
    "timedelta": "duration",
    "tuple[str, ...]": "list of texts",
    "Mapping[str, str]": "table of texts",
    "Mapping[str, tuple[str, ...]]": "table of names",
    "Authority": "[table](#siteauthority)",
    "Mapping[str, ServicePurpose]": "[tables](#servicesidpurposespurpose)",
}
"""Annotation, without "| None" -> the kind of value that the file has."""
_SPECIAL_KINDS = {
    "[[cookies]] duration": '`"session"`, or duration',
    "[signals] gpc": '`"default"`, `"ignore"`, or list of texts',
    "[signals] dnt": '`"default"`, `"ignore"`, or list of texts',
    "[services.ID.purposes.PURPOSE] refused": "`true`",
}
_ASKED = {EVERYBODY: "everybody", WHO_CHOSE: "yes, those who left recipients out"}
_NAMED_DEFAULTS = {"[[cookies]] duration": '"session"', "[signals] gpc": '"default"', "[signals] dnt": '"default"'}
"""Key -> what stands for None in the file."""
_IN_THE_FILE = (
    (r'; "" for none|, or ""|; "" if the policy does not say', ""),
    (r'(?<=; )(?:None|"")(?= (?:for|if|to))|(?<=; )empty(?= for)', "UNSET"),
    (r"(?<=[.] )None(?= means)", "UNSET"),
    (r"; \(\) ignores", '; `"ignore"` ignores'),
    (r"one of `CHOICES`", " or ".join(f'`"{choice}"`' for choice in CHOICES)),
    ("->", "→"),
    (r"; see `(?:regions|regimes)`", ", see [below](#names-that-the-file-may-use)"),
)
"""What docstrings write -> what the page writes."""
_TITLE = f"""\
# Policy file

Every table and every key of the policy file: its type, its default, what it means, whether changing it asks visitors
again, and what can be wrong. {link("The policy file", "policy.md")} explains it with an example."""


def page() -> str:
    return joined(
        _TITLE,
        _overview(),
        "## Kinds of values",
        _kinds(),
        "## Whom a change asks again",
        _WHO,
        *(_section(part) for part in TABLES),
        _vendors(),
        _texts(),
        "## Names that the file may use",
        _names(),
        "## Errors that any table can have",
        errors_table((*WRONG_PLACES, *WRONG_KINDS)),
    )


_KINDS_EXPLAINED = (
    ("text", 'in quotes: `"Example Shop"`'),
    ("texts", 'one for each offered language: `{ en = "Map", ja = "地図" }`'),
    ("list of texts", '`["ja", "en"]`'),
    ("table of texts", '`{ JP = "jp", CA-QC = "ca-qc" }`'),
    ("table of names", '`{ analytics = "statistics", ads = ["marketing", "social"] }`'),
    ("boolean", "`true` or `false`, without quotes"),
    ("duration", 'a whole number and a unit from second to year: `"30 minutes"`, `"13 months"`. A month has 30 days, a '
     "year 365"),
    ("date", "`2026-11-25`, without quotes"),
    ("id", "small letters, digits, `-` and `_`, a letter first"),
)  # fmt: skip
_WHO = """\
The column "asks again" says what a change of the key does to visitors who have answered.

| it says | who is asked, for the purpose that changed |
| --- | --- |
| no | nobody |
| yes | those who had accepted it |
| everybody | everybody who has not refused it |
| without `history` | those who had accepted it, unless the earlier file is in [`history`](options.md#history) |"""


def _kinds() -> str:
    return table(("type", "how the file writes it"), _KINDS_EXPLAINED)


def _overview() -> str:
    names = [*((part.name, part.about) for part in TABLES), *_OTHER_TABLES]
    return joined("## Tables", table(("table", "what it is for"), ((_to(name), about) for name, about in names)))


_OTHER_TABLES = (
    ("[vendors]", "The vendors whose tags are told what visitors allow."),
    ("[texts.LANGUAGE]", "Texts of the banner and the pages in your own words."),
)


def _to(name: str) -> str:
    return f"[`{name}`](#{anchor(f'`{name}`')})"


def _section(part: Table) -> str:
    rows = [_row(part, key) for key in fields(part.part) if is_key(part, key.name)]
    return joined(
        f"## `{part.name}`",
        part.about,
        _id(part),
        table(("key", "type", "default", "meaning", "asks again"), rows),
        _entries(part),
        joined("**Errors**", errors_table(WRONG[part.name])) if part.name in WRONG else "",
        f"Read on: {link('what it is for', part.read_on)}.",
    )


def is_key(part: Table, name: str) -> bool:
    """Return whether a field of a part is a key of its table: the file is not told that there is none."""
    try:
        policy_of(changed({f"{part.place} {name}": [{}]}))
    except PolicyError as error:
        return all("there is no key" not in one.problem for one in errors_of(error))
    return True


def _id(part: Table) -> str:
    """Return what the name in a table's heading is."""
    return f"`ID`: {_in_the_file(docstring_of(part.part).names['id'])}" if "ID]" in part.name else ""


def _row(part: Table, key: Field[Any]) -> tuple[str, ...]:
    where = f"{part.name} {key.name}"
    kind = _SPECIAL_KINDS.get(where) or _KINDS[str(key.type).removesuffix(" | None")]
    meaning = _in_the_file(docstring_of(part.part).names[key.name], _NAMED_DEFAULTS.get(where, ""))
    return f"`{key.name}`", "id" if key.name == "id" else kind, _default(key, where), meaning, _asks(part, key)


def _in_the_file(meaning: str, unset: str = "") -> str:
    """Return what a docstring says of a value, in the words of the file instead of Python's.

    Args:
        meaning: the text.
        unset: what the file writes for None; "" if it leaves the key out.
    """
    instead = f"`{unset}`" if unset else "left out"
    for pattern, words in _IN_THE_FILE:
        meaning = re.sub(pattern, words.replace("UNSET", instead), meaning)
    return sentence(meaning)


def _default(key: Field[Any], where: str) -> str:
    if where in _NAMED_DEFAULTS:
        return code(_NAMED_DEFAULTS[where])
    if key.default is MISSING and key.default_factory is MISSING:
        return "needed"
    default = key.default_factory() if key.default_factory is not MISSING else key.default
    if default in (None, "", (), {}):
        return "–"
    if isinstance(default, timedelta):
        return code(f'"{written_duration(default.total_seconds())}"')
    return code(toml_inline(default))


def _asks(part: Table, key: Field[Any]) -> str:
    """Return what changes of a key ask again."""
    changes = part.changes.get(key.name) or _reworded(part, key)
    said = {label: asked_again(change) for label, change in changes.items()}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{label}: {asked}" for label, asked in said.items())


def _reworded(part: Table, key: Field[Any]) -> Mapping[str, Step]:
    assert key.type == "Texts", f"{part.name} {key.name}: policy_tables names no change of it"
    return {"": {f"{part.place} {key.name}": {"en": "Other words"}}}


def asked_again(step: Step) -> str:
    """Return whom a change of a policy file asks again."""
    before, after = step if isinstance(step, tuple) else ({}, step)
    old, new = policy_of(changed(before)), policy_of(changed(after))
    if hosts_asking_again(old, new):
        return "everybody, on the hosts whose answers no longer count"
    known, unknown = asks_again(old, new), asks_again(old, new, history=False)
    return _ASKED.get(next(iter(known.values()), ""), "yes") if known else "without `history`" if unknown else "no"


def _entries(part: Table) -> str:
    said = [f"{label.capitalize()}: {asked_again(change)}." for label, change in part.entries.items()]
    return f"Does a whole table ask again? {' '.join(said)}" if said else ""


def _vendors() -> str:
    rows = ((f"`{id_}`", vendor.name, _signals(vendor), _options(vendor)) for id_, vendor in vendors().items())
    return joined(
        "## `[vendors]`",
        _OTHER_TABLES[0][1] + " A key is a vendor; its value is the purpose that it goes by, or a table of signals and "
        'purposes: `google_consent_mode = { ad_storage = "ads" }`. Changing it asks nobody again.',
        table(("key", "vendor", "signals", "options"), rows),
        "**Errors**",
        errors_table(WRONG["[vendors]"]),
        f"Read on: {link('vendors’ tags', 'vendors.md')}.",
    )


def _signals(vendor: Vendor) -> str:
    return ", ".join(f"`{signal}`" for signal in vendor.signals) or ("your own names" if vendor.any_signal else "–")


def _options(vendor: Vendor) -> str:
    words = {
        name: " or ".join(code(f'"{value}"') for value in kind) if isinstance(kind, list) else kind
        for name, kind in vendor.options.items()
    }
    return "; ".join(f"`{name}`: {said}" for name, said in words.items()) or "–"


def _texts() -> str:
    return joined(
        "## `[texts.LANGUAGE]`",
        _OTHER_TABLES[1][1] + " A key is the name of a text. Changing it asks nobody again.",
        "**Errors**",
        errors_table(WRONG["[texts.LANGUAGE]"]),
        "Read on: [names of texts](texts.md).",
    )


def _names() -> str:
    kinds = (
        ("`regions`", {code_: region.name for code_, region in regions().items()}),
        ("`regime`, `regimes`", {code_: regime.name for code_, regime in regimes().items()}),
        ("`directives`", dict.fromkeys(DIRECTIVES, "")),
    )
    rows = ((key, "; ".join(f"`{name}`{said and f': {said}'}" for name, said in names.items())) for key, names in kinds)
    return table(("key", "names"), rows)
