"""The `audit` command: visits a site as its visitors do, and says where it and its policy differ."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cookie_consent.audit.crawl import MAX_PAGES, MAX_SECONDS
from cookie_consent.audit.findings import Finding, Findings, faults
from cookie_consent.audit.process import load_app
from cookie_consent.audit.text import describe, page
from cookie_consent.audit.visitors import opened
from cookie_consent.cli.frame import (
    FINDING,
    GOOD,
    JSON,
    Command,
    UnusableError,
    counted,
    file_errors,
    option,
    print_json,
    progress,
    whole_number,
)

_LONGEST_WAIT = 30.0
_NO_REPLY = 504


def _audit(arguments: argparse.Namespace) -> int:
    found = _visit(arguments).list()
    summary = f"{arguments.target}: {counted(len(faults(found)), 'finding')}."
    if arguments.html:
        with file_errors(arguments.html, "written"):
            arguments.html.write_text(page(summary, found), encoding="utf-8")
    if arguments.sarif:
        from cookie_consent.audit.sarif import sarif

        with file_errors(arguments.sarif, "written"):
            arguments.sarif.write_text(json.dumps(sarif(found), indent=2), encoding="utf-8")
    if arguments.json:
        print_json({"target": arguments.target, "findings": [finding.document() for finding in found]}, indent=2)
    else:
        print("\n\n".join([summary, *describe(found)]))
    if arguments.write:
        _declare(arguments.write, found)
    return FINDING if faults(found) else GOOD


def _visit(arguments: argparse.Namespace) -> Findings:
    """Visit the site as all visitors."""
    limits = (arguments.prefix, arguments.pages, arguments.seconds)
    with ExitStack() as stack:
        app = None if "://" in arguments.target else load_app(arguments.target)
        address = arguments.target
        if app is not None and arguments.browser:
            from cookie_consent.cli.local_server import serving

            address = stack.enter_context(serving(app)).replace("127.0.0.1", arguments.host)
        in_process = app is not None and not arguments.browser
        client = stack.enter_context(_app_client(app, arguments.host) if in_process else _client(address))
        audit = stack.enter_context(opened(client, *limits, app=app))
        if arguments.browser:
            from cookie_consent.audit.browser import chromium

            audit.browser = stack.enter_context(chromium())
        return audit.run(stack.enter_context(progress("pages")))


def _app_client(app: Any, host: str) -> Any:
    from starlette.testclient import TestClient

    return TestClient(app, f"https://{host}", raise_server_exceptions=False)


def _client(address: str) -> Any:
    """Return a client for a site; a page that cannot be reached is one with an error of the server."""
    import httpx

    class Client(httpx.Client):
        def request(self, method: str, url: Any, **options: Any) -> httpx.Response:
            try:
                return super().request(method, url, **options)
            except httpx.TransportError as error:
                return httpx.Response(_NO_REPLY, text=str(error), request=httpx.Request(method, url))

    try:
        httpx.get(address, timeout=_LONGEST_WAIT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnusableError(f"{address} cannot be reached: {error}.") from None
    # A server may close a connection after an error.
    return Client(base_url=address, timeout=_LONGEST_WAIT, limits=httpx.Limits(max_keepalive_connections=0))


def _declare(path: Path, found: list[Finding]) -> None:
    from cookie_consent.audit.declare import declare

    with file_errors(path, "read or written"):
        names = declare(path, found)
    if names:
        print(f'\n{path} declares {", ".join(names)} now. Write the purpose in place of each "?".')
    else:
        print(f"\n{path} declares all that was seen.")


AUDIT = Command(
    (
        option("target", metavar="TARGET", help="the app, as module:app, or the address of a site"),
        option("--browser", action="store_true", help="open the pages with the system's Chromium"),
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
        option("--html", metavar="FILE", type=Path, help="write a page with the evidence, and pictures of --browser"),
        option("--sarif", metavar="FILE", type=Path, help="write SARIF, which code hosts show beside the lines"),
        option("--write", metavar="FILE", type=Path, help="add what is not declared to this policy file"),
        JSON,
    ),
    _audit,
    "there is a finding",
    extra="audit",
)
