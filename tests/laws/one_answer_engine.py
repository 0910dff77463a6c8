"""Builds upon builds, without a store: files of records come and go, and what is published is looked at in between."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sojourn.engines import duckdb
from sojourn.engines.building import Built, EventFile, build
from sojourn.reading import land, readers
from sojourn.reading.inputs import resolve
from tests.laws.homes import plain_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from sojourn.pipeline import Pipeline
    from tests.laws.adapt import Table
    from tests.laws.one_answer import File


@dataclass
class Ends:
    """How many records of a build's new files could become events, and how many of them were duplicates."""

    candidates: int = 0
    duplicates: int = 0


class Builds:
    """Snapshots in *folder*, each made from the one before where that is asked for."""

    def __init__(self, folder: Path, pipeline: Pipeline) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self.pipeline = folder, pipeline
        self.kept: dict[str, list[EventFile]] = {}
        self.snapshot: Path | None = None
        self.number = 0

    def add(
        self, files: Sequence[File], *, without: Collection[str] = (), is_whole: bool = False, until: int | None = None
    ) -> tuple[Built, Ends]:
        """Build over what is kept, less what the files named *without* gave, plus *files*."""
        self.number += 1
        new, ends = self._landed(files)
        withdrawn = [kept for name in without for kept in self.kept.pop(name)]
        stay = [kept for files in self.kept.values() for kept in files]
        snapshot = self.folder / f"{self.number}.duckdb"
        fresh = [file for files in new.values() for file in files]
        base = None if is_whole else self.snapshot
        built = build(
            self.pipeline, [*stay, *fresh], snapshot, None, self.folder, until, base=base, withdrawn=withdrawn
        )
        ends.duplicates = sum(copies for (source, _), (copies, _) in built.duplicates.items() if source == "events")
        self.kept |= {
            name: [EventFile(file.path, file.source, name=file.name) for file in files] for name, files in new.items()
        }
        self.snapshot = snapshot
        return built, ends

    def _landed(self, files: Iterable[File]) -> tuple[dict[str, list[EventFile]], Ends]:
        new: dict[str, list[EventFile]] = {}
        ends = Ends()
        part = 0
        for file in files:
            source = self.pipeline.source[file.source]
            path = (
                self.folder / f"{self.number}-{file.source}-{file.name}.{'csv' if source.format == 'csv' else 'jsonl'}"
            )
            path.write_bytes(file.content)
            landing = readers.Landing(file.source, source, self.folder / f"{path.name}.landed")
            landed = land.land(resolve([str(path)], source.format, file.source), landing, progress=lambda _: None)
            new[file.name] = []
            for one in landed.parts:
                if one.rows:
                    ends.candidates += one.rows if file.source == "events" else 0
                    at = landing.event_file(one.number)
                    new[file.name].append(EventFile(at, file.source, part, name=f"{path.name}-{one.number}"))
                    part += 1
        return new, ends

    def tables(self) -> dict[str, Table]:
        """What the latest snapshot holds, instants as epoch microseconds."""
        assert self.snapshot is not None
        with duckdb.attached({"current": self.snapshot}) as connection:
            return {name: plain_rows(connection.sql(f"from current.{name}")) for name in self.pipeline.tables}


def in_one_thread(patch: Any) -> None:
    """Read in this process alone, and compute in one thread: quick for what is small, on a machine that others use."""
    patch.setattr(land, "in_processes", readers.in_this_process)
    patch.setattr(os, "cpu_count", lambda: 1)
