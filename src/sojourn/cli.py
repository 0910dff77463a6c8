"""Commands: parse, call, print; nothing else. What a command needs is imported when it runs."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from sojourn import __version__, upkeep
from sojourn.errors import SojournError, UsageError, as_ours
from sojourn.options import Command, engine, one_pipeline, opened, reading, stored
from sojourn.signals import heard


class _WithoutPandas:
    """Arrow imports pandas wherever it is installed: a third of a second, of use to few commands."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Say that there is no pandas, until a library asks that works with it."""
        if fullname == "pandas" and not {"statsmodels", "pyspark"} & sys.modules.keys():
            raise ModuleNotFoundError(fullname)


class _Group(click.Group):
    """Turns our errors into one sentence and the right exit status, for every command."""

    def invoke(self, ctx: click.Context) -> Any:
        if not any(isinstance(finder, _WithoutPandas) for finder in sys.meta_path):
            sys.meta_path.insert(0, _WithoutPandas())
        sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - for good: whoever started us closed it
        try:
            with heard():
                return super().invoke(ctx)
        except SojournError as error:
            click.echo(f"error: {error.message} [{error.code}]", err=True)
            ctx.exit(error.exit_status)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of our output went away: nobody is left to tell
            ctx.exit(0)
        except KeyboardInterrupt as error:
            click.echo("interrupted", err=True)
            ctx.exit(as_ours(error).exit_status)
        except (MemoryError, OSError) as error:
            told = as_ours(error)
            click.echo(f"error: {told.message} [{told.code}]", err=True)
            ctx.exit(told.exit_status)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sojourn")
def main() -> None:
    """Turn raw event records into sessions, presence and metrics, and account for every record.

    Begin with: sojourn run webshop events.jsonl
    """


@main.command()
@reading
@engine
@stored
@click.option(
    "--mode",
    type=click.Choice(["add", "replace"]),
    default="add",
    help="Add to the kept events, or start over. [default: add]",
)
@click.option("--out", metavar="DIR", help="Also write every table as a file, with manifest.json and quarantine.jsonl.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    help="Format of --out. [default: csv]",
)
@click.option("--chart", "charted", is_flag=True, help="Also draw the charts, as PNG into --out or the current folder.")
def run(
    pipeline: str, sources: tuple[str, ...], memory: str | None, max_quarantined: str | None, until: str | None,
    as_json: bool, home: str | None, store: str | None, mode: str, out: str | None, file_format: str, charted: bool,
    **chosen: Any,
) -> None:  # fmt: skip
    """Read records, publish tables, and say where every record ended.

    PIPELINE is a ready one (see: sojourn pipelines) or a TOML file. SOURCE is a file, a directory, a
    glob, or - for standard input; .gz and .zst are read as they are. Where a pipeline reads several
    sources, each is named: events=FILE servers=FILE. One that reads streams needs none where live
    messages were received: it reads them, too.
    """
    from sojourn import running

    options = running.options(
        mode=mode, out=out, file_format=file_format, memory=memory, limit=max_quarantined, until=until
    )
    with running.engine(options, **chosen) as equipped:
        running.run(pipeline, list(sources), opened(home, store), equipped, as_json=as_json, charted=charted)


@main.command()
@reading
@engine
def check(
    pipeline: str, sources: tuple[str, ...], memory: str | None, max_quarantined: str | None, until: str | None,
    as_json: bool, **chosen: Any,
) -> None:  # fmt: skip
    """Read records and print the ledger only; nothing is kept or published."""
    from sojourn import running

    options = running.options(memory=memory, limit=max_quarantined, until=until)
    with running.engine(options, **chosen) as equipped:
        running.check(pipeline, list(sources), equipped, as_json=as_json)


@main.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pipelines(name: str | None, as_json: bool) -> None:
    """List the ready pipelines, or show one as TOML, to copy and change."""
    from sojourn import loading, show

    ready = loading.ready_pipelines()
    if name is None:
        rows = [{"pipeline": key, "title": loading.load(key).title} for key in ready]
        show.rows(rows, as_json=as_json)
    elif name in ready:
        click.echo(ready[name].text, nl=False)
    else:
        click.echo(json.dumps(_plain_pipeline(name), indent=2))


def _plain_pipeline(name: str) -> Any:
    import msgspec

    from sojourn import loading

    return msgspec.to_builtins(loading.load(name))


