"""Fixtures of the tests of the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookie_consent.cli.init import starter
from tests.support.policies import KEY


@pytest.fixture
def site_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a site: the policy file that `init --languages en` writes is in it; the key is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", KEY)
    (tmp_path / "consent.toml").write_text(starter(["en"]), encoding="utf-8")
    return tmp_path
