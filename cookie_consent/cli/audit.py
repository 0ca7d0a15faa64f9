"""The `audit` command: visits a site as its visitors do, and says where it and its policy differ."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from cookie_consent.audit.crawl import MAX_PAGES, MAX_SECONDS
from cookie_consent.audit.findings import Finding, faults
from cookie_consent.audit.process import load_app
from cookie_consent.audit.text import describe
from cookie_consent.audit.visitors import opened
from cookie_consent.cli.frame import (
    FINDING,
    GOOD,
    JSON,
    Command,
    UnusableError,
    counted,
    option,
    print_json,
    progress,
    whole_number,
)

_LONGEST_WAIT = 30.0


def _audit(arguments: argparse.Namespace) -> int:
    with ExitStack() as stack:
        client = stack.enter_context(_client(arguments))
        audit = stack.enter_context(opened(client, arguments.prefix, arguments.pages, arguments.seconds))
        found = audit.run(stack.enter_context(progress("pages"))).list()
    if arguments.json:
        print_json({"target": arguments.target, "findings": [asdict(finding) for finding in found]}, indent=2)
    else:
        print("\n\n".join([_summary(arguments.target, found), *describe(found)]))
    return FINDING if faults(found) else GOOD


def _client(arguments: argparse.Namespace) -> Any:
    """Return a client for an address, or for an app in this process."""
    if "://" not in arguments.target:
        from starlette.testclient import TestClient

        app = load_app(arguments.target)
        return TestClient(app, f"https://{arguments.host}", raise_server_exceptions=False)
    import httpx

    try:
        httpx.get(arguments.target, timeout=_LONGEST_WAIT)
    except httpx.HTTPError as error:
        raise UnusableError(f"{arguments.target} cannot be reached: {error}.") from None
    return httpx.Client(base_url=arguments.target, timeout=_LONGEST_WAIT)


def _summary(target: str, found: list[Finding]) -> str:
    number = len(faults(found))
    return f"{target}: {counted(number, 'finding')}."


AUDIT = Command(
    (
        option("target", metavar="TARGET", help="the app, as module:app, or the address of a site"),
        option("--prefix", default="", help="the path of the endpoints, if the app does not say it"),
        option("--host", default="localhost", help="the host that an app is asked for (default: %(default)s)"),
        option(
            "--pages",
            type=whole_number(1, 1_000_000),
            default=MAX_PAGES,
            metavar="N",
            help="how many pages each visitor opens (default: %(default)s)",
        ),
        option(
            "--seconds",
            type=whole_number(1, 86_400),
            default=int(MAX_SECONDS),
            metavar="N",
            help="how long the visits take at most (default: %(default)s)",
        ),
        JSON,
    ),
    _audit,
    "there is a finding",
    extra="demo",
)
