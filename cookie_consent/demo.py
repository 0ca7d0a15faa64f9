"""The demonstration: walks three visitors through the registry site, over real HTTP, and prints what each got."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent, wrap
from typing import TextIO

from cookie_consent.demo_site import LOOPBACK, NotStartedError, Site, started
from cookie_consent.demo_visitors import ACCEPTING, FEATURES, REFUSING, SIGNALLING, Outcome, walk

__all__ = ["NotStartedError", "run"]

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "registry", _HERE.parent / "examples" / "registry")
"""Where the site lies in a wheel, and in a checkout that is installed editable."""
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
        NotStartedError: the site could not be started.
    """
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    with (
        TemporaryDirectory(prefix="cookie-consent-") as kept,
        started("analytics:app", folder, Path(kept, "partner.log"), (LOOPBACK, 0), {}) as partner,
        started("app:app", folder, Path(kept, "site.log"), (host, port), _environ(Path(kept), partner)) as site,
    ):
        print(
            f"The registry site answers at {site.address}. Three visitors walk through it ...\n", file=out, flush=True
        )
        outcomes = _walk(site, Path(kept, "access.jsonl"))
        all_held = report(outcomes, site.log.read_text(encoding="utf-8"), out)
        if not once:
            with suppress(KeyboardInterrupt):
                print(f"\nThe site goes on at {site.address} until Ctrl-C. Its log: {site.log}", file=out, flush=True)
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


def _walk(site: Site, access_log: Path) -> list[Outcome]:
    """Let the visitors walk, one after the other, and see which access records that left."""
    outcomes, since = [], [_milliseconds()]
    for visitor in (ACCEPTING, REFUSING, SIGNALLING):
        outcomes.append(walk(visitor, site.address))
        since.append(_milliseconds())
    time.sleep(_FLUSH)
    lines = access_log.read_text(encoding="utf-8").splitlines() if access_log.exists() else []
    records = [json.loads(line) for line in lines]
    for outcome, begin, end in zip(outcomes, since, since[1:], strict=False):
        outcome.records = tuple(record for record in records if begin <= record["time"] < end)
    return outcomes


def _milliseconds() -> str:
    """Return the time as access records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def promises(yes: Outcome, no: Outcome, signal: Outcome) -> dict[str, bool]:
    """Return each promise, and whether it held for those who accepted, refused and sent a signal."""
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
        "Each answer is kept, with a proof.": [_answers(outcome) for outcome in everybody]
        == [["granted"], ["refused"], []],
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
        outcomes: those of the visitors who accepted, refused and sent a signal.
        log: what the site said meanwhile.
        out: where to print.
    """
    known = frozenset(_HELD.findall(log)).union(*(outcome.cookies for outcome in outcomes)) - _OWN_COOKIES
    for outcome in outcomes:
        outcome.held = known - outcome.cookies
    print("\n".join(_table(outcomes)), file=out)
    proofs = [proof for outcome in outcomes for proof in outcome.proofs]
    records = [record for outcome in outcomes for record in outcome.records]
    for title, shown in (
        ("The proof of an answer:", map(json.dumps, proofs)),
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


def _answers(outcome: Outcome) -> list[str]:
    return [proof["status"] for proof in outcome.proofs]


def _table(outcomes: Sequence[Outcome]) -> list[str]:
    cells: dict[str, Callable[[Outcome], str]] = {
        "": lambda outcome: outcome.title,
        "asked": lambda outcome: "yes" if outcome.asked else "no, the signal answers",
        "answer kept": lambda outcome: _listed(_answers(outcome)),
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
    """Lay out one row; a cell that is too long goes on below."""
    columns = [[label], *(wrap(cell, _CELL, break_on_hyphens=False) for cell in cells)]
    widths = [_LABEL, *[_CELL] * len(cells)]
    return "\n".join(
        "  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()
        for line in zip_longest(*columns, fillvalue="")
    )


def _indented(text: str) -> str:
    lines = (part for line in text.rstrip().splitlines() for part in wrap(line, 96) or [""])
    return indent("\n".join(lines), "    ")
