"""Using the dashboard: by keyboard alone, by addresses that others are given, and behind a token."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from sojourn.web.dashboard.pages import NAVIGATION
from tests.browser.conftest import Open
from tests.browser.watched import Watched
from tests.service.live.process import Service, serving
from tests.store.places import Place

TOKEN = "let-me-read"

_FOCUSED = """() => {
    const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
    return {
        tag: one.tagName.toLowerCase(), text: (one.innerText || one.name || "").trim().split("\\n")[0],
        name: one.getAttribute("name"),
        visible: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
            && box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    };
}"""


def tabbed(seen: Watched) -> Iterator[dict[str, Any]]:
    """What gets the focus, pressing Tab, until it is the page's turn again."""
    for _ in range(200):
        seen.page.keyboard.press("Tab")
        found = seen.page.evaluate(_FOCUSED)
        if found["tag"] == "body":
            return
        yield found
    raise AssertionError("there is no end to it")


def test_the_keyboard_reaches_everything(shop: Service, opened: Open) -> None:
    """Views, filters, then what the view shows, in this order; one always sees where one is."""
    seen = opened(shop, "/sessions")
    found = list(tabbed(seen))
    unseen = [one["name"] for one in found if not one["visible"]]
    assert unseen == ["from", "to"], "but for the button within a field for a day, which shows the focus itself"
    assert found[0]["text"] == "Skip to content"
    texts = [one["text"] for one in found]
    labels = [label for _, label, _ in NAVIGATION]
    assert texts[1 : len(labels) + 2] == ["Sojourn", *labels]
    order = ["pipeline", "from", "to", "referrer"]
    names = [one["name"] for one in found if one["name"] in order]
    assert list(dict.fromkeys(names)) == order
    places = [texts.index(text) for text in (labels[-1], "Apply", "The numbers as a table")]
    assert places == sorted(places)
    shown = seen.page.locator("summary").all_inner_texts()
    assert [one["text"] for one in found if one["tag"] == "summary"] == shown


def test_the_keyboard_is_enough(shop: Service, opened: Open) -> None:
    """Past the navigation with one key, a table opened, a view chosen."""
    seen = opened(shop, "/sessions")
    seen.page.keyboard.press("Tab")
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "content"
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.name") == "pipeline"
    for one in tabbed(seen):
        if one["tag"] == "summary":
            break
    seen.page.keyboard.press("Enter")
    assert seen.page.locator("details[open] table").is_visible()
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.getAttribute('role')") == "region"  # can be scrolled by keys
    seen.page.focus("nav a[href='/orders']")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_url("**/orders")


def test_an_address_can_be_shared(shop: Service, opened: Open) -> None:
    """What was chosen stands in the address; who opens it sees the same, and nobody's clock or settings matter."""
    seen = opened(shop, "/sessions")
    everything = seen.text()
    seen.page.fill("[name=from]", "2022-04-10")
    seen.page.fill("[name=to]", "2022-04-20")
    seen.page.select_option("[name=referrer]", "seekwell.example")
    seen.page.get_by_role("button", name="Apply").click()
    seen.page.wait_for_url(re.compile("referrer=seekwell.example"))
    address = seen.page.url.removeprefix(seen.base)
    assert "from=2022-04-10" in address
    assert "to=2022-04-20" in address
    assert seen.text() != everything
    seen.look()
    other = opened(shop, address, timezone_id="Pacific/Kiritimati", locale="de-DE")
    other.look()
    assert other.text() == seen.text()
    assert other.page.input_value("[name=from]") == "2022-04-10"
    assert other.page.input_value("[name=referrer]") == "seekwell.example"
    pictures = "[...document.images].map(image => image.currentSrc)"
    assert other.page.evaluate(pictures) == seen.page.evaluate(pictures)
    assert all("2022-04-10" in one for one in seen.page.evaluate(pictures) if "/charts/" in one)
    other.page.get_by_role("link", name="Clear").click()
    assert other.text() == everything
    other.page.go_back()
    assert other.text() == seen.text()


@pytest.fixture(scope="module")
def guarded(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that asks for a token, over a home in which nothing has run."""
    place = Place(tmp_path_factory.mktemp("guarded") / "home")
    with serving(place, env={"SOJOURN_TOKENS": f"{TOKEN}:read other:ingest"}) as started:
        yield started


def signed_in(seen: Watched, token: str = TOKEN) -> None:
    """Give the form a token."""
    seen.page.get_by_label("Token").fill(token)
    seen.page.get_by_role("button", name="Sign in").click()


def test_signing_in_and_out(guarded: Service, opened: Open) -> None:
    """A form asks for the token, refuses a wrong one, goes on to the page wanted; no script sees the cookie."""
    seen = opened(guarded, "/sessions?from=2024-03-01", status=401)
    for theme in ("light", "dark"):
        seen.look(theme, "phone")
        seen.check()
        seen.shoot(f"sign_in-phone-{theme}")
    for wrong, said in (("wrong", "not known here"), ("other", "may ingest, not read")):
        signed_in(seen, wrong)
        seen.page.get_by_role("status").get_by_text(said).wait_for()
        assert seen.page.input_value("[name=token]") == ""
        assert seen.page.context.cookies() == []
    signed_in(seen)
    seen.page.wait_for_url("**/sessions?from=2024-03-01")
    (cookie,) = seen.page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert seen.page.evaluate("document.cookie") == ""
    assert TOKEN not in seen.page.content()
    seen.look(width="phone")
    seen.page.get_by_role("button", name="Sign out").click()
    seen.page.get_by_label("Token").wait_for()
    assert seen.page.context.cookies() == []


def test_without_anything(guarded: Service, opened: Open) -> None:
    """Each view of an empty home says what to do."""
    seen = opened(guarded, "/", status=401)
    signed_in(seen)
    seen.page.wait_for_selector("nav a[aria-current]")
    for name, label, path in NAVIGATION:
        seen.open(path)
        assert seen.page.inner_text("h1") in (label, "Welcome")
        said = "Nothing is quarantined" if name == "quarantine" else "sojourn "
        assert said in seen.text(), f"{name} names no command"
        seen.look("dark", "phone")
        seen.check("color-contrast")
        seen.look()
        seen.check()
        seen.shoot(f"empty-{name}")
