"""Fleets: how many devices, and users with so many devices, were online on a day or within some days.

Days are whole numbers since 1970-01-01 in the pipeline's time zone. A device's days are never spread out one by one:
spans are merged, and counted at their ends (docs/decisions).
"""

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Fleet, Pipeline
from sojourn.tables.activity import on_the_clock
from sojourn.tables.presence import microseconds
from sojourn.tables.spans import changes, merged

_DAY = 86_400_000_000
_OWNED = ("user_id", "device_id")


def days(intervals: ir.Table, pipeline: Pipeline) -> ir.Table:
    """The days on which each user's devices were online, as spans: `user_id, device_id, first, last`.

    Half-open: an interval that ends at midnight does not touch the day that begins; one of no length does.
    """
    return merged(_touched(intervals, pipeline), _OWNED, apart=1)


def moved_on(online: ir.Table, longer: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Spans as `days` gives them, *online*, when intervals of their users' devices have become *longer*."""
    return merged(online.select(*_OWNED, "first", "last").union(_touched(longer, pipeline)), _OWNED, apart=1)


def fleet_changes(online: ir.Table, ends: ir.Table, since: ir.Table, pipeline: Pipeline, window: int) -> ir.Table:
    """How many distinct devices and users more or less there are online within *window* days, by class.

    *online* are spans of days as `days` gives them. Grain: low (the class's least number of devices), at (the day);
    columns besides: devices, users. *since*: one row, `day`: changes are those of a history that begins on that day.
    """
    reaching = online.cross_join(_last_day(online, ends, pipeline)).cross_join(since)
    is_in = (reaching["last"] + (window - 1) >= reaching.day) & (reaching.day <= reaching.last_day)
    reaching = reaching.filter(is_in)
    reaching = reaching.select(
        *_OWNED,
        first=ibis.greatest(reaching["first"], reaching.day),
        last=ibis.least(reaching["last"] + (window - 1), reaching.last_day),
    )
    spans = merged(reaching, _OWNED, apart=1) if window > 1 else reaching
    owners = _classes(spans, pipeline.fleet)
    devices = changes(_once(_in_classes(spans, owners), spans), ["low"])
    counted = devices.select("low", "at", devices=devices.change, users=ibis.literal(0, "int64"))
    users = changes(owners, ["low"])
    return _added(counted.union(users.select("low", "at", devices=ibis.literal(0, "int64"), users=users.change)))


def changed_since(before: ir.Table, after: ir.Table, since: ir.Table) -> ir.Table:
    """`fleet_changes` as they were *before*, with those *after*, of a history that begins on the day *since*, in the
    place of what followed.
    """
    known = before.cross_join(since)
    earlier = known.filter(known.at < known.day)
    # on that day the later history begins with all that is online then, which the earlier one counts already
    standing = earlier.group_by(["low", "day"]).aggregate(devices=-earlier.devices.sum(), users=-earlier.users.sum())
    columns = ["low", "at", "devices", "users"]
    standing = standing.rename(at="day").select(columns)
    summed = _added(earlier.select(columns).union(standing).union(after.select(columns)))
    return summed.filter((summed.devices != 0) | (summed.users != 0))


def _added(counted: ir.Table) -> ir.Table:
    return counted.group_by(["low", "at"]).aggregate(
        devices=counted.devices.sum().cast("int64"), users=counted.users.sum().cast("int64")
    )


def fleets(counted: ir.Table, online: ir.Table, ends: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Distinct devices and users online by day and fleet size, from `fleet_changes`.

    Grain: day, fleet_size: every day from the first to the end of observation, every class that occurs anywhere. In
    the order of days and classes.
    """
    return _by_day(counted, _last_day(online, ends, pipeline), pipeline.fleet)


def device_uptime(
    online: ir.Table, observed: ir.Table, online_time: ir.Table, ends: ir.Table, pipeline: Pipeline
) -> ir.Table:
    """How much of its observed time each device was online, with the class of its fleet on the last day.

    Columns: device_id, fleet_size, observed_seconds, online_seconds, uptime. Grain: a device, and each class that
    it is in on the last day (null where it was not online that day).
    """
    last_day = _last_day(online, ends, pipeline)
    today = online.cross_join(last_day)
    today = today.filter(today["last"] >= today.last_day)
    sizes = today.group_by("user_id").aggregate(size=today.count())
    sized = today.inner_join(sizes, "user_id").select("device_id", "size")
    classes = sized.select("device_id", low=_low(sized.size, pipeline.fleet)).distinct()
    known = observed.left_join(online_time, "device_id").drop("device_id_right").cross_join(ends)
    placed = known.left_join(classes, "device_id")
    seconds = (placed.ends - placed.first_at).cast("float64") / 1_000_000
    lasting = placed.online.fill_null(0).cast("float64") / 1_000_000
    return placed.select(
        device_id=placed.device_id,
        fleet_size=_label(placed.low, pipeline.fleet),
        observed_seconds=seconds,
        online_seconds=lasting,
        uptime=lasting / seconds.nullif(0),
    )


def _last_day(online: ir.Table, ends: ir.Table, pipeline: Pipeline) -> ir.Table:
    """The day of the end of observation, or a later one that was reached before clocks went back: `last_day`."""
    known = ends.cross_join(online.aggregate(reached=online["last"].max()))
    return known.select(last_day=ibis.greatest(_day(known.ends, pipeline), known.reached))


def _classes(spans: ir.Table, fleet: Fleet) -> ir.Table:
    """How large each user's fleet is, as spans of days in one class: `user_id, low, first, last`."""
    steps = changes(spans, ["user_id"])
    by_user = ibis.window(group_by=steps.user_id, order_by=steps.at)
    sized = steps.mutate(
        size=steps.change.sum().over(ibis.cumulative_window(group_by=steps.user_id, order_by=steps.at))
    )
    classed = sized.mutate(low=_low(sized.size, fleet))
    by_user = ibis.window(group_by=classed.user_id, order_by=classed.at)
    moved = classed.mutate(before=classed.low.lag().over(by_user))
    moved = moved.filter(~moved.low.identical_to(moved.before))
    by_user = ibis.window(group_by=moved.user_id, order_by=moved.at)
    spread = moved.select("user_id", "low", first=moved.at, last=moved.at.lead().over(by_user) - 1)
    return spread.filter(spread.low.notnull())


def _in_classes(spans: ir.Table, owners: ir.Table) -> ir.Table:
    """The days of each device within each class of an owner's: `device_id, low, first, last`."""
    owned = owners.rename(owner="user_id", begins="first", closes="last")
    both = spans.inner_join(owned, spans.user_id == owned.owner)
    both = both.filter((both["first"] <= both.closes) & (both.begins <= both["last"]))
    return both.select(
        "device_id",
        "low",
        first=ibis.greatest(both["first"], both.begins),
        last=ibis.least(both["last"], both.closes),
    )


def _once(pieces: ir.Table, spans: ir.Table) -> ir.Table:
    """The days of each device within each class, counted once where several of its owners are in one class."""
    owners = spans.group_by("device_id").aggregate(first_owner=spans.user_id.min(), last_owner=spans.user_id.max())
    shared = owners.filter(owners.first_owner != owners.last_owner)  # few: devices that changed hands
    united = merged(pieces.semi_join(shared, "device_id"), ["device_id", "low"], apart=1)
    return pieces.anti_join(shared, "device_id").union(united)


def _by_day(counted: ir.Table, last_day: ir.Table, fleet: Fleet) -> ir.Table:
    """Changes by class and day summed up, and each sum spread over the days until the next one."""
    nothing = {"devices": ibis.literal(0, "int64"), "users": ibis.literal(0, "int64")}
    begin = counted.aggregate(at=counted.at.min())
    begin = begin.cross_join(counted.select("low").distinct()).select("low", "at", **nothing)
    every = counted.union(begin)
    changed = every.group_by(["low", "at"]).aggregate(devices=every.devices.sum(), users=every.users.sum())
    so_far = ibis.cumulative_window(group_by=changed.low, order_by=changed.at)
    summed = changed.select(
        low=changed.low,
        at=changed.at,
        until=changed.at.lead().over(ibis.window(group_by=changed.low, order_by=changed.at)),
        devices=changed.devices.sum().over(so_far).cast("int64"),
        users=changed.users.sum().over(so_far).cast("int64"),
    )
    known = summed.cross_join(last_day)
    days = ibis.range(known.at, ibis.least(known.until, known.last_day + 1))
    spread = known.select("low", "devices", "users", day=days.unnest())
    ordered = spread.order_by(["day", "low"])
    return ordered.select("day", fleet_size=_label(ordered.low, fleet), devices=ordered.devices, users=ordered.users)


def _touched(intervals: ir.Table, pipeline: Pipeline) -> ir.Table:
    """The first and the last day that each interval touches: `user_id, device_id, first, last`."""
    started, ended = microseconds(intervals.started_at), microseconds(intervals.ended_at)
    first, last = _day(started, pipeline), _day(ibis.greatest(started, ended - 1), pipeline)
    # where clocks go back over midnight, a later instant may stand in an earlier day
    return intervals.select(*_OWNED, first=ibis.least(first, last), last=ibis.greatest(first, last))


def _low(size: ir.Value, fleet: Fleet) -> ir.Value:
    """The least number of devices of the class that *size* is in; null below all."""
    return ibis.cases(*[(size >= low, low) for low in reversed(fleet.classes)])


def _label(low: ir.Value, fleet: Fleet) -> ir.Value:
    return ibis.cases(*[(low == bound, label) for bound, label in fleet.labels.items()])


def _day(instant: ir.Value, pipeline: Pipeline) -> ir.Value:
    """The calendar day of epoch microseconds on the clock of the pipeline's zone."""
    local = on_the_clock(instant, pipeline.bucket_timezone)
    return ((local - ((local % _DAY + _DAY) % _DAY)) / _DAY).cast("int64")
