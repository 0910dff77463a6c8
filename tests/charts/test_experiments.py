"""Experiments: differences from the control as the table holds them."""

from sojourn.charts import CHARTS, looks, themes
from tests.charts.publishing import experiments, rows

COLUMNS = "experiment, variant, goal, users, goal_users, rate, difference, ci_low, ci_high, p_adjusted, warnings"


def table(*given: str) -> dict[str, str]:
    """The table of experiments with the *given* rows."""
    values = ", ".join(given or ["('e', 'x', 'g', 1, 1, 1.0, null, null, null, null, null)"])
    kinds = "ci_low::double as ci_low, ci_high::double as ci_high, difference::double as difference"
    return {"experiments": f"select * replace ({kinds}) from (values {values}) known ({COLUMNS})"}


def test_a_point_for_each_goal_and_variant(drawn):
    """Only what was compared, with its bounds, around 0; warnings are pointed at."""
    spec = drawn(
        "experiments",
        "pageviews",
        table(
            "('default', 'a', 'paid', 50, 10, 0.2, null, null, null, null, null)",
            "('default', 'b', 'paid', 50, 20, 0.4, 0.2, 0.02, 0.36, 0.04, null)",
            "('size', 'big', 'paid', 1, 1, 1.0, 0.5, -0.6, 0.9, 1.0, 'small sample: 1 user against 2')",
            "('default', 'b', 'sessions_per_user', 50, null, 3.0, 1.0, -1.0, 3.0, 0.3, null)",
        ),
    )
    shown = spec["datasets"][CHARTS["experiments"].data]
    assert [(row["name"], row["lower"], row["difference"], row["upper"]) for row in shown] == [
        ("paid: b\n20 of 50 users", 0.02, 0.2, 0.36),
        ("size, paid: big\n1 of 1 user", -0.6, 0.5, 0.9),
    ]
    assert rows(spec, spec["layer"][0]) == [{"at": 0}]
    assert "warnings" in spec["title"]["subtitle"][1]


def test_nothing_compared_is_said(drawn):
    """One variant alone has no difference."""
    assert "No data yet" in str(drawn("experiments", "pageviews", table()))


def test_many_names_do_not_overlap(drawn):
    """The picture grows with its rows, on a page, too."""
    given = [f"('default', 'v{at}', 'paid', 50, 20, 0.4, 0.2, 0.02, 0.36, 0.04, null)" for at in range(28)]
    spec = drawn("experiments", "pageviews", table(*given))
    assert spec["height"] == themes.on_page(spec)["height"] > 2 * looks.HEIGHT


def test_what_a_picture_leaves_out_is_said(drawn):
    """It has room for 30 comparisons; of more it names how many there are."""
    for goals, said in ((31, []), (32, ["The first 30 of 31 comparisons"])):  # one of them is a mean
        spec = drawn("experiments", "pageviews", {"experiments": experiments(goals)})
        assert len(spec["datasets"]["differences"]) == 30
        assert spec["title"]["subtitle"][2:] == said
