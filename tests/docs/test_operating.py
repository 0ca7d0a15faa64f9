"""Tests of the page on operating: its jobs, backup, restore, alerts and nginx site."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
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
from tests.support.asgi import PREFIX
from tests.support.documentation import ROOT, blocks, commands
from tests.support.servers.processes import free_port
from tests.support.sink_lines import record
from tests.whole.test_behind_a_proxy import certificate, needs_nginx, proxied, served

PAGE = "docs/operating.md"
ALERTS, ALERT_TESTS = ROOT / "docs" / "operating" / "alerts.yml", ROOT / "tests" / "docs" / "alerts_test.yml"
PROMTOOL = shutil.which("promtool")
DAY = date(2026, 11, 25)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the folder of a site with a ledger, and records of two visitors."""
    folder = tmp_path / "site"
    (folder / "logs").mkdir(parents=True)
    finished = starter().replace('"Example ', '"Village ').replace("example.com", "village.jp")
    (folder / "consent.toml").write_text(finished, "utf-8")
    open_ledger(f"sqlite:///{folder}/consent.db").close()
    log = JsonLinesSink(folder / "logs" / "access.jsonl")
    for number, visitor in enumerate(("one", "two", "one")):
        log.write(json.dumps(record(number, visitor)).encode() + b"\n")
    log.close()
    return folder


def shell(block: str, site: Path) -> str:
    """Run a block with the folders of a test in place of the documented ones; return its output."""
    programs = site.parent / "programs"
    programs.mkdir(exist_ok=True)
    if not shutil.which("sqlite3"):
        (programs / "sqlite3").write_text(
            f"#!{sys.executable}\nimport sqlite3, sys\nsqlite3.connect(sys.argv[1]).execute(sys.argv[2])\n"
        )
        (programs / "sqlite3").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-ec", here(block, site)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def here(block: str, site: Path) -> str:
    return block.replace("/srv/site", str(site)).replace("/var/backups", str(site.parent / "backups"))


def visitors(site: Path) -> list[str]:
    log = JsonLinesSink(site / "logs" / "access.jsonl")
    return [visitor for visitor in ("one", "two") if [*log.read(visitor)]]


def sh_blocks() -> list[str]:
    return blocks(PAGE, "sh")


# At night.


def ours(command: list[str]) -> list[str]:
    assert Path(command[0]).name == "cookie-consent"
    return command[1:]


