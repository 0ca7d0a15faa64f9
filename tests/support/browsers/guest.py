"""A guest: a visitor at Chromium, Firefox or WebKit, controlled by Selenium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec
from urllib.parse import urlsplit

import httpx
from selenium.common.exceptions import InvalidSessionIdException, WebDriverException
from selenium.webdriver.remote.webelement import WebElement

from tests.support.browsers.browser_window import BrowserWindow
from tests.support.browsers.engines import Setting, engine, resize_viewport
from tests.support.browsers.marionette import NO_REPLY
from tests.support.browsers.visitor_browser import PREFIX, Sites

Params = ParamSpec("Params")
PHONE = (320, 568)
ENDS = ("Session terminated", NO_REPLY)
"""Parts of what is said of an engine that has ended."""


def retry_if_webkit_crashes(do: Callable[Params, None]) -> Callable[Params, None]:
    """Run a test again with a new engine if WebKit has crashed, or does not reply.

    WebKit's network process sometimes crashes (2 in 100) over `Clear-Site-Data: "cache"`, which the responses to forms
    and withdrawals carry. WebKitWebDriver then says "Session terminated without a reply", and later that there is no
    session. More rarely (3 in 1000) it never replies to a command that comes while a page is replaced.
    """

    @wraps(do)
    def attempt(*args: Params.args, **named: Params.kwargs) -> None:
        (guest,) = (it for it in (*args, *named.values()) if isinstance(it, Guest))
        try:
            do(*args, **named)
        except WebDriverException as error:
            ended = isinstance(error, InvalidSessionIdException) or any(said in str(error.msg) for said in ENDS)
            if guest.engine != "WebKit" or not ended:
                raise
            guest.start_anew()
            do(*args, **named)

    return attempt


class Guest(BrowserWindow):
    """A visitor at one of the engines.

    Args:
        engine: the name of the engine.
        setting: its settings.
        sites: the site that is visited.
    """

    def __init__(self, engine: str, setting: Setting, sites: Sites) -> None:
        self.engine, self.setting, self.sites = engine, setting, sites
        self._running = ExitStack()

    def start(self) -> None:
        """Start the engine."""
        self.driver = self._running.enter_context(engine(self.engine, self.setting))

    def stop(self) -> None:
        """End the engine."""
        self._running.close()

    def start_anew(self) -> None:
        """Become a new visitor: without cookies, with one window, at a new engine if this one fails."""
        try:
            self._forget()
        except WebDriverException:
            self.stop()
            self.start()
            self._forget()

    def _forget(self) -> None:
        first, *others = self.driver.window_handles
        for window in others:
            self.switch_to(window)
            self.driver.close()
        self.switch_to(first)
        self.go(f"{PREFIX}/policy")
        self.until(self.delete_cookies)

    def delete_cookies(self) -> bool:
        """Delete the cookies, and return whether they are gone: WebKit replies before it has deleted them."""
        self.driver.delete_all_cookies()
        return not self.cookies

    def go(self, path: str, *, layout: str = "corner") -> None:
        """Open a page of the site with this layout of the banner."""
        self.driver.get(self.sites.address.removesuffix("corner") + layout + path)

    def go_back_to(self, path: str) -> None:
        """Go back to a page. Some engines have the page of a form twice in their history: before and after sending."""
        for _ in range(3):
            self.driver.back()
            if self.path == path:
                return
        raise AssertionError(f"{path} is not in the history")

    @contextmanager
    def on_a_phone(self) -> Iterator[None]:
        """Make the window as small as a phone, or as small as the engine can make it."""
        before, _ = self.size
        self.driver.set_window_size(*PHONE)
        self.until(lambda: self.size[0] < before)
        try:
            yield
        finally:
            resize_viewport(self.driver, self.setting.size)

    @property
    def path(self) -> str:
        """The path of the current page on the site."""
        return urlsplit(self.driver.current_url).path.removeprefix(urlsplit(self.sites.address).path)

    @property
    def banner(self) -> WebElement:
        """The banner."""
        return self.find(".pchoice")

    @property
    def shows_banner(self) -> bool:
        """Whether the banner is visible."""
        return self.shows(".pchoice")

    @property
    def message(self) -> str:
        """The status message after an answer, or the line about cookies that are not saved."""
        return "".join(status.text for status in self.find_all("body > [role=status]"))

    def active_templates(self) -> set[str]:
        """Return the ids of the activated templates of the start page."""
        return {str(it.get_dom_attribute("id")) for it in self.find_all("main > p[id]")}

    @property
    def violations(self) -> list[str]:
        """The violations of the strict page's policy."""
        return [it.text for it in self.find_all("#violations > li")]

    @property
    def banner_has_focus_inside(self) -> bool:
        """Whether an element inside the banner has the focus."""
        return bool(self.find_all(".pchoice :focus"))

    def wait_for_banner(self) -> None:
        """Wait until the banner is visible and its script, if it may run, is ready."""
        self.until(lambda: self.shows(".pchoice[data-live]" if self.setting.scripts else ".pchoice"))

    def wait_for_page_without_banner(self) -> None:
        """Wait until the page is loaded without the banner."""
        # Checked twice: between two pages there is neither a page nor a banner.
        self.until(lambda: not self.shows_banner and self.is_loaded and not self.shows_banner)

    def button(self, choice: str) -> WebElement:
        """Return the button of the banner, or of the settings page, that gives an answer and can be pressed."""
        return self.find(f"button[name=choice][value={choice}]:not([hidden])")

    def answer(self, choice: str) -> None:
        """Press a button of the banner. With scripts the page stays; without them the server redirects back to it."""
        self.wait_for_banner()
        page = self.document
        self.button(choice).click()
        self.wait_for_page_without_banner()
        assert (self.document == page) == self.setting.scripts

    def open_settings(self) -> None:
        """Follow the link to the settings. With scripts it opens them in place."""
        self.find("#settings").click()
        self.wait_for_banner()

    def withdraw(self) -> None:
        """Refuse all in the settings in place, and wait for the reload."""
        page = self.document
        self.button("refuse_all").click()
        self.wait_for_page_after(page)

    @property
    def cookies(self) -> dict[str, dict[str, Any]]:
        """The cookies of the site: name -> cookie."""
        return {cookie["name"]: cookie for cookie in self.driver.get_cookies()}

    @property
    def state(self) -> dict[str, Any]:
        """The state that the server returns for these cookies."""
        cookies = {name: cookie["value"] for name, cookie in self.cookies.items()}
        state: dict[str, Any] = httpx.get(f"{self.sites.address}{PREFIX}/state", cookies=cookies).json()
        return state


@contextmanager
def guest_at(engine: str, setting: Setting, sites: Sites) -> Iterator[Guest]:
    """Start an engine, and return a guest at it."""
    guest = Guest(engine, setting, sites)
    guest.start()
    try:
        yield guest
    finally:
        guest.stop()
