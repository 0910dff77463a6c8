"""Forgetting actors, in both stores: nothing is left of them, everything else is as if they had never been."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import lines, shop
from tests.store.places import Place, Tables
from tests.store.remains import remains

NAME = "Quetzal-81x"
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in NAME)


def own(number: object, when: str, customer: object = NAME, kind: object = "search", **more: object) -> str:
    """An event of the actor's."""
    return shop(number, when, customer, kind, **more)  # type: ignore[arg-type]


def first() -> list[str]:
    """Events of the actor and of others; one id is claimed by both, in either order of time."""
    return [
        own(1, "10:00:00"),
        shop(1, "10:05:00", "bob"),
        own(2, "11:00:00"),
        shop(2, "10:30:00", "eve", page="/b"),
        shop(3, "10:10:00", "bob", "placed_order"),
        own(4, "10:01:00", referrer="https://elsewhere.example/"),
        own(5, "yesterday"),
        own(6, "yesterday").replace(NAME, ESCAPED),
        shop(7, "yesterday", "bob"),
        own(8, "10:00:00")[:-3],
        f'{{"id": 9, "event": {{"customer-id": "{NAME}',
        shop(10, "10:00:00", "bob")[:-3],
    ]


def second() -> list[str]:
    """More of them, and the file's last line has no end yet."""
    return [shop(1, "09:00:00", "eve"), own(11, "10:02:00"), shop(12, "10:40:00", "bob"), own(13, "10:03:00")]


def without(records: list[str]) -> list[str]:
    """The records of all others."""
    return [line for line in records if NAME not in line and ESCAPED not in line]


def write(path: Path, records: list[str]) -> Path:
    """The records as a file whose last line has no line break."""
    path.write_bytes(lines(*records)[:-1])
    return path


def forget(place: Place, *words: object) -> Any:
    """The report of forgetting."""
    done = place.call("forget", *words, "--json")
    assert done.status == 0, done.err
    return done.json


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[..., Tables]:
    """The tables of a pipeline in a home that was given these files from the beginning."""

    def made(pipeline: str, *files: Path) -> Tables:
        place = Place(tmp_path / "fresh")
        shutil.rmtree(place.home, ignore_errors=True)
        for file in files:
            place.run(pipeline, file)
        return place.tables(tmp_path / "fresh-tables", pipeline)

    return made


def test_nothing_is_left_and_all_else_is_as_without_them(
    place: Place, tmp_path: Path, fresh: Callable[..., Tables]
) -> None:
    """Events that lost against the actor's are events again; quarantine, earlier runs and messages are looked at."""
    one, two = write(tmp_path / "one.jsonl", first()), write(tmp_path / "two.jsonl", second())
    place.run("webshop", one)
    place.run("webshop", two)
    assert remains(place, NAME)
    report = forget(place, NAME)
    assert remains(place, NAME) == []
    found = report["pipelines"]["webshop"]
    assert (found["events"], len(found["event_files"]), found["quarantined"]) == (5, 3, 4)
    assert (len(found["kept_runs"]), found["raw_files"]) == (2, [str(one), str(two)])
    assert NAME not in json.dumps(report)
    others = [write(tmp_path / name, without(records)) for name, records in (("a", first()), ("b", second()))]
    assert place.tables(tmp_path / "tables") == fresh("webshop", *others)
    kept = [row["line"] for row in place.rows("select line from sojourn.quarantine order by line")]
    assert kept == [9, 12]
    assert place.statuses() == ["done", "done", "forgot"]
    assert place.garbage() == []
    verified = place.process("verify", "--cuts", "1")
    assert verified.status == 0, verified.out + verified.err


def test_later_runs_drop_and_count_them(place: Place, tmp_path: Path, fresh: Callable[..., Tables]) -> None:
    """A file that was read before (as it was, or grown, or under another name and order), and a new one."""
    one = write(tmp_path / "one.jsonl", first())
    place.run("webshop", one)
    forget(place, NAME)
    again = place.run("webshop", one)
    assert again["files"][0]["skipped"]
    assert again["ledger"]["dropped"] == {"forgotten": 7}
    assert again["ledger"]["duplicate"] == 3
    assert again["ledger"]["quarantined"] == {"invalid_json": 1, "bad_time": 1}
    other = place.run("webshop", write(tmp_path / "other.jsonl", first()[::-1]))["ledger"]
    assert {name: other[name] for name in ("read", "accepted", "duplicate", "dropped", "quarantined")} == {
        **{name: again["ledger"][name] for name in ("read", "accepted", "duplicate", "dropped", "quarantined")}
    }
    grown = place.run("webshop", write(one, [*first(), *second()]))["ledger"]
    assert (grown["read"], grown["accepted"], grown["dropped"]) == (5, 1, {"forgotten": 2})
    assert remains(place, NAME) == []
    others = write(tmp_path / "others.jsonl", without([*first(), *second()]))
    assert place.tables(tmp_path / "tables") == fresh("webshop", others)


