"""The reference's times and URLs against facts worked by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import host, levels, page
from tests.reference.times import FIRST, LAST, local_time, read_epoch, read_iso, read_pattern


def at(text: str) -> int:
    """Epoch microseconds of an ISO text with an offset, by the standard library."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2022-04-28T07:38:46", "2022-04-28T07:38:46Z"),
        ("2022-04-28 07:38:46.1", "2022-04-28T07:38:46.1Z"),
        ("2022-04-28T07:38:46.123456789Z", "2022-04-28T07:38:46.123456Z"),
        ("2022-04-28T07:38:59.999999999+02:00", "2022-04-28T05:38:59.999999Z"),
        ("2022-04-28T07:38:46-0230", "2022-04-28T10:08:46Z"),
        ("2022-04-28T07:38:46+02", "2022-04-28T05:38:46Z"),
        ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_iso_is_read(text: str, instant: str) -> None:
    """Section 2.1: further digits are cut, offsets applied, UTC by default."""
    assert read_iso(text, "UTC") == at(instant)


@pytest.mark.parametrize(
    "text",
    """2022-04-28 | 2022-04-28T07:38 | 2022-04-28T07:38:60 | 2022-04-28T24:00:00 | 2022-02-29T00:00:00 |
    2022-04-28t07:38:46 | 2022-04-28T07:38:46z | 2022-04-28T07:38:46. | 2022-04-28T07:38:46.1234567890 |
    2022-04-28T07:38:46+24:00 | 2022-04-28T07:38:46+01:60 | 2022-04-28T07:38:46+1 | 2022-04-28  07:38:46 |
    02/03/2017 20:22:00 | 0000-01-01T00:00:00 | 0001-01-01T00:00:00+00:01 | 9999-12-31T23:59:59-01:00 |
    20220428T073846 | 1524900000 | \u0662022-04-28T07:38:46""".replace("\n", " ").split(" | "),
)
def test_iso_is_refused(text: str) -> None:
    """Section 2.1: `:60`, `24:00`, a date alone, and everything that is not the accepted form."""
    assert read_iso(text.strip(), "UTC") is None


def test_local_times() -> None:
    """A time that occurs twice is the earlier instant, one that does not exist moves on by the gap (2.1)."""
    assert read_iso("2021-10-31T02:30:00", "Europe/Berlin") == at("2021-10-31T02:30:00+02:00")
    assert read_iso("2021-03-28T02:30:00", "Europe/Berlin") == at("2021-03-28T03:30:00+02:00")
    assert read_iso("2021-03-28T02:30:00Z", "Europe/Berlin") == at("2021-03-28T02:30:00Z")
    assert read_iso("0001-01-01T00:00:00", "Asia/Tokyo") is None
    assert read_iso("9999-12-31T23:59:59", "America/New_York") is None
    assert local_time(at("2021-03-28T00:59:00Z"), "Europe/Berlin").hour == 1
    assert local_time(at("2021-03-28T01:00:00Z"), "Europe/Berlin").hour == 3


def test_patterns_read_digits() -> None:
    """Declared strptime formats: one digit only where none can stand beside it, the rest literally."""
    brief = "%d/%m/%Y %H:%M:%S"
    assert read_pattern("02/03/2017 20:22:00", brief, "UTC") == at("2017-03-02T20:22:00Z")
    for wrong in (
        "002/3/2017 20:22:00",
        "/3/2017 20:22:00",
        "02/03/217 20:22:00",
        "02/13/2017 20:22:00",
        "02/03/2017 24:00:00",
        "02/03/2017  20:22:00",
    ):
        assert read_pattern(wrong, brief, "UTC") is None
    assert read_pattern("2/3/2017 9:5:0", brief, "UTC") == at("2017-03-02T09:05:00Z")
    assert read_pattern("20170302T9", "%Y%m%dT%H", "UTC") == at("2017-03-02T09:00:00Z")
    assert read_pattern("2017032T09", "%Y%m%dT%H", "UTC") is None
    assert read_pattern("02/03/2017 20:22:60", brief, "UTC") is None
    assert read_pattern("690101.9999999+02", "%y%m%d.%f%z", "UTC") == at("1969-01-01T00:00:00.999999+02:00")
    assert read_pattern("68-01-01 100%", "%y-%m-%d 100%%", "Asia/Tokyo") == at("2068-01-01T00:00:00+09:00")
    assert read_pattern("2017x03x02", "%Y.%m.%d", "UTC") is None
    with pytest.raises(ValueError, match="%b"):
        read_pattern("", "%d %b %Y", "UTC")


