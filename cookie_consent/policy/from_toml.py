"""Reads the tables of a policy file, and finds all that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from os import PathLike, fspath
from typing import Any

from cookie_consent.policy import goals, toml_text, values, vendors
from cookie_consent.policy.declarations import (
    Declarations,
    find_errors,
    find_errors_in_force,
    item_label,
    labelled_parts,
)
from cookie_consent.policy.errors import PolicyError, raise_all
from cookie_consent.policy.parts import (
    Authority,
    Change,
    Cookie,
    Feature,
    Purpose,
    Recipient,
    RecordRules,
    RequestRules,
    Service,
    ServicePurpose,
    SignalRules,
    Site,
)
from cookie_consent.policy.security import SecurityRules
from cookie_consent.policy.tables import (
    Part,
    Readers,
    filled,
    known_names,
    named_tables,
    read_part,
    single_table,
    tables_below,
)
from cookie_consent.policy.values import Reading, placed, read_all
from cookie_consent.texts.catalog import Text


def read(path: str | PathLike[str], *, is_in_force: bool = False) -> Declarations:
    """Read a policy file.

    Args:
        path: the file.
        is_in_force: whether it has to satisfy what only the policy in force has to.

    Raises:
        PolicyError: the file is no valid policy. The error has all that is wrong with it.
        FileNotFoundError: there is no such file.
    """
    try:
        text = toml_text.read_text(path)
        data, errors = read_all(toml_text.parse(text, arrays=_ARRAYS, tables=_TABLES.keys() - _ARRAYS))
        return _without_errors(data, errors, is_in_force=is_in_force)
    except PolicyError as error:
        raise error.at(file=fspath(path)) from None


def declarations(data: Mapping[str, Any]) -> Declarations:
    """Turn the data of a policy file into its parts.

    Raises:
        PolicyError: the data are no valid policy. The error has all that is wrong with them.
    """
    return _without_errors(data, [], is_in_force=False)


def _without_errors(data: Mapping[str, Any], errors: Iterable[PolicyError], *, is_in_force: bool) -> Declarations:
    declared, unreadable = read_all(_declarations(data))
    raise_all([*errors, *unreadable, *_unfit(declared, unreadable, is_in_force=is_in_force)])
    return declared


def _unfit(declared: Declarations, unreadable: Collection[PolicyError], *, is_in_force: bool) -> Iterator[PolicyError]:
    """Yield what is wrong with the parts, and what does not fit together, but nothing of what could not be read."""
    unread = {(error.table, error.key) for error in unreadable}
    of_parts = (error.at(table=table) for table, part in labelled_parts(declared) for error in part.errors())
    later = find_errors_in_force(declared) if is_in_force else ()
    for error in (*of_parts, *find_errors(declared), *later):
        if not {(error.table, error.key), (error.table, "")} & unread:
            yield error


def _declarations(data: Mapping[str, Any]) -> Reading[Declarations]:
    tables = yield from known_names(data, _TABLES, "table")
    tables = yield from _with_languages_meant(tables)
    parts = {}
    for name, content in tables.items():
        parts[_ARGUMENT.get(name, name)] = yield from _TABLES[name](content)
    if "site" not in parts:
        yield PolicyError("the table is missing", "It says who asks: name, controller, contact.", table="[site]")
        parts["site"] = filled(Site, _SITE)
    return Declarations(**parts)


def _array_of_tables(kind: type[Part], readers: Readers, table: str, data: object) -> Reading[tuple[Part, ...]]:
    """Read an array of tables, such as [[cookies]]."""
    if not isinstance(data, list):
        yield PolicyError("this is no array of tables", f"Write [[{table}]], in double brackets.", table=f"[{table}]")
        data = [data] if isinstance(data, dict) and data.keys() & readers.keys() else []
    parts = []
    for number, item in enumerate(data, 1):
        part = yield from read_part(kind, readers, _label(table, number, item, readers), item)
        parts.append(part)
    return tuple(parts)


def _label(table: str, number: int, item: object, readers: Readers) -> str:
    values = [item.get(key) for key in ("id", "name") if key in readers] if isinstance(item, dict) else []
    return item_label(table, number, *(value for value in values if isinstance(value, str)))


def _services(data: object) -> Reading[tuple[Service, ...]]:
    """Read [services.NAME] and the tables [services.NAME.purposes.PURPOSE] in it."""
    services = []
    tables = yield from tables_below(data, "services")
    for id_, keys in tables.items():
        readers: Readers = {**_SERVICE, "purposes": partial(_overrides, id_)}
        service = yield from read_part(Service, readers, f"[services.{id_}]", keys, id=id_)
        services.append(service)
    return tuple(services)


def _overrides(service: str, data: object) -> Reading[dict[str, ServicePurpose]]:
    overrides = {}
    table = f"services.{service}.purposes"
    tables = yield from tables_below(data, table)
    for purpose, keys in tables.items():
        overrides[purpose] = yield from read_part(ServicePurpose, _SERVICE_PURPOSE, f"[{table}.{purpose}]", keys)
    return overrides


def _wording(data: object) -> Reading[dict[str, dict[str, Text]]]:
    wording = {}
    tables = yield from tables_below(data, "texts")
    for language, texts in tables.items():
        wording[language] = yield from _language_texts(f"[texts.{language}]", texts)
    return wording


def _language_texts(table: str, data: object) -> Reading[dict[str, Text]]:
    content = yield from single_table(table, "texts", data)
    found = {}
    for key, text in (content or {}).items():
        found[key] = yield from placed(values.wording(text), table=table, key=key)
    return found


def _with_languages_meant(tables: Mapping[str, Any]) -> Reading[dict[str, Any]]:
    """Return the tables of a policy file with the languages of its texts in place of those that no text has.

    One error then blames the list of languages. Without this, each text would be wrong.
    """
    site = tables.get("site")
    offered = site.get("languages") if isinstance(site, dict) else None
    if site is None or not isinstance(offered, list) or not all(isinstance(language, str) for language in offered):
        return {**tables}
    meant = _meant(offered, {*_languages_of_texts(tables)})
    for language, other in meant.items():
        problem = f'no text is in "{language}", but texts are in "{other}"'
        remedy = f'Write "{other}", or write each text in "{language}".'
        if other in offered:
            problem, remedy = f'"{language}" is the same language as "{other}"', f'Take "{language}" out.'
        yield PolicyError(problem, remedy, table="[site]", key="languages")
    if not meant:
        return {**tables}
    languages = list(dict.fromkeys(meant.get(language, language) for language in offered))
    return {**tables, "site": {**site, "languages": languages}}


def _languages_of_texts(tables: Mapping[str, Any]) -> Iterator[str]:
    for named in ("purposes", "features"):
        parts = tables.get(named)
        for part in parts.values() if isinstance(parts, dict) else ():
            title = part.get("title") if isinstance(part, dict) else None
            yield from title if isinstance(title, dict) else ()


def _meant(offered: list[str], written: set[str]) -> dict[str, str]:
    """Return the offered languages that no text has -> the language that stands in their place."""
    unwritten = [language for language in offered if language not in written]
    unoffered = sorted(written.difference(offered))
    if len(unwritten) == len(unoffered) == 1:
        return {unwritten[0]: unoffered[0]}
    spelt = {language.casefold(): language for language in sorted(written)}
    return {language: spelt[language.casefold()] for language in unwritten if language.casefold() in spelt}


_SITE: Readers = {
    "name": values.string,
    "controller": values.string,
    "contact": values.string,
    "data_protection_officer": values.string,
    "prevailing_language": values.string,
    "languages": values.strings,
    "policy_url": values.string,
    "domain": values.string,
    "hosts": values.strings,
    "updated": values.day,
    "laws": values.strings,
    "authority": partial(read_part, Authority, {"name": values.texts, "url": values.string}, "[site.authority]"),
    "time_zone": values.string,
    "recipients": values.string,
}
_PURPOSE: Readers = {
    "title": values.texts,
    "description": values.texts,
    "retention": values.duration,
    "traces": values.boolean,
    "erase_on_withdrawal": values.boolean,
    "sells": values.boolean,
    "data": values.texts,
    "legal_basis": values.texts,
}
_COOKIE: Readers = {
    "name": values.string,
    "purpose": values.string,
    "duration": values.cookie_duration,
    "path": values.string,
    "domain": values.string,
    "description": values.texts,
    "kind": values.string,
}
_RECIPIENT: Readers = {
    "id": values.string,
    "name": values.string,
    "purpose": values.string,
    "receives": values.texts,
    "origins": values.strings,
    "directives": values.strings,
    "policy_url": values.string,
    "country": values.string,
    "safeguard": values.texts,
    "use": values.texts,
}
_FEATURE: Readers = {"title": values.texts, "purposes": values.strings, "fallback": values.texts}
_SERVICE_PURPOSE: Readers = {
    "title": values.texts,
    "description": values.texts,
    "retention": values.duration,
    "refused": values.true,
}
_SERVICE: Readers = {"path": values.string, "host": values.string, "policy_url": values.string, "title": values.texts}
_SECURITY: Readers = {
    "content_security_policy": values.string,
    "permissions_policy": values.string,
    "referrer_policy": values.string,
}
_TABLES: Readers = {
    "site": partial(read_part, Site, _SITE, "[site]"),
    "purposes": partial(named_tables, Purpose, _PURPOSE, "purposes"),
    "cookies": partial(_array_of_tables, Cookie, _COOKIE, "cookies"),
    "recipients": partial(_array_of_tables, Recipient, _RECIPIENT, "recipients"),
    "features": partial(named_tables, Feature, _FEATURE, "features"),
    "services": _services,
    "changes": partial(_array_of_tables, Change, {"date": values.day, "text": values.texts}, "changes"),
    "signals": partial(read_part, SignalRules, {"gpc": values.refusals, "dnt": values.refusals}, "[signals]"),
    "records": partial(read_part, RecordRules, {"keep": values.duration}, "[records]"),
    "requests": partial(
        read_part, RequestRules, dict.fromkeys(("due", "keep_address", "keep"), values.duration), "[requests]"
    ),
    "security": partial(read_part, SecurityRules, _SECURITY, "[security]"),
    "vendors": vendors.read,
    **goals.TABLES,
    "texts": _wording,
}
_ARRAYS = frozenset({"cookies", "recipients", "changes"})
"""The tables that are written in double brackets."""
_ARGUMENT = {"texts": "wording"}
