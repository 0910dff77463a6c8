"""Sample data: the same bytes for the same seed, the pipelines' shapes, and the trouble that it tells of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from sojourn import samples
from sojourn.samples.trouble import plan
from tests import reference
from tests.reference.streams import Streams

if TYPE_CHECKING:
    from pathlib import Path

REASONS = {
    "too_large",
    "invalid_utf8",
    "invalid_json",
    "not_an_object",
    "missing_field",
    "bad_type",
    "bad_time",
}
REASONS_OF_ROWS = {"invalid_utf8", "bad_row", "missing_field", "bad_type", "bad_time"}
SHAPES = {
    "webshop": reference.WEBSHOP,
    "activity": reference.ACTIVITY,
    "pageviews": reference.PAGEVIEWS,
}
every_pipeline = pytest.mark.parametrize("pipeline", samples.PIPELINES)


def judged(pipeline: str, text: bytes, servers: bytes = b"") -> reference.Ledger:
    """What the slow reference says of a sample."""
    if pipeline == "devices":
        return reference.Devices().run(text, servers)
    if pipeline == "live":
        return Streams().run(text)
    return reference.process([[("sample", text)]], SHAPES[pipeline]).runs[0]


def made(folder: Path, pipeline: str, **how: Any) -> bytes:
    """The bytes of a sample."""
    path = folder / "sample.jsonl"
    samples.write(pipeline, path, **how)
    return path.read_bytes()


def clean(folder: Path, pipeline: str, lines: int = 4000) -> list[dict[str, Any]]:
    """The records of a clean sample."""
    text = made(folder, pipeline, lines=lines, seed=5, dirty=False)
    return [json.loads(line) for line in text.splitlines()]


@every_pipeline
def test_same_seed_gives_same_bytes(pipeline, tmp_path):
    """The same seed gives the same bytes, another seed gives others."""
    first = made(tmp_path, pipeline, lines=700, seed=1)
    assert made(tmp_path, pipeline, lines=700, seed=1) == first
    assert made(tmp_path, pipeline, lines=700, seed=2) != first


@every_pipeline
@pytest.mark.parametrize("lines", [0, 1, 19, 20, 300, 1001])
@pytest.mark.parametrize("dirty", [True, False])
def test_as_many_lines_as_asked_for(pipeline, lines, dirty, tmp_path):
    """Every line ends with a newline, blank and broken ones too."""
    text = made(tmp_path, pipeline, lines=lines, seed=3, dirty=dirty)
    assert text.count(b"\n") == lines
    assert not text or text.endswith(b"\n")


@every_pipeline
@pytest.mark.parametrize("lines", [300, 2000])
def test_trouble_is_what_write_tells(pipeline, lines, tmp_path):
    """A small sample shows every reason and duplicates; the slow reference judges it as `write` says."""
    path = tmp_path / "sample.jsonl"
    told = samples.write(pipeline, path, lines=lines, seed=4)
    ledger = judged(pipeline, path.read_bytes())
    of_lines = REASONS | {"unknown_value"} if pipeline == "live" else REASONS
    assert set(ledger.quarantined) == (REASONS_OF_ROWS if pipeline == "devices" else of_lines)
    del ledger.notes["unknown_server"]
    assert ledger.duplicate > 0
    assert ledger.blank > 0
    if pipeline == "live":
        assert ledger.read + ledger.blank > lines  # a line is a message of several records
    else:
        assert ledger.read + ledger.blank == lines
    assert Counter(told) == (
        ledger.quarantined + ledger.notes + Counter(duplicate=ledger.duplicate, blank=ledger.blank)
    )


@every_pipeline
def test_clean_sample_has_no_trouble(pipeline, tmp_path):
    """No record of a clean sample is quarantined or a duplicate."""
    text = made(tmp_path, pipeline, lines=3000, seed=6, dirty=False)
    ledger = judged(pipeline, text)
    if pipeline == "live":
        assert ledger.accepted == ledger.read > 3000
    else:
        assert ledger.accepted + ledger.dropped["anonymous"] == 3000
    assert not ledger.quarantined


def test_shares_of_trouble_in_a_large_sample():
    """One line in ten thousand is broken, three in a thousand are copies."""
    shape = samples.SHAPES["webshop"]
    kinds = Counter(kind for _, kind, _ in plan(Random(1), shape, 5_000_000))
    assert sum(kinds[reason] for reason in REASONS) == 500
    assert kinds["duplicate"] + kinds["conflicting"] == 15_000
    assert kinds["conflicting"] == 1_500


def test_heaps_on_disk_hold_every_record(tmp_path, monkeypatch):
    """A sample that is shuffled by way of many heaps has the records of one that fits into memory."""
    whole = made(tmp_path, "webshop", lines=1000, seed=8)
    monkeypatch.setattr(samples, "BLOCK", 64)
    dealt = made(tmp_path, "webshop", lines=1000, seed=8)
    assert dealt != whole
    assert sorted(dealt.split(b"\n")) == sorted(whole.split(b"\n"))


def test_webshop_mix(tmp_path):
    """Six in ten events are anonymous, in three spellings; no order; some type names are upper-case."""
    records = clean(tmp_path, "webshop", 20_000)
    customers = [record["event"].get("customer-id", "absent") for record in records]
    anonymous = [customer for customer in customers if customer in (None, "", "absent")]
    assert 0.58 < len(anonymous) / len(records) < 0.62
    assert set(anonymous) == {None, "", "absent"}
    assert {"placed_order", "page_view", "PAGE_VIEW", "search"} <= {record["type"] for record in records}
    times = [record["event"]["timestamp"] for record in records]
    assert 0.4 < sum(one < two for one, two in pairwise(times)) / len(times) < 0.6
    referrers = {record["event"].get("referrer", "").split("?")[0] for record in records}
    assert {"", "https://www.seekwell.example/", "https://m.wavebook.example/"} <= referrers


def test_webshop_customers_come_in_sessions(tmp_path):
    """Pauses are clearly shorter or clearly longer than half an hour; a session has four events or so."""
    events: dict[int, list[datetime]] = {}
    for record in clean(tmp_path, "webshop", 20_000):
        if customer := record["event"].get("customer-id"):
            events.setdefault(customer, []).append(datetime.fromisoformat(record["event"]["timestamp"]))
    pauses = [two - one for times in events.values() for one, two in pairwise(sorted(times))]
    assert not [pause for pause in pauses if timedelta(minutes=29) < pause < timedelta(minutes=59)]
    sessions = len(events) + sum(pause > timedelta(minutes=30) for pause in pauses)
    assert 3.5 < sum(map(len, events.values())) / sessions < 4.5


def test_activity_mix(tmp_path):
    """Ids are distinct digits; a quarter of the addresses has a tail; some lack a scheme, some a user."""
    records = clean(tmp_path, "activity")
    ids = {record["event_id"] for record in records}
    assert len(ids) == len(records)
    assert all(identity.isdigit() for identity in ids)
    assert 0.2 < sum("?" in record["url"] or "#" in record["url"] for record in records) / len(records) < 0.3
    assert any("://" not in record["url"] for record in records)
    assert 0 < sum("id" not in record["user"] for record in records) < 100
    assert {type(record["user"].get("id", 0)) for record in records} == {int}


def test_pageviews_mix(tmp_path):
    """In order of time, in every spelling; one label per user; a burst of one-view sessions ends it."""
    records = clean(tmp_path, "pageviews")
    times = [datetime.fromisoformat(record["timestamp"]).replace(tzinfo=None) for record in records]
    zones = [timedelta(hours=2 * record["timestamp"].endswith("+02:00")) for record in records]
    instants = [time - zone for time, zone in zip(times, zones, strict=True)]
    assert instants == sorted(set(instants))
    assert {record["timestamp"][10] for record in records} == {"T", " "}
    assert any(record["timestamp"].endswith("Z") for record in records)
    assert {record["url"][0] == "/" for record in records} == {True, False}
    labels = {(record["userId"], record["experiments"]) for record in records}
    assert len(labels) == len({user for user, _ in labels})
    assert Counter(label for _, label in labels).keys() == {"calm-home", "bold-home"}
    views = Counter(record["sessionId"] for record in records)
    assert all(views[record["sessionId"]] == 1 for record in records[-600:])
    assert instants[-1] - instants[-600] < timedelta(seconds=1)


@pytest.fixture(scope="module")
def connectivity(tmp_path_factory) -> tuple[bytes, bytes]:
    """Clean events of devices, and their servers."""
    path = tmp_path_factory.mktemp("devices") / "events.csv"
    samples.write("devices", path, lines=20_000, seed=5, dirty=False)
    return path.read_bytes(), samples.sources("devices", path)["servers"].read_bytes()


def test_devices_mix(connectivity):
    """Rows without a header line, out of order; every rule of repair makes intervals; three classes of fleets or more;
    some servers stand in no list, some devices change hands."""
    home = reference.Devices()
    ledger = home.run(*connectivity)
    events = list(home.events.values())
    assert ledger.accepted == 20_000 + len(home.servers)
    assert 0 < ledger.notes["unknown_server"] < 1000
    assert 0.4 < sum(one["occurred_at"] < two["occurred_at"] for one, two in pairwise(events)) / len(events) < 0.6
    streams: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        streams.setdefault(event["device_id"], []).append(event)
    assert 15 < len(events) / len(streams) < 35
    assert any(len({event["user_id"] for event in stream}) == 2 for stream in streams.values())
    end = reference.observation_end(events)
    intervals = [row for stream in streams.values() for row in reference.intervals(stream, home.servers, end)]
    rules = Counter(row["rule"] for row in intervals)
    assert rules.keys() == {"online_same", "online_other", "offline_same", "offline_other", "last"}
    assert rules["offline_same"] > 0.9 * len(intervals)
    online = reference.online(intervals)
    assert 700 < len(online) <= 730
    classes = {bound for pairs in online.values() for bound in reference.classes_on(pairs).values()}
    assert classes >= {1, 3, 10}


def test_devices_of_weekdays_and_days(connectivity):
    """Less happens on Sundays, and by night."""
    stamps = [
        datetime.fromisoformat(line.split(",")[0]) for line in connectivity[0].decode().split()[::7] if "T" in line
    ]
    days, hours = Counter(stamp.weekday() for stamp in stamps), Counter(stamp.hour for stamp in stamps)
    assert days[6] < days[2]
    assert hours[3] < hours[20]


def test_servers_are_the_same_for_every_seed(connectivity, tmp_path):
    """Another sample goes with the list of the first."""
    samples.write("devices", path := tmp_path / "other.csv", lines=10, seed=77)
    assert (tmp_path / "other-servers.csv").read_bytes() == connectivity[1]
    assert samples.sources("devices", path) == {"events": path, "servers": tmp_path / "other-servers.csv"}
    assert samples.sources("webshop", path) == {"events": path}


def test_command_line_writes_what_the_function_writes(tmp_path):
    """To standard output by default, to a file with -o."""
    command = [
        sys.executable,
        "-m",
        "sojourn.samples",
        "activity",
        "--lines",
        "150",
        "--seed",
        "9",
        "--clean",
    ]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    assert printed == made(tmp_path, "activity", lines=150, seed=9, dirty=False)
    subprocess.run([*command, "-o", str(tmp_path / "out.jsonl")], check=True)
    assert (tmp_path / "out.jsonl").read_bytes() == printed


def test_command_line_says_what_it_cannot_write(tmp_path):
    """One sentence, no traceback."""
    command = [sys.executable, "-m", "sojourn.samples", "webshop", "--lines", "5", "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Cannot write")
    assert done.stderr.count("\n") == 1
