"""Fleets are stacked by class from zero, and a projection goes on from their edges."""

import re
from itertools import pairwise

import pytest
import vl_convert

from sojourn import charts
from sojourn.charts import files, fleet, looks
from sojourn.store.embedded import Embedded
from tests.charts.publishing import NAMES, devices, projection, rows
from tests.charts.publishing import fleet as fleets

LAST = "2024-03-02"  # of 60 days


def encoding(spec, layer=0):
    """What a layer shows."""
    return spec["layer"][layer]["encoding"]


@pytest.mark.parametrize("name", ["fleet_daily", "fleet_rolling_28d"])
def test_classes_are_stacked_and_listed_in_their_order_from_zero(name, drawn):
    """By the number that a label begins with, whatever the order of rows; the axis begins at zero."""
    spec = drawn(name, "devices", devices(60))
    (layer,) = spec["layer"]
    assert layer["mark"]["type"] == "area"
    assert encoding(spec)["y"]["stack"] == "zero"
    assert encoding(spec)["y"]["scale"] == {"zero": True}
    assert encoding(spec)["color"]["scale"]["domain"] == encoding(spec)["color"]["sort"] == NAMES
    assert encoding(spec)["order"] == {"field": "place", "sort": "ascending", "type": "quantitative"}
    assert {row["fleet_size"]: row["place"] for row in rows(spec, layer)} == {name: at for at, name in enumerate(NAMES)}
    assert len({row["day"] for row in rows(spec, layer)}) == 60
    assert "28 days" in spec["title"]["text"] + spec["title"]["subtitle"][0] or name == "fleet_daily"
    assert "nique devices" in spec["title"]["subtitle"][0]


def test_the_first_class_lies_at_the_bottom_of_the_picture(drawn):
    """As it is drawn: each class's bar begins where the one before it ends."""
    svg = vl_convert.vegalite_to_svg(drawn("fleet_daily", "devices", devices(1)), vl_version=files.VERSION)
    bars = re.findall(r'd="M[\d.]+,([\d.]+)h[\d.]+v([\d.]+)[^"]*" fill="(#[0-9a-f]{6})"', svg)
    places = {colour: (float(top), float(top) + float(height)) for top, height, colour in bars}
    in_order = [places[colour] for colour in looks.steps(5)]
    assert in_order[0][1] == max(bottom for _, bottom in in_order)  # SVG counts from the top
    assert all(below[0] == pytest.approx(above[1]) for below, above in pairwise(in_order))


def test_other_classes_stand_in_the_order_of_their_numbers():
    """Also of different lengths; those without a number come last."""
    assert fleet.in_order({"1000+", "5", "(none)", "10-99", "6-9"}) == ["5", "6-9", "10-99", "1000+", "(none)"]


def test_a_projection_goes_on_from_the_edges_of_the_areas(drawn):
    """Pale areas and dashed lines begin where the fleets end; lines lie at the sums of the classes below them."""
    spec = drawn("fleet_daily", "devices", devices(60, fleet_projection=projection(LAST)))
    areas, pale, dashed = spec["layer"]
    assert (pale["mark"]["type"], dashed["mark"]["type"]) == ("area", "line")
    assert dashed["mark"]["strokeDash"]
    assert dashed["encoding"]["y"]["field"] == "edge"
    assert dashed["encoding"]["y"]["stack"] is None
    assert "projection" in spec["title"]["subtitle"][1]
    seen, ahead = rows(spec, areas), rows(spec, dashed)
    assert [row for row in ahead if row["day"] == LAST] == [row for row in seen if row["day"] == LAST]
    assert len({row["day"] for row in ahead}) == 29
    of_last = [row for row in ahead if row["day"] == "2024-03-30"]
    assert [row["devices"] for row in of_last] == [928, 528, 1428, 278, 88]
    assert [row["edge"] for row in of_last] == [928, 1456, 2884, 3162, 3250]


@pytest.mark.parametrize(
    "query", [None, projection(LAST, where="false"), projection(LAST, "rolling_28d"), projection("2024-01-20")]
)
def test_without_a_projection_nothing_is_dashed(query, drawn):
    """It may be absent, empty, of the other series, or of days that have been since."""
    tables = devices(60) if query is None else devices(70, fleet_projection=query)
    spec = drawn("fleet_daily", "devices", tables)
    assert len(spec["layer"]) == 1
    assert "dashed" not in str(spec["title"])


