"""Tests of the scheduling: a test that ends its worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONFTEST = """
import os, time
from tests.support.scheduling import ByFile

def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log)

def pytest_collection():
    # The first worker that takes the place of another is ready after the second one.
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw2":
        time.sleep(2)
"""
NOTED = """
import pathlib

def note(name):
    with pathlib.Path("ran").open("a") as file:
        file.write(name + "\\n")
"""
FATAL = """
import os
from noted import note

def test_before(): note("before")

def test_fatal():
    note("fatal")
    os._exit(1)

def test_after(): note("after")
"""
RERUN = """
import os, pathlib, time, pytest
from noted import note

@pytest.mark.flaky(reruns=1)
def test_rerun():
    note("rerun")
    if pathlib.Path("ran").read_text().count("rerun") == 1:
        time.sleep(0.5)  # the plugin's thread, in the other process, has to read first that the test has a rerun left
        os._exit(1)
"""
OTHER = """
import pytest
from noted import note

@pytest.mark.parametrize("number", range(3))
def test_other(number): note(f"other {number}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_test_that_ends_its_worker_fails_once_and_the_others_run_once(tmp_path: Path, workers: int) -> None:
    files = {"conftest.py": CONFTEST, "noted.py": NOTED, "test_fatal.py": FATAL, "test_other.py": OTHER}
    files["test_rerun.py"] = RERUN
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    options = [
        "-p",
        "xdist",
        "-p",
        "rerunfailures",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
        "-rf",
        "--no-header",
    ]
    command = [sys.executable, "-m", "pytest", *options, "--numprocesses", str(workers), "--dist", "loadfile"]
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    environ = {**os.environ, "PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "1 failed, 6 passed, 1 rerun" in done.stdout
    assert "FAILED test_fatal.py::test_fatal" in done.stdout
    ran = (tmp_path / "ran").read_text("utf-8").splitlines()
    assert sorted(ran) == ["after", "before", "fatal", "other 0", "other 1", "other 2", "rerun", "rerun"]
