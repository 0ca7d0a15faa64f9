"""Tests of the start: a site with a wrong setup does not serve, and the log says what to do."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import math
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from mypy import api
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from cookie_consent import ConsentMiddleware, Policy, PolicyError, gone
from cookie_consent.cli import main
from cookie_consent.sinks import open_sink
from tests.support.asgi import SITE, Visitor, drive, install, policy, reply_app
from tests.support.policies import KEY
from tests.support.servers.processes import free_port, kill_process_group, process_group_options

ROOT = Path(__file__).parents[2]
WRONG_POLICY = SITE.replace("traces = true", "traced = true")
ADVICE = 'consent.toml: [purposes.analytics] key "traced": there is no key "traced" here. Did you mean "traces"?'
ADDED = """
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


def write_policy(folder: Path, text: str = SITE) -> Path:
    file = folder / "consent.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_one_line_installs_the_middleware(tmp_path: Path) -> None:
    async def home(request: Request) -> Response:
        consent = request.state.consent
        return JSONResponse([consent.status, consent.allows("analytics"), consent.should_ask, dict(consent.purposes)])

    app = Starlette(routes=[Route("/", home)])
    app.add_middleware(ConsentMiddleware, policy=str(write_policy(tmp_path)), secret_keys=[KEY])
    visitor = Visitor(app)
    assert visitor.get().json == ["unknown", False, True, {"necessary": True, "analytics": False, "media": False}]
    visitor.accept()
    assert visitor.get().json == ["granted", True, False, {"necessary": True, "analytics": True, "media": True}]


# With a server.


@pytest.mark.server
@pytest.mark.parametrize(
    ("server", "app", "text", "options", "advice", "lines"),
    [
        ("uvicorn", ADDED, WRONG_POLICY, "", ADVICE, 4),
        ("uvicorn", WRAPPED, WRONG_POLICY, "", ADVICE, 1),
        ("uvicorn", ADDED, SITE, ', ledger="sqlite:///consent.db"', 'pip install "cookie-consent[sql]"', 5),
        ("hypercorn", ADDED, WRONG_POLICY, "", ADVICE, None),
        pytest.param("granian", ADDED, WRONG_POLICY, "", ADVICE, None, marks=pytest.mark.full_matrix),
        pytest.param("gunicorn", ADDED, WRONG_POLICY, "", ADVICE, None, marks=pytest.mark.full_matrix),
        ("uvicorn", WRAPPED, SITE, ")\nprint(1 / 0", "ZeroDivisionError: division by zero", None),
    ],
    ids=["uvicorn", "wrapped", "no SQLAlchemy", "hypercorn", "granian", "gunicorn", "bug"],
)
def test_wrong_setup_ends_the_server_with_advice(
    server: str, app: str, text: str, options: str, advice: str, lines: int | None, tmp_path: Path
) -> None:
    write_policy(tmp_path, text)
    (tmp_path / "app.py").write_text(app.format(options=options), encoding="utf-8")
    missing = 'raise ModuleNotFoundError("No module named \'sqlalchemy\'", name="sqlalchemy")'
    (tmp_path / "sqlalchemy.py").write_text(missing, encoding="utf-8")
    command = [sys.executable, "-m", *(word.replace("{port}", str(free_port())) for word in SERVERS[server])]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        **process_group_options(),
    )
    try:
        output = process.communicate(timeout=60)[0].decode()
    finally:
        kill_process_group(process)
    assert advice in output
    assert "startup complete" not in output
    # Only an error that no message explains has a traceback.
    assert lines is None or ("Traceback" not in output and len(output.splitlines()) == lines), output
    assert "1 / 0" not in options or "Traceback" in output


