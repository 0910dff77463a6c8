"""Steps from page to page."""

from collections.abc import Set

import altair as alt

from sojourn.charts import looks
from sojourn.charts.looks import Ask, Rows, Spec
from sojourn.show import counted

MOST = 10
"""Pages that have a row and a column."""

_STEPS = """
with steps as (
    select coalesce(from_page, '(none)') as from_page, coalesce(to_page, '(none)') as to_page,
        sum(transitions) as transitions
    from transitions
    group by 1, 2
),
busy as (
    select page, row_number() over (order by sum(transitions) desc, page) as place
    from (
        select from_page as page, transitions from steps
        union all
        select to_page, transitions from steps
    ) as ends
    group by page
),
leaving as (
    select from_page, sum(transitions) as transitions
    from steps
    group by from_page
)
select steps.from_page, steps.to_page, cast(steps.transitions as bigint) as transitions,
    steps.transitions / cast(leaving.transitions as double precision) as share
from steps
join leaving using (from_page)
join busy as one on one.page = steps.from_page
join busy as other on other.page = steps.to_page
where one.place <= {most} and other.place <= {most}
order by one.place, other.place
"""


def picture(title: str, ask: Ask, _: Set[str]) -> Spec:
    """A field for each step between the busiest pages, darker to lighter by how many of the steps out it is."""
    rows = ask(_STEPS.format(most=MOST))
    return matrix(title, rows) if rows else looks.empty(title)


def matrix(title: str, rows: Rows) -> Spec:
    """The fields of `from_page`, `to_page`, `transitions` and `share`, pages in the order of the rows."""
    pages = list(dict.fromkeys([*(row["from_page"] for row in rows), *(row["to_page"] for row in rows)]))
    values = [{**row, "share": round(row["share"], 5)} for row in rows]
    most = max(row["share"] for row in values)
    base = looks.chart("steps").encode(
        x=alt.X("to_page:N", sort=pages, axis=alt.Axis(title="to", labelAngle=-35, labelLimit=130, ticks=False)),
        y=alt.Y("from_page:N", sort=pages, axis=alt.Axis(title="from", labelLimit=170, ticks=False)),
    )
    legend = alt.Legend(title="of the steps out of a page", format=".0%", orient="right", tickCount=4)
    scale = alt.Scale(domain=[0, most], range=looks.steps(5), interpolate="rgb")
    fields = base.mark_rect().encode(color=alt.Color("share:Q", scale=scale, legend=legend))
    ink = alt.condition(f"datum.share > {0.55 * most}", alt.value("black"), alt.value("#ffffff"))
    numbers = base.mark_text(fontSize=11).encode(text=alt.Text("transitions:Q", format=","), color=ink)
    total = counted(sum(row["transitions"] for row in rows), "step")
    told = f"{total} between the {len(pages)} busiest pages; colour: share of all steps out of a page"
    return looks.finished(looks.layered(fields, numbers), title, [told], {"steps": values})
