"""Tests that a site with a wrong setup does not serve, with each server and the one line of the README."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import Message

from cookie_consent import ConsentMiddleware, PolicyError
from tests.support.servers.processes import free_port, kill_process_group, process_group_options

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
POLICY = """
[site]
name = "Example"
controller = "Example Co., Ltd."
contact = "privacy@example.jp"
prevailing_language = "en"
languages = ["en"]

[purposes.analytics]
title = { en = "Access tracing" }
description = { en = "We count visits." }
retention = "395 days"
"""
WRONG = f"{POLICY}traced = true\n"
RIGHT = f"{POLICY}traces = true\n"
ADVICE = 'consent.toml: [purposes.analytics] key "traced": there is no key "traced" here. Did you mean "traces"?'
APP = """
from starlette.applications import Starlette
from cookie_consent import ConsentMiddleware

app = Starlette()
app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=["k" * 32]{options})
"""
WRAPPED = """
from starlette.applications import Starlette
from cookie_consent import ConsentMiddleware

app = ConsentMiddleware(Starlette(), policy="consent.toml", secret_keys=["k" * 32]{options})
"""
SERVERS = {
    "uvicorn": ["uvicorn", "--port", "{port}", "app:app"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", "app:app"],
    "granian": ["granian", "--interface", "asgi", "--port", "{port}", "app:app"],
    "gunicorn": [
        *("gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket"),
        *("--worker-class", "uvicorn_worker.UvicornWorker", "app:app"),
    ],
}
OFFERED = [
    *("uvicorn", "hypercorn"),
    *(pytest.param(server, marks=pytest.mark.full_matrix) for server in ("granian", "gunicorn")),
]
LONGEST_WAIT = 60.0


def start(folder: Path, server: str, policy: str, options: str = "", app: str = APP) -> tuple[bool, str]:
    """Start a site; return whether the server ended by itself, and its output."""
    (folder / "consent.toml").write_text(policy, encoding="utf-8")
    (folder / "app.py").write_text(app.format(options=options), encoding="utf-8")
    command = [sys.executable, "-m", *(word.replace("{port}", str(free_port())) for word in SERVERS[server])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, env=env, **process_group_options()
    )
    try:
        return True, process.communicate(timeout=LONGEST_WAIT)[0].decode()
    except subprocess.TimeoutExpired:
        kill_process_group(process)
        return False, process.communicate(timeout=60)[0].decode()
    finally:
        kill_process_group(process)


@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize("server", OFFERED)
def test_invalid_policy_stops_the_server_with_advice(server: str, tmp_path: Path) -> None:
    ended, output = start(tmp_path, server, WRONG)
    assert ended, output
    assert ADVICE in output
    assert "startup complete" not in output


@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize("server", OFFERED)
def test_missing_extra_stops_the_server_with_advice(server: str, tmp_path: Path) -> None:
    missing = 'raise ModuleNotFoundError("No module named \'sqlalchemy\'", name="sqlalchemy")'
    (tmp_path / "sqlalchemy.py").write_text(missing, encoding="utf-8")
    ended, output = start(tmp_path, server, RIGHT, ', ledger="sqlite:///consent.db"')
    assert ended, output
    assert 'pip install "cookie-consent[sql]"' in output
    assert "startup complete" not in output


@pytest.mark.parametrize(("app", "lines"), [(APP, 4), (WRAPPED, 1)])
def test_message_comes_last_and_without_a_traceback(app: str, lines: int, tmp_path: Path) -> None:
    _, output = start(tmp_path, "uvicorn", WRONG, app=app)
    assert len(output.splitlines()) == lines, output
    assert ADVICE in output
    assert "Traceback" not in output


def test_error_that_no_message_explains_keeps_its_traceback(tmp_path: Path) -> None:
    _, output = start(tmp_path, "uvicorn", RIGHT, ")\nprint(1 / 0", app=WRAPPED)
    assert "Traceback" in output
    assert output.splitlines()[-1] == "ZeroDivisionError: division by zero"


def wrong_policy(folder: Path) -> Path:
    path = folder / "consent.toml"
    path.write_text(WRONG, encoding="utf-8")
    return path


def site(folder: Path, middleware_class: Any = ConsentMiddleware) -> Starlette:
    app = Starlette()
    app.add_middleware(middleware_class, policy=wrong_policy(folder), secret_keys="k" * 32)
    return app


def test_error_that_ends_python_is_its_message_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PolicyError) as error:
        ConsentMiddleware(Starlette(), policy=wrong_policy(tmp_path), secret_keys="k" * 32)
    sys.excepthook(error.type, error.value, error.tb)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cookie_consent.policy.errors.PolicyError: ")
    assert ADVICE in line


def test_call_that_python_refuses_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError) as error:
        ConsentMiddleware(Starlette())  # type: ignore[call-arg]
    sys.excepthook(error.type, error.value, error.tb)
    assert "Traceback" in capsys.readouterr().err


class Subclass(ConsentMiddleware):
    """A middleware of a site's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


@pytest.mark.parametrize("middleware_class", [ConsentMiddleware, Subclass])
def test_test_client_raises_the_policy_error(middleware_class: type, tmp_path: Path) -> None:
    app = site(tmp_path, middleware_class)
    with pytest.raises(PolicyError, match="traced"), TestClient(app):
        pass
    depths = []
    for _ in range(3):
        with pytest.raises(PolicyError, match="traced") as error:  # without a server's start, each request raises
            TestClient(app).get("/")
        depths.append(len(error.traceback))
    assert len(set(depths)) == 1


def test_constructor_raises_the_policy_error(tmp_path: Path) -> None:
    for middleware_class in (ConsentMiddleware, Subclass):
        with pytest.raises(PolicyError, match="traced"):
            middleware_class(Starlette(), policy=wrong_policy(tmp_path), secret_keys="k" * 32)


def test_missing_policy_file_stops_the_start_with_the_command_that_writes_one(tmp_path: Path) -> None:
    app, sent = Starlette(), list[Message]()
    app.add_middleware(ConsentMiddleware, policy=tmp_path / "none.toml", secret_keys="k" * 32)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(FileNotFoundError):
        asyncio.run(app({"type": "lifespan", "state": {}}, receive, send))
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert sent[0]["message"].startswith(f"FileNotFoundError: [Errno 2] No such file or directory: '{tmp_path}")
    assert sent[0]["message"].endswith("none.toml` writes a policy file.")
