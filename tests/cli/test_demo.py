"""Tests of `cookie-consent demo`: its site, its visitors, and its output."""

from __future__ import annotations

import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cookie_consent.cli.demo.demo import promises, report, run, verify_proofs, write_report
from cookie_consent.cli.demo.site import NotStartedError, Site, end, serve, started
from cookie_consent.cli.demo.walk import ACCEPTING, Outcome, Page, walk
from tests.support.asgi import Visitor, install

pytestmark = pytest.mark.server

COMMAND = [sys.executable, "-c", "import sys; from cookie_consent.cli import main; sys.exit(main())", "demo"]
FEATURES = ("map", "suggestions", "tour")
BROKEN = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b"down"})
"""
PARENT = """
import sys, time
from pathlib import Path
from cookie_consent.cli.demo.site import started
folder = Path(sys.argv[1])
with started("broken:app", folder, folder / "log", ("127.0.0.1", 0), {}) as site:
    print(site.address, flush=True)
    time.sleep(60)
"""


def proof(status: str) -> tuple[dict[str, Any], ...]:
    return ({"status": status},)


@pytest.fixture
def outcomes() -> tuple[Outcome, Outcome, Outcome]:
    """The outcomes of the three visitors when all promises hold."""
    record = {"url.path": "/offices", "client.address": "127.0.0.0"}
    necessary = frozenset({"session", "lang"})
    held = frozenset({"ab_test", "recently-viewed"})
    degraded = Outcome(
        "",
        cookies=necessary,
        held=held,
        features=dict.fromkeys(FEATURES, "degraded"),
        signed_in=True,
        looked_up=True,
        requests=1,
    )
    yes = replace(
        degraded,
        title="accepts",
        asked=True,
        answer="granted",
        proofs=proof("granted"),
        cookies=necessary | {"consent", "visitor", "recently-viewed"},
        held=frozenset({"ab_test"}),
        loaded=frozenset({"map.html"}),
        features=dict.fromkeys(FEATURES, "on"),
        records=(record,),
    )
    no = replace(degraded, title="refuses", asked=True, answer="refused", cookies=necessary | {"consent"})
    return yes, no, replace(degraded, title="sends GPC")


def answers(address: str) -> bool:
    try:
        return bool(httpx.get(address).status_code)
    except httpx.TransportError:
        return False


def test_demo_once_walks_three_visitors_through_the_site() -> None:
    ended = subprocess.run([*COMMAND, "--once"], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stderr == ""
    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert all(len(line) <= 100 for line in lines)
    table = {line[:22].strip(): re.split(r" {2,}", line[22:].strip()) for line in lines[2:20]}
    assert table["asked"] == ["yes", "yes", "no, the signal answers"]
    assert table["answer kept"] == ["granted", "refused", "none"]
    assert table["cookies held back"] == ["ab_test", "ab_test, recently-viewed", "ab_test, recently-viewed"]
    assert table["loaded from others"][1:] == ["none", "none"]
    assert table["access records"] == ["8 for 8 requests", "0 for 8 requests", "0 for 8 requests"]
    for feature in FEATURES:
        assert table[feature] == ["on", "degraded", "degraded"]
    assert table["failures"] == ["none", "none", "none"]
    assert '"client.address": "127.0.0.0"' in ended.stdout
    assert '    [[cookies]]\n    name = "ab_test"\n' in ended.stdout
    assert ended.stdout.count("    held    ") == 9
    assert "BROKEN" not in ended.stdout
    page = Path(ended.stdout.rpartition("to open in a browser:\n")[2].strip())
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    page.unlink()


def test_demo_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    said = io.StringIO()
    seen = []

    def visit(process: subprocess.Popen[str]) -> None:
        address = re.search(r"The site goes on at (\S+)", said.getvalue())
        log = re.search(r"Its log: (\S+)", said.getvalue())
        assert address
        assert log
        seen.extend([address[1], log[1]])
        assert answers(address[1])
        assert process.poll() is None
        raise KeyboardInterrupt

    assert run(once=False, port=0, host="0.0.0.0", out=said, wait=visit, report_to=tmp_path / "report.html")  # noqa: S104
    address, log = seen
    assert address.startswith("http://127.0.0.1:")
    assert not answers(address)
    assert not Path(log).parent.exists()


def test_demo_once_writes_report_and_does_not_wait(tmp_path: Path) -> None:
    waited: list[object] = []
    report_to = tmp_path / "report.html"
    assert run(once=True, port=0, host="127.0.0.1", out=io.StringIO(), wait=waited.append, report_to=report_to)
    assert report_to.is_file()
    assert waited == []


def test_ctrl_c_ends_demo_and_removes_its_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "--report", str(tmp_path / "report.html")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        said = ""
        while "until Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, "the demo ended early"
            said += line
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    found = re.search(r"Its log: (\S+)", said)
    assert found
    assert not Path(found[1]).parent.exists()


def test_all_promises_hold_for_good_outcomes(outcomes: tuple[Outcome, Outcome, Outcome]) -> None:
    assert set(promises(*outcomes).values()) == {True}


@pytest.mark.parametrize(
    ("visitor", "change"),
    [
        (0, {"failed": ("/ (500)",)}),
        (1, {"signed_in": False}),
        (2, {"looked_up": False}),
        (0, {"features": {"map": "degraded"}}),
        (1, {"features": {"map": "missing"}}),
        (0, {"asked": False}),
        (2, {"asked": True}),
        (1, {"asked_again": True}),
        (0, {"proofs": ()}),
        (1, {"answer": "none"}),
        (1, {"proofs": proof("refused")}),
        (2, {"answer": "refused"}),
        (0, {"cookies": frozenset({"session", "lang", "consent"})}),
        (1, {"cookies": frozenset({"session", "lang", "consent", "recently-viewed"})}),
        (2, {"cookies": frozenset({"session", "lang", "visitor"})}),
        (1, {"held": frozenset()}),
        (0, {"loaded": frozenset()}),
        (2, {"loaded": frozenset({"analytics.js"})}),
        (0, {"requests": 2}),
        (0, {"records": ({"url.path": "/whois", "client.address": "127.0.0.0"},)}),
        (0, {"records": ({"url.path": "/offices", "client.address": "127.0.0.1"},)}),
        (1, {"records": ({"url.path": "/offices", "client.address": "127.0.0.0"},)}),
    ],
)
def test_each_deviation_breaks_one_promise(
    outcomes: tuple[Outcome, Outcome, Outcome], visitor: int, change: dict[str, Any]
) -> None:
    changed = [replace(outcome, **change) if place == visitor else outcome for place, outcome in enumerate(outcomes)]
    assert list(promises(*changed).values()).count(False) == 1


def test_broken_promise_is_reported_with_the_log(outcomes: tuple[Outcome, Outcome, Outcome]) -> None:
    yes, no, signal = outcomes
    said = io.StringIO()
    held = 'The cookie "ab_test" was held back: a first line.\n\nThe cookie "recently-viewed" was held back: a second.'
    assert not report([replace(yes, records=()), no, signal], held, said)
    assert "    BROKEN  With consent, every request is recorded" in said.getvalue()
    assert said.getvalue().count("    held    ") == 8
    assert "An access record:\n\n    none\n" in said.getvalue()
    assert said.getvalue().endswith("a second.\n")


def test_demo_verifies_its_proofs(tmp_path: Path) -> None:
    url, said = f"sqlite:///{tmp_path}/consent.db", io.StringIO()
    visitor = Visitor(install(ledger=url))
    visitor.accept()
    visitor.refuse()
    assert verify_proofs(url, said)
    assert "The ledger, verified: 2 records fit into one chain, whose end is 2:" in said.getvalue()
    with closing(sqlite3.connect(tmp_path / "consent.db")) as connection, connection:
        connection.execute("DROP TRIGGER consent_records_stay")
        connection.execute("UPDATE consent_records SET document = replace(document, 'granted', 'refused')")
    assert not verify_proofs(url, said)
    assert "its text is not the one that was recorded" in said.getvalue()


def test_pages_of_failing_site_are_reported_as_failed(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN, encoding="utf-8")
    with started("broken:app", tmp_path, tmp_path / "log", ("127.0.0.1", 0), {}) as site:
        outcome = walk(ACCEPTING, site.address)
    assert outcome.failed[0] == "/ (503)"
    assert outcome.features == dict.fromkeys(FEATURES, "missing")
    assert not outcome.asked
    outcome = walk(ACCEPTING, site.address)
    assert outcome.failed[0] == "/ (ConnectError)"
    assert outcome.proofs == ()


def test_site_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN, encoding="utf-8")
    with subprocess.Popen([sys.executable, "-c", PARENT, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert answers(address)
        process.kill()
    deadline = time.monotonic() + 20
    while answers(address):
        assert time.monotonic() < deadline, "the site still answers"
        time.sleep(0.1)


def test_site_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cookie_consent.cli.demo.site.LONGEST_END", 0.01)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], text=True) as process:
        end(process)
    assert process.returncode == -signal.SIGKILL


def test_site_that_cannot_start_says_why(tmp_path: Path) -> None:
    listen = ("127.0.0.1", 0)
    with (
        pytest.raises(NotStartedError, match=r"port 0\. .*nothing_of_this_name"),
        started("nothing_of_this_name:app", tmp_path, tmp_path / "log", listen, {}),
    ):
        pytest.fail("the site started")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104
        ("::", "http://[::1]:80"),
        ("registry.example", "http://registry.example:80"),
    ],
)
def test_site_address_fits_the_host_it_listens_on(tmp_path: Path, host: str, address: str) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], text=True) as process:
        assert Site(process, host, 80, tmp_path).address == address


def test_app_is_served_until_its_parent_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "served_by_test.py").write_text(BROKEN, encoding="utf-8")
    monkeypatch.setattr(sys, "path", sys.path[:])
    reading, writing = os.pipe()
    arguments = (str(tmp_path), "served_by_test:app", "127.0.0.1", "0")
    serving = threading.Thread(target=serve, args=arguments, kwargs={"parent": reading})
    serving.start()
    port = ""
    while not port:
        time.sleep(0.01)
        port = capsys.readouterr().out.strip()
    assert httpx.get(f"http://127.0.0.1:{port}/").text == "down"
    os.close(writing)
    serving.join(timeout=20)
    os.close(reading)
    assert not serving.is_alive()
    assert not answers(f"http://127.0.0.1:{port}/")


def test_page_is_read_without_contents_of_templates() -> None:
    page = Page(
        '<img src="/own.png"><template><iframe id="map" src="http://other.example/map"></iframe></template>'
        '<form action="/answer"><input type=hidden name=policy value=v1><input name=text>'
        "<button name=choice value=grant>Allow</button><button>Other</button></form><script src='http://a.example/x'>"
        "</script>"
    )
    assert "map" not in page.ids
    assert page.sources == ["http://a.example/x"]
    assert page.choices == {"grant": {"action": "/answer", "policy": "v1"}}


def test_report_without_path_goes_to_a_new_file(tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    log.touch()
    page = write_report(log, None)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    page.unlink()
