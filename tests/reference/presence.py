"""Presence of devices (section 7): intervals from pairs of events, and sets of owners and devices for every day.

An event is a dict of occurred_at (epoch microseconds), device_id, user_id, server_id and connected, and of what else
its pipeline reads, in declared order; copies have been made one. A server is a row (id, created_at, destroyed_at), its
instants in microseconds or None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import chain, pairwise
from typing import Any

from tests.reference.times import local_time

Event = dict[str, Any]
Row = dict[str, Any]
Server = tuple[int, int | None, int | None]
Online = dict[date, set[tuple[int, int]]]  # day -> (user, device) online on it

CLASSES = (1, 3, 10, 100, 1000)


def merged(servers: Iterable[Server]) -> dict[int, tuple[int | None, int | None]]:
    """By id: the earliest creation and the earliest destruction that any row tells (semantics 3.4)."""
    rows = list(servers)
    return {
        number: (_earliest(row[1] for row in rows if row[0] == number), _earliest(r[2] for r in rows if r[0] == number))
        for number, _, _ in rows
    }


def _earliest(instants: Iterable[int | None]) -> int | None:
    return min((instant for instant in instants if instant is not None), default=None)


def conflicting(servers: Iterable[Server], before: Iterable[Server] = ()) -> int:
    """How many rows of a run differ from an earlier row of their id, in an instant that both of them have."""
    earlier, found = list(before), 0
    for row in sorted(servers, key=lambda row: [(value is None, value or 0) for value in row[1:]]):
        same_id = [other for other in earlier if other[0] == row[0]]
        found += any(None not in (mine, its) and mine != its for o in same_id for mine, its in zip(row, o, strict=True))
        earlier.append(row)
    return found


def stream_order(event: Event) -> tuple[Any, ...]:
    """The place of an event among those of its device (semantics 7.1): offline before online; ties as in 2.2."""
    first = ("occurred_at", "connected", "server_id", "event_id")
    names = [*first, *(name for name in event if name not in first)]
    return tuple(_comparable(event[name]) for name in names if name in event)


def _comparable(value: Any) -> tuple[Any, ...]:
    """Nulls first, text by its UTF-8 bytes."""
    return (False,) if value is None else (True, value.encode() if isinstance(value, str) else value)


def intervals(events: list[Event], servers: Iterable[Server], until: int | None = None) -> list[Row]:
    """One interval per online event, all cut at the end of observation (semantics 7.1 to 7.3).

    Of events that an earlier run has kept those after *until* do not count.
    """
    known, end = merged(servers), observation_end(events, until)
    rows = []
    for stream in _streams(events, end).values():
        for current, following in pairwise([*stream, None]):
            assert current is not None
            if current["connected"]:
                destroyed = known.get(current["server_id"], (None, None))[1]
                rows.append(_interval(current, following, destroyed, end))
    return rows


def _streams(events: list[Event], end: int) -> dict[int, list[Event]]:
    """Each device's events up to the end of observation, in order."""
    found: dict[int, list[Event]] = {}
    for event in sorted(events, key=lambda event: (event["device_id"], stream_order(event))):
        if event["occurred_at"] <= end:
            found.setdefault(event["device_id"], []).append(event)
    return found


def observation_end(events: list[Event], until: int | None = None) -> int:
    """*until*, else the time of the latest event."""
    return until if until is not None else max((event["occurred_at"] for event in events), default=0)


def _interval(current: Event, following: Event | None, destroyed: int | None, end: int) -> Row:
    """Every way in which it may end, in order of precedence; the earliest is how it ends."""
    if following is None:
        rule, ends = "last", [(destroyed, "server_destroyed")]
    elif following["connected"] and following["server_id"] == current["server_id"]:
        rule, ends = "online_same", [(following["occurred_at"], "next_online")]
    elif following["connected"]:
        rule, ends = "online_other", [(following["occurred_at"], "next_online"), (destroyed, "server_destroyed")]
    elif following["server_id"] == current["server_id"]:
        rule, ends = "offline_same", [(following["occurred_at"], "offline_event")]
    else:
        rule, ends = "offline_other", [(destroyed, "server_destroyed")]
    possible = [(at, how) for at, how in [*ends, (end, "observation_end")] if at is not None]
    at, ended_by = min(possible, key=lambda one: one[0])  # of equals, min takes the first
    started_at = current["occurred_at"]
    ended_at = max(started_at, at)
    return {
        "device_id": current["device_id"],
        "user_id": current["user_id"],
        "server_id": current["server_id"],
        "started_at": started_at,
        "ended_at": ended_at,
        "duration_seconds": (ended_at - started_at) / 1_000_000,
        "rule": rule,
        "ended_by": ended_by,
        "repaired": not (rule == "offline_same" or (rule == "last" and ended_by == "observation_end")),
    }


