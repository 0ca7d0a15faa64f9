"""A window of Chromium, Firefox or WebKit: elements of its page, keyboard and mouse."""

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
from tests.support.waiting import POLL

Found = TypeVar("Found")
MOST_TABS = 20
"""How often `tab_to` presses Tab at most."""
STALE = "does not belong to the document"
"""Part of the error of chromedriver for an element of a page that is being replaced."""
IS_SHOWN = "return Array.from(document.querySelectorAll(arguments[0])).some((it) => it.checkVisibility());"
IS_LOADED = 'return document.readyState === "complete" && document.querySelector("h1") !== null;'
"""Between two pages the browser may show an empty one."""
EDGES = """
const { left, top, right, bottom } = arguments[0].getBoundingClientRect();
return [left, top, right, bottom];
"""
SIZE = "const { clientWidth, clientHeight } = document.documentElement; return [clientWidth, clientHeight];"
STYLES = """
return Array.from(arguments, (element) => {
    const style = getComputedStyle(element);
    return Object.fromEntries(Array.from(style, (name) => [name, style.getPropertyValue(name)]));
});
"""
TWO_FRAMES = "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[0])))"


class BrowserWindow:
    """A window that Selenium controls.

    Attributes:
        driver: Selenium's driver of the engine.
    """

    driver: WebDriver

    def until(self, find: Callable[[], Found]) -> Found:
        """Call a function until its result is true, and return the result."""

        def found(_: WebDriver) -> Found | None:
            with ignoring_stale_elements():
                return find()
            return None

        seen = WebDriverWait(self.driver, LONGEST_WAIT, POLL).until(found)
        assert seen is not None
        return seen

    def find_all(self, selector: str) -> list[WebElement]:
        """Return all elements that match a selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def find(self, selector: str) -> WebElement:
        """Return the first element that matches a selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def shows(self, selector: str) -> bool:
        """Return whether an element that matches a selector is visible."""
        return bool(self.driver.execute_script(IS_SHOWN, selector))

    @property
    def is_loaded(self) -> bool:
        """Whether the page is loaded."""
        return bool(self.driver.execute_script(IS_LOADED))

    def is_in_view(self, element: WebElement) -> bool:
        """Return whether a whole element is visible without scrolling, with a tolerance of one pixel."""
        (left, top, right, bottom), (width, height) = self.edges_of(element), self.size
        is_within = min(left, top, width - right, height - bottom) > -1
        return element.is_displayed() and is_within

    def edges_of(self, element: WebElement) -> tuple[float, float, float, float]:
        """Return the edges of an element in the window: left, top, right, bottom."""
        left, top, right, bottom = self.driver.execute_script(EDGES, element)
        return left, top, right, bottom

    @property
    def size(self) -> tuple[int, int]:
        """The width and height of the viewport, without scrollbars."""
        width, height = self.driver.execute_script(SIZE)
        return width, height

    @property
    def scroll_width(self) -> int:
        """The width of the page, with the part that is out of view."""
        width: int = self.driver.execute_script("return document.documentElement.scrollWidth")
        return width

    @property
    def document(self) -> float:
        """The time when the current document began to load, which names it; another one after a reload.

        An element would name it, too, but WebKit often (3 in 100) never replies to commands about one that goes.
        """
        began: float = self.driver.execute_script("return performance.timeOrigin")
        return began

    def wait_for_page_after(self, document: float) -> None:
        """Wait until another document is loaded."""
        self.until(lambda: self.document != document and self.is_loaded)

    def wait_for_frame(self) -> None:
        """Wait until the browser has drawn two frames."""
        self.driver.execute_async_script(TWO_FRAMES)

    @property
    def window(self) -> str:
        """The handle of the current window."""
        return self.driver.current_window_handle

    def open_window(self) -> None:
        """Open a second window, and switch to it."""
        self.driver.switch_to.new_window("window")

    def switch_to(self, window: str) -> None:
        """Switch to another window."""
        self.driver.switch_to.window(window)

    def click_at(self, element: WebElement) -> None:
        """Click at the middle of an element, even if another one covers it."""
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
        """Press Tab until an element has the focus, and return the names of all elements that had it."""
        reached: list[str] = []
        for _ in range(MOST_TABS):
            self.press(Keys.TAB)
            reached.append(self.focused())
            if reached[-1] == wanted:
                return reached
        raise AssertionError(f"{wanted} cannot be reached by the keyboard, only {reached}")

    def focused(self) -> str:
        """Return a short name of the element that has the focus."""
        it = self.driver.switch_to.active_element
        return it.get_dom_attribute("value") or it.get_dom_attribute("id") or it.tag_name


@contextmanager
def ignoring_stale_elements() -> Iterator[None]:
    """Ignore errors about elements whose page has been replaced."""
    try:
        yield
    except WebDriverException as error:
        if not isinstance(error, StaleElementReferenceException) and STALE not in str(error.msg):
            raise