def settings(unit: str) -> dict[str, list[tuple[str, str]]]:
    """Return the sections of a unit of systemd, which may have a key several times."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for line in unit.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
        elif line:
            name, _, value = line.partition("=")
            section.append((name, value))
    return sections


def cron_jobs(table: str) -> list[list[str]]:
    """Return the commands of a crontab."""
    jobs = []
    for line in table.splitlines():
        found = re.fullmatch(r"(?:[\d*/,-]+ ){5}cd /srv/site && (?:nice )?\.venv/bin/(cookie-consent [^%]*)", line)
        assert found, line
        jobs.append(ours(shlex.split(found[1])))
    return jobs


def test_jobs_of_cron_and_systemd_are_the_same_and_run(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site)
    service, timer = map(settings, blocks(PAGE, "ini"))
    by_systemd = [ours(shlex.split(value)) for name, value in service["Service"] if name == "ExecStart"]
    nightly = cron_jobs(blocks(PAGE, "text")[0])
    assert nightly == by_systemd
    assert [main(command) for command in nightly] == [0, 0]
    assert {("Type", "oneshot"), ("WorkingDirectory", "/srv/site")} < {*service["Service"]}
    assert timer["Install"] == [("WantedBy", "timers.target")]
    assert re.fullmatch(r"\*-\*-\* \d\d:\d\d:\d\d", dict(timer["Timer"])["OnCalendar"])


def test_policy_is_checked_before_an_upgrade(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site)
    (command,) = [line.strip() for line in (ROOT / PAGE).read_text("utf-8").splitlines() if "$ cookie-consent" in line]
    assert main(ours(shlex.split(command.removeprefix("$ ")))) == 0


# Backups.


def test_restored_backup_has_nobody_who_was_erased(site: Path) -> None:
    backup, restore, _ = sh_blocks()
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


def test_readable_part_of_a_damaged_file_is_saved(site: Path) -> None:
    log = site / "logs" / "access.jsonl"
    damaged = path_of(log, DAY, 1, FileFormat.GZIP)
    assert f"{damaged.name} > saved" in sh_blocks()[2]
    damaged.write_bytes(COMPRESSED["cut off"](gzip.compress(lines(0))))
    (site.parent / "backups" / "site").mkdir(parents=True)
    assert report(log, since=DAY, until=DAY)["unreadable_files"]
    (site / "logs" / "access.jsonl.erased").write_text("")
    shell(sh_blocks()[2], site)
    made = report(log, since=DAY, until=DAY)
    assert (made["unreadable_files"], made["views"] > 20) == ([], True)
    assert FileFormat.PARQUET in {source.file_format for source in sources(log)}


# Alerts.


@pytest.mark.full_matrix
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_that_alerts_are_raised_when_they_should(tmp_path: Path) -> None:
    tests = tmp_path / "tests.yml"
    tests.write_text(ALERT_TESTS.read_text("utf-8").replace("ALERTS", str(ALERTS)), "utf-8")
    assert PROMTOOL
    for command in (["check", "rules", str(ALERTS)], ["test", "rules", str(tests)]):
        done = subprocess.run([PROMTOOL, *command], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_name_metrics_that_are_exported_and_are_explained_and_tested() -> None:
    registry = CollectorRegistry()
    registry.register(SinkCollector(MemorySink()))
    registry.register(HeldCookieCollector())
    exported = generate_latest(registry).decode()
    rules = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]
    for rule in rules:
        (name,) = re.findall(r"cookie_consent_\w+", rule["expr"])
        assert re.search(rf"^{name}[ {{]", exported, re.MULTILINE), name
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / PAGE).read_text("utf-8"), re.MULTILINE)
    names = [rule["alert"] for rule in rules]
    assert [name for name in table if name in names] == names
    tested = re.findall(r"alertname: (\w+)", ALERT_TESTS.read_text("utf-8"))
    assert set(tested) == set(names)


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
    pem, key = certificate(tmp_path)
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "site.css").write_text("body { color: black }")
    plain, tls = free_port(), free_port()
    with served(tmp_path, "--proxy-headers", "--forwarded-allow-ips=127.0.0.1") as app:
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
        for port, free in (("80", plain), ("443", tls)):
            config = config.replace(f"[::]:{port}", f"[::]:{free}") if has_ipv6() else without_ipv6(config, port)
        with proxied(tmp_path, config):
            responses = visit(plain, tls)
    redirect, static, refused = responses
    assert (redirect.status_code, redirect.headers["location"]) == (301, "https://example.jp/?name=anna")
    assert (static.status_code, static.headers["cache-control"]) == (200, "max-age=3600")
    assert refused.json()["status"] == "refused"
    assert "__Host-consent" in refused.headers["set-cookie"], "the app knows that it is https"
    logged = (tmp_path / "example.jp.log").read_text()
    assert re.search(rf'^127\.0\.0\.0 \[[^]]+\] "POST {PREFIX}" 200 \d+$', logged, re.MULTILINE)
    assert not re.search("anna|Browser/1|127\\.0\\.0\\.1", logged)
    assert (tmp_path / "example.jp.error.log").read_text() == ""


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as attempt:
            attempt.bind(("::1", 0))
    except OSError:
        return False
    return True


def without_ipv6(config: str, port: str) -> str:
    return re.sub(rf"^ *listen \[::\]:{port}[^;]*;\n", "", config, flags=re.MULTILINE)


def visit(plain: int, tls: int) -> list[httpx.Response]:
    """Ask for the redirect, a file, and refuse."""
    headers = {"host": "example.jp", "user-agent": "Browser/1", "referer": "https://anna.example/"}
    end = time.monotonic() + 60
    with httpx.Client(verify=False, headers=headers, timeout=60) as client:  # noqa: S501 (a certificate of the test)
        while True:
            try:
                refused = client.post(
                    f"https://127.0.0.1:{tls}{PREFIX}?name=anna",
                    json={"choice": "refuse_all"},
                    headers={"origin": "https://example.jp"},
                )
            except httpx.TransportError:
                refused = httpx.Response(502)
            if refused.status_code != 502 or time.monotonic() > end:
                break
            time.sleep(0.1)
        redirect = client.get(f"http://127.0.0.1:{plain}/?name=anna")
        static = client.get(f"https://127.0.0.1:{tls}/static/site.css?name=anna")
    return [redirect, static, refused]