def repairs(found: list[Row]) -> list[Row]:
    """How many intervals each rule made, by how they ended, and how long they are."""
    return [
        {
            "rule": rule,
            "ended_by": ended_by,
            "intervals": number,
            "share": number / len(found),
            "hours": sum(row["duration_seconds"] for row in found if (row["rule"], row["ended_by"]) == (rule, ended_by))
            / 3600,
        }
        for (rule, ended_by), number in sorted(Counter((row["rule"], row["ended_by"]) for row in found).items())
    ]


def days_touched(interval: Row, zone: str = "UTC") -> Iterator[date]:
    """Every day that the half-open interval touches; one of no length touches the day that it stands in."""
    until = max(interval["started_at"], interval["ended_at"] - 1)
    ends = [local_time(instant, zone).date() for instant in (interval["started_at"], until)]
    return days(min(ends), max(ends))  # clocks that go back over midnight turn them round


def days(first: date, last: date) -> Iterator[date]:
    """All days from *first* to *last*."""
    return (first + timedelta(number) for number in range((last - first).days + 1))


def online(rows: list[Row], zone: str = "UTC") -> Online:
    """Who is online with which device on which day (semantics 7.4)."""
    found: Online = {}
    for row in rows:
        for day in days_touched(row, zone):
            found.setdefault(day, set()).add((row["user_id"], row["device_id"]))
    return found


def classes_on(pairs: set[tuple[int, int]], classes: tuple[int, ...] = CLASSES) -> dict[int, int]:
    """User -> the class of the fleet that these pairs give the user, as its lower bound (semantics 7.5)."""
    sizes = Counter(user for user, _ in pairs)
    return {user: max(bound for bound in classes if bound <= size) for user, size in sizes.items()}


def fleet(found: Online, last: date, window: int = 1, classes: tuple[int, ...] = CLASSES) -> list[Row]:
    """Devices and users by day and class, over *window* days up to each day; 0 where there is none (semantics 7.6)."""
    if not found:
        return []
    windows = {
        day: set(chain.from_iterable(found.get(day - timedelta(back), set()) for back in range(window)))
        for day in days(min(found), last)
    }
    by_user = {day: classes_on(pairs, classes) for day, pairs in windows.items()}
    occurring = sorted(set(chain.from_iterable(users.values() for users in by_user.values())))
    return [
        {
            "day": day,
            "fleet_size": label(bound, classes),
            "devices": len({device for user, device in pairs if by_user[day][user] == bound}),
            "users": len({user for user, _ in pairs if by_user[day][user] == bound}),
        }
        for day, pairs in windows.items()
        for bound in occurring
    ]


def label(bound: int, classes: tuple[int, ...] = CLASSES) -> str:
    """A class as it is shown: `1-2`, a single size as `1`, and `1000+` for the last."""
    place = classes.index(bound)
    if place + 1 == len(classes):
        return f"{bound}+"
    most = classes[place + 1] - 1
    return f"{bound}-{most}" if most > bound else f"{bound}"


def device_uptime(
    events: list[Event],
    present: list[Row],
    end: int,
    zone: str = "UTC",
    classes: tuple[int, ...] = CLASSES,
) -> list[Row]:
    """Per device and class of the last day: how much of the time since its first event it was online."""
    today = online(present, zone).get(local_time(end, zone).date(), set())
    by_user = classes_on(today, classes)
    by_device: dict[int, list[Row]] = {}
    for row in present:
        by_device.setdefault(row["device_id"], []).append(row)
    rows = []
    for device, stream in _streams(events, end).items():
        observed = (end - stream[0]["occurred_at"]) / 1_000_000
        seconds = _covered(by_device.get(device, [])) / 1_000_000
        bounds = {by_user[user] for user, its in today if its == device}
        names: list[str | None] = [label(bound, classes) for bound in sorted(bounds)]
        rows += [
            {
                "device_id": device,
                "fleet_size": name,
                "observed_seconds": observed,
                "online_seconds": seconds,
                "uptime": seconds / observed if observed else None,
            }
            for name in names or [None]
        ]
    return rows


def _covered(rows: list[Row]) -> int:
    """The microseconds that at least one of the intervals covers."""
    edges = sorted({row[edge] for row in rows for edge in ("started_at", "ended_at")})
    return sum(
        late - early
        for early, late in pairwise(edges)
        if any(row["started_at"] <= early and late <= row["ended_at"] for row in rows)
    )


def presence_tables(
    events: list[Event],
    servers: Iterable[Server],
    *,
    until: int | None = None,
    zone: str = "UTC",
    window: int = 28,
    classes: tuple[int, ...] = CLASSES,
) -> dict[str, list[Row]]:
    """All published tables, but for the projection."""
    found, end = intervals(events, servers, until), observation_end(events, until)
    by_day, last = online(found, zone), local_time(end, zone).date()
    return {
        "presence": found,
        "fleet_daily": fleet(by_day, last, 1, classes),
        "fleet_rolling_28d": fleet(by_day, last, window, classes),
        "repairs": repairs(found),
        "device_uptime": device_uptime(events, found, end, zone, classes),
    }
