"""Pages of a real browser that are watched: whatever goes wrong on one is taken down."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, Response

SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
"""Where screenshots go; git ignores it."""

WIDTHS = {"phone": 390, "tablet": 820, "wide": 1440}
THEMES = ("light", "dark")

_AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
_FINDINGS = """rules => axe.run({resultTypes: ["violations"], ...(rules && {runOnly: rules})})
    .then(found => found.violations
    .filter(one => ["serious", "critical"].includes(one.impact))
    .flatMap(one => one.nodes.map(node => `${one.id}: ${node.target}: ${node.failureSummary}`)))"""
_PICTURES = """theme => [...document.images].every(
    image => image.complete && image.naturalWidth > 0
        && (image.currentSrc.includes("theme=dark") === (theme === "dark") || !image.currentSrc.includes("/charts/"))
)"""
_BREACHES = """addEventListener("securitypolicyviolation", breach =>
    console.error(`policy: ${breach.violatedDirective} ${breach.blockedURI}`))"""
_WIDER = """() => {
    const wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= wide) return [];
    const found = [...document.querySelectorAll("body *")].filter(
        one => one.getBoundingClientRect().right > wide + 1 && !one.closest(".scroll, pre, nav, svg"));
    return ["the page scrolls sideways", ...found.map(one => one.outerHTML.slice(0, 120))];
}"""


@dataclass
class Watched:
    """A *page*, and what a browser held against it: *faults*, which a test expects to stay empty.

    *allowed*: what may be on the console, such as an answer of 401 that a test is about.
    """

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)
    allowed: tuple[str, ...] = ()

    def open(self, path: str, status: int = 200) -> Page:
        """Go to *path*, which has to answer *status*."""
        answer = self.page.goto(self.base + path)
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}: {self.page.inner_text('body')[:500]}"
        return self.page

    def look(self, theme: str = "light", width: str = "wide") -> None:
        """Show the page in *theme* and *width*, with its pictures, and see that nothing has to be scrolled sideways."""
        self.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        self.page.set_viewport_size({"width": WIDTHS[width], "height": 900})
        self.page.wait_for_function(_PICTURES, arg=theme)
        wider: list[str] = self.page.evaluate(_WIDER)
        assert not wider, wider

    def shoot(self, name: str) -> None:
        """Keep a picture of the whole page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True, animations="disabled")

    def check(self, *rules: str) -> None:
        """axe finds nothing serious or critical, by all its rules or by *rules*."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(_AXE)
        found: list[str] = self.page.evaluate(_FINDINGS, list(rules) or None)
        assert not found, "\n".join(found)

    def text(self) -> str:
        """What stands in the page's content, also in parts that are closed."""
        return self.page.text_content("main") or ""

    def ran(self) -> Any:
        """What code from an event would have set."""
        return self.page.evaluate("window.marked")


def watched(context: BrowserContext, base: str) -> Watched:
    """A new page of *context*, for the service at *base*."""
    context.add_init_script(_BREACHES)
    seen = Watched(context.new_page(), base)
    host = urlsplit(base).netloc

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(words in message.text for words in seen.allowed):
            seen.faults.append(f"{message.type} on the console: {message.text} ({message.location})")

    def asked_person(dialog: Dialog) -> None:
        seen.faults.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def asked(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
            seen.faults.append(f"asked another host: {request.url}")

    def answered(response: Response) -> None:
        if response.status >= 500 or (response.status >= 400 and not seen.allowed):
            seen.faults.append(f"{response.status}: {response.url}")

    seen.page.on("console", console)
    seen.page.on("pageerror", lambda error: seen.faults.append(f"error of a script: {error}"))
    seen.page.on("dialog", asked_person)
    seen.page.on("request", asked)
    seen.page.on("response", answered)
    return seen


def new_context(browser: Browser, **how: Any) -> BrowserContext:
    """A fresh browser profile, in which everything answers soon or fails."""
    context = browser.new_context(viewport={"width": WIDTHS["wide"], "height": 900}, **how)
    context.set_default_timeout(15_000)
    return context
