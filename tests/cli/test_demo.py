"""Tests of `cookie-consent demo`: its walk, its output, and the site with a policy file of the user's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from cookie_consent.cli import main
from cookie_consent.cli.demo import follow_file, run
from cookie_consent.cli.frame import GOOD
from cookie_consent.cli.local_server import serving
from examples.registry.walk import Outcome, print_outcomes, promises, walk
from tests.support.asgi import call
from tests.support.documentation import blocks
from tests.support.served import visited

pytestmark = pytest.mark.server

COMMAND = [sys.executable, "-c", "import sys; from cookie_consent.cli import main; sys.exit(main())", "demo"]
HTML = {"accept": "text/html"}
VIDEO_POLICY = """
[site]
name = "Filmhaus"
controller = "Filmhaus e. V."
contact = "kontakt@filmhaus.example"
prevailing_language = "de"
languages = ["de", "fr"]

[purposes.video]
title = { de = "Filme", fr = "Films" }
description = { de = "Wir zeigen Filme.", fr = "Nous montrons des films." }

[features.trailer]
title = { de = "Vorschau", fr = "Bande-annonce" }
purposes = ["video"]
fallback = { de = "Die Vorschau ist aus.", fr = "La bande-annonce est masquée." }
"""


@pytest.fixture
def outcomes() -> list[Outcome]:
    """The outcomes of the three visitors when all promises hold."""
    features = dict.fromkeys(("map", "suited", "tour"), "off")
    no = Outcome("refuses", asked=True, answer="refused", requests=1, cookies={"session", "lang", "consent"})
    yes = Outcome(
        "accepts",
        asked=True,
        answer="granted",
        proofs=[{"status": "granted"}],
        records=[{"url.path": "/offices", "client.address": "127.0.0.0"}],
        requests=1,
        cookies={"session", "lang", "consent", "visitor", "recently-viewed"},
        loaded={"map.html"},
        features=dict.fromkeys(features, "on"),
    )
    signal = Outcome("sends GPC", requests=1, cookies={"session", "lang"}, features=features)
    return [yes, replace(no, features=features), signal]


def test_three_visitors_walk_through_the_site_and_it_goes_on_until_ctrl_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    printed: list[str] = []

    def visit(_: float) -> None:
        printed.append(capsys.readouterr().out)
        assert httpx.get(address_in(printed[0]), timeout=60).is_success
        raise KeyboardInterrupt

    def address_in(out: str) -> str:
        return out.partition("The site goes on at ")[2].partition(" until Ctrl-C")[0]

    report_to = tmp_path / "report.html"
    assert run(("127.0.0.1", 0), once=False, report_to=report_to, wait=visit)
    assert report_to.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(httpx.ConnectError):
        httpx.get(address_in(printed[0]))
    table = {line[:26].strip(): re.split(r" {2,}", line[26:].strip()) for line in printed[0].splitlines()[2:16]}
    assert table["asked"] == ["yes", "yes", "no, the signal answers"]
    assert table["answer kept"] == ["granted", "refused", "none"]
    assert table["loaded from others"][1:] == table["failures"][1:] == ["none", "none"]
    assert table["access records"] == ["8 for 8 requests", "0 for 8 requests", "0 for 7 requests"]
    assert (printed[0].count("    held    "), "BROKEN" in printed[0]) == (8, False)
    assert "The ledger, verified:\nAll fits: 2 records, and what they cite.\nRoot: 2:" in printed[0]


@pytest.mark.parametrize(
    ("visitor", "change"),
    [
        (0, {"failed": {"/ (500)"}}),
        (1, {"failed": {"session"}}),
        (0, {"features": {"map": "off"}}),
        (1, {"features": {"map": "on"}}),
        (0, {"asked": False}),
        (2, {"asked": True}),
        (1, {"asked_again": True}),
        (0, {"proofs": []}),
        (1, {"answer": "none"}),
        (1, {"proofs": [{"status": "refused"}]}),
        (2, {"answer": "refused"}),
        (0, {"cookies": {"session", "lang", "consent"}}),
        (0, {"cookies": {"session", "lang", "consent", "visitor", "recently-viewed", "ab_test"}}),
        (1, {"cookies": {"session", "lang", "consent", "recently-viewed"}}),
        (2, {"cookies": {"session", "lang", "visitor"}}),
        (0, {"loaded": set()}),
        (2, {"loaded": {"analytics.js"}}),
        (0, {"requests": 2}),
        (0, {"records": [{"url.path": "/whois", "client.address": "127.0.0.0"}]}),
        (0, {"records": [{"url.path": "/offices", "client.address": "127.0.0.1"}]}),
        (1, {"records": [{"url.path": "/offices", "client.address": "127.0.0.1"}]}),
    ],
)
def test_each_deviation_breaks_one_promise(outcomes: list[Outcome], visitor: int, change: dict[str, Any]) -> None:
    assert {*promises(*outcomes).values()} == {True}
    outcomes[visitor] = replace(outcomes[visitor], **change)
    assert list(promises(*outcomes).values()).count(False) == 1


def test_broken_promise_is_reported(outcomes: list[Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    outcomes[0].records.clear()
    assert not print_outcomes(outcomes)
    said = capsys.readouterr().out
    assert "    BROKEN  With consent, every request is recorded" in said
    assert said.count("    held    ") == 7


def test_pages_of_failing_site_are_reported_as_failed() -> None:
    outcome = Outcome("accepts", "accept_all")
    body = '{"consent": null, "consent_records": []}'
    with serving(PlainTextResponse(body, status_code=503)) as address:
        walk(outcome, address)
    assert {"/ (503)", "session", "WHOIS service"} <= outcome.failed
    assert set(outcome.features.values()) == {"off"}
    assert not outcome.asked


# With a policy file


@contextmanager
def demo_of(file: Path) -> Iterator[tuple[str, Any]]:
    """Run the command for a policy file; yield the address of the site and a reader of the terminal's lines."""
    with subprocess.Popen([*COMMAND, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        try:
            address = re.search(r"http://\S+/", process.stdout.readline())
            assert address
            yield address[0], process.stderr
        finally:
            process.terminate()


def test_site_follows_the_policy_file_while_it_is_edited(tmp_path: Path) -> None:
    file = tmp_path / "consent.toml"
    file.write_text(VIDEO_POLICY, encoding="utf-8")
    with demo_of(file) as (address, terminal), httpx.Client(base_url=address, headers=HTML, timeout=60) as visitor:
        for path in ("/names", "/names?name=a", "/whois?name=kawa", "/offices", "/account", "/whois/terms", "/"):
            page = visitor.get(httpx.URL(path).copy_add_param("lang", "fr")).raise_for_status().text
            assert "</html>" in page, "each page works with any policy"
        assert "Filmhaus" in page
        assert "La bande-annonce est masquée." in page
        answer = visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers={"origin": address[:-1]})
        assert answer.json()["purposes"] == {"necessary": True, "video": True}
        file.write_text(VIDEO_POLICY.replace("Filmhaus", "Lichtspiel"), encoding="utf-8")
        assert visitor.get("/privacy-choices/state").json()["purposes"]["video"], "the answer stays"
        assert "Lichtspiel" in visitor.get("/privacy-choices").text
        file.write_text(VIDEO_POLICY.replace("purposes = [", "purpose = ["), encoding="utf-8")
        wrong = visitor.get("/")
        assert wrong.status_code == 500
        assert 'there is no key "purpose" here' in wrong.text
        assert any('there is no key "purpose" here' in line for line in terminal)
        file.unlink()
        assert visitor.get("/").status_code == 500


def test_wrong_file_is_shown_once_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "consent.toml"
    file.write_text("[sites]\n", encoding="utf-8")
    site = follow_file(file, lambda policy: PlainTextResponse(policy.site.name))
    said = capsys.readouterr().err
    assert 'there is no table "sites" here' in said
    assert call(site).body.decode() == said
    file.write_text(VIDEO_POLICY, encoding="utf-8")
    assert call(site).body == b"Filmhaus"
    assert capsys.readouterr().err == ""


def test_command_of_the_documentation_serves_a_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = (block for block in blocks("docs/start.md", "console") if "demo consent.toml" in block)
    _, command, printed = block.splitlines()
    monkeypatch.chdir(tmp_path)
    Path("consent.toml").write_text(VIDEO_POLICY, encoding="utf-8")
    said: list[str] = []
    with visited(capsys, said=said) as replies:
        assert main(command.split()[2:]) == GOOD
    assert [reply.status_code for reply in replies] == [200]
    assert re.sub(r":\d+", ":0", printed) == re.sub(r":\d+", ":0", said[0].strip())
