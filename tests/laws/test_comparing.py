"""Comparing tables against a slow comparison in plain Python: multisets, duplicates, floats, nulls and NaN."""

from __future__ import annotations

import math
from collections import Counter
from itertools import zip_longest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.comparing.multisets import KEYS, compare
from sojourn.engines import duckdb as engine
from sojourn.pipeline import TABLES
from tests.laws.effort import some_examples

KINDS = {"k": "bigint", "t": "varchar", "f": "double", "g": "double"}
_NAN = float("nan")
_FLOATS = [None, _NAN, math.inf, -math.inf, 0.0, -0.0, 1.0, 1.0 + 1e-10, 1.0 + 1e-8, 1e300, 1e300 * (1 + 1e-12), -1e300]

rows = st.lists(
    st.tuples(
        st.sampled_from([None, 1, 2]),
        st.sampled_from([None, "", "a"]),
        st.sampled_from(_FLOATS),
        st.sampled_from([0.0, 5.0]),
    ),
    max_size=8,
)
Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def connection():
    """A DuckDB for all examples."""
    with engine.connect() as opened:
        yield opened


def fill(connection, name: str, given: list[Row]) -> None:
    """Make the table *name* of these rows."""
    connection.execute(f"create or replace table {name} ({', '.join(f'{n} {kind}' for n, kind in KINDS.items())})")
    if given:
        connection.executemany(f"insert into {name} values ($1, $2, $3, $4)", [list(row) for row in given])


def is_nan(value: Any) -> bool:
    """Whether it is NaN."""
    return isinstance(value, float) and math.isnan(value)


def plain(row: Row) -> Row:
    """A row that is equal to another just when they are the same: NaN as text, no minus at zero."""
    return tuple("NaN" if is_nan(value) else value + 0.0 if isinstance(value, float) else value for value in row)


def close(one: Row, other: Row) -> bool:
    """Whether the floats of two rows are equal."""
    return all(
        plain((a,)) == plain((b,)) or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-9))
        for a, b in zip(one[2:], other[2:], strict=True)
    )


def in_order(row: Row) -> list[Any]:
    """Sorts as SQL does: nulls first, NaN last."""
    return [(value is not None, is_nan(value), 0 if value is None or is_nan(value) else value) for value in row]


def rest(left: list[Row], right: list[Row]) -> tuple[list[Row], list[Row]]:
    """What is left of both sides when all that is equal is taken away."""
    some, other = Counter(map(plain, left)), Counter(map(plain, right))
    gone, come = [], []
    groups: dict[Row, tuple[list[Row], list[Row]]] = {}
    for counts, side in ((some - other, 0), (other - some, 1)):
        for row in counts.elements():
            numbers = tuple(_NAN if value == "NaN" else value for value in row[2:])
            groups.setdefault(row[:2], ([], []))[side].append((*row[:2], *numbers))
    for sides in groups.values():
        for one, another in zip_longest(*(sorted(side, key=lambda row: in_order(row[2:])) for side in sides)):
            if one is None or another is None or not close(one, another):
                gone += [one] if one is not None else []
                come += [another] if another is not None else []
    return gone, come


@some_examples(150)
@given(left=rows, right=rows)
def test_rows_are_counted_as_a_slow_comparison_counts_them(connection, left, right):
    """Without a key every row that differs was removed or added, each as often as it was there."""
    fill(connection, "before", left)
    fill(connection, "after", right)
    found = compare(connection, "before", "after", (), most=100)
    gone, come = rest(left, right)
    assert (found.before, found.after) == (len(left), len(right))
    assert (found.changed, found.removed, found.added) == (0, len(gone), len(come))
    shown = [(tuple(e.before.values()) if e.before else None, tuple(e.after.values()) if e.after else None)
             for e in found.examples]  # fmt: skip
    assert Counter(plain(before) for before, _ in shown if before) == Counter(map(plain, gone))
    assert Counter(plain(after) for _, after in shown if after) == Counter(map(plain, come))
    assert [before is None for before, _ in shown] == sorted(before is None for before, _ in shown)


@some_examples(100)
@given(left=rows, right=rows)
def test_rows_with_a_key_change(connection, left, right):
    """Of the rows that differ, as many as share a key on both sides changed; the others were removed or added."""
    fill(connection, "before", left)
    fill(connection, "after", right)
    found = compare(connection, "before", "after", ("k", "t"))
    gone, come = (Counter(row[:2] for row in side) for side in rest(left, right))
    changed = sum((gone & come).values())
    assert (found.changed, found.removed, found.added) == (changed, (gone - come).total(), (come - gone).total())
    assert found.is_equal is not any([gone, come])


@some_examples(60)
@given(given=rows, data=st.data())
def test_order_and_the_last_digits_do_not_matter(connection, given, data):
    """A table is equal to itself in another order, with floats that differ in their tenth digit."""
    moved = [(*row[:2], *[v * (1 + 1e-11) if v is not None else None for v in row[2:]]) for row in given]
    fill(connection, "before", given)
    fill(connection, "after", data.draw(st.permutations(moved)))
    assert compare(connection, "before", "after", ("k",)).is_equal


def test_sets_would_hide_a_copy(connection):
    """Two copies of a row and one differ by one row."""
    fill(connection, "before", [(1, "a", 1.0, 0.0)] * 2)
    fill(connection, "after", [(1, "a", 1.0, 0.0)])
    found = compare(connection, "before", "after", ("k",))
    assert (found.before, found.after, found.changed, found.removed, found.added) == (2, 1, 0, 1, 0)


def test_examples_come_in_the_order_of_their_key(connection):
    """The first of each kind, with their keys, nulls first; the same every time."""
    fill(connection, "before", [(n, str(n), 0.0, 0.0) for n in (None, *range(50))])
    fill(connection, "after", [(n, "x", 0.0, 0.0) for n in (None, *range(1, 51))])
    found = compare(connection, "before", "after", ("k",), most=2)
    assert [(e.key["k"], e.before and e.before["t"], e.after and e.after["t"]) for e in found.examples] == [
        (None, "None", "x"),
        (1, "1", "x"),
        (0, "0", None),
        (50, None, "x"),
    ]
    assert (found.changed, found.removed, found.added) == (50, 1, 1)


def test_columns_of_one_side_are_told(connection):
    """What only one side has, or has as another type, is told; rows are compared by what both have."""
    connection.execute("create or replace table before as select 1 as k, 2 as orders, 'a' as t")
    connection.execute("create or replace table after as select 1 as k, 2::bigint as orders, true as suspect, 'a' as t")
    found = compare(connection, "before", "after", ("k",))
    assert found.columns == ("orders", "suspect")
    assert (found.changed, found.removed, found.added) == (0, 0, 0)
    assert not found.is_equal


def test_every_table_has_a_key_or_says_that_it_has_none():
    """Each table that a pipeline can publish has its entry; only one can hold two equal rows."""
    assert KEYS.keys() == TABLES.keys()
    assert [table for table, key in KEYS.items() if not key] == ["user_activity"]
