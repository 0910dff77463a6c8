"""Sessions: how many over time, how long they last, and the pages that they begin on."""

from collections.abc import Set
from datetime import datetime, timedelta

import altair as alt

from sojourn.charts import histograms, looks
from sojourn.charts.looks import Ask, Rows, Spec
from sojourn.show import counted

MOST = 8
"""Landing pages that have a bar."""

_UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}

_SPAN = "select cast(min(started_at) as timestamp) as first, cast(max(started_at) as timestamp) as last from sessions"

_COUNTS = """
select cast(date_trunc('{unit}', started_at) as timestamp) as start, converted, count(*) as sessions
from sessions
where started_at is not null
group by 1, 2
order by 1, 2
"""

_LASTING = "with wanted as (select duration_seconds / 60 as minutes from sessions)"

_PAGES = """
select coalesce(landing_page, '(none)') as page, count(*) as sessions,
    count(case when bounced then 1 end) as bounced, count(case when converted then 1 end) as converted
from sessions
group by 1
order by 2 desc, 1
limit {most}
"""


def over_time(title: str, ask: Ask, _: Set[str]) -> Spec:
    """Bars of sessions by when they began, those with a goal apart."""
    first, last = ask(_SPAN)[0].values()
    if first is None:
        return looks.empty(title)
    span = last - first
    unit = "hour" if span <= timedelta(days=3) else "day" if span <= timedelta(days=180) else "week"
    return timeline(title, unit, ask(_COUNTS.format(unit=unit)))


def timeline(title: str, unit: str, rows: Rows) -> Spec:
    """The bars of `start`, `converted` and `sessions`, each as wide as its time."""
    width = _UNITS[unit]
    names = {False: "without an order", True: "with an order"}
    values = [
        {"start": _instant(row["start"]), "end": _instant(row["start"] + width), "sessions": row["sessions"]}
        | {"kind": names[bool(row["converted"])], "place": int(not row["converted"])}
        for row in rows
    ]
    starts = [row["start"] for row in rows]
    missing = max(timedelta(), 12 * width - (max(starts) + width - min(starts)))  # a single bar is no wall
    period = min(starts) - missing / 2, max(starts) + width + missing / 2
    drawn = looks.chart("sessions").mark_bar(color=looks.NAMED[0], orient="vertical", aria=False)
    drawn = drawn.encode(
        x=looks.instants("start", *period, unit=unit),
        x2="end:T",
        y=alt.Y("sessions:Q", scale=alt.Scale(zero=True), axis=looks.counts(f"sessions per {unit}")),
        tooltip=[alt.Tooltip("utcyearmonthdatehours(start):T", title="from"), "kind:N", "sessions:Q"],
    )
    if any(row["converted"] for row in rows):
        scale = alt.Scale(domain=[names[True], names[False]], range=[looks.NAMED[2], looks.NAMED[0]])
        colour = alt.Color("kind:N", scale=scale, legend=alt.Legend(title=None, orient="top"))
        drawn = drawn.encode(color=colour, order=alt.Order("place:Q", sort="ascending"))
    total = counted(sum(row["sessions"] for row in rows), "session")
    return looks.finished(
        looks.layered(drawn), title, [f"{total} by when they began (UTC), per {unit}"], {"sessions": values}
    )


def lengths(title: str, ask: Ask, _: Set[str]) -> Spec:
    """The distribution of durations."""
    return histograms.minutes(title, ask, _LASTING, "minutes from the first to the last event", "session")


def landing(title: str, ask: Ask, _: Set[str]) -> Spec:
    """A bar for each of the most frequent first pages, with what became of their sessions."""
    rows = ask(_PAGES.format(most=MOST))
    if not rows:
        return looks.empty(title)
    has_goal = any(row["converted"] for row in rows)
    values = [
        {"name": row["page"], "sessions": row["sessions"], "text": _outcome(row, has_goal=has_goal)} for row in rows
    ]
    told = f"The {len(rows)} pages that most sessions begin on" if len(rows) > 1 else "The page that sessions begin on"
    drawn, labelled = looks.bars("pages", values, "sessions")
    return looks.finished(drawn, title, [told], {"pages": labelled})


def _outcome(row: dict[str, int], *, has_goal: bool) -> str:
    """`120 (12% bounced, 30% with an order)`."""
    share = {"bounced": row["bounced"], "with an order": row["converted"] if has_goal else None}
    parts = [f"{found / row['sessions']:.0%} {name}" for name, found in share.items() if found is not None]
    return f"{row['sessions']:,} ({', '.join(parts)})"


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
