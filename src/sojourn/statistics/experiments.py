"""The readout of experiments: what each variant's users did, and how sure its difference from the control is."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from sojourn.pipeline import MULTIPLE, Experiment, Pipeline
from sojourn.statistics.comparing import holm, sample_ratio
from sojourn.statistics.results import MEASURES, Result, Variant, results
from sojourn.statistics.warnings import warnings

SCHEMA = pa.schema(
    [
        ("experiment", pa.string()),
        ("variant", pa.string()),
        ("goal", pa.string()),
        ("users", pa.int64()),
        ("sessions", pa.int64()),
        ("page_views", pa.int64()),
        ("goal_users", pa.int64()),
        ("rate", pa.float64()),
        ("difference", pa.float64()),
        ("ratio", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("p_value", pa.float64()),
        ("p_adjusted", pa.float64()),
        ("warnings", pa.string()),
    ]
)
"""One row per experiment, variant and goal; `ci_*` bound the difference."""


def readout(sums: Iterable[Mapping[str, Any]], spread: Iterable[Mapping[str, Any]], pipeline: Pipeline) -> pa.Table:
    """Every experiment as `SCHEMA` says: the control first, then the other variants, `multiple` last.

    *sums* and *spread* are rows of the expressions of those names (`tables.experiments`). An experiment that nobody
    is in has no rows.
    """
    counts: dict[tuple[str, str, str], dict[int, int]] = {}
    for row in spread:
        of_value = counts.setdefault((row["experiment"], row["variant"], row["measure"]), {})
        of_value[int(row["value"])] = row["users"]
    found: dict[str, dict[str, Variant]] = {}
    for row in sums:
        experiment, name = row["experiment"], row["variant"]
        numbers = {key: int(value) for key, value in row.items() if key not in ("experiment", "variant")}
        of_measure = {measure: counts[experiment, name, measure] for measure in MEASURES}
        found.setdefault(experiment, {})[name] = Variant(name, numbers, of_measure)
    names = [name for name in pipeline.experiments or sorted(found) if name in found]
    rows = [{"experiment": name, **row} for name in names for row in _rows(name, found[name], pipeline)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _rows(name: str, found: dict[str, Variant], pipeline: Pipeline) -> list[dict[str, Any]]:
    """The rows of one experiment."""
    declared = pipeline.experiments.get(name, Experiment(variants=()))
    multiple = found.pop(MULTIPLE, None)
    variants = [found.get(label, Variant(label)) for label in declared.variants or sorted(found)]
    control = _control(declared, variants)
    others = [variant for variant in variants if variant is not control]
    goals = list(pipeline.counted_goals)
    whole = [row for variant in ([control] if control else []) + others for row in results(variant, control, goals)]
    _adjust(whole)
    shares = sample_ratio([variant.users for variant in variants], declared.shares) if declared.shares else None
    rows = [row.columns() | {"warnings": warnings(row, control, multiple, shares)} for row in whole]
    apart = results(multiple, None, goals) if multiple is not None else []
    return rows + [row.columns() | {"warnings": "counted apart: users who saw several variants"} for row in apart]


def _control(declared: Experiment, variants: list[Variant]) -> Variant | None:
    """The variant that is declared to be the control; else that with most users, of equal ones the first."""
    named = [variant for variant in variants if variant.name == declared.control]
    first = sorted(variants, key=lambda variant: (-variant.users, variant.name))
    return next(iter(named + first), None)


def _adjust(rows: list[Result]) -> None:
    """Adjust the p-values of one experiment: they are one family, as whoever looks for a difference looks at all."""
    tested = [row for row in rows if row.found is not None and row.found.p is not None]
    for row, p in zip(
        tested, holm([row.found.p for row in tested if row.found and row.found.p is not None]), strict=True
    ):
        row.p_adjusted = p
