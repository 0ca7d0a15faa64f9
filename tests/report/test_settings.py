"""Tests of what a report takes from the policy file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookie_consent.report.settings import Goals, Settings, default_policy, read_settings


def test_settings_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "consent.toml"
    file.write_text('[site]\nname = "訪問"\ntime_zone = "Asia/Tokyo"\n', "utf-8")
    assert read_settings(file) == Settings(time_zone="Asia/Tokyo")


def test_settings_have_defaults(tmp_path: Path) -> None:
    file = tmp_path / "consent.toml"
    file.write_text("[purposes]\n")
    assert read_settings(file) == read_settings(None) == Settings(time_zone="UTC")


TABLES = '[goals.paid]\nevent = "paid"\n[funnels.buy]\nsteps = ["/cart", "goal:paid"]\n'
GOALS = Goals(goals=(("paid", "event:paid"),), funnels=(("buy", ("/cart", "goal:paid")),))


def test_goals_stand_in_the_policy(tmp_path: Path) -> None:
    policy = tmp_path / "consent.toml"
    policy.write_text('[site]\ntime_zone = "Asia/Tokyo"\n' + TABLES)
    assert read_settings(policy) == Settings("Asia/Tokyo", GOALS)


def test_wrong_goals_are_refused_with_their_place(tmp_path: Path) -> None:
    file = tmp_path / "goals.toml"
    file.write_text(TABLES + '[goals.x]\nevnt = "x"\n')
    with pytest.raises(ValueError, match=r'goals.toml: \[goals.x\] key "evnt": there is no key'):
        read_settings(file)
    file.write_text('[funnels.x]\nsteps = ["/"]\n')
    with pytest.raises(ValueError, match=r'goals.toml: \[funnels.x\] key "steps"'):
        read_settings(file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[site]\ntime_zone = "Japan/Tokyo"', r'consent.toml: \[site\] time_zone: there is no time zone "Japan/Tokyo"'),
        ("[site]\ntime_zone = 9", r"consent.toml: \[site\] time_zone: 9 is no text"),
        ("[site", "consent.toml is no TOML"),
        ("\udcff", "consent.toml is no TOML"),
        (None, "consent.toml cannot be read: No such file"),
    ],
)
def test_wrong_settings_are_refused_with_advice(text: str | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "consent.toml"
    if text is not None:
        file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=says):
        read_settings(file)


def test_default_policy_is_that_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_policy() is None
    (tmp_path / "consent.toml").write_text("")
    assert default_policy() == Path("consent.toml")
