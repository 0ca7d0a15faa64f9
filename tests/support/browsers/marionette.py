"""Lets Selenium control Firefox without geckodriver, which Debian does not have.

Geckodriver translates Selenium's commands to Firefox's own protocol, Marionette. This module does the same.
"""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Mapping
from typing import Any

from selenium.common.exceptions import WebDriverException
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.command import Command
from selenium.webdriver.remote.remote_connection import RemoteConnection

LONGEST_REPLY = 30.0
NO_REPLY = "No reply"
NAMES = {
    Command.NEW_SESSION: "WebDriver:NewSession",
    Command.QUIT: "WebDriver:DeleteSession",
    Command.SET_TIMEOUTS: "WebDriver:SetTimeouts",
    Command.GET: "WebDriver:Navigate",
    Command.GO_BACK: "WebDriver:Back",
    Command.GO_FORWARD: "WebDriver:Forward",
    Command.REFRESH: "WebDriver:Refresh",
    Command.GET_CURRENT_URL: "WebDriver:GetCurrentURL",
    Command.GET_TITLE: "WebDriver:GetTitle",
    Command.GET_PAGE_SOURCE: "WebDriver:GetPageSource",
    Command.SCREENSHOT: "WebDriver:TakeScreenshot",
    Command.W3C_EXECUTE_SCRIPT: "WebDriver:ExecuteScript",
    Command.W3C_EXECUTE_SCRIPT_ASYNC: "WebDriver:ExecuteAsyncScript",
    Command.FIND_ELEMENT: "WebDriver:FindElement",
    Command.FIND_ELEMENTS: "WebDriver:FindElements",
    Command.FIND_CHILD_ELEMENT: "WebDriver:FindElement",
    Command.FIND_CHILD_ELEMENTS: "WebDriver:FindElements",
    Command.W3C_GET_ACTIVE_ELEMENT: "WebDriver:GetActiveElement",
    Command.CLICK_ELEMENT: "WebDriver:ElementClick",
    Command.CLEAR_ELEMENT: "WebDriver:ElementClear",
    Command.SEND_KEYS_TO_ELEMENT: "WebDriver:ElementSendKeys",
    Command.IS_ELEMENT_SELECTED: "WebDriver:IsElementSelected",
    Command.IS_ELEMENT_ENABLED: "WebDriver:IsElementEnabled",
    Command.GET_ELEMENT_TEXT: "WebDriver:GetElementText",
    Command.GET_ELEMENT_TAG_NAME: "WebDriver:GetElementTagName",
    Command.GET_ELEMENT_RECT: "WebDriver:GetElementRect",
    Command.GET_ELEMENT_ATTRIBUTE: "WebDriver:GetElementAttribute",
    Command.GET_ELEMENT_PROPERTY: "WebDriver:GetElementProperty",
    Command.GET_ELEMENT_VALUE_OF_CSS_PROPERTY: "WebDriver:GetElementCSSValue",
    Command.GET_ELEMENT_ARIA_ROLE: "WebDriver:GetComputedRole",
    Command.GET_ELEMENT_ARIA_LABEL: "WebDriver:GetComputedLabel",
    Command.W3C_ACTIONS: "WebDriver:PerformActions",
    Command.W3C_CLEAR_ACTIONS: "WebDriver:ReleaseActions",
    Command.ADD_COOKIE: "WebDriver:AddCookie",
    Command.GET_ALL_COOKIES: "WebDriver:GetCookies",
    Command.DELETE_ALL_COOKIES: "WebDriver:DeleteAllCookies",
    Command.NEW_WINDOW: "WebDriver:NewWindow",
    Command.CLOSE: "WebDriver:CloseWindow",
    Command.SWITCH_TO_WINDOW: "WebDriver:SwitchToWindow",
    Command.SWITCH_TO_FRAME: "WebDriver:SwitchToFrame",
    Command.SWITCH_TO_PARENT_FRAME: "WebDriver:SwitchToParentFrame",
    Command.W3C_GET_CURRENT_WINDOW_HANDLE: "WebDriver:GetWindowHandle",
    Command.W3C_GET_WINDOW_HANDLES: "WebDriver:GetWindowHandles",
    Command.GET_WINDOW_RECT: "WebDriver:GetWindowRect",
    Command.SET_WINDOW_RECT: "WebDriver:SetWindowRect",
}
"""Selenium's name for a command -> Firefox's name for it."""


class Marionette(RemoteConnection):
    """Selenium's connection to Firefox: messages are JSON, with their length and a colon in front.

    Args:
        port: the port that Firefox listens on.
    """

    def __init__(self, port: int) -> None:
        super().__init__(client_config=ClientConfig(f"http://127.0.0.1:{port}"))
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=LONGEST_REPLY)
        self._received = self._socket.makefile("rb")
        self._numbers = itertools.count(1)
        hello = self._receive()
        if hello["marionetteProtocol"] != 3:
            raise WebDriverException(f"Firefox speaks another Marionette: {hello}")

    def execute(self, command: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Run a command in Firefox, and return its result in the form of a WebDriver response."""
        message = json.dumps([0, next(self._numbers), NAMES[command], parameters(command, params)]).encode()
        try:
            self._socket.sendall(b"%d:%b" % (len(message), message))
            _, _, error, result = self._receive()
        except OSError as reason:
            raise WebDriverException(f"{NO_REPLY} to {command}") from reason
        if error:
            return {"status": 500, "value": json.dumps({"value": error})}
        return result if isinstance(result, dict) and result.keys() == {"value"} else {"value": result}

    def close(self) -> None:
        """Close the connection."""
        super().close()  # type: ignore[no-untyped-call]
        self._received.close()
        self._socket.close()

    def _receive(self) -> Any:
        length = b""
        while (byte := self._received.read(1)) != b":":
            if not byte:
                raise WebDriverException("Firefox has closed the connection")
            length += byte
        return json.loads(self._received.read(int(length)))


def parameters(command: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return Selenium's parameters of a command in Firefox's form."""
    wanted = {name: value for name, value in given.items() if name != "sessionId"}
    if command == Command.NEW_SESSION:
        return {}
    if command in (Command.FIND_CHILD_ELEMENT, Command.FIND_CHILD_ELEMENTS):
        wanted["element"] = wanted.pop("id")
    if command == Command.SCREENSHOT:
        wanted["full"] = False
    return wanted
