"""A snapshot whose tables are not of one run, for the control of the readers' test."""

from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from sojourn.store.base import Publication, Store

_NOTHING: dict[str, Any] = dict.fromkeys(("read", "blank", "accepted", "duplicate"), 0)


def publish_torn(store: Store, sessions: list[dict[str, Any]]) -> None:
    """Publish *sessions* beside sums that are not theirs."""
    run_id = "99991231T000000000000-torn"
    ledger = {**_NOTHING, "dropped": {}, "quarantined": {}, "notes": {}}
    report = {
        "run_id": run_id, "pipeline": "webshop", "status": "done", "started_at": "2026-01-01T00:00:00Z",
        "seconds": 0.0, "ledger": ledger, "files": [], "tables": {},
    }  # fmt: skip
    with store.writing():
        snapshot = store.staging(run_id) / "snapshot.duckdb"
        with duckdb.connect(str(snapshot)) as connection:
            connection.register("given", pa.Table.from_pylist(sessions))
            connection.execute("set timezone = 'UTC'")
            connection.execute(
                "create table sessions as select * replace "
                "(started_at::timestamp as started_at, ended_at::timestamp as ended_at) from given"
            )
            connection.execute(
                "create table session_durations_by_referrer as select '(direct)' as referrer, 12345::bigint as "
                "sessions, 1.0::double as median_seconds, 1.0::double as p25_seconds, 1.0::double as p75_seconds, "
                "1.0::double as mean_seconds"
            )
        tables = {"sessions": len(sessions), "session_durations_by_referrer": 1}
        kept = store.kept("webshop")
        store.publish(Publication(msgspec.structs.replace(kept, run_id=run_id, tables=tables), snapshot, report))
