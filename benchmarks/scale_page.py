"""`docs/scaling.md`: its tables, from `scale.json` alone. What stands between the marks is written here."""

import json
import re
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks import report, scale_chart
from benchmarks.fitting import Curve, Line, crossover, fit, straight

FOLDER = Path(__file__).parent
JSON, PAGE = FOLDER / "scale.json", FOLDER.parent / "docs" / "scaling.md"
PICTURE = FOLDER.parent / "docs" / "pictures" / "scaling.svg"
PIPELINES = ("webshop", "activity", "pageviews", "devices", "live")
ENGINES = {"duckdb": "DuckDB", "spark": "Spark"}
MILLION, MB, GB = 1_000_000, 1e6, 1e9
REACH = 10  # farther than so many times the largest measured size a curve says nothing
CLUSTERS = (2, 4, 8, 16)

Figures = list[dict[str, Any]]


def load() -> Figures:
    """All figures so far."""
    return json.loads(JSON.read_bytes()) if JSON.exists() else []


def save(fresh: dict[str, Any]) -> None:
    """Put one figure in the place of the one before, of the same pipeline, engine and size."""
    kept = [figure for figure in load() if _key(figure) != _key(fresh)]
    figures = sorted([*kept, fresh], key=_key)
    JSON.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write() -> None:
    """Write the tables into the page, and its chart."""
    figures = load()
    if figures:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), sections(figures)), encoding="utf-8")
        PICTURE.write_text(scale_chart.svg(figures), encoding="utf-8")


