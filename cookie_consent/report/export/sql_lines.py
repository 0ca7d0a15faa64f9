"""SQL for the lines of the export formats, which DuckDB makes ten times as fast as Python.

It makes only lines in which nothing has to be escaped: each text of a record has to consist of the characters that are
listed here for its format. All other lines are NULL, and `formats` makes them: what escapes is in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cookie_consent.report.export.csv_files import CONTROLS, FORMULA_SIGNS
from cookie_consent.report.export.formats import OWN_COLUMNS
from cookie_consent.report.export.server_logs import (
    APPLE_DEVICES,
    IN_NAMES,
    IN_PATHS,
    IN_URLS,
    PRODUCTS,
    SYSTEMS,
)
from cookie_consent.report.export.streams.duckdb_files import TIME
from cookie_consent.sinks.columns import COLUMNS, RECORD_VERSION

_TEXTS = [column for column in COLUMNS.values() if column not in ("time", "status", "duration_ms", "properties")]
_PLAIN_NUMBER = "(duration_ms IS NULL OR duration_ms = 0 OR duration_ms BETWEEN 0.001 AND 1e9)"
"""Very small and very large numbers have an exponent, in several forms."""
_IN_JSON = r"[ !#-\[\]-~]*"
"""Printable ASCII, without the quote and the backslash."""
_JSON_VALUE = rf'"{_IN_JSON}"|true|false|0|-?[1-9][0-9]{{0,14}}|-?(?:0|[1-9][0-9]{{0,5}})\.[0-9]{{0,5}}[1-9]'
_JSON_ENTRY = rf'"{_IN_JSON}":(?:{_JSON_VALUE})'
_JSON_OBJECT = rf"(?:\{{{_JSON_ENTRY}(?:,{_JSON_ENTRY})*\}})?"
"""A flat object in the one way in which we write it."""
_NOT_IN_CELLS = '",' + re.sub("[^-]", lambda sign: rf"\x{{{ord(sign[0]):x}}}", CONTROLS)
_IN_CELLS = f"[^{_NOT_IN_CELLS}]*"
_NO_FORMULA = f"(?:[^{_NOT_IN_CELLS}{re.escape(FORMULA_SIGNS)}]{_IN_CELLS})?"


def ncsa_line() -> str:
    """Return SQL for the line of `as_ncsa`, with its line end."""
    line = f"""concat(
        {_or_unknown("address")}, ' - ', {_or_unknown("visitor")}, strftime(time, ' [%d/%b/%Y:%H:%M:%S +0000] "'),
        {_or_unknown("method")}, ' ', {_or_unknown("path")}, '?' || nullif(query, ''), ' ',
        coalesce('HTTP/' || nullif(nullif(protocol, ''), '-'), '-'), '" ', coalesce(status::VARCHAR, '-'), ' - "',
        {_or_unknown("referrer")}, '" "', {_user_agent()}, '"', chr(10))"""
    harmless = {
        **dict.fromkeys(("method", "protocol", "visitor", "device"), _not_escaped("")),
        **dict.fromkeys(("query", "referrer"), _not_escaped(IN_URLS)),
        **dict.fromkeys(("browser", "os"), _not_escaped(IN_NAMES)),
        "path": _not_escaped(IN_PATHS),
        "address": _not_escaped(":"),
    }
    return _if_harmless(line, harmless)


def jsonl_line() -> str:
    """Return SQL for the line of `as_jsonl`, with its line end."""
    fields = [
        f""" ',"{key}":"' || {column} || '"' """ if column in _TEXTS else f""" ',"{key}":' || {column} """
        for key, column in COLUMNS.items()
        if column != "time"
    ]
    start = f"""'{{"record.version":{RECORD_VERSION},"time":"', {TIME}, '"'"""
    line = f"concat({start}, {', '.join(fields)}, '}}', chr(10))"
    return _if_harmless(line, {**dict.fromkeys(_TEXTS, _IN_JSON), "properties": _JSON_OBJECT}, _PLAIN_NUMBER)


def csv_line() -> str:
    """Return SQL for the row of `as_csv`, with its line end."""
    cells = [TIME if column == "time" else column for column in COLUMNS.values()]
    line = f"concat({_joined(cells, ',')}, chr(13), chr(10))"
    harmless = {column: _IN_CELLS if column in OWN_COLUMNS else _NO_FORMULA for column in _TEXTS}
    return _if_harmless(line, harmless, f"properties IS NULL AND {_PLAIN_NUMBER}")


def _if_harmless(line: str, harmless: Mapping[str, str], condition: str = "true") -> str:
    """Return SQL for a line that is NULL unless all texts are harmless.

    Args:
        line: SQL for the line.
        harmless: column -> the regular expression of its harmless texts.
        condition: what has to hold besides.
    """
    # All texts at once take a fraction of the time of one after another. No harmless text has the separator.
    texts, pattern = _joined(harmless, "\x1f"), "\x1f".join(harmless.values()).replace("'", "''")
    return f"CASE WHEN {condition} AND regexp_full_match(concat({texts}), '{pattern}') THEN {line} END"


def _joined(texts: Iterable[str], separator: str) -> str:
    """Return SQL for texts with a separator, as arguments of `concat`. It takes NULL for an empty text."""
    return f", '{separator}', ".join(texts)


def _not_escaped(safe: str) -> str:
    """Return the regular expression of texts that `quote` leaves as they are."""
    return f"[A-Za-z0-9_.~{re.escape(safe)}-]*"


def _or_unknown(column: str) -> str:
    return f"coalesce(nullif({column}, ''), '-')"


def _user_agent() -> str:
    """Return SQL for `user_agent`."""
    browser, system = "nullif(nullif(browser, ''), 'Other')", "nullif(nullif(os, ''), 'Other')"
    product = _looked_up("browser", PRODUCTS, f"{browser} || '/-'")
    apple = _looked_up("device", APPLE_DEVICES, "'iPhone'")
    words = _looked_up("os", SYSTEMS, f"CASE WHEN os = 'iOS' THEN {apple} || '; iOS' ELSE {system} END")
    known = f"concat('(', coalesce({words}, '-'), '; ', coalesce(device, 'other'), ') ', coalesce({product}, '-'))"
    return f"CASE WHEN coalesce({browser}, {system}) IS NULL THEN '-' ELSE {known} END"


def _looked_up(column: str, values: Mapping[str, str], otherwise: str) -> str:
    cases = " ".join(f"WHEN '{value}' THEN '{text}'" for value, text in values.items())
    return f"CASE {column} {cases} ELSE {otherwise} END"
