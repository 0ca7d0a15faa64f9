"""Reads a policy by the annotations of its parts: from a file, and from the data that `Policy.document` returns.

A harmless value stands in place of one that cannot be read, so that one run finds all errors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, timedelta
from functools import cache
from os import PathLike, fspath
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from cookie_consent import gone
from cookie_consent.policy.declarations import (
    ARRAYS,
    Declarations,
    find_errors,
    find_errors_in_force,
    item_label,
    labelled_parts,
)
from cookie_consent.policy.errors import PolicyError, did_you_mean, nearest, raise_all
from cookie_consent.policy.goals import Funnel, Goal
from cookie_consent.policy.parts import Purpose, Site
from cookie_consent.policy.syntax import parse_duration
from cookie_consent.policy.vendors import VendorMapping, vendors

_TYPING_ERROR = 0.7
"""How like a known name an unknown one has to be, to be read as that one."""
_HEADER = re.compile(
    r"^[ \t]*(?P<open>\[{1,2})[ \t]*(?P<name>[\w-]+)(?P<below>[^\]\n]*)\]{1,2}", re.MULTILINE | re.ASCII
)
"""A line that begins a table, as in [site] or [[cookies]]."""
_WRONG_BRACKETS = {
    "[": ("one table, but there can be several", "in double brackets"),
    "[[": ("one of several tables, but there is only one", "in single brackets"),
}
"""Brackets that are wrong -> what they begin, and what would be right."""
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""How a file in UTF-16 or UTF-32 may begin."""

_PLAIN: Mapping[Any, type] = {str: str, bool: bool, int: int, NoneType: NoneType, tuple: list, Mapping: dict}
_IN_FILE: Mapping[Any, type] = {**_PLAIN, timedelta: str, date: date}
IN_DOCUMENT: Mapping[Any, type] = {**_PLAIN, timedelta: int, date: str}
"""Type of a value -> the type in which it is written."""
_CONVERTERS: Mapping[tuple[Any, type], Callable[[Any], Any]] = {
    (timedelta, str): parse_duration,
    (timedelta, int): lambda seconds: timedelta(seconds=seconds),
    (date, str): date.fromisoformat,
}
_WRONG: Mapping[Any, tuple[str, str]] = {
    str: ("is no text", "Put it in quotes"),
    bool: ("is neither true nor false", "Write true or false, without quotes"),
    tuple: ("is no list", 'Write it as in ["first", "second"]'),
    Mapping: ("is not one text per language", 'Write it as in { en = "…", ja = "…" }'),
    timedelta: ("is no duration", 'Write a whole number and a unit, as in "395 days"'),
    date: ("is no date", "Write it as in 2026-11-25, without quotes"),
}
_HARMLESS: Mapping[Any, Any] = {
    str: "",
    bool: True,
    tuple: (),
    Mapping: {},
    timedelta: timedelta.max,
    date: date.max,
}
"""What stands in place of a value that cannot be read: of a duration, the one that no other is longer than."""


def read_file(path: str | PathLike[str], *, is_in_force: bool = False) -> Declarations:
    """Read a policy file.

    Raises:
        PolicyError: the file is no valid policy. The error has all that is wrong with it.
        FileNotFoundError: there is no such file.
    """
    try:
        return read_tables(_parse(_read_text(path)), is_in_force=is_in_force)
    except PolicyError as error:
        raise error.at(file=fspath(path)) from None


def read_tables(
    data: Mapping[str, Any], *, is_in_force: bool = False, written_types: Mapping[Any, type] = _IN_FILE
) -> Declarations:
    """Return the declarations in a policy file or, of types `IN_DOCUMENT`, in what `Policy.document` returned.

    Raises:
        PolicyError: with all errors.
    """
    declared, found = _declare(_Reader(written_types), data, is_in_force=is_in_force)
    raise_all(found)
    return declared


