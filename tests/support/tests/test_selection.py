"""Tests of the selection outside the full matrix."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOADED = """
import sys, pytest
status = pytest.main(["--collect-only", "--quiet", "-p", "no:cacheprovider", "tests/decision"])
print("loaded:", *({"playwright"} & sys.modules.keys()))
sys.exit(status)
"""
TESTS = """
import pytest

@pytest.mark.each_value(all_of="Chromium")
@pytest.mark.parametrize("layout", ["bar", "modal", "corner"])
@pytest.mark.parametrize("engine", ["Chromium", "Firefox", "WebKit"])
def test_engines(engine, layout): ...

@pytest.mark.each_value
@pytest.mark.parametrize("size", ["S", "M", "L", "XL"])
@pytest.mark.parametrize("colour", ["red", "blue"])
def test_sizes(colour, size): ...

@pytest.mark.parametrize("end", [pytest.param("stop", marks=pytest.mark.full_matrix), "kill"])
def test_end(end): ...

@pytest.mark.full_matrix
def test_wheel(): ...

@pytest.mark.each_value
def test_alone(): ...

class TestFew:
    pytestmark = pytest.mark.each_value(at_most=2)

    @pytest.mark.parametrize("shape", ["round", "square", "flat", "long", "thin"])
    def test_shapes(self, shape): ...

    @pytest.mark.parametrize("shape", ["round", "square", "flat", "long", "thin"])
    def test_same_shapes(self, shape): ...

    @pytest.mark.each_value
    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_numbers(self, number): ...
"""


def run(*command: object, folder: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_collecting_tests_of_one_room_loads_no_browser() -> None:
    *_, loaded = run("-c", LOADED).splitlines()
    assert loaded.split() == ["loaded:"]


def collected(folder: Path, *options: str) -> tuple[list[str], str]:
    """Return the names of the collected tests of `TESTS`, and pytest's summary."""
    (folder / "test_sample.py").write_text(TESTS, "utf-8")
    plugins = ("-p", "tests.support.selection", "-c", ROOT / "pyproject.toml", "--rootdir", folder)
    *lines, summary = run(
        *("-c", "import sys, pytest; sys.path.insert(0, sys.argv.pop(1)); sys.exit(pytest.main(sys.argv[1:]))", ROOT),
        *(*plugins, "--collect-only", "--quiet", "-p", "no:cacheprovider", *options, folder / "test_sample.py"),
        folder=folder,
    ).splitlines()
    return [line.partition("::")[2] for line in lines if "::" in line], summary


@pytest.mark.slow
def test_default_selection_covers_each_value_and_counts_deselected_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FULL_MATRIX", raising=False)
    names, summary = collected(tmp_path)
    engines = Counter(name.partition("[")[2].partition("-")[0] for name in names if "test_engines" in name)
    assert engines == {"Chromium": 3, "Firefox": 1, "WebKit": 1}
    sizes = [name.partition("[")[2].rstrip("]").split("-") for name in names if "test_sizes" in name]
    assert {colour for colour, _ in sizes} == {"red", "blue"}
    assert sorted(size for _, size in sizes) == sorted(["S", "M", "L", "XL"])
    assert [name for name in names if "test_end" in name] == ["test_end[kill]"]
    assert "test_wheel" not in names
    assert "test_alone" in names
    few = [name.partition("[")[2].rstrip("]") for name in names if "shapes" in name]
    assert (len(few), len(set(few))) == (4, 4), "the second test takes values that the first left"
    assert len([name for name in names if "test_numbers" in name]) == 3, "a test's mark goes before the others"
    assert "16 deselected" in summary


@pytest.mark.slow
def test_one_row_of_each_test_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FULL_MATRIX", raising=False)
    names, _ = collected(tmp_path, "--one-row")
    tests = Counter(name.partition("[")[0] for name in names)
    assert set(tests.values()) == {1}
    assert {"test_engines", "test_sizes", "test_end", "test_alone"} <= tests.keys()
