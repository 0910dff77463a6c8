"""Presence of devices."""

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.command import Home, lines

SERVERS = ("1,2022-01-01 00:00:00,", "2,2022-01-01 00:00:00,", "3,2022-01-01 00:00:00,2022-03-01 12:00:00")
CLASSES = {1: "1-2", 2: "1-2", 3: "3-9", 9: "3-9", 10: "10-99", 99: "10-99", 100: "100-999", 999: "100-999"}
CLASSES |= {1000: "1000+"}


def event(when: str, what: str, device: int = 1, user: int = 1) -> str:
    """A row of connectivity: *what* is `on` or `off` and the server, *when* a clock time of 1 March 2022 or more."""
    word, server = what.split()
    stamp = when if "-" in when else f"2022-03-01 {when}"
    return f"{stamp},{device},{user},{server},{word == 'on'}"


def observe(
    home: Home, events: Iterable[str], *options: object, servers: Iterable[str] = SERVERS, mode: str = "replace"
) -> dict[str, Any]:
    """Run the pipeline over these rows, and nothing else unless they are to be added; the ledger."""
    given = {"events": events, "servers": servers}
    sources = [f"{name}={home.path(f'{name}.csv', lines(*rows))}" for name, rows in given.items()]
    done = home.call("run", "devices", *sources, "--mode", mode, *options, "--json")
    assert done.status == 0, done.err
    ledger: dict[str, Any] = done.json["ledger"]
    return ledger


def intervals(home: Home, device: int = 1) -> list[str]:
    """A device's intervals, such as `online_same 08:00:00-09:00:00 next_online`; repaired ones end with a star."""
    return [
        f"{row['rule']} {row['started_at'][11:19]}-{row['ended_at'][11:19]} {row['ended_by']}{'*' * row['repaired']}"
        for row in home.rows(
            f"from devices.presence where device_id = {device} order by started_at, ended_at, server_id, user_id"
        )
    ]


def fleet(home: Home, table: str = "fleet_daily") -> list[list[Any]]:
    """The rows of a table of fleets: day of March, class, devices, users."""
    return [
        [int(str(row["day"])[8:10]), row["fleet_size"], row["devices"], row["users"]]
        for row in home.rows(f"from devices.{table}")
    ]


def test_7_1_online_same(home: Home) -> None:
    """Online, then online on the same server: until the next event, whatever becomes of the server."""
    observe(home, [event("08:00:00", "on 3"), event("14:00:00", "on 3"), event("15:00:00", "off 3")])
    assert intervals(home)[0] == "online_same 08:00:00-14:00:00 next_online*"


def test_7_1_online_other(home: Home) -> None:
    """Online, then online elsewhere: until the server's destruction or the next event, whichever is earlier."""
    observe(
        home,
        [
            *(event("08:00:00", "on 1", 1), event("14:00:00", "on 2", 1)),
            *(event("08:00:00", "on 3", 2), event("14:00:00", "on 2", 2)),
            *(event("08:00:00", "on 3", 3), event("11:00:00", "on 2", 3)),
        ],
    )
    assert intervals(home, 1)[0] == "online_other 08:00:00-14:00:00 next_online*"
    assert intervals(home, 2)[0] == "online_other 08:00:00-12:00:00 server_destroyed*"
    assert intervals(home, 3)[0] == "online_other 08:00:00-11:00:00 next_online*"


def test_7_1_offline_same(home: Home) -> None:
    """Online, then offline on the same server: until the next event, whatever becomes of the server; no repair."""
    observe(home, [event("08:00:00", "on 3"), event("14:00:00", "off 3")])
    assert intervals(home) == ["offline_same 08:00:00-14:00:00 offline_event"]


def test_7_1_offline_other(home: Home) -> None:
    """Online, then offline elsewhere: until the server's destruction; the offline event is ignored, and so is an
    offline event of the right server after it, for only neighbours make a pair."""
    observe(
        home,
        [
            *(event("08:00:00", "on 3", 1), event("09:00:00", "off 1", 1), event("10:00:00", "off 3", 1)),
            *(event("08:00:00", "on 1", 2), event("09:00:00", "off 2", 2), event("10:00:00", "on 2", 2)),
            *(event("11:00:00", "off 2", 2), event("15:00:00", "off 2", 2)),
        ],
    )
    assert intervals(home, 1) == ["offline_other 08:00:00-12:00:00 server_destroyed*"]
    assert intervals(home, 2) == [
        "offline_other 08:00:00-15:00:00 observation_end*",
        "offline_same 10:00:00-11:00:00 offline_event",
    ]