def read_goals(data: Mapping[str, Any]) -> tuple[tuple[Goal, ...], tuple[Funnel, ...]]:
    """Return the goals and funnels of a policy file, without a look at its other tables."""
    tables = {name: data[name] for name in ("goals", "funnels") if name in data}
    declared, found = _declare(_Reader(_IN_FILE), tables)
    raise_all(error for error in found if error.table != "[site]")
    return declared.goals, declared.funnels


def _declare(
    reader: _Reader, data: Mapping[str, Any], *, is_in_force: bool = False
) -> tuple[Declarations, list[PolicyError]]:
    """Return what could be read, and all errors: of what cannot be read, no other error."""
    declared = reader.read_declarations(data)
    unread = {(error.table, error.key) for error in reader.errors}
    found = [error.at(table=table) for table, part in labelled_parts(declared) for error in part.errors()]
    found += find_errors(declared)
    if is_in_force:
        found += find_errors_in_force(declared)
    others = [error for error in found if unread.isdisjoint([(error.table, error.key), (error.table, "")])]
    return declared, [*reader.errors, *others]


class _Reader:
    """Reads values by type hints. `errors` has what could not be read."""

    def __init__(self, written_types: Mapping[Any, type]) -> None:
        self._written_types = written_types
        self._is_file = written_types is _IN_FILE
        self.errors: list[PolicyError] = []

    def read_declarations(self, data: Mapping[str, Any]) -> Declarations:
        hints = hints_of_tables(is_file=self._is_file)
        values = {}
        for name, content in self._match_names(data, hints, "table", "").items():
            argument = "wording" if name == "texts" else name
            values[argument] = self._read_value(hints[name], content, "", name)
        needed = {"site"} if self._is_file else hints.keys()
        for name in needed - values.keys():
            self._add_error("the table is missing", "It says who asks: name, controller, contact.", f"[{name}]")
        values.setdefault("site", _fill_part(Site, {}))
        return Declarations(**values)

    def _add_error(self, problem: str, remedy: str, table: str, key: str = "") -> None:
        self.errors.append(PolicyError(problem, remedy, table=table, key=key))

    def _match_names(self, data: Mapping[str, Any], known: Mapping[str, Any], kind: str, table: str) -> dict[str, Any]:
        """Return the data with each misspelt name as it was probably meant, and without other unknown names."""
        found = {name: value for name, value in data.items() if name in known}
        for name in [name for name in data if name not in known]:
            place = (table, name) if table else (f"[{name}]",)
            if name in gone.POLICY_NAMES:
                self._add_error(f'the {kind} "{name}" is gone', gone.POLICY_NAMES[name], *place)
                continue
            # A misspelt key must not be skipped: it could be the one that refuses.
            self._add_error(f'there is no {kind} "{name}" here', did_you_mean(name, known), *place)
            if meant := nearest(name, sorted(known.keys() - found.keys()), _TYPING_ERROR):
                found[meant] = data[name]
        return found

    def _read_value(self, hint: Any, value: Any, table: str, key: str) -> Any:
        """Return the value of a key or a table, by the first type of a union if none fits."""
        words: Mapping[str, Any] = {}
        if get_origin(hint) is Annotated:
            hint, metadata = get_args(hint)
            words = metadata if isinstance(metadata, Mapping) else {}
        if isinstance(value, str) and value in words:
            return words[value]
        kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        written = [self._written_types.get(get_origin(one) or one, dict) for one in kinds]
        kind: Any = next((one for one, type_ in zip(kinds, written, strict=True) if type(value) is type_), kinds[0])
        inner = get_args(kind)
        if kind == tuple[VendorMapping, ...] and self._is_file:
            return self._read_vendors(value)
        if is_dataclass(kind):
            return self._read_part(kind, value, _label(table, key))
        if inner and is_dataclass(inner[0]):
            return self._read_parts(inner[0], value, key)
        if len(inner) > 1 and inner[1] not in (str, ...):
            return self._read_below(inner[1], value, _label(table, key))
        return self._read_plain(kind, value, table, key, words)

    def _read_plain(self, kind: Any, value: Any, table: str, key: str, words: Iterable[str]) -> Any:
        origin = get_origin(kind) or kind
        is_readable = type(value) is self._written_types[origin]
        if not is_readable:
            return self._refuse(origin, value, table, key, words)
        if origin is tuple:
            return tuple(self._read_value(str, item, table, key) for item in value)
        if origin is Mapping:
            return {name: self._read_value(str, item, table, key) for name, item in value.items()}
        convert = _CONVERTERS.get((origin, type(value)))
        try:
            return convert(value) if convert else value
        except (ValueError, OverflowError):
            return self._refuse(origin, value, table, key, words)

    def _refuse(self, origin: Any, value: object, table: str, key: str, words: Iterable[str]) -> Any:
        problem, remedy = _WRONG[origin]
        others = " or ".join(f'"{word}"' for word in words)
        self._add_error(f"{value!r} {problem}", f"{remedy}{others and f', or {others}'}.", table, key)
        return _HARMLESS[origin]

    def _open_table(self, data: Any, table: str, written: str) -> Mapping[str, Any] | None:
        if isinstance(data, list) and data and isinstance(data[0], dict):
            self._add_error("there is only one of it", f"Write {table}, in single brackets.", table)
            data = data[0]
        if isinstance(data, dict):
            return data
        self._add_error("this is no table", f"Write {written} and its keys below.", table)
        return None

    def _read_part(self, kind: Any, data: Any, table: str, **given: str) -> Any:
        values: dict[str, Any] = dict(given)
        content = self._open_table(data, table, table)
        if content is None:
            return _fill_part(kind, values)
        hints = hints_of_keys(kind, is_file=self._is_file)
        known = {key: hint for key, hint in hints.items() if key not in given}
        for key, value in self._match_names(content, known, "key", table).items():
            # "refused = false" would read as if a service could allow what the site refuses.
            if key == "refused" and self._is_file and value is not True:
                self._add_error("a service can only refuse", "Write true, or leave the line out.", table, key)
                continue
            values[key] = self._read_value(hints[key], value, table, key)
        for declared in fields(kind):
            is_required = declared.default is MISSING and declared.default_factory is MISSING
            if is_required and declared.name not in values:
                self._add_error("the key is missing", "Add it.", table, declared.name)
        return _fill_part(kind, values)

    def _read_parts(self, kind: Any, data: Any, name: str) -> tuple[Any, ...]:
        """Read a list of parts: an array of tables, or tables whose names are the ids."""
        is_array = name in ARRAYS or not self._is_file
        if is_array and not isinstance(data, list):
            self._add_error("this is no array of tables", f"Write [[{name}]], in double brackets.", f"[{name}]")
            data = [data] if data and isinstance(data, dict) else []
        if isinstance(data, list) and not is_array:
            self._add_error("this is no table", f"Write [{name}.NAME] and its keys below.", f"[{name}]")
        if isinstance(data, list):
            return tuple(
                self._read_part(kind, item, _label_item(name, number, item)) for number, item in enumerate(data, 1)
            )
        tables = self._open_table(data, f"[{name}]", f"[{name}.NAME]") or {}
        return tuple(self._read_part(kind, item, f"[{name}.{id_}]", id=id_) for id_, item in tables.items())

    def _read_below(self, kind: Any, data: Any, table: str) -> Mapping[str, Any]:
        """Read tables below a table, or the keys of a table, whose names the site chooses."""
        written = table if isinstance(kind, UnionType) else f"{table[:-1]}.NAME]"
        content = self._open_table(data, table, written) or {}
        return {name: self._read_value(kind, value, table, name) for name, value in content.items()}

    def _read_vendors(self, data: Any) -> tuple[VendorMapping, ...]:
        """Read [vendors] of a file: the purpose of each vendor, or a table of its signals and options."""
        mappings = []
        for id_, value in (self._open_table(data, "[vendors]", "[vendors]") or {}).items():
            known = vendors()[id_].options if id_ in vendors() else {}
            content = value if isinstance(value, dict) else {"": value}
            options = {key: item for key, item in content.items() if key in known}
            purposes = {key: item for key, item in content.items() if key not in known}
            mappings.append(_fill_part(VendorMapping, {"id": id_, "purposes": purposes, "options": options}))
        return tuple(mappings)