def test_a_last_line_that_grows_is_still_withdrawn(embedded: Place, tmp_path: Path) -> None:
    """What was known of the file is known after forgetting: its tail is the file's that was rewritten."""
    path = tmp_path / "log.csv"
    pipeline = tmp_path / "gates.toml"
    pipeline.write_text(
        '[source.events]\nformat = "csv"\ndedupe = "off"\n[source.events.fields]\noccurred_at = "at"\nactor = "who"\n'
        'note = "note"\n[sessions]\nrule = "gap"\n'
    )
    head = f"at,who,note\n2024-01-01T10:00:00,{NAME},a\n2024-01-01T10:00:00,bob,a\n"
    path.write_text(f"{head}2024-01-01T10:01:00,bob,b")
    embedded.run(pipeline, path)
    assert forget(embedded, NAME)["found"]
    path.write_text(f"{head}2024-01-01T10:01:00,bob,bee\n2024-01-01T10:02:00,{NAME},b\n")
    grown = embedded.run(pipeline, path)["ledger"]
    assert (grown["accepted"], grown["dropped"]) == (1, {"forgotten": 1})
    rows = embedded.rows("select actor, events from gates.sessions order by actor")
    assert rows == [{"actor": "bob", "events": 2}]
    same = embedded.run(pipeline, path)["ledger"]
    assert (same["read"], same["duplicate"], same["dropped"]) == (4, 2, {"forgotten": 2})


def test_a_number_is_an_actor_by_its_digits(place: Place, tmp_path: Path, fresh: Callable[..., Tables]) -> None:
    """Text made of numbers keeps the source's digits; where actors are integers, 042 is 42."""

    def record(number: int, user: str, when: str = "02/03/2024 20:00:00") -> str:
        return (
            f'{{"event_id": {number}, "user": {{"id": {user}}}, "action": "view", "url": "/u", "timestamp": "{when}"}}'
        )

    users = ["56456", '"56456"', "564560", "056456", '"056456"', "-56456", "7"]
    good = [record(at, user) for at, user in enumerate(users) if user != "056456"]
    bad = [record(at + 20, user, "then") for at, user in enumerate(users)]
    place.run("activity", write(tmp_path / "a.jsonl", [*good, *bad]))
    report = forget(place, "56456")["pipelines"]["activity"]
    assert (report["events"], report["quarantined"]) == (2, 2)
    kept = [line for line in good if '"id": 56456}' not in line and '"id": "56456"}' not in line]
    assert place.tables(tmp_path / "tables", "activity") == fresh("activity", write(tmp_path / "b.jsonl", kept))
    assert len(place.rows("select 1 as n from sojourn.quarantine")) == 5


def test_owners_of_devices_are_actors(place: Place, tmp_path: Path) -> None:
    """Their events go, the servers stay; another number that is equal is nobody."""
    head = "timestamp,device_id,user_id,server_id,connected\n"
    rows = [
        "2024-01-01 10:00:00,1,42,7,true",
        "2024-01-01 11:00:00,1,42,7,false",
        "2024-01-01 10:00:00,42,7,7,true",
        "2024-01-01 12:00:00,42,7,42,false",
        "2024-01-01 10:42:42,7,7,7,maybe",
        "2024-01-01 10:42:42,7,042,7,maybe",
    ]
    path, servers = tmp_path / "events.csv", tmp_path / "servers.csv"
    path.write_text(head + "\n".join(rows) + "\n")
    servers.write_text("id,created_at,destroyed_at\n7,2024-01-01 00:00:00,\n42,2024-01-01 00:00:00,\nx,42,42\n")
    given = [f"events={path}", f"servers={servers}"]
    assert place.process("run", "devices", *given).status == 0
    report = forget(place, "042")["pipelines"]["devices"]
    assert (report["events"], report["quarantined"]) == (2, 1)
    users = place.rows("select distinct user_id from devices.presence")
    assert users == [{"user_id": 7}]
    reasons = place.rows("select source, reason from sojourn.quarantine order by source, line")
    assert [row["source"] for row in reasons] == ["events", "servers"]
    again = place.process("run", "devices", *given, "--json").json
    assert again["ledger"]["dropped"] == {"forgotten": 3}


def test_page_views_without_ids_and_experiments(embedded: Place, tmp_path: Path, fresh: Callable[..., Tables]) -> None:
    """Sessions by key, with events of several actors in one; records that are equal in everything else."""
    records = [
        {"sessionId": f"s{at % 5}", "timestamp": f"2024-01-01T10:{at:02}:00", "url": f"https://a.example/{at % 3}"}
        | {"userId": (NAME, "bob", "eve")[at % 3], "experiments": "no-ads,ads"[7 * (at % 2) :]}
        for at in range(30)
    ]
    text = [json.dumps(record) for record in [*records, *records[::4]]]
    embedded.run("pageviews", write(tmp_path / "one", text[:20]))
    embedded.run("pageviews", write(tmp_path / "two", text[15:]))
    forget(embedded, NAME)
    assert remains(embedded, NAME) == []
    expected = fresh("pageviews", write(tmp_path / "others", without(text)))
    assert embedded.tables(tmp_path / "tables", "pageviews") == expected


