"""A headless Chromium that is signed in to the embedded Airflow."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sr_embedded import state
from sr_embedded.home import USER, read_password

from tests.airflow.launcher import Launcher

needs_chromium = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")), reason="Chromium is not installed"
)
PATIENCE_S = 240


@contextmanager
def signed_in(
    stack: Launcher, profile: Path, *, width: int = 1400, user: str = USER, password: str = "", at: str = "/auth/login"
) -> Iterator[Any]:
    """Gives selenium's browser, past the login that opening the page `at` led to."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By

    known = state.load(stack.home)
    assert known is not None
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless", "--no-sandbox", f"--window-size={width},1200", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.add_argument("--disable-dev-shm-usage")  # containers have little of it
    with Chrome(options=options, service=Service(shutil.which("chromedriver"))) as browser:
        browser.get(f"{known.url}{at}")
        until(browser, lambda b: b.find_elements(By.NAME, "username"))
        browser.find_element(By.NAME, "username").send_keys(user)
        browser.find_element(By.NAME, "password").send_keys(password or read_password(stack.home))
        click(browser, "//button[@type='submit']")
        until(browser, lambda b: "/auth/login" not in b.current_url)
        yield browser


def until(browser: Any, holds: Any) -> Any:
    from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
    from selenium.webdriver.support.wait import WebDriverWait

    redrawn = (ElementClickInterceptedException, StaleElementReferenceException)  # while it was looked at
    return WebDriverWait(browser, PATIENCE_S, ignored_exceptions=redrawn).until(holds)


def click(browser: Any, xpath: str) -> None:
    """Press the last of what the path finds that can be pressed, once there is one."""
    from selenium.webdriver.common.by import By

    def pressed(b: Any) -> bool:
        found = [one for one in b.find_elements(By.XPATH, xpath) if one.is_displayed() and one.is_enabled()]
        if found:
            found[-1].click()
        return bool(found)

    until(browser, pressed)
