"""A window of Chromium, Firefox or WebKit: what is on its page, whatever that is, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browsers.engines import LONGEST_WAIT
from tests.support.servers.processes import POLL

Found = TypeVar("Found")
TABS = 20
"""How often somebody presses Tab at most before they give up."""
STALE = "does not belong to the document"
"""What chromedriver says of an element while another page comes in."""
IS_SHOWN = "return Array.from(document.querySelectorAll(arguments[0])).some((it) => it.checkVisibility());"
IS_THERE = 'return document.readyState === "complete" && document.querySelector("h1") !== null;'
"""In between two pages there may be an empty one."""
EDGES = """
const { left, top, right, bottom } = arguments[0].getBoundingClientRect();
return [left, top, right, bottom];
"""
STYLE = """
const style = getComputedStyle(arguments[0]);
return Object.fromEntries(Array.from(style, (name) => [name, style.getPropertyValue(name)]));
"""
REQUESTED = """
return performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => !name.endsWith("favicon.ico"));
"""
TWO_PICTURES = "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[0])))"


class BrowserWindow:
    """What is looked at.

    Attributes:
        driver: what does with the engine as a visitor does.
    """

    driver: WebDriver

    def until(self, look: Callable[[], Found]) -> Found:
        """Return what a look finds, as soon as it finds something."""

        def found(_: WebDriver) -> Found | None:
            with passing_over_what_is_gone():
                return look()
            return None

        seen = WebDriverWait(self.driver, LONGEST_WAIT, POLL).until(found)
        assert seen is not None
        return seen

    def all(self, selector: str) -> list[WebElement]:
        """Return what is on the page."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """Return the first of it."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def has_shown(self, selector: str) -> bool:
        """Return whether some of it is shown."""
        return bool(self.driver.execute_script(IS_SHOWN, selector))

    @property
    def has_page(self) -> bool:
        """Whether there is a page, all of it."""
        return bool(self.driver.execute_script(IS_THERE))

    def has_in_view(self, element: WebElement) -> bool:
        """Return whether all of something is shown without scrolling, but for parts of a pixel."""
        (left, top, right, bottom), (width, height) = self.edges_of(element), self.size
        is_within = min(left, top, width - right, height - bottom) > -1
        return element.is_displayed() and is_within

    def edges_of(self, element: WebElement) -> tuple[float, float, float, float]:
        """Return where something begins and ends, from the page's left and upper edge: left, top, right, bottom."""
        left, top, right, bottom = self.driver.execute_script(EDGES, element)
        return left, top, right, bottom

    def style_of(self, element: WebElement) -> dict[str, str]:
        """Return all of its style."""
        style: dict[str, str] = self.driver.execute_script(STYLE, element)
        return style

    @property
    def size(self) -> tuple[int, int]:
        """How wide and how high the page is shown."""
        width, height = self.driver.execute_script("return [innerWidth, innerHeight]")
        return width, height

    @property
    def width_of_all(self) -> int:
        """How wide all of the page is, with what is out of view."""
        width: int = self.driver.execute_script("return document.documentElement.scrollWidth")
        return width

    @property
    def scrolled(self) -> float:
        """How far the page is scrolled down."""
        down: float = self.driver.execute_script("return scrollY")
        return down

    @property
    def document(self) -> WebElement:
        """The page as it is now; another one after a reload."""
        return self.one("html")

    @property
    def requested(self) -> list[str]:
        """What the page has requested so far."""
        found: list[str] = self.driver.execute_script(REQUESTED)
        return found

    def wait_for_another_page_than(self, document: WebElement) -> None:
        """Wait until there is another page."""
        self.until(lambda: not is_current(document) and self.has_page)

    def wait_for_a_picture(self) -> None:
        """Wait until what was to be done before the next picture is done."""
        self.driver.execute_async_script(TWO_PICTURES)

    @property
    def window(self) -> str:
        """Which window is looked at."""
        return self.driver.current_window_handle

    def open_window(self) -> None:
        """Open a second window, and look at it."""
        self.driver.switch_to.new_window("window")

    def switch_to(self, window: str) -> None:
        """Look at another window."""
        self.driver.switch_to.window(window)

    def point_and_click(self, element: WebElement) -> None:
        """Click where something is, whatever lies on it."""
        left, top, right, bottom = self.edges_of(element)
        pointing = ActionBuilder(self.driver)
        pointing.pointer_action.move_to_location(  # type: ignore[no-untyped-call]
            round((left + right) / 2), round((top + bottom) / 2)
        ).click()
        pointing.perform()

    def press(self, key: str) -> None:
        """Press a key."""
        ActionChains(self.driver).send_keys(key).perform()

    def tab_to(self, wanted: str) -> list[str]:
        """Press Tab until something has the focus, and return all that had it on the way."""
        reached: list[str] = []
        for _ in range(TABS):
            self.press(Keys.TAB)
            reached.append(self.focused())
            if reached[-1] == wanted:
                return reached
        raise AssertionError(f"{wanted} cannot be reached by the keyboard, only {reached}")

    def focused(self) -> str:
        """Return what has the focus, in short."""
        it = self.driver.switch_to.active_element
        return it.get_dom_attribute("value") or it.get_dom_attribute("id") or it.tag_name


def is_current(document: WebElement) -> bool:
    """Return whether a page is still the one that is shown."""
    with passing_over_what_is_gone():
        return bool(document.tag_name)
    return False


@contextmanager
def passing_over_what_is_gone() -> Iterator[None]:
    """Look at something that may go away with its page meanwhile."""
    try:
        yield
    except WebDriverException as error:
        if not isinstance(error, StaleElementReferenceException) and STALE not in str(error.msg):
            raise
