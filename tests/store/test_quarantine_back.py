"""Going back across runs that changed the quarantine: it stands as it stood then, and forward again as it did."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.store.mends import BROKEN, GOOD, MENDS, content, pipeline, record
from tests.store.places import Place
from tests.store.remains import remains
from tests.store.test_replaying import run_of, written
from tests.store.test_rollback import dying

Rows = list[tuple[Any, ...]]


def standing(place: Place) -> Rows:
    """Every row of the quarantine with all of its columns."""
    return sorted(tuple(row.values()) for row in place.rows("select * from sojourn.quarantine"))


def lines(place: Place) -> list[int]:
    """The lines that stand there."""
    return sorted(row["line"] for row in place.rows("select line from sojourn.quarantine"))


def back(place: Place, run: str) -> None:
    """Go to a kept *run*, after which nothing lies there that nobody needs, and everything else is sound."""
    told = place.call("rollback", "shop", run)
    assert told.status == 0, told.err
    assert place.garbage() == []


def is_sound(place: Place) -> bool:
    """Whether everything that is kept verifies."""
    told = place.call("verify", "--cuts", "1", "--json")
    return told.status == 0 and bool(told.json["is_sound"])


def accounted(place: Place, own: Path, *files: Path) -> bool:
    """Whether runs over known *files* tell of as many quarantined records as stand there."""
    ledger = place.run(own, *files)["ledger"]
    return bool(sum(ledger["quarantined"].values()) == len(lines(place)))


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A file whose records break the contract in every way."""
    return written(tmp_path, content(*GOOD, *BROKEN.values()))


def test_what_a_replay_took_out_stands_again(place: Place, tmp_path: Path, events: Path) -> None:
    """Once, as it stood; forward again it is gone; and both ways as often as one likes."""
    own = pipeline(tmp_path)
    first = place.run(own, events)["run_id"]
    before = standing(place)
    mended = pipeline(tmp_path, **MENDS["bad_time"], **MENDS["unknown_value"])
    second = run_of(place, "--pipeline", mended)["run_id"]
    third = run_of(place, "--pipeline", pipeline(tmp_path, **MENDS["bad_time"], values=[], required="false"))["run_id"]
    last = standing(place)
    assert (len(before), len(last)) == (len(BROKEN), len(BROKEN) - 3)
    tables = place.tables(tmp_path / "tables", "shop")
    for _ in range(2):
        back(place, first)
        assert standing(place) == before
        back(place, second)
        assert len(standing(place)) == len(before) - 2
        back(place, first)
        assert standing(place) == before
        back(place, third)
        assert standing(place) == last
    assert place.tables(tmp_path / "tables", "shop") == tables
    assert is_sound(place)


def test_a_replay_after_going_back(place: Place, tmp_path: Path, events: Path) -> None:
    """What stands again can be replayed again; then there are two ways from the first run, and one can go over."""
    own = pipeline(tmp_path)
    first = place.run(own, events)["run_id"]
    second = run_of(place, "--pipeline", pipeline(tmp_path, **MENDS["bad_time"]))["run_id"]
    one = standing(place)
    back(place, first)
    pipeline(tmp_path)
    assert accounted(place, own, events)
    third = run_of(place, "--pipeline", pipeline(tmp_path, **MENDS["unknown_value"]))["run_id"]
    other = standing(place)
    assert len(one) == len(other) == len(BROKEN) - 1
    assert one != other
    back(place, second)
    assert standing(place) == one
    back(place, third)
    assert standing(place) == other
    assert accounted(place, own, events)


def test_another_reason_goes_back_to_the_first(place: Place, tmp_path: Path) -> None:
    """A record that is refused for another reason now has one place in the quarantine, before and after."""
    events = written(tmp_path, content(*GOOD, record(20, at="01.03.2024 10:12", what="odd")))
    first = place.run(pipeline(tmp_path), events)["run_id"]
    before = standing(place)
    second = run_of(place, "--pipeline", pipeline(tmp_path, **MENDS["bad_time"]))["run_id"]
    after = standing(place)
    assert [len(before), len(after), before == after] == [1, 1, False]
    back(place, first)
    assert standing(place) == before
    back(place, second)
    assert standing(place) == after


