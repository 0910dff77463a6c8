"""How long sessions last, by the referrer that led to them."""

from collections import Counter
from collections.abc import Set
from typing import Any

import altair as alt

from sojourn.charts import looks, quantiles
from sojourn.charts.looks import Ask, Rows, Spec
from sojourn.engines.duckdb import quote
from sojourn.show import counted

MOST = 8
"""Referrers that have a bar of their own; all others share one."""

_LENGTHS = ((0, "0 s"), (60, "up to 1 min"), (300, "5 min"), (900, "15 min"), (1800, "30 min"), (3600, "1 h"))
_NAMES = [*(name for _, name in _LENGTHS), "longer"]

_BAR = "cast(least(ceil(duration_seconds / 10), 3153600) as bigint)"  # tens of seconds, up to a year

_COUNTS = f"""
with counted as (
    select coalesce(referrer, '(direct)') as referrer, {_BAR} as bar, count(*) as sessions
    from sessions
    where duration_seconds is not null
    group by 1, 2
),
ranked as (
    select referrer, row_number() over (order by sum(sessions) desc, referrer) as place
    from counted
    group by referrer
)
select least(place, {MOST} + 1) as place, case when place <= {MOST} then referrer else '(other)' end as referrer, bar,
    cast(sum(sessions) as bigint) as sessions
from counted
join ranked using (referrer)
group by 1, 2, 3
order by 1, 3
"""

_WITHIN = f"""
with placed as (
    select case coalesce(referrer, '(direct)') {{cases}} else {MOST} + 1 end as place, {_BAR} as bar,
        duration_seconds as seconds
    from sessions
    where {_BAR} in ({{bars}})
)
select place, bar, seconds, count(*) as sessions
from placed
join (values {{wanted}}) as wanted (place, bar) using (place, bar)
group by 1, 2, 3
order by 1, 2, 3
"""


def picture(title: str, ask: Ask, _: Set[str]) -> Spec:
    """A bar for each referrer, divided into classes of length: zeros and the longest stay to be seen."""
    rows = ask(_COUNTS)
    if not rows:
        return looks.empty(title)
    counts: Counter[tuple[int, int]] = Counter()
    for row in rows:
        length = next((at for at, (most, _) in enumerate(_LENGTHS) if 10 * row["bar"] <= most), len(_LENGTHS))
        counts[row["place"], length] += row["sessions"]
    by_class = [{"place": place, "length": at, "sessions": found} for (place, at), found in sorted(counts.items())]
    return bars(title, _referrers_of(rows, ask), by_class)


def _referrers_of(rows: Rows, ask: Ask) -> Rows:
    """Each place's referrer, sessions and median, of the counts by bars that *rows* are."""
    found: dict[int, list[tuple[float, int]]] = {}
    for row in rows:
        found.setdefault(row["place"], []).append((row["bar"], row["sessions"]))
    names = {row["place"]: row["referrer"] for row in rows}
    cases = " ".join(f"when {quote(name)} then {place}" for place, name in names.items() if place <= MOST)
    needed = [(place, bar) for place, bars in found.items() for bar in quantiles.holding(bars, 0.5)]
    wanted, among = ", ".join(map(str, needed)), ", ".join({str(bar) for _, bar in needed})
    inner: dict[int, dict[float, list[tuple[float, int]]]] = {place: {} for place in names}
    for row in ask(_WITHIN.format(cases=cases, wanted=wanted, bars=among)):
        inner[row["place"]].setdefault(row["bar"], []).append((row["seconds"], row["sessions"]))
    return [
        {"place": place, "referrer": names[place], "sessions": sum(sessions for _, sessions in bars)}
        | {"median_seconds": quantiles.quantile(quantiles.opened(bars, inner[place]), 0.5)}
        for place, bars in found.items()
    ]


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
    total = counted(sum(whole.values()), "session")
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
    return f"{referrer}\n{counted(row['sessions'], 'session')}, median {_lasting(row['median_seconds'])}"


def _lasting(seconds: float) -> str:
    """`45 s`, `4.5 min`, `1.2 h`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
