"""Writes what the package needs at run time, as a CycloneDX file: `python -m tests.support.sbom FOLDER`.

The same sources and constraints.txt make the same file, byte for byte.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.distribution import new_environment, run

ROOT = Path(__file__).parents[2]


def write_sbom(wheel: Path, folder: Path) -> Path:
    """Install a wheel alone, and write the list of what came with it into a folder.

    Args:
        wheel: the wheel.
        folder: gets the file, which is named like the wheel.
    """
    name, version, *_ = wheel.stem.split("-")
    written = folder / f"{name}-{version}.cdx.json"
    tool = Path(sys.executable).parent / "cyclonedx-py"
    about = ("--pyproject", ROOT / "pyproject.toml", "--mc-type", "library")
    with TemporaryDirectory() as made:
        commands = new_environment(sys.executable, Path(made), wheel)
        run(tool, "environment", *about, "--output-reproducible", "--output-file", written, commands / "python")
    return written


def main(folder: Path) -> None:
    """Write the file for the wheel of a folder, beside it."""
    (wheel,) = folder.glob("*.whl")
    write_sbom(wheel, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
