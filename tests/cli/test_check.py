"""Tests of `cookie-consent check`: it sums up a policy, explains its errors, and compares it with an earlier one."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cookie_consent import Policy
from cookie_consent.cli.main import FINDING, GOOD, WRONG_USAGE
from tests.cli.conftest import Ran, Run
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
LAWS = """
laws = ["uk", "jp-optout"]

[[recipients]]
id = "maps"
name = "Maps Inc."
purpose = "necessary"
receives = { ja = "IPアドレス等" }
use = { ja = "地図の表示" }
country = "JP"
"""
TAKEN = "the name of one of our own cookies. Rename ours with cookie_prefix=, or take it out of the policy."
LISTED = "one of our own cookies, which the settings page lists by itself. Take it out, unless you describe ours in"
LATER = (datetime.now(UTC) + timedelta(days=3)).date()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "consent.toml"


def check(cli: Run, path: Path, text: str, *options: str | Path) -> Ran:
    path.write_text(text, encoding="utf-8")
    return cli("check", path, *options)


def test_good_policy_is_summed_up(cli: Run, path: Path) -> None:
    ran = check(cli, path, SMALL, "--strict")
    version = Policy.load(path).version
    assert ran == (
        GOOD,
        f"{path} is good: version {version}, with 1 purpose (necessary), 1 cookie (session), no recipients, "
        "no features, no services, 1 language (en).\n",
        "",
    )
    assert cli("check", path, "--json").lines == [
        {
            "file": str(path),
            "valid": True,
            "version": version,
            "purposes": ["necessary"],
            "cookies": ["session"],
            "recipients": [],
            "features": [],
            "services": [],
            "languages": ["en"],
        }
    ]
    assert "2 purposes (necessary, media)" in check(cli, path, SMALL + ADDED).out


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (SMALL.replace('policy_url = "/privacy"\n', ""), '[site] key "policy_url": '),
        (
            SMALL + ADDED.replace('retention = "13 months"\n', ""),
            '[purposes.media] key "retention": visitors are not told how long its data are kept.',
        ),
        (
            f'{SMALL}\n[[changes]]\ndate = {LATER}\ntext = {{ en = "Films." }}\n',
            f'[[changes]] no. 1 key "date": {LATER} is in the future',
        ),
        *(
            (
                SMALL + ADDED.replace("player", name).replace('= "media"', f'= "{purpose}"'),
                f'[[cookies]] "{name}" key "name": this is {why}',
            )
            for name, purpose, why in (
                ("consent", "media", TAKEN),
                ("__Host-visitor", "media", TAKEN),
                ("__Secure-visitor-erasure", "necessary", TAKEN),
                ("consent-saved", "necessary", LISTED),
                ("__Host-consent-saved", "necessary", LISTED),
                ("__Host-consent", "necessary", LISTED),
            )
        ),
    ],
)
def test_warning_is_a_finding_of_strict_checks_alone(text: str, warning: str, cli: Run, path: Path) -> None:
    ran = check(cli, path, text)
    assert ran.status == GOOD
    (sentence,) = ran.err.splitlines()
    assert warning in sentence
    assert cli("check", path, "--json").lines[0]["warnings"] == [sentence]
    assert cli("check", path, "--strict").status == FINDING


def test_distribution_with_the_same_import_name_is_a_warning(
    cli: Run, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site" / "django_cookie_consent-0.6.0.dist-info"
    installed.mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: django-cookie-consent\nVersion: 0.6.0\n"
    (installed / "METADATA").write_text(metadata, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    ran = check(cli, path, SMALL)
    assert ran.err.startswith("django-cookie-consent 0.6.0 is installed too. Both packages are imported as")
    assert "pip uninstall django-cookie-consent cookie-consent" in ran.err


def test_what_init_left_to_be_written_is_a_finding(cli: Run, path: Path) -> None:
    cli("init", "--languages", "en", path)
    ran = cli("check", path)
    assert (ran.status, f"{path} still has examples: version " in ran.out) == (FINDING, True)
    assert [sentence.partition(": ")[0] for sentence in ran.err.splitlines()] == [
        '[site] key "name"',
        '[site] key "controller"',
        '[site] key "contact"',
        '[[recipients]] "example-maps" key "name"',
        '[[recipients]] "example-maps" key "origins"',
        '[site] key "policy_url"',
    ]


def test_laws_are_named_with_vague_words(cli: Run, path: Path) -> None:
    site, _, cookies = SMALL.replace('"en"', '"ja"').partition("\n[[cookies]]")
    ran = check(cli, path, f"{site}{LAWS}\n[[cookies]]{cookies}")
    assert (ran.status, "2 laws (uk, jp-optout)" in ran.out) == (GOOD, True)
    law = "\nLaw jp-optout, Japan: opt-out, by Telecommunications Business Act, Article 27-12. Compared with what"
    assert law in ran.out
    assert ran.out.count("a third party in a foreign country (APPI, Article 28), or to one that knows the person") == 1
    assert ran.err.startswith('[[recipients]] "maps" key "receives": "等" does not say what is sent')
    assert cli("check", path, "--json").lines[0]["laws"] == ["uk", "jp-optout"]


def test_each_error_of_a_policy_is_explained(cli: Run, path: Path) -> None:
    text = SMALL.replace('"necessary"', '"nescessary"').replace("prevailing_language", "prevailing_languag")
    ran = check(cli, path, text)
    assert (ran.status, ran.out) == (FINDING, "")
    assert [line.removeprefix(f"{path}: ").partition(": ")[0] for line in ran.err.splitlines()] == [
        '[site] key "prevailing_languag"',
        '[[cookies]] "session" key "purpose"',
    ]
    ran = cli("check", path, "--json")
    (said,) = ran.lines
    assert (ran.status, said["file"], said["valid"], said["error"]) == (FINDING, str(path), False, ran.err.rstrip("\n"))
    assert said["errors"][1] == {
        "table": '[[cookies]] "session"',
        "key": "purpose",
        "problem": 'there is no purpose "nescessary"',
        "remedy": 'Did you mean "necessary"? Or declare [purposes.nescessary].',
    }


def test_check_of_a_folder_is_a_finding(cli: Run, tmp_path: Path) -> None:
    ran = cli("check", tmp_path)
    assert (ran.status, "this is a folder. Write the path of a policy file." in ran.err) == (FINDING, True)


def test_tracing_purpose_needs_a_retention_unless_the_policy_is_old(cli: Run, path: Path) -> None:
    ran = check(cli, path, SITE.replace('retention = "30 days"\n', ""))
    assert ran.status == FINDING
    assert ran.err.startswith(
        f'{path}: [purposes.analytics] key "retention": a purpose that traces has to say how long'
    )
    ran = check(cli, path.with_name("new.toml"), SITE, "--against", path)
    assert (ran.status, "a purpose that traces" in ran.err) == (FINDING, False)


# Compared with an earlier policy


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return tmp_path / "old.toml"


def against(cli: Run, path: Path, before: str, after: str, *options: str) -> Ran:
    """Check a policy against an older one."""
    old = path.with_name("old.toml")
    old.write_text(before, encoding="utf-8")
    return check(cli, path, after, "--against", old, *options)


LITTLE = SMALL.replace('"Small"', '"Little"')
HOSTS, MORE_HOSTS = (
    SMALL.replace('name = "Small"', f'name = "Small"\ndomain = "a.jp"\nhosts = ["a.jp"{more}]', 1)
    for more in ("", ', "b.a.jp"')
)
NOBODY = "Nobody is asked again."


@pytest.mark.parametrize(
    ("before", "after", "status", "changes", "asked"),
    [
        (SMALL, LITTLE, GOOD, ['site: name "Small" -> "Little"'], [NOBODY]),
        (
            SMALL,
            LITTLE + ADDED,
            FINDING,
            [
                'material: purpose "media" added',
                'material: cookie "player" added to "media"',
                'site: name "Small" -> "Little"',
            ],
            ['Asked again: "media" of everybody. What was refused stays refused, without being asked.'],
        ),
        (SMALL, HOSTS, GOOD, ['site: domain not set -> "a.jp"', 'site: hosts "a.jp" added'], [NOBODY]),
        (
            HOSTS,
            MORE_HOSTS,
            FINDING,
            ['site: hosts "b.a.jp" added'],
            ["Asked again on b.a.jp: everybody, since no earlier answer counts there."],
        ),
        (
            SMALL + ADDED,
            SMALL + ADDED.replace("30 days", "1 day"),
            GOOD,
            ['cookie "player": duration 30 days -> 1 day'],
            [
                NOBODY,
                'The middleware needs history=["OLD"] for that. Without it,',
                'those who had accepted "media" are asked again too, for less than they had accepted.',
            ],
        ),
    ],
)
def test_changes_are_listed_and_whom_they_ask_again(
    before: str, after: str, status: int, changes: list[str], asked: list[str], cli: Run, path: Path, old: Path
) -> None:
    ran = against(cli, path, before, after)
    _, changed, said, *_ = ran.out.split("\n\n")
    assert ran.status == status
    assert changed.splitlines() == [f"Changed since {old}:", *(f"- {change}" for change in changes)]
    assert said.rstrip("\n").splitlines() == [line.replace("OLD", str(old)) for line in asked]


def test_other_comment_is_no_change(cli: Run, path: Path, old: Path) -> None:
    ran = against(cli, path, SMALL, f"# Another comment.\n{SMALL}")
    assert (ran.status, ran.out.split("\n\n")[1:]) == (GOOD, [f"Nothing changed since {old}.\n"])


def test_announcement_is_suggested_until_the_policy_has_it(cli: Run, path: Path) -> None:
    before = datetime.now(UTC).date()
    *_, said, lines = against(cli, path, SMALL, SMALL + ADDED).out.split("\n\n")
    assert said == "Nothing announces it yet. To paste, with your own words:"
    (change,) = tomllib.loads(lines)["changes"]
    assert before <= change["date"] <= datetime.now().astimezone().date() + timedelta(days=1)
    assert change["text"] == {"en": "…"}
    ran = against(cli, path, SMALL, f"{SMALL}{ADDED}\n{lines}")
    assert (ran.status, "[[changes]]" in ran.out) == (FINDING, False)


def test_date_that_stays_though_the_policy_changed_is_told(cli: Run, path: Path) -> None:
    dated = SMALL.replace("[site]\n", "[site]\nupdated = 2026-11-25\n")
    changed = dated.replace('"Small"', '"Little"')
    assert "last updated on 2026-11-25, as before" in against(cli, path, dated, changed).out
    assert against(cli, path, dated, changed, "--json").lines[0]["against"]["updated_still"] == "2026-11-25"
    for new in (dated, changed.replace("2026-11-25", "2026-11-27")):
        assert "as before" not in against(cli, path, dated, new).out


def test_comparison_in_json(cli: Run, path: Path, old: Path) -> None:
    longer = SMALL + ADDED.replace("30 days", "60 days").replace('"We show films."', '"We show them."')
    ran = against(cli, path, SMALL + ADDED, longer, "--json")
    compared = ran.lines[0]["against"]
    assert (ran.status, ran.lines[0]["cookies"]) == (FINDING, ["session", "player"])
    assert tomllib.loads(compared.pop("announcement"))["changes"]
    reworded = {"what": 'purpose "media": description.en reworded', "purposes": ["media"], "material": False}
    assert compared == {
        "version": Policy.load(old).version,
        "changes": [
            reworded,
            {"what": 'cookie "player": duration 30 days -> 60 days', "purposes": ["media"], "material": True},
        ],
        "asks_again": {"media": "who accepted"},
        "asks_again_without_history": {"media": "who accepted"},
    }
    assert against(cli, path, HOSTS, MORE_HOSTS, "--json").lines[0]["against"]["asks_again_on"] == ["b.a.jp"]


def test_invalid_old_policy_is_wrong_usage_in_json(cli: Run, path: Path, old: Path) -> None:
    ran = against(cli, path, SMALL.replace('"necessary"', '"nescessary"'), SMALL, "--json")
    assert (ran.status, ran.lines[0]["error"]) == (WRONG_USAGE, ran.err.rstrip("\n"))
    assert ran.err.startswith(f'{old}: [[cookies]] "session" key "purpose":')
