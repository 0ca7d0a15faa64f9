"""Minutes and commands from an empty folder to a tested site, by typing what each page of docs/frameworks says.

Each framework has a new virtual environment, a shell for each of the page's two terminals, a server, and visitors that
send the question's form. The package is a wheel of this checkout; all else comes from the package index.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.frameworks.page import FALLBACK, PAGES, SHOWN, Block, Page
from tests.frameworks.running import BROWSER, SAME_ORIGIN
from tests.support.browsers.browser import forms
from tests.support.distribution import viewed
from tests.support.servers.processes import free_port, kill_process_group, process_group_options
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent
STATIONS = ("banner", "refused page", "granted page with a record", "report", "green tests")
_DONE = "first steps:"
_RECORDED_WITHIN = 10.0  # seconds
_STARTED_WITHIN = 60.0


@dataclass
class Steps:
    """What a newcomer has done so far.

    Args:
        page: the page that says what to do.
        typed: the number of commands so far.
        saved: the number of files so far.
        reached: station -> seconds and commands until then.
    """

    page: Page
    typed: int = 0
    saved: int = 0
    reached: dict[str, tuple[float, int]] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def reach(self, station: str) -> None:
        """Note that a station is reached."""
        self.reached[station] = (time.monotonic() - self._began, self.typed)


class Terminal:
    """A shell that commands are typed into.

    Args:
        folder: the folder to begin in.
        variables: what to add to its environment.
    """

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._log = folder / "server.log"
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **variables},
            text=True,
            **process_group_options(),
        )

    def type(self, command: str) -> str:
        """Type a command, wait for its end, and return what it printed.

        Raises:
            RuntimeError: it failed. The message has what it printed.
        """
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f"{command}\necho '{_DONE}' $?\n")
        self._shell.stdin.flush()
        printed: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(_DONE):
                if line.split()[-1] != "0":
                    raise RuntimeError(f"{command} failed:\n{''.join(printed)}")
                return "".join(printed)
            printed.append(line)
        raise RuntimeError(f"the shell ended with {command}:\n{''.join(printed)}")

    def start(self, command: str) -> None:
        """Type the command of a server, which runs on."""
        self.type(f"{command} >{self._log} 2>&1 & true")

    def stop(self) -> None:
        """Stop the server, as Ctrl-C does."""
        self.type("kill -INT %1; wait %1 || true")

    def close(self) -> None:
        """End the shell and all that it started."""
        kill_process_group(self._shell)
        self._shell.communicate()


def take(page: Page, wheel: Path) -> Steps:
    """Type what a page says, in a new environment, and return what was reached when.

    Args:
        page: the page.
        wheel: the wheel of this package.

    Raises:
        RuntimeError: a command failed, or a page of the site is not as it should be.
    """
    with TemporaryDirectory(prefix="first-steps-") as name:
        folder = Path(name) / "site"
        folder.mkdir()
        environment = Path(name) / "environment"
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        constraint = Path(name) / "constraint.txt"
        constraint.write_text(f"cookie-consent == {wheel.name.split('-')[1]}\n", encoding="utf-8")
        port = free_port()
        variables = {
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(environment),
            "PYTHONPATH": "",
            "PIP_CONSTRAINT": str(constraint),
            "PIP_FIND_LINKS": str(wheel.parent),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "UVICORN_PORT": str(port),
        }
        with _terminal(folder, variables) as first, _terminal(folder, variables) as second:
            return _walk(page, folder, first, second, f"http://127.0.0.1:{port}")


@contextmanager
def _terminal(folder: Path, variables: dict[str, str]) -> Iterator[Terminal]:
    terminal = Terminal(folder, variables)
    try:
        yield terminal
    finally:
        terminal.close()


def _walk(page: Page, folder: Path, first: Terminal, second: Terminal, address: str) -> Steps:
    steps = Steps(page)
    install, init, key, app, server, report, *tests = page.steps
    for step in (install, init, key, app):
        _do(step, folder, first, steps)
    first.start(str(server))
    steps.typed += 1
    wait_until(lambda: _is_up(address), _STARTED_WITHIN)
    _visit(address, "refuse_all", steps)
    _visit(address, "accept_all", steps)
    log = folder / "logs" / "access.jsonl"
    wait_until(lambda: viewed(log) == ["/"], _RECORDED_WITHIN)
    steps.reach("granted page with a record")
    if "/" not in _do(report, folder, second, steps):
        raise RuntimeError("The report does not name the page.")
    steps.reach("report")
    first.stop()
    for step in tests:
        _do(step, folder, first, steps)
    steps.reach("green tests")
    return steps


def _do(step: Block | str, folder: Path, terminal: Terminal, steps: Steps) -> str:
    """Save a file, or type a command and return what it printed."""
    if isinstance(step, Block):
        (folder / step.file).write_text(step.text, encoding="utf-8")
        steps.saved += 1
        return ""
    steps.typed += 1
    return terminal.type(step)


def _is_up(address: str) -> bool:
    try:
        httpx.get(f"{address}/privacy-choices/state")
    except httpx.TransportError:
        return False
    return True


def _visit(address: str, choice: str, steps: Steps) -> None:
    """Answer the question of the home page as a new visitor, and look at the page again."""
    with httpx.Client(base_url=address, headers=BROWSER) as client:
        asked = client.get("/").text
        if "banner" not in steps.reached:
            steps.reach("banner")
        form = next(form for form in forms(asked) if any(value == choice for _, value in form.buttons))
        headers = {**SAME_ORIGIN, "content-type": "application/x-www-form-urlencoded"}
        client.post(form.action, content=form.pressed(choice), headers=headers)
        answered = client.get("/").text
    expected = FALLBACK if choice == "refuse_all" else SHOWN
    if FALLBACK not in asked or expected not in answered or "refuse_all" in answered:
        raise RuntimeError(f"After {choice}, the home page is not as it should be:\n{answered}")
    if choice == "refuse_all":
        steps.reach("refused page")


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def row(steps: Steps) -> str:
    """Return the row of the table for what was done: minutes, and commands until then."""
    cells = [f"{seconds // 60:.0f}:{seconds % 60:02.0f}, {typed}" for seconds, typed in steps.reached.values()]
    (title,) = re.findall(r"\A# (.+)", steps.page.text)
    return f"| [{title}]({steps.page.path.name}) | {' | '.join(cells)} | {steps.saved} |"


def main() -> None:
    """Take the first steps in the named frameworks, or in all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", nargs="*", choices=[*(page.path.stem for page in PAGES), []])
    names = parser.parse_args().framework
    print(f"| framework | {' | '.join(STATIONS)} | files |")
    print(f"| --- |{' --- |' * (len(STATIONS) + 1)}")
    with TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        for page in PAGES:
            if not names or page.path.stem in names:
                print(row(take(page, wheel)), flush=True)


if __name__ == "__main__":
    main()