def test_what_a_later_run_refused_goes_with_it(place: Place, tmp_path: Path, events: Path) -> None:
    """Neither its events nor its quarantined records count, until it is gone forward to, or they are read again."""
    own = pipeline(tmp_path)
    first = place.run(own, events)["run_id"]
    before = standing(place)
    more = written(tmp_path, content(record(30), "oops", record(31, what=None)), "more.jsonl")
    second = place.run(own, more)["run_id"]
    both = standing(place)
    assert len(both) == len(before) + 2
    back(place, first)
    assert standing(place) == before
    back(place, second)
    assert standing(place) == both
    back(place, first)
    assert place.run(own, more)["ledger"]["quarantined"] == {"invalid_json": 1, "missing_field": 1}
    assert [row[:-1] for row in standing(place)] == [row[:-1] for row in both]


def test_what_was_accepted_then_does_not_stand_there_too(place: Place, tmp_path: Path) -> None:
    """A contract that accepts less refuses what the run before accepted: going back, that is an event and only that."""
    events = written(tmp_path, content(*GOOD, BROKEN["unknown_value"], BROKEN["bad_time"]))
    lax = pipeline(tmp_path, values=[])
    first = place.run(lax, events)["run_id"]
    assert lines(place) == [5]
    own = pipeline(tmp_path)
    second = place.run(own, events, "--mode", "replace")["run_id"]
    assert lines(place) == [4, 5]
    back(place, first)
    assert lines(place) == [5]
    back(place, second)
    assert lines(place) == [4, 5]


def test_a_last_line_that_goes_on(place: Place, tmp_path: Path) -> None:
    """The beginning of a record stood there until the rest came."""
    own = pipeline(tmp_path)
    whole = record(20)
    events = written(tmp_path, content(*GOOD) + whole[:-5].encode())
    first = place.run(own, events)["run_id"]
    before = standing(place)
    assert [row[-2] for row in before] == [whole[:-5].encode()]
    with events.open("ab") as file:
        file.write(f"{whole[-5:]}\noops\n".encode())
    second = place.run(own, events)["run_id"]
    after = standing(place)
    assert lines(place) == [5]
    back(place, first)
    assert standing(place) == before
    back(place, second)
    assert standing(place) == after
    back(place, first)
    place.run(own, events)
    assert [row[:-1] for row in standing(place)] == [row[:-1] for row in after]
    assert is_sound(place)


def test_what_failed_runs_refused_stays(place: Place, tmp_path: Path, events: Path) -> None:
    """They published nothing that could be gone back from."""
    own = pipeline(tmp_path)
    first = place.run(own, written(tmp_path, content(*GOOD), "good.jsonl"))["run_id"]
    assert place.call("run", own, events, "--max-quarantined", "0").status == 3
    refused = standing(place)
    second = run_of_next(place, own, tmp_path)
    back(place, first)
    assert standing(place) == refused
    back(place, second)
    assert len(standing(place)) == len(refused) + 1


def run_of_next(place: Place, own: Path, folder: Path) -> str:
    """The id of a run that refuses one record."""
    return str(place.run(own, written(folder, content(record(40), "oops"), "next.jsonl"))["run_id"])


def test_what_no_way_leads_across_goes(place: Place, tmp_path: Path, events: Path) -> None:
    """With the runs before it; with old runs that are let go of, at once."""
    first = place.run(pipeline(tmp_path), events)["run_id"]
    own = pipeline(tmp_path, **MENDS["bad_time"])
    second = run_of(place, "--pipeline", own)["run_id"]
    assert [path.name for path in changes(place)] == [f"{second}.quarantine.parquet"]
    third = run_of_next(place, own, tmp_path)
    assert len(changes(place)) == 2
    back(place, second)
    place.call("gc", "--keep", "1")  # the current one stays, too
    assert [path.name for path in changes(place)] == [f"{third}.quarantine.parquet"]
    assert place.call("rollback", "shop", first).status == 2
    back(place, third)
    assert len(standing(place)) == len(BROKEN)
    place.call("gc", "--keep", "1")
    assert changes(place) == []
    assert place.garbage() == []
    assert len(standing(place)) == len(BROKEN)


def changes(place: Place) -> list[Path]:
    """The files that tell what runs changed."""
    return sorted(place.home.rglob("warehouse/*/*.quarantine.parquet"))


