"""Sessions, orders and steps: what is shown is what the tables hold."""

import pytest

from sojourn import charts, metrics
from sojourn.charts import CHARTS, orders, themes
from sojourn.store.embedded import Embedded
from tests.charts.publishing import TRANSITIONS, rows, sessions


def numbers(spec, name):
    """The data that a chart names as its own."""
    return spec["datasets"][CHARTS[name].data]


def test_sessions_over_time_add_up(drawn):
    """Every session stands in one bar, those with an order apart."""
    spec = drawn("sessions_over_time", "webshop", {"sessions": sessions(500)})
    shown = numbers(spec, "sessions_over_time")
    assert sum(row["sessions"] for row in shown) == 500
    assert sum(row["sessions"] for row in shown if row["kind"] == "with an order") == 150
    assert {"start": "2024-02-28T00:00:00Z", "end": "2024-02-29T00:00:00Z"}.items() <= shown[0].items()


@pytest.mark.parametrize(("count", "unit"), [(1, "hour"), (70, "hour"), (80, "day"), (9000, "week")])
def test_the_unit_of_time_fits_the_span(count, unit, drawn):
    """The picture stays legible, and says what a bar is."""
    spec = drawn("sessions_over_time", "webshop", {"sessions": sessions(count)})
    assert spec["title"]["subtitle"][0].endswith(f"per {unit}")


def test_lengths_add_up_and_have_the_median(drawn):
    """The tail is one bar, zeros are told apart."""
    values = ", ".join(f"({each}::double)" for each in [0, 0, 60, 119, 120, 600, 86_400])
    spec = drawn("session_lengths", "webshop", {"sessions": f"select * from (values {values}) s (duration_seconds)"})
    assert sum(row["found"] for row in numbers(spec, "session_lengths")) == 7
    assert rows(spec, spec["layer"][1])[0]["text"] == "median 1.98 min"
    assert spec["title"]["subtitle"][1].startswith("2 of them")


def test_one_length_alone_is_a_bar(drawn):
    """All sessions last nothing."""
    query = "select 0::double as duration_seconds from range(3)"
    spec = drawn("session_lengths", "webshop", {"sessions": query})
    assert numbers(spec, "session_lengths") == [{"from": 0, "to": 0.5, "found": 3, "minutes": "0 to 0.5"}]


def test_minutes_before_an_order_are_those_of_the_metric(home):
    """The same buyers, and the same median."""
    store = Embedded(home)
    spec = charts.specification("minutes_before_order", store)
    metric = metrics.evaluate("time_to_order", store)
    assert isinstance(metric, dict)
    assert sum(row["found"] for row in numbers(spec, "minutes_before_order")) == metric["buyers"]
    assert rows(spec, spec["layer"][1])[0]["text"] == f"median {metric['median_minutes']:.3g} min"


def test_conversion_has_its_interval(drawn):
    """Shares of all sessions of a referrer, and Wilson's interval around them."""
    spec = drawn("conversion_by_referrer", "webshop", {"sessions": sessions(500)})
    first = numbers(spec, "conversion_by_referrer")[0]
    assert first["name"] == "(direct)\n100 of 250 sessions"
    assert first["share"] == 0.4
    assert (first["lower"], first["upper"]) == (0.34123, 0.46180)


@pytest.mark.parametrize(("found", "total"), [(0, 1), (1, 1), (0, 1000), (5, 10)])
def test_an_interval_lies_within_bounds(found, total):
    """It holds the share itself, and never leaves 0 to 1."""
    lower, upper = orders.interval(found, total)
    assert 0 <= lower <= found / total <= upper <= 1


def test_landing_pages_say_what_became_of_sessions(drawn):
    """The most frequent first; a page that is missing has a name, too."""
    spec = drawn("landing_pages", "webshop", {"sessions": sessions(500)})
    shown = numbers(spec, "landing_pages")
    assert len(shown) == 8
    assert shown[0]["name"] == "(none)"
    assert shown[0]["text"].startswith("72 (")
    assert "with an order" in shown[0]["text"]


def test_steps_are_shares_of_all_steps_out_of_a_page(drawn):
    """Also of those onto pages that have no column."""
    spec = drawn("transitions", "activity", {"transitions": TRANSITIONS})
    shown = numbers(spec, "transitions")
    whole = {"/4": 0, "/0": 0}
    for row in shown:
        whole[row["from_page"]] = whole.get(row["from_page"], 0) + row["share"]
    assert len({row["from_page"] for row in shown} | {row["to_page"] for row in shown}) <= 10
    assert all(share <= 1 + 1e-4 for share in whole.values())
    assert min(whole.values()) < 0.99


def test_only_what_is_wanted_is_drawn(home):
    """Conditions narrow a chart; what came before an order is counted over all sessions."""
    store = Embedded(home)
    chart = CHARTS["visits_before_order"]
    with store.reading("webshop") as reading:
        wanted = {"sessions": "session_number = 9"}
        spec = charts.picture(chart, reading, "webshop", {"sessions"}, wanted)
    assert numbers(spec, "visits_before_order") == [{"from": 2.55, "to": 3.45, "visits": 3, "purchases": 50}]


@pytest.mark.parametrize("name", CHARTS)
def test_a_picture_for_a_page_has_no_title_and_fits_the_theme(name, home):
    """The title is text of the page; in the dark no ink is dark."""
    spec = charts.specification(name, Embedded(home))
    wide, dark = themes.on_page(spec), themes.on_page(spec, is_dark=True, is_narrow=True)
    assert "title" not in wide
    assert wide["background"] == "transparent"
    assert "#222222" not in str({key: part for key, part in dark.items() if key != "datasets"})
    assert wide["datasets"] is spec["datasets"]
    panel = dark.get("vconcat", [dark])[0]
    assert panel["width"] <= themes.NARROW


@pytest.mark.parametrize("name", CHARTS)
def test_the_numbers_of_a_chart_are_in_its_data(name, home):
    """Every column that a table of it shows is there."""
    shown = numbers(charts.specification(name, Embedded(home)), name)
    assert shown
    assert {column for column, _ in CHARTS[name].numbers} <= shown[0].keys()
