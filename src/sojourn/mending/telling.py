"""What the commands `quarantine replay` and `rebuild` do: a person's words to pipelines, and what was done in words."""

from collections.abc import Iterator
from typing import Any

from sojourn import show
from sojourn.engines.duckdb import quote
from sojourn.errors import SojournError, UsageError
from sojourn.loading import load, ready_pipelines
from sojourn.mending.rebuild import rebuild as build_again
from sojourn.mending.replay import Replay
from sojourn.mending.replay import replay as read_again
from sojourn.pipeline import Pipeline, parse_size
from sojourn.quarantine import check_reason
from sojourn.running import progress, told
from sojourn.store.base import Store


def replay(store: Store, pipeline: str | None, reason: str | None, memory: str | None, *, as_json: bool) -> None:
    """Read quarantined records again, of one *pipeline* or of all that can be found, and print what became of them."""
    check_reason(reason)
    size = _size(memory)
    pipelines, unread = _asked(store, pipeline, reason)
    reports = []
    for one in pipelines:
        with told(as_json):
            done, left = read_again(Replay(one, reason, size), store, lambda _: None)
        unread += [{"pipeline": one.name, **entry._asdict()} for entry in left]
        if done.status != "unchanged":
            reports.append(done.report())
    if as_json:
        print(show.dumps({"runs": reports, "not_replayed": unread}))
        return
    for report in reports:
        show.ledger(report)
        print(_outcome(report))
    for entry in unread:
        records = "1 record" if entry["records"] == 1 else f"{entry['records']:,} records"
        print(f"{entry['pipeline']}: {records}{_of(entry)} not read again: {entry['why']}")
    if not reports and not unread:
        print("no quarantined records")


def rebuild(store: Store, pipeline: str, memory: str | None, *, as_json: bool) -> None:
    """Compute the tables of a pipeline again, and print the report."""
    loaded, size = load(pipeline), _size(memory)
    with told(as_json), progress([]) as advance:
        done = build_again(loaded, store, size, advance)
    if as_json:
        print(show.dumps(done.report()))
    else:
        show.ledger(done.report())


def _asked(store: Store, named: str | None, reason: str | None) -> tuple[list[Pipeline], list[dict[str, Any]]]:
    """The pipelines whose records are read again, and those of which only the TOML file can tell how."""
    if named is not None:
        return [load(named)], []
    where = f" where reason = {quote(reason)}" if reason is not None else ""
    sql = f"select pipeline, count(*) as records from sojourn.quarantine{where} group by pipeline order by pipeline"
    try:
        with store.query(sql) as reader:
            standing = {row["pipeline"]: row["records"] for row in reader.read_all().to_pylist()}
    except SojournError as error:
        if error.code != "not_published":  # of a database that no run has ever written to
            raise
        standing = {}
    found = [load(name) for name in standing if name in ready_pipelines()]
    return found, list(_unknown({name: count for name, count in standing.items() if name not in ready_pipelines()}))


def _unknown(standing: dict[str, int]) -> Iterator[dict[str, Any]]:
    for name, records in standing.items():
        why = f"name its file: sojourn quarantine replay --pipeline {name}.toml"
        yield {"pipeline": name, "file": None, "records": records, "why": why}


def _outcome(report: dict[str, Any]) -> str:
    """What became of the quarantine, in one line."""
    ledger = report["ledger"]
    still = sum(ledger["quarantined"].values())
    return f"{ledger['read'] - still:,} of {ledger['read']:,} records left the quarantine\n"


def _of(entry: dict[str, Any]) -> str:
    return f" of {entry['file']}" if entry["file"] is not None else ""


def _size(memory: str | None) -> int | None:
    try:
        return parse_size(memory) if memory is not None else None
    except ValueError as error:
        raise UsageError("bad_memory", f"--memory: {error}") from error
