"""Tests of the command line itself, and of the commands `init` and `check`."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import duckdb
import pytest

from cookie_consent import Policy
from cookie_consent.cli.main import FINDING, GOOD, INTERRUPTED, WRONG_USAGE, main
from tests.support.asgi import SITE

SMALL = """
[site]
name = "Small"
controller = "Small Ltd."
contact = "privacy@small.jp"
policy_url = "/privacy"
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
    assert Policy.load("consent.toml").site.updated in (datetime.now(UTC).date(), datetime.now().astimezone().date())
    assert [path.name for path in tmp_path.iterdir()] == ["consent.toml"]


@pytest.mark.parametrize("languages", ["en", "ja,en", "de,fr"])
def test_init_writes_the_languages_of_the_site(tmp_path: Path, capsys: Capture, languages: str) -> None:
    path = tmp_path / "own.toml"
    assert main(["init", "--languages", languages, str(path)]) == GOOD
    assert Policy.load(path).site.languages == tuple(languages.split(","))
    assert ('Write each text that begins with "…".' in capsys.readouterr().out) == (languages == "de,fr")


def test_init_refuses_a_language_without_texts(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "own.toml"
    with pytest.raises(SystemExit) as ended:
        main(["init", "--languages", "tlh", str(path)])
    assert ended.value.code == WRONG_USAGE
    assert 'no texts ship for "tlh"' in capsys.readouterr().err
    assert not path.exists()


def test_init_does_not_overwrite_a_file(policy: Path, capsys: Capture) -> None:
    assert main(["init", str(policy)]) == WRONG_USAGE
    assert policy.read_text(encoding="utf-8") == SMALL
    assert capsys.readouterr().err == f"{policy} exists and stays as it is. Name another file.\n"


def test_init_says_why_it_cannot_write(tmp_path: Path, capsys: Capture) -> None:
    assert main(["init", str(tmp_path / "missing" / "consent.toml")]) == WRONG_USAGE
    assert "cannot be written: No such file or directory." in capsys.readouterr().err


def test_starter_policy_shows_every_table(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    main(["init", str(path)])
    text = path.read_text(encoding="utf-8")
    # Uncomment all suggestions of the file.
    whole = re.sub(r"^# (?=(?!recipients|kind)\w+ = |\[)", "", text, flags=re.MULTILINE)
    path.write_text(whole, encoding="utf-8")
    policy = Policy.load(path)
    assert policy.site.policy_url
    assert all((policy.cookies, policy.recipients, policy.features, policy.services, policy.changes, policy.wording))
    assert all((policy.security.content_security_policy, policy.vendors, policy.site.laws))
    assert all((policy.goals, policy.funnels))
    assert whole.count("\n[signals]\n") == 1


def test_check_sums_up_a_good_policy(policy: Path, capsys: Capture) -> None:
    assert main(["check", str(policy)]) == GOOD
    version = Policy.load(policy).version
    assert capsys.readouterr().out == (
        f"{policy} is good: version {version}, with 1 purpose (necessary), 1 cookie (session), no recipients, "
        "no features, no services, 1 language (en).\n"
    )


def test_check_counts_several_purposes(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "consent.toml"
    main(["init", str(path)])
    main(["check", str(path)])
    assert "4 purposes (necessary, visits, analytics, media)" in capsys.readouterr().out


def warned(path: Path, capsys: Capture, status: int = GOOD) -> list[str]:
    """Check a policy that can be used, and return its warnings, which the JSON has too."""
    assert main(["check", str(path)]) == status
    sentences = capsys.readouterr().err.splitlines()
    assert main(["check", str(path), "--json"]) == status
    assert json.loads(capsys.readouterr().out).get("warnings", []) == sentences
    return sentences


def test_check_warns_of_all_that_init_left_to_be_written(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "consent.toml"
    main(["init", "--languages", "en", str(path)])
    capsys.readouterr()
    assert [sentence.partition(": ")[0] for sentence in warned(path, capsys, FINDING)] == [
        '[site] key "name"',
        '[site] key "controller"',
        '[site] key "contact"',
        '[[recipients]] "example-maps" key "name"',
        '[[recipients]] "example-maps" key "origins"',
        '[site] key "policy_url"',
    ]


def test_check_of_a_finished_policy_warns_of_nothing(policy: Path, capsys: Capture) -> None:
    assert warned(policy, capsys) == []
    assert main(["check", "--strict", str(policy)]) == GOOD


def test_strict_check_finds_what_is_only_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    path.write_text(SMALL.replace('policy_url = "/privacy"\n', ""), encoding="utf-8")
    assert main(["check", str(path)]) == GOOD
    assert main(["check", "--strict", str(path)]) == FINDING


def test_check_asks_for_the_retention_of_each_optional_purpose(policy: Path, capsys: Capture) -> None:
    policy.write_text(SMALL + ADDED, encoding="utf-8")
    assert main(["check", "--strict", str(policy)]) == GOOD
    policy.write_text(SMALL + ADDED.replace('retention = "13 months"\n', ""), encoding="utf-8")
    capsys.readouterr()
    (sentence,) = warned(policy, capsys)
    assert sentence.startswith('[purposes.media] key "retention": visitors are not told how long its data are kept.')
    assert main(["check", "--strict", str(policy)]) == FINDING


@pytest.mark.parametrize(
    ("name", "purpose", "message"),
    [
        ("consent", "media", "Rename ours with cookie_prefix=, or take it out of the policy."),
        ("__Host-visitor", "media", "Rename ours with"),
        ("consent-saved", "necessary", "Take it out, unless you describe ours in your own words."),
        ("__Host-consent-saved", "necessary", "Take it out, unless you describe ours in your own words."),
        ("__Secure-visitor-erasure", "necessary", "Rename ours with"),
        ("consent", "necessary", "Take it out, unless you describe ours in your own words."),
        ("__Host-consent", "necessary", "Take it out, unless you describe ours in your own words."),
    ],
)
def test_check_warns_of_cookie_with_one_of_our_names(
    policy: Path, capsys: Capture, name: str, purpose: str, message: str
) -> None:
    text = policy.read_text(encoding="utf-8") + ADDED.replace("player", name).replace('e = "media"', f'e = "{purpose}"')
    policy.write_text(text, encoding="utf-8")
    (sentence,) = warned(policy, capsys)
    assert sentence.startswith(f'[[cookies]] "{name}" key "name": this is ')
    assert message in sentence


def test_check_warns_of_change_in_the_future(policy: Path, capsys: Capture) -> None:
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    with policy.open("a", encoding="utf-8") as file:
        file.write(f'\n[[changes]]\ndate = {day}\ntext = {{ en = "Films." }}\n')
    (sentence,) = warned(policy, capsys)
    assert sentence.startswith(f'[[changes]] no. 1 key "date": {day} is in the future')


def test_check_warns_of_distribution_with_the_same_import_name(
    policy: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site" / "django_cookie_consent-0.6.0.dist-info"
    installed.mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: django-cookie-consent\nVersion: 0.6.0\n"
    (installed / "METADATA").write_text(metadata, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    (sentence,) = warned(policy, capsys)
    assert sentence.startswith("django-cookie-consent 0.6.0 is installed too. Both packages are imported as")
    assert "pip uninstall django-cookie-consent cookie-consent" in sentence


def test_check_prints_one_json_object(policy: Path, capsys: Capture) -> None:
    assert main(["check", str(policy), "--json"]) == GOOD
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


JAPAN = """
laws = ["uk", "jp-optout"]

[[recipients]]
id = "maps"
name = "Maps Inc."
purpose = "necessary"
receives = { ja = "IPアドレス等" }
use = { ja = "地図の表示" }
country = "JP"
"""


def test_check_says_what_each_law_is_and_which_words_are_vague(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "consent.toml"
    site, _, cookies = SMALL.replace('"en"', '"ja"').partition("\n[[cookies]]")
    path.write_text(f"{site}{JAPAN}\n[[cookies]]{cookies}", encoding="utf-8")
    assert main(["check", str(path)]) == GOOD
    out, err = capsys.readouterr()
    assert "2 laws (uk, jp-optout)" in out
    assert (
        "\nLaw jp-optout, Japan: opt-out, by Telecommunications Business Act, Article 27-12. Compared with what" in out
    )
    assert out.count("a third party in a foreign country (APPI, Article 28), or to one that knows the person") == 1
    assert out.count("APPI, Article 31") == 1
    assert err.startswith('[[recipients]] "maps" key "receives": "等" does not say what is sent')
    assert main(["check", str(path), "--json"]) == GOOD
    assert json.loads(capsys.readouterr().out)["laws"] == ["uk", "jp-optout"]


def test_check_explains_an_invalid_policy(wrong: Path, capsys: Capture) -> None:
    assert main(["check", str(wrong)]) == FINDING
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f'{wrong}: [[cookies]] "session" key "purpose":')
    assert 'Did you mean "necessary"?' in said.err


def test_check_refuses_tracing_purpose_without_retention(tmp_path: Path, capsys: Capture) -> None:
    good, wrong = tmp_path / "good.toml", tmp_path / "wrong.toml"
    good.write_text(SITE, encoding="utf-8")
    wrong.write_text(SITE.replace('retention = "30 days"\n', ""), encoding="utf-8")
    assert main(["check", str(wrong)]) == FINDING
    said = capsys.readouterr().err
    assert said.startswith(f'{wrong}: [purposes.analytics] key "retention": a purpose that traces has to say how long')
    assert 'Write "395 days" or less' in said
    assert main(["check", str(good), "--against", str(wrong)]) == FINDING, "the old policy may lack a retention"
    assert "a purpose that traces" not in capsys.readouterr().err


def test_check_explains_an_invalid_policy_in_json(wrong: Path, capsys: Capture) -> None:
    assert main(["check", str(wrong), "--json"]) == FINDING
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "file": str(wrong),
        "valid": False,
        "error": said.err.rstrip("\n"),
        "errors": [
            {
                "table": '[[cookies]] "session"',
                "key": "purpose",
                "problem": 'there is no purpose "nescessary"',
                "remedy": 'Did you mean "necessary"? Or declare [purposes.nescessary].',
            }
        ],
    }


def test_check_names_all_errors_of_a_file(wrong: Path, capsys: Capture) -> None:
    text = wrong.read_text(encoding="utf-8")
    wrong.write_text(text.replace("prevailing_language", "prevailing_languag") + 'path = "x"\n', encoding="utf-8")
    assert main(["check", str(wrong)]) == FINDING
    said = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"{wrong}: ").partition(": ")[0] for line in said] == [
        '[site] key "prevailing_languag"',
        '[[cookies]] "session" key "path"',
        '[[cookies]] "session" key "purpose"',
    ]


@pytest.mark.parametrize(
    ("name", "why"), [("missing.toml", "No such file or directory"), ("consent.toml/x", "Not a directory")]
)
def test_check_of_missing_file_is_wrong_usage(tmp_path: Path, capsys: Capture, name: str, why: str) -> None:
    (tmp_path / "consent.toml").touch()
    assert main(["check", str(tmp_path / name)]) == WRONG_USAGE
    assert capsys.readouterr().err == f"{tmp_path / name} cannot be read: {why}.\n"


def test_check_of_a_folder_is_a_finding(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", str(tmp_path)]) == FINDING
    assert f"{tmp_path}: this is a folder. Write the path of a policy file." in capsys.readouterr().err


ADDED = """
[purposes.media]
title = { en = "Films" }
description = { en = "We show films." }
retention = "13 months"

[[cookies]]
name = "player"
purpose = "media"
duration = "30 days"
"""


def checked_against(folder: Path, old: str, new: str, *options: str) -> int:
    """Check a policy against an older one, both written into a folder."""
    for name, text in (("old.toml", old), ("new.toml", new)):
        (folder / name).write_text(text, encoding="utf-8")
    return main(["check", str(folder / "new.toml"), "--against", str(folder / "old.toml"), *options])


def paragraphs(capsys: Capture) -> Sequence[str]:
    return capsys.readouterr().out.rstrip("\n").split("\n\n")


def test_check_against_equal_policy_reports_no_change(tmp_path: Path, capsys: Capture) -> None:
    assert checked_against(tmp_path, SMALL, f"# Another comment.\n{SMALL}") == GOOD
    summary, compared = paragraphs(capsys)
    assert summary.startswith(f"{tmp_path / 'new.toml'} is good: version ")
    assert compared == f"Nothing changed since {tmp_path / 'old.toml'}."


def test_changed_words_are_reported_and_ask_nobody_again(tmp_path: Path, capsys: Capture) -> None:
    assert checked_against(tmp_path, SMALL, SMALL.replace('"Small"', '"Little"')) == GOOD
    _, changed, asked, *_ = paragraphs(capsys)
    assert changed == f'Changed since {tmp_path / "old.toml"}:\n- site: name "Small" -> "Little"'
    assert asked == "Nobody is asked again."


def test_new_host_is_a_finding_and_asks_everybody_there(tmp_path: Path, capsys: Capture) -> None:
    keys = 'name = "Small"\ndomain = "a.jp"\nhosts = ["a.jp"{}]'
    old, new = (SMALL.replace('name = "Small"', keys.format(more), 1) for more in ("", ', "b.a.jp"'))
    assert checked_against(tmp_path, SMALL, old) == GOOD
    summary, changed, asked, *_ = paragraphs(capsys)
    assert summary.endswith(", 1 host (a.jp).")
    assert changed.splitlines()[1:] == [
        '- site: domain not set -> "a.jp"',
        '- site: hosts "a.jp" added',
    ]
    assert asked == "Nobody is asked again."
    assert checked_against(tmp_path, old, new) == FINDING
    _, changed, asked, *_ = paragraphs(capsys)
    assert changed.splitlines()[1:] == ['- site: hosts "b.a.jp" added']
    assert asked == "Asked again on b.a.jp: everybody, since no earlier answer counts there."
    assert checked_against(tmp_path, old, new, "--json") == FINDING
    assert json.loads(capsys.readouterr().out)["against"]["asks_again_on"] == ["b.a.jp"]


def test_material_change_is_a_finding_and_is_listed_first(tmp_path: Path, capsys: Capture) -> None:
    new = SMALL.replace('"Small"', '"Little"') + ADDED
    assert checked_against(tmp_path, SMALL, new) == FINDING
    _, changed, asked, *_ = paragraphs(capsys)
    assert changed.splitlines()[1:] == [
        '- material: purpose "media" added',
        '- material: cookie "player" added to "media"',
        '- site: name "Small" -> "Little"',
    ]
    assert asked == 'Asked again: "media" of everybody. What was refused stays refused, without being asked.'


def test_shorter_duration_is_no_finding_and_needs_the_history(tmp_path: Path, capsys: Capture) -> None:
    assert checked_against(tmp_path, SMALL + ADDED, SMALL + ADDED.replace("30 days", "1 day")) == GOOD
    _, changed, asked, *_ = paragraphs(capsys)
    assert changed.endswith('\n- cookie "player": duration 30 days -> 1 day')
    assert asked.splitlines() == [
        "Nobody is asked again.",
        f'The middleware needs history=["{tmp_path / "old.toml"}"] for that. Without it,',
        'those who had accepted "media" are asked again too, for less than they had accepted.',
    ]


def test_check_suggests_an_announcement_until_the_policy_has_it(tmp_path: Path, capsys: Capture) -> None:
    new, before = SMALL + ADDED, datetime.now(UTC).date()
    checked_against(tmp_path, SMALL, new)
    *_, said, lines = paragraphs(capsys)
    assert said == "Nothing announces it yet. To paste, with your own words:"
    (change,) = tomllib.loads(lines)["changes"]
    assert before <= change["date"] <= datetime.now(UTC).date()
    assert change["text"] == {"en": "…"}
    assert checked_against(tmp_path, SMALL, f"{new}\n{lines}") == FINDING
    assert "[[changes]]" not in capsys.readouterr().out


def test_check_tells_of_date_that_stays_though_policy_changed(tmp_path: Path, capsys: Capture) -> None:
    dated = SMALL.replace("[site]\n", "[site]\nupdated = 2026-11-25\n")
    assert dated != SMALL
    changed = dated.replace('"Small"', '"Little"')
    assert checked_against(tmp_path, dated, changed) == GOOD
    assert "last updated on 2026-11-25, as before" in capsys.readouterr().out
    assert checked_against(tmp_path, dated, changed, "--json") == GOOD
    assert json.loads(capsys.readouterr().out)["against"]["updated_still"] == "2026-11-25"
    for new in (dated, changed.replace("2026-11-25", "2026-11-27")):
        checked_against(tmp_path, dated, new)
        assert "as before" not in capsys.readouterr().out


def test_check_against_old_policy_prints_json(tmp_path: Path, capsys: Capture) -> None:
    longer = SMALL + ADDED.replace("30 days", "60 days").replace('"We show films."', '"We show them."')
    assert checked_against(tmp_path, SMALL + ADDED, longer, "--json") == FINDING
    said = json.loads(capsys.readouterr().out)
    against = said["against"]
    assert (said["valid"], said["cookies"]) == (True, ["session", "player"])
    assert tomllib.loads(against.pop("announcement"))["changes"]
    assert against == {
        "version": Policy.load(tmp_path / "old.toml").version,
        "changes": [
            {"what": 'purpose "media": description.en reworded', "purposes": ["media"], "material": False},
            {
                "what": 'cookie "player": duration 30 days -> 60 days',
                "purposes": ["media"],
                "material": True,
            },
        ],
        "asks_again": {"media": "who accepted"},
        "asks_again_without_history": {"media": "who accepted"},
    }


def test_invalid_old_policy_is_wrong_usage(policy: Path, wrong: Path, capsys: Capture) -> None:
    assert main(["check", str(policy), "--against", str(wrong)]) == WRONG_USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f'{wrong}: [[cookies]] "session" key "purpose":')
    assert main(["check", str(policy), "--against", str(wrong), "--json"]) == WRONG_USAGE
    said = capsys.readouterr()
    assert json.loads(said.out)["error"] == said.err.rstrip("\n")


def test_missing_old_policy_is_wrong_usage(policy: Path, tmp_path: Path, capsys: Capture) -> None:
    missing = tmp_path / "missing.toml"
    assert main(["check", str(policy), "--against", str(missing)]) == WRONG_USAGE
    assert capsys.readouterr().err == f"{missing} cannot be read: No such file or directory.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["check", "one.toml", "--against"],
        ["demo", "--port", "eighty"],
        ["demo", "--port", "65536"],
        ["demo", "one.toml", "two.toml"],
    ],
)
def test_wrong_arguments_are_wrong_usage(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == WRONG_USAGE
    assert capsys.readouterr().err.startswith("usage: cookie-consent")


@pytest.mark.parametrize(
    ("command", "statuses"),
    [
        ("verify", "0 good, 1 if something was changed, left out or added, 2 wrong usage."),
        ("report", "0 good, 1 if a file of the access log, or a line, cannot be read, and is left out, 2 wrong usage."),
        ("serve-report", "0 good, 2 wrong usage."),
    ],
)
def test_help_of_a_command_says_its_exit_statuses(command: str, statuses: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match=str(GOOD)):
        main([command, "--help"])
    assert f"Exit status: {statuses}" in " ".join(capsys.readouterr().out.split())


def test_version_is_that_of_the_installed_package(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match=str(GOOD)):
        main(["--version"])
    assert capsys.readouterr().out == f"cookie-consent {version('cookie-consent')}\n"


@pytest.mark.parametrize("missing", ["httpx", "uvicorn", "sqlalchemy", "duckdb"])
def test_demo_says_which_package_to_install(missing: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["demo"]) == WRONG_USAGE
    assert capsys.readouterr().err == f'cookie-consent demo needs {missing}: pip install "cookie-consent[demo]"\n'


@pytest.mark.slow
def test_demo_says_why_it_cannot_start(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--once", "--port", str(port)]) == WRONG_USAGE
    said = capsys.readouterr().err
    assert said.startswith(f"It cannot listen on 127.0.0.1, port {port}: ")
    assert "in use" in said


@pytest.mark.parametrize(("held", "status"), [(True, GOOD), (False, FINDING)])
def test_broken_promise_of_demo_is_a_finding(held: bool, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def run(listen: tuple[str, int], **arguments: object) -> bool:
        given.update(arguments, listen=listen)
        return held

    monkeypatch.setattr("cookie_consent.cli.demo.run", run)
    assert main(["demo", "--once", "--port", "8123"]) == status
    assert given == {"once": True, "listen": ("127.0.0.1", 8123), "report_to": None}


def test_interrupted_command_ends_without_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("cookie_consent.cli.demo.run", run)
    assert main(["demo"]) == INTERRUPTED


@pytest.mark.slow
def test_interrupted_query_ends_command_without_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> bool:
        ctrl_c = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        ctrl_c.start()
        # The query takes some seconds. It may run to its end, because DuckDB's threads do not always notice the signal.
        with duckdb.connect() as connection:
            connection.execute("SELECT count(*) FROM range(4_000_000_000) AS a WHERE hash(a.range) = 1").fetchall()
        return True

    monkeypatch.setattr("cookie_consent.cli.demo.run", run)
    assert main(["demo"]) == INTERRUPTED


def test_other_error_of_a_command_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> bool:
        raise RuntimeError("It is broken.")

    monkeypatch.setattr("cookie_consent.cli.demo.run", run)
    with pytest.raises(RuntimeError, match="It is broken"):
        main(["demo"])


def test_terminated_command_cleans_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned_up = []

    def run(*_: object, **__: object) -> bool:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(15)
        finally:
            cleaned_up.append(True)
        return False

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("cookie_consent.cli.demo.run", run)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])
    assert (ended.value.code, cleaned_up) == (128 + signal.SIGTERM, [True])
    assert signal.getsignal(signal.SIGTERM) is before
