"""What events hold is text: nothing of it is ever run, in pages or in pictures."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from sojourn.web.dashboard import report
from tests.command import shop, write
from tests.service.dashboard.html import check_page, check_picture, elements, values
from tests.service.serving import serving
from tests.store.places import Place

EVIL = "<script>alert(1)</script>"
WORDS = [
    EVIL,
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "'; drop table sessions; --",
    "\u202e",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home whose customers, pages, referrers, activities and broken records are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    place = Place(folder / "home")
    shops = [
        shop(10 * at + step, f"2024-03-0{at + 1}T09:0{step}:00", word, "placed_order" if step else "page_view",
             referrer=f"https://{word}/", page=f"https://shop.example/{word}")
        for at, word in enumerate(WORDS) for step in range(2)
    ]  # fmt: skip
    broken = json.dumps({"id": 99, "type": EVIL, "event": {"customer-id": "c", "timestamp": EVIL}})
    place.run("webshop", write(folder / f"{EVIL.replace('/', '')}.jsonl", *shops, broken))
    steps = [
        {"event_id": 10 * at + step, "user": {"id": word}, "action": word, "url": f"https://{word}/{word}",
         "timestamp": f"02/03/2024 20:0{step}:00"}
        for at, word in enumerate(WORDS) for step in range(2)
    ]  # fmt: skip
    place.run("activity", write(folder / "activity.jsonl", *(json.dumps(step) for step in steps)))
    return place


@pytest.fixture(scope="module")
def asking(hostile: Place) -> Iterator[httpx.Client]:
    """A client of a service over it."""
    with serving(hostile.open()) as client:
        yield client


def test_pages_show_hostile_text_as_text(asking: httpx.Client) -> None:
    """Also where it is chosen as a filter; pictures parse, and hold no script."""
    paths = ["/", "/sessions", "/orders", "/activity", "/quarantine"]
    paths += [f"/sessions?referrer={quote(word)}" for word in WORDS]
    paths += [f"/activity?activity={quote(word)}&site={quote(word)}" for word in WORDS]
    paths += [to for to in values(asking.get("/sessions").text, "a", "href") if to.startswith("/sessions/")]
    drawn = 0
    for path in paths:
        answer = asking.get(path)
        assert answer.status_code == 200, path
        check_page(answer)
        for address in values(answer.text, "img", "src"):
            if address.startswith("/charts/"):
                picture = asking.get(address)
                assert picture.status_code == 200, address
                check_picture(picture.content)
                drawn += 1
    assert drawn > 20
    assert EVIL not in asking.get("/quarantine").text
    assert "&lt;script&gt;" in asking.get("/quarantine").text


@pytest.mark.parametrize("word", WORDS)
def test_hostile_addresses_are_answered_with_a_page(asking: httpx.Client, word: str) -> None:
    """What is in the address is text in the page that says what is wrong with it."""
    names = ("/sessions/{}", "/charts/{}.svg", "/static/{}")
    words = ("/sessions?pipeline={}", "/sessions?from={}", "/quarantine?reason={}")
    for path in (name.format(quote(word, safe="")) for name in names + words):
        answer = asking.get(path)
        assert 400 <= answer.status_code < 500, path
        if "/" in word and answer.headers["content-type"] == "application/json":
            continue  # a name with a slash is the address of nothing
        check_page(answer)


def test_the_report_holds_hostile_text_as_text(hostile: Place, tmp_path: Path) -> None:
    """It runs nothing at all."""
    report.write(hostile.open(), target := tmp_path / "report.html")
    found = elements(target.read_text(encoding="utf-8"))
    assert not any(tag == "script" for tag, _ in found)
    assert not any(name.startswith("on") for _, attributes in found for name in attributes)
