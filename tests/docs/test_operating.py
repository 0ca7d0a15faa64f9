"""Tests of the page on operating: its jobs, backup, restore, alerts and nginx site; and of the move to a database."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from cookie_consent.cli.init import starter
from cookie_consent.cli.main import main
from cookie_consent.integrations.prometheus import HeldCookieCollector, SinkCollector
from cookie_consent.ledgers import open_ledger
from cookie_consent.report import report
from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.files.closed_files import FileFormat, path_of, sources
from cookie_consent.sinks.memory import MemorySink
from tests.integrations.test_prometheus import check_workers_are_added_up
from tests.report.test_damaged_files import COMPRESSED, lines
from tests.support import analytics_sample as sample
from tests.support.asgi import Visitor, install
from tests.support.documentation import ROOT, blocks, commands, run
from tests.support.servers.processes import free_port
from tests.support.sink_lines import record
from tests.support.waiting import wait_until
from tests.whole.test_behind_a_proxy import certificate, needs_nginx, proxied, served

PAGE = "docs/operating.md"
MOVE = "docs/how-to/move-to-a-database.md"
ADDRESS = "postgresql://user:password@host/database"
ALERTS, ALERT_TESTS = ROOT / "docs" / "operating" / "alerts.yml", ROOT / "tests" / "docs" / "alerts_test.yml"
PROMTOOL = shutil.which("promtool")
DAY = date(2026, 11, 25)
SQLITE3 = "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).execute(sys.argv[2])\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a site with a ledger, and records of two visitors. It is the current one."""
    folder = tmp_path / "site"
    (folder / "logs").mkdir(parents=True)
    finished = starter().replace('"Example ', '"Village ').replace("example.com", "village.jp")
    (folder / "consent.toml").write_text(finished, "utf-8")
    open_ledger(f"sqlite:///{folder}/consent.db").close()
    log = JsonLinesSink(folder / "logs" / "access.jsonl")
    for number, visitor in enumerate(("one", "two", "one")):
        log.write(json.dumps(record(number, visitor)).encode() + b"\n")
    log.close()
    monkeypatch.chdir(folder)
    return folder


def shell(block: str, site: Path) -> str:
    """Run a block with the folders of a test in place of the documented ones; return its output."""
    programs = site.parent / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "sqlite3").write_text(f"#!{sys.executable}\n{SQLITE3}")
    (programs / "sqlite3").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    here = block.replace("/srv/site", str(site)).replace("/var/backups", str(site.parent / "backups"))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-ec", here], capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def visitors(site: Path) -> list[str]:
    log = JsonLinesSink(site / "logs" / "access.jsonl")
    return [visitor for visitor in ("one", "two") if [*log.read(visitor)]]


# At night.


@pytest.mark.usefixtures("site")
def test_jobs_of_cron_and_systemd_are_the_same_and_run() -> None:
    service, timer = blocks(PAGE, "ini")
    by_systemd = re.findall(r"^ExecStart=/srv/site/\.venv/bin/cookie-consent (.*)$", service, re.MULTILINE)
    (table,) = (block for block in blocks(PAGE, "text") if "* * *" in block)
    by_cron = re.findall(r"^(?:[\d*]+ ){5}cd /srv/site && \.venv/bin/cookie-consent ([^%\n]*)$", table, re.MULTILINE)
    assert by_cron == by_systemd
    assert [main(shlex.split(job)) for job in by_cron] == [0, 0]
    assert "WorkingDirectory=/srv/site\n" in service
    assert re.search(r"^OnCalendar=\*-\*-\* \d\d:\d\d:\d\d$", timer, re.MULTILINE)


# Backups.


@pytest.mark.slow
def test_restored_backup_has_nobody_who_was_erased(site: Path) -> None:
    backup, restore, _ = blocks(PAGE, "sh")
    shell(backup, site)
    last = site.parent / "backups" / "site" / "last"
    assert sorted(path.name for path in last.iterdir()) == ["consent.db", "consent.toml", "logs"]
    assert [path.name for path in (last / "logs").iterdir() if path.suffix != ".lock"] == ["access.jsonl"]
    log = site / "logs" / "access.jsonl"
    assert main(["erase", "--access-log", str(log), "--id", "one"]) == 0
    shutil.copy(last / "logs" / "access.jsonl", log)
    assert visitors(site) == ["one", "two"], "a restore alone brings erased visitors back"
    assert "Erased again: 2 access records of 1 visitor." in shell(restore, site)
    assert visitors(site) == ["two"]
    shell(backup, site)  # once more, over the last one


@pytest.mark.slow
def test_readable_part_of_a_damaged_file_is_saved(site: Path) -> None:
    saving = blocks(PAGE, "sh")[2]
    log = site / "logs" / "access.jsonl"
    damaged = path_of(log, DAY, 1, FileFormat.GZIP)
    assert f"{damaged.name} > saved" in saving
    damaged.write_bytes(COMPRESSED["cut off"](gzip.compress(lines(0))))
    (site.parent / "backups" / "site").mkdir(parents=True)
    assert report(log, since=DAY, until=DAY)["unreadable_files"]
    (site / "logs" / "access.jsonl.erased").write_text("")
    shell(saving, site)
    made = report(log, since=DAY, until=DAY)
    assert made["unreadable_files"] == []
    assert made["views"] > 20
    assert FileFormat.PARQUET in {source.file_format for source in sources(log)}


# To a database.


