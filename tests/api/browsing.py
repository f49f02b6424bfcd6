"""A real browser at the API's web page, which notes whatever goes wrong there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

#: Milliseconds that anything may take on a busy machine.
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)
#: Notes in `heard` every sentence that is marked, however short it is.
FOLLOW = """
window.heard = [];
addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
  const text = document.querySelector(".sentence.now")?.textContent;
  if (text && text !== heard.at(-1)) heard.push(text);
}).observe(document.body, { subtree: true, childList: true, attributeFilter: ["class"] }));
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium, without a window; where it is missing, CI fails and others skip."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("the web page's tests need Chromium (Debian: apt-get install chromium)")
        pytest.skip("the web page's tests need Chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """Somebody at the page, and what his browser said and asked for."""

    page: Page
    url: str
    said: list[str] = field(default_factory=list)
    """Errors and warnings of the console, the page's own and the policy's."""
    asked: list[Request] = field(default_factory=list)
    """Every request."""

    def go(self, to: str = "") -> None:
        """Open a view of the page: `jobs`, `jobs/<id>`, `farm`."""
        self.page.goto(f"{self.url}/#/{to}")

    def hears(self, what: str) -> None:
        """Wait until audio sounds from an address that begins so."""
        self.page.wait_for_function(
            "what => audio.src.startsWith(what) && !audio.paused && audio.currentTime > 0.05",
            arg=what,
        )

    def follows(self, text: str) -> None:
        """Wait until a sentence is, or was, marked as the one that is heard."""
        self.page.wait_for_function("text => heard.includes(text)", arg=text)

    def sideways(self) -> int:
        """Pixels by which the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))


@contextmanager
def visit(browser: Browser, url: str, *expected: str, **context: Any) -> Iterator[Visit]:
    """Visit the page; fail where it went wrong in any way but those `expected`."""
    given = {"locale": "en-GB", "viewport": {"width": 1100, "height": 850}, **context}
    with browser.new_context(**given) as entered:
        entered.set_default_timeout(PATIENCE_MS)
        entered.add_init_script(FOLLOW)
        found = Visit(entered.new_page(), url)
        found.page.on("console", lambda message: _note(found, message))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("request", lambda request: found.asked.append(request))
        yield found
    noise = [text for text in found.said if not any(each in text for each in expected)]
    assert not noise, noise
    elsewhere = {_origin(request.url) for request in found.asked} - {url, "blob:"}
    assert not elsewhere, elsewhere


def _note(found: Visit, message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        found.said.append(f"{message.text} {message.location.get('url', '')}")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return "blob:" if parts.scheme == "blob" else f"{parts.scheme}://{parts.netloc}"
