"""Commands for what is kept: parse, call, print; nothing else. What a command needs is imported when it runs."""

import click

from sojourn.options import opened, stored


@click.command()
@click.argument("given", metavar="[PIPELINE] [RUN_A RUN_B]", nargs=-1, required=True)
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
    what is published is compared with what other rules would make of the kept events; nothing is published.
    """
    from sojourn import telling

    telling.diff(opened(home, store), given, settings, memory, as_json=as_json)


COMMANDS = (diff,)
"""What `sojourn` gets from here."""
