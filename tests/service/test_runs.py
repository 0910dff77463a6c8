"""Runs and quarantined records over HTTP."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.command import lines, shop, write
from tests.service.serving import serving
from tests.service.shops import BROKEN
from tests.store.places import Place


def pages(client: httpx.Client, path: str, of: str, **asked: Any) -> list[dict[str, Any]]:
    """All entries, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        page = client.get(path, params=asked).raise_for_status().json()
        found += page[of]
        if page["next"] is None:
            return found
        asked["cursor"] = page["next"]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_runs_come_newest_first(client: httpx.Client, published: Place, limit: int) -> None:
    """Pages of any size give every run once, with its ledger's sums."""
    found = pages(client, "/v1/runs", "runs", limit=limit)
    stored = [row["run_id"] for row in published.rows("select run_id from sojourn.runs order by started_at desc")]
    assert [run["run_id"] for run in found] == stored
    visits = found[-1]
    assert {name: visits[name] for name in ("pipeline", "status", "read", "accepted", "dropped", "quarantined")} == {
        "pipeline": "webshop", "status": "done", "read": 17, "accepted": 13, "dropped": 1, "quarantined": 3,
    }  # fmt: skip


def test_runs_are_filtered(client: httpx.Client) -> None:
    """By pipeline, by status, and by both."""
    assert {run["pipeline"] for run in pages(client, "/v1/runs", "runs", pipeline="webshop")} == {"webshop"}
    assert pages(client, "/v1/runs", "runs", status="failed") == []
    assert len(pages(client, "/v1/runs", "runs", status="done", pipeline="devices")) == 1


def test_a_run_is_told_whole(fresh: Place, tmp_path: Path) -> None:
    """The report is the one that the run printed, with each file's ledger; a failed run says why."""
    (tmp_path / "a.jsonl").write_bytes(lines(shop(1, "09:00:00"), shop(2, "never")))
    report = fresh.run("webshop", tmp_path / "a.jsonl")
    fresh.call("run", "webshop", tmp_path / "a.jsonl", "--max-quarantined", "0", "--mode", "replace")
    with serving(fresh.open()) as client:
        told = client.get(f"/v1/runs/{report['run_id']}").json()
        assert told.pop("started_at").endswith("Z")
        assert {**told, "seconds": 0} == {**report, "seconds": 0, "message": None}  # it goes on while it publishes
        failed = client.get("/v1/runs", params={"status": "too_many_quarantined"}).json()["runs"][0]
        told = client.get(f"/v1/runs/{failed['run_id']}").json()
        assert (told["status"], told["message"]) == ("too_many_quarantined", failed["message"])
        assert failed["message"]


def test_an_unknown_run_is_404(client: httpx.Client) -> None:
    """Whatever its name."""
    for name in ("x", "x%00", "'%20or%201=1", "%F0%9F%98%80"):
        answer = client.get(f"/v1/runs/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_run")


def test_before_the_first_run_there_is_nothing(fresh: Place) -> None:
    """Empty lists, and a run that is not there."""
    with serving(fresh.open()) as client:
        assert client.get("/v1/runs").json() == {"runs": [], "next": None}
        assert client.get("/v1/quarantine").json() == {"records": [], "next": None}
        assert client.get("/v1/runs/x").status_code == 404


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_quarantined_records_are_what_export_writes(client: httpx.Client, published: Place, limit: int) -> None:
    """Pages of any size give every record once, whole, with the fields and in the order of the export."""
    exported = [json.loads(line) for line in published.call("quarantine", "export").out.splitlines()]
    found = pages(client, "/v1/quarantine", "records", limit=limit)
    assert [{**row, "raw": row["raw"] or row["raw_base64"]} for row in found] == [
        {**row, "raw": row["raw"] or row["raw_base64"]} for row in sorted(exported, key=_place)
    ]


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["pipeline"].encode(), row["file"].encode(), row["line"], row["path"].encode()


def test_bytes_that_are_not_text_come_in_base64(client: httpx.Client) -> None:
    """The record is whole, byte by byte."""
    (record,) = pages(client, "/v1/quarantine", "records", pipeline="webshop", reason="invalid_utf8")
    assert record["raw"] is None
    assert base64.b64decode(record["raw_base64"]) == BROKEN
    assert record["line"] == 17


def test_quarantined_records_are_filtered(client: httpx.Client) -> None:
    """By pipeline, reason and run; an unknown reason has a suggestion."""
    run = client.get("/v1/runs", params={"pipeline": "webshop"}).json()["runs"][0]["run_id"]
    found = pages(client, "/v1/quarantine", "records", run=run)
    assert [row["reason"] for row in found] == ["bad_time", "invalid_json", "invalid_utf8"]
    assert pages(client, "/v1/quarantine", "records", run="none") == []
    answer = client.get("/v1/quarantine", params={"reason": "bad_tim"})
    assert (answer.status_code, answer.json()["path"]) == (400, "$.query.reason")
    assert "did you mean 'bad_time'?" in answer.json()["message"]


def test_large_records_make_short_pages(fresh: Place, tmp_path: Path) -> None:
    """A page ends before its text grows past some 16 MB, and a single record that is larger still comes whole."""
    source = write(tmp_path / "a.jsonl", *["x" * size for size in (9_000_000, 9_000_000, 16_500_000, 10)])
    fresh.run("webshop", source)
    with serving(fresh.open()) as client:
        asked: dict[str, Any] = {}
        sizes = []
        while True:
            page = client.get("/v1/quarantine", params=asked).json()
            sizes.append([len(row["raw"]) for row in page["records"]])
            if page["next"] is None:
                break
            asked["cursor"] = page["next"]
    assert sizes == [[9_000_000], [9_000_000], [16_500_000], [10]]
