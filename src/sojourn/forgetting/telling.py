"""What the command `forget` does: a person's words, and what was done as sentences."""

import sys
from collections.abc import Sequence
from typing import Any

from sojourn import show
from sojourn.errors import UsageError
from sojourn.forgetting.forget import forget as forget_actors
from sojourn.pipeline import parse_size
from sojourn.store.base import Store

_SHOWN = 20


def forget(
    store: Store, given: Sequence[str], pipeline: str | None, memory: str | None, *, is_dry: bool, as_json: bool
) -> None:
    """Forget the actors *given* (``-``: one on each line of standard input), and print what was rewritten."""
    actors = [actor for word in given for actor in (sys.stdin.read().splitlines() if word == "-" else [word])]
    if not actors or "" in actors:
        raise UsageError("no_actor", "name who is to be forgotten, such as: sojourn forget user-1 (nobody has no name)")
    try:
        size = parse_size(memory) if memory is not None else None
    except ValueError as error:
        raise UsageError("bad_memory", f"--memory: {error}") from error
    report = forget_actors(store, actors, pipeline, is_dry=is_dry, memory=size)
    print(show.dumps(report) if as_json else "\n".join(_told(report)))


def _told(report: dict[str, Any]) -> list[str]:
    is_dry = report["status"] == "would forget"
    noted = "" if is_dry else "; noted, so that later runs drop their records"
    if not report["found"]:
        return [f"nothing to forget: nothing that is kept names them{noted}"]
    lines = [f"{report['status']} {show.counted(report['actors'], 'actor')}{noted}"]
    for name, one in report["pipelines"].items():
        held = [show.counted(one["events"], "event"), show.counted(len(one["event_files"]), "event file")]
        held += [
            show.counted(len(one["kept_runs"]), "kept run"),
            show.counted(one["quarantined"], "quarantined record"),
        ]
        again = f"; published again as {one['run_id']}" if "run_id" in one else ""
        lines.append(f"{name}: {', '.join(held)}{again}")
    if report["live"]["sessions"]:
        live = report["live"]
        lines.append(f"live: {show.counted(live['sessions'], 'session')}, {show.counted(live['messages'], 'message')}")
    if report["runs"]:
        lines.append(f"sojourn.runs: {show.counted(report['runs'], 'message')}")
    raw = sorted({file for one in report["pipelines"].values() for file in one["raw_files"]})
    if raw:
        more = f" and {len(raw) - _SHOWN} more" if len(raw) > _SHOWN else ""
        lines.append(f"your own files that held them, which stay as they are: {', '.join(raw[:_SHOWN])}{more}")
    return lines if is_dry else [*lines, "proved: everything was looked through again, and nothing names them"]
