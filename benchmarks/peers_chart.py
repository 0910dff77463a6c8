"""The chart of the peers: seconds and memory, a bar for each, ours in another colour."""

from typing import Any

import altair as alt
import vl_convert

from benchmarks.report import FOLDER
from sojourn.charts.looks import NAMED, OTHER, chart, finished

PICTURE = FOLDER / "peers.svg"
_MEASURES = {"seconds": "seconds", "memory": "memory of all processes, MB"}


def write(rows: list[dict[str, Any]], *, is_kept: bool) -> None:
    """Draw *rows* (`name`, `lines`, `seconds`, `memory`); only those of full size are kept."""
    drawn = svg(rows)
    if is_kept:
        PICTURE.write_text(drawn, encoding="utf-8")


def svg(rows: list[dict[str, Any]]) -> str:
    """A row of two pictures for each number of lines."""
    sizes = list(dict.fromkeys(row["lines"] for row in rows))
    pictures = [[_bars(size, measure) for measure in _MEASURES] for size in sizes]
    picture = alt.vconcat(*(alt.hconcat(*pair) for pair in pictures))
    spec = finished(
        picture, "Webshop lines to sessions", ["whole commands; the same answers, no broken lines"], {"runs": rows}
    )
    return str(vl_convert.vegalite_to_svg(spec))


def _bars(size: str, measure: str) -> alt.Chart:
    drawn = chart("runs").transform_filter(alt.datum.lines == size).mark_bar(height={"band": 0.7})
    coloured: alt.Chart = drawn.encode(
        x=alt.X(f"{measure}:Q", title=f"{_MEASURES[measure]}, {size}"),
        y=alt.Y("name:N", sort=alt.EncodingSortField("seconds"), title=None),
        color=alt.condition(alt.datum.name == "Sojourn", alt.value(NAMED[0]), alt.value(OTHER)),
    ).properties(width=300, height=alt.Step(22))
    return coloured