class Subclass(ConsentMiddleware):
    """A middleware of a site's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


@pytest.mark.parametrize("middleware_class", [ConsentMiddleware, Subclass])
def test_test_client_and_constructor_raise_the_policy_error(middleware_class: Any, tmp_path: Path) -> None:
    file = write_policy(tmp_path, WRONG_POLICY)
    with pytest.raises(PolicyError, match="traced"):
        middleware_class(Starlette(), policy=file, secret_keys=KEY)
    app = Starlette()
    app.add_middleware(middleware_class, policy=file, secret_keys=KEY)
    with pytest.raises(PolicyError, match="traced"), TestClient(app):
        pass
    depths = set()
    for _ in range(3):
        with pytest.raises(PolicyError, match="traced") as error:  # without a server's start, each request raises
            TestClient(app).get("/")
        depths.add(len(error.traceback))
    assert len(depths) == 1


def test_error_that_ends_python_is_its_message_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PolicyError) as wrong:
        ConsentMiddleware(Starlette(), policy=write_policy(tmp_path, WRONG_POLICY), secret_keys=KEY)
    sys.excepthook(wrong.type, wrong.value, wrong.tb)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cookie_consent.policy.errors.PolicyError: ")
    assert ADVICE in line
    with pytest.raises(TypeError) as bug:
        ConsentMiddleware(Starlette())  # type: ignore[call-arg]
    sys.excepthook(bug.type, bug.value, bug.tb)
    assert "Traceback" in capsys.readouterr().err


def test_missing_policy_file_stops_the_start_with_the_command_that_writes_one(tmp_path: Path) -> None:
    app = Starlette()
    app.add_middleware(ConsentMiddleware, policy=tmp_path / "none.toml", secret_keys=KEY)
    sent: list[Any] = []
    start = drive(app, {"type": "lifespan", "state": {}}, [{"type": "lifespan.startup"}], sent.append)
    with pytest.raises(FileNotFoundError):
        asyncio.run(start)
    (message,) = sent
    assert message["type"] == "lifespan.startup.failed"
    assert re.match(
        rf"FileNotFoundError: .* '{tmp_path}.*none.toml` writes a policy file\.$", message["message"], re.DOTALL
    )


# What is loaded.


SERVE = """
import asyncio, json, sys
from cookie_consent import ConsentMiddleware

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<!doctype html><html><head></head><body>x</body></html>"})

