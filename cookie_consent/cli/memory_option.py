"""The option --memory of commands that read the files of an access log."""

from __future__ import annotations

import argparse

from cookie_consent.report.engines.engine import parse_memory


def add_memory_option(parser: argparse.ArgumentParser) -> None:
    """Add the --memory option."""
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        type=_memory,
        help='memory for reading files, like "2GB" (default: a quarter of the machine\'s, at least 512MB)',
    )


def _memory(text: str) -> int:
    try:
        return parse_memory(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
