"""`sojourn metrics`: the list, and each metric over what is published."""

import pytest

from tests.command import Home, lines, shop, sojourn

VISITS = lines(
    shop(1, "10:00:00", kind="page_view", page="https://shop.example/", referrer="https://news.example/"),
    shop(2, "10:10:00"),
    shop(3, "12:00:00"),
    shop(4, "12:05:00", kind="placed_order"),
)


def test_without_a_name_the_metrics_are_listed(home: Home) -> None:
    """Name, title and the pipeline that each reads; nothing needs to be published."""
    listed = home.call("metrics", "--json").json
    assert {row["metric"]: row["pipeline"] for row in listed} == {
        **dict.fromkeys(("churn", "fleet", "fleet_projection", "uptime"), "devices"),
        **dict.fromkeys(("orders", "referrer_differences", "session_durations", "time_to_order"), "webshop"),
        "experiments": "pageviews",
    }
    assert [row["metric"] for row in listed] == sorted(row["metric"] for row in listed)
    assert all(row["title"] for row in listed)
    shown = home.call("metrics").out
    assert all(row["metric"] in shown and row["title"] in shown for row in listed)


def test_orders_json_is_exactly_the_object(home: Home) -> None:
    """Unwrapped, on one line, nothing beside it."""
    home.run("webshop", VISITS)
    done = home.call("metrics", "orders", "--json")
    assert (done.out.count("\n"), done.err) == (1, "")
    assert list(done.json.items()) == [
        ("median_visits_before_order", 2),
        ("median_session_duration_minutes_before_order", 15),
    ]


def test_time_to_order_and_session_durations(home: Home) -> None:
    """One object of quartiles and counts; a list with a row per referrer."""
    home.run("webshop", VISITS)
    assert home.metric("time_to_order") == {
        "p25_minutes": 15, "median_minutes": 15, "p75_minutes": 15, "buyers": 1, "orders": 1,
    }  # fmt: skip
    names = ("median_seconds", "p25_seconds", "p75_seconds", "mean_seconds")
    assert home.metric("session_durations") == [
        {"referrer": "(direct)", "sessions": 1, **dict.fromkeys(names, 300)},
        {"referrer": "news.example", "sessions": 1, **dict.fromkeys(names, 600)},
    ]


@pytest.mark.parametrize("name", ["orders", "time_to_order", "session_durations"])
def test_for_a_person_a_metric_is_a_table(home: Home, name: str) -> None:
    """Every name of the JSON form stands in it."""
    home.run("webshop", VISITS)
    value = home.metric(name)
    shown = home.call("metrics", name).out
    assert all(key in shown for key in (value[0] if isinstance(value, list) else value))


def test_a_metric_reads_another_pipeline_of_the_same_shape(home: Home) -> None:
    """The own one, named with --pipeline; the ready one's tables are not touched."""
    own = home.path("shop.toml", sojourn("pipelines", "webshop").out)
    home.run(own, VISITS)
    done = home.call("metrics", "orders")
    assert (done.status, "nothing is published by webshop" in done.err) == (1, True)
    assert home.metric("orders", "--pipeline", "shop")["median_visits_before_order"] == 2
    assert home.metric("orders", "--pipeline", str(own))["median_visits_before_order"] == 2
    assert "sojourn run shp.toml FILE" in home.call("metrics", "orders", "--pipeline", "shp").err
    assert "[pipeline_unreadable]" in home.call("metrics", "orders", "--pipeline", "shp.toml").err


def test_a_pipeline_of_another_shape_is_refused(home: Home) -> None:
    """The table that is missing is named."""
    home.run("activity", b"")
    done = home.call("metrics", "orders", "--pipeline", "activity")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "sessions" in done.err


def test_a_pipeline_that_lacks_a_column_is_refused(home: Home) -> None:
    """Page views have sessions, but no orders: one sentence, no query text."""
    home.run("pageviews", b'{"url": "/", "timestamp": "2018-01-02T10:00:00", "sessionId": "k"}\n')
    done = home.call("metrics", "orders", "--pipeline", "pageviews")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "orders" in done.err


def test_an_unknown_metric_gets_a_suggestion(home: Home) -> None:
    """And all known ones."""
    done = home.call("metrics", "ordres")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "did you mean 'orders'" in done.err
    assert "session_durations" in done.err


def test_metrics_follow_the_latest_run(home: Home) -> None:
    """They are worked out from the tables as they stand."""
    home.run("webshop", VISITS)
    home.run("webshop", lines(shop(9, "11:00:00")))
    assert home.metric("orders")["median_visits_before_order"] == 3
