"""Runs the demonstration: three visitors walk through the example site over HTTP, and it prints what each got."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import zip_longest
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from textwrap import indent, wrap
from typing import Any, TextIO

from cookie_consent.cli.demo.site import LOOPBACK, NotStartedError, Site, started
from cookie_consent.cli.demo.walk import ACCEPTING, FEATURES, REFUSING, SIGNALLING, Outcome, walk
from cookie_consent.ledgers import open_ledger
from cookie_consent.ledgers.chain import verify
from cookie_consent.report import report as compute
from cookie_consent.report.page.page import page

__all__ = ["NotStartedError", "run"]

_HERE = Path(__file__).parents[2]
_FOLDERS = (_HERE / "registry", _HERE.parent / "examples" / "registry")
"""The folder of the site in a wheel, and in an editable install."""
_FLUSH = 1.2
"""Access records reach the file within a second."""
_OWN_COOKIES = frozenset({"consent", "visitor"})
_NECESSARY = frozenset({"session", "lang"})
_HELD = re.compile(r'The cookie "([^"]+)" was held back')
_ADVICE = re.compile(r'The cookie "[^"]+" was held back: no policy.*?duration = "[^"]*"\n', re.DOTALL)
_ANALYST = "analyst"
"""The user who may see the report. On the example site, anybody can sign in under any name."""
_LABEL, _CELL = 20, 24


def run(
    *,
    once: bool,
    port: int,
    host: str,
    out: TextIO,
    report_to: Path | None = None,
    wait: Callable[[subprocess.Popen[str]], object] = subprocess.Popen.wait,
) -> bool:
    """Start the site, let the visitors walk through it, print what each got, and keep serving.

    Args:
        once: whether to stop after the walk.
        port: the port of the site; 0 for a free one.
        host: the address to listen on.
        out: where to print.
        report_to: the file for the report page; None for a new temporary file.
        wait: waits for the site to end, or for the KeyboardInterrupt that ends it.

    Returns:
        Whether all promises held.

    Raises:
        NotStartedError: the site could not be started.
    """
    site_folder = next(site_folder for site_folder in _FOLDERS if site_folder.is_dir())
    with TemporaryDirectory(prefix="cookie-consent-") as folder:
        all_held = _serve(Path(folder), site_folder, (host, port), out, None if once else wait)
        page_file = write_report(Path(folder, "access.jsonl"), report_to)
        print(f"\nThe report of these visits, to open in a browser:\n{page_file}", file=out)
    return all_held


def _serve(
    data: Path,
    folder: Path,
    address: tuple[str, int],
    out: TextIO,
    wait: Callable[[subprocess.Popen[str]], object] | None,
) -> bool:
    """Start the site, run the visitors and print what each got; return whether all promises held."""
    with (
        started("analytics:app", folder, data / "partner.log", (LOOPBACK, 0), {}) as partner,
        started("app:app", folder, data / "site.log", address, _environ(data, partner)) as site,
    ):
        print(
            f"The registry site answers at {site.address}. Three visitors walk through it ...\n", file=out, flush=True
        )
        outcomes = _walk(site, data / "access.jsonl")
        all_held = report(outcomes, site.log.read_text(encoding="utf-8"), out)
        all_held &= verify_proofs(_ledger_in(data), out)
        if wait is not None:
            with suppress(KeyboardInterrupt):
                print(
                    f"\nThe site goes on at {site.address} until Ctrl-C. Its log: {site.log}\nThe report, live: "
                    f'{site.address}/report, once you have signed in as "{_ANALYST}" at {site.address}/account.',
                    file=out,
                    flush=True,
                )
                wait(site.process)
    return all_held


def write_report(access_log: Path, to: Path | None) -> Path:
    """Write the report page for the last two days of an access log, and return its path.

    Args:
        access_log: the file of access records. Counts are complete only after the site has ended.
        to: the file to write; None for a new one.
    """
    if to is None:
        with NamedTemporaryFile(prefix="cookie-consent-report-", suffix=".html", delete=False) as file:
            to = Path(file.name)
    today = datetime.now(UTC).date()
    # The three visitors are invented, so no group is too small to show.
    html = page(compute(access_log, since=today - timedelta(days=1), until=today, threshold=1))
    to.write_text(html, encoding="utf-8")
    return to


def _ledger_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'consent.db'}"


def _environ(folder: Path, partner: Site) -> dict[str, str]:
    return {
        "REGISTRY_KEY": secrets.token_urlsafe(32),
        "REGISTRY_ACCESS_LOG": str(folder / "access.jsonl"),
        "REGISTRY_LEDGER": _ledger_in(folder),
        "REGISTRY_ANALYSTS": _ANALYST,
        # Another host name than the site's makes it another site for browsers.
        "REGISTRY_PARTNER": f"http://localhost:{partner.port}",
    }


def _walk(site: Site, access_log: Path) -> list[Outcome]:
    """Run the visitors one after the other, and assign the access records to them.

    Records do not say whose they are; each visitor's are those written during the walk.
    """
    outcomes, seen = list[Outcome](), 0
    for visitor in (ACCEPTING, REFUSING, SIGNALLING):
        outcomes.append(walk(visitor, site.address))
        time.sleep(_FLUSH)
        lines = access_log.read_text(encoding="utf-8").splitlines() if access_log.exists() else []
        outcomes[-1].records = tuple(map(json.loads, lines[seen:]))
        seen = len(lines)
    return outcomes


def promises(yes: Outcome, no: Outcome, signal: Outcome) -> dict[str, bool]:
    """Return each promise, and whether it held.

    Args:
        yes: the outcome of the visitor who accepted.
        no: the outcome of the visitor who refused.
        signal: the outcome of the visitor who sent a signal.
    """
    everybody, others = (yes, no, signal), (no, signal)
    return {
        "Every page answers, for everybody: in full with consent, degraded without.": (
            not any(outcome.failed for outcome in everybody)
            and all(outcome.signed_in and outcome.looked_up for outcome in everybody)
            and set(yes.features.values()) == {"on"}
            and all(set(outcome.features.values()) == {"degraded"} for outcome in others)
        ),
        "Who has not answered is asked, once; a signal is an answer too.": (
            yes.asked and no.asked and not signal.asked and not any(outcome.asked_again for outcome in everybody)
        ),
        "Each answer is kept: consent with a proof, a refusal without an identifier.": (
            [outcome.answer for outcome in everybody] == ["granted", "refused", "none"]
            and [_proven(outcome) for outcome in everybody] == [["granted"], [], []]
        ),
        "With consent, what is declared is set.": yes.cookies == _NECESSARY | _OWN_COOKIES | {"recently-viewed"},
        "Without, only what is necessary is set.": (
            no.cookies == _NECESSARY | {"consent"} and signal.cookies == _NECESSARY
        ),
        "A cookie that nobody declared reaches no browser.": all("ab_test" in outcome.held for outcome in everybody),
        "Without consent, nothing is loaded from elsewhere.": (
            bool(yes.loaded) and not any(outcome.loaded for outcome in others)
        ),
        "With consent, every request is recorded, but no look-up and no whole address.": (
            len(yes.records) == yes.requests
            and not any(record["url.path"].startswith("/whois") for record in yes.records)
            and all(record["client.address"].endswith((".0", "::")) for record in yes.records)
        ),
        "Without, nothing is recorded.": not any(outcome.records for outcome in others),
    }


def report(outcomes: Sequence[Outcome], log: str, out: TextIO) -> bool:
    """Print what each visitor got, and return whether all promises held.

    Args:
        outcomes: the outcomes of the visitors who accepted, refused and sent a signal.
        log: the site's log.
        out: where to print.
    """
    known = frozenset(_HELD.findall(log)).union(*(outcome.cookies for outcome in outcomes)) - _OWN_COOKIES
    for outcome in outcomes:
        outcome.held = known - outcome.cookies
    print("\n".join(_table(outcomes)), file=out)
    proofs = [proof for outcome in outcomes for proof in outcome.proofs]
    receipts = [receipt for outcome in outcomes for receipt in outcome.receipts]
    records = [record for outcome in outcomes for record in outcome.records]
    for title, shown in (
        ("The proof of an answer:", map(json.dumps, proofs)),
        ("The receipt of an answer:", map(_in_words, receipts)),
        ("An access record:", map(json.dumps, records)),
        ("The log about a cookie that nobody declared:", iter(_ADVICE.findall(log))),
    ):
        print(f"\n{title}\n\n{_indented(next(shown, 'none'))}", file=out)
    result = promises(*outcomes)
    print("\nPromises:\n", file=out)
    for promise, held in result.items():
        print(f"    {'held  ' if held else 'BROKEN'}  {promise}", file=out)
    if not all(result.values()):
        print(f"\nThe log of the site:\n\n{_indented(log)}", file=out)
    return all(result.values())


def verify_proofs(ledger: str, out: TextIO) -> bool:
    """Verify the records in a ledger, print the result, and return whether all are sound.

    Args:
        ledger: the URL of the ledger.
        out: where to print.
    """
    opened = open_ledger(ledger)
    verified = verify(opened.links())
    opened.close()
    result = verified.why or f"{verified.records} records fit into one chain, whose end is {str(verified.root)[:26]}..."
    print(f"\nThe ledger, verified: {result}", file=out)
    return verified.wrong is None


def _in_words(receipt: Mapping[str, Any]) -> str:
    """Return the main fields of a receipt. The whole has about a hundred more."""
    titles = {
        granted: ", ".join(purpose["title"] for purpose in receipt["purposes"] if purpose["granted"] == granted)
        for granted in (True, False)
    }
    lines = {
        "to": f"{receipt['controller']} ({receipt['contact']})",
        "answered": f"{receipt['decided_at']}, valid until {receipt['expires_at']}",
        "granted": titles[True] or "nothing",
        "refused": titles[False] or "nothing",
        "on": f"{receipt['surface']}, in {receipt['language']}; SHA-256 of the text: {str(receipt['text'])[:16]}...",
        "policy": receipt["policy_url"],
        "withdraw at": receipt["withdraw_at"],
        "record": f"{receipt['record_id']} of {receipt['consent_id']}",
    }
    return "\n".join(f"{name:<{_LABEL}}{value}" for name, value in lines.items())


def _proven(outcome: Outcome) -> list[str]:
    return [proof["status"] for proof in outcome.proofs]


def _table(outcomes: Sequence[Outcome]) -> list[str]:
    cells: dict[str, Callable[[Outcome], str]] = {
        "": lambda outcome: outcome.title,
        "asked": lambda outcome: "yes" if outcome.asked else "no, the signal answers",
        "answer kept": lambda outcome: outcome.answer,
        "cookies set": lambda outcome: _listed(outcome.cookies),
        "cookies held back": lambda outcome: _listed(outcome.held),
        "loaded from others": lambda outcome: _listed(outcome.loaded),
        "access records": lambda outcome: f"{len(outcome.records)} for {outcome.requests} requests",
        **{name: partial(_feature, name) for name in FEATURES},
        "session": lambda outcome: "works" if outcome.signed_in else "fails",
        "WHOIS service": lambda outcome: "works, is not recorded" if outcome.looked_up else "fails",
        "failures": lambda outcome: _listed(outcome.failed),
    }
    head, *rows = (_row(label, [cell(outcome) for outcome in outcomes]) for label, cell in cells.items())
    return [head, "-" * (_LABEL + len(outcomes) * (_CELL + 2)), *rows]


def _feature(name: str, outcome: Outcome) -> str:
    return outcome.features[name]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _row(label: str, cells: Sequence[str]) -> str:
    """Format a row of the table. A long cell continues on the next line."""
    columns = [[label], *(wrap(cell, _CELL, break_on_hyphens=False) for cell in cells)]
    widths = [_LABEL, *[_CELL] * len(cells)]
    return "\n".join(
        "  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()
        for line in zip_longest(*columns, fillvalue="")
    )


def _indented(text: str) -> str:
    lines = (part for line in text.rstrip().splitlines() for part in wrap(line, 96) or [""])
    return indent("\n".join(lines), "    ")
