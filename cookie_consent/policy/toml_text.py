"""Reads the text of a policy file and parses it as TOML."""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Collection, Iterator
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from cookie_consent.policy.errors import PolicyError, raise_all
from cookie_consent.policy.values import Reading

_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""A byte order mark -> its encoding."""
_HEADER = re.compile(
    r"^(?P<before>[ \t]*)(?P<open>\[{1,2})[ \t]*(?P<name>[\w-]+)(?P<below>[^\]\n]*)\]{1,2}", re.MULTILINE | re.ASCII
)
"""A line that begins a table, as in [site] or [[cookies]]."""


def read_text(path: str | PathLike[str]) -> str:
    """Return the text of a policy file, without a byte order mark.

    Raises:
        PolicyError: the file is not in UTF-8, or a folder.
        FileNotFoundError: there is no such file.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        # The whole path, since a server may have been started in another folder.
        missing = FileNotFoundError(error.errno, error.strerror, str(Path(path).absolute()))
        missing.add_note(f"`cookie-consent init {path}` writes a policy file.")
        raise missing from None
    except IsADirectoryError:
        raise PolicyError("this is a folder", "Write the path of a policy file.") from None
    if encoding := _wide_encoding(content):
        raise PolicyError(
            f"this file is in {encoding}, and TOML is in UTF-8",
            'Save it as UTF-8: in an editor with "Save with encoding", in PowerShell with "Set-Content -Encoding utf8" '
            'in place of ">".',
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"this is no TOML file in UTF-8: line {line} has a byte that is not of UTF-8"
        raise PolicyError(problem, "Save the file as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _wide_encoding(content: bytes) -> str:
    """Return the encoding of a file whose characters take two or four bytes each, or ""."""
    for mark, encoding in _WIDE.items():
        if content.startswith(mark):
            return encoding
    # Without a mark, the zero in each ASCII character shows it: a policy file begins with one, and TOML has no zeros.
    return "UTF-16" if 0 in content[:2] else ""


def parse(text: str, arrays: Collection[str], tables: Collection[str]) -> Reading[dict[str, Any]]:
    """Parse a policy file.

    Args:
        text: the text of the file.
        arrays: the names of the tables that are written in double brackets.
        tables: the names of the tables that are written in single brackets.

    Raises:
        PolicyError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except ValueError as error:
        first = error
    # One number of brackets here and another there is the usual reason, and TOML's message does not say so.
    errors = [*_wrong_brackets(text, arrays, tables)]
    if not errors:
        raise _no_toml(first)
    try:
        data = tomllib.loads(_HEADER.sub(partial(_right_header, arrays, tables), text))
    except ValueError as error:
        raise_all([*errors, _no_toml(error)])
    yield from errors
    return data


def _no_toml(error: ValueError) -> PolicyError:
    return PolicyError(f"this is no TOML file in UTF-8: {error}", "What else is wrong shows once this is right.")


def _wrong_brackets(text: str, arrays: Collection[str], tables: Collection[str]) -> Iterator[PolicyError]:
    """Yield an error for each line that begins a table with the brackets of the other kind."""
    for header in _HEADER.finditer(text):
        name, line = header["name"], text.count("\n", 0, header.start()) + 1
        right = _right_header(arrays, tables, header)
        if right != header[0]:
            several = name in arrays
            yield PolicyError(
                f"line {line} begins one table, but there can be several"
                if several
                else f"line {line} begins one of several tables, but there is only one",
                f"Write {right.strip()}, in {'double' if several else 'single'} brackets.",
                table=header[0].strip(),
            )


def _right_header(arrays: Collection[str], tables: Collection[str], header: re.Match[str]) -> str:
    """Return the line that begins a table with the brackets that its table needs."""
    name, below = header["name"], header["below"].strip()
    if name in arrays and not below and header["open"] == "[":
        return f"{header['before']}[[{name}]]"
    if name in tables and header["open"] == "[[":
        return f"{header['before']}[{name}{below}]"
    return header[0]
