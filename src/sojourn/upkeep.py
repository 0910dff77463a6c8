"""Commands for what is kept: parse, call, print; nothing else. What a command needs is imported when it runs."""

import click

from sojourn.options import one_pipeline, opened, reading, stored


@click.command()
@click.argument("given", metavar="[PIPELINE] [RUN_A RUN_B]", nargs=-1)
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="A rule to suppose, such as sessions.gap=20m; several times.",
)
@stored
@click.option("--memory", metavar="SIZE", help="Memory for computing, such as 400MB; beyond it disk is used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(
    given: tuple[str, ...], settings: tuple[str, ...], home: str | None, store: str | None, memory: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Say what moved between two runs, or what would move by other rules.

    A RUN is its id, the beginning of one, current, or previous. With --set, or with a PIPELINE that is a TOML file,
    what is published is compared with what other rules would make of the kept events; nothing is published. PIPELINE
    can be left out where only one is published.
    """
    from sojourn import telling

    telling.diff(opened(home, store), given, settings, memory, as_json=as_json)


@click.command()
@click.argument("pipeline")
@click.argument("run", required=False)
@stored
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rollback(pipeline: str, run: str | None, home: str | None, store: str | None, as_json: bool) -> None:
    """List the runs of PIPELINE that are kept, or go back to one: publish its tables again.

    A RUN is its id, the beginning of one, or previous. The next run adds to it; what was read after it can be read
    again. The runs that come after it stay, until newer ones take their place: one can go forward again, too.
    """
    from sojourn import keeping

    if run is None:
        keeping.runs(opened(home, store), pipeline, as_json=as_json)
    else:
        keeping.roll_back(opened(home, store), pipeline, run, as_json=as_json)


@click.command()
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(1),
    help="Runs of each pipeline that stay, the newest, and the current one. [default: $SOJOURN_KEEP_RUNS or 3]",
)
@click.option("--older-than", metavar="DURATION", help="Also remove rows of sojourn.runs that are older, such as 90d.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would go.")
@stored
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def gc(
    keep: int | None, older_than: str | None, is_dry: bool, home: str | None, store: str | None, as_json: bool
) -> None:
    """Remove the tables of old runs, and events that no kept run rests on; say what went.

    What is published stays as it is.
    """
    from sojourn import keeping

    keeping.collect(opened(home, store), keep, older_than, is_dry=is_dry, as_json=as_json)


@click.command()
@click.argument("actors", metavar="ACTOR...", nargs=-1, required=True)
@one_pipeline("Only in this pipeline. [default: everywhere]")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what would be rewritten.")
@stored
@click.option("--memory", metavar="SIZE", help="Memory for computing tables, such as 400MB; beyond it disk is used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def forget(
    actors: tuple[str, ...], pipeline: str | None, is_dry: bool, home: str | None, store: str | None,
    memory: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Erase ACTORs from all that is kept, for good: later runs drop their records.

    An ACTOR is the value of the field actor (of devices: user_id); of live messages whole sessions go that name it.
    With - they are read from standard input, one on each line. Earlier runs of a pipeline that names one are not kept.
    """
    from sojourn.forgetting import telling

    telling.forget(opened(home, store), actors, pipeline, memory, is_dry=is_dry, as_json=as_json)


@click.command()
@reading
@stored
@click.option("--every", metavar="DURATION", default="2s", show_default=True, help="How often to look.")
@click.option("--out", metavar="DIR", help="Also write every table as a file, with each run that publishes.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    help="Format of --out. [default: csv]",
)
def watch(
    pipeline: str, sources: tuple[str, ...], memory: str | None, max_quarantined: str | None, until: str | None,
    as_json: bool, home: str | None, store: str | None, every: str, out: str | None, file_format: str,
) -> None:  # fmt: skip
    """Run whenever files arrive or grow, until Ctrl-C; print a line for each run that publishes.

    Only what is new is read. A last line without a line break waits until it is finished.
    """
    from sojourn import running, watching

    options = running.options(out=out, file_format=file_format, memory=memory, limit=max_quarantined, until=until)
    watching.watch(pipeline, sources, opened(home, store), options, every, as_json=as_json)


@click.command("replay")
@click.option(
    "--pipeline", metavar="NAME|FILE.toml", help="The pipeline that has been mended. [default: all ready ones]"
)
@click.option("--reason", metavar="REASON", help="Only this reason's.")
@stored
@click.option("--memory", metavar="SIZE", help="Memory for computing tables, such as 400MB; beyond it disk is used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quarantine_replay(
    pipeline: str | None, reason: str | None, home: str | None, store: str | None, memory: str | None, as_json: bool
) -> None:
    """Read quarantined records again, after a mend: what passes now becomes part of the tables.

    What still breaks the contract stays as it is. A pipeline file that only accepts more of the same than before is
    adopted: later runs go on with it.
    """
    from sojourn.mending import telling as mending

    mending.replay(opened(home, store), pipeline, reason, memory, as_json=as_json)


@click.command()
@click.argument("pipeline")
@stored
@click.option("--memory", metavar="SIZE", help="Memory for computing tables, such as 400MB; beyond it disk is used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rebuild(pipeline: str, home: str | None, store: str | None, memory: str | None, as_json: bool) -> None:
    """Compute every table of PIPELINE again, from the kept events.

    Where PIPELINE, a TOML file, reads its records otherwise than they were read, all raw files are read again; those
    that are gone or changed since are listed, and nothing is published.
    """
    from sojourn.mending import telling as mending

    mending.rebuild(opened(home, store), pipeline, memory, as_json=as_json)


@click.command()
@one_pipeline("Only this pipeline. [default: all that are published]")
@click.option(
    "--cuts", default=2, show_default=True, type=click.IntRange(0, 1000), help="Random ways to deal events into runs."
)
@click.option("--seed", default=0, show_default=True, help="Of these: another one deals otherwise.")
@stored
@click.option("--memory", metavar="SIZE", help="Memory for computing, such as 400MB; beyond it disk is used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(
    pipeline: str | None, cuts: int, seed: int, home: str | None, store: str | None, memory: str | None, as_json: bool
) -> None:  # fmt: skip
    """Prove that what is published is what the kept events give; ends with 1 when it is not.

    All tables are computed again, whole and as so many runs of random parts would have built them; checksums,
    manifests and ledgers are checked. Nothing is written to the home or the store.
    """
    from sojourn import telling

    telling.verify(opened(home, store), pipeline, cuts, seed, memory, as_json=as_json)


COMMANDS = (diff, verify, rollback, gc, forget, watch, rebuild)
"""What `sojourn` gets from here."""
