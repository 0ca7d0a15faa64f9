"""A report as CSV (RFC 4180), one file for each figure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cookie_consent.report.figures import BY_NAME, FIGURES, rows_of, totals

NAMES = ("totals", *(figure.name for figure in FIGURES))
"""The figures that have a CSV file."""
FORMULA_SIGNS = "=+-@＝＋－＠"
"""A spreadsheet computes cells that begin with one of these signs, in some languages also the wide ones (OWASP, "CSV
Injection")."""
CONTROLS = "\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Characters that control a terminal or change the direction of text, as a set of a regular expression. RFC 4180 allows
no control characters."""
_CONTROL = re.compile(f"[{CONTROLS}]")


def as_csv(report: Mapping[str, Any], name: str) -> str:
    """Return a figure of a report as CSV; an empty text if the figure has no rows.

    Args:
        report: the result of `cookie_consent.report.report`.
        name: one of NAMES.
    """
    rows = totals(report) if name == "totals" else rows_of(report, BY_NAME[name])
    if not rows:
        return ""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows({column: plain(value) for column, value in row.items()} for row in rows)
    return file.getvalue()


def write_csv(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write each figure of a report to a file of its own, and return the paths.

    Args:
        report: the result of `cookie_consent.report.report`.
        folder: the folder for the files. It is created if needed.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.csv" for name in NAMES]
    for name, file in zip(NAMES, files, strict=True):
        # The text has the line ends of RFC 4180. Windows would double their carriage returns.
        file.write_text(as_csv(report, name), "utf-8", newline="")
    return files


def plain(value: object) -> object:
    r"""Return a value that spreadsheets and terminals only show, and never execute.

    Anyone who links to the site chooses the texts of campaigns. Control characters become JSON escapes, like "\u001b";
    a cell that looks like a formula gets an apostrophe in front.
    """
    if not isinstance(value, str):
        return value
    shown = _CONTROL.sub(lambda sign: f"\\u{ord(sign[0]):04x}", value)
    return f"'{shown}" if shown.startswith(tuple(FORMULA_SIGNS)) else shown
