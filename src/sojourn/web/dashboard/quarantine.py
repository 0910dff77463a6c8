"""Quarantine: how many records broke their contract, why, and what they look like."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode

from sojourn import quarantine
from sojourn.engines.duckdb import quote
from sojourn.ledger import REASONS
from sojourn.store.base import Store
from sojourn.web.dashboard.asked import query
from sojourn.web.dashboard.marking import marked
from sojourn.web.errors import refused
from sojourn.web.runs import rows

_PAGE = 20
_MOST = 1 << 20  # bytes of a record whose text is shown
_COLUMNS = {"pipeline": "pipeline", "reason": "reason", "run": "run_id"}


def content(store: Store, params: Mapping[str, str]) -> dict[str, Any]:
    """What the template shows: counts of all that was chosen, and a page of it."""
    words = chosen(params)
    page = _page(params)
    counts = _ask(store, "quarantine_counts", where=_where(words, without="reason"))
    places = {"where": _where(words), "limit": _PAGE + 1, "skipped": _PAGE * page, "most": _MOST}
    samples = _ask(store, "quarantine_samples", **places)
    following = f"?{urlencode({**words, 'page': page + 1})}" if len(samples) > _PAGE else None
    return {
        "words": words,
        "reasons": _summed(counts),
        "total": sum(row["records"] for row in counts),
        "shown": sum(row["records"] for row in counts if words.get("reason") in (None, row["reason"])),
        "pipelines": sorted({row["pipeline"] for row in _ask(store, "quarantine_counts", where="true")}),
        "samples": [{**row, "text": marked(row)} for row in samples[:_PAGE]],
        "first": _PAGE * page + 1,
        "address": f"?{urlencode(words)}" if words else "",
        "next": following,
        "without": {name: f"?{urlencode({key: text for key, text in words.items() if key != name})}" for name in words},
    }


def chosen(params: Mapping[str, str]) -> dict[str, str]:
    """What was chosen; refused where there is no such reason."""
    words = {name: params[name] for name in _COLUMNS if params.get(name)}
    if words.get("reason", "bad_time") not in REASONS or any("\0" in text for text in words.values()):
        raise refused("bad_filter", f"there is no such reason; there are {', '.join(REASONS)}", "$.query.reason")
    return words


def exported(store: Store, params: Mapping[str, str]) -> BinaryIO:
    """All that was chosen, as `sojourn quarantine export` writes it; an open file that has no name any more."""
    words = chosen(params)
    with tempfile.TemporaryDirectory(prefix="sojourn-") as folder:
        target = Path(folder) / "quarantine.jsonl"
        quarantine.export(store, str(target), pipeline=words.get("pipeline"), reason=words.get("reason"))
        return target.open("rb")


def _where(words: Mapping[str, str], without: str | None = None) -> str:
    conditions = [f"{_COLUMNS[name]} = {quote(text)}" for name, text in words.items() if name != without]
    return " and ".join(conditions) or "true"


def _ask(store: Store, name: str, **places: object) -> list[dict[str, Any]]:
    sql = query(name)
    for place, value in places.items():
        sql = sql.replace(f"{{{place}}}", str(value))
    return rows(store, sql)


def _summed(counts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records by reason, the most frequent first, with the pipelines that have them."""
    found: dict[str, dict[str, Any]] = {}
    for row in counts:
        each = found.setdefault(row["reason"], {"reason": row["reason"], "records": 0, "pipelines": []})
        each["records"] += row["records"]
        each["pipelines"].append(row["pipeline"])
    return sorted(found.values(), key=lambda each: (-each["records"], each["reason"]))


def _page(params: Mapping[str, str]) -> int:
    text = params.get("page", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise refused("bad_filter", "a page is a number from 0 on", "$.query.page")
    return int(text)
