"""The door to Apache Spark: the same reading, and the same steps to all tables, on one machine or on many.

What differs from DuckDB stands here:

- Readers run where Spark puts them. They write landed events into the home, which every machine has to see.
- Every run makes all tables from all kept events; the next run on DuckDB does so, too.
- Steps that are published, or asked more than once, are Parquet files. They fill the run's snapshot in the end, as a
  stream of rows: nothing that grows with the input is collected.
- Of duplicates that are equal in every field it does not matter which file they stand in: files go unnumbered.
- DuckDB's functions of time have other names (`_FUNCTIONS`).
"""

import importlib.util
import logging
import os
import pickle
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from sojourn.engines.building import opened, whole
from sojourn.engines.duckdb import identifier, parquet
from sojourn.engines.plans import plan
from sojourn.engines.relations import DAYS, INSTANTS, KINDS, EventFile
from sojourn.engines.snapshots import Built, duplicates_of, finish, notes_of
from sojourn.errors import SojournError, UsageError
from sojourn.pipeline import Pipeline, Source

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_FUNCTIONS = (
    "epoch_us(instant timestamp) returns bigint return unix_micros(instant)",
    "make_timestamptz(microseconds bigint) returns timestamp return timestamp_micros(microseconds)",
    "timezone(zone string, instant timestamp) returns timestamp return from_utc_timestamp(instant, zone)",
)
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
}
"""Settings for a Spark on this machine alone: nobody else reaches it, and few parts are enough."""
_ASKED_BY_LIBRARIES = ("_experiment_sums", "_experiment_spread", "_referrer_ranks")
_MOST_ITEMS, _MOST_BYTES = 10_000, 256 << 20
"""What is handed over to tasks at once; only lines of streams weigh anything."""

_PART = r"-(\\d+)\\.parquet$"
_CAUSE = re.compile(r"(?:Caused by: |Exception in thread .*? |: )?((?:[\w$]+\.)*\w*(?:Exception|Error): .*)")
_GLOB = re.compile(r"([\[\]{}*?\\])")


@contextmanager
def connect(master: str | None, settings: Mapping[str, str], memory: int | None) -> Iterator["Spark"]:
    """A session of Spark: one that runs in this process already, or else one of *master* (default: this machine).

    *memory* bounds Spark's own heap on this machine, in bytes. Raises `UsageError` ``spark_missing`` without PySpark,
    ``java_missing`` without Java, and `SojournError` ``spark`` where Spark does not start.
    """
    if importlib.util.find_spec("pyspark") is None:
        raise UsageError("spark_missing", "--engine spark needs PySpark: pip install 'sojourn[spark]'")
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise UsageError("java_missing", "--engine spark needs Java 17 or newer: install it, or set JAVA_HOME")
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    with _told():
        session = (running or _started(master, settings, memory)).newSession()
        for name, value in {**_SETTINGS, **(settings if running else {})}.items():
            session.conf.set(name, value)
        for function in _FUNCTIONS:
            session.sql(f"create temporary function {function}")
    try:
        with _told():
            yield Spark(session)
    finally:
        if running is None:
            session.stop()


def _started(master: str | None, settings: Mapping[str, str], memory: int | None) -> Any:
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    if not logging.root.handlers:  # py4j would tell there of an interrupt, with a traceback
        logging.root.addHandler(logging.NullHandler())
    submitted = {} if "PYSPARK_GATEWAY_PORT" not in os.environ else dict(SparkConf().getAll())  # by spark-submit
    chosen = {"spark.master": "local[*]", "spark.app.name": "sojourn", "spark.ui.showConsoleProgress": "false"}
    chosen |= submitted | ({} if master is None else {"spark.master": master})
    if chosen["spark.master"].startswith("local"):
        chosen = _LOCAL | chosen | ({} if memory is None else {"spark.driver.memory": f"{memory >> 20}m"})
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf(loadDefaults=False).setAll([*(chosen | dict(settings)).items()])
    with tempfile.TemporaryFile() as said:
        try:
            # Java has much to say that helps nobody
            gateway: Any = launch_gateway(conf, {"stderr": said})  # type: ignore[no-untyped-call]
            context = SparkContext(conf=conf, gateway=gateway)
        except Exception as error:
            said.seek(0)
            told = said.read().decode(errors="replace")
            raise SojournError("spark", f"Spark does not start: {_reason(told) or _reason(str(error))}") from error
    return SparkSession(context)