@pytest.mark.parametrize("following", ["on 1", "on 2", "off 1", "off 2"])
def test_7_1_offline_rows(home: Home, following: str) -> None:
    """Offline, then anything: nothing. Only an online event that follows opens an interval, of its own."""
    observe(home, [event("08:00:00", "off 1"), event("09:00:00", following), event("10:00:00", "off 1", 2)])
    opened = ["last 09:00:00-10:00:00 observation_end"] if following.startswith("on") else []
    assert intervals(home) == opened


def test_7_1_last(home: Home) -> None:
    """Online, then nothing more: until the server's destruction or the end of observation, whichever is earlier."""
    observe(home, [event("08:00:00", "on 1", 1), event("08:00:00", "on 3", 2), event("13:00:00", "off 1", 3)])
    assert intervals(home, 1) == ["last 08:00:00-13:00:00 observation_end"]
    assert intervals(home, 2) == ["last 08:00:00-12:00:00 server_destroyed*"]
    assert intervals(home, 3) == []


def test_7_1_within_one_instant_a_hand_over_ends_before_it_begins(home: Home) -> None:
    """Offline before online, then by server: the rows in any order give the same intervals."""
    rows = [event("08:00:00", "on 1"), event("09:00:00", "off 1"), event("09:00:00", "on 2"), event("09:00:00", "on 1")]
    for number, order in enumerate(permutations(rows)):
        if number % 5 == 0:
            observe(home, [*order, event("10:00:00", "off 2")])
            assert intervals(home) == [
                "offline_same 08:00:00-09:00:00 offline_event",
                "online_other 09:00:00-09:00:00 next_online*",
                "offline_same 09:00:00-10:00:00 offline_event",
            ]


def test_7_2_observation_ends_with_the_latest_event(home: Home) -> None:
    """Of any device: every interval is cut there, also one on a server that is destroyed later."""
    later = "3,,2022-03-05 00:00:00"
    rows = [event("08:00:00", "on 3", 1), event("08:00:00", "on 3", 2), event("09:00:00", "off 1", 2)]
    observe(home, [*rows, event("10:00:00", "off 1", 3)], servers=[later])
    assert intervals(home, 1) == ["last 08:00:00-10:00:00 observation_end"]
    assert intervals(home, 2) == ["offline_other 08:00:00-10:00:00 observation_end*"]


def test_7_2_until_is_the_end_of_observation(home: Home) -> None:
    """Events after it are dropped and counted, one in that instant stays; it may be later than all events."""
    rows = [event("08:00:00", "on 1"), event("10:00:00", "off 1"), event("10:00:00.000001", "on 2")]
    ledger = observe(home, rows, "--until", "2022-03-01T10:00:00", servers=[])
    assert (ledger["accepted"], ledger["dropped"], ledger["notes"]) == (2, {"after_until": 1}, {"unknown_server": 2})
    assert intervals(home) == ["offline_same 08:00:00-10:00:00 offline_event"]
    observe(home, rows, "--until", "2022-03-01T09:00:00Z")
    assert intervals(home) == ["last 08:00:00-09:00:00 observation_end"]
    assert observe(home, rows, "--until", "2022-03-03 05:00:00+05:00")["dropped"] == {}
    assert intervals(home)[-1] == "last 10:00:00-00:00:00 observation_end"
    assert fleet(home) == [[1, "1-2", 1, 1], [2, "1-2", 1, 1], [3, "1-2", 0, 0]]


def test_7_2_what_an_earlier_run_has_kept_does_not_count_after_until(home: Home) -> None:
    """It is in no table, and counts again without --until."""
    rows = [event("08:00:00", "on 1", 1), event("12:00:00", "off 1", 1), event("12:00:00", "on 1", 2)]
    observe(home, rows)
    assert observe(home, [], "--until", "2022-03-01T10:00:00", mode="add")["dropped"] == {}
    assert intervals(home) == ["last 08:00:00-10:00:00 observation_end"]
    assert home.values("select device_id from devices.device_uptime order by 1") == [1]
    observe(home, [], mode="add")
    assert intervals(home) == ["offline_same 08:00:00-12:00:00 offline_event"]
    assert home.values("select device_id from devices.device_uptime order by 1") == [1, 2]


def test_7_2_a_server_that_the_list_lacks_is_never_destroyed(home: Home) -> None:
    """Its events are counted, duplicates apart; so is one that still stands, its creation unknown."""
    rows = [event("08:00:00", "on 8", 1), event("09:00:00", "off 9", 1), event("08:00:00", "on 7", 2)]
    ledger = observe(home, [*rows, rows[0], event("10:00:00", "off 7", 3)], servers=["7,,"])
    assert ledger["notes"] == {"unknown_server": 2}
    assert intervals(home, 1) == ["offline_other 08:00:00-10:00:00 observation_end*"]
    assert intervals(home, 2) == ["last 08:00:00-10:00:00 observation_end"]


