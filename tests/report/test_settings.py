"""Tests of what a report takes from the policy file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookie_consent.report.settings import Goals, Settings, default_policy, read_settings

TABLES = '[goals.paid]\nevent = "paid"\n[funnels.buy]\nsteps = ["/cart", "goal:paid"]\n'
GOALS = Goals(goals=(("paid", "event:paid"),), funnels=(("buy", ("/cart", "goal:paid")),))


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ('[site]\nname = "訪問"\ntime_zone = "Asia/Tokyo"\n', Settings("Asia/Tokyo")),
        ("[purposes]\n", Settings()),
        ("site = 1\n", Settings("UTC")),
        ('[site]\ntime_zone = "Asia/Tokyo"\n' + TABLES, Settings("Asia/Tokyo", GOALS)),
    ],
)
def test_settings_are_those_of_the_file(text: str, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "consent.toml"
    file.write_text(text, "utf-8")
    assert read_settings(file) == settings


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[site]\ntime_zone = "Japan/Tokyo"', r'consent.toml: \[site\] time_zone: there is no time zone "Japan/Tokyo"'),
        ("[site]\ntime_zone = 9", r"consent.toml: \[site\] time_zone: 9 is no text"),
        (TABLES + '[goals.x]\nevnt = "x"\n', r'consent.toml: \[goals.x\] key "evnt": there is no key'),
        ('[funnels.x]\nsteps = ["/"]\n', r'consent.toml: \[funnels.x\] key "steps"'),
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
    assert (default_policy(), read_settings(None)) == (None, Settings())
    (tmp_path / "consent.toml").write_text("")
    assert default_policy() == Path("consent.toml")