@cache
def hints_of_tables(*, is_file: bool = True) -> Mapping[str, Any]:
    """Return the tables of a policy file, or of a document, and the type hint of each."""
    hints = get_type_hints(Declarations)
    if is_file:
        hints["texts"] = hints.pop("wording")
    else:
        del hints["goals"], hints["funnels"]  # visitors are not concerned
    return hints


@cache
def hints_of_keys(kind: type, *, is_file: bool = True) -> Mapping[str, Any]:
    """Return the keys of a part's table, and the type hint of each."""
    hints = get_type_hints(kind, include_extras=True)
    if is_file and kind is Purpose:
        del hints["refused"]
    return hints


_plain_hints = cache(get_type_hints)


def _fill_part(kind: Any, values: Mapping[str, Any]) -> Any:
    """Return a part with these values, unchecked, and with harmless ones for the others that it needs."""
    part = kind.__new__(kind)
    for declared in fields(kind):
        value = values.get(declared.name, declared.default)
        if value is MISSING:
            # What a part makes itself is an empty mapping, which is the harmless one.
            hint = _plain_hints(kind)[declared.name]
            value = _HARMLESS[get_origin(hint) or hint]
        object.__setattr__(part, declared.name, value)
    return part


def _label(table: str, key: str) -> str:
    return f"{table[:-1]}.{key}]" if table else f"[{key}]"


