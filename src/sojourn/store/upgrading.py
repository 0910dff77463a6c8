"""Taking over what a home or a database of format 1 holds. It knew no manifests; the next run computes anew from the
events that it kept.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pyarrow.parquet as pq

from sojourn.errors import SojournError
from sojourn.store import catalog as catalogs
from sojourn.store.catalog import Catalog, OldEntry
from sojourn.store.files import checksum, make_folder, write_whole
from sojourn.store.manifest import Entry, Kept, KeptFile
from sojourn.store.schemas import FORMAT

if TYPE_CHECKING:
    from sojourn.store.adbc import Session


def upgrade_home(area: Path, path: Path) -> None:
    """Give each pipeline of the catalog at *path* a manifest, then replace the catalog. Its last run is kept."""
    old = catalogs.read_old(path)
    entries = {name: Entry(one.runs[-1], one.tables, [one.runs[-1]]) for name, one in old.pipelines.items()}
    for name, one in old.pipelines.items():
        _inherit(area, name, one.runs[-1], one)
    write_whole(path, msgspec.json.encode(Catalog(FORMAT, entries, old.runs, old.quarantine)))


def upgrade_database(session: "Session", area: Path, *, is_passing: bool) -> None:
    """Give each pipeline of the database a manifest in *area*; its own list of event files goes."""
    paths: dict[str, list[str]] = {}
    for row in session.rows("select pipeline, path from sojourn.event_files order by path"):
        paths.setdefault(row["pipeline"], []).append(row["path"])
    if paths and is_passing:
        raise SojournError(
            "older_format",
            "this database was laid out by an earlier Sojourn, and its events lie in another home; run one of its "
            "pipelines there first",
        )
    with session.transaction():
        session.execute("alter table sojourn.pipelines add column runs text not null default '[]'")
        for row in [] if is_passing else session.rows("select * from sojourn.pipelines"):
            name, run_id, tables, reading = row["pipeline"], row["run_id"], json.loads(row["tables"]), row["reading"]
            old = OldEntry([run_id], tables, paths.get(name, []), row["events"], json.loads(reading))
            _inherit(area, name, run_id, old)
            session.execute(
                "update sojourn.pipelines set runs = $1 where pipeline = $2", json.dumps([run_id]), str(name)
            )
        session.execute(
            "drop table sojourn.event_files; alter table sojourn.pipelines drop column events, drop column reading; "
            f"update sojourn.meta set format = {FORMAT}"
        )


def _inherit(area: Path, pipeline: str, run_id: str, old: OldEntry) -> None:
    """Write the manifest of a run that had none: without a checksum, as nothing can be built upon its snapshot."""
    files = tuple(_file(area / "events" / name, name) for name in old.files)
    path = area / "warehouse" / pipeline / f"{run_id}.json"
    make_folder(path.parent)
    write_whole(path, msgspec.json.encode(Kept(run_id, old.tables, files, old.events, old.reading)))


def _file(path: Path, name: str) -> KeptFile:
    if not path.exists():  # told when a run needs it
        return KeptFile(name, 0, "")
    return KeptFile(name, pq.read_metadata(path).num_rows, checksum(path))
