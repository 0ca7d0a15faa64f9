"""Firefox, controlled by WebDriver BiDi: Playwright does not control that of Debian."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.servers.processes import program_path, running_program, wait_for_file
from tests.support.waiting import wait_until

LONGEST_REPLY = 45.0
NOTE_VIOLATIONS = """() => addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
    if (!blockedURI.endsWith("favicon.ico")) // only the browser requests it
        sessionStorage.violations = `${sessionStorage.violations ?? ""} ${effectiveDirective} ${blockedURI}`;
})"""
"""Notes what violates the policies of the pages, for all pages of a tab."""


class Firefox:
    """A window of Firefox.

    Args:
        socket: the connection to it.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._send("session.new", capabilities={})
        self._send("script.addPreloadScript", functionDeclaration=NOTE_VIOLATIONS)
        self._window = self._send("browsingContext.create", type="tab")["context"]

    def go(self, address: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._send("browsingContext.navigate", context=self._window, url=address, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, or of its promise."""
        code = f"(async () => JSON.stringify(await ({expression})) ?? 'null')()"
        target = {"context": self._window}
        reply = self._send("script.evaluate", expression=code, target=target, awaitPromise=True)
        assert reply["type"] == "success", reply
        return json.loads(reply["result"]["value"])

    def wait_for(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true."""
        wait_until(lambda: self.evaluate(expression))

    def answer(self, choice: str) -> None:
        """Answer the question in its banner."""
        self.wait_for("document.querySelector('.pchoice[data-live]')?.checkVisibility()")
        self.evaluate(f"document.querySelector('.pchoice [value={choice}]').click()")
        self.wait_for("!document.querySelector('.pchoice')")

    def _send(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (reply := json.loads(self._socket.recv(LONGEST_REPLY))).get("id") != number:
            pass  # an event
        assert reply["type"] == "success", reply
        return reply["result"]


@contextmanager
def started_firefox(folder: Path) -> Iterator[Firefox]:
    """Start Firefox with a profile of its own in the folder, and end it with its child processes."""
    command = [program_path("firefox-esr", "firefox-esr"), "--headless", "--remote-debugging-port=0"]
    home = {**os.environ, "HOME": str(folder)}
    with running_program([*command, "--profile", str(folder)], env=home) as process:
        listening = json.loads(wait_for_file(process, folder / "WebDriverBiDiServer.json"))
        with connect(f"ws://{listening['ws_host']}:{listening['ws_port']}/session") as socket:
            yield Firefox(socket)
