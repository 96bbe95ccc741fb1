"""A real browser, without a window, as the tests need it: look, type, wait for what is to be seen.

Nothing waits for a time; everything waits for what it is waiting for, with a bound.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.server.processes import until

T = TypeVar("T")

UNKNOWN = "\N{EN DASH}"
"""What stands for a number that the page does not know."""
BOUND_SECONDS = 60.0
"""For anything that is waited for: a browser on a busy machine is slow."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
DRIVER = shutil.which("chromedriver") or ""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)
DESKTOP = (1280, 800)
PHONE = (390, 844)
NARROW = (320, 640)
"""A small phone, or a desktop at 400 %: so narrow has to do (WCAG 2, reflow)."""


def need_chromium() -> None:
    """Skip, and say why, where there is no browser."""
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")


class Browser:
    """One browser with one page."""

    def __init__(self, folder: Path) -> None:
        """Start it, with a profile of its own in `folder`."""
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        options = Options()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # The machine's own dialogs would wait for somebody.
        options.set_capability("unhandledPromptBehavior", "ignore")
        options.add_experimental_option(
            "prefs", {"download.default_directory": str(self.downloads)}
        )
        self.driver = Chrome(service=Service(DRIVER), options=options)
        self.logged: list[str] = []
        self.size(*DESKTOP)

    def quit(self) -> None:
        """End it."""
        self.driver.quit()

    def anew(self) -> None:
        """Forget what earlier tests left: tabs, cookies, storage, sizes, colours, complaints."""
        first, *others = self.driver.window_handles
        for window in others:
            self.driver.switch_to.window(window)
            self.driver.close()
        self.driver.switch_to.window(first)
        self.driver.get("about:blank")
        self.tell("Network.clearBrowserCookies")
        self.colours("light")
        self.size(*DESKTOP)
        self.complaints()
        self.logged.clear()

    def tell(self, method: str, **parameters: Any) -> Any:
        """Something that only the browser's own protocol can do."""
        return self.driver.execute_cdp_cmd(method, parameters)

    def size(self, width: int, height: int) -> None:
        """How large the page is; a narrow one is a phone's."""
        phone = width < 600
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=phone,
        )  # fmt: skip
        self.tell("Emulation.setTouchEmulationEnabled", enabled=phone)

    def colours(self, scheme: str) -> None:
        """What the system prefers; and no movement, so that pictures are all alike."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.tell("Emulation.setEmulatedMedia", features=features)

    def open(self, address: str, view: str = "") -> Browser:
        """A node's console, with nothing remembered."""
        origin = f"http://{address}"
        self.tell("Storage.clearDataForOrigin", origin=origin, storageTypes="all")
        self.driver.get("about:blank")
        # A late answer to the page before may have set one again.
        self.tell("Network.clearBrowserCookies")
        self.driver.get(f"{origin}/console/{view}")
        return self

    def tab(self, address: str, view: str = "") -> str:
        """Another tab of a console, which is looked at from now on; its name."""
        self.driver.switch_to.new_window("tab")
        self.driver.get(f"http://{address}/console/{view}")
        return self.driver.current_window_handle

    def look(self, tab: str) -> Browser:
        """Look at a tab that there is."""
        self.driver.switch_to.window(tab)
        return self

    def go(self, view: str) -> Browser:
        """Another view of the same page."""
        self.run("location.hash = arguments[0]", view)
        return self

    def run(self, script: str, *arguments: Any) -> Any:
        """Run something in the page."""
        return self.driver.execute_script(script, *arguments)

    def wait_in_page(self, script: str, *arguments: Any) -> Any:
        """Run something that takes its time: the last argument is called with what came out."""
        self.driver.set_script_timeout(60)
        return self.driver.execute_async_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """An element that is seen, as soon as one is."""
        return self.until(lambda: self.shown(selector), selector)

    def shown(self, selector: str) -> WebElement | None:
        """An element that is seen now."""
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return next((each for each in found if each.is_displayed()), None)

    def click(self, selector: str) -> None:
        """Press it, once it is there."""
        self.until(lambda: self._clicked(selector), f"{selector} to press")

    def _clicked(self, selector: str) -> bool:
        found = self.shown(selector)
        if found is None:
            return False
        try:
            found.click()
        except WebDriverException:
            return False
        return True

    def button(self, text: str) -> None:
        """Press the button with these words."""
        self.until(
            lambda: self.run(
                "const b = [...document.querySelectorAll('button')].find(b => "
                "b.textContent.trim() === arguments[0] && b.offsetParent && !b.disabled);"
                "b?.click(); return Boolean(b)",
                text,
            ),
            f"a button {text!r}",
        )

    def text(self, selector: str) -> str:
        """What is written there; nothing if it is not there."""
        found = self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return str(found)

    def see(self, words: str, selector: str = "body", seconds: float = BOUND_SECONDS) -> str:
        """Wait until these words are there."""
        return self.until(
            lambda: words in self.text(selector) and self.text(selector),
            f"{words!r} in {selector}, which says {self.text(selector)[:1500]!r},",
            seconds,
        )

    def until(self, done: Callable[[], T | None], what: str, seconds: float = BOUND_SECONDS) -> T:
        """Wait for something of the page, which may be drawn anew meanwhile."""

        def patiently() -> T | None:
            try:
                return done()
            except StaleElementReferenceException:
                return None

        return until(patiently, what, seconds)  # type: ignore[return-value]

    def press(self, *keys: str) -> None:
        """Press these keys together, wherever the cursor is."""
        element = self.driver.switch_to.active_element
        element.send_keys(*keys)

    def write(self, sql: str) -> WebElement:
        """Put a text into the editor, at once, as if pasted."""
        field = self.find("#sql")
        self.run(
            "const f = arguments[0]; f.focus(); f.select();"
            "document.execCommand('insertText', false, arguments[1])",
            field, sql,
        )  # fmt: skip
        return field

    def ask(self, sql: str) -> None:
        """Run a text, and wait until it is over."""
        self.write(sql).send_keys(Keys.CONTROL, Keys.ENTER)
        self.over()

    def over(self, seconds: float = BOUND_SECONDS) -> str:
        """Wait until nothing runs; what is said of it."""
        self.until(lambda: self.shown("#run"), "the end of the statement", seconds)
        return self.text(".summary")

    def cells(self) -> list[list[str]]:
        """What the table shows, row by row, without their numbers."""
        found = self.run(
            "return [...document.querySelectorAll('.view:not([hidden]) .grid-row')].map(r => "
            "[...r.querySelectorAll('[role=gridcell]')].map(c => c.textContent))"
        )
        return [[str(cell) for cell in row] for row in found]

    def rows(self, expected: list[list[str]]) -> None:
        """Wait until the table shows these rows."""
        self.until(lambda: self.cells() == expected, f"{expected}; there is {self.cells()}")

    def complaints(self) -> list[str]:
        """What the browser itself complains about: errors of scripts, breaches of the policy."""
        found = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        self.logged += [entry["message"] for entry in found if entry["level"] == "SEVERE"]
        return self.logged

    def sideways(self) -> int:
        """How far the whole page could be pushed sideways."""
        # A phone's `innerWidth` grows with what does not fit.
        wide = self.run(
            "const { scrollWidth, clientWidth } = document.documentElement;"
            "return scrollWidth - clientWidth"
        )
        return int(wide)

    def picture(self, path: Path) -> None:
        """What is seen."""
        self.driver.save_screenshot(str(path))