def test_a_class_that_is_not_projected_is_held_and_named(drawn):
    """Else the classes above it would fall by its devices."""
    partly = projection(LAST, where="fleet_size <> '3-9'")
    spec = drawn("fleet_daily", "devices", devices(60, fleet_projection=partly))
    held = {row["devices"] for row in rows(spec, spec["layer"][2]) if row["fleet_size"] == "3-9"}
    assert len(held) == 1
    assert spec["title"]["subtitle"][1].endswith("history: 3-9")


def test_one_day_is_a_bar(drawn):
    """An area over a single day would have no width."""
    spec = drawn("fleet_daily", "devices", devices(1))
    assert spec["layer"][0]["mark"]["type"] == "bar"
    assert encoding(spec)["y"]["stack"] == "zero"
    assert len(rows(spec, spec["layer"][0])) == 5


def test_one_class(drawn):
    """It has the legend all the same, which says what it is."""
    spec = drawn("fleet_daily", "devices", devices(9, fleet_daily=fleets(9, where="fleet_size = '10-99'")))
    assert encoding(spec)["color"]["scale"]["domain"] == ["10-99"]


def test_days_without_devices_are_zero(drawn):
    """No line is drawn across them."""
    spec = drawn("fleet_daily", "devices", devices(9, fleet_daily=fleets(9, where="n not in (3, 4)")))
    empty = [row for row in rows(spec, spec["layer"][0]) if row["day"] in ("2024-01-06", "2024-01-07")]
    assert len(empty) == 10
    assert {row["devices"] for row in empty} == {0}


def test_ten_years_are_weekly_means(drawn):
    """Days narrower than a pixel would be noise; the weeks count from the last day, and the projection's too."""
    tables = devices(3653, fleet_projection=projection("2034-01-02"))
    spec = drawn("fleet_daily", "devices", tables)
    seen = [row for row in rows(spec, spec["layer"][0]) if row["fleet_size"] == "1000+"]
    assert len(seen) == 522
    assert seen[-1]["day"] == "2034-01-02"
    assert seen[-1]["devices"] == pytest.approx(
        sum(round(60 * (1 + n / 1000)) + n % 7 for n in range(3646, 3653)) / 7, abs=0.1
    )
    assert sorted({row["day"] for row in rows(spec, spec["layer"][2])})[1:] == [
        "2034-01-09", "2034-01-16", "2034-01-23", "2034-01-30",
    ]  # fmt: skip
    assert "mean of 7 days" in spec["title"]["subtitle"][1]
    assert len(str(spec)) < 500_000


def test_no_time_zone_shifts_a_day(drawn, monkeypatch):
    """Days are drawn and named in UTC."""
    spec = drawn("fleet_daily", "devices", devices(9))
    assert encoding(spec)["x"]["scale"]["type"] == "utc"
    compiled = vl_convert.vegalite_to_vega(spec, vl_version=files.VERSION)
    assert next(scale["type"] for scale in compiled["scales"] if scale["name"] == "x") == "utc"
    assert "utcFormat" in str(compiled)
    assert "timeFormat" not in str(compiled).replace("utcFormat", "")


@pytest.mark.parametrize(("days", "said"), [(1, "past 1 day"), (7, "past 7 days"), (28, "past 28 days")])
def test_the_title_says_how_many_days_are_counted_together(days, said, home):
    """A pipeline of one's own may count fewer or more than 28, which nothing in the table tells."""
    with Embedded(home).reading("devices") as reading:
        spec = charts.picture(charts.CHARTS["fleet_rolling_28d"], reading, "devices", set(), window_days=days)
    assert spec["title"]["text"] == f"Devices online in the {said}"
    assert not re.search(r"\d+ days", spec["title"]["subtitle"][0])


def test_the_registry_and_the_pictures_agree():
    """Every chart can be drawn."""
    from sojourn.charts.pictures import PICTURES

    assert PICTURES.keys() == charts.CHARTS.keys()
