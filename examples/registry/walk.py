"""Three visitors walk through the site over HTTP. Prints what each got, and whether all promises held.

`cookie-consent demo` calls it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import Any

import httpx

_FEATURES = {"map": "/offices", "suited": "/names", "tour": "/tour"}
"""Id of an element that exists only with consent -> its page."""
_HEADERS = {
    "accept": "text/html,*/*;q=0.8",
    "accept-language": "en-GB,en;q=0.9,ja;q=0.8",
    "sec-fetch-site": "same-origin",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
}
_NOT_RECORDED = re.compile("/privacy-choices|/whois")
_WAITING = re.compile("<template.*?</template>", re.DOTALL)
_EMBEDDED = re.compile(r'<(?:iframe|img|script)\b[^>]*\bsrc="(http[^"]+)"')
_QUESTION = 'class="pchoice-form"'
_HIDDEN = re.compile('<input type="hidden" name="([^"]+)" value="([^"]*)"')
_NECESSARY = {"session", "lang"}


@dataclass(slots=True)
class Outcome:
    """What a visitor does (`title`, `choice`, `headers`), and what the visitor got."""

    title: str
    choice: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    asked: bool = False
    asked_again: bool = False
    answer: str = "none"
    proofs: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    cookies: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)
    features: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)


def walk_all(address: str, access_log: Path) -> list[Outcome]:
    """Have three visitors walk through the site, one after the other, and return what each got."""
    outcomes = [Outcome("accepts", "accept_all"), Outcome("refuses", "refuse_all")]
    outcomes.append(Outcome("sends GPC", headers={"sec-gpc": "1"}))
    for outcome in outcomes:
        walk(outcome, address)
        time.sleep(1.2)  # records reach the file within a second
        # Records do not say whose they are: this visitor's are those that no earlier one left.
        lines = access_log.read_text(encoding="utf-8").splitlines() if access_log.exists() else []
        outcome.records = [json.loads(line) for line in lines[sum(len(other.records) for other in outcomes) :]]
    return outcomes


def open_page(client: httpx.Client, outcome: Outcome, path: str, form: dict[str, str] | None = None) -> str:
    """Open a page, or send a form to it, and load what it embeds from other sites; return its HTML.

    The client is a browser without JavaScript. What it loads is noted in the outcome.
    """
    address = str(client.base_url)
    response = client.request("POST" if form else "GET", path, data=form)
    own = [got.url.path for got in (*response.history, response) if str(got.url).startswith(address)]
    outcome.requests += sum(not _NOT_RECORDED.match(path) for path in own)
    if response.is_error:
        outcome.failed.add(f"{path} ({response.status_code})")
    html = _WAITING.sub("", response.text)
    for source in _EMBEDDED.findall(html):
        if not source.startswith(address):
            outcome.loaded.add(source.rpartition("/")[2])
            open_page(client, outcome, source)
    return html


def walk(outcome: Outcome, address: str) -> None:
    """Walk through the site as a visitor."""
    headers = {**_HEADERS, **outcome.headers}
    with httpx.Client(base_url=address, headers=headers, follow_redirects=True, timeout=30, trust_env=False) as client:
        browse = partial(open_page, client, outcome)
        first = browse("/")
        outcome.asked = _QUESTION in first
        outcome.requests = 0
        if outcome.choice:
            fields = dict(_HIDDEN.findall(first.partition(_QUESTION)[2].partition("</form>")[0]))
            browse("/privacy-choices", {**fields, "choice": outcome.choice})
        outcome.asked_again = _QUESTION in browse("/?lang=en")
        if 'id="signed-in"' not in browse("/account", {"name": "Hanako"}):
            outcome.failed.add("session")
        browse("/names?name=blue-mountain")
        for feature, path in _FEATURES.items():
            outcome.features[feature] = "on" if f'id="{feature}"' in browse(path) else "off"
        if 'id="holder"' not in browse("/whois?name=example"):
            outcome.failed.add("WHOIS service")
        export = client.get("/privacy-choices/export").json()
        outcome.answer = (export["consent"] or {}).get("status", "none")
        outcome.proofs = export["consent_records"]
        outcome.cookies = set(client.cookies.keys())


def promises(yes: Outcome, no: Outcome, signal: Outcome) -> dict[str, bool]:
    """Return each promise, and whether it held for who accepted, refused and sent a signal."""
    all_three = [yes, no, signal]
    return {
        "Every page answers, for everybody: in full with consent, degraded without.": (
            not yes.failed | no.failed | signal.failed
            and [set(outcome.features.values()) for outcome in all_three] == [{"on"}, {"off"}, {"off"}]
        ),
        "Who has not answered is asked, once; a signal is an answer too.": (
            [(outcome.asked, outcome.asked_again) for outcome in all_three]
            == [(True, False), (True, False), (False, False)]
        ),
        "Each answer is kept: consent with a proof, a refusal without an identifier.": (
            [(outcome.answer, len(outcome.proofs)) for outcome in all_three]
            == [("granted", 1), ("refused", 0), ("none", 0)]
        ),
        "With consent, what is declared is set, and nothing else.": (
            yes.cookies == _NECESSARY | {"consent", "visitor", "recently-viewed"}
        ),
        "Without, only what is necessary is set.": no.cookies - {"consent"} == signal.cookies == _NECESSARY,
        "Without consent, nothing is loaded from elsewhere.": bool(yes.loaded) and not no.loaded | signal.loaded,
        "With consent, every request is recorded, but no look-up and no whole address.": (
            len(yes.records) == yes.requests
            and not any(record["url.path"].startswith("/whois") for record in yes.records)
            and all(record["client.address"].endswith((".0", "::")) for record in yes.records)
        ),
        "Without, nothing is recorded.": not no.records + signal.records,
    }


def print_outcomes(outcomes: list[Outcome]) -> bool:
    """Print what each visitor got, and return whether all promises held."""
    rows: dict[str, Callable[[Outcome], str]] = {
        "": lambda outcome: outcome.title,
        "asked": lambda outcome: "yes" if outcome.asked else "no, the signal answers",
        "answer kept": lambda outcome: outcome.answer,
        "cookies set": lambda outcome: _listed(outcome.cookies),
        "loaded from others": lambda outcome: _listed(outcome.loaded),
        "access records": lambda outcome: f"{len(outcome.records)} for {outcome.requests} requests",
        "with consent only": lambda outcome: _listed(f"{name} {state}" for name, state in outcome.features.items()),
        "failures": lambda outcome: _listed(outcome.failed),
    }
    for label, cell in rows.items():
        columns = [[label], *(wrap(cell(outcome), 24, break_on_hyphens=False) for outcome in outcomes)]
        for parts in zip_longest(*columns, fillvalue=""):
            print("".join(part.ljust(26) for part in parts).rstrip())
    print("\nThe proof of an answer:", *map(json.dumps, outcomes[0].proofs[:1]), sep="\n")
    print("\nAn access record:", *map(json.dumps, outcomes[0].records[:1]), sep="\n")
    result = promises(*outcomes)
    print("\nPromises:\n")
    for promise, held in result.items():
        print(f"    {'held  ' if held else 'BROKEN'}  {promise}")
    return all(result.values())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