def test_7_2_an_interval_never_ends_before_it_starts(home: Home) -> None:
    """A server destroyed before the event leaves an interval of no length, whatever follows."""
    observe(
        home,
        [
            *(event("13:00:00", "on 3", 1), event("14:00:00", "on 1", 1), event("15:00:00", "off 1", 1)),
            *(event("13:00:00", "on 3", 2), event("14:00:00", "off 1", 2)),
            *(event("13:00:00", "on 3", 3), event("12:00:00", "on 3", 4)),
        ],
    )
    assert intervals(home, 1)[0] == "online_other 13:00:00-13:00:00 server_destroyed*"
    assert intervals(home, 2) == ["offline_other 13:00:00-13:00:00 server_destroyed*"]
    assert intervals(home, 3) == ["last 13:00:00-13:00:00 server_destroyed*"]
    assert intervals(home, 4) == ["last 12:00:00-12:00:00 server_destroyed*"]
    assert fleet(home) == [[1, "3-9", 4, 1]]


def test_7_3_how_an_interval_ended_when_two_ends_fall_together(home: Home) -> None:
    """A destruction in the instant of the next event: `next_online`; at the end of observation: `server_destroyed`."""
    rows = [event("08:00:00", "on 3", 1), event("12:00:00", "on 1", 1), event("08:00:00", "on 3", 2)]
    observe(home, [*rows, event("08:00:00", "on 3", 3), event("09:00:00", "off 1", 3)])
    assert intervals(home, 1)[0] == "online_other 08:00:00-12:00:00 next_online*"
    assert intervals(home, 2) == ["last 08:00:00-12:00:00 server_destroyed*"]
    assert intervals(home, 3) == ["offline_other 08:00:00-12:00:00 server_destroyed*"]


def test_7_3_time_is_summed_over_the_union_of_a_devices_intervals(home: Home) -> None:
    """Ignored offline events leave intervals that overlap: eight of ten hours are online, counted once."""
    rows = [
        *(event("06:00:00", "off 1"), event("08:00:00", "on 1"), event("09:00:00", "off 2")),
        *(event("10:00:00", "on 2"), event("12:00:00", "off 2"), event("16:00:00", "off 2")),
    ]
    observe(home, rows)
    assert [row["duration_seconds"] for row in home.rows("from devices.presence order by 1, 4")] == [28_800, 7200]
    assert home.rows("from devices.device_uptime") == [
        {"device_id": 1, "fleet_size": "1-2", "observed_seconds": 36_000, "online_seconds": 28_800, "uptime": 0.8}
    ]
    assert fleet(home) == [[1, "1-2", 1, 1]]
    assert home.rows("from devices.repairs order by rule") == [
        {"rule": "offline_other", "ended_by": "observation_end", "intervals": 1, "share": 0.5, "hours": 8},
        {"rule": "offline_same", "ended_by": "offline_event", "intervals": 1, "share": 0.5, "hours": 2},
    ]


def test_7_3_an_interval_belongs_to_the_user_of_its_opening_event(home: Home) -> None:
    """Whoever closes it, and whoever opens the next."""
    observe(home, [event("08:00:00", "on 1", user=5), event("09:00:00", "on 1", user=4), event("10:00:00", "off 1")])
    assert home.values("select user_id from devices.presence order by started_at") == [5, 4]


def test_7_4_a_device_is_online_on_every_day_that_an_interval_touches(home: Home) -> None:
    """One microsecond is enough, and so is none; an interval that ends at midnight leaves the new day out."""
    day, midnight = "2022-03-01 23:59:59.999999", "2022-03-02 00:00:00"
    observe(
        home,
        [
            *(event("12:00:00", "on 1", 1), event(midnight, "off 1", 1)),
            *(event(day, "on 1", 2), event(midnight, "off 1", 2)),
            *(event(midnight, "on 1", 3), event(f"{midnight}.000001", "off 1", 3)),
            *(event(day, "on 1", 4), event(f"{midnight}.000001", "off 1", 4)),
            *(event(midnight, "on 1", 5), event(midnight, "on 2", 5), event(midnight, "off 3", 6)),
            *(event("12:00:00", "on 1", 7), event("2022-03-04 12:00:00", "off 1", 7)),
        ],
        "--until",
        "2022-03-05 00:00:00",
    )
    assert fleet(home)[:4] == [[1, "1-2", 0, 0], [1, "3-9", 4, 1], [2, "1-2", 0, 0], [2, "3-9", 4, 1]]
    assert [row for row in fleet(home)[4:] if row[1] == "1-2"] == [[3, "1-2", 2, 1], [4, "1-2", 2, 1], [5, "1-2", 0, 0]]


