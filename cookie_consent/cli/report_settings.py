"""The options --policy, --time-zone, --where and --memory of commands that read an access log."""

from __future__ import annotations

import argparse
from dataclasses import replace

from cookie_consent.report.engines.engine import parse_memory
from cookie_consent.report.settings import POLICY_FILE, Settings, default_policy, read_settings
from cookie_consent.report.where import KEYS, parse_filter


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add the options --policy and --time-zone."""
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help=f"the policy, which has the time zone and the goals of reports (default: {POLICY_FILE}, if it is there)",
    )
    parser.add_argument(
        "--time-zone",
        metavar="ZONE",
        help='the time zone of days and hours, like "Asia/Tokyo" (default: that of the policy, or UTC)',
    )


def add_where_option(parser: argparse.ArgumentParser) -> None:
    """Add the --where option."""
    parser.add_argument(
        "--where",
        metavar="KEY=VALUE",
        type=_filter,
        action="append",
        default=[],
        help=f"only sessions for which this holds, like source=google.com; may be repeated (keys: {', '.join(KEYS)})",
    )


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings of a command: of its policy file, or of its options.

    Args:
        arguments: with `policy` and `time_zone`.

    Raises:
        ValueError: there is no such time zone, or a file cannot be read or has wrong goals.
    """
    settings = read_settings(arguments.policy or default_policy())
    return replace(settings, time_zone=arguments.time_zone) if arguments.time_zone else settings


def _filter(text: str) -> tuple[str, str]:
    try:
        return parse_filter(text)
    except ValueError as error:
        # argparse names the option itself.
        raise argparse.ArgumentTypeError(str(error).removeprefix("where: ")) from None


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
