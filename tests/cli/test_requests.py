"""Tests of `cookie-consent requests`, the commands of the help desk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.cli.main import FINDING, GOOD
from cookie_consent.ledgers import Requests, open_ledger
from cookie_consent.ledgers.requests import DeskRequest
from tests.cli.conftest import Run
from tests.support.asgi import SITE
from tests.support.desk import DAY, help_desk_request
from tests.support.ledger_files import ledger_url
from tests.support.policies import NOW

SOON = int(time.time()) + 30 * DAY


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_environment: None) -> Iterator[Requests]:
    """The requests of an empty ledger, which the environment names."""
    monkeypatch.setenv("CONSENT_LEDGER", ledger_url(tmp_path))
    with closing(open_ledger(ledger_url(tmp_path))) as ledger:
        yield ledger.requests


@pytest.fixture
def add(desk: Requests) -> Callable[..., DeskRequest]:
    def add(**changes: Any) -> DeskRequest:
        request = help_desk_request(**{"due_at": SOON, **changes})
        desk.add(request)
        return request

    return add


Add = Callable[..., DeskRequest]


def test_overdue_requests_are_listed_first_and_are_a_finding(desk: Requests, add: Add, cli: Run) -> None:
    assert cli("requests", "list") == (GOOD, "", "")
    answered = add(due_at=NOW - DAY)
    soon = add(text="訪問\nと")
    overdue = add(reference="R-2222", kind="erase", due_at=NOW + DAY, consent_id="c")
    desk.end(answered.reference, NOW, "This.")
    ran = cli("requests", "list")
    first, *rows = ran.out.splitlines()
    assert (ran.status, first) == (FINDING, "R-2222  OVERDUE   due 2025-06-16T15:06:40Z  erase")
    assert [row.split()[:2] for row in rows] == [[soon.reference, "open"], [answered.reference, "answered"]]
    ran = cli("requests", "list", "--json")
    assert ran.status == FINDING
    assert ran.lines[:2] == [{**overdue.document(), "overdue": True}, {**soon.document(), "overdue": False}]
    desk.end(overdue.reference, NOW)
    assert cli("requests", "list").status == GOOD


def test_one_request_is_printed_whole_and_cannot_pass_for_more(add: Add, cli: Run) -> None:
    words = "Hello{0}address: someone@else.example{0}state: closed{0}consent_id: another"
    ends = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029")
    request = add(text="\x1b[2J" + "".join(map(words.format, ends)), address="me@home.example")
    add()
    ran = cli("requests", "list", request.reference.lower())
    assert (ran.status, "\x1b" in ran.out) == (GOOD, False)
    assert ran.out.startswith(f"reference: {request.reference}\nkind: see\ntext: [2JHello\n    address: someone")
    lines = ran.out.splitlines()
    fields = [line for line in lines if line.startswith(("reference:", "address:", "state:", "consent_id:"))]
    assert fields[1:] == ["address: me@home.example", "consent_id: None", "state: open"]


def test_answer_is_kept_and_printed_with_the_address(desk: Requests, add: Add, cli: Run) -> None:
    request = add(address="me@home.example", due_at=NOW)
    ran = cli("requests", "answer", request.reference, "--text", " This.\r\n", "--json")
    (answered,) = desk.listed()
    assert ran.lines == [{**answered.document(), "overdue": False}]
    assert (answered.answer, answered.address) == ("This.", "me@home.example")
    assert abs((answered.ended_at or 0) - time.time()) < DAY


def test_request_ends_once(desk: Requests, add: Add, cli: Run) -> None:
    request = add()
    assert "state: closed\n" in cli("requests", "close", request.reference).out
    for argv in (["answer", request.reference, "--text", "That."], ["close", request.reference]):
        assert cli("requests", *argv) == (FINDING, "", f"{request.reference} is closed already.\n")
    assert desk.listed()[0].answer is None
    for action, *more in (["list"], ["answer", "--text", "x"], ["close"]):
        assert cli("requests", action, "R-2222", *more) == (FINDING, "", "There is no request 'R-2222'.\n")


def test_export_erase_and_purge_include_requests(desk: Requests, add: Add, tmp_path: Path, cli: Run) -> None:
    policy = tmp_path / "consent.toml"
    policy.write_text(SITE + '\n[requests]\nkeep = "2 days"\nkeep_address = "1 day"\n', encoding="utf-8")
    own = add(consent_id="a")
    desk.end(add(consent_id="b").reference, NOW, "This.")
    assert json.loads(cli("export", "--id", "a").out)["requests"] == [own.document()]
    assert cli("erase", "--id", "a", "--proof", "--json").lines[0]["erased"]["requests"] == 1
    assert "Requests were not looked at: --policy FILE" in cli("purge", "--json").err
    assert cli("purge", "--policy", policy, "--dry-run").out.endswith(", 1 request, 0 addresses\n")
    assert len(desk.listed()) == 1
    assert cli("purge", "--policy", policy).status == GOOD
    assert desk.listed() == []
