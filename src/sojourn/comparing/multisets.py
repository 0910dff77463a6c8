"""Tables compared as multisets: the same rows, each as often, in any order; floats up to what a sum's order changes.

Rows that are equal in everything stand for each other first. Of the others, those that are equal but for their floats
are paired in the order of these, and are equal where all floats of a pair are. What then remains differs: a row is
*changed* where the other side has one with its key, else *removed* or *added*.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sojourn.engines.duckdb import Connection, identifier

TOLERANCE = 1e-9
"""Of the larger of two floats: as far as they may differ and be equal."""

KEYS: dict[str, tuple[str, ...]] = {
    "sessions": ("session_id",),
    "session_durations_by_referrer": ("referrer",),
    "referrer_differences": ("test", "referrer", "other_referrer"),
    "experiment_users": ("experiment", "actor"),
    "experiments": ("experiment", "variant", "goal"),
    "event_counts": ("session_id", "name"),
    "user_activity": (),
    "hourly_activity": ("time_bucket", "url_level1", "url_level2", "activity"),
    "transitions": ("from_page", "to_page", "activity"),
    "pages": ("url",),
    "presence": ("device_id", "started_at", "server_id", "user_id"),
    "fleet_daily": ("day", "fleet_size"),
    "fleet_rolling_28d": ("day", "fleet_size"),
    "fleet_projection": ("series", "fleet_size", "day"),
    "repairs": ("rule", "ended_by"),
    "device_uptime": ("device_id", "fleet_size"),
}
"""What tells the rows of each table apart; nothing where a table can hold two equal rows."""


KINDS = ("changed", "removed", "added")
"""What becomes of a row that differs."""


@dataclass(frozen=True)
class Differing:
    """A row that differs, by its *key*: as it is *before* and *after*, or None where it is on one side only."""

    key: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class Comparison:
    """Rows *before* and *after* in all, and how many of them differ, with *examples* of each kind, in order.

    *columns*: those that only one side has, or that are of another type there; rows are compared without them.
    """

    before: int
    after: int
    changed: int = 0
    removed: int = 0
    added: int = 0
    columns: tuple[str, ...] = ()
    examples: tuple[Differing, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether both sides hold the same rows, each as often."""
        return not (self.changed or self.removed or self.added or self.columns)


def compare(connection: Connection, before: str, after: str, key: Sequence[str], most: int = 5) -> Comparison:
    """Compare two relations of *connection*, by their names in SQL; up to *most* examples of each kind.

    It makes temporary tables there, whose names begin with `_rest`.
    """
    left, right = columns(connection, before), columns(connection, after)
    common = [name for name, kind in left.items() if right.get(name) == kind]
    odd = tuple(name for name in {**left, **right} if name not in common)
    rows, are_equal = _fingerprints(connection, (before, after), common)
    if are_equal:
        return Comparison(*rows, columns=odd)
    _keep_rest(connection, before, after, common)
    floats = [name for name in common if left[name] in ("DOUBLE", "FLOAT")]
    if floats:
        _leave_out_close(connection, [name for name in common if name not in floats], floats)
    known = list(key) if set(key) <= set(common) else []
    changed, removed, added = _keep_kinds(connection, common, known)
    examples = tuple(_examples(connection, common, known, most))
    return Comparison(*rows, changed, removed, added, columns=odd, examples=examples)


def columns(connection: Connection, relation: str) -> dict[str, str]:
    """The columns of a relation -> their types."""
    return {row[0]: row[1] for row in connection.execute(f"describe from {relation}").fetchall()}


def _fingerprints(connection: Connection, sides: tuple[str, str], common: list[str]) -> tuple[tuple[int, int], bool]:
    """The rows of each side, and whether they are equal, which sums of hashes tell without keeping any row."""
    sql = f"select count(*), sum({_hash(common)}::hugeint) from"
    left, right = [connection.execute(f"{sql} {side}").fetchall()[0] for side in sides]
    return (left[0], right[0]), left == right


