"""Somebody at Chromium, Firefox or WebKit: what they do on a site with the question, and what they see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec
from urllib.parse import urlsplit

import httpx
from selenium.common.exceptions import InvalidSessionIdException, WebDriverException
from selenium.webdriver.remote.webelement import WebElement

from tests.support.browsers.browser_window import BrowserWindow, is_current
from tests.support.browsers.engines import Setting, engine, fit
from tests.support.browsers.visitor_browser import PREFIX, Sites

Doing = ParamSpec("Doing")
PHONE = (320, 568)


def again_if_webkit_ends(do: Callable[Doing, None]) -> Callable[Doing, None]:
    """Let what a guest does begin once more, at a new engine, if WebKit has ended by itself.

    Its network process sometimes crashes (2 in 100) over `Clear-Site-Data: "cache"`, with which forms and withdrawals
    are answered. WebKitWebDriver then says "Session terminated without a reply", and later that there is no session.
    """

    @wraps(do)
    def attempt(*args: Doing.args, **named: Doing.kwargs) -> None:
        (guest,) = (it for it in (*args, *named.values()) if isinstance(it, Guest))
        try:
            do(*args, **named)
        except WebDriverException as error:
            ended = isinstance(error, InvalidSessionIdException) or "Session terminated" in str(error.msg)
            if guest.engine != "WebKit" or not ended:
                raise
            guest.leave()
            guest.start()
            guest.arrive()
            do(*args, **named)

    return attempt


class Guest(BrowserWindow):
    """Somebody at one of the engines, who knows the site by what is on its pages.

    Args:
        engine: which engine it is.
        setting: how it is set up.
        sites: what is visited.
    """

    def __init__(self, engine: str, setting: Setting, sites: Sites) -> None:
        self.engine, self.setting, self.sites = engine, setting, sites
        self._running = ExitStack()

    def start(self) -> None:
        """Start the engine."""
        self.driver = self._running.enter_context(engine(self.engine, self.setting))

    def leave(self) -> None:
        """End the engine."""
        self._running.close()

    @again_if_webkit_ends
    def arrive(self) -> None:
        """Come as somebody new: with no cookie, and with one window."""
        first, *others = self.driver.window_handles
        for window in others:
            self.switch_to(window)
            self.driver.close()
        self.switch_to(first)
        self.go(f"{PREFIX}/policy")
        self.until(self.forget)

    def forget(self) -> bool:
        """Delete the cookies, and return whether they are gone; WebKit says that it is done before it is."""
        self.driver.delete_all_cookies()
        return not self.cookies

    def go(self, path: str, *, layout: str = "corner") -> None:
        """Open a page of the site that has the question in a layout."""
        self.driver.get(self.sites.address.removesuffix("corner") + layout + path)

    def go_back_to(self, path: str) -> None:
        """Go back. Some have a form's page twice in their history: before it was sent, and after."""
        for _ in range(3):
            self.driver.back()
            if self.path == path:
                return
        raise AssertionError(f"{path} is not in the history")

    @contextmanager
    def on_a_phone(self) -> Iterator[None]:
        """Look at the page in a window as small as a phone, or as small as the engine can make it."""
        self.driver.set_window_size(*PHONE)
        self.until(lambda: self.size[0] < self.setting.size[0])
        try:
            yield
        finally:
            fit(self.driver, self.setting.size)

    @property
    def path(self) -> str:
        """Where the visitor is on the site."""
        return urlsplit(self.driver.current_url).path.removeprefix(urlsplit(self.sites.address).path)

    @property
    def banner(self) -> WebElement:
        """The question."""
        return self.one(".pchoice")

    @property
    def is_asked(self) -> bool:
        """Whether the question stands open."""
        return self.has_shown(".pchoice")

    @property
    def said(self) -> str:
        """What screen readers are told of an answer."""
        return "".join(status.text for status in self.all("body > [role=status].pchoice-status"))

    def shown(self) -> set[str]:
        """Return which templates of the start page are activated."""
        return {str(it.get_dom_attribute("id")) for it in self.all("main > p[id]")}

    @property
    def violations(self) -> list[str]:
        """What the strict page's policy did not allow."""
        return [it.text for it in self.all("#violations > li")]

    @property
    def focus_is_in_the_question(self) -> bool:
        """Whether something in the question has the focus."""
        return bool(self.all(".pchoice :focus"))

    @property
    def is_at_the_beginning_of_the_question(self) -> bool:
        """Whether the question itself has the focus, so that screen readers begin with its title."""
        return bool(self.driver.switch_to.active_element == self.banner)

    def wait_for_the_question(self) -> None:
        """Wait until it is there, and the script too where there is one."""
        self.until(lambda: self.has_shown(".pchoice[data-live]" if self.setting.scripts else ".pchoice"))

    def wait_for_a_page_without_the_question(self) -> None:
        """Wait until it is gone, and what it stood on is there."""
        # First, as between two pages neither is there.
        self.until(lambda: not self.is_asked and self.has_page and not self.is_asked)

    def button(self, choice: str) -> WebElement:
        """Return the button of the question, or of the settings page, that gives an answer."""
        return self.one(f"button[name=choice][value={choice}]")

    def answer(self, choice: str) -> None:
        """Press a button of the question. With scripts the page stays, without them the browser is sent back to it."""
        page = self.document
        self.button(choice).click()
        self.wait_for_a_page_without_the_question()
        assert is_current(page) == self.setting.scripts

    def open_the_settings(self) -> None:
        """Follow the link to the settings, which opens them in place where there are scripts."""
        self.one("#settings").click()
        self.wait_for_the_question()

    def withdraw(self) -> None:
        """Refuse in the settings in place what was allowed, and wait for the page without it."""
        page = self.document
        self.button("refuse_all").click()
        self.wait_for_another_page_than(page)

    @property
    def cookies(self) -> dict[str, dict[str, Any]]:
        """The cookies that the engine keeps for the site."""
        return {cookie["name"]: cookie for cookie in self.driver.get_cookies()}

    @property
    def state(self) -> dict[str, Any]:
        """What the server says of who holds these cookies."""
        cookies = {name: cookie["value"] for name, cookie in self.cookies.items()}
        state: dict[str, Any] = httpx.get(f"{self.sites.address}{PREFIX}/state", cookies=cookies).json()
        return state


@contextmanager
def seated(engine: str, setting: Setting, sites: Sites) -> Iterator[Guest]:
    """Let somebody sit down at an engine that was just started."""
    guest = Guest(engine, setting, sites)
    guest.start()
    try:
        yield guest
    finally:
        guest.leave()
