"""What changes of the events when files come, or go: the relations `before`, `after` and `delta`."""

from collections.abc import Sequence

from sojourn.engines.duckdb import Connection, identifier
from sojourn.engines.plans import Plan
from sojourn.engines.relations import EventFile, fields_of, number, numbered, rows_of
from sojourn.pipeline import Pipeline, Source

_EVENT, _LOSER = -2, -1
"""The `_part` of rows of kept files: of equal records, the one that is the event comes first."""


def find_delta(
    connection: Connection,
    planned: Plan,
    pipeline: Pipeline,
    files: Sequence[EventFile],
    withdrawn: Sequence[EventFile],
) -> int:
    """Make `delta` (events that are new, or are events no more), bring `losers` up to date, and make the relations that
    plans begin with: `parts_events` holds the new records, and the kept ones that share an identity with them.

    Made besides: `before` and `after` (all events, without this change and with it), `every` (all records now) and
    `withdrawn_rows`. Gives how many identities went with the *withdrawn* files.
    """
    source = pipeline.events
    kept = [file for file in files if file.source == "events" and file.part is None]
    new = [file for file in files if file.source == "events" and file.part is not None]
    _views(connection, source, kept, new, withdrawn)
    connection.execute(
        "create temp table losers_before as "
        "select _file, row as _row from state.losers join numbered_events on file = _name"
    )
    keys = [identifier(key) for key in source.identity]
    if keys:
        _rank(connection, planned, source, keys)
    else:
        fields = f"{fields_of(source)}, _part, true as _is_new, _file, _row"
        connection.execute(f"create temp view parts_events as select {fields} from new_rows")
        connection.execute(f"create temp view landed_events as select {fields_of(source)} from parts_events")
    _make_delta(connection, source, keys)
    lost = _lost(connection, keys)
    _renew_losers(connection, keys)
    _make_after(connection, source)
    return lost


def _views(
    connection: Connection,
    source: Source,
    kept: Sequence[EventFile],
    new: Sequence[EventFile],
    withdrawn: Sequence[EventFile],
) -> None:
    """Number all files (kept, withdrawn, new), and make `kept_rows`, `withdrawn_rows`, `new_rows`, `every`."""
    numbered(connection, "numbered_events", [*kept, *withdrawn, *new])
    first = 0
    for name, some in (("kept", kept), ("withdrawn", withdrawn), ("new", new)):
        part = ", _part" if name == "new" else ""
        joined = "join numbered_events using (_file)" if name == "new" else ""
        connection.execute(
            f"create temp view {name}_rows as select {fields_of(source)}, _file, _row{part} "
            f"from (select * replace (_file + {first} as _file) from ({rows_of(source, some)})) {joined}"
        )
        first += len(some)
    columns = f"{fields_of(source)}, _file, _row"
    connection.execute(
        f"create temp view every as select {columns} from kept_rows union all select {columns} from new_rows"
    )


def _rank(connection: Connection, planned: Plan, source: Source, keys: list[str]) -> None:
    """Place the new records among the kept ones that share an identity with them, or with what is withdrawn."""
    names = ", ".join(keys)
    connection.execute(
        f"create temp table asked as select {names} from new_rows union select {names} from withdrawn_rows"
    )
    within = ""
    if "occurred_at" in source.identity:  # most rows are told apart by their time alone, which is quick
        within = (
            "where occurred_at between (select min(occurred_at) from asked) and (select max(occurred_at) from asked)"
        )
    # most often there are none: then no column besides the identity is read
    connection.execute(
        "create temp table rival_rows as select _file, _row "
        f"from (from kept_rows semi join asked on {_same(keys, 'kept_rows', 'asked')} {within})"
    )
    fields = fields_of(source)
    part = f"if(losers_before._row is null, {_EVENT}, {_LOSER})::bigint"
    connection.execute(
        f"create temp table rivals as select {fields}, {part} as _part, false as _is_new, _file, _row "
        "from (from kept_rows semi join rival_rows using (_file, _row)) left join losers_before using (_file, _row)"
    )
    connection.execute(
        f"create temp view parts_events as select {fields}, _part, _is_new, _file, _row from rivals "
        f"union all select {fields}, _part, true, _file, _row from new_rows"
    )
    connection.execute(f"create temp view landed_events as select {fields} from parts_events")
    for name in ("repeated", "ranked"):
        connection.execute(f"create temp table {name} as {planned.steps[name]}")


def _make_delta(connection: Connection, source: Source, keys: list[str]) -> None:
    """`delta`: the columns of events, and `_change` (1 or -1)."""
    fields = fields_of(source)
    withdrawn = f"select {fields}, -1 as _change from withdrawn_rows anti join losers_before using (_file, _row)"
    alone = "from parts_events"
    if keys:
        alone += f" anti join repeated on {_same(keys, 'parts_events', 'repeated')} where _part <> {_EVENT}"
        withdrawn += f" union all select {fields}, 1 from ranked where _place = 0 and _part <> {_EVENT}"
        withdrawn += f" union all select {fields}, -1 from ranked where _place > 0 and _part = {_EVENT}"
    connection.execute(f"create temp table delta as select {fields}, 1 as _change {alone} union all {withdrawn}")


def _lost(connection: Connection, keys: list[str]) -> int:
    """How many identities of withdrawn events no kept record has."""
    gone = "withdrawn_rows anti join losers_before using (_file, _row)"
    if not keys:
        return number(connection, f"select count(*) from {gone}")
    names = ", ".join(keys)
    return number(
        connection,
        f"select count(*) from (select distinct {names} from {gone}) as gone "
        f"anti join rivals on {_same(keys, 'gone', 'rivals')}",
    )


def _renew_losers(connection: Connection, keys: list[str]) -> None:
    """Say of the new and the newly placed records which are not the event; forget what is withdrawn."""
    if keys:
        connection.execute(
            "delete from state.losers using rivals join numbered_events using (_file) "
            "where losers.file = _name and losers.row = rivals._row"
        )
        placed = "ranked join numbered_events using (_file)"
        connection.execute(f"insert into state.losers select _name, _row from {placed} where _place > 0")
    connection.execute(
        "delete from state.losers using withdrawn_rows join numbered_events using (_file) where losers.file = _name"
    )


def _make_after(connection: Connection, source: Source) -> None:
    """The views `before` and `after`."""
    fields = fields_of(source)
    connection.execute(
        "create temp table losers_now as "
        "select _file, row as _row from state.losers join numbered_events on file = _name"
    )
    for name, rows, losers in (
        ("before", "(from kept_rows union all from withdrawn_rows)", "losers_before"),
        ("after", "every", "losers_now"),
    ):
        has_losers = number(connection, f"select count(*) from {losers}")
        without = f"anti join {losers} using (_file, _row)" if has_losers else ""
        connection.execute(f"create temp view {name} as select {fields} from {rows} {without}")


def _same(keys: list[str], left: str, right: str) -> str:
    """That two rows have the same identity; nulls are alike."""
    return " and ".join(f"{left}.{key} is not distinct from {right}.{key}" for key in keys)
