"""How long sessions last, by the referrer that led to them."""

from collections.abc import Set
from typing import Any

import altair as alt

from sojourn.charts import looks
from sojourn.charts.looks import Ask, Rows, Spec

MOST = 8
"""Referrers that have a bar of their own; all others share one."""

_LENGTHS = ((0, "0 s"), (60, "up to 1 min"), (300, "5 min"), (900, "15 min"), (1800, "30 min"), (3600, "1 h"))
_NAMES = [*(name for _, name in _LENGTHS), "longer"]

_RANKED = """
with labelled as (
    select coalesce(referrer, '(direct)') as referrer, duration_seconds as seconds
    from sessions
),
ranked as (
    select referrer, row_number() over (order by count(*) desc, referrer) as place
    from labelled
    group by referrer
),
placed as (
    select least(place, {most} + 1) as place, case when place <= {most} then referrer else '(other)' end as referrer,
        seconds
    from labelled
    join ranked using (referrer)
)
"""

_COUNTS = (
    _RANKED
    + """
select place, case {cases} else {longest} end as length, count(*) as sessions
from placed
group by 1, 2
order by 1, 2
"""
)

_MEDIANS = (
    _RANKED
    + """
select place, referrer, count(*) as sessions, percentile_cont(0.5) within group (order by seconds) as median_seconds
from placed
group by place, referrer
order by place
"""
)


def picture(title: str, ask: Ask, _: Set[str]) -> Spec:
    """A bar for each referrer, divided into classes of length: zeros and the longest stay to be seen."""
    cases = " ".join(f"when seconds <= {most} then {at}" for at, (most, _) in enumerate(_LENGTHS))
    referrers = ask(_MEDIANS.format(most=MOST))
    counts = ask(_COUNTS.format(most=MOST, cases=cases, longest=len(_LENGTHS)))
    return bars(title, referrers, counts) if referrers else looks.empty(title)


def bars(title: str, referrers: Rows, counts: Rows) -> Spec:
    """The bars of *referrers* (`place`, `referrer`, `sessions`, `median_seconds`) by *counts* (`place`, `length`,
    `sessions`).
    """
    names = {row["place"]: _labelled(row) for row in referrers}
    whole = {row["place"]: row["sessions"] for row in referrers}
    values = [
        {"name": names[row["place"]], "length": _NAMES[row["length"]], "at": row["length"]}
        | {"sessions": row["sessions"], "share": round(row["sessions"] / whole[row["place"]], 5)}
        for row in counts
    ]
    drawn = looks.chart("sessions").mark_bar(height={"band": 0.75})
    drawn = drawn.encode(
        x=_shares(),
        y=_referrers(list(names.values())),
        color=_colours(),
        order=alt.Order("at:Q", sort="ascending"),
        tooltip=["name:N", "length:N", alt.Tooltip("sessions:Q", format=","), alt.Tooltip("share:Q", format=".1%")],
    )
    total = looks.number(sum(whole.values()), "session")
    told = f"{total}, from the first to the last event of each; a session of one event lasts 0 s"
    return looks.finished(looks.layered(drawn), title, [told], {"sessions": values})


def _shares() -> alt.X:
    axis = alt.Axis(title="share of the referrer's sessions", format="%", tickCount=5)
    return alt.X("share:Q", stack="zero", scale=alt.Scale(domain=[0, 1]), axis=axis)


def _referrers(names: list[str]) -> alt.Y:
    return alt.Y("name:N", sort=names, axis=looks.two_lines())


def _colours() -> alt.Color:
    legend = alt.Legend(title="Duration:", orient="top", direction="horizontal", titleOrient="left")
    scale = alt.Scale(domain=_NAMES, range=looks.steps(len(_NAMES)))
    return alt.Color("length:N", scale=scale, sort=_NAMES, legend=legend)


def _labelled(row: dict[str, Any]) -> str:
    """The two lines beside a bar."""
    referrer = " ".join(row["referrer"].split())
    return f"{referrer}\n{looks.number(row['sessions'], 'session')}, median {_lasting(row['median_seconds'])}"


def _lasting(seconds: float) -> str:
    """`45 s`, `4.5 min`, `1.2 h`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
