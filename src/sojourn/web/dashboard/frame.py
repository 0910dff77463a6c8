"""What every view over tables tells of itself: the pipeline, the run, its time, and the filters with what to choose."""

from typing import Any

from sojourn.engines.duckdb import quote
from sojourn.web.dashboard.asked import Asked, Scope
from sojourn.web.dashboard.filters import LABELS


def frame(asked: Asked, scope: Scope) -> dict[str, Any]:
    """The pipeline and its run, and the filters that *scope* takes."""
    sql = f"select started_at, seconds, accepted, read from sojourn.runs where run_id = {quote(asked.run_id)}"
    runs: list[dict[str, Any]] = asked.reading.query(sql).read_all().to_pylist()
    return {
        "pipeline": asked.pipeline,
        "pipelines": asked.pipelines,
        "run": {"run_id": asked.run_id, **(runs[0] if runs else {"started_at": None})},
        "chosen": asked.chosen,
        "labels": {name: LABELS[name] for name in scope.filters},
        "has_times": scope.has_times,
    }
