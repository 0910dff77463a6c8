"""Fleets: how many devices were online, by how many of them the same user had."""

import re
from collections import Counter
from collections.abc import Set
from datetime import date, datetime, timedelta
from typing import TypeAlias

import altair as alt

from sojourn.charts import looks
from sojourn.charts.looks import Ask, Rows, Spec

Means: TypeAlias = dict[date, dict[str, float]]
"""Devices by class, by day or by the last day of a week."""

_YEARS = timedelta(days=3 * 366)
"""Beyond this a day is narrower than a pixel: weeks are shown."""


def daily(title: str, ask: Ask, helpful: Set[str]) -> Spec:
    """Devices online on each day, and the projection."""
    counted = "Unique devices online on each day, by how many devices the same user had online on it"
    rows = ask("select day, fleet_size, devices from fleet_daily")
    return picture(title, counted, rows, _projected("daily", ask, helpful), "the last day may not be whole")


def rolling(title: str, ask: Ask, helpful: Set[str]) -> Spec:
    """Devices online in the days up to each, and the projection. Only the *title* says how many days: a setting."""
    counted = "Unique devices online within that time up to each day, by how many devices the same user had online then"
    rows = ask("select day, fleet_size, devices from fleet_rolling_28d")
    unsure = "the first days look back on less, the last may not be whole"
    return picture(title, counted, rows, _projected("rolling_28d", ask, helpful), unsure)


def _projected(series: str, ask: Ask, helpful: Set[str]) -> Rows:
    if "fleet_projection" not in helpful:
        return []
    return ask(f"select day, fleet_size, devices from fleet_projection where series = '{series}'")


def picture(title: str, counted: str, rows: Rows, projected: Rows, unsure: str) -> Spec:
    """Areas stacked by class from zero; dashed lines go on from their edges where something is *projected*.

    Both have rows of `day`, `fleet_size` and `devices`; what has no row is zero. *unsure* says what days are not whole.
    """
    if not rows:
        return looks.empty(title)
    first, last = min(row["day"] for row in rows), max(row["day"] for row in rows)
    step = 7 if last - first > _YEARS else 1
    classes = in_order({row["fleet_size"] for row in rows})
    seen = _means(rows, last, step)
    ahead = _means([row for row in projected if row["day"] > last and row["fleet_size"] in classes], last, step)
    known = {row["fleet_size"] for row in projected}
    held = [name for name in classes if name not in known and seen[last].get(name)]
    for means in ahead.values():
        means.update({name: seen[last][name] for name in held})
    end = max([*ahead, last])
    width = timedelta(days=1 if first == last else 0)
    time = looks.instants("day", _midnight(first - width), _midnight(end + width))
    layers = [_areas("fleets", classes, time, is_bar=first == last)]
    data = {"fleets": _points(seen, classes)}
    if ahead:
        ahead[last] = {name: seen[last].get(name, 0) for name in classes}
        layers += [_areas("projection", classes, time, opacity=0.25), _edges("projection", time)]
        data["projection"] = _points(ahead, classes)
    told = [f"{counted}, {_period(first, last)}", _remarks(step, unsure, held if ahead else None)]
    return looks.finished(looks.layered(*layers), title, told, data)


def in_order(labels: Set[str]) -> list[str]:
    """Classes by the number that their label begins with; those without one come last."""
    found = {label: re.match(r"\d+", label) for label in labels}
    return sorted(labels, key=lambda label: (int(m[0]) if (m := found[label]) else float("inf"), label))


def _means(rows: Rows, last: date, step: int) -> Means:
    """The mean of every *step* days, counted from *last* both ways, by the last of them."""
    if not rows:
        return {}
    start, end = min(row["day"] for row in rows), max(row["day"] for row in rows)
    days = Counter(_week(start + timedelta(days=at), last, step) for at in range((end - start).days + 1))
    means: Means = {day: {} for day in sorted(days)}
    for row in rows:
        week = means[day := _week(row["day"], last, step)]
        week[row["fleet_size"]] = week.get(row["fleet_size"], 0) + (row["devices"] or 0) / days[day]
    return means


def _week(day: date, last: date, step: int) -> date:
    return last - timedelta(days=(last - day).days // step * step)


def _points(means: Means, classes: list[str]) -> Rows:
    """A row for each class and day: its place in the order, its devices, and its upper edge in the stack."""
    points = []
    for day, by_class in sorted(means.items()):
        edge = 0.0
        for place, name in enumerate(classes):
            edge += (devices := by_class.get(name, 0))
            values = {"devices": round(devices, 2), "edge": round(edge, 2)}
            points.append({"day": day.isoformat(), "fleet_size": name, "place": place, **values})
    return points


def _areas(data: str, classes: list[str], time: alt.X, *, opacity: float = 1, is_bar: bool = False) -> alt.Chart:
    """Stacked areas, the first class at the bottom; a bar where there is one day, as an area would be nothing."""
    chart = looks.chart(data)
    day = alt.Tooltip("utcyearmonthdate(day):T", title="day", format="%-d %b %Y")
    size = alt.Tooltip("fleet_size:N", title="devices of the user")
    drawn: alt.Chart = chart.mark_bar(size=60) if is_bar else chart.mark_area(opacity=opacity)
    return drawn.encode(
        x=time,
        y=alt.Y("devices:Q", stack="zero", scale=alt.Scale(zero=True), axis=looks.counts("devices")),
        color=_colours(classes),
        order=alt.Order("place:Q", sort="ascending"),
        tooltip=[day, size, alt.Tooltip("devices:Q", format=",.0f")],
    )


def _edges(data: str, time: alt.X) -> alt.Chart:
    """Dashed lines along the tops of the projected areas."""
    edge = alt.Y("edge:Q", stack=None, axis=looks.counts("devices"))
    drawn: alt.Chart = looks.chart(data).mark_line(strokeDash=[3, 2], strokeWidth=1, color="#222222")
    return drawn.encode(x=time, y=edge, detail="fleet_size:N")


def _colours(classes: list[str]) -> alt.Color:
    legend = alt.Legend(title="Devices of the same user:", orient="top", direction="horizontal", titleOrient="left")
    scale = alt.Scale(domain=classes, range=looks.steps(len(classes)))
    return alt.Color("fleet_size:N", scale=scale, sort=classes, legend=legend)


def _remarks(step: int, unsure: str, held: list[str] | None) -> str:
    """What must be known of the picture; *held* classes are those of a projection, if there is one."""
    parts = [unsure if step == 1 else "each point is the mean of 7 days"]
    parts += ["dashed: projection"] if held is not None else []
    parts += [f"held for want of history: {', '.join(held)}"] if held else []
    text = "; ".join(parts)
    return text[0].upper() + text[1:]


def _period(first: date, last: date) -> str:
    return looks.spelled(first) if first == last else f"{looks.spelled(first)} to {looks.spelled(last)}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a day, of no zone
