"""Reads a policy file, and names the place of each error. `validation` checks whether the parts fit together."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from datetime import date, datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from cookie_consent.policy.declarations import Declarations, RecordRules, RequestRules, SignalRules
from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.imports import Import
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
from cookie_consent.policy.syntax import parse_duration
from cookie_consent.policy.vendors import mapping as vendors
from cookie_consent.texts.catalog import Text

Part = TypeVar("Part")
Readers = Mapping[str, Callable[[Any], Any]]


def read(path: str | PathLike[str]) -> Declarations:
    """Read a policy file.

    Raises:
        PolicyError: the file is not TOML in UTF-8, or has an unknown table or key or an invalid value.
        FileNotFoundError: there is no such file.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        # `TOMLDecodeError` and `UnicodeDecodeError` are both of this kind.
        raise PolicyError(f"this is no TOML file in UTF-8: {error}") from None
    except IsADirectoryError:
        raise PolicyError("this is a folder", "Write the path of a policy file.") from None
    return declarations(data)


def declarations(data: Mapping[str, Any]) -> Declarations:
    """Turn the data of a policy file into its parts.

    Raises:
        PolicyError: a table or key is unknown or missing, or a value is invalid.
    """
    _refuse_unknown(data, _TABLES, "table")
    if "site" not in data:
        raise PolicyError("the table is missing", "It says who asks: name, controller, contact.", table="[site]")
    return Declarations(
        **{_ARGUMENT.get(name, name): read_table(data[name]) for name, read_table in _TABLES.items() if name in data}
    )


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise PolicyError(f"{value!r} is no text", "Put it in quotes.")
    return value


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise PolicyError(f"{value!r} is no list", 'Write it as in ["first", "second"].')
    return tuple(_string(item) for item in value)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise PolicyError(f"{value!r} is neither true nor false", "Write true or false, without quotes.")
    return value


def _true(value: object) -> bool:
    # "refused = false" would read as if a service could allow what the site refuses.
    if value is not True:
        raise PolicyError("a service can only refuse", "Write true, or leave the line out.")
    return True


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise PolicyError(f"{value!r} is not one text per language", 'Write it as in { en = "…", ja = "…" }.')
    return {language: _string(text) for language, text in value.items()}


