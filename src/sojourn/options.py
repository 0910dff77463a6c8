"""Options that many commands share, and opening the store that they name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sojourn.store.base import Store

Command = Callable[..., Any]


def stored(command: Command) -> Command:
    """Give a command `--home` and `--store`."""
    command = click.option(
        "--store",
        metavar="URL",
        envvar="SOJOURN_STORE",
        help="Publish to (or read from) postgresql://... [default: $SOJOURN_STORE]",
    )(command)
    return click.option(
        "--home",
        metavar="DIR",
        help="Landed events and the embedded warehouse. [default: $SOJOURN_HOME or ./sojourn-data]",
    )(command)


def one_pipeline(told: str) -> Callable[[Command], Command]:
    """Give a command `--pipeline`: the name of a pipeline, or the TOML file that it is named after."""
    return click.option("--pipeline", metavar="NAME|FILE.toml", callback=_name, help=told)


def _name(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    if given is None or not given.endswith(".toml"):
        return given
    from sojourn.loading import load

    return load(given).name


def opened(home: str | None, store: str | None) -> "Store":
    """The store that `--home` and `--store` name."""
    from sojourn.store.opening import open_store

    return open_store(home, store)


def reading(command: Command) -> Command:
    """Options of the commands that read records."""
    options = [
        click.argument("pipeline"),
        click.argument("sources", metavar="[SOURCE]...", nargs=-1),
        click.option(
            "--memory",
            metavar="SIZE",
            help="Memory for computing tables, such as 400MB; beyond it disk is used. "
            "[default: 640MB, more for many events]",
        ),
        click.option(
            "--max-quarantined",
            metavar="N|P%",
            help="Publish nothing when more records than this break the contract.",
        ),
        click.option(
            "--until",
            metavar="TIME",
            help="End of observation, of devices: later events are dropped. [default: the last]",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def engine(command: Command) -> Command:
    """Options that say what reads and computes."""
    options = [
        click.option(
            "--engine",
            type=click.Choice(["duckdb", "spark"]),
            default="duckdb",
            help="What reads and computes: this process, or Apache Spark. [default: duckdb]",
        ),
        click.option(
            "--spark-master", metavar="URL", help="The cluster, such as spark://host:7077. [default: this machine]"
        ),
        click.option("--spark-conf", metavar="KEY=VALUE", multiple=True, help="A setting of Spark; may be repeated."),
    ]
    for option in reversed(options):
        command = option(command)
    return command
