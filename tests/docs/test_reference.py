"""Tests of the pages of docs/reference that are written by hand: they name what there is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

import pytest

from cookie_consent.decision.decision import decide
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import Visitor, install
from tests.support.documentation import ROOT, blocks
from tests.support.policies import consent_record, granting_record, policy_of, refusing_record

STATIC = ROOT / "static"
POLICY = policy_of(tomllib.loads(blocks("docs/policy.md", "toml")[0]))
MEDIA_ALONE = consent_record(POLICY, {"analytics": State.REFUSED, "media": State.GRANTED})


def page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def first_cells(text: str, pattern: str) -> set[str]:
    """Return what the first cells of tables name."""
    return set(re.findall(rf"^\| `({pattern})`", text, re.MULTILINE))


def names_of(files: str) -> set[str]:
    return {path.name for path in STATIC.glob(files)}


def test_page_on_css_has_every_property_and_sheet() -> None:
    sheets = "".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.css"))
    css = page("css.md")
    assert first_cells(css, "--pchoice-[a-z-]+") == set(re.findall(r"--pchoice-[a-z-]+", sheets))
    assert first_cells(css, r"\w+\.css") == names_of("*.css")


def test_page_on_events_has_every_script() -> None:
    assert first_cells(page("events.md"), r"\w+\.js") == names_of("*.js")


def test_page_on_cookies_has_every_cookie_of_ours() -> None:
    site = install(ledger=MemoryLedger(), access_log=MemorySink(), shared_pages=True)
    settings = Visitor(site).get("/privacy-choices").text
    assert first_cells(page("cookies.md"), r"__[\w-]+") == set(re.findall(r"__(?:Host|Secure)-[a-z-]+", settings))


@pytest.mark.parametrize(
    ("answer", "record", "signals"),
    [
        ("nothing yet", None, frozenset()),
        ("all accepted", granting_record(POLICY), frozenset()),
        ("all refused", refusing_record(POLICY), frozenset()),
        ("only `media` accepted", MEDIA_ALONE, frozenset()),
        ("nothing yet, and `Sec-GPC: 1`", None, frozenset({"gpc"})),
        ("all accepted, then `Sec-GPC: 1`", granting_record(POLICY), frozenset({"gpc"})),
    ],
)
def test_values_after_an_answer_are_those_of_the_page(
    answer: str, record: ConsentRecord | None, signals: frozenset[str]
) -> None:
    head, row = (
        re.search(rf"^\| {re.escape(first)} \| (.+) \|$", page("consent.md"), re.M) for first in ("answer", answer)
    )
    assert head
    assert row
    decision = decide(POLICY, record, signals, record.decided_at if record else 0)
    for name, written in zip(head[1].split(" | "), row[1].split(" | "), strict=True):
        assert written == f"`{write(getattr(decision, name.strip('`')))}`"


def write(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(name for name, allowed in value.items() if allowed)
    return repr(value).replace("'", '"')
