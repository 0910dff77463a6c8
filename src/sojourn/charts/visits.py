"""How many visits come before an order."""

from collections import Counter
from collections.abc import Set
from itertools import count

import altair as alt

from sojourn.charts import looks, quantiles
from sojourn.charts.looks import Ask, Rows, Spec
from sojourn.show import counted

MOST = 30
"""Numbers of visits that have a bar of their own, unless the median lies beyond half of them."""

_VISITS = """
with purchase as (
    -- as in the metric `orders`: visits since the purchase session before it, itself included
    select
        is_wanted,
        session_number
            - coalesce(lag(session_number) over (partition by actor order by session_number), 0) as visits
    from all_sessions
    where orders > 0
)
select visits, count(*) as purchases
from purchase
where visits is not null and is_wanted
group by visits
order by visits
"""


def picture(title: str, ask: Ask, _: Set[str]) -> Spec:
    """A bar for each number of visits, and the median."""
    rows = ask(_VISITS)
    return histogram(title, rows) if rows else looks.empty(title)


def histogram(title: str, rows: Rows) -> Spec:
    """Bars of `visits` and `purchases`, rows in the order of visits; the long tail is one bar."""
    counts = [(row["visits"], row["purchases"]) for row in rows]
    p25, median, p75 = (quantiles.quantile(counts, share) for share in (0.25, 0.5, 0.75))
    most = max(MOST, int(2 * median))
    bars: Counter[int] = Counter()
    for row in rows:
        bars[min(row["visits"], most + 1)] += row["purchases"]
    values = [{"from": at - 0.45, "to": at + 0.45, "visits": at, "purchases": found} for at, found in bars.items()]
    highest = alt.Scale(domain=[0, 1.12 * bars.most_common(1)[0][1]], nice=False)  # with room for the median's number
    drawn = looks.chart("visits").mark_bar(color=looks.NAMED[0], orient="vertical")
    drawn = drawn.encode(
        x=_numbers(max(12, *bars), most),
        x2="to:Q",
        y=alt.Y("purchases:Q", scale=highest, axis=looks.counts("visits with an order")),
        tooltip=["visits:Q", alt.Tooltip("purchases:Q", title="visits with an order", format=",")],
    )
    data: dict[str, Rows] = {
        "shape": [{"found": bars.total(), "p25": p25, "median": median, "p75": p75}],
        "visits": values,
        "median": [{"median": median, "text": f"median {median:g}"}],
    }
    total = counted(bars.total(), "visit")
    told = f"Of {total} with an order: how many since the one with an order before it, itself included"
    return looks.finished(looks.layered(drawn, *looks.marked("median")), title, [told], data)


def _numbers(last: int, most: int) -> alt.X:
    """The axis of visits up to *last*; what is more than *most* is the tail."""
    label = f"datum.value > {most} ? '{most + 1}+' : datum.label"
    axis = alt.Axis(title="visits", values=_ticks(last, most), format=",d", labelExpr=label, grid=False)
    return alt.X("from:Q", scale=alt.Scale(domain=[0.3, last + 0.7], nice=False), axis=axis)


def _ticks(last: int, most: int) -> list[int]:
    """Numbers on the axis: no more than fit, and always the bar of the tail."""
    step = next(size for power in count() for size in (10**power, 2 * 10**power, 5 * 10**power) if last / size <= 16)
    return [1, *range(max(step, 2), min(last + 1, most), step), *([most + 1] if last > most else [])]
