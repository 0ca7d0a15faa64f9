"""Writes the pages of docs/reference: `python -m tests.support.reference`, or `make reference`."""

from __future__ import annotations

import logging

from tests.support.reference.pages import FOLDER, PAGES


def main() -> None:
    logging.disable(logging.WARNING)  # the site of the examples says what it holds back
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
