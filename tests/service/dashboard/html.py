"""Pages taken apart: their elements, as a browser would find them."""

from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree import ElementTree

import httpx

from sojourn.web.dashboard.pages import HEADERS

Element = tuple[str, dict[str, str]]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def elements(text: str) -> list[Element]:
    """Every element of a page, with its attributes."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    return parser.found


def values(text: str, tag: str, name: str) -> Iterator[str]:
    """The attribute *name* of every element *tag* that has one."""
    return (attributes[name] for found, attributes in elements(text) if found == tag and name in attributes)


def check_page(answer: httpx.Response) -> None:
    """Nothing is run or loaded but our own, and nothing needs an inline style."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    ids = [attributes["id"] for _, attributes in elements(answer.text) if "id" in attributes]
    assert sorted(set(ids)) == sorted(ids)
    for tag, attributes in elements(answer.text):
        assert tag not in ("style", "iframe", "object", "embed", "base"), tag
        assert tag != "script" or attributes.get("src", "").startswith("/static/")
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style", tag
            if name in ("href", "src", "srcset", "action"):
                assert value.startswith(("/", "#", "?")), value
                assert not value.startswith("//"), value
    check_words(answer.text)


def check_words(text: str) -> None:
    """Pictures have words, fields have labels, and there is one first heading."""
    found = elements(text)
    assert sum(tag == "h1" for tag, _ in found) == 1
    assert all("alt" in attributes for tag, attributes in found if tag == "img")
    assert [attributes["lang"] for tag, attributes in found if tag == "html"] == ["en"]
    assert all(attributes.get("scope") for tag, attributes in found if tag == "th")


def check_picture(content: bytes) -> None:
    """An SVG that can do nothing but be seen."""
    for element in ElementTree.fromstring(content).iter():
        assert element.tag.rpartition("}")[2] not in ("script", "foreignObject", "style", "image", "a"), element.tag
        assert not any(name.startswith("on") or name.endswith("href") for name in element.attrib)
