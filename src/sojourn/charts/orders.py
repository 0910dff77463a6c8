"""Orders: session time before the first one, and how many sessions of each referrer have one."""

from collections.abc import Set
from math import sqrt

import altair as alt

from sojourn.charts import histograms, looks
from sojourn.charts.looks import Ask, Rows, Spec
from sojourn.show import counted

MOST = 10
"""Referrers that have a bar."""

_Z = 1.959963984540054  # of a normal distribution 95 % lie within

_BUYERS = """
with first_purchase as (
    select actor, min(session_number) as session_number
    from all_sessions
    where orders > 0
    group by actor
    having min(session_number) = min(case when is_wanted then session_number end)
),
wanted as materialized (
    -- as in the metric `orders`: time in sessions up to and with the first purchase session
    select sum(known.duration_seconds) / 60 as minutes
    from all_sessions as known
    join first_purchase
        on known.actor = first_purchase.actor
        and known.session_number <= first_purchase.session_number
    group by known.actor
)
"""

_REFERRERS = """
select coalesce(referrer, '(direct)') as referrer, count(*) as sessions,
    count(case when converted then 1 end) as converted
from sessions
group by 1
order by 2 desc, 1
limit {most}
"""


def minutes(title: str, ask: Ask, _: Set[str]) -> Spec:
    """The distribution of session minutes before a first order."""
    told = "minutes in sessions up to and with the one of the first order"
    return histograms.minutes(title, ask, _BUYERS, told, "buyer")


def conversion(title: str, ask: Ask, _: Set[str]) -> Spec:
    """A point for each referrer: the share of its sessions that have an order, with its interval."""
    rows = ask(_REFERRERS.format(most=MOST))
    return shares(title, rows) if any(row["converted"] for row in rows) else looks.empty(title)


def shares(title: str, rows: Rows) -> Spec:
    """The points of `referrer`, `sessions` and `converted`."""
    values = []
    for row in rows:
        lower, upper = interval(row["converted"], row["sessions"])
        name = f"{' '.join(row['referrer'].split())}\n{row['converted']:,} of {counted(row['sessions'], 'session')}"
        share = round(row["converted"] / row["sessions"], 5)
        values.append({"name": name, "share": share, "lower": round(lower, 5), "upper": round(upper, 5)})
    scale = alt.Scale(domain=[0, max(row["upper"] for row in values)], nice=True)
    shown = alt.Axis(title="sessions with an order", format="%", tickCount=6)
    base = looks.chart("shares").encode(y=alt.Y("name:N", sort=[row["name"] for row in values], axis=looks.two_lines()))
    spans = base.mark_rule(strokeWidth=3, color=looks.NAMED[4])
    spans = spans.encode(x=alt.X("lower:Q", scale=scale, axis=shown), x2="upper:Q")
    points = base.mark_point(filled=True, size=90, color=looks.NAMED[0], opacity=1).encode(x="share:Q")
    told = "Share of each referrer's sessions; the line is its 95 % interval (score), wide where sessions are few"
    return looks.finished(looks.layered(spans, points), title, [told], {"shares": values})


def interval(found: int, total: int) -> tuple[float, float]:
    """Wilson's score interval of *found* in *total*, 95 %."""
    share, weight = found / total, _Z * _Z / total
    middle = (share + weight / 2) / (1 + weight)
    reach = _Z * sqrt(share * (1 - share) / total + weight / (4 * total)) / (1 + weight)
    return middle - reach if found else 0.0, middle + reach if found < total else 1.0
