"""A report as CSV (RFC 4180), one figure a file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cookie_consent.report.compute import FIGURES
from cookie_consent.report.lists import totals

NAMES = ("totals", *FIGURES)
"""The figures that CSV is made of."""
_FORMULA = tuple("=+-@＝＋－＠")
"""How a cell begins that a spreadsheet would compute, wide signs in some languages (OWASP, "CSV Injection")."""
_ORDERS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey, or would turn the text around it; RFC 4180 has no place for control characters."""


def as_csv(report: Mapping[str, Any], name: str) -> str:
    """Return a figure of a report as CSV; a figure without rows is an empty text.

    Args:
        report: as `cookie_consent.report.report` returns it.
        name: one of NAMES.
    """
    rows = totals(report) if name == "totals" else report[name]
    if not rows:
        return ""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows({column: plain(value) for column, value in row.items()} for row in rows)
    return file.getvalue()


def write_csv(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write each figure of a report to a file of its name; return the files.

    Args:
        report: as `cookie_consent.report.report` returns it.
        folder: where to; it is made.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.csv" for name in NAMES]
    for name, file in zip(NAMES, files, strict=True):
        file.write_text(as_csv(report, name), "utf-8", newline="")
    return files


def plain(value: object) -> object:
    r"""Return a value that a spreadsheet and a terminal only show: campaigns are named by whoever links to the site.

    What a terminal would obey is written as JSON has it: "\u001b".
    """
    if not isinstance(value, str):
        return value
    seen = _ORDERS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", value)
    return f"'{seen}" if seen.startswith(_FORMULA) else seen
