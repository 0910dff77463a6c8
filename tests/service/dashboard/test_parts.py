"""The small parts: ledgers as bars, marked text, numbers as people read them, what is remembered."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from sojourn.web.dashboard import ledgers, templates
from sojourn.web.dashboard.asked import Remembered
from sojourn.web.dashboard.filters import Chosen
from sojourn.web.dashboard.marking import AROUND, marked


def row(raw: bytes | None, path: str | None = "$", value: str | None = None, reason: str = "bad_type") -> Any:
    """A quarantined record, as far as it is marked."""
    return {"raw": raw, "path": path, "value": value, "reason": reason}


def ledger(accepted: int, duplicate: int = 0, dropped: int = 0, quarantined: int = 0) -> dict[str, int]:
    """A row of runs, as far as it is drawn."""
    ends = {"accepted": accepted, "duplicate": duplicate, "dropped": dropped, "quarantined": quarantined}
    return {"read": sum(ends.values()), **ends}


def test_a_bar_is_whole_and_shows_a_single_record() -> None:
    """Its parts lie side by side and fill it; one of a million is still to be seen."""
    bar = ledgers.bar(ledger(1_000_000, 0, 10, 3), {"bad_time": 1, "bad_type": 2})
    assert [(part.end, part.reason, part.records) for part in bar.parts] == [
        ("accepted", None, 1_000_000), ("dropped", None, 10),
        ("quarantined", "bad_type", 2), ("quarantined", "bad_time", 1),
    ]  # fmt: skip
    assert sum(part.width for part in bar.parts) == pytest.approx(ledgers.WIDTH, abs=0.1)
    assert min(part.width for part in bar.parts) > 2.5
    for left, right in zip(bar.parts, bar.parts[1:], strict=False):
        assert right.start == pytest.approx(left.start + left.width, abs=0.02)
    assert bar.words == "1,000,013 read: 1,000,000 accepted, 10 dropped, 3 quarantined"


def test_a_run_that_read_nothing_has_an_empty_bar() -> None:
    """There is nothing to divide by."""
    assert ledgers.bar(ledger(0), {}) == ([], "nothing was read")


@pytest.mark.parametrize(
    ("raw", "path", "value", "before", "found"),
    [
        (b'{"a": "x", "t": "x"}', "$.t", "x", '{"a": "x", "t": "', "x"),
        (b'{"a": 5.5, "n": {"id": 5.5}}', "$.n.id", "5.5", '{"a": 5.5, "n": {"id": ', "5.5"),
        (b"1,x,maybe", "$.connected", "maybe", "1,x,", "maybe"),
        (b"1,x,x", "$.connected", "x", "", ""),
        (b"[1]", "$", "[1]", "", "[1]"),
        (b'{"a": 1}', "$.b", None, "", ""),
        (b'{"a": 1}', "$.b.*(", "7", "", ""),
        (b'{"a": ["y"]}', "$.a[0]", "y", '{"a": ["', "y"),
    ],
)  # fmt: skip
def test_the_offending_value_is_marked(raw: bytes, path: str, value: str | None, before: str, found: str) -> None:
    """The one that the path means; none where it cannot be told."""
    text = marked(row(raw, path, value))
    assert text is not None
    assert (text.before, text.value) == (before, found)
    assert text.before + text.value + text.after == raw.decode()


def test_bytes_that_are_no_text_are_spelled_out_and_marked() -> None:
    """What is wrong is what is marked."""
    text = marked(row(b'{"a": "\xff\xfe!"}', reason="invalid_utf8"))
    assert text is not None
    assert text.value == "\\xff\\xfe"


def test_a_long_text_is_cut_around_the_value() -> None:
    """What is cut off is counted."""
    text = marked(row(b'{"pad": "' + b"p" * 5000 + b'", "t": "bad"}' + b" " * 5000, "$.t", "bad"))
    assert text is not None
    assert text.value == "bad"
    assert len(text.before) == len(text.after) == AROUND
    assert text.cut_before + len(text.before) + 3 + len(text.after) + text.cut_after == 5000 + 23 + 5000
    assert marked(row(None)) is None


def test_a_long_value_is_cut_too() -> None:
    """No page holds a megabyte in one mark."""
    text = marked(row(b'{"t": "' + b"v" * 100_000 + b'"}', "$.t", "v" * 100_000))
    assert text is not None
    assert len(text.before + text.value + text.after) < 4 * AROUND


@pytest.mark.parametrize(
    ("filter_", "value", "text"),
    [
        (templates.count, 1234567, "1,234,567"),
        (templates.count, None, templates.NOTHING),
        (templates.decimal, 47.5, "47.5"),
        (templates.decimal, 1000.0, "1,000"),
        (templates.percent, 0.1234, "12.3\u202f%"),
        (templates.lasting, 0.0, "0\u202fs"),
        (templates.lasting, 59.94, "59.9\u202fs"),
        (templates.lasting, 90.0, "1.5\u202fmin"),
        (templates.lasting, 200_000.0, "2.3\u202fd"),
        (templates.instant, datetime(2024, 3, 1, 9, 30, 5, tzinfo=UTC), "1 Mar 2024, 09:30:05"),
        (templates.instant, "2024-03-01T09:30:05.000000Z", "1 Mar 2024, 09:30:05"),
        (templates.day, date(2024, 12, 31), "31 Dec 2024"),
        (templates.change, 12, "+12"),
        (templates.change, -3.25, "\u22123.25"),
        (templates.change, 0, "±0"),
        (templates.change, None, ""),
        (templates.probability, 0.0004, "< 0.001"),
        (templates.clock, 1_709_285_405_250_000, "09:30:05.250"),
        (templates.plain, True, "yes"),
        (templates.plain, {"a": [1]}, '{"a": [1]}'),
    ],
)  # fmt: skip
def test_values_as_people_read_them(filter_: object, value: object, text: str) -> None:
    """Numbers with separators, times in UTC, a dash for nothing."""
    assert filter_(value) == text  # type: ignore[operator]


def test_the_oldest_answer_is_forgotten_first() -> None:
    """What was asked for again stays."""
    remembered = Remembered(2)
    made: list[str] = []

    def ask(key: str) -> str:
        def make() -> str:
            made.append(key)
            return key

        return remembered.get(key, make)

    for key in ("a", "b", "a", "c", "a", "b"):
        assert ask(key) == key
    assert made == ["a", "b", "c", "b"]


def test_an_address_keeps_what_was_chosen() -> None:
    """With more words, or without some."""
    chosen = Chosen(date(2024, 3, 1), None, (("referrer", "a&b"),))
    assert chosen.address(pipeline="p") == "?from=2024-03-01&referrer=a%26b&pipeline=p"
    assert Chosen().address() == ""