def test_changes_that_are_damaged(place: Place, tmp_path: Path, events: Path) -> None:
    """They are told by their path; nothing is changed by halves."""
    first = place.run(pipeline(tmp_path), events)["run_id"]
    second = run_of(place, "--pipeline", pipeline(tmp_path, **MENDS["bad_time"]))["run_id"]
    before = standing(place)
    (path,) = changes(place)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    told = place.call("rollback", "shop", first)
    assert (told.status, told.err.count("\n"), str(path) in told.err) == (1, 1, True)
    assert place.open().kept("shop").run_id == second
    assert standing(place) == before
    found = place.call("verify", "--cuts", "0")
    assert found.status == 1
    assert str(path) in found.out


def test_a_current_manifest_that_is_damaged(place: Place, tmp_path: Path, events: Path) -> None:
    """Then what the run took out stands again all the same."""
    first = place.run(pipeline(tmp_path), events)["run_id"]
    before = standing(place)
    second = run_of(place, "--pipeline", pipeline(tmp_path, **MENDS["bad_time"]))["run_id"]
    next(place.home.rglob(f"{second}.json")).write_bytes(b"{")
    told = place.call("rollback", "shop", first)
    assert told.status == 0, told.err
    assert standing(place) == before


def test_killed_at_every_step(place: Place, tmp_path: Path, events: Path) -> None:
    """The run that is published and the quarantine belong together at any moment."""
    first = place.run(pipeline(tmp_path), events)["run_id"]
    whole = {first: standing(place)}
    second = run_of(place, "--pipeline", pipeline(tmp_path, **MENDS["bad_time"], **MENDS["unknown_value"]))["run_id"]
    whole[second] = standing(place)
    seen = []
    with dying(place, "rollback", "shop", first) as die:
        for step in count(1, 3 if place.url else 1):
            answer = die(step)
            current = str(place.open().kept("shop").run_id)
            assert standing(place) == whole[current]
            seen.append(current)
            if answer != "killed" or current == first:
                break
    assert seen[0] == second
    assert seen[-1] == first
    assert len(seen) > 3
    back(place, second)
    assert standing(place) == whole[second]


def test_a_replay_that_is_killed(place: Place, tmp_path: Path, events: Path) -> None:
    """Its changes lie there before it is published: they are no way to anywhere then, and go."""
    first = place.run(pipeline(tmp_path), events)["run_id"]
    before = standing(place)
    own = pipeline(tmp_path, **MENDS["bad_time"])
    with dying(place, "quarantine", "replay", "--pipeline", own) as die:
        for step in count(1, 5):
            answer = die(step)
            if place.open().kept("shop").run_id != first or answer != "killed":
                break
            assert standing(place) == before
    assert len(standing(place)) == len(before) - 1
    back(place, first)
    assert standing(place) == before


@pytest.mark.parametrize("is_back", [False, True])
def test_forgetting(place: Place, tmp_path: Path, is_back: bool) -> None:
    """Of somebody whose record a replay took out, or a run brought that was gone back from, nothing is left."""
    name = "Quetzal-81x"
    own = pipeline(tmp_path)
    events = written(tmp_path, content(*GOOD, record(20, who=name, at="01.03.2024 10:12"), BROKEN["bad_time"]))
    first = place.run(own, written(tmp_path, content(*GOOD), "good.jsonl"))["run_id"]
    place.run(own, events)
    run_of(place, "--pipeline", pipeline(tmp_path, **MENDS["bad_time"]))
    if is_back:
        back(place, first)
        assert lines(place) == []
        assert len(changes(place)) == 2
    assert remains(place, name)
    told = place.call("forget", name, "--json")
    assert told.status == 0, told.err
    assert remains(place, name) == []
    assert changes(place) == []
    assert is_sound(place)
    assert place.garbage() == []


def test_forgetting_who_is_named_in_changes_alone(place: Place, tmp_path: Path) -> None:
    """A record that only a run refused that was gone back from: no event, table or quarantine names them."""
    name = "Quetzal-81x"
    own = pipeline(tmp_path)
    first = place.run(own, written(tmp_path, content(*GOOD), "good.jsonl"))["run_id"]
    place.run(own, written(tmp_path, content(record(20, who=name)[:-2]), "half.jsonl"))
    back(place, first)
    assert standing(place) == []
    assert [path for path in remains(place, name) if "warehouse" in path] == list(map(str, changes(place)))
    assert len(changes(place)) == 1
    told = place.call("forget", name, "--json")
    assert told.status == 0, told.err
    assert told.json["found"] is True
    assert remains(place, name) == []
