"""Presence, fleets and repairs against the reference: few devices, servers and instants, so that many coincide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import run, samples
from sojourn.loading import load
from sojourn.pipeline import Fleet, Pipeline
from sojourn.reading import land
from sojourn.reading.inputs import resolve
from sojourn.reading.readers import in_this_process
from tests import reference
from tests.laws.adapt import Table, rounded, same_tables
from tests.laws.effort import some_examples
from tests.laws.homes import Home

READY = load("devices")
EXACT = ("fleet_daily", "fleet_rolling_28d")
TIMES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+00:00")
WORDS = {True: ("t", "True", "true", "1", "T"), False: ("f", "False", "false", "0", "FALSE")}
BROKEN = [b"", b"oops", b"2022-03-27 10:00:00,1,1,1", b"2022-03-27,1,1,1,t", b"2022-03-27 10:00:00,1,,1,t", b",,,,"]
BROKEN_SERVERS = [b"", b"1,2", b"x,,", b",2022-03-27 10:00:00,"]


@dataclass(frozen=True)
class Setting:
    """What a pipeline says of its fleets."""

    zone: str = "UTC"
    window: int = 28
    classes: tuple[int, ...] = (1, 3, 10, 100, 1000)

    def pipeline(self) -> Pipeline:
        """The ready pipeline in this setting, without the table that a library makes."""
        tables = {name: settings for name, settings in READY.tables.items() if name != "fleet_projection"}
        fleet = Fleet(classes=self.classes, window_days=self.window)
        return msgspec.structs.replace(READY, bucket_timezone=self.zone, fleet=fleet, tables=tables)


SETTINGS = (
    Setting(),
    Setting("Europe/Berlin", 1, (1, 2, 3)),  # on 27 March 2022 its clocks go forward
    Setting("America/New_York", 2, (1, 2, 4)),
    Setting("Asia/Kolkata", 3, (1, 3)),
    Setting("Australia/Lord_Howe", 4, (1,)),  # on 3 April its clocks go back by half an hour
    Setting("UTC", 5, (1, 2, 3, 4)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for homes, and no other process beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land, "in_processes", in_this_process)
        yield tmp_path_factory.mktemp("presence")


class Observatory(Home):
    """A home of devices, and the reference's beside it."""

    def __init__(self, folder, setting: Setting = SETTINGS[0]) -> None:
        super().__init__(folder, setting.pipeline())
        self.setting = setting
        self.known = reference.Devices()
        self.observed = 0

    def observe(self, events: list[bytes], servers: list[bytes], until: int | None = None) -> None:
        """One run over both lists; the ledger is the reference's."""
        contents = {"events": b"\n".join(events), "servers": b"\n".join(servers)}
        inputs = []
        self.observed += 1
        for name, content in contents.items():
            path = self.folder / f"{name}-{self.observed}.csv"  # not the one before, which would have grown
            path.write_bytes(content)
            inputs += resolve([str(path)], "csv", name)
        report = run.execute(self.pipeline, inputs, self.store, run.Options(until=until), lambda _: None).report()
        expected = self.known.run(contents["events"], contents["servers"], until).as_dict()
        if any(entry.get("skipped") for entry in report["files"]):  # it repeats its notes, too
            expected["notes"] = report["ledger"]["notes"]
        assert report["ledger"] == expected

    def check_presence(self, until: int | None = None) -> dict[str, Table]:
        """The tables are the reference's, those of fleets in order of days and classes; gives them."""
        ours = self.tables()
        theirs = reference.presence_tables(
            list(self.known.events.values()),
            self.known.servers,
            until=until,
            zone=self.setting.zone,
            window=self.setting.window,
            classes=self.setting.classes,
        )
        assert ours.keys() == theirs.keys()
        for name, rows in theirs.items():
            if name in EXACT:
                assert ours[name] == rows, name
            else:
                same_tables(ours[name], rows)
        return {name: rounded(rows) for name, rows in ours.items()}


