"""Filters in a query string: every type with every operator, and what must not come through."""

import operator
from typing import Any

import httpx
import pytest

from tests.store.places import Place

_SESSIONS = "/v1/tables/webshop/sessions"
_CASES = [
    (_SESSIONS, "actor", "user-2"),
    (_SESSIONS, "events", 2),
    (_SESSIONS, "duration_seconds", 1200.0),
    (_SESSIONS, "converted", "true"),
    (_SESSIONS, "started_at", "2024-03-02T09:00:00.000000Z"),
    ("/v1/tables/devices/fleet_daily", "day", None),
    ("/v1/tables/devices/device_uptime", "uptime", None),
]
_OPERATORS = {
    "": operator.eq,
    ".ne": operator.ne,
    ".lt": operator.lt,
    ".lte": operator.le,
    ".gt": operator.gt,
    ".gte": operator.ge,
}


def rows(client: httpx.Client, path: str, **asked: str) -> list[dict[str, Any]]:
    """The rows that the filters let through."""
    answer = client.get(path, params={"limit": "10000", **asked})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


@pytest.mark.parametrize("word", _OPERATORS)
@pytest.mark.parametrize(("path", "column", "value"), _CASES, ids=lambda given: str(given).rpartition("/")[2])
def test_every_operator_compares_every_type(
    client: httpx.Client, path: str, column: str, value: Any, word: str
) -> None:
    """A filter lets through what the comparison does, and never a null."""
    everything = rows(client, path)
    if value is None:
        value = sorted({row[column] for row in everything if row[column] is not None})[3]
    plain = value == "true" if column == "converted" else value
    compares = _OPERATORS[word]
    expected = [row for row in everything if row[column] is not None and compares(row[column], plain)]
    assert rows(client, path, **{f"{column}{word}": str(value)}) == expected


def test_several_filters_all_hold(client: httpx.Client) -> None:
    """Filters of several columns, and of one column twice, are joined by and."""
    found = client.get(f"{_SESSIONS}?actor=user-1&session_number.gt=1&session_number.lt=3").json()["rows"]
    assert [(row["actor"], row["session_number"]) for row in found] == [("user-1", 2)]
    assert client.get(f"{_SESSIONS}?actor=user-1&actor=user-2").json()["rows"] == []


@pytest.mark.parametrize(("text", "numbers"), [("true", [1, 2, 1, 2]), ("false", [3, 3])])
def test_nulls_are_asked_for_by_name(client: httpx.Client, text: str, numbers: list[int]) -> None:
    """`.null` tells rows without a value from those with one."""
    found = rows(client, _SESSIONS, **{"referrer.null": text})
    assert [row["session_number"] for row in found] == numbers


@pytest.mark.parametrize("text", ["2024-03-02T10:00:00%2B01:00", "2024-03-02 09:00:00", "2024-03-02T09:00:00Z"])
def test_instants_are_written_as_events_write_them(client: httpx.Client, text: str) -> None:
    """With an offset, with a space, with Z; a day alone is its beginning."""
    assert len(client.get(f"{_SESSIONS}?started_at={text}").json()["rows"]) == 2
    assert len(client.get(f"{_SESSIONS}?started_at.lt=2024-03-02").json()["rows"]) == 2


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("events", "x"), ("events", "1.0"), ("events", ""), ("events", "9223372036854775808"), ("events", "1 or 1=1"),
        ("events", "٣"),
        ("duration_seconds", "nan"), ("duration_seconds", "1e999"), ("duration_seconds", "1'"),
        ("converted", "yes"), ("converted", "TRUE"), ("actor.null", "maybe"),
        ("started_at", "yesterday"), ("started_at", "2024-02-30"), ("started_at", "0001-01-01T00:00:00+23:59"),
        ("actor", "a\0b"), ("actor.like", "%"), ("actor.", "x"), ("actor.eq.x", "x"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(client: httpx.Client, column: str, text: str) -> None:
    """400, with the parameter's name as its path."""
    answer = client.get(_SESSIONS, params={column: text})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_filter")
    assert answer.json()["path"] == f"$.query.{column}"


@pytest.mark.parametrize("text", ["9223372036854775807", "-9223372036854775808"])
def test_integers_have_64_bits(client: httpx.Client, text: str) -> None:
    """The largest and the smallest are compared, not refused."""
    assert rows(client, _SESSIONS, events=text) == []


@pytest.mark.parametrize("name", ["actr", 'actor"', "actor = actor or 1", "1=1) or (1", "rowid", "ctid", ".gt", "*"])
def test_an_unknown_column_is_refused(client: httpx.Client, name: str) -> None:
    """Only the table's own columns are columns."""
    answer = client.get(_SESSIONS, params={name: "1"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_column")
    assert "did you mean 'actor'?" in answer.json()["message"] or name != "actr"


@pytest.mark.parametrize(
    "text",
    [
        "' or '1'='1", "'; drop table sessions; --", "\\' or 1=1 --", "user-1' union select * from sojourn.runs --",
        "$$x$$", "'||(select 1)||'", "\\", "''", "E'\\x27'", "/*", "%", "_", "\u2019", "\x1a\x08\n",
    ],
)  # fmt: skip
def test_text_is_only_ever_text(client: httpx.Client, text: str, published: Place) -> None:
    """A quote, a comment or a statement in a value is compared like any other text: here nothing equals it."""
    before = len(rows(client, _SESSIONS))
    assert rows(client, _SESSIONS, actor=text) == []
    assert len(rows(client, _SESSIONS, **{"actor.ne": text})) == before
    assert client.get("/v1/runs", params={"pipeline": text, "status": text}).json()["runs"] == []
    assert client.get("/v1/quarantine", params={"pipeline": text, "run": text}).json()["records"] == []
    assert client.get("/metrics/orders", params={"pipeline": text}).status_code == 404
    assert client.get(_SESSIONS, params={"limit": 1}).status_code == 200


def test_a_quote_in_a_value_finds_what_has_it(client: httpx.Client) -> None:
    """What is escaped is compared as it was meant."""
    assert {row["referrer"] for row in rows(client, _SESSIONS, referrer="it's.example")} == {"it's.example"}
