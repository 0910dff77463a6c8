"""What the commands `run`, `check` and `export` do: a person's words to options, progress, and results."""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from sojourn import charts, show, times
from sojourn import export as exports
from sojourn import run as runs
from sojourn.engines import spark
from sojourn.errors import SojournError, UsageError
from sojourn.ledger import Ledger
from sojourn.loading import load, ready_pipelines, to_begin
from sojourn.pipeline import Pipeline, TableSettings, did_you_mean, parse_size
from sojourn.reading.inputs import Input, resolve
from sojourn.store.base import Store
from sojourn.store.files import make_folder
from sojourn.store.streams import journal_of


def options(
    *,
    mode: str = "add",
    out: str | None = None,
    file_format: str = "csv",
    memory: str | None,
    limit: str | None,
    until: str | None = None,
) -> runs.Options:
    """Checked options of a run."""
    try:
        size = parse_size(memory) if memory is not None else None
    except ValueError as error:
        raise UsageError("bad_memory", f"--memory: {error}") from error
    folder = Path(out) if out is not None else None
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError("out_unusable", f"--out {out} is a file; name a folder")
    return runs.Options(mode, folder, file_format, size, _instant(until), _limit(limit))


@contextmanager
def engine(
    given: runs.Options, engine: str, spark_master: str | None, spark_conf: Sequence[str]
) -> Iterator[runs.Options]:
    """The options *given*, with what reads and computes at hand: DuckDB always is, Spark is started."""
    if engine != "spark":
        if spark_master is not None or spark_conf:
            raise UsageError("without_spark", "--spark-master and --spark-conf go with --engine spark")
        yield given
        return
    pairs = [setting.partition("=") for setting in spark_conf]
    for key, separator, _ in pairs:
        if not separator or not key.startswith("spark."):
            raise UsageError("bad_spark_conf", f"--spark-conf {key!r}: write spark.name=value")
    with spark.connect(spark_master, {key: value for key, _, value in pairs}, given.memory) as session:
        yield replace(given, spark=session)


def run(
    pipeline: str, sources: list[str], store: Store, given: runs.Options, *, as_json: bool, charted: bool = False
) -> None:
    """Run and print the report; *charted*: draw what was published, too.

    What reads streams reads the journal of live messages, too, where there is one.
    """
    loaded, inputs = _begin(pipeline, sources, given)
    journal = journal_of(store) if loaded.events.format == "streams" else None
    if not inputs and journal is None:
        raise _nothing_to_read(pipeline, loaded)
    within = nullcontext(store) if inputs else store.passing(loaded.name)
    inputs += [journal] if journal is not None else []
    with told(as_json), progress(inputs) as advance, within as writing:
        done = runs.execute(loaded, inputs, writing, given, advance)
    drawn = list(map(str, _drawn(loaded, store, given.out or Path()))) if charted else []
    _print(done.report() | ({"charts": drawn} if charted else {}), as_json)


def _drawn(pipeline: Pipeline, store: Store, folder: Path) -> Iterator[Path]:
    """Every chart that the pipeline's tables allow, drawn into *folder* one by one."""
    has_goal = pipeline.sessions is not None and pipeline.sessions.goal is not None
    by_markers = pipeline.sessions is not None and pipeline.sessions.rule == "markers"
    for chart in charts.CHARTS.values():
        is_drawn = set(chart.tables) <= set(pipeline.tables) and (has_goal or not chart.needs_goal)
        if is_drawn and not ("sessions" in chart.tables and by_markers):
            target = folder / f"{chart.name}.png"
            try:
                charts.draw(chart.name, store, target, pipeline.name)
            except SojournError as error:
                error.message = f"the run was published, but its charts were not drawn: {error.message}"
                raise
            yield target


def check(pipeline: str, sources: list[str], given: runs.Options, *, as_json: bool) -> None:
    """Judge the records and print the ledger."""
    loaded, inputs = _begin(pipeline, sources, given)
    if not inputs:
        raise UsageError("no_source", f"name what to check: sojourn check {pipeline} FILE")
    with (
        tempfile.TemporaryDirectory(prefix="sojourn-") as folder,
        told(as_json),
        progress(inputs) as advance,
    ):
        done = runs.check(loaded, inputs, Path(folder), given, advance)
    _print(done.report(), as_json)


def export(pipeline: str, table: str | None, store: Store, folder: Path, file_format: str) -> Iterator[dict[str, Any]]:
    """Write published tables as files; what was written, one by one.

    A ready pipeline, or the TOML file of one, says how its tables are written as CSV.
    """
    settings: dict[str, TableSettings] = {}
    if pipeline in ready_pipelines() or pipeline.endswith(".toml"):
        loaded = load(pipeline)
        pipeline, settings = loaded.name, loaded.tables
    published = [row["table"] for row in store.published() if row["pipeline"] == pipeline]
    if not published:
        raise SojournError("not_published", f"nothing is published by {pipeline} yet; see: sojourn tables")
    if table is not None and table not in published:
        hint = did_you_mean(table, published)
        raise UsageError("unknown_table", f"{pipeline} publishes no table {table}{hint} it has {', '.join(published)}")
    make_folder(folder)
    with store.reading(pipeline) as reading:  # all tables of one run, also when another publishes meanwhile
        for name in published if table is None else [table]:
            columns = reading.query(f"select * from {name} limit 0").read_all().column_names
            reader = reading.table(pipeline, name, exports.order(name, columns))
            conventions = settings.get(name, TableSettings()).csv
            yield exports.write_reader(reader, folder / f"{name}.{file_format}", conventions)