class World:
    """What rows are made of: few of each; instants lie on midnights of the zone or on a coarse grid."""

    def __init__(self, rng: Random, zone: str = "UTC") -> None:
        self.devices, self.users, self.servers = rng.choice((1, 2, 4, 12)), rng.choice((1, 2, 4)), rng.choice((1, 2, 4))
        self.days, self.zone = rng.choice((1, 2, 4, 9)), ZoneInfo(zone)
        self.step = rng.choice((30, 6 * 60, 12 * 60))
        self.hands = rng.choice((0.0, 0.2, 1.0))  # how often a device is in other hands

    def moment(self, rng: Random) -> datetime:
        """Some instant, often just beside one of a few."""
        day = datetime(2022, 3, 26, tzinfo=self.zone if rng.random() < 0.6 else UTC)
        minutes = rng.choice((0, 0, self.step * rng.randrange(24 * 60 // self.step)))
        moment = (day + timedelta(days=rng.randrange(self.days), minutes=minutes)).astimezone(UTC)
        return moment + timedelta(microseconds=rng.choice((0, 0, 0, 0, 1, -1, 1_000_000)))

    def event(self, seed: int) -> bytes:
        """A row of connectivity."""
        rng = Random(seed)
        device = rng.randrange(self.devices)
        user = rng.randrange(self.users) if rng.random() < self.hands else device % self.users
        server = rng.randrange(self.servers) if rng.random() < 0.9 else 9
        word = rng.choice(WORDS[rng.random() < 0.6])
        return f"{stamp(self.moment(rng), rng)},{device},{user},{server},{word}".encode()

    def server(self, seed: int) -> bytes:
        """A row of the list of servers; some are destroyed long before all events."""
        rng = Random(seed)
        destroyed = max(self.moment(rng) for _ in range(rng.choice((1, 3))))
        times = [
            stamp(moment, rng) if rng.random() < 0.6 else ""
            for moment in (datetime(2022, 1, 1 + rng.randrange(2), tzinfo=UTC), destroyed)
        ]
        if rng.random() < 0.1:
            times.reverse()
        return ",".join([str(rng.randrange(self.servers)), *times]).encode()


def stamp(moment: datetime, rng: Random) -> str:
    """The instant as text, in some spelling."""
    text = moment.strftime(rng.choice(TIMES))
    return f"{text[:19]}.{moment.microsecond:06}{text[19:]}" if moment.microsecond else text


def epoch(moment: datetime) -> int:
    """Epoch microseconds."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@st.composite
def records(draw, zone: str = "UTC", most: int = 40) -> tuple[World, list[bytes], list[bytes]]:
    """A world, its events with some copies, and its servers; a few rows of both are broken."""
    world = World(Random(draw(st.integers(0, 1 << 32))), zone)
    seeds = st.integers(0, 1 << 32)
    events = [world.event(seed) for seed in draw(st.lists(seeds, min_size=most // 4, max_size=most))]
    events += [events[at % len(events)] for at in draw(st.lists(st.integers(0, most), max_size=3))]
    events += draw(st.lists(st.sampled_from(BROKEN), max_size=2))
    servers = [world.server(seed) for seed in draw(st.lists(seeds, max_size=8))]
    servers += draw(st.lists(st.sampled_from(BROKEN_SERVERS), max_size=1))
    rng = Random(draw(seeds))
    rng.shuffle(events)
    rng.shuffle(servers)
    return world, events, servers


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: f"{setting.zone}-{setting.window}")
@some_examples(5)
@given(data=st.data())
def test_tables_are_those_of_the_reference(folder, setting, data):
    """Intervals, fleets by day and by window, repairs and uptime; with and without an end of observation."""
    world, events, servers = data.draw(records(setting.zone))
    moments = st.integers(0, 1 << 32).map(lambda seed: epoch(world.moment(Random(seed))))
    until = data.draw(st.none() | moments)
    home = Observatory(folder / "tables", setting)
    home.observe(events, servers, until)
    home.check_presence(until)


@some_examples(3)
@given(st.data())
def test_the_order_of_rows_does_not_matter(folder, data):
    """Shuffled events and servers give equal tables, to the last bit."""
    setting = data.draw(st.sampled_from(SETTINGS))
    _, events, servers = data.draw(records(setting.zone))
    first = Observatory(folder / "first", setting)
    first.observe(events, servers)
    rng = Random(data.draw(st.integers(0, 1 << 32)))
    rng.shuffle(events)
    rng.shuffle(servers)
    second = Observatory(folder / "second", setting)
    second.observe(events, servers)
    assert second.check_presence() == first.check_presence()


@some_examples(3)
@given(st.data())
def test_any_cut_into_runs_gives_the_same_tables(folder, data):
    """Whichever run brings an event or tells of a server, and tells it again: every ledger is the reference's, and
    the tables in the end are those of one run."""
    setting = data.draw(st.sampled_from(SETTINGS))
    _, events, servers = data.draw(records(setting.zone))
    rng = Random(data.draw(st.integers(0, 1 << 32)))
    runs: list[tuple[list[bytes], list[bytes]]] = [([], []) for _ in range(data.draw(st.integers(2, 3)))]
    for at, rows in enumerate((events, servers)):
        for row in rows:
            rng.choice(runs)[at].append(row)
    if data.draw(st.booleans()):
        runs.append(runs[0])
    cut, whole = Observatory(folder / "cut", setting), Observatory(folder / "whole", setting)
    for some_events, some_servers in runs:
        cut.observe(some_events, some_servers)
    whole.observe(events, servers)
    assert cut.check_presence() == whole.check_presence()


@some_examples(3)
@given(st.data())
def test_a_later_end_of_observation(folder, data):
    """Each run says when observation ends, or does not; what it does not see, though an earlier run has kept it,
    is in no table."""
    world, events, servers = data.draw(records())
    home = Observatory(folder / "until", SETTINGS[5])
    for rows in (events[::2], events[1::2]):
        until = data.draw(st.none() | st.integers(0, 1 << 32).map(lambda seed: epoch(world.moment(Random(seed)))))
        home.observe(rows, servers, until)
        home.check_presence(until)


@some_examples(3)
@given(seed=st.integers(0, 1 << 32), days=st.sampled_from([27, 28, 29, 60, 100]))
def test_28_days_by_brute_force(folder, seed, days):
    """Over months: devices that come for an hour or for weeks, of users whose fleets grow and shrink."""
    rng = Random(seed)
    start = datetime(2022, 3, 26, tzinfo=UTC)
    rows = []
    for device in range(rng.choice((3, 12, 30))):
        user = rng.randrange(3)
        for _ in range(rng.randrange(4)):
            at = start + timedelta(days=rng.randrange(days), hours=rng.randrange(24))
            left = at + timedelta(hours=rng.choice((1, 24, 24 * 20)))
            rows += [f"{at:%F %T},{device},{user},1,t".encode(), f"{left:%F %T},{device},{user},1,f".encode()]
    until = epoch(start + timedelta(days=days, hours=rng.choice((0, 5))))
    home = Observatory(folder / "windows")
    home.observe(rows, [b"1,,"], until)
    home.check_presence(until)


def test_owners_of_every_size(folder):
    """Owners of 1 to 1000 devices, on both sides of every bound; the next day each lacks one device, the day after
    all have gone but the last window still counts them; one device is in two fleets."""
    home = Observatory(folder / "owners", Setting(window=2))
    rows = []
    for user in (1, 2, 3, 9, 10, 99, 100, 999, 1000):
        for at in range(user):
            end = "2022-03-27 01:00:00" if at else "2022-03-26 10:00:00"
            rows += [f"2022-03-26 08:00:00,{10_000 * user + at},{user},1,t".encode()]
            rows += [f"{end},{10_000 * user + at},{user},1,f".encode()]
    rows += [b"2022-03-26 12:00:00,10000,1000,1,t", b"2022-03-26 13:00:00,10000,1000,1,f"]
    until = epoch(datetime(2022, 3, 29, tzinfo=UTC))
    home.observe(rows, [b"1,,"], until)
    tables = home.check_presence(until)
    first = [[row["fleet_size"], row["devices"], row["users"]] for row in tables["fleet_daily"][:5]]
    assert sorted(first) == [["1-2", 3, 2], ["10-99", 109, 2], ["100-999", 1099, 2], ["1000+", 1001, 1], ["3-9", 12, 2]]


def test_a_sample_is_what_the_reference_says(folder):
    """A sample with its trouble, in two runs with the whole list of servers each."""
    samples.write("devices", path := folder / "sample.csv", lines=2000, seed=3)
    lines, servers = (source.read_bytes().split(b"\n") for source in samples.sources("devices", path).values())
    home = Observatory(folder / "sample")
    home.observe(lines[:1200], servers)
    home.observe(lines[1000:], servers)
    assert len(home.check_presence()["repairs"]) > 4
