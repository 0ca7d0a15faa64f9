"""Chromium, Firefox and WebKit from Debian's packages, all controlled by Selenium.

Selenium uses chromedriver for Chromium, WebKitWebDriver for WebKit's GTK port, and `marionette` for Firefox.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.chrome.service import Service as ChromeService
from selenium.webdriver.common.options import ArgOptions
from selenium.webdriver.common.service import Service
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait
from selenium.webdriver.webkitgtk.options import Options as WebKitOptions
from selenium.webdriver.webkitgtk.service import Service as WebKitService
from urllib3.exceptions import HTTPError

from tests.support.browsers import CHROMIUM
from tests.support.browsers.marionette import LONGEST_REPLY, NO_REPLY, Marionette
from tests.support.servers.processes import (
    first_line,
    kill_process_group,
    process_group_options,
    program_path,
    running_program,
    wait_for_file,
)
from tests.support.waiting import POLL

DESK = (1024, 768)
SCREEN = (640, 480)
"""The size of the screen, smaller than most windows. The pointer rests in its middle. Without a window manager the
window below the pointer has the focus, so each window must reach that far."""
LONGEST_LOAD = 30.0
LONGEST_WAIT = 20.0


@dataclass(frozen=True)
class Setting:
    """The settings of an engine.

    Args:
        scripts: whether pages may run scripts. Scripts of Selenium always run.
        cookies: whether sites may keep cookies.
        dark: whether the visitor prefers dark colours.
        language: the preferred language, like "en-GB".
        size: width and height of the viewport, in CSS pixels. The least width is 500 in Firefox and 447 in WebKit.
    """

    scripts: bool = True
    cookies: bool = True
    dark: bool = False
    language: str = "en-GB"
    size: tuple[int, int] = DESK

    @property
    def languages(self) -> str:
        """The languages that the browser sends: with the region, and without."""
        return f"{self.language},{self.language.partition('-')[0]}"


@contextmanager
def engine(name: str, setting: Setting) -> Iterator[WebDriver]:
    """Start an engine with a profile of its own, and end it with its child processes and files.

    Args:
        name: one of `ENGINES`.
        setting: its settings.

    Raises:
        RuntimeError: a program is not installed (the message names the Debian package), or the size is not possible.
    """
    with (
        TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder,
        ENGINES[name](setting, Path(folder)) as driver,
    ):
        driver.set_page_load_timeout(LONGEST_LOAD)
        resize_viewport(driver, setting.size)
        yield driver


def resize_viewport(driver: WebDriver, size: tuple[int, int]) -> None:
    """Resize the window so that the viewport has this size.

    Raises:
        RuntimeError: the size is not possible.
    """

    def inner() -> list[int]:
        found: list[int] = driver.execute_script("return [innerWidth, innerHeight]")
        return found

    def has_come(_: WebDriver) -> bool:
        if inner() == list(size):
            return True
        outer = driver.get_window_size()
        frame = (outer["width"] - inner()[0], outer["height"] - inner()[1])
        driver.set_window_size(size[0] + frame[0], size[1] + frame[1])
        return False

    try:
        WebDriverWait(driver, LONGEST_WAIT, POLL).until(has_come)
    except TimeoutException:
        raise RuntimeError(f"Pages were to be shown at {size}, but are at {inner()}") from None


@contextmanager
def chromium(setting: Setting, folder: Path) -> Iterator[WebDriver]:
    """Start Chromium."""
    options = webdriver.ChromeOptions()
    program_path("chromium", "chromium")  # which the script calls
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new",
        "--no-sandbox",  # else it does not run as root, as in most containers
        f"--user-data-dir={folder / 'profile'}",
        f"--accept-lang={setting.languages}",
        *(["--force-dark-mode"] if setting.dark else []),
    ):
        options.add_argument(argument)
    blocked = {"javascript": not setting.scripts, "cookies": not setting.cookies}
    prefs = {f"profile.default_content_setting_values.{what}": 2 for what, is_blocked in blocked.items() if is_blocked}
    options.add_experimental_option("prefs", prefs)
    service = ChromeService(
        program_path("chromedriver", "chromium-driver"), env=home_environ(folder), popen_kw=process_group_options()
    )
    yield from driven(service, options)


@contextmanager
def webkit(setting: Setting, folder: Path) -> Iterator[WebDriver]:
    """Start WebKit, in the small browser that comes with its GTK port."""
    package = "webkit2gtk-driver"
    browsers = sorted(Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser"))
    options = WebKitOptions()
    options.binary_location = str(browsers[0]) if browsers else program_path("MiniBrowser", package)
    for argument in (
        "--automation",
        f"--enable-javascript={str(setting.scripts).lower()}",
        *(["--dark-mode"] if setting.dark else []),
        *([] if setting.cookies else ["--cookies-policy=never"]),
    ):
        options.add_argument(argument)
    path = program_path("WebKitWebDriver", package)
    with display() as shown:
        around = {**home_environ(folder), **shown, **locale_environ(setting.language, folder)}
        yield from driven(WebKitService(path, env=around, popen_kw=process_group_options()), options)


@contextmanager
def firefox(setting: Setting, folder: Path) -> Iterator[WebDriver]:
    """Start Firefox."""
    preferences = {
        "marionette.port": 0,  # any that is free
        "intl.accept_languages": setting.languages,
        "javascript.enabled": setting.scripts,
        **({} if setting.cookies else {"network.cookie.cookieBehavior": 2}),
        "ui.systemUsesDarkTheme": int(setting.dark),
    }
    lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in preferences.items()]
    (folder / "user.js").write_text("".join(lines), encoding="utf-8")
    command = [program_path("firefox-esr", "firefox-esr"), "--headless", "--marionette", "--profile", str(folder)]
    with running_program(command, env=home_environ(folder)) as process:
        port = wait_for_file(process, folder / "MarionetteActivePort")
        yield from quit_at_end(webdriver.Remote(Marionette(int(port)), options=webdriver.FirefoxOptions()))


ENGINES: dict[str, Callable[[Setting, Path], AbstractContextManager[WebDriver]]] = {
    "Chromium": chromium,
    "Firefox": firefox,
    "WebKit": webkit,
}


def home_environ(folder: Path) -> dict[str, str]:
    """Return an environment in which programs keep their files in a folder."""
    return {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}


def locale_environ(language: str, folder: Path) -> dict[str, str]:
    """Return an environment with the locale of a language. Debian ships locales only as sources."""
    name = language.replace("-", "_")
    if not Path("/usr/share/i18n/locales", name).exists():
        raise RuntimeError(f"The locale {name} is missing. As root: apt-get install locales")
    locale = f"{name}.UTF-8"
    made = ["localedef", "-i", name, "-f", "UTF-8", str(folder / locale)]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    return {"LOCPATH": str(folder), "LANG": locale, "LC_ALL": locale}


@contextmanager
def display() -> Iterator[dict[str, str]]:
    """Start a virtual screen, and return the environment for it."""
    size = f"{SCREEN[0]}x{SCREEN[1]}x24"
    command = [program_path("Xvfb", "xvfb"), "-displayfd", "1", "-screen", "0", size, "-nolisten", "tcp"]
    with running_program(command, stdout=subprocess.PIPE) as process:
        # Once it is ready, it writes the number of its display.
        yield {"DISPLAY": f":{first_line(process).strip()}", "GDK_BACKEND": "x11"}


def driven(service: Service, options: ArgOptions) -> Iterator[WebDriver]:
    """Start the program of a service and its engine, and end them with their child processes."""
    service.start()
    with service.process as process:
        try:
            yield from quit_at_end(webdriver.Remote(LimitedConnection(service.service_url, process), options=options))
        finally:
            kill_process_group(process)


class LimitedConnection(RemoteConnection):
    """Selenium's connection to a program that controls an engine, with a limit for each reply, which Selenium lacks.

    Args:
        address: where the program listens.
        process: the program. It is killed if it does not reply, so that later commands fail at once.
    """

    def __init__(self, address: str, process: subprocess.Popen[Any]) -> None:
        # Without tries of urllib3, which would wait anew.
        pools = {"init_args_for_pool_manager": {"retries": False}}
        config = ClientConfig(address, timeout=int(LONGEST_REPLY), init_args_for_pool_manager=pools)
        super().__init__(client_config=config)
        self._process = process

    def execute(self, command: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Run a command, and return the response.

        Raises:
            WebDriverException: there is none, or what Selenium raises.
        """
        try:
            found: dict[str, Any] = super().execute(command, params)  # type: ignore[no-untyped-call]
        except HTTPError as error:
            kill_process_group(self._process)
            raise WebDriverException(f"{NO_REPLY} to {command}") from error
        return found


def quit_at_end(driver: WebDriver) -> Iterator[WebDriver]:
    """Yield a driver, and quit it at the end."""
    try:
        yield driver
    finally:
        with suppress(WebDriverException):  # it may have ended already
            driver.quit()
