"""Tests of help desk requests in the settings page, the export, retention and the command line."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from cookie_consent.cli.main import FINDING, GOOD, main
from cookie_consent.decision.cookie_settings import new_id
from cookie_consent.ledgers import MemoryLedger, open_ledger
from cookie_consent.ledgers.glossary import MEANINGS
from cookie_consent.ledgers.retention import Retention
from cookie_consent.policy.declarations import RequestRules
from tests.support.asgi import PREFIX, SITE, Visitor, install, policy, run
from tests.support.desk import DAY, help_desk_request
from tests.support.policies import NOW, text_of
from tests.visitors.test_help_desk import REQUESTS, Person

Capture = pytest.CaptureFixture[str]


def test_settings_page_links_to_request_form() -> None:
    link = f'href="{REQUESTS}?language=en"'
    page = Person().get(PREFIX).text
    assert link in page
    assert text_of(policy(), "en", "request_form") in page
    assert link not in Visitor(install()).get(PREFIX).text


def test_export_contains_only_own_requests() -> None:
    person = Person("a")
    person.write(address="me@home.example")
    export = person.get(f"{PREFIX}/export").json
    assert export["requests"] == [person.kept[0].document()]
    assert export["meanings"]["requests"].keys() == export["requests"][0].keys()
    for consent_id in ("b", ""):
        person.become(consent_id)
        assert person.get(f"{PREFIX}/export").json["requests"] == []


def test_every_field_of_request_has_a_meaning() -> None:
    assert MEANINGS["requests"].keys() == help_desk_request().document().keys()


def test_retention_removes_due_addresses_and_requests(caplog: pytest.LogCaptureFixture) -> None:
    ledger = MemoryLedger()
    request = help_desk_request(address="me@home.example")
    run(ledger.requests.add(request))
    ledger.requests.answer(request.reference, "This.", NOW)
    rules = RequestRules(keep_address=timedelta(days=1), keep=timedelta(days=2))
    with caplog.at_level(logging.INFO):
        Retention(ledger, rules, new_id).run(NOW + DAY)
    assert [kept.address for kept in ledger.requests.listed()] == [None]
    assert "0 requests, 1 addresses" in caplog.text
    Retention(ledger, rules, new_id).run(NOW + 2 * DAY)
    assert ledger.requests.listed() == []


@pytest.mark.slow
def test_purge_command_removes_due_requests_only_with_policy(tmp_path: Path, capsys: Capture) -> None:
    url, site = f"sqlite:///{tmp_path}/consent.db", tmp_path / "consent.toml"
    site.write_text(SITE + '\n[requests]\nkeep = "2 days"\nkeep_address = "1 day"\n', encoding="utf-8")
    ledger = open_ledger(url)
    request = help_desk_request(consent_id="a")
    run(ledger.requests.add(request))
    ledger.requests.answer(request.reference, "This.", NOW)
    assert main(["purge", "--ledger", url, "--json"]) == GOOD
    output = capsys.readouterr()
    assert "requests" not in json.loads(output.out)
    assert output.err == "Requests were not looked at: --policy FILE says for how long they are kept.\n"
    assert main(["purge", "--ledger", url, "--policy", str(site), "--dry-run"]) == GOOD
    assert capsys.readouterr().out.endswith(", 1 request, 0 addresses\n")
    assert len(ledger.requests.listed()) == 1
    assert main(["purge", "--ledger", url, "--policy", str(site)]) == GOOD
    assert ledger.requests.listed() == []
    ledger.close()


@pytest.mark.slow
def test_export_and_erase_commands_include_requests(tmp_path: Path, capsys: Capture) -> None:
    url = f"sqlite:///{tmp_path}/consent.db"
    ledger = open_ledger(url)
    own, other = help_desk_request(consent_id="a"), help_desk_request(consent_id="b")
    for request in (own, other):
        run(ledger.requests.add(request))
    assert main(["export", "--id", "a", "--ledger", url]) == GOOD
    output = json.loads(capsys.readouterr().out)
    assert output["requests"] == [own.document()]
    assert output["meanings"]["requests"].keys() == output["requests"][0].keys()
    assert main(["erase", "--id", "a", "--proof", "--ledger", url, "--json"]) == GOOD
    assert json.loads(capsys.readouterr().out)["erased"]["requests"] == 1
    assert ledger.requests.listed() == [other]
    ledger.close()


def test_desk_option_without_ledger_is_refused() -> None:
    with pytest.raises(ValueError, match=r"desk: .*Set ledger= too"):
        install(desk=print)


@pytest.mark.slow
def test_requests_list_command_marks_overdue_request(tmp_path: Path, capsys: Capture) -> None:
    url = f"sqlite:///{tmp_path}/consent.db"
    ledger = open_ledger(url)
    request = help_desk_request(consent_id="a")
    run(ledger.requests.add(request))
    ledger.close()
    assert main(["requests", "list", "--json", "--ledger", url]) == FINDING
    assert json.loads(capsys.readouterr().out) == {**request.document(), "overdue": True}