def _names(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise PolicyError(f"{value!r} maps no purposes", 'Write it as in { analytics = "statistics" }.')
    return {id_: _strings(names) if isinstance(names, list) else (_string(names),) for id_, names in value.items()}


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise PolicyError(f"{value!r} is no whole number", "Write it without quotes.")
    return value


def _by_place(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise PolicyError(f"{value!r} is no table", 'Write it as in { JP = "jp", CA-QC = "ca-qc" }.')
    return {place: _string(regime) for place, regime in value.items()}


def _duration(value: object) -> timedelta:
    try:
        return parse_duration(_string(value))
    except ValueError as error:
        raise PolicyError(str(error)) from None


def _cookie_duration(value: object) -> timedelta | None:
    return None if value == "session" else _duration(value)


def _date(value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):  # a datetime is a date, too
        raise PolicyError(f"{value!r} is no date", "Write it as in 2026-11-25, without quotes.")
    return value


def _refusals(value: object) -> tuple[str, ...] | None:
    if value in ("default", "ignore"):
        return None if value == "default" else ()
    if isinstance(value, str):
        raise PolicyError(f"{value!r} is not valid here", 'Write "default", "ignore" or a list of purposes.')
    return _strings(value)


def _refuse_unknown(data: Mapping[str, Any], known: Mapping[str, Any], kind: str, table: str = "") -> None:
    # A misspelt key must not be skipped: it could be the one that refuses.
    for name in data:
        if name not in known:
            raise PolicyError(
                f'there is no {kind} "{name}" here',
                did_you_mean(name, known),
                table=table or f"[{name}]",
                key=name if kind == "key" else "",
            )


def _part(make: Callable[..., Part], readers: Readers, table: str, data: object, **given: str) -> Part:
    """Make one part from its table.

    Args:
        make: the class of the part.
        readers: key -> the function that reads its value; other keys are refused.
        table: the table as the file writes it, for errors.
        data: the table's content.
        given: arguments of the part that are not in the table.
    """
    if not isinstance(data, dict):
        raise PolicyError("this is no table", f"Write {table} and its keys below.", table=table)
    _refuse_unknown(data, readers, "key", table)
    values = dict(given)
    for key, value in data.items():
        try:
            values[key] = readers[key](value)
        except PolicyError as error:
            # An error in a nested table names its own place already.
            raise error if error.table else error.at(table=table, key=key) from None
    for part in fields(make):  # type: ignore[arg-type]
        if part.default is MISSING and part.default_factory is MISSING and part.name not in values:
            raise PolicyError("the key is missing", "Add it.", table=table, key=part.name)
    try:
        return make(**values)
    except PolicyError as error:
        raise error.at(table=table) from None


def _named_tables(make: Callable[..., Part], readers: Readers, table: str, data: object) -> tuple[Part, ...]:
    """Read tables whose name contains the id, as [purposes.analytics] does."""
    return tuple(_part(make, readers, f"[{table}.{id_}]", keys, id=id_) for id_, keys in _tables(data, table))


def _tables(data: object, table: str) -> Iterable[tuple[str, object]]:
    if not isinstance(data, dict):
        raise PolicyError("this is no table", f"Write [{table}.NAME] and its keys below.", table=f"[{table}]")
    return data.items()


def _array_of_tables(make: Callable[..., Part], readers: Readers, table: str, data: object) -> tuple[Part, ...]:
    """Read an array of tables, such as [[cookies]]."""
    if not isinstance(data, list):
        raise PolicyError("this is no array of tables", f"Write [[{table}]], in double brackets.", table=f"[{table}]")
    return tuple(_part(make, readers, _label(table, number, item), item) for number, item in enumerate(data, 1))


def _label(table: str, number: int, item: object) -> str:
    name = item.get("id", item.get("name")) if isinstance(item, dict) else None
    return f'[[{table}]] "{name}"' if isinstance(name, str) else f"[[{table}]] no. {number}"


def _services(data: object) -> tuple[Service, ...]:
    """Read [services.NAME] and the tables [services.NAME.purposes.PURPOSE] in it."""
    return tuple(
        _part(Service, {**_SERVICE, "purposes": partial(_overrides, id_)}, f"[services.{id_}]", keys, id=id_)
        for id_, keys in _tables(data, "services")
    )


def _overrides(service: str, data: object) -> dict[str, ServicePurpose]:
    table = f"services.{service}.purposes"
    return {
        purpose: _part(ServicePurpose, _SERVICE_PURPOSE, f"[{table}.{purpose}]", keys)
        for purpose, keys in _tables(data, table)
    }


def _wording(data: object) -> dict[str, dict[str, Text]]:
    return {language: _language_texts(f"[texts.{language}]", texts) for language, texts in _tables(data, "texts")}


def _language_texts(table: str, data: object) -> dict[str, Text]:
    if not isinstance(data, dict):
        raise PolicyError("this is no table", f"Write {table} and its texts below.", table=table)
    for key, text in data.items():
        for form in text.values() if isinstance(text, dict) else (text,):
            if not isinstance(form, str):
                raise PolicyError(f"{form!r} is no text", "Put it in quotes.", table=table, key=key)
    return data


_SITE: Readers = {
    "name": _string,
    "controller": _string,
    "contact": _string,
    "prevailing_language": _string,
    "languages": _strings,
    "policy_url": _string,
    "domain": _string,
    "hosts": _strings,
    "updated": _date,
    "regions": _strings,
    "regime": _string,
    "regimes": _by_place,
    "authority": partial(_part, Authority, {"name": _texts, "url": _string}, "[site.authority]"),
}
_PURPOSE: Readers = {
    "title": _texts,
    "description": _texts,
    "retention": _duration,
    "traces": _boolean,
    "exempt": _string,
    "erase_on_withdrawal": _boolean,
    "sells": _boolean,
    "data": _texts,
    "legal_basis": _texts,
    "choice": _string,
}
_COOKIE: Readers = {
    "name": _string,
    "purpose": _string,
    "duration": _cookie_duration,
    "path": _string,
    "domain": _string,
    "description": _texts,
    "recipient": _string,
}
_RECIPIENT: Readers = {
    "id": _string,
    "name": _string,
    "purpose": _string,
    "receives": _texts,
    "origins": _strings,
    "directives": _strings,
    "policy_url": _string,
    "country": _string,
    "use": _texts,
}
_FEATURE: Readers = {"title": _texts, "purposes": _strings, "fallback": _texts}
_SERVICE_PURPOSE: Readers = {"title": _texts, "description": _texts, "retention": _duration, "refused": _true}
_SERVICE: Readers = {"path": _string, "host": _string, "policy_url": _string, "title": _texts}
_IMPORT: Readers = {
    "purposes": _names,
    "cookie": _string,
    "path": _string,
    "domain": _string,
    "revision": _number,
}
_SECURITY: Readers = {
    "content_security_policy": _string,
    "permissions_policy": _string,
    "referrer_policy": _string,
    "connection_allowlist": _strings,
}
_TABLES: Readers = {
    "site": partial(_part, Site, _SITE, "[site]"),
    "purposes": partial(_named_tables, Purpose, _PURPOSE, "purposes"),
    "cookies": partial(_array_of_tables, Cookie, _COOKIE, "cookies"),
    "recipients": partial(_array_of_tables, Recipient, _RECIPIENT, "recipients"),
    "features": partial(_named_tables, Feature, _FEATURE, "features"),
    "services": _services,
    "changes": partial(_array_of_tables, Change, {"date": _date, "text": _texts}, "changes"),
    "signals": partial(_part, SignalRules, {"gpc": _refusals, "dnt": _refusals}, "[signals]"),
    "records": partial(_part, RecordRules, {"keep": _duration}, "[records]"),
    "requests": partial(_part, RequestRules, dict.fromkeys(("due", "keep_address", "keep"), _duration), "[requests]"),
    "imports": partial(_named_tables, Import, _IMPORT, "imports"),
    "security": partial(_part, SecurityRules, _SECURITY, "[security]"),
    "vendors": vendors.read,
    "texts": _wording,
}
_ARGUMENT = {"texts": "wording"}
