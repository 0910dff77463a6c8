"""Compiled plans, kept: building expressions costs half a second, which a small run would feel."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import msgspec
import platformdirs

from sojourn.pipeline import Pipeline

_TABLES = Path(__file__).parent.parent / "tables"


class Plan(msgspec.Struct, frozen=True):
    """DuckDB's SQL by name: the *steps* to all tables, and what is *touched* where a part is made anew.

    See `tables.plan.compile_plan` and `compile_touched`.
    """

    steps: dict[str, str]
    touched: dict[str, str]

    @property
    def digest(self) -> str:
        """Tells plans apart that make tables in different ways."""
        return hashlib.sha256(repr((self.steps, self.touched)).encode()).hexdigest()


def plan(pipeline: Pipeline) -> Plan:
    """The plan of *pipeline*, kept in the user's cache folder under a digest of it and of the code that compiles it."""
    kept = platformdirs.user_cache_path("sojourn") / "plans" / f"{_digest(pipeline)}.json"
    try:
        return msgspec.json.decode(kept.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError):
        pass
    from sojourn.tables.plan import compile_plan, compile_touched

    compiled = Plan(compile_plan(pipeline), compile_touched(pipeline))
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{compiled.digest[:12]}")
        fresh.write_bytes(msgspec.json.encode(compiled))
        fresh.replace(kept)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
    return compiled


def _digest(pipeline: Pipeline) -> str:
    known = hashlib.sha256(msgspec.json.encode(pipeline, order="deterministic"))
    for file in sorted(_TABLES.glob("*.py")):
        known.update(file.read_bytes())
    for library in ("ibis", "sqlglot"):
        found = find_spec(library)
        if found is not None and found.origin is not None:
            known.update(f"{found.origin} {Path(found.origin).stat().st_mtime_ns}".encode())
    return known.hexdigest()[:32]
