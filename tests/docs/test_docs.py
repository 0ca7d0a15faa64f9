"""Tests of the documentation: links lead to existing places, and examples work."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from cookie_consent import Policy
from cookie_consent.cli.main import main
from cookie_consent.ledgers import open_ledger
from cookie_consent.policy.parts import RecordRules, RequestRules
from cookie_consent.policy.reader import read_tables
from cookie_consent.texts.catalog import shipped_languages
from tests.support.asgi import Visitor, install
from tests.support.browsers.browser import forms
from tests.support.documentation import ROOT, blocks, run

DOCUMENTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in DOCUMENTS), *sorted((ROOT / "docs").rglob("*.md"))]


def test_banner_page_lists_shipped_languages() -> None:
    page = (ROOT / "docs" / "banner.md").read_text(encoding="utf-8")
    table = page.partition("| | language |")[2].partition("\n\n")[0]
    listed = re.findall(r"`([a-zA-Z-]+)` \|", table)
    assert sorted(listed) == shipped_languages()


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page; "" is the page itself."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {"", *(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)}


def leads_nowhere(page: Path, link: str) -> bool:
    """Return whether a link leads to a file or a heading of this project that is not there."""
    file, _, anchor = link.partition("#")
    target = page.parent / file if file else page
    return not target.exists() or (bool(anchor) and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")) if ":" not in link]
    assert [link for link in links if leads_nowhere(page, link)] == []


def policy_in(languages: list[str], **more: Any) -> Policy:
    who = {"name": "Site", "controller": "Site Ltd.", "contact": "privacy@site.example"}
    site = {**who, "languages": languages, "prevailing_language": languages[0]}
    return Policy(**vars(read_tables({"site": site, **more})))


def test_policy_of_the_page_on_laws_loads() -> None:
    site = tomllib.loads(blocks("docs/laws.md", "toml")[0])["site"]
    policy = Policy(**vars(read_tables({"site": site})))
    assert [law.code for law in policy.laws] == ["eu", "us-optout", "jp", "ca-qc"]


def test_hosts_of_the_example_share_an_answer() -> None:
    site = tomllib.loads(blocks("docs/subdomains.md", "toml")[0])["site"]
    shared = Policy(**vars(read_tables({"site": site}))).site
    assert (shared.domain, shared.hosts[-1]) == ("example.jp", "shop.example.jp")


def test_languages_of_the_example_are_accepted() -> None:
    languages = tomllib.loads(blocks("docs/banner.md", "toml")[0])["site"]["languages"]
    assert list(policy_in(languages).texts) == languages


def test_documented_retention_is_accepted_and_default() -> None:
    rules = {name: table for block in blocks("docs/proof.md", "toml") for name, table in tomllib.loads(block).items()}
    assert rules.keys() == {"records", "requests"}
    policy = policy_in(["en"], **rules)
    assert (policy.records, policy.requests) == (RecordRules(), RequestRules())
    assert policy.version == policy_in(["en"]).version


@pytest.mark.slow
def test_documented_commands_show_the_words_of_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", "k" * 32)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "access.jsonl").touch()
    visitor = Visitor(install(ledger="sqlite:///consent.db"))
    question = forms(visitor.get("/privacy-choices/question").text)[0]
    assert visitor.send_form(question.pressed("accept_all")).status == 303
    commands = [line for block in blocks("docs/proof.md", "console") for line in block.splitlines()]
    statuses: dict[str, int] = {}
    for line in commands:
        here = line.replace("postgresql://user:password@host/database", "sqlite:///moved.db")
        command = shlex.split(here.removeprefix("$ "), comments=True)
        if command[0] == "cookie-consent":
            statuses[line] = main(command[1 : command.index(">") if ">" in command else None])
        else:
            monkeypatch.setenv(*command[1].split("=", 1))
    # The request that the example names does not exist here.
    assert {line for line, status in statuses.items() if status} == {line for line in commands if "R-7K3M" in line}
    capsys.readouterr()
    ledger = open_ledger("sqlite:///consent.db")
    (record,) = (json.loads(link.document or "") for link in ledger.links())
    (example,) = map(json.loads, blocks("docs/proof.md", "json"))
    assert example.keys() == record.keys()
    code, desk = blocks("docs/proof.md", "python")
    exec(compile(code.replace("GpMbWmCSTml0oWEWKeThWQ", record["consent_id"]), "proof.md", "exec"), {})  # noqa: S102
    assert "Refuse all" in capsys.readouterr().out
    run(desk, app=Starlette(), POLICY=policy_in(["en"]), KEYS="k" * 32, LEDGER=None)


def test_own_texts_of_the_example_are_used() -> None:
    own = tomllib.loads(blocks("docs/banner.md", "toml")[1])
    policy = policy_in(["en"], **own)
    assert policy.texts["en"]["banner_title"] == "Your choice"
    assert policy.texts["en"]["banner_recipients"] == {"one": "{number} partner", "other": "{number} partners"}
