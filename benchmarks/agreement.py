"""Do we and the peers give the same numbers? Speed means nothing where they do not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sojourn.store.opening import open_store

WEBSHOP = """
select count(*) as sessions, sum(events)::bigint as events, sum(orders)::bigint as orders,
       sum(duration_seconds) as duration_seconds
from webshop.sessions
"""

ACTIVITY = """
select (select count(*) from activity.user_activity) as events, count(*) as hourly_rows,
       sum(activity_count)::bigint as activity_count, sum(user_count)::bigint as user_count
from activity.hourly_activity
"""


DEVICES = """
select count(*) as intervals, (select sum(devices)::bigint from devices.fleet_daily) as daily,
       (select sum(devices)::bigint from devices.fleet_rolling_28d) as rolling,
       sum(duration_seconds) as duration_seconds
from devices.presence
"""


def headline_of_webshop(home: Path) -> dict[str, float]:
    """The numbers that the webshop peers print, from our published tables."""
    return _one_row(home, WEBSHOP)


def headline_of_activity(home: Path) -> dict[str, float]:
    """The numbers that the activity peer prints, from our published tables."""
    return _one_row(home, ACTIVITY)


def headline_of_devices(home: Path) -> dict[str, float]:
    """The numbers that the peer of devices prints, from our published tables."""
    return _one_row(home, DEVICES)


def verdict(ours: Mapping[str, float], peers: Sequence[Mapping[str, float]], report: Mapping[str, Any]) -> str:
    """A sentence on whether the answers agree: exactly, or as far as broken lines explain.

    A peer that takes a broken line for an event has one event more, and by it at most one row or order more
    or fewer; the time of that event may stretch, split or join sessions, so seconds are only told.
    """
    broken = sum(report["ledger"]["quarantined"].values())
    names = [name for name in ours if name != "duration_seconds"]
    worst = max(abs(peer[name] - ours[name]) for peer in peers for name in names)
    seconds = [peer.get("duration_seconds", 0.0) - ours.get("duration_seconds", 0.0) for peer in peers]
    told = ", ".join(f"{name} {value:,.0f}" for name, value in ours.items())
    share = max(map(abs, seconds)) / max(1.0, ours.get("duration_seconds", 1.0))
    if worst == 0 and share < 1e-9:
        return f"The answers agree exactly: {told}."
    if worst <= broken:
        apart = f"at most {worst:,.0f}" + (f", its seconds by {share:.3%}" if share else "")
        return (
            f"The answers agree up to broken lines that the peers take for events: we say {told}; "
            f"a peer's count differs by {apart} (we quarantined {broken:,} records)."
        )
    excess = f"**The answers differ by up to {worst:,.0f}**, more than {broken:,} broken lines explain"
    return f"{excess}: we say {told}; the peers say {peers}."


def agrees(ours: Mapping[str, float], peer: Mapping[str, float]) -> bool:
    """Whether a peer gives the same numbers: counts exactly, sums of seconds but for the last digits."""
    return ours.keys() == peer.keys() and all(
        abs(peer[name] - value) <= 1e-9 * abs(value) for name, value in ours.items()
    )


def _one_row(home: Path, sql: str) -> dict[str, float]:
    with open_store(str(home), None).query(sql) as reader:
        [values] = reader.read_all().to_pylist()
    return {name: float(value) for name, value in values.items()}
