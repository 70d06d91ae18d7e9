"""Signs in to a page of the running platform with a real browser and saves what it shows; see docs/screenshots.md."""

from __future__ import annotations

import argparse
import os
import tempfile

from playwright.sync_api import Page, TimeoutError, sync_playwright  # type: ignore[import-not-found]

# No sandbox, as root in a container; and no request of the browser's own to anywhere.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OWN = ("data:", "blob:")


def main() -> None:
    """Saves the picture; prints each answer that says the page is broken, and each file that another server sent."""
    options = _options()
    origin = "/".join(options.address.split("/")[:3])
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as play:
        size = {"width": options.width, "height": options.height}
        browser = play.chromium.launch_persistent_context(
            profile, executable_path=options.browser, headless=True, args=list(FLAGS), viewport=size
        )
        page = browser.new_page()
        page.on("response", lambda r: print(r.status, r.url) if r.status >= 400 else None)
        page.on("requestfinished", lambda r: None if r.url.startswith((*OWN, origin)) else print("loaded", r.url))
        page.set_default_timeout(120_000)
        page.goto(options.address)
        _sign_in(page, options)
        page.wait_for_selector(options.wait)
        _settle(page)
        page.screenshot(path=options.file)
        browser.close()


def _sign_in(page: Page, options: argparse.Namespace) -> None:
    """Airflow asks for the password only once its page has been told 401, which is therefore printed once."""
    password = "input[type=password]"
    page.wait_for_selector(f"{password}, {options.wait}")
    if page.locator(password).count() == 0:
        return
    page.fill("input#username, input[name=username]", options.user)
    page.fill(password, os.environ["PASSWORD"])
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "login" not in address)
    page.goto(options.address)


def _settle(page: Page) -> None:
    """Waits until nothing is loading and charts have drawn themselves."""
    try:
        page.wait_for_load_state("networkidle", timeout=60_000)
    except TimeoutError:
        print("the page still asks for data: it refreshes by itself")
    page.wait_for_function("!document.querySelector('.loading, [data-test=loading-indicator]')")
    page.wait_for_timeout(3000)  # the charts' opening animation has no end that one could ask for


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("file", help="the picture, .png")
    parser.add_argument("--user", default="admin", help="the password is read from PASSWORD")
    parser.add_argument("--wait", default="canvas", help="CSS selector of what must be there")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=1450)
    return parser.parse_args()


if __name__ == "__main__":
    main()