def test_a_dry_run_changes_nothing(place: Place, tmp_path: Path) -> None:
    """It says what it would do; no file of the home changes, nobody is noted."""
    place.run("webshop", write(tmp_path / "one.jsonl", first()))
    before = {path: path.read_bytes() for path in place.home.rglob("*") if path.is_file()}
    report = forget(place, NAME, "--dry-run")
    assert (report["status"], report["pipelines"]["webshop"]["events"]) == ("would forget", 3)
    assert {path: path.read_bytes() for path in place.home.rglob("*") if path.is_file()} == before
    assert place.statuses() == ["done"]


def test_nobody_there_is_noted_all_the_same(place: Place, tmp_path: Path) -> None:
    """Also before anything was read; what comes later is dropped."""
    done = place.call("forget", NAME)
    assert (done.status, done.out.startswith("nothing to forget")) == (0, True), done.err
    ledger = place.run("webshop", write(tmp_path / "one.jsonl", first()))["ledger"]
    assert ledger["dropped"] == {"forgotten": 7}
    assert remains(place, NAME) == []
    listed = place.home / "forgotten.json"
    assert listed.stat().st_mode & 0o777 == 0o600
    assert forget(place, NAME)["found"] is False


def test_one_pipeline_alone(embedded: Place, tmp_path: Path) -> None:
    """The same name elsewhere is somebody else, now and later."""
    mine = tmp_path / "mine.toml"
    shutil.copy(Path(__file__).parents[2] / "src/sojourn/pipelines/webshop.toml", mine)
    path = write(tmp_path / "one.jsonl", first())
    embedded.run("webshop", path)
    embedded.run(mine, path)
    before = embedded.tables(tmp_path / "tables", "mine")
    forget(embedded, NAME, "--pipeline", "webshop")
    assert embedded.rows(f"select 1 as n from webshop.sessions where actor = '{NAME}'") == []
    assert embedded.tables(tmp_path / "tables", "mine") == before
    later = write(tmp_path / "later.jsonl", [own(99, "12:00:00")])
    assert embedded.run("webshop", later)["ledger"]["dropped"] == {"forgotten": 1}
    assert embedded.run(mine, later)["ledger"]["accepted"] == 1
    misspelt = embedded.call("forget", NAME, "--pipeline", "webshpo")
    assert (misspelt.status, "did you mean 'webshop'" in misspelt.err) == (2, True)


def test_several_at_once_from_standard_input(embedded: Place, tmp_path: Path) -> None:
    """So that no name stands in a shell's history."""
    embedded.run("webshop", write(tmp_path / "one.jsonl", first()))
    done = embedded.call("forget", "-", stdin=f"{NAME}\neve\n".encode())
    assert done.status == 0, done.err
    assert embedded.rows("select distinct actor from webshop.sessions") == [{"actor": "bob"}]
    assert embedded.call("forget", "").status == 2


def test_what_a_failed_run_left(place: Place, tmp_path: Path) -> None:
    """Its quarantine, and a message that quotes a line, go too, though it published nothing."""
    bad = write(tmp_path / "bad.jsonl", first())
    assert place.call("run", "webshop", bad, "--max-quarantined", "0").status == 3
    rows = tmp_path / "rows.csv"
    rows.write_text(f"2024,{NAME},x\n")
    pipeline = tmp_path / "rows.toml"
    pipeline.write_text(
        '[source.events]\nformat = "csv"\ndedupe = "off"\n[source.events.fields]\n'
        'occurred_at = { path = "at", required = true }\nactor = "who"\n[sessions]\nrule = "gap"\n'
    )
    assert place.call("run", pipeline, rows).status == 2
    assert remains(place, NAME)
    report = forget(place, NAME)
    assert (report["pipelines"]["webshop"]["quarantined"], report["runs"]) == (4, 1)
    assert remains(place, NAME) == []
    assert place.call("sql", "select 1").status == 0


def test_going_back_brings_nobody_back(embedded: Place, tmp_path: Path) -> None:
    """Runs from before are not kept."""
    embedded.run("webshop", write(tmp_path / "one.jsonl", first()))
    embedded.run("webshop", write(tmp_path / "two.jsonl", second()))
    forget(embedded, NAME)
    assert [one.tables for one in embedded.open().kept_runs("webshop")] == [embedded.open().kept("webshop").tables]


def test_a_list_that_is_damaged_stops_runs(embedded: Place, tmp_path: Path) -> None:
    """Who was forgotten must not come back because a file was lost in part."""
    forget(embedded, NAME)
    (embedded.home / "forgotten.json").write_text("{")
    done = embedded.call("run", "webshop", write(tmp_path / "one.jsonl", first()))
    assert (done.status, "[forgotten]" in done.err) == (1, True)