@main.command()
@click.argument("file", type=click.Path())
@click.option("-o", "--output", metavar="FILE.toml", help="Where to write it. [default: the file's name with .toml]")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init(file: str, output: str | None, force: bool) -> None:
    """Look at a sample of FILE and write a pipeline that runs on it, with comments to go on from."""
    from sojourn import drafting

    target = Path(output) if output else drafting.default_name(file)
    if target.exists() and not force:
        raise UsageError("exists", f"{target} exists; give another name with -o, or --force to replace it")
    text, remarks = drafting.draft(file)
    target.write_text(text, encoding="utf-8")
    for remark in remarks:
        click.echo(f"note: {remark}", err=True)
    click.echo(f"wrote {target}; next: sojourn check {target} {file}")


@main.command()
@stored
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tables(home: str | None, store: str | None, as_json: bool) -> None:
    """List the published tables."""
    from sojourn import show

    rows = opened(home, store).published()
    if not rows and not as_json:
        click.echo("nothing is published yet; begin with: sojourn run webshop FILE")
        return
    show.rows(rows, as_json=as_json)


@main.command()
@click.argument("query")
@stored
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of rows.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def sql(query: str, home: str | None, store: str | None, as_json: bool, as_csv: bool) -> None:
    """Run one read-only QUERY over the published tables (webshop.sessions, sojourn.runs, ...)."""
    from sojourn import show

    with opened(home, store).query(query) as reader:
        show.reader(reader, as_json=as_json, as_csv=as_csv)


@main.command()
@click.argument("name", required=False)
@stored
@one_pipeline("Read this pipeline's tables, of the same shape as the ready one's.")
@click.option("--json", "as_json", is_flag=True, help="Print the metric's object (or list of rows), unwrapped.")
def metrics(name: str | None, home: str | None, store: str | None, pipeline: str | None, as_json: bool) -> None:
    """List the metrics, or work one out from the published tables."""
    from sojourn import metrics as registry
    from sojourn import show

    if name is None:
        known = registry.metrics().values()
        rows = [{"metric": m.name, "title": m.title, "pipeline": m.pipeline} for m in known]
        show.rows(rows, as_json=as_json)
        return
    value = registry.evaluate(name, opened(home, store), pipeline)
    show.value(value, as_json=as_json)


@main.command()
@click.argument("name", required=False)
@click.option("-o", "--output", metavar="FILE", help="A .png, .svg, .html or .json file. [default: NAME.png]")
@stored
@one_pipeline("Read this pipeline's tables, of the same shape as the ready one's.")
def chart(name: str | None, output: str | None, home: str | None, store: str | None, pipeline: str | None) -> None:
    """List the charts, or draw one from the published tables."""
    from sojourn import charts, show

    if name is None:
        known = charts.CHARTS.values()
        show.rows([{"chart": c.name, "title": c.title, "pipeline": c.pipeline} for c in known], as_json=False)
        return
    target = Path(output or f"{name}.png")
    charts.draw(name, opened(home, store), target, pipeline)
    click.echo(target)


@main.command()
@click.option(
    "-o", "--output", metavar="FILE.html", default="report.html", show_default=True, help="Where to write it."
)
@stored
def report(output: str, home: str | None, store: str | None) -> None:
    """Write what is published as one page to mail: the views of the dashboard, without a server or a script."""
    from sojourn.web.dashboard import report as reports

    target = Path(output)
    reports.write(opened(home, store), target)
    click.echo(target)


@main.command()
@click.option(
    "--folder", default="sojourn-demo", show_default=True, metavar="DIR", help="Where it makes files and a home."
)
def demo(folder: str) -> None:
    """Show the five jobs on sample data, and what to type next."""
    from sojourn.demo import demonstrate

    demonstrate(Path(folder))


@main.group()
def quarantine() -> None:
    """Records that broke their contract: list them, export them, or read them again."""


@quarantine.command("list")
@stored
@one_pipeline("Only this pipeline's.")
@click.option("--reason", metavar="REASON", help="Only this reason's.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def quarantine_list(
    home: str | None, store: str | None, pipeline: str | None, reason: str | None, limit: int, as_json: bool
) -> None:
    """Show quarantined records: where, why, and the beginning of the text."""
    from sojourn import quarantine as quarantined
    from sojourn import show

    rows = quarantined.listing(opened(home, store), pipeline=pipeline, reason=reason, limit=limit)
    if not rows and not as_json:
        click.echo("no quarantined records")
        return
    show.rows(rows, as_json=as_json)


