"""Imports point down and stay cheap; each engine has one door."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import sojourn

ROOT = Path(sojourn.__file__).parent

LAYERS = (
    {"__main__"},
    {"cli"},
    {"upkeep"},
    {"demo"},
    {"web"},
    {"watching", "mending"},
    {"running", "drafting", "keeping", "telling"},
    {"forgetting"},
    {"run", "verifying"},
    {"comparing"},
    {"rereading", "choosing", "recomputing", "balancing"},
    {"export", "metrics", "charts", "options"},
    {"quarantine"},
    {"live"},
    {"store"},
    {"engines"},
    {"tables"},
    {"statistics"},
    {"reading"},
    {"loading"},
    {"checks"},
    {"faults", "contracts"},
    {"pipeline", "ledger"},
    {"json_schema", "times", "projection"},
    {"errors", "show", "samples", "signals", "theta", "__init__"},
)
"""From the top: a module imports from layers below its own, and from its own package. What stands in the last one
imports nothing of ours."""

DOORS = {
    "duckdb": {"engines/duckdb.py"},
    "ibis": {"tables"},
    "adbc_driver_manager": {"store/adbc.py"},
    "adbc_driver_postgresql": {"store/adbc.py"},
    "asyncpg": {"store/connections.py", "store/postgres_messages.py"},
    "jsonschema": {"json_schema.py"},
    "referencing": {"json_schema.py"},
    "zstandard": {"reading/unpacking.py"},
    "rich": {"show.py", "running.py"},
    "click": {"cli.py", "options.py", "show.py", "upkeep.py"},
    "scipy": {"statistics/distributions.py"},
    "crawleruseragents": {"reading/bots.py"},
    "fastapi": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web/protocols.py", "web/serving.py"},
    "prometheus_client": {"live/telemetry.py"},
    "altair": {"charts"},
    "vl_convert": {"charts/files.py"},
    "jinja2": {"web/dashboard/templates.py"},
}
"""Library -> the files and folders that may import it."""

EXECUTES = {"execute", "to_pyarrow", "to_pyarrow_batches", "to_pandas", "to_polars", "connect", "sql", "cache"}
"""Ways to execute an Ibis expression."""


def imports(source: str) -> set[str]:
    """Every module that *source* imports, also within functions; `from x import y` gives `x.y`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.update(f"{node.module}.{name.name}" for name in node.names)
    return found


def layer(part: str) -> int:
    """The place of a module or package of ours, from the top."""
    places = [at for at, names in enumerate(LAYERS) if part in names]
    assert places, f"{part} stands in no layer: add it to LAYERS"
    return places[0]


def upward(module: str, source: str) -> list[str]:
    """What *module* (as a path, such as ``store/base.py``) imports of ours that does not lie below it."""
    own = module.partition("/")[0].removesuffix(".py")
    parts = {
        name.split(".")[1] if "." in name else "__init__" for name in imports(source) if name.split(".")[0] == "sojourn"
    }
    ours = {path.stem for path in ROOT.iterdir()}
    parts = {part if part in ours else "__init__" for part in parts}  # sojourn.__version__ lies in __init__
    return sorted(part for part in parts if part != own and layer(part) <= layer(own))


def at_other_doors(module: str, source: str) -> list[str]:
    """Libraries that *module* imports although another file is their door."""
    used = {name.split(".")[0] for name in imports(source)}
    return sorted(
        name
        for name in used & DOORS.keys()
        if module not in DOORS[name] and module.partition("/")[0] not in DOORS[name]
    )


def executed(source: str) -> list[str]:
    """Calls in *source* that execute an expression."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sorted(call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in EXECUTES)


MODULES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}
every_module = pytest.mark.parametrize("module", MODULES)


@every_module
def test_imports_point_down(module):
    """A module imports from the layers below it only."""
    assert upward(module, MODULES[module]) == []


@every_module
def test_each_library_has_one_door(module):
    """DuckDB is imported by its engine alone, Ibis by the tables alone, the database's driver by its store alone."""
    assert at_other_doors(module, MODULES[module]) == []


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("tables/")])
def test_tables_execute_nothing(module):
    """Tables are expressions: built here, executed elsewhere."""
    assert executed(MODULES[module]) == []


def test_every_layer_is_inhabited():
    """No layer and no door names something that is gone."""
    assert {name for names in LAYERS for name in names} == {
        path.stem for path in ROOT.iterdir() if path.stem not in ("__pycache__", "py", "pipelines")
    }
    assert all((ROOT / place).exists() for places in DOORS.values() for place in places)


def test_the_guards_can_fail():
    """Each check above finds what it is there to find."""
    assert upward("ledger.py", "def f():\n    from sojourn.store.base import Store") == ["store"]
    assert upward("tables/pages.py", "import sojourn.engines.duckdb, sojourn.tables.order") == ["engines"]
    assert upward("errors.py", "from sojourn import times") == ["times"]
    assert upward("running.py", "from sojourn.drafting import draft") == ["drafting"]
    assert upward("store/base.py", "from sojourn.engines import duckdb\nfrom sojourn.store import files") == []
    assert at_other_doors("run.py", "import duckdb") == ["duckdb"]
    assert at_other_doors("engines/plans.py", "if 1:\n    import ibis.expr.types as ir") == ["ibis"]
    assert at_other_doors("tables/new.py", "import ibis") == []
    assert executed("table.filter(1).to_pyarrow()") == ["to_pyarrow"]
    with pytest.raises(AssertionError, match="no layer"):
        layer("nowhere")


HEAVY = (
    "duckdb",
    "pyarrow",
    "ibis",
    "sqlglot",
    "rich",
    "adbc_driver_manager",
    "adbc_driver_postgresql",
    "asyncpg",
    "jsonschema",
    "msgspec",
    "numpy",
    "zstandard",
    "statsmodels",
    "pandas",
    "altair",
    "vl_convert",
)


def loaded(code: str, *arguments: str, **environment: str) -> set[str]:
    """Which heavy libraries a fresh Python holds after *code*."""
    code = f"{code}\nimport sys, json\nprint(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True, capture_output=True, text=True, timeout=60, env={"PATH": "", "HOME": "/nowhere", **environment},
    )  # fmt: skip
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_command_line_imports_no_engine():
    """`--help` stays fast: the commands import what they need when they run."""
    assert loaded("import sojourn.cli") == set()
    assert loaded("import sojourn.errors, sojourn.ledger, sojourn.times") == set()
    assert loaded("import sojourn.pipeline") == {"msgspec"}


def test_a_small_run_compiles_no_expressions(tmp_path):
    """Compiled plans are kept: a second run of a pipeline imports neither Ibis nor rich, nor another store's driver,
    nor what projects and draws."""
    (tmp_path / "events.jsonl").write_bytes(b"")
    arguments = ["run", "webshop", str(tmp_path / "events.jsonl"), "--home", str(tmp_path / "home"), "--json"]
    code = f"from sojourn.cli import main\nmain({arguments!r}, standalone_mode=False)"
    cache = str(tmp_path / "cache")
    assert "ibis" in loaded(code, XDG_CACHE_HOME=cache)
    lean = loaded(code, XDG_CACHE_HOME=cache)
    assert not lean & {"ibis", "sqlglot", "rich", "jsonschema"}
    assert not lean & {"adbc_driver_manager", "adbc_driver_postgresql", "asyncpg"}
    assert not lean & {"statsmodels", "pandas", "altair", "vl_convert"}
    assert {"duckdb", "pyarrow"} <= lean
