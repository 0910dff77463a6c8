"""Activity: events and users by the hour, and by the day or the week where there are many hours."""

from collections.abc import Set
from datetime import datetime, timedelta

import altair as alt

from sojourn.charts import looks
from sojourn.charts.looks import Ask, Rows, Spec

MOST = 8
"""Activities that have a colour; all others are one."""

_UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}

_SPAN = "select min(time_bucket) as first, max(time_bucket) as last from hourly_activity"

_AT = """cast(substr(time_bucket, 1, 4) || '-' || substr(time_bucket, 5, 2) || '-' || substr(time_bucket, 7, 2)
            || ' ' || substr(time_bucket, 9, 2) || ':00:00' as timestamp)"""

_EVENTS = """
with hourly as (
    select time_bucket, activity, sum(activity_count) as events
    from hourly_activity
    group by 1, 2
),
counted as (
    select cast(date_trunc('{unit}', {at}) as timestamp) as start, coalesce(activity, '(none)') as activity,
        sum(events) as events
    from hourly
    group by 1, 2
),
ranked as (
    select activity, row_number() over (order by sum(events) desc, activity) as place
    from counted
    group by activity
)
select start, case when place <= {most} then activity else '(other)' end as activity,
    least(place, {most} + 1) as place, cast(sum(events) as bigint) as events
from counted
join ranked using (activity)
group by 1, 2, 3
order by 1, 3
"""

_EXACT = """
select cast(date_trunc('{unit}', time_stamp) as timestamp) as start, count(distinct user_id) as users
from user_activity
group by 1
order by 1
"""

_SUMMED = """
with hourly as (
    select time_bucket, sum(user_count) as users
    from hourly_activity
    group by 1
)
select cast(date_trunc('{unit}', {at}) as timestamp) as start, cast(sum(users) as bigint) as users
from hourly
group by 1
order by 1
"""


def picture(title: str, ask: Ask, helpful: Set[str]) -> Spec:
    """Events by activity, and below them users: distinct ones where every event is published, else a sum."""
    first, last = ask(_SPAN)[0].values()
    if first is None:
        return looks.empty(title)
    unit = _unit(_parsed(last) - _parsed(first))
    is_exact = "user_activity" in helpful
    events = ask(_EVENTS.format(unit=unit, at=_AT, most=MOST))
    users = ask((_EXACT if is_exact else _SUMMED).format(unit=unit, at=_AT))
    return panels(title, unit, events, users, is_exact=is_exact)


def panels(title: str, unit: str, events: Rows, users: Rows, *, is_exact: bool) -> Spec:
    """Two panels over the same time, of rows of `start`, `activity`, `place`, `events` and of `start`, `users`."""
    starts = [row["start"] for row in (*events, *users)]
    width = _UNITS[unit]
    missing = max(timedelta(), 12 * width - (max(starts) + width - min(starts)))  # a single bar is no wall
    period = min(starts) - missing / 2, max(starts) + width + missing / 2
    names = {row["place"]: row["activity"] for row in events}
    upper = _bars("events", unit).encode(
        x=_time(period, unit, labels=False),
        color=_colours([names[place] for place in sorted(names)]),
        order=alt.Order("place:Q", sort="ascending"),
    )
    lower = _bars("users", unit).encode(x=_time(period, unit, labels=True))
    data = {"events": _timed(events, width), "users": _timed(users, width)}
    together = alt.vconcat(upper, lower, spacing=10)
    return looks.finished(together, title, _told(unit, is_exact=is_exact), data)


def _time(period: tuple[datetime, datetime], unit: str, *, labels: bool) -> alt.X:
    return looks.instants("start", *period, unit=unit, labels=labels)


def _timed(rows: Rows, width: timedelta) -> Rows:
    return [{**row, "start": _instant(row["start"]), "end": _instant(row["start"] + width)} for row in rows]


def _bars(what: str, unit: str) -> alt.Chart:
    """Bars of *what*, each as wide as the time that it counts; the axis takes the same room in every panel."""
    told = [alt.Tooltip("activity:N")] if what == "events" else []
    when = alt.Tooltip("utcyearmonthdatehours(start):T", title="from", format="%-d %b %Y, %H:%M")
    axis = looks.counts(f"{what} per {unit}", 4)
    axis.minExtent = axis.maxExtent = 60
    # without aria, which would tell where bars end by the clock of whoever draws them
    drawn: alt.Chart = looks.chart(what).mark_bar(color=looks.NAMED[0], orient="vertical", aria=False)
    drawn = drawn.encode(
        x2="end:T",
        y=alt.Y(f"{what}:Q", scale=alt.Scale(zero=True), axis=axis),
        tooltip=[when, *told, alt.Tooltip(f"{what}:Q", format=",")],
    )
    return drawn.properties(width=looks.WIDTH - 110, height=118)


def _colours(names: list[str]) -> alt.Color:
    colours = [*looks.NAMED[: len(names)], looks.OTHER][: len(names)]
    legend = alt.Legend(title=None, orient="top", columns=5, labelLimit=110)
    return alt.Color("activity:N", scale=alt.Scale(domain=names, range=colours), sort=names, legend=legend)


def _told(unit: str, *, is_exact: bool) -> list[str]:
    """What is counted, and what must not be read into it."""
    long = "" if unit == "hour" else f"; many hours, so each bar is a {unit}"
    if is_exact:
        return [f"Above: events, by activity{long}", f"Below: unique users of each {unit} (UTC), over all activities"]
    return [
        f"Above: events, by activity{long}",
        "Below: users of each hour, page group and activity, summed: who was at several is counted as often",
    ]


def _unit(span: timedelta) -> str:
    if span <= timedelta(days=14):
        return "hour"
    return "day" if span <= timedelta(days=500) else "week"


def _parsed(bucket: str) -> datetime:
    return datetime.strptime(bucket, "%Y%m%d%H")  # noqa: DTZ007 - on the pipeline's clock, whatever that is


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
