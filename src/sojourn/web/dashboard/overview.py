"""Overview: what each pipeline's last run published, how that differs from the run before, and the latest runs."""

import json
from dataclasses import dataclass
from typing import Any

from sojourn.loading import ready_pipelines
from sojourn.store.base import Store
from sojourn.web.dashboard.asked import query
from sojourn.web.dashboard.ledgers import Bar, bar
from sojourn.web.runs import rows

_LATEST = 15

_COUNTED = (
    ("user_activity", "Events by users", "activity"),
    ("presence", "Times online", "fleet"),
    ("sessions", "Sessions", "sessions"),
    ("hourly_activity", "Rows of hourly activity", "activity"),
)
"""What a pipeline is measured by: the first of these tables that it publishes, and the view that shows it."""


@dataclass(frozen=True)
class Headline:
    """A number of a pipeline's last run, and how much more it is than in the run before, if there was one."""

    label: str
    value: float
    change: float | None
    is_share: bool = False


@dataclass(frozen=True)
class Summary:
    """A pipeline, its last run that published, and the headline numbers; *view* shows more, if one does."""

    pipeline: str
    run: dict[str, Any]
    headlines: list[Headline]
    view: str | None


@dataclass(frozen=True)
class Run:
    """A run, its ledger as a bar, and why records were dropped or refused."""

    row: dict[str, Any]
    bar: Bar
    dropped: dict[str, int]
    quarantined: dict[str, int]


def content(store: Store) -> dict[str, Any]:
    """What the template shows."""
    published: dict[str, list[dict[str, Any]]] = {}
    for row in rows(store, query("runs_before")):
        published.setdefault(row["pipeline"], []).append(row)
    latest = rows(store, query("runs_latest").replace("{where}", "true").replace("{limit}", str(_LATEST)))
    return {
        "summaries": [_summary(name, *found[:2]) for name, found in published.items()],
        "runs": [_run(row) for row in latest],
        "missing": [name for name in ready_pipelines() if name not in published],
    }


def _summary(pipeline: str, last: dict[str, Any], before: dict[str, Any] | None = None) -> Summary:
    tables, earlier = (json.loads(run["tables"] or "{}") if run else {} for run in (last, before))
    found = [_headline("Records read", last, before, "read"), _refused(last, before)]
    table, label, view = next((each for each in _COUNTED if each[0] in tables), (None, "", None))
    if pipeline == "live":
        view = "live"
    if table is not None:
        found.insert(0, _headline(label, tables, earlier if table in earlier else None, table))
    return Summary(pipeline, last, found, view)


def _headline(label: str, now: dict[str, Any], before: dict[str, Any] | None, name: str) -> Headline:
    return Headline(label, now[name], None if before is None else now[name] - before[name])


def _refused(now: dict[str, Any], before: dict[str, Any] | None) -> Headline:
    shares = [run["quarantined"] / run["read"] if run["read"] else 0.0 for run in (now, before) if run is not None]
    return Headline("Quarantined", shares[0], shares[0] - shares[1] if len(shares) > 1 else None, is_share=True)


def _run(row: dict[str, Any]) -> Run:
    dropped, quarantined = (json.loads(row[f"{end}_by_reason"] or "{}") for end in ("dropped", "quarantined"))
    return Run(row, bar(row, quarantined), dropped, quarantined)
