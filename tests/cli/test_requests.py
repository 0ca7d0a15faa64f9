"""Tests of `cookie-consent requests`, the commands of the help desk."""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.cli.command import FINDING, GOOD, WRONG_USAGE
from cookie_consent.cli.requests import REQUESTS
from cookie_consent.ledgers import Ledger, Requests, open_ledger
from cookie_consent.ledgers.desk_request import LONGEST_ANSWER, DeskRequest
from tests.support.asgi import run
from tests.support.desk import DAY, help_desk_request
from tests.support.ledger_files import ledger_url
from tests.support.policies import NOW

SOON = int(time.time()) + 30 * DAY

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty ledger."""
    monkeypatch.delenv("CONSENT_LEDGER", raising=False)
    return ledger_url(tmp_path)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    ledger = open_ledger(url)
    yield ledger
    ledger.close()


@pytest.fixture
def store(ledger: Ledger) -> Requests:
    return ledger.requests


def main(*argv: str) -> int:
    """Run `cookie-consent requests` as the command line does."""
    parser = argparse.ArgumentParser(prog="cookie-consent requests")
    REQUESTS.arguments(parser)
    return REQUESTS.run(parser.parse_args(argv))


def added(store: Requests, **changes: Any) -> DeskRequest:
    request = help_desk_request(**{"due_at": SOON, **changes})
    assert run(store.add(request)) is None
    return request


def test_empty_list_of_requests_is_good(url: str, capsys: Capture) -> None:
    assert main("list", "--ledger", url) == GOOD
    assert capsys.readouterr().out == "There are no requests.\n"
    assert main("list", "--ledger", url, "--json") == GOOD
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_overdue_requests_are_listed_first_and_are_a_finding(store: Requests, url: str, capsys: Capture) -> None:
    answered, soon = added(store, due_at=NOW - DAY), added(store)
    overdue = added(store, reference="R-2222-3333", kind="erase", due_at=NOW + DAY)
    store.answer(answered.reference, "This.", NOW)
    assert main("list", "--ledger", url) == FINDING
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["reference", "state", "due_at", "created_at", "kind"]
    assert rows[0] == "R-2222-3333  OVERDUE   2025-06-16T15:06:40Z  2025-06-15T15:06:40Z  erase"
    assert [row.split()[:2] for row in rows[1:]] == [[soon.reference, "open"], [answered.reference, "answered"]]
    store.close(overdue.reference, NOW)
    assert main("list", "--ledger", url) == GOOD


def test_open_option_lists_only_open_requests(store: Requests, url: str, capsys: Capture) -> None:
    waits, closed = added(store), added(store)
    store.close(closed.reference, NOW)
    assert main("list", "--open", "--ledger", url) == GOOD
    out = capsys.readouterr().out
    assert (waits.reference in out, closed.reference in out) == (True, False)


def test_json_list_has_one_request_a_line(store: Requests, url: str, capsys: Capture) -> None:
    later, overdue = added(store, text="訪問\nと"), added(store, due_at=NOW, address="me@home.example", consent_id="c")
    assert main("list", "--json", "--ledger", url) == FINDING
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{**overdue.document(), "overdue": True}, {**later.document(), "overdue": False}]


def test_environment_names_the_ledger(
    store: Requests, url: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = added(store)
    monkeypatch.setenv("CONSENT_LEDGER", url)
    assert main("list") == GOOD
    assert request.reference in capsys.readouterr().out


def test_show_prints_the_whole_request(store: Requests, url: str, capsys: Capture) -> None:
    request = added(store, reference="R-2222-3333", text="Line one\nline two", due_at=NOW + DAY, language="ja")
    assert main("show", "r 2222 3333", "--ledger", url) == GOOD
    assert capsys.readouterr().out == (
        "R-2222-3333: see, OVERDUE\n"
        "Sent:       2025-06-15T15:06:40Z, in the language 'ja'\n"
        "Due:        2025-06-16T15:06:40Z\n"
        "Mail to:    nobody: the visitor looks the answer up\n"
        "Consent id: none: there was no consent cookie\n"
        "\n"
        "Line one\nline two\n"
    )
    store.answer(request.reference, "This.", NOW + 10)
    store.close(request.reference, NOW + 20)
    assert main("show", request.reference, "--ledger", url) == GOOD
    out = capsys.readouterr().out
    assert out.startswith("R-2222-3333: see, closed\n")
    assert out.endswith("line two\n\nAnswered:   2025-06-15T15:06:50Z\n\nThis.\n\nClosed:     2025-06-15T15:07:00Z\n")


def test_show_prints_json_without_the_secret(store: Requests, url: str, capsys: Capture) -> None:
    request = added(store, address="me@home.example", consent_id="c")
    assert main("show", request.reference, "--json", "--ledger", url) == GOOD
    out = capsys.readouterr().out
    assert json.loads(out) == {**request.document(), "overdue": False}
    assert request.secret_hash.hex() not in out
    assert main("show", request.reference, "--ledger", url) == GOOD
    out = capsys.readouterr().out
    assert "Mail to:    me@home.example\n" in out
    assert "Consent id: c\n" in out


@pytest.mark.slow
def test_show_removes_control_characters(store: Requests, url: str, capsys: Capture) -> None:
    request = added(store, text="a\x1b[2Jb")
    store.answer(request.reference, "c\x9bd", NOW)
    main("show", request.reference, "--ledger", url)
    out = capsys.readouterr().out
    assert not {"\x1b", "\x9b"} & set(out)
    assert "a[2Jb" in out


@pytest.mark.slow
def test_answer_is_kept_and_desk_is_told_where_to_mail_it(store: Requests, url: str, capsys: Capture) -> None:
    request, other = added(store, address="me@home.example"), added(store)
    assert main("answer", request.reference, "--text", " This.\r\n", "--ledger", url) == GOOD
    assert capsys.readouterr().out == (
        f"{request.reference} is answered.\nMail the answer to me@home.example, as the visitor wishes.\n"
    )
    assert main("answer", other.reference, "--text", "That.", "--ledger", url) == GOOD
    assert "gave no mail address" in capsys.readouterr().out
    answered = run(store.find(request.reference))
    assert (answered.state, answered.answer) == ("answered", "This.")
    assert abs(answered.answered_at - time.time()) < DAY


def test_answer_is_read_from_standard_input(
    store: Requests, url: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = added(store)
    monkeypatch.setattr(sys, "stdin", io.StringIO("Line one\nline two\n"))
    assert main("answer", request.reference, "--json", "--ledger", url) == GOOD
    said = capsys.readouterr()
    assert (json.loads(said.out)["answer"], said.err) == ("Line one\nline two", "")


def test_terminal_says_how_to_end_the_answer(
    store: Requests, url: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("This."))
    assert main("answer", added(store).reference, "--ledger", url) == GOOD
    assert "Ctrl-D" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", " \n\0", "a" * (LONGEST_ANSWER + 1)])
def test_empty_or_too_long_answer_is_refused(store: Requests, url: str, capsys: Capture, text: str) -> None:
    request = added(store)
    assert main("answer", request.reference, "--text", text, "--ledger", url) == WRONG_USAGE
    assert "between 1 and 20000 characters" in capsys.readouterr().err
    assert run(store.find(request.reference)) == request


def test_undecodable_answer_is_refused(store: Requests, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), "utf-8"))
    assert main("answer", added(store).reference, "--ledger", url) == WRONG_USAGE


@pytest.mark.slow
def test_request_is_closed_with_or_without_an_answer(store: Requests, url: str, capsys: Capture) -> None:
    request, answered = added(store), added(store)
    store.answer(answered.reference, "This.", NOW)
    for each in (request, answered):
        assert main("close", each.reference, "--ledger", url) == GOOD
        assert capsys.readouterr().out == f"{each.reference} is closed.\n"
    assert {each.state for each in store.listed()} == {"closed"}


@pytest.mark.slow
def test_answering_or_closing_twice_is_a_finding(store: Requests, url: str, capsys: Capture) -> None:
    answered, closed = added(store), added(store)
    store.answer(answered.reference, "This.", NOW)
    store.close(closed.reference, NOW)
    for argv, state in (
        (["answer", answered.reference, "--text", "That."], "answered"),
        (["answer", closed.reference, "--text", "That."], "closed"),
        (["close", closed.reference], "closed"),
    ):
        assert main(*argv, "--ledger", url) == FINDING
        assert capsys.readouterr().err == f"{argv[1]} is {state} already.\n"
    assert run(store.find(answered.reference)).answer == "This."


@pytest.mark.parametrize("action", ["show", "answer", "close"])
@pytest.mark.parametrize("reference", ["R-2222-2222", "nonsense", ""])
def test_unknown_reference_is_a_finding(url: str, capsys: Capture, action: str, reference: str) -> None:
    assert main(action, reference, "--ledger", url) == FINDING
    assert capsys.readouterr().err == f"There is no request {reference!r}.\n"


def test_answering_a_request_that_was_erased_meanwhile_is_a_finding(
    ledger: Ledger, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = added(ledger.requests, consent_id="c")
    arguments = argparse.Namespace(reference=request.reference, text=None, json=False)

    class ErasedWhileReading(io.StringIO):
        def read(self, size: int | None = -1) -> str:
            ledger.requests.erase("c")
            return "This."

    monkeypatch.setattr(sys, "stdin", ErasedWhileReading())
    parser = argparse.ArgumentParser()
    REQUESTS.arguments(parser)
    do = parser.parse_args(["answer", request.reference]).do
    assert do(ledger.requests, arguments) == FINDING
    assert capsys.readouterr().err == f"{request.reference} is gone.\n"


def test_missing_ledger_is_wrong_usage(url: str, capsys: Capture, tmp_path: Path) -> None:
    assert main("list") == WRONG_USAGE
    assert "--ledger URL, or the environment variable CONSENT_LEDGER" in capsys.readouterr().err
    assert main("list", "--ledger", f"sqlite:///{tmp_path}/other.db") == WRONG_USAGE
    assert not (tmp_path / "other.db").exists()
    assert main("show", "R-2222-2222", "--ledger", "postgresql://desk:hidden@127.0.0.1:1/x") == WRONG_USAGE
    assert "hidden" not in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["look"], ["show"], ["list", "R-2222-2222"], ["close", "R", "--text", "x"]])
def test_wrong_arguments_are_wrong_usage(argv: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(*argv)
    assert ended.value.code == WRONG_USAGE
    assert "usage:" in capsys.readouterr().err


def test_commands_work_on_postgresql(postgres_url: str, capsys: Capture) -> None:
    ledger = open_ledger(postgres_url)
    request = added(ledger.requests, due_at=NOW)
    assert main("list", "--ledger", postgres_url) == FINDING
    assert main("answer", request.reference, "--text", "訪問", "--ledger", postgres_url) == GOOD
    assert main("close", request.reference, "--ledger", postgres_url) == GOOD
    found = run(ledger.requests.find(request.reference))
    assert found == replace(request, answer="訪問", answered_at=found.answered_at, closed_at=found.closed_at)
    ledger.close()
