"""Every public thing has its place in the documentation."""

import re
from collections.abc import Iterator
from typing import get_args, get_type_hints

import click
import pytest
from msgspec import Struct

from sojourn import cli, loading, metrics, pipeline, samples
from sojourn.ledger import REASONS
from sojourn.pipeline import Csv, Experiment, Field, Fleet, Goal, Pipeline, Sessions, Source, Suspect, TableSettings
from tests.command import sojourn
from tests.docs import pages

COMMAND_LINE = pages.DOCS / "reference" / "command-line.md"
TABLES = pages.DOCS / "reference" / "tables.md"
METRICS = pages.DOCS / "reference" / "metrics.md"
HOME = pages.DOCS / "reference" / "home-and-store.md"
OWN_DATA = pages.DOCS / "how-to" / "own-data.md"
QUARANTINE = pages.DOCS / "how-to" / "quarantine.md"
SEMANTICS = pages.DOCS / "semantics.md"
DECISIONS = pages.DOCS / "decisions"

SECTIONS = {
    Pipeline: "At the top",
    Source: "`[source.events]`",
    Field: "`[source.events.fields]`",
    Sessions: "`[sessions]`",
    Suspect: "`[sessions.suspect]`",
    Experiment: "`[experiments.NAME]`",
    Goal: "`[goals]`",
    Fleet: "`[fleet]`",
    TableSettings: "`[tables.NAME]`",
    Csv: "`[tables.NAME]`",
}
RULES = {1: 6, 2: 5, 3: 4, 4: 6, 5: 4, 6: 5, 7: 7, 8: 7, 9: 3, 10: 2}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A home in which every ready pipeline has run."""
    home = tmp_path_factory.mktemp("published")
    for name in loading.ready_pipelines():
        samples.write(name, home / name, lines=300, seed=1)
        sources = [f"{source}={path}" for source, path in samples.sources(name, home / name).items()]
        assert sojourn("run", name, *sources, "--home", home / "home", "--json").status == 0
    return home / "home"


def every_command(group: click.Group = cli.main, name: str = "sojourn") -> Iterator[tuple[str, click.Command]]:
    """Commands by their whole name."""
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def table_columns(text: str) -> set[str]:
    """The words in code type in the first column of the tables of *text*."""
    firsts = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    return {word for first in firsts for word in re.findall(r"`([^`]+)`", first)}


@pytest.mark.parametrize(("name", "command"), list(every_command()), ids=lambda given: given if given is str else None)
def test_every_command_has_its_section(name, command):
    """A command has a section of its name, with every flag of its own."""
    text = pages.section(COMMAND_LINE, f"`{name}`")
    flags = {flag for option in command.params if isinstance(option, click.Option) for flag in option.opts}
    told = {word for entry in table_columns(text) for word in re.findall(r"(?<!\S)--?[a-z][a-z-]*", entry)}
    if name == "sojourn run":
        told |= {"--home", "--store"}  # told once for all commands, above
    assert flags == told


def test_every_exit_status_is_told():
    """The statuses that the code ends with are those of the page."""
    told = set(re.findall(r"^\| (\d+) \|", pages.section(COMMAND_LINE, "Exit statuses"), re.MULTILINE))
    assert told == {"0", "1", "2", "3", "130"}


def test_every_reason_is_explained():
    """The reasons stand in the page about quarantine, in the order of judgement, and in the semantics."""
    rows = re.findall(r"^\| `(\w+)` \|", pages.section(QUARANTINE, "The reasons"), re.MULTILINE)
    assert tuple(rows) == REASONS
    assert all(f"`{reason}`" in pages.section(SEMANTICS, "1.2 The order of judgement") for reason in REASONS)
    for reason in (*get_args(get_args(get_type_hints(Source)["drop"])[0]), "bot"):
        assert f"`{reason}`" in pages.section(SEMANTICS, "1 Records, and where every one of them ends")


@pytest.mark.parametrize("kind", SECTIONS, ids=lambda kind: kind.__name__)
def test_every_key_of_a_pipeline_is_explained(kind: type[Struct]):
    """A key of the TOML stands in the table of its section, and in the file that shows all of them."""
    keys = [key for key in kind.__struct_fields__ if (kind, key) != (Pipeline, "name")]
    text = pages.section(OWN_DATA, SECTIONS[kind])
    whole = next(block.text for block in pages.blocks(OWN_DATA) if block.file == "full.toml")
    for key in keys:
        assert key in table_columns(text) or (kind is Csv and f"`{key}`" in text), f"{SECTIONS[kind]} lacks {key}"
        assert re.search(rf"\b{key}\b", whole), f"full.toml lacks {key}"


def test_every_choice_of_a_pipeline_is_explained():
    """Formats, types, rules and the like: each value that a key may have is named."""
    text = OWN_DATA.read_text(encoding="utf-8")
    for kind in SECTIONS:
        for hint in get_type_hints(kind).values():
            for choice in literals(hint):
                assert f'`"{choice}"`' in text or f'["{choice}"]' in text, choice


def literals(hint: object) -> Iterator[str]:
    """The texts that a type allows by name."""
    for part in get_args(hint):
        if isinstance(part, str):
            yield part
        else:
            yield from literals(part)


def test_every_table_and_column_is_explained(published):
    """Each table has a section that says what a row is, with every column and no other."""
    sql = "select table_catalog, table_schema, table_name, column_name from information_schema.columns "
    sql += "where table_schema <> 'state'"  # the engine's own
    done = sojourn("sql", sql, "--home", published, "--json")
    columns: dict[str, set[str]] = {name: set() for name in pipeline.TABLES}
    for row in done.json:
        own = "sojourn" in (row["table_catalog"], row["table_schema"])
        columns.setdefault(f"sojourn.{row['table_name']}" if own else row["table_name"], set()).add(row["column_name"])
    assert set(columns) == {*pipeline.TABLES, "sojourn.runs", "sojourn.quarantine"}
    for table, names in columns.items():
        text = pages.section(TABLES, f"`{table}`")
        assert text.lstrip().startswith("One row per "), f"{table}: its grain comes first"
        assert table_columns(text) == names, table
        assert "sojourn." in table or "Known limits:" in text, f"{table} says no limits"


@pytest.mark.parametrize("name", metrics.metrics())
def test_every_metric_is_explained(name, published):
    """Each metric has a section that names the tables it reads and everything it gives."""
    text = pages.section(METRICS, f"`{name}`")
    value = sojourn("metrics", name, "--home", published, "--json").json
    names = value if isinstance(value, dict) else value[0]
    assert all(f"`{word}`" in text for word in (*metrics.metric(name).tables, *names))


def test_every_rule_has_its_number():
    """The semantics have each rule under its own number, with something below it."""
    numbers = [heading.split()[0] for heading in pages.headings(SEMANTICS) if "." in heading.split()[0]]
    assert numbers == [f"{chapter}.{rule}" for chapter, last in RULES.items() for rule in range(1, last + 1)]
    for heading in pages.headings(SEMANTICS):
        assert pages.section(SEMANTICS, heading).strip()


def test_every_file_of_a_home_is_explained(published):
    """What lies in a home is what the page shows."""
    (block,) = (block for block in pages.blocks(HOME) if block.language == "text")
    told = set(re.findall(r"^  ([\w.-]+)", block.text, re.MULTILINE))
    assert {path.name for path in published.iterdir()} <= told


def test_every_decision_is_listed():
    """Records are numbered without a hole, and the list names each by its title."""
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    records = sorted(path for path in DECISIONS.glob("*.md") if path.name != "README.md")
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        number, _, title = pages.headings(path)[0].partition(" ")
        assert f"[{number}]({path.name}) | {title} |" in index


def test_a_missing_section_is_seen():
    """A control: what has no section of its own fails here."""
    with pytest.raises(KeyError, match="no heading"):
        pages.section(TABLES, "`journeys`")