def test_7_5_classes_of_fleets(home: Home) -> None:
    """One user on each side of every bound: the sizes are exact, and the largest fleets are not left out."""
    rows = [event("08:00:00", "on 1", 10_000 * user + at, user) for user in CLASSES for at in range(user)]
    observe(home, rows)
    expected: dict[str, list[int]] = {name: [] for name in CLASSES.values()}
    for size, name in CLASSES.items():
        expected[name].append(size)
    assert fleet(home) == [[1, name, sum(sizes), len(sizes)] for name, sizes in expected.items()]


def test_7_5_a_device_with_two_owners_on_a_day_counts_under_each(home: Home) -> None:
    """In two classes it counts twice, in one class once; on the next day its last owner alone has it."""
    rows = [event("08:00:00", "on 1", device) for device in (1, 2, 3)]
    rows += [event("09:00:00", "off 1", 3), event("10:00:00", "on 1", 3, 2)]
    rows += [event("08:00:00", "on 1", 4, 3), event("09:00:00", "off 1", 4, 3), event("10:00:00", "on 1", 4, 4)]
    observe(home, rows, "--until", "2022-03-02T12:00:00")
    assert fleet(home) == [[1, "1-2", 2, 3], [1, "3-9", 3, 1], [2, "1-2", 4, 3], [2, "3-9", 0, 0]]
    assert home.rows("select fleet_size, count(*) as n from devices.device_uptime group by 1 order by 1") == [
        {"fleet_size": "1-2", "n": 4}
    ]


def test_7_6_the_last_28_days_count_together(home: Home) -> None:
    """A device counts on its last day online and on the 27 after it, not on the 28th; size is that of all 28 days."""
    first = [event("08:00:00", "on 1", device) for device in (1, 2)]
    last = [event("2022-03-02 00:00:00", "off 1", device) for device in (1, 2)]
    other = [event("2022-03-20 08:00:00", "on 1", 3), event("2022-03-20 09:00:00", "off 1", 3)]
    observe(home, [*first, *last, *other], "--until", "2022-03-31T12:00:00")
    small = {day: [2, 1] for day in range(1, 20)} | {day: [0, 0] for day in range(20, 29)}
    small |= {day: [1, 1] for day in (29, 30, 31)}
    large = {day: [3, 1] if 20 <= day <= 28 else [0, 0] for day in range(1, 32)}
    table = [[day, name, *counts[day]] for day in range(1, 32) for name, counts in (("1-2", small), ("3-9", large))]
    assert fleet(home, "fleet_rolling_28d") == table


def test_7_6_every_day_stands_for_every_class_that_occurs_anywhere(home: Home) -> None:
    """From the first day with presence, not with events, to the end of observation, with 0 where there is none; a
    class that occurs in the rolling table alone is not in the daily one."""
    rows = [event("2022-03-01 08:00:00", "off 1", 9)]
    rows += [event(f"2022-03-0{day} 0{at}:00:00", ("on 1", "off 1")[at], day) for day in (2, 3, 4) for at in (0, 1)]
    observe(home, rows, "--until", "2022-03-06T00:00:00")
    assert fleet(home) == [[day, "1-2", int(day < 5), int(day < 5)] for day in range(2, 7)]
    rolling = {2: [1, 0], 3: [2, 0]} | {day: [0, 3] for day in (4, 5, 6)}
    assert fleet(home, "fleet_rolling_28d") == [
        [day, name, devices, int(devices > 0)]
        for day, counts in rolling.items()
        for name, devices in zip(("1-2", "3-9"), counts, strict=True)
    ]


def test_7_6_a_window_crosses_months_and_years(home: Home) -> None:
    """Days are days of the calendar, also around the end of a year and of February."""
    start = date(2021, 12, 20)
    rows = [event("2021-12-20 08:00:00", "on 1"), event("2021-12-20 09:00:00", "off 1")]
    observe(home, rows, "--until", "2022-03-02T00:00:00")
    online = [
        str(row["day"])[:10] for row in home.rows("from devices.fleet_rolling_28d where devices = 1 order by day")
    ]
    assert online == [str(start + timedelta(days)) for days in range(28)]
    assert home.values("select count(*) from devices.fleet_rolling_28d") == [73]


def test_7_7_counts_are_exact(home: Home) -> None:
    """Neither devices nor users are estimated: 4,999 users with two devices each, and one with 10,007."""
    rows = [event("08:00:00", "on 1", 2 * user + at, user) for user in range(4999) for at in (0, 1)]
    rows += [event("08:00:00", "on 1", 100_000 + device, 5000) for device in range(10_007)]
    observe(home, rows)
    for table in ("fleet_daily", "fleet_rolling_28d"):
        assert fleet(home, table) == [[1, "1-2", 9998, 4999], [1, "1000+", 10_007, 1]]
