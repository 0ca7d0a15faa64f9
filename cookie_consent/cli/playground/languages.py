"""Adds a language to a policy: to its data, for a preview; and to its text, to keep."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from cookie_consent.cli.playground.tables import tokens

_PHRASES = files(__package__) / "phrases.toml"
_LISTED = re.compile(r"(\s*languages\s*=\s*\[[^\]]*?)(\s*,?\s*)(\].*)")
_NOT_TEXTS = ("texts", "vendors", "signals", "records", "requests", "security")
"""Tables without texts in several languages that a policy file must write."""


def phrase(text: str, language: str) -> str:
    """Return a text of the example policy in another language, and any other text as it is."""
    return _phrases().get(text, {}).get(language, text)


@cache
def _phrases() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(_PHRASES.read_text(encoding="utf-8"))


def with_language(data: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Return the data of a policy file with one more language.

    Texts of the example policy are translated. Others are those of the prevailing language.

    Args:
        data: the data of the file.
        language: the tag of the language.
    """
    site = data["site"]
    offered, prevailing = frozenset(site["languages"]), site["prevailing_language"]

    def added(value: Any) -> Any:
        if isinstance(value, list):
            return [added(item) for item in value]
        if not isinstance(value, dict):
            return value
        if prevailing in value and offered.issuperset(value):
            return {**value, language: phrase(value[prevailing], language)}
        return {key: added(item) for key, item in value.items()}

    parts = {name: table if name in _NOT_TEXTS else added(table) for name, table in data.items()}
    return {**parts, "site": {**parts["site"], "languages": [*site["languages"], language]}}


def add_language(text: str, language: str) -> str:
    """Return the text of a policy file with one more language; all else in it stays as it is.

    Args:
        text: the policy file.
        language: the tag of the language.

    Raises:
        ValueError: the texts are written in another way than `{ en = "…" }` in one line.
    """
    data = tomllib.loads(text)
    prevailing = data["site"]["prevailing_language"]
    lines = [_LISTED.sub(rf'\1, "{language}"\3', line) for line in text.split("\n")]
    edited = "".join(_with_texts(tokens("\n".join(lines)), language, prevailing))
    if tomllib.loads(edited) != with_language(data, language):
        raise ValueError(
            f'Add "{language}" by hand: the file does not write all its languages and texts in one line each, as in '
            '{ en = "…", ja = "…" }.'
        )
    return edited


def _with_texts(parts: list[str], language: str, prevailing: str) -> list[str]:
    """Return the tokens of a text with the language added in each inline table that has the prevailing one."""
    key = re.compile(rf"(?:^|[\s{{,]){re.escape(prevailing)}\s*=\s*\Z")
    done: list[str] = []
    found: list[str] = []
    before = ""
    for part in parts:
        if part[0] in "\"'":
            if key.search(before):
                found.append(part)
        elif "}" in part and found and part[0] != "#":
            head, _, tail = part.partition("}")
            new = json.dumps(phrase(tomllib.loads(f"text = {found.pop()}")["text"], language), ensure_ascii=False)
            part = f"{head.rstrip().rstrip(',')}, {language} = {new} }}{tail}"
        before = part
        done.append(part)
    return done
