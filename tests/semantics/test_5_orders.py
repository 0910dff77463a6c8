"""Orders of the webshop."""

from collections.abc import Sequence
from itertools import count

from tests.command import Home, lines, shop

NOTHING = {"median_visits_before_order": None, "median_session_duration_minutes_before_order": None}


def customers(*visits: tuple[str, Sequence[tuple[float, int]]]) -> bytes:
    """Lines for customers; each of their visits, in a day of its own, has its minutes and its orders."""
    number = count(1)
    made = []
    for who, stays in visits:
        for day, (minutes, orders) in enumerate(stays, 1):
            microseconds = round(minutes * 60_000_000)
            steps = [microseconds * at // 10 for at in range(11)] if minutes else [0]
            for at in steps:
                kind = "placed_order" if orders and at == microseconds else "search"
                second, fraction = divmod(at, 1_000_000)
                clock = f"{10 + second // 3600}:{second // 60 % 60:02}:{second % 60:02}.{fraction:06}"
                made.append(shop(next(number), f"2022-03-{day:02}T{clock}", who, kind))
            made += [shop(next(number), f"2022-03-{day:02}T10:00:00", who, "placed_order") for _ in range(orders - 1)]
    return lines(*made)


FIGURE = (
    ("user-1", [(30, 0), (20, 1), (12, 0)]),
    ("user-2", [(45, 1), (20, 0), (10.5, 1)]),
)


def test_5_1_visits_before_order_is_one_value_per_session_with_a_purchase(home: Home) -> None:
    """The figure: 2, 1 and 2 visits, so the median is 2; each purchase starts the count again."""
    home.run("webshop", customers(*FIGURE))
    assert home.metric("orders")["median_visits_before_order"] == 2
    home.run("webshop", customers(("a", [(1, 0)] * 4 + [(1, 1), (1, 1), (1, 0), (1, 1)])), "--mode", "replace")
    assert home.metric("orders")["median_visits_before_order"] == 2
    home.run("webshop", customers(("a", [(1, 0)] * 4 + [(1, 1)])), "--mode", "replace")
    assert home.metric("orders")["median_visits_before_order"] == 5


def test_5_1_several_purchases_in_one_session_are_one_value(home: Home) -> None:
    """Values are by session with a purchase, not by order: 1 (of three orders) and 3 give 2."""
    home.run("webshop", customers(("a", [(5, 3), (1, 0), (1, 0), (2, 1)])))
    assert home.metric("orders")["median_visits_before_order"] == 2
    assert home.metric("time_to_order")["orders"] == 4


def test_5_2_minutes_before_order_are_those_up_to_and_with_the_first_purchase_session(home: Home) -> None:
    """The figure: 50 and 45 minutes, so the median is 47.5; later purchases do not count."""
    home.run("webshop", customers(*FIGURE))
    assert home.metric("orders") == {
        "median_visits_before_order": 2,
        "median_session_duration_minutes_before_order": 47.5,
    }
    assert home.metric("time_to_order") == {
        "p25_minutes": 46.25,
        "median_minutes": 47.5,
        "p75_minutes": 48.75,
        "buyers": 2,
        "orders": 3,
    }


def test_5_3_actors_without_a_purchase_count_in_neither(home: Home) -> None:
    """However many and long their sessions are, the figure's numbers stay."""
    home.run("webshop", customers(*FIGURE, ("x", [(59, 0)] * 9), ("y", [(0, 0)])))
    assert list(home.metric("orders").values()) == [2, 47.5]


def test_5_3_no_purchase_at_all_is_null(home: Home) -> None:
    """Also with no session at all."""
    home.run("webshop", customers(("x", [(10, 0)])))
    assert home.metric("orders") == NOTHING
    home.run("webshop", b"", "--mode", "replace")
    assert home.metric("orders") == NOTHING
    assert home.metric("time_to_order") == {
        "p25_minutes": None, "median_minutes": None, "p75_minutes": None, "buyers": 0, "orders": 0,
    }  # fmt: skip


def test_5_3_the_median_of_an_even_number_is_the_mean_of_the_middle_two(home: Home) -> None:
    """Visits 1, 2, 3, 6 give 2.5; minutes 1, 4, 10, 60 give 7."""
    home.run(
        "webshop",
        customers(
            ("a", [(1, 1)]), ("b", [(1, 0), (3, 1)]), ("c", [(5, 0), (0, 0), (5, 1)]), ("d", [(10, 0)] * 5 + [(10, 1)])
        ),
    )
    assert list(home.metric("orders").values()) == [2.5, 7]


def test_5_4_only_events_with_an_actor_are_sessionized(home: Home) -> None:
    """Absent, null and empty are `dropped: anonymous`, and an anonymous purchase is nobody's."""
    absent = shop(1, "10:00:00", "@", "placed_order").replace('"customer-id": "@", ', "")
    ledger = home.run(
        "webshop",
        lines(
            absent,
            shop(2, "10:00:00", None, "placed_order"),
            shop(3, "10:00:00", "", "placed_order"),
            shop(4, "10:00:00", 0, "placed_order"),
        ),
    )["ledger"]
    assert (ledger["accepted"], ledger["dropped"]) == (1, {"anonymous": 3})
    assert home.values("select actor from webshop.sessions") == ["0"]
    assert home.metric("time_to_order")["buyers"] == 1