@contextmanager
def _told() -> Iterator[None]:
    """Spark's errors as ours, by what they say first."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JError, PySparkException) as error:
        raise SojournError("spark", f"Spark failed: {_reason(str(error)) or type(error).__name__}") from error


def _reason(told: str) -> str:
    """What is at the bottom of a story of errors; else its first line."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    causes = [found[1] for line in lines if (found := _CAUSE.match(line))]
    return (causes[-1] if causes else lines[0] if lines else "")[:500]


@dataclass(frozen=True)
class Spark:
    """A session, and what a run has done in it."""

    session: Any

    def map(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Iterator[Outcome]:
        """What *function* gives for each of the *items*, a task each.

        The function and what it needs must be there where tasks run. An error of ours comes out as it was raised.
        """
        for wave in _waves(items):
            given = self.session.createDataFrame(pa.table({"item": pa.array(wave, pa.binary())}))
            frame = given.repartition(len(wave)).mapInArrow(_each(function), "outcome binary")
            for row in frame.collect():
                outcome = pickle.loads(row.outcome)
                if isinstance(outcome, SojournError):
                    raise outcome
                yield outcome

    def build(
        self,
        pipeline: Pipeline,
        files: Sequence[EventFile],
        snapshot: Path,
        memory: int | None,
        spill: Path,
        until: int | None = None,
    ) -> Built:
        """Make every table of *pipeline* over *files* in the DuckDB file *snapshot*, as `building.build` does."""
        from sojourn.tables.plan import compile_plan

        steps = compile_plan(pipeline, "pyspark")
        for name, source in pipeline.source.items():
            self._landed(name, source, [file for file in files if file.source == name])
        self._name("limits", self.session.sql(f"select cast({'null' if until is None else until} as bigint) as until"))
        self._name("since", self.session.sql("select -(cast(1 as bigint) << 40) as day"))
        made = self._make(pipeline, steps, spill / "spark")
        passing = ", ".join(str(file.part) for file in files if not file.is_kept)
        events = self._number("select count(*) from events")
        keys = ", ".join(f"`{key}`" for key in pipeline.events.identity)
        others = f"select count(*) from (select distinct {keys} from parts_events where _part not in ({passing}))"
        kept = self._number(others) if passing else events
        duplicates = duplicates_of(self._ask, "events", steps) | duplicates_of(self._ask, "servers", steps)
        rows = _filled(snapshot, pipeline, made, (memory, spill, until))
        return Built(events, kept, rows, duplicates, notes_of(self._ask, steps))

    def write(self, table: str, folder: Path) -> int:
        """Write a published *table* of what was built last as Parquet into *folder*; its rows.

        Where it tells of times, a folder for each day (UTC) holds those that begin on it: `day=2024-05-31`.
        """
        frame = self.session.table(table)
        days = DAYS.get(table) or next(iter(INSTANTS.get(table, ())), None)
        if days is None:
            frame.write.parquet(_address(folder))
        else:
            by_day = frame.selectExpr("*", f"to_date(`{days}`) as day") if days != "day" else frame
            by_day.repartition("day").write.partitionBy("day").parquet(_address(folder))
        for path in (*folder.rglob(".*.crc"), *folder.glob("_SUCCESS")):  # of use to Hadoop alone
            path.unlink()
        return self._number(f"select count(*) from `{table}`")

    def _make(self, pipeline: Pipeline, steps: Mapping[str, str], folder: Path) -> dict[str, list[Path]]:
        """Name what every step gives; the Parquet files of those that are wanted in the snapshot."""
        made: dict[str, list[Path]] = {}
        for name, sql in steps.items():
            frame = _as_published(self.session.sql(sql), name)
            wanted = name in pipeline.tables or name in _ASKED_BY_LIBRARIES
            if wanted or (name != "events" and sum(later.count(f"`{name}`") for later in steps.values()) > 1):
                place = folder / name
                frame.write.parquet(_address(place))
                frame = self.session.read.schema(frame.schema).parquet(_pattern(place))
                made |= {name: sorted(place.glob("*.parquet"))} if wanted else {}  # sorted: parts in their order
            self._name(name, frame)
        return made

    def _landed(self, name: str, source: Source, files: Sequence[EventFile]) -> None:
        """Name `landed_NAME` and `parts_NAME`, as `relations.landed` makes them, without numbers of files and rows."""
        schema = ", ".join(f"`{column}` {KINDS.get(kind, 'string')}" for column, kind in source.landed.items())
        columns = [f"`{column}`" for column in source.landed]
        parts = self.session.createDataFrame([], f"{schema}, _part bigint, _is_new boolean")
        for is_new in (False, True):
            paths = [_pattern(file.path) for file in files if (file.part is not None) is is_new]
            part = f"cast(regexp_extract(_metadata.file_name, '{_PART}', 1) as bigint)" if is_new else "-1L"
            if paths:
                read = self.session.read.schema(schema).parquet(*paths)
                parts = parts.unionAll(read.selectExpr(*columns, f"{part} as _part", f"{is_new} as _is_new"))
        self._name(f"parts_{name}", parts.selectExpr("*", "0L as _file", "0L as _row"))
        self._name(f"landed_{name}", parts.selectExpr(*columns))

    def _name(self, name: str, frame: Any) -> None:
        frame.createOrReplaceTempView(name)

    def _ask(self, sql: str) -> list[Any]:
        return [tuple(row) for row in self.session.sql(sql).collect()]

    def _number(self, sql: str) -> int:
        return int(self._ask(sql)[0][0])


def _waves(items: Iterable[Item]) -> Iterator[list[bytes]]:
    """The *items* pickled, as many at once as may be under way."""
    wave: list[bytes] = []
    size = 0
    for item in items:
        wave.append(pickle.dumps(item))
        size += len(wave[-1])
        if len(wave) == _MOST_ITEMS or size > _MOST_BYTES:
            yield wave
            wave, size = [], 0
    if wave:
        yield wave


def _each(function: Callable[[Item], Outcome]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The *function* for batches of pickled items."""

    def outcome(item: bytes) -> bytes:
        try:
            return pickle.dumps(function(pickle.loads(item)))
        except SojournError as error:
            return pickle.dumps(error)

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            outcomes = [outcome(item) for item in batch.column(0).to_pylist()]
            yield pa.RecordBatch.from_arrays([pa.array(outcomes, pa.binary())], ["outcome"])

    return work


def _as_published(frame: Any, name: str) -> Any:
    """The rows of *frame* as the table *name* has them: instants as timestamps, days as dates."""
    replaced = {column: f"timestamp_micros(`{column}`)" for column in INSTANTS.get(name, ())}
    replaced |= {DAYS[name]: f"date_from_unix_date(cast({DAYS[name]} as int))"} if name in DAYS else {}
    return frame.selectExpr(*(f"{replaced.get(column, f'`{column}`')} as `{column}`" for column in frame.columns))


def _filled(
    snapshot: Path, pipeline: Pipeline, made: Mapping[str, Sequence[Path]], limits: tuple[int | None, Path, int | None]
) -> dict[str, int]:
    """Make *snapshot* as DuckDB would over no events, so that names and types agree, and fill it; rows by table."""
    planned = plan(pipeline)
    with opened(snapshot, *limits) as connection:
        whole(connection, planned, pipeline, [])
        for name, files in made.items():
            connection.execute(f"truncate {identifier(name)}")
            if files:
                connection.execute(f"insert into {identifier(name)} by name from {parquet(files)}")
        return finish(connection, planned, pipeline, is_kept=False)


def _address(path: Path) -> str:
    """A local path as Spark takes one, also where another file system is its default."""
    return f"file://{path.absolute()}"


def _pattern(path: Path) -> str:
    """The same where Spark reads, which takes every path for a pattern."""
    return _GLOB.sub(r"\\\1", _address(path))
