"""Fixtures of the tests of the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookie_consent.cli.main import GOOD, main
from tests.support.policies import KEY


@pytest.fixture
def site_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a site: the policy file that `init --languages en` writes is in it; the key is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", KEY)
    assert main(["init", "--languages", "en"]) == GOOD
    return tmp_path
