"""Tests of the script that starts Chromium."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.browsers import CHROMIUM

PRINT_ARGUMENTS = """#!/bin/sh
printf '%s\\n' "$@"
"""


def test_the_features_that_a_caller_disables_stay_disabled(tmp_path: Path) -> None:
    fake = tmp_path / "chromium"
    fake.write_text(PRINT_ARGUMENTS, "utf-8")
    fake.chmod(0o755)
    command = [
        str(CHROMIUM),
        "--headless",
        "--disable-features=One,Two",
        "--lang=a b",
        "--disable-features=Three",
        "about:",
    ]
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    passed = subprocess.run(
        command, env=environ, check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    [disabled] = [argument for argument in passed if argument.startswith("--disable-features=")]
    assert {"One", "Two", "Three", "WebUIOmniboxPopup"} <= set(disabled.partition("=")[2].split(","))
    assert [argument for argument in passed if argument != disabled] == ["--headless", "--lang=a b", "about:"]
