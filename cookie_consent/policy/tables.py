"""Reads the tables of a TOML file as parts, and finds all that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cookie_consent import gone
from cookie_consent.policy.errors import PolicyError, did_you_mean, nearest
from cookie_consent.policy.parts import CheckedPart, required
from cookie_consent.policy.values import Reading, placed, read_all

Part = TypeVar("Part", bound=CheckedPart)
Readers = Mapping[str, Callable[[Any], Reading[Any]]]
"""Key, or name of a table -> the function that reads its value."""
_TYPING_ERROR = 0.7
"""How like a known name an unknown one has to be, to be read as that one."""


def known_names(data: Mapping[str, Any], known: Readers, kind: str, table: str = "") -> Reading[dict[str, Any]]:
    """Return the data with each misspelt name as it was probably meant, and without other unknown names."""
    found = {name: value for name, value in data.items() if name in known}
    for name, value in data.items():
        if name not in known:
            if name in gone.POLICY_NAMES:
                yield PolicyError(f'the {kind} "{name}" is gone', gone.POLICY_NAMES[name], table=table or f"[{name}]")
                continue
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


def read_part(kind: type[Part], readers: Readers, table: str, data: object, **given: str) -> Reading[Part]:
    """Read one part from its table.

    Args:
        kind: the class of the part.
        readers: key -> the function that reads its value; other keys are refused.
        table: the table as the file writes it, for errors.
        data: the table's content.
        given: arguments of the part that are not in the table.
    """
    content = yield from single_table(table, "keys", data)
    if content is None:
        return filled(kind, readers, **given)
    found: dict[str, Any] = {}
    keys = yield from known_names(content, readers, "key", table)
    for key, value in keys.items():
        found[key] = yield from placed(readers[key](value), table=table, key=key)
    for key in required(kind):
        if key not in found and key not in given:
            yield PolicyError("the key is missing", "Add it.", table=table, key=key)
    return filled(kind, readers, **given, **found)


def single_table(table: str, what: str, data: object) -> Reading[Mapping[str, object] | None]:
    """Return the content of a table that exists once; None for anything else."""
    if isinstance(data, list) and data and isinstance(data[0], dict):
        yield PolicyError("there is only one of it", f"Write {table}, in single brackets.", table=table)
        data = data[0]
    if isinstance(data, dict):
        return data
    yield PolicyError("this is no table", f"Write {table} and its {what} below.", table=table)
    return None


def filled(kind: type[Part], readers: Readers, /, **found: Any) -> Part:
    """Return a part with these values, and harmless ones for the others that it needs."""
    harmless = {key: read_all(readers[key](None))[0] for key in required(kind) if key not in found}
    return kind.unchecked({**harmless, **found})


def named_tables(kind: type[Part], readers: Readers, table: str, data: object) -> Reading[tuple[Part, ...]]:
    """Read tables whose name contains the id, as [purposes.analytics] does."""
    parts = []
    tables = yield from tables_below(data, table)
    for id_, keys in tables.items():
        part = yield from read_part(kind, readers, f"[{table}.{id_}]", keys, id=id_)
        parts.append(part)
    return tuple(parts)


def tables_below(data: object, table: str) -> Reading[Mapping[str, object]]:
    """Return the tables whose names a site chooses, by these names."""
    if isinstance(data, dict):
        return data
    yield PolicyError("this is no table", f"Write [{table}.NAME] and its keys below.", table=f"[{table}]")
    items = [{**item} for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    return {str(item.pop("id", number)): item for number, item in enumerate(items, 1)}
