"""Writes the pages of docs/reference: `python -m tests.support.reference`, or `make reference`."""

from __future__ import annotations

from tests.support.reference import PAGES
from tests.support.reference.markdown import FOLDER


def main() -> None:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
