"""Adds, removes and renames purposes in the text of a policy file. What an edit does not concern stays as it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from itertools import chain, count

from cookie_consent.cli.playground.languages import phrase
from cookie_consent.cli.playground.tables import Table, tables
from cookie_consent.policy.errors import raise_all
from cookie_consent.policy.syntax import wrong_id

_LISTS = re.compile(r"\s*(?:purposes|gpc|dnt)\s*=\s*\[")
_NAMES = re.compile(r"\s*(?:purpose\s*=|(?:purposes|gpc|dnt)\s*=\s*\[)")
_WITH_NAMES = ("cookies", "recipients", "features", "signals")
_NEW = (
    ("ads", "Advertising", "We show offers that fit what you looked at."),
    ("preferences", "Remembered choices", "We remember what you chose, and show it again."),
    ("media", "Maps and videos", "We show maps and videos that other companies serve."),
    ("analytics", "Visitor statistics", "We count visits, to see what is hard to find."),
)
"""The id, the title and the description of purposes to add, in this order."""


def add_purpose(text: str) -> str:
    """Return the text of a policy file with one more purpose, after the others.

    Raises:
        ValueError: it cannot be added there.
    """
    data = tomllib.loads(text)
    known = data.get("purposes", {})
    numbered = ((f"purpose-{number}", f"Purpose {number}", "Say here what is done, and why.") for number in count(1))
    id_, title, description = next(new for new in chain(_NEW, numbered) if new[0] not in known)
    languages = data["site"]["languages"]
    new = [
        "",
        f"[purposes.{id_}]",
        *(f"{key} = {_in_each(words, languages)}" for key, words in (("title", title), ("description", description))),
    ]
    lines = text.rstrip("\n").split("\n")
    place = max((table.last for table in tables(lines) if table.path[0] == "purposes"), default=len(lines))
    after = lines[place:]
    lines = [*lines[:place], *new, *([""] if after and after[0].strip() else []), *after]
    return _checked(lines, lambda now: now.keys() - known.keys() == {id_})


def remove_purpose(text: str, purpose: str) -> str:
    """Return the text of a policy file without a purpose, and without the cookies, recipients and features of it alone.

    Raises:
        ValueError: it cannot be removed there.
    """
    lines = text.split("\n")
    for table in reversed(tables(lines)):
        if _is_of(table, purpose):
            end = table.last
            while end < len(lines) and not lines[end].strip():
                end += 1
            del lines[table.first : end]
        elif table.path[0] in _WITH_NAMES:
            name = re.escape(json.dumps(purpose))
            for number in range(table.first, table.last):
                if _LISTS.match(lines[number]):
                    lines[number] = re.sub(rf"{name}\s*,\s*|\s*,?\s*{name}", "", lines[number], count=1)
    return _checked(lines, lambda now: purpose not in now)


def rename_purpose(text: str, purpose: str, new: str) -> str:
    """Return the text of a policy file with another id for a purpose, wherever the id stands.

    Raises:
        ValueError: the new id is taken or invalid, or it cannot be changed there.
    """
    raise_all(wrong_id(new))
    known = tomllib.loads(text).get("purposes", {})
    if new in known:
        raise ValueError(f'There is a purpose "{new}" already.')
    lines = text.split("\n")
    header = re.compile(rf"\b(purposes\s*\.\s*){re.escape(purpose)}(?=[\s.\]])")
    for table in tables(lines):
        if _is_named(table, purpose):
            lines[table.first] = header.sub(rf"\1{new}", lines[table.first])
        elif table.path[0] in _WITH_NAMES:
            for number in range(table.first, table.last):
                if _NAMES.match(lines[number]):
                    lines[number] = lines[number].replace(json.dumps(purpose), json.dumps(new))
    return _checked(lines, lambda now: now.keys() == known.keys() - {purpose} | {new})


def retitle_purpose(text: str, purpose: str, language: str, title: str) -> str:
    """Return the text of a policy file with another title of a purpose.

    Args:
        text: the policy file.
        purpose: the id of the purpose.
        language: the language of the title.
        title: the new title.

    Raises:
        ValueError: it cannot be changed there.
    """
    lines = text.split("\n")
    for table in tables(lines):
        if table.path == ("purposes", purpose):
            for number in range(table.first, table.last):
                if re.match(r"\s*title\s*=", lines[number]):
                    lines[number] = _with_text(lines[number], language, title)
    return _checked(lines, lambda now: now[purpose]["title"][language] == title)


def _with_text(line: str, language: str, text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    old = rf"([{{,]\s*{re.escape(language)}\s*=\s*)(?:\"(?:\\.|[^\"\\])*\"|'[^']*')"
    return re.sub(old, lambda match: match[1] + written, line, count=1)


def _in_each(words: str, languages: list[str]) -> str:
    texts = (f"{tag} = {json.dumps(phrase(words, tag), ensure_ascii=False)}" for tag in languages)
    return f"{{ {', '.join(texts)} }}"


def _is_of(table: Table, purpose: str) -> bool:
    """Return whether a table exists only for a purpose."""
    if table.path[0] == "features":
        return table.values.get("purposes") == [purpose]
    return _is_named(table, purpose) or (
        table.path in (("cookies",), ("recipients",)) and table.values.get("purpose") == purpose
    )


def _is_named(table: Table, purpose: str) -> bool:
    """Return whether the header of a table names a purpose: the purpose itself, or a service's words about it."""
    path = table.path[2:] if table.path[0] == "services" else table.path
    return path[:2] == ("purposes", purpose)


def _checked(lines: list[str], is_right: Callable[[dict[str, dict[str, dict[str, str]]]], bool]) -> str:
    """Return the edited text if its purposes are those that were to be.

    Raises:
        ValueError: they are not. The file writes them in a way that this module does not edit.
    """
    text = "\n".join(lines)
    try:
        if is_right(tomllib.loads(text).get("purposes", {})):
            return text
    except (tomllib.TOMLDecodeError, LookupError, TypeError):
        pass  # the edit met what it does not know
    raise ValueError("This file writes its purposes in another way than [purposes.ID]: change it in the text.")
