"""One session: what is known of it, its events in order, and its actor's sessions around it."""

from datetime import UTC
from typing import Any

from sojourn.charts.looks import Rows
from sojourn.engines import duckdb as engine
from sojourn.engines.duckdb import identifier, quote
from sojourn.errors import SojournError
from sojourn.web.dashboard.asked import Asked
from sojourn.web.errors import refused

_MEMORY = 300_000_000  # bytes
_MOST = 500  # events that are shown
_ELSEWHERE = (
    "Single events lie in the home of the machine that runs the pipeline, and this service's home has none of them. "
    "Where it has, they are shown: sojourn serve --home FOLDER."
)
_HIDDEN = ("url_level1", "url_level2", "url_level3", "url_page", "referrer_host", "session_key", "actor", "occurred_at")


def content(asked: Asked, session_id: str) -> dict[str, Any]:
    """What the template shows; refused where there is no such session."""
    found = asked.rows("session", session_id=quote(session_id)) if "\0" not in session_id else []
    if not found:
        raise refused("unknown_session", f"{asked.pipeline} publishes no session {session_id}")
    row = found[0]
    around: Rows = []
    if row["actor"] is not None and row["session_number"] is not None:
        around = asked.rows("session_neighbours", actor=quote(row["actor"]), number=row["session_number"])
    events, missing = _events(asked, row)
    hidden = {*_HIDDEN, *(name for name in (events or [{}])[0] if all(each[name] is None for each in events))}
    columns = [name for name in (events or [{}])[0] if name not in hidden]
    given = {"session": row, "around": around, "events": events, "missing": missing}
    return {**given, "columns": columns, "most": _MOST}


def _events(asked: Asked, session: dict[str, Any]) -> tuple[Rows, str]:
    """The session's events, from those that runs keep in the home; else why there are none.

    They are no published table: with PostgreSQL the home may be that of another machine.
    """
    try:
        kept = asked.store.kept(asked.pipeline).files
    except SojournError:  # with PostgreSQL: another machine's home has what the run left
        return [], _ELSEWHERE
    files = [file for file in (asked.store.event_path(one.name) for one in kept) if file.is_file()]
    if not files:
        return [], _ELSEWHERE if kept else f"The runs of {asked.pipeline} keep no events."
    with engine.connect(memory=_MEMORY) as connection:
        source = f"read_parquet([{', '.join(quote(str(file)) for file in files)}], union_by_name = true)"
        columns = [row[0] for row in connection.execute(f"describe from {source}").fetchall()]
        where = _condition(asked.pipeline, session, columns)
        if where is None:
            return [], "Nothing in the events tells which session they are of."
        order = ", ".join(f"{identifier(name)} nulls first" for name in ("occurred_at", "event_id") if name in columns)
        sql = f"from {source} where {where} order by {order} limit {2 * _MOST}"
        rows: Rows = connection.sql(sql).to_arrow_table().to_pylist()
    return _kept(rows, session["events"])[:_MOST], ""


def _condition(pipeline: str, session: dict[str, Any], columns: list[str]) -> str | None:
    """Which landed events are the session's: those of its key, or its actor's from its first to its last."""
    if "session_key" in columns:
        return f"md5({quote(f'{pipeline}|')} || session_key) = {quote(session['session_id'])}"
    if "actor" not in columns or session["actor"] is None:
        return None
    instants = (session[name].replace(tzinfo=UTC) for name in ("started_at", "ended_at"))
    first, last = (round(instant.timestamp() * 1_000_000) for instant in instants)
    return f"cast(actor as varchar) = {quote(session['actor'])} and occurred_at between {first} and {last}"


def _kept(rows: Rows, events: int) -> Rows:
    """Each event once, where more landed than the session has: copies come with later files."""
    if len(rows) <= events:
        return rows
    first: dict[object, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row.get("event_id") or tuple(row.values()), row)
    return list(first.values())