def _keep_rest(connection: Connection, before: str, after: str, common: list[str]) -> None:
    """Make `_rest_before` and `_rest_after`: the rows without an equal on the other side, numbered by `_id`.

    Rows are known by a hash of 64 bits: of 10^19 rows that differ, one would pass for equal.
    """
    row = _hash(common)
    connection.execute(
        "create or replace temp table _rest_hashes as select _hash, sum(_one)::bigint as _surplus from ("
        f"select {row} as _hash, 1 as _one from {before} union all select {row}, -1 from {after}"
        ") group by _hash having sum(_one) <> 0"
    )
    listed = ", ".join(["true as _is_row", *map(identifier, common)])
    for name, side, surplus in (("_rest_before", before, "_surplus"), ("_rest_after", after, "-_surplus")):
        connection.execute(
            f"create or replace temp table {name} as select * exclude (_hash, _surplus, _at), row_number() over () "
            f"as _id from (select *, row_number() over (partition by _hash) as _at from (select {row} as _hash, "
            f"{listed} from {side}) join _rest_hashes using (_hash) where {surplus} > 0) where _at <= {surplus}"
        )


def _leave_out_close(connection: Connection, exact: list[str], floats: list[str]) -> None:
    """Take out of the rest the pairs that are equal within the tolerance."""
    _place(connection, exact, floats)
    close = [_is_close(f"b.{name}", f"a.{name}") for name in map(identifier, floats)]
    connection.execute(
        "create or replace temp table _rest_close as select b._id as _before, a._id as _after "
        f"from _rest_before_placed b join _rest_after_placed a using (_group, _at) where {' and '.join(close)}"
    )
    for side in ("before", "after"):
        connection.execute(f"delete from _rest_{side} where _id in (select _{side} from _rest_close)")


def _place(connection: Connection, group: list[str], order: list[str]) -> None:
    """Make `_rest_SIDE_placed`: of the rest the columns *order*, and the place (`_at`) in it within *group*."""
    place = f"row_number() over (partition by _group order by {_order(order)}, _id)"
    for side in ("before", "after"):
        connection.execute(
            f"create or replace temp table _rest_{side}_placed as select *, {place} as _at from "
            f"(select {_list([*order, '_id'])}, {_hash(group)} as _group from _rest_{side})"
        )


def _is_close(left: str, right: str) -> str:
    """Whether two floats are equal within the tolerance, in SQL; null is equal to null, NaN to NaN."""
    both = f"isfinite({left}) and isfinite({right})"
    close = f"abs({left} - {right}) <= {TOLERANCE} * greatest(abs({left}), abs({right}))"
    return f"({left} is not distinct from {right} or coalesce({both} and {close}, false))"


def _keep_kinds(connection: Connection, common: list[str], key: list[str]) -> list[int]:
    """Make `_rest_kinds`: of each row that differs its kind, and as what it stands in the rest. Gives how many of each.

    Rows that share a key are paired in the order of their columns.
    """
    _place(connection, key, [name for name in common if name not in key])
    same = "b._group = a._group and b._at = a._at" if key else "false"
    connection.execute(
        "create or replace temp table _rest_kinds as select case when a._id is null then 'removed' "
        "when b._id is null then 'added' else 'changed' end as kind, b._id as _before, a._id as _after "
        f"from _rest_before_placed b full join _rest_after_placed a on {same}"
    )
    counts = dict(connection.execute("select kind, count(*) from _rest_kinds group by kind").fetchall())
    return [counts.get(kind, 0) for kind in KINDS]


def _examples(connection: Connection, common: list[str], key: list[str], most: int) -> Iterator[Differing]:
    """The first rows of each kind, in the order of their key, then of their columns."""
    names = map(identifier, dict.fromkeys([*key, *common]))
    order = ", ".join([*(f"coalesce(b.{name}, a.{name}) nulls first" for name in names), "k._before", "k._after"])
    for kind in KINDS:
        rows = connection.execute(
            "select case when b._is_row then b end, case when a._is_row then a end from _rest_kinds k "
            "left join _rest_before b on b._id = k._before left join _rest_after a on a._id = k._after "
            f"where k.kind = $1 order by {order} limit $2",
            [kind, most],
        ).fetchall()
        for before, after in rows:
            some = before or after
            yield Differing({name: some[name] for name in key}, _only(before, common), _only(after, common))


def _only(row: dict[str, Any] | None, names: list[str]) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in names}


def _hash(names: list[str]) -> str:
    """A hash of a row in SQL; twice, since DuckDB's of several columns mixes them but little."""
    return f"hash(hash({_list(names) or 'true'}))"


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(identifier, names))


def _order(names: Sequence[str]) -> str:
    return ", ".join(f"{identifier(name)} nulls first" for name in names) or "true"
