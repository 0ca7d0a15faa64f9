"""The page on the policy file, from the annotations and the docstrings of its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from datetime import date, timedelta
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

from cookie_consent.policy.declarations import ARRAYS
from cookie_consent.policy.parts import Authority, Cookie, ServicePurpose, SignalRules
from cookie_consent.policy.reader import hints_of_keys, hints_of_tables
from cookie_consent.policy.syntax import written_duration
from cookie_consent.policy.vendors import vendors
from tests.support.policies import toml_inline
from tests.support.reference.markdown import docstring_of, joined, page_of, sentence, table

_TITLE = """\
# Policy file

Every table and every key. [The policy file](../policy.md) explains it with an example, and says [which changes ask
visitors again](../policy.md#when-you-change-it). A file with errors stops the start. The message names each error's
table and key, and what would be right.

| type | how the file writes it |
| --- | --- |
| text, list of texts | `"Example Shop"`, `["ja", "en"]` |
| texts | one for each offered language: `{ en = "Map", ja = "地図" }` |
| duration | a whole number and a unit from second to year: `"30 minutes"`, `"13 months"`, of 30 days each |
| date | `2026-11-25`, without quotes |"""
_ABOUT = {
    "[site]": "Who asks, in which languages, and under which laws. It is needed.",
    "[site.authority]": "The authority that visitors can complain to.",
    "[purposes.ID]": "One reason to store or read something. Visitors say yes or no to each. `necessary` is always "
    "there. An id is small letters, digits, `-` and `_`, a letter first; at most 27 characters.",
    "[[cookies]]": "A cookie that the site, or a script on it, sets or reads. One that is not declared is held back.",
    "[[recipients]]": "A third party that gets data once its purpose is allowed.",
    "[features.ID]": "What the site offers that needs purposes, and what visitors read in its place.",
    "[services.ID]": "A part of the site with conditions of its own: a path with all below it, a host, or both.",
    "[services.ID.purposes.PURPOSE]": "What a service has otherwise for one purpose. What is left out stays as the "
    "site has it.",
    "[[changes]]": "A change of the policy that the settings page, and for thirty days each page, announces.",
    "[signals]": "What the browser's own signals refuse: Global Privacy Control, and Do Not Track.",
    "[records]": "How long consent records are kept as [proof](../proof.md#retention), where a ledger is set.",
    "[requests]": "By when the [help desk](../proof.md#the-help-desk) answers, and how long it keeps what.",
    "[security]": "[Header fields](../security.md) that the middleware sends.",
    "[goals.ID]": "What a visit is for: an event, or a page. [Reports](../goals.md) count the sessions that reach it.",
    "[funnels.ID]": "Steps that lead to a goal. Reports say how many sessions come how far.",
}
_KINDS: Mapping[Any, str] = {
    str: "text",
    tuple: "list of texts",
    Mapping: "texts",
    bool: "`true`, `false`",
    timedelta: "duration",
    date: "date",
}
_KINDS_OF_KEYS: Mapping[tuple[type, str], str] = {
    (ServicePurpose, "refused"): "`true`",
    (Cookie, "duration"): '`"session"`, duration',
    (SignalRules, "gpc"): '`"default"`, `"ignore"`, list of texts',
    (SignalRules, "dnt"): '`"default"`, `"ignore"`, list of texts',
}
_LEFT_OUT = re.compile(r'(?<=; )(?:None|""|empty)(?= (?:for|if|to))')
_NOTHING = re.compile(r'; "" for none|, or ""|, or None|; "" if the policy does not say')


def page() -> str:
    return page_of(_TITLE, *map(_section, _tables()), _VENDORS, _vendors(), _TEXTS)


_VENDORS = """\
## `[vendors]`

The [vendors whose tags](../vendors.md) are told what visitors allow. A key is a vendor; its value is the purpose that
it goes by, or a table of signals and purposes: `google_consent_mode = { ad_storage = "ads" }`."""
_TEXTS = """\
## `[texts.LANGUAGE]`

Texts of the banner and the pages [in your own words](../banner.md#languages). A key is the name of a text in
[`texts/en.toml`](../../cookie_consent/texts/en.toml)."""


def _tables() -> Iterator[tuple[str, Any]]:
    """Yield how the file writes each table, and the class that holds it."""
    for name, hint in hints_of_tables().items():
        (kind, *_) = get_args(hint) or (hint,)
        if name in ("vendors", "texts"):
            continue
        if kind is hint:
            yield f"[{name}]", kind
        else:
            yield (f"[[{name}]]" if name in ARRAYS else f"[{name}.ID]"), kind
        if name == "site":
            yield "[site.authority]", Authority
        if name == "services":
            yield "[services.ID.purposes.PURPOSE]", ServicePurpose


def _section(part: tuple[str, Any]) -> str:
    name, kind = part
    keys = {field.name: field for field in fields(kind)}
    meanings = docstring_of(kind).names
    rows = []
    for key, hint in hints_of_keys(kind).items():
        if key in ("authority", "purposes") and name in ("[site]", "[services.ID]"):  # a table of its own
            continue
        if key == "id" and "[[" not in name:  # the table's name
            continue
        rows.append((f"`{key}`", _kind(kind, key, hint), _default(kind, keys[key]), _in_the_file(meanings[key])))
    return joined(f"## `{name}`", _ABOUT[name], table(("key", "type", "default", "meaning"), rows))


def _kind(part: type, key: str, hint: Any) -> str:
    if (part, key) in _KINDS_OF_KEYS:
        return _KINDS_OF_KEYS[part, key]
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kind = get_args(plain)[0] if isinstance(plain, UnionType) else plain
    return _KINDS[get_origin(kind) or kind]


def _in_the_file(meaning: str) -> str:
    """Return what a docstring says of a value, in the words of the file instead of Python's."""
    meaning = meaning.replace("None means", '"default" means').replace("() ignores", '"ignore" ignores')
    return sentence(_LEFT_OUT.sub("left out", _NOTHING.sub("", meaning)).replace("->", "→"))


def _default(part: type, key: Field[Any]) -> str:
    if key.default is MISSING and key.default_factory is MISSING:
        return "needed"
    default = key.default_factory() if key.default_factory is not MISSING else key.default
    if default is None and part is Cookie and key.name == "duration":
        return '`"session"`'
    if default in (None, "", (), {}):
        return "–"
    if isinstance(default, timedelta):
        return f'`"{written_duration(default.total_seconds())}"`'
    return f"`{toml_inline(default)}`"


def _vendors() -> str:
    rows = []
    for name, vendor in vendors().items():
        signals = ", ".join(f"`{signal}`" for signal in vendor.signals)
        options = ", ".join(f"`{option}`" for option in vendor.options)
        rows.append((f"`{name}`", vendor.name, signals or "your own names" if vendor.any_signal else signals, options))
    return table(("key", "vendor", "signals", "options"), rows)
