"""Whether what a store holds is whole: manifests, event files, snapshots, and the ledgers of all runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sojourn.engines.duckdb import quote
from sojourn.errors import SojournError
from sojourn.reading import forgotten
from sojourn.store import manifest, refusals
from sojourn.store.base import Store
from sojourn.store.files import checksum
from sojourn.store.manifest import Kept

_UNSETTLED = ("failed", "killed")
"""How a run ends that could not say of every record what became of it."""


@dataclass
class Check:
    """One thing that was looked at: how many of them, and what is wrong, in sentences.

    *differences* has the tables that differ, as `comparing.Comparison` tells of them.
    """

    name: str
    checked: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    differences: list[dict[str, Any]] = field(default_factory=list)


def manifests(store: Store, name: str, run_id: str | None) -> tuple[Check, list[Kept]]:
    """The manifests beside snapshots, and the snapshots beside manifests."""
    check = Check("manifests")
    kept = []
    folder = store.manifest_path(name, str(run_id)).parent
    found = [path for path in folder.glob("*") if path.suffix in (".json", ".duckdb")]
    for path in sorted({path.with_suffix(".json") for path in found}):
        check.checked += 1
        try:
            one = manifest.read(path)
        except SojournError as error:
            check.problems.append(error.message.partition(";")[0])
            continue
        kept.append(one)
        if one.run_id != path.stem:
            check.problems.append(f"the manifest {path} is that of the run {one.run_id}")
    return check, kept


def event_files(store: Store, kept_runs: list[Kept]) -> Check:
    """Each file of events that some kept run rests on: there, with its rows, and its bytes."""
    check = Check("event files")
    for file in dict.fromkeys(file for kept in kept_runs for file in kept.files):
        check.checked += 1
        path = store.event_path(file.name)
        fault = _fault(path, file.checksum)
        if fault is None and pq.read_metadata(path).num_rows != file.rows:
            fault = f"holds {pq.read_metadata(path).num_rows} rows, its manifest says {file.rows}"
        if fault is not None:
            check.problems.append(f"the event file {path} {fault}")
    return check


def snapshots(store: Store, name: str, kept_runs: list[Kept]) -> Check:
    """The tables of each kept run, as one file."""
    check = Check("snapshots")
    for kept in kept_runs:
        if kept.checksum:  # one that an earlier version made has none
            check.checked += 1
            path = store.snapshot_path(name, str(kept.run_id))
            if (fault := _fault(path, kept.checksum)) is not None:
                check.problems.append(f"the snapshot {path} {fault}")
    return check


def changes(store: Store, name: str, kept_runs: list[Kept]) -> Check:
    """What kept runs changed in the quarantine, as far as it is needed to go from one of them to another."""
    check = Check("quarantine")
    needed = refusals.needed([kept.changes for kept in kept_runs])
    for change in dict.fromkeys(change for kept in kept_runs for change in kept.changes if change.run_id in needed):
        check.checked += 1
        path = store.change_path(name, change.run_id)
        if (fault := _fault(path, change.checksum)) is not None:
            check.problems.append(f"the changes {path} {fault}: no rollback can lead across that run")
    return check


def own_files(store: Store, name: str) -> Check:
    """The files with the rows of `runs` and the quarantine, and who is forgotten: each can be read."""
    check = Check("own files")
    for path in store.own_files(name):
        check.checked += 1
        try:
            for _ in pq.ParquetFile(path, page_checksum_verification=True).iter_batches():
                pass
        except FileNotFoundError:
            check.problems.append(f"the file {path} is gone")
        except (OSError, pa.ArrowException) as error:
            check.problems.append(f"the file {path} is damaged: {' '.join(str(error).split())}")
    check.checked += (store.forgotten_in / forgotten.FILE).exists()
    try:
        forgotten.read(store.forgotten_in)
    except SojournError as error:
        check.problems.append(error.message)
    return check


def _fault(path: Path, expected: str) -> str | None:
    try:
        return "is damaged: its checksum is another" if expected and checksum(path) != expected else None
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def ledgers(store: Store, name: str, kept_runs: list[Kept]) -> Check:
    """Every row of `runs`: each record that was read has one end, in each file and in total; so has each of the files
    that a manifest knows, which tells of the same tables as its run's report.
    """
    check = Check("ledgers")
    check.problems += [fault for kept in kept_runs for fault in _faults_of_inputs(kept)]
    try:
        with store.query(f"select * from sojourn.runs where pipeline = {quote(name)} order by run_id") as reader:
            rows = reader.read_all().to_pylist()
    except SojournError as error:
        check.problems.append(f"the rows of runs cannot be read: {error.message}")
        return check
    tables = {kept.run_id: kept.tables for kept in kept_runs}
    for row in rows:
        check.checked += 1
        check.problems += _faults_of(row)
        told = json.loads(row["report"])["tables"]
        if told != tables.get(row["run_id"], told):
            check.problems.append(f"the run {row['run_id']} tells of other rows of tables than its manifest")
    return check


def _faults_of_inputs(kept: Kept) -> Iterator[str]:
    """What does not add up in the ledgers of a manifest."""
    for known in kept.inputs:
        if (ends := _ends(known.ledger)) != known.ledger["read"]:
            told = f"{known.ledger['read']} records read, {ends} accounted for"
            yield f"the ledger of {known.name} in the manifest of the run {kept.run_id} does not balance: {told}"


def _faults_of(row: dict[str, Any]) -> Iterator[str]:
    """What does not add up in a run's row."""
    report = json.loads(row["report"])
    whole, files = report["ledger"], report["files"]
    for what, ledger in [("in total", whole), *((f"of {file['file']}", file) for file in files)]:
        ends = _ends(ledger)
        if ends > ledger["read"] or (ends < ledger["read"] and row["status"] not in _UNSETTLED):
            told = f"{ledger['read']} records read, {ends} accounted for"
            yield f"the ledger of the run {row['run_id']} does not balance {what}: {told}"
    for end in ("read", "blank", "accepted", "duplicate", "dropped", "quarantined"):
        counts = {"its row": row[end], "its report": _sum(whole[end])}
        if files:
            counts["its files"] = sum(_sum(file[end]) for file in files)
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{count} by {who}" for who, count in counts.items())
            yield f"the run {row['run_id']} tells of {end} records in two ways: {told}"


def _ends(ledger: dict[str, Any]) -> int:
    """How many records of a ledger ended somewhere."""
    return sum(_sum(ledger[end]) for end in ("accepted", "duplicate", "dropped", "quarantined"))


def _sum(counts: Any) -> int:
    return int(sum(counts.values()) if isinstance(counts, dict) else counts)