@quarantine.command("export")
@stored
@one_pipeline("Only this pipeline's.")
@click.option("--reason", metavar="REASON", help="Only this reason's.")
@click.option("-o", "--output", metavar="FILE", default="-", help="JSON lines; - is standard output. [default: -]")
def quarantine_export(
    home: str | None, store: str | None, pipeline: str | None, reason: str | None, output: str
) -> None:
    """Write all quarantined records, whole, one JSON object a line."""
    from sojourn import quarantine as quarantined

    quarantined.export(opened(home, store), output, pipeline=pipeline, reason=reason)


@main.command()
@click.argument("pipeline")
@click.argument("table", required=False)
@stored
@click.option("--out", metavar="DIR", default=".", show_default=True, help="Where to write the files.")
@click.option("--format", "file_format", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
def export(pipeline: str, table: str | None, home: str | None, store: str | None, out: str, file_format: str) -> None:
    """Write the published tables of PIPELINE (or one TABLE) as files."""
    from sojourn import running

    for entry in running.export(pipeline, table, opened(home, store), Path(out), file_format):
        click.echo(f"{Path(out) / entry['file']}: {entry['rows']} rows")


def _limited(command: Command) -> Command:
    """Give a command the limits of what clients may do."""
    options = [
        ("--max-message", "1MiB", "Bytes of one message."),
        ("--max-body", "16MiB", "Bytes of one request's body of many messages."),
        ("--max-waiting", "64MiB", "Bytes of all messages that wait to be durable."),
    ]
    counts = [
        ("--max-entries", 10_000, "Entries of one message."),
        ("--max-in-flight", 64, "Messages of one client that wait to be durable; it is not read from beyond that."),
        ("--max-connections", 10_000, "WebSockets at a time."),
    ]
    for name, size, text in reversed(options):
        command = click.option(name, default=size, show_default=True, metavar="SIZE", help=text)(command)
    for name, count, text in reversed(counts):
        command = click.option(name, default=count, show_default=True, type=click.IntRange(1), help=text)(command)
    return click.option(
        "--idle", default="5m", show_default=True, metavar="DURATION", help="A client silent for longer is closed."
    )(command)


@main.command(context_settings={"auto_envvar_prefix": "SOJOURN"})
@stored
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; beyond loopback tokens are needed."
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--tokens",
    metavar="FILE",
    envvar="SOJOURN_TOKENS_FILE",
    allow_from_autoenv=False,
    help="Who may come in, one token a line. [default: the tokens in $SOJOURN_TOKENS]",
)
@click.option("--cors", multiple=True, metavar="ORIGIN", help="Pages of this origin may ask, too; several times.")
@click.option(
    "--publish-every",
    default="60s",
    show_default=True,
    metavar="DURATION",
    help="Publish live sessions when something changed; 0 for never.",
)
@_limited
def serve(**given: Any) -> None:
    """Take in live sessions over WebSockets and HTTP; answer with sessions, tables and metrics.

    Every option can stand in the environment, too: SOJOURN_PORT for --port. A token is text; TOKEN:ingest or
    TOKEN:read may do one thing only, TOKEN:ingest+read:SESSION both for one session.
    """
    from sojourn.web import serving, settings

    serving.serve(settings.read(**given))
    sys.stderr.flush()
    os._exit(0)  # everything is closed; libraries that are taken down after an event loop complain of leaks


@main.command("replay-stream")
@click.argument("file")
@click.option("--rate", default=0.0, type=click.FloatRange(0), help="Messages a second. [default: as fast as it goes]")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Where `sojourn serve` listens.")
@click.option("--connections", default=200, show_default=True, type=click.IntRange(1), help="Sessions at a time.")
@click.option("--token", envvar="SOJOURN_TOKEN", help="A token with the scope ingest. [default: $SOJOURN_TOKEN]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def replay_stream(file: str, rate: float, url: str, connections: int, token: str | None, as_json: bool) -> None:
    """Play FILE, a file of streams, against a running server, for demos and load.

    A line of it is a message: {"session_id":"visit-1","seq":1,"events":[...]}
    """
    import asyncio

    from sojourn import show
    from sojourn.web.replay import Replay

    played = asyncio.run(Replay(file, url, rate=rate, connections=connections, token=token).play())
    show.value(played, as_json=as_json)
    if played["refused"]:
        codes = ", ".join(f"{count} {code}" for code, count in sorted(played["refused"].items()))
        raise SojournError("refused", f"messages were not taken, with the rest of their sessions: {codes}")


quarantine.add_command(upkeep.quarantine_replay)
for command in upkeep.COMMANDS:
    main.add_command(command)