def _label_item(table: str, number: int, item: Any) -> str:
    names = [item.get(key) for key in ("id", "name")] if isinstance(item, dict) else []
    return item_label(table, number, *(name for name in names if isinstance(name, str)))


def _read_text(path: str | PathLike[str]) -> str:
    """Return the text of a policy file, without a byte order mark."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        # The whole path, since a server may have been started in another folder.
        missing = FileNotFoundError(error.errno, error.strerror, str(Path(path).absolute()))
        missing.add_note(f"`cookie-consent init {path}` writes a policy file.")
        raise missing from None
    except IsADirectoryError:
        raise PolicyError("this is a folder", "Write the path of a policy file.") from None
    # TOML has no zeros. In a wide encoding, each ASCII character has one.
    if content.startswith(_WIDE_MARKS) or b"\0" in content[:4]:
        raise PolicyError(
            "this file is in UTF-16 or UTF-32, and TOML is in UTF-8",
            'Save it as UTF-8: in an editor with "Save with encoding", in PowerShell with "Set-Content -Encoding utf8" '
            'in place of ">".',
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PolicyError(
            f"this is no TOML file in UTF-8: line {line} has a byte that is not of UTF-8",
            "Save the file as UTF-8.",
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse(text: str) -> dict[str, Any]:
    """Return the data of a policy file. What cannot be parsed hides all other errors."""
    try:
        return tomllib.loads(text)
    except ValueError as error:
        # One number of brackets here and another there is the usual reason, and TOML's message does not say so.
        raise_all(_find_wrong_brackets(text))
        remedy = "What else is wrong shows once this is right."
        raise PolicyError(f"this is no TOML file in UTF-8: {error}", remedy) from None


def _find_wrong_brackets(text: str) -> Iterator[PolicyError]:
    for header in _HEADER.finditer(text):
        name = header["name"]
        below = header["below"].strip()
        is_array = name in ARRAYS and not below
        if name in hints_of_tables() and is_array is (header["open"] == "["):
            line = text.count("\n", 0, header.start()) + 1
            problem, remedy = _WRONG_BRACKETS[header["open"]]
            right = f"[[{name}]]" if is_array else f"[{name}{below}]"
            table = header[0].strip()
            yield PolicyError(f"line {line} begins {problem}", f"Write {right}, {remedy}.", table=table)