@pytest.mark.server
def test_records_and_proofs_are_in_the_database(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sample, "_VISITORS", 60)
    sample.write(tmp_path)
    Visitor(install(ledger="sqlite:///consent.db")).accept()
    for block in blocks(MOVE, "console"):
        assert main(shlex.split(block.replace(ADDRESS, postgres_url))[2:]) == 0
    (code,) = blocks(MOVE, "python")
    for _ in range(2):  # it may be run again
        run(code.replace(ADDRESS, postgres_url))
    assert main(["export", "--access-log", postgres_url, "--format", "jsonl", "--out", "moved.jsonl"]) == 0
    before, moved = ({*Path(name).read_text("utf-8").splitlines()} for name in ("records.jsonl", "moved.jsonl"))
    assert len(before) > 100
    assert moved == before
    capsys.readouterr()
    assert main(["verify", "--ledger", postgres_url]) == 0
    assert capsys.readouterr().out.startswith("All fits: 1 record, ")


# Alerts.


@pytest.mark.full_matrix
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_that_alerts_are_raised_when_they_should(tmp_path: Path) -> None:
    tests = tmp_path / "tests.yml"
    tests.write_text(ALERT_TESTS.read_text("utf-8").replace("ALERTS", str(ALERTS)), "utf-8")
    for command in (["check", "rules", str(ALERTS)], ["test", "rules", str(tests)]):
        done = subprocess.run([str(PROMTOOL), *command], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_name_metrics_that_are_exported_and_are_explained_and_tested() -> None:
    registry = CollectorRegistry()
    registry.register(SinkCollector(MemorySink()))
    registry.register(HeldCookieCollector())
    exported = re.findall(r"^(cookie_consent_\w+)[ {]", generate_latest(registry).decode(), re.MULTILINE)
    rules = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]
    assert {name for rule in rules for name in re.findall(r"cookie_consent_\w+", rule["expr"])} <= {*exported}
    names = [rule["alert"] for rule in rules]
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / PAGE).read_text("utf-8"), re.MULTILINE)
    assert [name for name in table if name in names] == names
    assert set(re.findall(r"alertname: (\w+)", ALERT_TESTS.read_text("utf-8"))) == set(names)


@pytest.mark.server
def test_documented_metrics_add_up_workers(tmp_path: Path) -> None:
    (code,) = blocks(PAGE, "python")
    (command,) = [line for block in blocks(PAGE, "console") for line in commands(block)]
    assert command == ["PROMETHEUS_MULTIPROC_DIR=/run/site/metrics", "uvicorn", "app:app", "--workers", "4"]
    (tmp_path / "logs").mkdir()
    check_workers_are_added_up(tmp_path, code.replace("logs/", f"{tmp_path}/logs/"))


# nginx.


@pytest.mark.full_matrix
@needs_nginx
@pytest.mark.server
def test_documented_nginx_site_serves_and_keeps_nothing_personal(tmp_path: Path) -> None:
    (config,) = blocks(PAGE, "nginx")
    config = re.sub(r"^ *listen \[::\].*\n", "", config, flags=re.MULTILINE)  # not each machine has IPv6
    pem, key = certificate(tmp_path)
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "site.css").write_text("body { color: black }")
    plain, tls = free_port(), free_port()
    with served("live_site:site", "--proxy-headers", "--forwarded-allow-ips=127.0.0.1") as app:
        for documented, here in {
            "listen 80": f"listen {plain}",
            "listen 443": f"listen {tls}",
            "/etc/ssl/example.jp.pem": str(pem),
            "/etc/ssl/example.jp.key": str(key),
            "/var/log/nginx": str(tmp_path),
            "/srv/site": str(tmp_path),
            "127.0.0.1:8000": f"127.0.0.1:{app}",
        }.items():
            assert documented in config
            config = config.replace(documented, here)
        with proxied(tmp_path, config):
            redirect, static, refused = visit(plain, tls)
    assert (redirect.status_code, redirect.headers["location"]) == (301, "https://example.jp/?name=anna")
    assert (static.status_code, static.headers["cache-control"]) == (200, "max-age=3600")
    assert refused.json()["status"] == "refused"
    assert "__Host-consent" in refused.headers["set-cookie"], "the app knows that it is https"
    logged = (tmp_path / "example.jp.log").read_text()
    assert re.search(r'^127\.0\.0\.0 \[[^]]+\] "POST /privacy-choices" 200 \d+$', logged, re.MULTILINE)
    assert not re.search("anna|Browser/1|127\\.0\\.0\\.1", logged)
    assert (tmp_path / "example.jp.error.log").read_text() == ""


def visit(plain: int, tls: int) -> list[httpx.Response]:
    """Ask for the redirect, a file, and refuse, as soon as the app answers."""
    headers = {"host": "example.jp", "user-agent": "Browser/1", "referer": "https://anna.example/"}
    with httpx.Client(verify=False, headers=headers, timeout=60) as client:  # noqa: S501 (a certificate of the test)
        site = f"https://127.0.0.1:{tls}"
        wait_until(lambda: client.get(site).status_code != 502, ignoring=(httpx.TransportError,))
        redirect = client.get(f"http://127.0.0.1:{plain}/?name=anna")
        static = client.get(f"{site}/static/site.css?name=anna")
        answer = {"json": {"choice": "refuse_all"}, "headers": {"origin": "https://example.jp"}}
        return [redirect, static, client.post(f"{site}/privacy-choices?name=anna", **answer)]  # type: ignore[arg-type]


@pytest.mark.full_matrix
@needs_nginx
@pytest.mark.server
def test_nginx_takes_the_logs_of_the_page_on_other_logs(tmp_path: Path) -> None:
    masked, told = blocks("docs/other-logs.md", "nginx")
    logs = re.sub("^access_log.*\n", "", masked, flags=re.MULTILINE) + told.replace("/var/log/nginx", str(tmp_path))
    config = tmp_path / "nginx.conf"
    config.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{logs}\n}}\n", encoding="utf-8")
    subprocess.run(["nginx", "-t", "-c", str(config), "-p", str(tmp_path)], check=True, timeout=60)