@pytest.mark.parametrize(
    ("number", "unit", "instant"),
    [
        ("1.9999999", "epoch_s", 1_999_999),
        ("-1.9999999", "epoch_s", -1_999_999),
        ("-0.0000009", "epoch_s", 0),
        ("15e-1", "epoch_ms", 1500),
        ("0.1E+2", "epoch_us", 10),
        ("1999", "epoch_ns", 1),
        ("1e-999999999999999999999", "epoch_s", 0),
        ("0e999999999999999999999", "epoch_s", 0),
        ("1e999999999999999999999", "epoch_s", None),
        ("253402300799.9999999", "epoch_s", LAST),
        ("253402300800", "epoch_s", None),
        ("-62135596800", "epoch_s", FIRST),
        ("-62135596800.000001", "epoch_s", None),
    ],
)
def test_epoch_numbers(number: str, unit: str, instant: int | None) -> None:
    """Digits below the microsecond are cut off the number as written (2.1)."""
    assert read_epoch(number, unit) == instant


@pytest.mark.parametrize(
    ("text", "expected", "path"),
    [
        ("https://www.hipages.com.au/articles", ("hipages.com.au", "articles", None), "/articles"),
        ("www.hipages.com.au/articles", ("hipages.com.au", "articles", None), "/articles"),
        (" https://a.com/b//c/d/?q=/x#y \n", ("a.com", "b", "c"), "/b//c/d"),
        ("a.html", ("a.html", None, None), "/"),
        ("/a.html", (None, "a.html", None), "/a.html"),
        ("/pedals", (None, "pedals", None), "/pedals"),
        ("pro-audio", (None, "pro-audio", None), "/pro-audio"),
        ("/pro-audio///", (None, "pro-audio", None), "/pro-audio"),
        ("pro-audio?ref=a.com", (None, "pro-audio", None), "/pro-audio"),
        ("//WWW.Example.com:80", ("example.com", None, None), "/"),
        ("HTTP://u@v:p@www.www.A.com:80/x%20y", ("www.a.com", "x%20y", None), "/x%20y"),
        ("https://[2001:DB8::1]:443/a", ("[2001:db8::1]", "a", None), "/a"),
        ("http://www./x", (None, "x", None), "/x"),
        ("http:///x", (None, "x", None), "/x"),
        ("///x", (None, "x", None), "/x"),
        ("http://É.com/É", ("É.com", "É", None), "/É"),
        ("1a://b.c/d", (None, "1a:", "b.c"), "/1a://b.c/d"),
        ("localhost:80/x", (None, "localhost:80", "x"), "/localhost:80/x"),
        ("?q", (None, None, None), "/"),
        ("", (None, None, None), "/"),
        ("/", (None, None, None), "/"),
    ],
)
def test_url_levels_and_pages(text: str, expected: tuple[str | None, ...], path: str) -> None:
    """Sections 6.1 and 6.4."""
    assert (levels(text), host(text), page(text)) == (expected, expected[0], path)


def test_null_url() -> None:
    """No text, no levels and no page."""
    assert (levels(None), page(None)) == ((None, None, None), None)


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    """Section 6.1; and a page begins with a slash and ends with none."""
    levels(text)
    shown = page(text)
    assert shown is not None
    assert shown.startswith("/")
    assert shown == "/" or not shown.endswith("/")