def _begin(pipeline: str, sources: list[str], given: runs.Options) -> tuple[Pipeline, list[Input]]:
    """The pipeline, and the inputs of each of its sources."""
    loaded = load(pipeline)
    if given.until is not None and "presence" not in loaded.tables:
        raise UsageError("bad_until", f"--until ends the observation of devices; {loaded.name} publishes no presence")
    named = named_sources(sources, loaded)
    if sum(path == "-" for paths in named.values() for path in set(paths)) > 1:
        raise UsageError("two_stdins", "standard input can be one source only; give the other one as a file")
    inputs = [one for name, paths in named.items() if paths for one in resolve(paths, loaded.source[name].format, name)]
    return loaded, inputs


def named_sources(sources: Sequence[str], pipeline: Pipeline) -> dict[str, list[str]]:
    """The paths that SOURCE arguments name, by the source of *pipeline* that they belong to."""
    named: dict[str, list[str]] = {name: [] for name in pipeline.source}
    for source in sources:
        name, path = _named(source, pipeline)
        named[name].append(path)
    return named


def _nothing_to_read(given: str, pipeline: Pipeline) -> UsageError:
    """The error for a run without a source; *given* is how the person named the *pipeline*."""
    if pipeline.events.format != "streams":
        return UsageError("no_source", f"name what to read: {to_begin(given)}")
    return UsageError(
        "no_source",
        f"there is nothing to read: no live message was received yet. Start the service with: sojourn serve; or name "
        f"files of streams: {to_begin(given)}",
    )


def _named(source: str, pipeline: Pipeline) -> tuple[str, str]:
    """The source that a SOURCE argument belongs to, and the path it names."""
    name, separator, path = source.partition("=")
    if separator and name in pipeline.source:
        return name, path
    known = list(pipeline.source)
    if separator and re.fullmatch(r"[a-z_]+", name) and not Path(source).exists() and path:
        hint = did_you_mean(name, known)
        raise UsageError("unknown_source", f"{pipeline.name} has no source {name!r}{hint} it has {' and '.join(known)}")
    if len(known) > 1:
        example = " ".join(f"{one}=FILE" for one in known)
        raise UsageError(
            "which_source", f"{pipeline.name} reads {' and '.join(known)}; say which one {source} is: {example}"
        )
    return known[0], source


def _instant(text: str | None) -> int | None:
    """Epoch microseconds of ``--until``; text without an offset is UTC."""
    if text is None:
        return None
    instant = times.parse_iso(text.strip(), times.zone_named("UTC"))
    if instant is None:
        raise UsageError(
            "bad_until", f"--until: {text!r} is no date and time; write one such as 2024-05-31T23:59:59 (UTC) or with Z"
        )
    return instant


def _limit(text: str | None) -> Callable[[Ledger], bool]:
    """Whether a ledger stays within ``100`` or ``1%`` quarantined records."""
    if text is None:
        return lambda _: True
    found = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)%", text.strip())
    if found is None or (found[2] and float(found[2]) > 100):
        raise UsageError(
            "bad_limit", f"--max-quarantined: {text!r} is neither a count such as 100 nor a share such as 1%"
        )
    if found[1]:
        most = int(found[1])
        return lambda ledger: ledger.quarantined.total() <= most
    share = float(found[2])
    return lambda ledger: ledger.quarantined.total() * 100 <= share * ledger.read


@contextmanager
def told(as_json: bool) -> Iterator[None]:
    """Print what became of the records also when the run fails."""
    try:
        yield
    except SojournError as error:
        failed = getattr(error, "run", None)
        if failed is not None and as_json:
            print(show.dumps({**failed.report(), "error": {"code": error.code, "message": error.message}}))
        elif failed is not None and failed.ledgers:
            show.ledger(failed.report())
        raise


def _print(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(show.dumps(report))
        return
    show.ledger(report)
    for target in report.get("charts", ()):
        print(f"chart: {target}")


@contextmanager
def progress(inputs: list[Input]) -> Iterator[Callable[[int], None]]:
    """A bar with bytes, rate and time left, where a person is watching."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    is_known = not any(given.is_stream for given in inputs)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    # without auto_refresh there is no thread beside us when the readers are forked
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("reading", total=sum(given.size for given in inputs) if is_known else None)

        def advance(count: int) -> None:
            bar.advance(task, count)
            bar.refresh()

        yield advance
