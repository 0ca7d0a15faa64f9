"""The demonstration: walks three visitors through the registry site, over real HTTP, and prints what each got."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent, wrap
from typing import TextIO

from cookie_consent.demo_site import LOOPBACK, NotStarted, Site, started
from cookie_consent.demo_visitors import ACCEPTING, FEATURES, REFUSING, SIGNALLING, Outcome, Visitor, walk

__all__ = ["NotStarted", "run"]

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "registry", _HERE.parent / "examples" / "registry")
"""Where the site lies in a wheel, and in a checkout that is installed editable."""
_VISITORS = (ACCEPTING, REFUSING, SIGNALLING)
_FLUSH = 1.2
"""Access records are in the file within a second."""
_OWN_COOKIES = frozenset({"consent", "visitor"})
_NECESSARY = frozenset({"session", "lang"})
_HELD = re.compile(r'The cookie "([^"]+)" was held back')
_ADVICE = re.compile(r'The cookie "[^"]+" was held back: no policy.*?duration = "session"\n', re.DOTALL)
_LABEL, _CELL = 20, 24


def run(
    *,
    once: bool,
    port: int,
    host: str,
    out: TextIO,
    wait: Callable[[subprocess.Popen[str]], object] = subprocess.Popen.wait,
) -> bool:
    """Start the site, walk the visitors through it, print what each got, and go on serving.

    Args:
        once: whether it ends after the walk.
        port: where the site listens; 0 for a free port.
        host: the address that it listens on.
        out: where to print.
        wait: waits for the end of the site, or for the KeyboardInterrupt that ends it.

    Returns:
        Whether all promises held.

    Raises:
        NotStarted: the site could not be started.
    """
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    with (
        TemporaryDirectory(prefix="cookie-consent-") as kept,
        started("analytics:app", folder, Path(kept, "partner.log"), (LOOPBACK, 0), {}) as partner,
        started("app:app", folder, Path(kept, "site.log"), (host, port), _environ(Path(kept), partner)) as site,
    ):
        print(f"The registry site answers at {site.address}. Three visitors walk through it ...\n", file=out, flush=True)
        outcomes = {visitor: _visit(visitor, site, Path(kept, "access.jsonl")) for visitor in _VISITORS}
        all_held = _report(outcomes, site.log.read_text(encoding="utf-8"), out)
        if not once:
            print(f"\nThe site goes on at {site.address} until Ctrl-C. Its log: {site.log}", file=out, flush=True)
            with suppress(KeyboardInterrupt):
                wait(site.process)
    return all_held


def _environ(kept: Path, partner: Site) -> dict[str, str]:
    return {
        "REGISTRY_KEY": secrets.token_urlsafe(32),
        "REGISTRY_ACCESS_LOG": str(kept / "access.jsonl"),
        "REGISTRY_LEDGER": f"sqlite:///{kept / 'consent.db'}",
        # By another host name than the site's, so that it is another site to browsers.
        "REGISTRY_PARTNER": f"http://localhost:{partner.port}",
    }


def _visit(visitor: Visitor, site: Site, access_log: Path) -> Outcome:
    """Walk, and see which access records that left."""
    before = len(_lines(access_log))
    outcome = walk(visitor, site.address)
    time.sleep(_FLUSH)
    outcome.records = tuple(json.loads(line) for line in _lines(access_log)[before:])
    return outcome


def _lines(access_log: Path) -> list[str]:
    return access_log.read_text(encoding="utf-8").splitlines() if access_log.exists() else []


def promises(outcomes: Mapping[Visitor, Outcome], held: Mapping[Visitor, frozenset[str]]) -> dict[str, bool]:
    """Return each promise, and whether it held.

    Args:
        outcomes: what each visitor got.
        held: the cookies that were held back from each.
    """
    yes, no, signal = (outcomes[visitor] for visitor in _VISITORS)
    everybody, others = (yes, no, signal), (no, signal)
    degraded = dict.fromkeys(FEATURES, "degraded")
    return {
        "Who has not answered is asked, once; a signal is an answer too.": (
            yes.asked and no.asked and not signal.asked and not any(outcome.asked_again for outcome in everybody)
        ),
        "Each answer is kept, and a proof of it.": (
            (yes.status, no.status, signal.status) == ("granted", "refused", "unknown")
            and (yes.proofs, no.proofs, signal.proofs) == (1, 1, 0)
        ),
        "Without consent only the necessary cookies, and the answer's, are set.": (
            no.cookies == _NECESSARY | {"consent"} and signal.cookies == _NECESSARY
        ),
        "With it, all that is declared is set, and the visitor id.": (
            yes.cookies == _NECESSARY | _OWN_COOKIES | {"recently-viewed"}
        ),
        "A cookie that nobody declared reaches no browser.": all("ab_test" in names for names in held.values()),
        "Without consent nothing is loaded from elsewhere.": bool(yes.loaded) and not any(o.loaded for o in others),
        "Without consent nothing is recorded.": not any(outcome.records for outcome in others),
        "With it every page is recorded, look-ups never, and no whole address.": (
            len(yes.records) == yes.traceable
            and not any(record["url.path"].startswith("/whois") for record in yes.records)
            and all(record["client.address"].endswith((".0", "::")) for record in yes.records)
        ),
        "Everything works: in full with consent, degraded without.": (
            yes.features == dict.fromkeys(FEATURES, "on")
            and all(outcome.features == degraded for outcome in others)
            and all(outcome.signed_in and outcome.looked_up for outcome in everybody)
        ),
    }


def _report(outcomes: Mapping[Visitor, Outcome], log: str, out: TextIO) -> bool:
    known = frozenset(_HELD.findall(log)).union(*(outcome.cookies for outcome in outcomes.values())) - _OWN_COOKIES
    held = {visitor: known - outcome.cookies for visitor, outcome in outcomes.items()}
    for line in _table(outcomes, held):
        print(line, file=out)
    example = next((record for outcome in outcomes.values() for record in outcome.records), None)
    print(f"\nAn access record:\n\n{indent(json.dumps(example, indent=2, ensure_ascii=False), '    ')}", file=out)
    advice = _ADVICE.search(log)
    print(f"\nThe site's log about the cookie that nobody declared:\n\n{indent(advice[0] if advice else '', '    ')}", file=out)
    result = promises(outcomes, held)
    for promise, kept in result.items():
        print(f"{'held  ' if kept else 'BROKEN'}  {promise}", file=out)
    return all(result.values())


def _table(outcomes: Mapping[Visitor, Outcome], held: Mapping[Visitor, frozenset[str]]) -> list[str]:
    rows = [
        _row("", [visitor.title for visitor in outcomes]),
        "-" * (_LABEL + len(outcomes) * (_CELL + 2)),
        _row("asked", ["yes" if o.asked else "no: the signal answers" for o in outcomes.values()]),
        _row("answer kept", [_answer(o) for o in outcomes.values()]),
        _row("cookies set", [_listed(o.cookies) for o in outcomes.values()]),
        _row("cookies held back", [_listed(names) for names in held.values()]),
        _row("loaded from elsewhere", [_listed(frozenset(o.loaded)) for o in outcomes.values()]),
        _row("access records", [f"{len(o.records)} of {o.traceable} pages" for o in outcomes.values()]),
    ]
    rows += [_row(feature, [o.features[feature] for o in outcomes.values()]) for feature in FEATURES]
    rows += [
        _row("signing in", ["works" if o.signed_in else "FAILS" for o in outcomes.values()]),
        _row("WHOIS service", ["works, never recorded" if o.looked_up else "FAILS" for o in outcomes.values()]),
    ]
    return rows


def _answer(outcome: Outcome) -> str:
    return "none" if outcome.status == "unknown" else f"{outcome.status}, {outcome.proofs} proof"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _row(label: str, cells: Sequence[str]) -> str:
    columns = [wrap(label, _LABEL), *(wrap(cell, _CELL, break_on_hyphens=False) for cell in cells)]
    widths = (_LABEL, *(_CELL for _ in cells))
    height = max(map(len, columns))
    lines = [
        "  ".join((column[line] if line < len(column) else "").ljust(width) for column, width in zip(columns, widths, strict=True))
        for line in range(height)
    ]
    return "\n".join(line.rstrip() for line in lines)
