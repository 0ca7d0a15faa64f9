"""Tests of `cookie-consent requests`, the commands of the help desk."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.cli.main import FINDING, GOOD, WRONG_USAGE, main
from cookie_consent.ledgers import Ledger, open_ledger
from cookie_consent.ledgers.requests import DeskRequest
from tests.support.asgi import SITE
from tests.support.desk import DAY, help_desk_request
from tests.support.ledger_files import ledger_url
from tests.support.policies import NOW

SOON = int(time.time()) + 30 * DAY

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """An empty ledger, named by the environment."""
    monkeypatch.setenv("CONSENT_LEDGER", ledger_url(tmp_path))
    ledger = open_ledger(ledger_url(tmp_path))
    yield ledger
    ledger.close()


def added(ledger: Ledger, **changes: Any) -> DeskRequest:
    request = help_desk_request(**{"due_at": SOON, **changes})
    ledger.requests.add(request)
    return request


@pytest.mark.usefixtures("ledger")
def test_empty_list_of_requests_is_good(capsys: Capture) -> None:
    assert main(["requests", "list"]) == GOOD
    assert capsys.readouterr().out == ""


def test_overdue_requests_are_listed_first_and_are_a_finding(ledger: Ledger, capsys: Capture) -> None:
    answered = added(ledger, due_at=NOW - DAY)
    soon = added(ledger)
    overdue = added(ledger, reference="R-2222", kind="erase", due_at=NOW + DAY)
    ledger.requests.end(answered.reference, NOW, "This.")
    assert main(["requests", "list"]) == FINDING
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "R-2222  OVERDUE   due 2025-06-16T15:06:40Z  erase"
    assert [row.split()[:2] for row in rows[1:]] == [[soon.reference, "open"], [answered.reference, "answered"]]
    ledger.requests.end(overdue.reference, NOW)
    assert main(["requests", "list"]) == GOOD


def test_json_list_has_one_request_a_line(ledger: Ledger, capsys: Capture) -> None:
    later = added(ledger, text="訪問\nと")
    overdue = added(ledger, due_at=NOW, address="me@home.example", consent_id="c")
    assert main(["requests", "list", "--json"]) == FINDING
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{**overdue.document(), "overdue": True}, {**later.document(), "overdue": False}]


def test_list_of_one_request_prints_all_of_it_without_control_characters(ledger: Ledger, capsys: Capture) -> None:
    request = added(ledger, text="Line one\nline \x1b[2Jtwo", address="me@home.example")
    added(ledger)
    assert main(["requests", "list", request.reference.lower()]) == GOOD
    out = capsys.readouterr().out
    assert out.startswith(f"reference: {request.reference}\nkind: see\ntext: Line one\n    line [2Jtwo\naddress: me@")
    assert (out.count("reference:"), "\x1b" in out) == (1, False)


def test_what_a_visitor_wrote_cannot_pass_for_another_field(ledger: Ledger, capsys: Capture) -> None:
    words = "Hello{0}address: someone@else.example{0}state: closed{0}consent_id: another"
    text = "".join(
        words.format(end) for end in ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029")
    )
    request = added(ledger, text=text, address="me@home.example")
    assert main(["requests", "list", request.reference]) == GOOD
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(("address:", "state:", "consent_id:"))] == [
        "address: me@home.example",
        "consent_id: None",
        "state: open",
    ]


def test_answer_is_kept_and_printed_with_the_address(ledger: Ledger, capsys: Capture) -> None:
    request = added(ledger, address="me@home.example", due_at=NOW)
    assert main(["requests", "answer", request.reference, "--text", " This.\r\n", "--json"]) == GOOD
    (answered,) = ledger.requests.listed()
    assert json.loads(capsys.readouterr().out) == {**answered.document(), "overdue": False}
    assert (answered.answer, answered.address) == ("This.", "me@home.example")
    assert abs((answered.ended_at or 0) - time.time()) < DAY


def test_request_is_closed_without_an_answer(ledger: Ledger, capsys: Capture) -> None:
    request = added(ledger)
    assert main(["requests", "close", request.reference]) == GOOD
    assert "state: closed\n" in capsys.readouterr().out
    for argv in (["answer", request.reference, "--text", "That."], ["close", request.reference]):
        assert main(["requests", *argv]) == FINDING
        assert capsys.readouterr().err == f"{request.reference} is closed already.\n"
    assert ledger.requests.listed()[0].answer is None


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("argv", [["list"], ["answer", "--text", "x"], ["close"]])
def test_unknown_reference_is_a_finding(argv: list[str], capsys: Capture) -> None:
    assert main(["requests", argv[0], "R-2222", *argv[1:]]) == FINDING
    assert capsys.readouterr().err == "There is no request 'R-2222'.\n"


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    "argv", [["answer", "R-2"], ["answer", "R-2", "--text", " \n"], ["close"], ["close", "R-2", "--text", "x"]]
)
def test_missing_or_needless_argument_is_wrong_usage(argv: list[str], capsys: Capture) -> None:
    assert main(["requests", *argv]) == WRONG_USAGE
    assert "requests answer REF --text ANSWER" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["show", "R-2222"]])
def test_wrong_action_is_wrong_usage(argv: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["requests", *argv])
    assert ended.value.code == WRONG_USAGE
    assert "usage:" in capsys.readouterr().err


def test_export_erase_and_purge_include_requests(ledger: Ledger, tmp_path: Path, capsys: Capture) -> None:
    policy = tmp_path / "consent.toml"
    policy.write_text(SITE + '\n[requests]\nkeep = "2 days"\nkeep_address = "1 day"\n', encoding="utf-8")
    own = added(ledger, consent_id="a")
    ended = added(ledger, consent_id="b")
    ledger.requests.end(ended.reference, NOW, "This.")
    assert main(["export", "--id", "a"]) == GOOD
    assert json.loads(capsys.readouterr().out)["requests"] == [own.document()]
    assert main(["erase", "--id", "a", "--proof", "--json"]) == GOOD
    assert json.loads(capsys.readouterr().out)["erased"]["requests"] == 1
    assert main(["purge", "--json"]) == GOOD
    assert "Requests were not looked at: --policy FILE" in capsys.readouterr().err
    assert main(["purge", "--policy", str(policy), "--dry-run"]) == GOOD
    assert capsys.readouterr().out.endswith(", 1 request, 0 addresses\n")
    assert len(ledger.requests.listed()) == 1
    assert main(["purge", "--policy", str(policy)]) == GOOD
    assert ledger.requests.listed() == []