def filled(page: str, parts: dict[str, str]) -> str:
    """The *page* with each part between `<!-- name -->` and `<!-- end -->` replaced."""
    for name, text in parts.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not marked.search(page):
            raise ValueError(f"the page has no place for {name}")
        page = marked.sub(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", page)  # type: ignore[misc]
    return page


def sections(figures: Figures) -> dict[str, str]:
    """The tables of the page, by the mark where each belongs."""
    plain = [figure for figure in figures if not figure["input"]["is_packed"]]  # packed ones cost more for each event
    return {
        "conditions": _conditions(figures),
        "curve": _curve(figures),
        "growth": _growth(plain),
        "machines": _machines(plain),
        "billion": _billion(plain),
        "live": _live(),
    }


def _of(figures: Figures, pipeline: str, engine: str) -> Figures:
    return sorted(
        (figure for figure in figures if (figure["pipeline"], figure["engine"]) == (pipeline, engine)), key=_key
    )


def _key(figure: dict[str, Any]) -> tuple[str, str, float]:
    return figure["pipeline"], figure["engine"], figure["size"]


def _millions(figures: Figures) -> list[float]:
    return [figure["events"] / MILLION for figure in figures]


def _walls(figures: Figures) -> list[float]:
    return [figure["wall"] for figure in figures]


def curve_of(figures: Figures) -> Curve | None:
    """Seconds against million events."""
    return fit(_millions(figures), _walls(figures))


def line_of(figures: Figures) -> Line | None:
    """The same as seconds to begin with, and seconds for each million events."""
    return straight(_millions(figures), _walls(figures))


def _conditions(figures: Figures) -> str:
    last = max(figures, key=lambda figure: str(figure["date"]))
    stolen = max(figure["stolen"] for figure in figures)
    days = sorted({figure["date"][:10] for figure in figures})
    told = "; ".join(f"{name}: {last['machine'][name]}" for name in ("CPU", "memory", "system"))
    return (
        f"Measured {' and '.join(days)}, commit {last['commit']}, on: {told}. "
        f"The host took at most {stolen:.1%} of the CPU time away."
    )


def _curve(figures: Figures) -> str:
    head = ["pipeline", "engine", "M events", "s", "CPU s", "CPU µs an event", "memory MB", "read GB", "written GB"]
    rows = []
    for pipeline in PIPELINES:
        for engine, name in ENGINES.items():
            for figure in _of(figures, pipeline, engine):
                packed = " (packed)" if figure["input"]["is_packed"] else ""
                costs = [
                    f"{figure['wall']:.1f}",
                    f"{figure['cpu']:.1f}",
                    f"{figure['cpu'] / figure['events'] * MILLION:.1f}",
                ]
                moved = [
                    f"{figure['tree_rss'] / MB:.0f}",
                    f"{figure['read'] / GB:.2f}",
                    f"{figure['written'] / GB:.2f}",
                ]
                rows.append([pipeline, name, f"{figure['events'] / MILLION:.2f}{packed}", *costs, *moved])
    return report.table(head, rows)


def _growth(figures: Figures) -> str:
    head = ["pipeline", "DuckDB: exponent", "s + s per M events", "Spark: exponent", "s + s per M events", "level from"]
    rows = []
    for pipeline in PIPELINES:
        both = [_of(figures, pipeline, engine) for engine in ENGINES]
        cells = []
        for measured in both:
            curve, line = curve_of(measured), line_of(measured)
            cells += [f"{curve.exponent:.2f}", f"{line.start:.1f} + {line.each:.2f}"] if curve and line else ["", ""]
        rows.append([pipeline, *cells, level(*both)])
    return report.table(head, rows)


def level(duckdb: Figures, spark: Figures) -> str:
    """In words: the size from which Spark on the same machine is as fast as DuckDB."""
    low, high = curve_of(duckdb), curve_of(spark)
    if low is None or high is None:
        return "not measured"
    found, largest = crossover(low, high), max(_millions(spark))
    if found is None:
        return "none: the curves do not meet"
    if found > REACH * largest:
        return "none within reach"
    costs = line_of(duckdb), line_of(spark)
    if costs[0] and costs[1] and found > largest and costs[1].each >= costs[0].each:
        return f"none: a further event costs {costs[1].each / costs[0].each:.1f}x"
    return f"{found:,.1f} M" if found > largest else f"{found:,.1f} M (measured)"


def pays(alone: Line, cluster: Line, machines: int) -> float | None:
    """Million events from which so many machines with Spark are faster than one with DuckDB; None: never."""
    gained = alone.each - cluster.each / machines
    return max(0.0, (cluster.start - alone.start) / gained) if gained > 0 else None


def _machines(figures: Figures) -> str:
    head = ["pipeline", "a further event costs on Spark", *(f"{count} machines pay from" for count in CLUSTERS)]
    rows = []
    for pipeline in PIPELINES:
        alone, cluster = (line_of(_of(figures, pipeline, engine)) for engine in ENGINES)
        if alone is None or cluster is None:
            continue
        sizes = [pays(alone, cluster, count) for count in CLUSTERS]
        told = ["never" if size is None else f"{size:,.0f} M" for size in sizes]
        rows.append([pipeline, f"{cluster.each / alone.each:.1f}x", *told])
    return report.table(head, rows)


def _billion(figures: Figures) -> str:
    head = ["for 1,000 M events", *PIPELINES]
    columns = [_day(_of(figures, pipeline, "duckdb"), _of(figures, pipeline, "spark")) for pipeline in PIPELINES]
    names = list(dict.fromkeys(name for column in columns for name in column))
    return report.table(head, [[name, *(column.get(name, "") for column in columns)] for name in names])


def _day(duckdb: Figures, spark: Figures) -> dict[str, str]:
    """What a billion events need, by the largest size that was measured on each engine."""
    told: dict[str, str] = {}
    if duckdb:
        most, scale = duckdb[-1], 1000 * MILLION / duckdb[-1]["events"]
        told["lines in, GB"] = f"{most['input']['size'] * scale / GB:,.0f}"
        told["kept events, GB"] = f"{most['home']['events'] * scale / GB:,.0f}"
        told["tables, GB"] = f"{most['home']['warehouse'] * scale / GB:,.0f}"
        told["rows of tables, M"] = f"{most['rows'] * scale / MILLION:,.0f}"
        told["DuckDB: CPU hours"] = f"{most['cpu'] * scale / 3600:.1f}"
        told["DuckDB: hours on this machine"] = f"{most['wall'] * scale / 3600:.1f}"
    if spark:
        most, scale = spark[-1], 1000 * MILLION / spark[-1]["events"]
        hours = most["cpu"] * scale / 3600
        told["Spark: CPU hours"] = f"{hours:.1f}"
        told["Spark: cores for one hour"] = f"{ceil(hours)}"
        told["Spark: shuffles"] = f"{most.get('shuffles', 0)}"
        told["Spark: shuffled, GB"] = f"{most.get('shuffled', 0) * scale / GB:,.0f}"
    return told


def _live() -> str:
    cases = report.load()
    notes: Sequence[str] = [note for name in ("database", "spread") for note in cases.get(name, {}).get("notes", [])]
    return "\n".join(f"- {note}" for note in notes) or "Not measured yet."