async def ask(site, method, path, body, *headers):
    fields = [(b"host", b"site.example"), (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"), *headers]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "scheme": "https", "headers": fields}
    async def receive():
        return {"type": "http.request", "body": body}
    async def send(message):
        statuses.append(message.get("status"))
    await site(scope, receive, send)

async def main():
    site = ConsentMiddleware(app, sys.argv[1], "k" * 40, **json.loads(sys.argv[2]))
    before, page = {*sys.modules}, (b"accept", b"text/html")
    sys.addaudithook(note_read)
    json_fields = ((b"content-type", b"application/json"), (b"sec-fetch-site", b"same-origin"))
    for path in ("/", "/", "/privacy-choices", "/privacy-choices/state"):
        await ask(site, "GET", path, b"", page)
    await ask(site, "POST", "/privacy-choices", b'{"choice": "accept_all"}', *json_fields)
    late = [name for name in read if name.endswith((".html", ".dat"))]  # templates, and what Babel knows of a language
    loaded = [name for name in {*sys.modules} - before if not name.startswith(("anyio.", "encodings."))]
    print(json.dumps([sorted(before), loaded + late, [status for status in statuses if status]]))

def note_read(event, given):
    if event in ("compile", "open"):
        read.append(str(given[event == "compile"]))

read, statuses = [], []
asyncio.run(main())
"""
HEAVY = {"duckdb", "sqlalchemy", "psycopg", "clickhouse_connect", "opentelemetry", "prometheus_client"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "heavy"),
    [({}, set()), ({"access_log": "access.jsonl", "ledger": "sqlite:///consent.db"}, {"sqlalchemy"})],
)
def test_start_loads_all_that_requests_need_and_no_more(
    options: dict[str, Any], heavy: set[str], tmp_path: Path
) -> None:
    """In the event loop of the first request, anyio loads what it needs there."""
    command = [sys.executable, "-W", "error", "-c", SERVE, str(write_policy(tmp_path)), json.dumps(options)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    loaded, late, statuses = json.loads(done.stdout)
    assert HEAVY & {*loaded} == heavy
    assert (late, statuses) == ([], [200] * 5)


# Options.


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"prefix": "privacy"}, "without a slash at its end"),
    ({"prefix": "/privacy/"}, "without a slash at its end"),
    ({"prefix": ""}, "without a slash at its end"),
    ({"prefix": "/"}, "without a slash at its end"),
    ({"prefix": "//privacy"}, "without a slash at its end"),
    ({"prefix": "/a?b"}, "without a slash at its end"),
    ({"prefix": "/a#b"}, "without a slash at its end"),
    ({"prefix": "/a b"}, "without a slash at its end"),
    ({"undeclared": "drop"}, 'Write "hold" or "allow"'),
    ({"undeclared": None}, 'Write "hold" or "allow"'),
    ({"layout": "popup"}, "Write one of: corner, bar, modal"),
    ({"layout": ["corner", "top"]}, "Write one of: corner, bar, modal"),
    ({"layout": None}, "Write one of: corner, bar, modal"),
    ({"inject": "yes"}, "inject: .* Write True, False, a list"),
    ({"settings_link": 1}, "settings_link: .* Write True or False"),
    ({"csp": "on"}, 'csp: .* Write None or "enforce"'),
    ({"csp": True}, 'csp: .* Write None or "enforce"'),
    ({"language": "en"}, 'language: .* Write "path", or a function that takes a request'),
    ({"language": True}, 'language: .* Write "path", or a function that takes a request'),
    ({"language": ["en", "ja"]}, 'language: .* Write "path", or a function that takes a request'),
    ({"ledger": "consent.db"}, "sqlite:///consent"),
    ({"access_log": "http://x/"}, "JSON Lines"),
    ({"secret_keys": "short"}, "at least 32 characters"),
    ({"secret_keys": []}, "at least 32 characters"),
    ({"secret_keys": ["short", KEY]}, "at least 32 characters"),
    ({"cookie_prefix": "a b"}, "cookie_prefix: 'a b' is not valid. Write one like"),
    ({"consent_days": 401}, "at most 400 days"),
    ({"consent_days": 0}, "at most 400 days"),
    ({"inject": ["docs*"]}, "inject: .* Write a path"),
    ({"server_logs": True}, 'server_logs: .* Write "mask", "drop" or "keep"'),
    ({"app": "app"}, "app: 'app' is not valid. It is the ASGI app"),
    ({"policy": 5}, "policy: 5 is not valid. Write a Policy, or the path of a TOML file"),
    ({"clock": 0}, "clock: 0 is not valid. It returns seconds since 1970"),
    ({"desk": 7}, "desk: <class 'int'> is not valid. Write a function"),
    ({"desk": print, "ledger": None}, "ledger: None is not valid. Write one that keeps the requests for desk="),
    ({"country": "CF IPCountry"}, "country: .* Write the name of a header field"),
    ({"country": "CF-IPCountry"}, "country: nothing depends on it"),
    ({"shared_pages": "yes"}, "shared_pages: .* Write True or False"),
    ({"shared_pages": True, "inject": False}, "shared_pages: the question has to be in the pages"),
    ({"consent_days": "180"}, "consent_days: .* Write a number of days"),
    ({"consent_days": math.nan}, "consent_days: .* Write a number of days"),
    ({"query_keys": "utm_*"}, "query_keys: .* Write a list of names"),  # split into letters, its * would keep every key
    ({"query_keys": [b"utm_*"]}, "query_keys: .* Write a list of names"),
    ({"history": "old.toml"}, "history: .* Write a list of files or policies"),
    ({"history": 5}, "history: .* Write a list of files or policies"),
    ({"ledger": Path("consent.db")}, "ledger: .* is no Ledger"),
    ({"ledger": object()}, "ledger: .* is no Ledger"),
    ({"access_log": 5}, "access_log: 5 is no Sink"),
]
OPTIONS = list(inspect.signature(ConsentMiddleware.__init__).parameters)[1:]


@pytest.mark.parametrize(("options", "advice"), WRONG)
def test_invalid_argument_stops_startup_and_leaves_nothing_open(
    options: dict[str, Any], advice: str, tmp_path: Path
) -> None:
    right = {"app": reply_app(), "policy": policy(), "secret_keys": [KEY], "ledger": f"sqlite:///{tmp_path}/kept.db"}
    threads = set(threading.enumerate())  # Those of other tests may end meanwhile, and repeat an erasure.
    with pytest.raises(ValueError, match=advice):
        ConsentMiddleware(**{**right, "access_log": tmp_path / "access.jsonl", **options})
    more = {thread for thread in threading.enumerate() if not thread.name.startswith("consent-erasing")} - threads
    assert (list(tmp_path.iterdir()), more) == ([], set())


def test_every_argument_is_validated() -> None:
    assert {name for options, _ in WRONG for name in options} == set(OPTIONS)


def test_arguments_are_documented_in_signature_order() -> None:
    documented = inspect.getdoc(ConsentMiddleware) or ""
    arguments = documented.partition("\nArgs:\n")[2].partition("\nRaises:\n")[0]
    assert re.findall(r"^    (\w+):", arguments, re.MULTILINE) == OPTIONS


def test_tracing_purpose_without_retention_stops_startup(tmp_path: Path) -> None:
    file = write_policy(tmp_path, SITE.replace('retention = "30 days"\n', ""))
    wanted = r'\[purposes\.analytics\] key "retention": .* how long its records are kept. Write "395 days" or less'
    with pytest.raises(PolicyError, match=r"consent\.toml: " + wanted):
        ConsentMiddleware(reply_app(), file, KEY)
    with pytest.raises(PolicyError, match="^" + wanted):
        ConsentMiddleware(reply_app(), Policy.load(file), KEY)
    visitor = Visitor(install(history=[file]))  # an earlier version may lack the retention
    visitor.accept()
    assert visitor.state()["status"] == "granted"


@pytest.mark.slow
@pytest.mark.one_python
def test_type_checker_finds_what_the_start_would_refuse(tmp_path: Path) -> None:
    calls = [
        f'app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys="x", {option}="{value}")'
        for option, values in {
            "layout": ("bar", "cornr"),
            "csp": ("enforce", "enforced"),
            "undeclared": ("allow", "holds"),
            "server_logs": ("drop", "masked"),
        }.items()
        for value in values
    ]
    path = tmp_path / "site.py"
    head = ADDED.partition("app.add")[0].splitlines()
    path.write_text("\n".join([*head, *calls]), encoding="utf-8")
    # With the cache of `make types`: to read the package and all that it imports takes ten seconds.
    said, problems, _ = api.run(["--strict", "--no-error-summary", str(path)])
    found = re.findall(r':(\d+): error: Argument "\w+" .* expected "Literal\[', said)
    assert ([int(line) - len(head) for line in found], problems) == ([2, 4, 6, 8], ""), said


ROWS = {
    **{("option", name): instead for name, instead in gone.OPTIONS.items()},
    **{("policy", name): instead for name, instead in gone.POLICY_NAMES.items()},
    **{("command", name): instead for name, instead in gone.COMMANDS.items()},
    **{("scheme", name): instead for name, instead in gone.SCHEMES.items()},
}


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_name_that_is_gone_is_an_error_that_says_what_to_do(
    kind: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use: dict[str, Any] = {
        "option": lambda: ConsentMiddleware(reply_app(), policy(), KEY, **{name: None}),  # type: ignore[arg-type]
        "policy": lambda: Policy.load(write_policy(tmp_path, f"{SITE}\n[{name}]\n")),
        "command": lambda: main(name.split()),
        "scheme": lambda: open_sink(f"{name}://host/place"),
    }
    with pytest.raises((ValueError, SystemExit)) as error:
        use[kind]()
    said = f"{error.value} {capsys.readouterr().err}"
    assert f"gone. {ROWS[kind, name]}" in " ".join(said.split())


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({}, ' csp="enforce" has browsers hold back the rest.'),
        ({"shared_pages": True}, ""),
        ({"csp": "enforce"}, None),
    ],
)
def test_start_says_that_pages_load_from_recipients_before_anybody_answers(
    options: dict[str, Any], remedy: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "cookie_consent.policy")
    install(text=SITE.replace('origins = ["https://maps.example.com"]\n', ""), **options)
    assert "What pages load" not in caplog.text
    install(**options)
    said = [line for line in caplog.messages if line.startswith("What pages load")]
    waits = 'What pages load from "Maps Inc." waits for an answer only where data-purpose marks it (docs/gated.md).'
    assert said == ([] if remedy is None else [waits + remedy])


# Places that cannot be written.


AS_NOBODY = """
import json, os, sys
from pathlib import Path
from cookie_consent import ConsentMiddleware, Policy

def app(scope, receive, send): ...

folder, policy = Path(sys.argv[1]), Policy.load(sys.argv[2])
ConsentMiddleware(app, policy, "k" * 40, access_log=folder / "kept.jsonl", ledger=f"sqlite:///{folder}/open/kept.db")
(folder / "kept.jsonl").touch()
for place, mode in (("kept.jsonl", 0o444), ("open/kept.db", 0o444), ("open", 0o777), (".", 0o555)):
    (folder / place).chmod(mode)
user = os.geteuid()
if user == 0:  # may write everywhere
    os.chown(folder / "open/kept.db", 65534, -1)
    os.seteuid(65534)
said = {}
for path in ("kept.jsonl", "logs/access.jsonl", "open/kept.db", "new/consent.db"):
    is_log = path.endswith("jsonl")
    options = {"access_log": folder / path} if is_log else {"ledger": f"sqlite:///{folder}/{path}"}
    try:
        ConsentMiddleware(app, policy, "k" * 40, **options)
    except ValueError as error:
        said[path] = str(error)
os.seteuid(user)  # who measures coverage writes at the end
print(json.dumps(said))
"""


@pytest.mark.slow
def test_records_where_this_user_may_not_write_stop_the_start(tmp_path: Path) -> None:
    with TemporaryDirectory() as folder:  # pytest lets no other user into its own
        command = [sys.executable, "-c", AS_NOBODY, folder, str(write_policy(tmp_path))]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ}, timeout=60)
        Path(folder).chmod(0o755)
    said = json.loads(done.stdout)
    remedy = "Name another place, or let the user of the server write there."
    for path, option in (("kept.jsonl", "access_log"), ("logs/access.jsonl", "access_log"), ("open/kept.db", "ledger")):
        assert said[path] == f"{option}: {folder}/{path} cannot be written: Permission denied. {remedy}"
    assert f"ledger: {folder}/new/consent.db cannot be used as an SQLite file" in said["new/consent.db"]


@pytest.mark.parametrize(("option", "name"), [("access_log", "{}"), ("ledger", "sqlite:///{}")])
@pytest.mark.parametrize("place", ["folder", "file/logs/kept"])
def test_records_in_what_is_no_file_stop_the_start(option: str, name: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=rf"{option}: {tmp_path / place} cannot be (written|used as an SQLite file): "):
        ConsentMiddleware(reply_app(), policy(), KEY, **{option: name.format(tmp_path / place)})  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["access.jsonl", "new/folder/access.jsonl", "pipe"])
def test_start_leaves_the_place_of_records_as_it_is(place: str, tmp_path: Path) -> None:
    """A pipe is opened when the first record comes: it may have no reader yet."""
    os.mkfifo(tmp_path / "pipe")
    install(access_log=tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_database_that_does_not_answer_yet_stops_no_start(tmp_path: Path) -> None:
    """A site may start before its database."""
    nobody = "postgresql://site@127.0.0.1:1/site"
    install(ledger=nobody, access_log=f"{nobody}?spill={tmp_path}/spill")
