"""In both stores: files that were read before are skipped, those that grew are read on, unfinished lines withdrawn."""

import gzip
from pathlib import Path

import pytest

from sojourn.reading import known, land
from sojourn.reading.readers import in_this_process
from tests.command import lines, shop
from tests.store.places import Place

BEGUN = lines(shop(1, "10:00:00"), "bad") + lines(shop(2, "10:05:00", "d")).rstrip(b"\n")
SESSIONS = "select actor, events from webshop.sessions order by actor"
QUARANTINE = "select line, raw from sojourn.quarantine order by line"


@pytest.fixture(autouse=True)
def in_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read several files without other processes; stamps are old enough at once."""
    monkeypatch.setattr(land, "in_processes", in_this_process)
    monkeypatch.setattr(known, "_YOUNG", 0)


def read(place: Place, *words: object) -> dict[str, object]:
    """The first file's entry in the report of a run."""
    done = place.call("run", "webshop", *words, "--json")
    assert done.status == 0, done.err
    entry: dict[str, object] = done.json["files"][0]
    return entry


def test_a_file_is_skipped_and_then_read_on(place: Place, tmp_path: Path) -> None:
    """The unfinished line's event, or its place in quarantine, is gone once the line has become another."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(BEGUN)
    read(place, path)
    published = place.open().published()
    assert read(place, path)["skipped"]
    assert place.open().published() == published
    assert place.rows(SESSIONS) == [{"actor": "c", "events": 1}, {"actor": "d", "events": 1}]
    path.write_bytes(BEGUN + b" oops")
    assert read(place, path)["notes"] == {"withdrawn": 1}
    assert place.rows(SESSIONS) == [{"actor": "c", "events": 1}]
    assert [row["line"] for row in place.rows(QUARANTINE)] == [2, 3]
    path.write_bytes(BEGUN + b" oops\n" + lines(shop(3, "10:06:00")))
    assert (read(place, path)["notes"], read(place, path)["read"]) == ({"withdrawn": 1}, 4)
    assert place.rows(SESSIONS) == [{"actor": "c", "events": 2}]
    assert [row["line"] for row in place.rows(QUARANTINE)] == [2, 3]


def test_another_file_keeps_what_a_withdrawn_line_would_have_told(place: Place, tmp_path: Path) -> None:
    """The same event stands in another file: it stays, whichever of them counted as accepted."""
    path, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    path.write_bytes(BEGUN)
    other.write_bytes(gzip.compress(lines(shop(2, "10:05:00", "d"), shop(2, "10:04:00", "e"))))
    read(place, path)
    read(place, other)
    assert place.rows(SESSIONS) == [{"actor": "c", "events": 1}, {"actor": "e", "events": 1}]
    path.write_bytes(BEGUN + b" oops\n")
    read(place, path)
    assert place.rows(SESSIONS) == [{"actor": "c", "events": 1}, {"actor": "e", "events": 1}]


def test_a_run_that_fails_leaves_the_unfinished_line(place: Place, tmp_path: Path) -> None:
    """Nothing is withdrawn, and nothing is known, before it is published."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(BEGUN)
    read(place, path)
    path.write_bytes(BEGUN + b" oops\n")
    assert place.call("run", "webshop", path, "--max-quarantined", "0").status == 3
    assert place.rows(SESSIONS) == [{"actor": "c", "events": 1}, {"actor": "d", "events": 1}]
    entry = read(place, path)
    assert (entry["read"], entry["notes"]) == (1, {"withdrawn": 1})
    assert place.rows(SESSIONS) == [{"actor": "c", "events": 1}]


def test_a_mended_rule_of_tables_is_applied_although_nothing_is_new(place: Place, tmp_path: Path) -> None:
    """A run over known files makes the tables anew where the pipeline's rules are others."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(shop(1, "10:00:00"), shop(2, "10:20:00")))
    own = tmp_path / "own.toml"
    for gap, sessions in (("30m", 1), ("10m", 2)):
        own.write_text(OWN.replace("GAP", gap))
        done = place.call("run", own, path, "--json")
        assert done.status == 0, done.err
        assert done.json["tables"]["sessions"] == sessions
        assert done.json["files"][0].get("skipped", False) == (gap == "10m")


OWN = """
[source.events.fields]
event_id    = "id"
occurred_at = "event.timestamp"
actor       = "event.customer-id"
[sessions]
rule = "gap"
gap = "GAP"
"""
