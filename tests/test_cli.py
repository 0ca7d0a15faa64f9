"""The commands, what they say and their exit statuses."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path

import pytest

from cookie_consent import Policy, demo
from cookie_consent.cli import FINDING, GOOD, INTERRUPTED, WRONG_USAGE, main

SMALL = """
[site]
name = "Small"
controller = "Small Ltd."
contact = "privacy@small.example"
prevailing_language = "en"
languages = ["en"]

[[cookies]]
name = "session"
purpose = "necessary"
duration = "session"
"""

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.toml"
    path.write_text(SMALL.replace('purpose = "necessary"', 'purpose = "nescessary"'), encoding="utf-8")
    return path


def test_init_writes_a_policy_that_loads(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "own.toml"
    assert main(["init", str(path)]) == GOOD
    assert Policy.load(path).site.languages == ("en", "ja")
    said = capsys.readouterr().out
    assert f"cookie-consent check {path}" in said
    assert f'app.add_middleware(ConsentMiddleware, policy="{path}"' in said


def test_init_writes_consent_toml_if_no_path_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == GOOD
    assert main(["check"]) == GOOD
    assert [path.name for path in tmp_path.iterdir()] == ["consent.toml"]


def test_init_leaves_a_file_that_is_there_as_it_is(policy: Path, capsys: Capture) -> None:
    assert main(["init", str(policy)]) == WRONG_USAGE
    assert policy.read_text(encoding="utf-8") == SMALL
    assert capsys.readouterr().err == f"{policy} exists and stays as it is. Name another file.\n"


def test_init_says_why_it_cannot_write(tmp_path: Path, capsys: Capture) -> None:
    assert main(["init", str(tmp_path / "missing" / "consent.toml")]) == WRONG_USAGE
    assert "cannot be written: No such file or directory." in capsys.readouterr().err


def test_every_table_of_a_policy_is_in_the_starter(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    main(["init", str(path)])
    text = path.read_text(encoding="utf-8")
    # The file as it is, and with all that it suggests in comments.
    whole = re.sub(r"^# (?=\w+ = |\[)", "", text, flags=re.MULTILINE)
    path.write_text(whole, encoding="utf-8")
    policy = Policy.load(path)
    assert policy.site.policy_url
    assert all((policy.cookies, policy.recipients, policy.features, policy.services, policy.changes, policy.wording))
    assert whole.count("\n[signals]\n") == 1


def test_check_sums_up_a_good_policy(policy: Path, capsys: Capture) -> None:
    assert main(["check", str(policy)]) == GOOD
    version = Policy.load(policy).version
    assert capsys.readouterr().out == (
        f"{policy} is good: version {version}, with 1 purpose (necessary), 1 cookie (session), no recipients, "
        "no features, no services, 1 language (en).\n"
    )


def test_check_counts_several(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "consent.toml"
    main(["init", str(path)])
    assert main(["check", str(path)]) == GOOD
    assert "3 purposes (necessary, analytics, media)" in capsys.readouterr().out


def test_check_prints_one_json_object(policy: Path, capsys: Capture) -> None:
    assert main(["check", "--policy", str(policy), "--json"]) == GOOD
    assert json.loads(capsys.readouterr().out) == {
        "file": str(policy),
        "valid": True,
        "version": Policy.load(policy).version,
        "purposes": ["necessary"],
        "cookies": ["session"],
        "recipients": [],
        "features": [],
        "services": [],
        "languages": ["en"],
    }


def test_check_says_what_is_wrong_and_what_would_be_right(wrong: Path, capsys: Capture) -> None:
    assert main(["check", str(wrong)]) == FINDING
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f'{wrong}: [[cookies]] "session" key "purpose":')
    assert 'Did you mean "necessary"?' in said.err


def test_check_says_what_is_wrong_in_json_too(wrong: Path, capsys: Capture) -> None:
    assert main(["check", str(wrong), "--json"]) == FINDING
    said = capsys.readouterr()
    assert json.loads(said.out) == {"file": str(wrong), "valid": False, "error": said.err.rstrip("\n")}


@pytest.mark.parametrize(
    ("name", "why"), [("missing.toml", "No such file or directory"), ("consent.toml/x", "Not a directory")]
)
def test_check_needs_a_file(tmp_path: Path, capsys: Capture, name: str, why: str) -> None:
    (tmp_path / "consent.toml").touch()
    assert main(["check", str(tmp_path / name)]) == WRONG_USAGE
    assert capsys.readouterr().err == f"{tmp_path / name} cannot be read: {why}.\n"


def test_a_folder_is_no_policy_file(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", str(tmp_path)]) == FINDING
    assert f"{tmp_path}: this is a folder. Write the path of a policy file." in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["check", "one.toml", "--policy", "another.toml"],
        ["demo", "--port", "eighty"],
        ["demo", "--port", "65536"],
        ["demo", "twice"],
    ],
)
def test_wrong_arguments_are_wrong_usage(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == WRONG_USAGE
    assert capsys.readouterr().err.startswith("usage: cookie-consent")


def test_help_names_the_commands(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == GOOD
    assert {"init", "check", "demo"} <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("missing", ["httpx", "uvicorn"])
def test_the_demo_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    for name in [name for name in sys.modules if name.startswith("cookie_consent.demo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("cookie_consent.demo")
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["demo"]) == WRONG_USAGE
    assert capsys.readouterr().err == f'The demo needs {missing}: pip install "cookie-consent[demo]"\n'


def test_the_demo_says_why_it_cannot_start(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--once", "--port", str(port)]) == WRONG_USAGE
    said = capsys.readouterr().err
    assert said.startswith(f"The site cannot be started on 127.0.0.1, port {port}. ")
    assert "in use" in said


@pytest.mark.parametrize(("held", "status"), [(True, GOOD), (False, FINDING)])
def test_a_promise_that_did_not_hold_is_a_finding(held: bool, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def run(**arguments: object) -> bool:
        given.update(arguments)
        return held

    monkeypatch.setattr(demo, "run", run)
    assert main(["demo", "--once", "--port", "8123"]) == status
    assert given == {"once": True, "port": 8123, "host": "127.0.0.1", "out": sys.stdout}


def test_an_interrupted_command_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(**_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", run)
    assert main(["demo"]) == INTERRUPTED
