"""What the commands `run`, `check` and `export` do: a person's words to options, progress, and results."""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from sojourn import export as exports
from sojourn import run as runs
from sojourn import show
from sojourn.errors import SojournError, UsageError
from sojourn.ledger import Ledger
from sojourn.loading import load, ready_pipelines
from sojourn.pipeline import Pipeline, TableSettings, did_you_mean, parse_size
from sojourn.reading.inputs import Input, resolve
from sojourn.store.base import Store
from sojourn.store.files import make_folder


def without_pandas() -> None:
    """Spare this process pandas, which pyarrow looks for at its first array: 0.3 seconds where it is installed."""
    if "pandas" not in sys.modules:
        sys.modules["pandas"] = None  # type: ignore[assignment] # as good as not installed
        with suppress(AttributeError):
            pa.array([None])
        del sys.modules["pandas"]


def options(
    *,
    mode: str = "add",
    out: str | None = None,
    file_format: str = "csv",
    memory: str | None,
    limit: str | None,
) -> runs.Options:
    """Checked options of a run."""
    try:
        size = parse_size(memory) if memory is not None else None
    except ValueError as error:
        raise UsageError("bad_memory", f"--memory: {error}") from error
    folder = Path(out) if out is not None else None
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError("out_unusable", f"--out {out} is a file; name a folder")
    return runs.Options(mode, folder, file_format, size, _limit(limit))


def run(pipeline: str, sources: list[str], store: Store, given: runs.Options, *, as_json: bool) -> None:
    """Run and print the report."""
    without_pandas()
    loaded, inputs = _begin(pipeline, sources)
    with _told(as_json), _progress(inputs) as progress:
        done = runs.execute(loaded, inputs, store, given, progress)
    _print(done, as_json)


def check(pipeline: str, sources: list[str], given: runs.Options, *, as_json: bool) -> None:
    """Judge the records and print the ledger."""
    without_pandas()
    loaded, inputs = _begin(pipeline, sources)
    with (
        tempfile.TemporaryDirectory(prefix="sojourn-") as folder,
        _told(as_json),
        _progress(inputs) as progress,
    ):
        done = runs.check(loaded, inputs, Path(folder), given, progress)
    _print(done, as_json)


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
            reader = reading.table(pipeline, name, exports.ORDER[name])
            conventions = settings.get(name, TableSettings()).csv
            yield exports.write_reader(reader, folder / f"{name}.{file_format}", conventions)


def _begin(pipeline: str, sources: list[str]) -> tuple[Pipeline, list[Input]]:
    loaded = load(pipeline)
    named = [source.removeprefix("events=") for source in sources]
    for source in named:
        name, separator, path = source.partition("=")
        if separator and re.fullmatch(r"[a-z_]+", name) and not Path(source).exists() and path:
            raise UsageError("unknown_source", f"{loaded.name} has no source {name!r}; it has events")
    return loaded, resolve(named, loaded.events.format)


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
def _told(as_json: bool) -> Iterator[None]:
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


def _print(done: runs.Run, as_json: bool) -> None:
    if as_json:
        print(show.dumps(done.report()))
    else:
        show.ledger(done.report())


@contextmanager
def _progress(inputs: list[Input]) -> Iterator[Callable[[int], None]]:
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
