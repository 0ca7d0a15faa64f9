"""Reads the tables of a policy file, and finds all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from os import PathLike, fspath
from typing import Any, TypeVar

from cookie_consent.policy import toml_text, validation, values
from cookie_consent.policy.checked_part import CheckedPart, required
from cookie_consent.policy.declarations import (
    Declarations,
    RecordRules,
    RequestRules,
    SignalRules,
    item_label,
    labelled_parts,
)
from cookie_consent.policy.errors import PolicyError, did_you_mean, nearest, raise_all
from cookie_consent.policy.imports import Import
from cookie_consent.policy.in_force import errors_in_force
from cookie_consent.policy.offered_languages import with_languages_meant
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
from cookie_consent.policy.reading import Reading, placed, read_all
from cookie_consent.policy.security import SecurityRules
from cookie_consent.policy.vendors import mapping as vendors
from cookie_consent.texts.catalog import Text

Part = TypeVar("Part", bound=CheckedPart)
Readers = Mapping[str, Callable[[Any], Reading[Any]]]
_TYPING_ERROR = 0.7
"""How like a known name an unknown one has to be, to be read as that one."""


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
    later = errors_in_force(declared) if is_in_force else ()
    for error in (*of_parts, *validation.errors(declared), *later):
        if not {(error.table, error.key), (error.table, "")} & unread:
            yield error


def _declarations(data: Mapping[str, Any]) -> Reading[Declarations]:
    tables = yield from _known(data, _TABLES, "table")
    tables = yield from with_languages_meant(tables)
    parts = {}
    for name, content in tables.items():
        parts[_ARGUMENT.get(name, name)] = yield from _TABLES[name](content)
    if "site" not in parts:
        yield PolicyError("the table is missing", "It says who asks: name, controller, contact.", table="[site]")
        parts["site"] = _filled(Site, _SITE)
    return Declarations(**parts)


def _known(data: Mapping[str, Any], known: Readers, kind: str, table: str = "") -> Reading[dict[str, Any]]:
    """Return the data with each misspelt name as it was probably meant, and without other unknown names."""
    found = {name: value for name, value in data.items() if name in known}
    for name, value in data.items():
        if name not in known:
            # A misspelt key must not be skipped: it could be the one that refuses.
            yield PolicyError(
                f'there is no {kind} "{name}" here',
                did_you_mean(name, known),
                table=table or f"[{name}]",
                key=name if kind == "key" else "",
            )
            if meant := nearest(name, sorted(known.keys() - found.keys()), _TYPING_ERROR):
                found[meant] = value
    return found


def _part(kind: type[Part], readers: Readers, table: str, data: object, **given: str) -> Reading[Part]:
    """Read one part from its table.

    Args:
        kind: the class of the part.
        readers: key -> the function that reads its value; other keys are refused.
        table: the table as the file writes it, for errors.
        data: the table's content.
        given: arguments of the part that are not in the table.
    """
    content = yield from _single_table(table, "keys", data)
    if content is None:
        return _filled(kind, readers, **given)
    found: dict[str, Any] = {}
    keys = yield from _known(content, readers, "key", table)
    for key, value in keys.items():
        found[key] = yield from placed(readers[key](value), table=table, key=key)
    for key in required(kind):
        if key not in found and key not in given:
            yield PolicyError("the key is missing", "Add it.", table=table, key=key)
    return _filled(kind, readers, **given, **found)


def _single_table(table: str, what: str, data: object) -> Reading[Mapping[str, object] | None]:
    if isinstance(data, list) and data and isinstance(data[0], dict):
        yield PolicyError("there is only one of it", f"Write {table}, in single brackets.", table=table)
        data = data[0]
    if isinstance(data, dict):
        return data
    yield PolicyError("this is no table", f"Write {table} and its {what} below.", table=table)
    return None


def _filled(kind: type[Part], readers: Readers, **found: Any) -> Part:
    """Return a part with these values, and harmless ones for the others that it needs."""
    harmless = {key: read_all(readers[key](None))[0] for key in required(kind) if key not in found}
    return kind.unchecked({**harmless, **found})


def _named_tables(kind: type[Part], readers: Readers, table: str, data: object) -> Reading[tuple[Part, ...]]:
    """Read tables whose name contains the id, as [purposes.analytics] does."""
    parts = []
    tables = yield from _tables(data, table)
    for id_, keys in tables.items():
        part = yield from _part(kind, readers, f"[{table}.{id_}]", keys, id=id_)
        parts.append(part)
    return tuple(parts)


def _tables(data: object, table: str) -> Reading[Mapping[str, object]]:
    if isinstance(data, dict):
        return data
    yield PolicyError("this is no table", f"Write [{table}.NAME] and its keys below.", table=f"[{table}]")
    items = [{**item} for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    return {str(item.pop("id", number)): item for number, item in enumerate(items, 1)}


def _array_of_tables(kind: type[Part], readers: Readers, table: str, data: object) -> Reading[tuple[Part, ...]]:
    """Read an array of tables, such as [[cookies]]."""
    if not isinstance(data, list):
        yield PolicyError("this is no array of tables", f"Write [[{table}]], in double brackets.", table=f"[{table}]")
        data = [data] if isinstance(data, dict) and data.keys() & readers.keys() else []
    parts = []
    for number, item in enumerate(data, 1):
        part = yield from _part(kind, readers, _label(table, number, item, readers), item)
        parts.append(part)
    return tuple(parts)


def _label(table: str, number: int, item: object, readers: Readers) -> str:
    values = [item.get(key) for key in ("id", "name") if key in readers] if isinstance(item, dict) else []
    return item_label(table, number, *(value for value in values if isinstance(value, str)))


def _services(data: object) -> Reading[tuple[Service, ...]]:
    """Read [services.NAME] and the tables [services.NAME.purposes.PURPOSE] in it."""
    services = []
    tables = yield from _tables(data, "services")
    for id_, keys in tables.items():
        readers: Readers = {**_SERVICE, "purposes": partial(_overrides, id_)}
        service = yield from _part(Service, readers, f"[services.{id_}]", keys, id=id_)
        services.append(service)
    return tuple(services)


def _overrides(service: str, data: object) -> Reading[dict[str, ServicePurpose]]:
    overrides = {}
    table = f"services.{service}.purposes"
    tables = yield from _tables(data, table)
    for purpose, keys in tables.items():
        overrides[purpose] = yield from _part(ServicePurpose, _SERVICE_PURPOSE, f"[{table}.{purpose}]", keys)
    return overrides


def _wording(data: object) -> Reading[dict[str, dict[str, Text]]]:
    wording = {}
    tables = yield from _tables(data, "texts")
    for language, texts in tables.items():
        wording[language] = yield from _language_texts(f"[texts.{language}]", texts)
    return wording


def _language_texts(table: str, data: object) -> Reading[dict[str, Text]]:
    content = yield from _single_table(table, "texts", data)
    found = {}
    for key, text in (content or {}).items():
        found[key] = yield from placed(values.wording(text), table=table, key=key)
    return found


_SITE: Readers = {
    "name": values.string,
    "controller": values.string,
    "contact": values.string,
    "prevailing_language": values.string,
    "languages": values.strings,
    "policy_url": values.string,
    "domain": values.string,
    "hosts": values.strings,
    "updated": values.day,
    "regions": values.strings,
    "regime": values.string,
    "regimes": values.by_place,
    "authority": partial(_part, Authority, {"name": values.texts, "url": values.string}, "[site.authority]"),
}
_PURPOSE: Readers = {
    "title": values.texts,
    "description": values.texts,
    "retention": values.duration,
    "traces": values.boolean,
    "exempt": values.string,
    "erase_on_withdrawal": values.boolean,
    "sells": values.boolean,
    "data": values.texts,
    "legal_basis": values.texts,
    "choice": values.string,
}
_COOKIE: Readers = {
    "name": values.string,
    "purpose": values.string,
    "duration": values.cookie_duration,
    "path": values.string,
    "domain": values.string,
    "description": values.texts,
    "recipient": values.string,
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
_IMPORT: Readers = {
    "purposes": values.names,
    "cookie": values.string,
    "path": values.string,
    "domain": values.string,
    "revision": values.number,
}
_SECURITY: Readers = {
    "content_security_policy": values.string,
    "permissions_policy": values.string,
    "referrer_policy": values.string,
    "connection_allowlist": values.strings,
}
_TABLES: Readers = {
    "site": partial(_part, Site, _SITE, "[site]"),
    "purposes": partial(_named_tables, Purpose, _PURPOSE, "purposes"),
    "cookies": partial(_array_of_tables, Cookie, _COOKIE, "cookies"),
    "recipients": partial(_array_of_tables, Recipient, _RECIPIENT, "recipients"),
    "features": partial(_named_tables, Feature, _FEATURE, "features"),
    "services": _services,
    "changes": partial(_array_of_tables, Change, {"date": values.day, "text": values.texts}, "changes"),
    "signals": partial(_part, SignalRules, {"gpc": values.refusals, "dnt": values.refusals}, "[signals]"),
    "records": partial(_part, RecordRules, {"keep": values.duration}, "[records]"),
    "requests": partial(
        _part, RequestRules, dict.fromkeys(("due", "keep_address", "keep"), values.duration), "[requests]"
    ),
    "imports": partial(_named_tables, Import, _IMPORT, "imports"),
    "security": partial(_part, SecurityRules, _SECURITY, "[security]"),
    "vendors": vendors.read,
    "texts": _wording,
}
_ARRAYS = frozenset({"cookies", "recipients", "changes"})
"""The tables that are written in double brackets."""
_ARGUMENT = {"texts": "wording"}
