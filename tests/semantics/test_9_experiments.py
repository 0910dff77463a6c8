"""Experiments."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tests.command import Home, lines, sojourn

OWN = """
[source.events.fields]
session_key = "visit"
occurred_at = { path = "at", formats = ["epoch_s"] }
actor       = "who"
name        = "what"
url         = "page"
experiments = "labels"

[sessions]
rule = "key"
"""
TABLES = """
[tables.sessions]
[tables.experiment_users]
[tables.experiments]
"""


def view(user: object, labels: object, at: int = 0, visit: object = None, **more: object) -> str:
    """A line of a page view of *user*, whose visit has one view unless it is named."""
    key = f"{user}-{at}" if visit is None else visit
    return json.dumps({"at": at, "visit": key, "who": user, "what": "page_view", "labels": labels, **more})


def own(home: Home, more: str = "", name: str = "own") -> Path:
    """A pipeline of events with names, and *more* in its TOML."""
    return home.path(f"{name}.toml", OWN + more + TABLES)


def variants(home: Home, pipeline: str = "own") -> dict[str, str]:
    """Each user's variant of the one experiment that there is."""
    rows = home.rows(f"select actor, variant from {pipeline}.experiment_users order by actor")
    return {row["actor"]: row["variant"] for row in rows}


def readout(home: Home, goal: str, pipeline: str = "own") -> dict[str, dict[str, Any]]:
    """The rows of one goal by variant, in the metric's order."""
    rows = home.metric("experiments", "--pipeline", pipeline)
    return {row["variant"]: row for row in rows if row["goal"] == goal}


def test_9_1_labels_are_a_list_or_text_with_commas(home: Home) -> None:
    """White space and repetitions do not count, numbers are their digits, nothing is no label."""
    given = ["a", ["a"], " a ,a, ", 7, ["7"], [7, "7"], "", [], None, ["a", "b"], "b,a", ["a,b"]]
    home.run(own(home), lines(*(view(f"{at:02}", labels) for at, labels in enumerate(given))))
    expected = ["a", "a", "a", "7", "7", "7", None, None, None, "multiple", "multiple", "multiple"]
    assert variants(home) == {f"{at:02}": label for at, label in enumerate(expected) if label is not None}


def test_9_1_what_is_no_label_is_quarantined(home: Home) -> None:
    """Objects, booleans, and lists that hold something else; with `strict` numbers, too."""
    given = [{"a": 1}, True, ["a", None], ["a", ["b"]], [1.5], 2]
    content = lines(*(view(at, labels) for at, labels in enumerate(given)))
    assert home.run(own(home), content)["ledger"]["quarantined"] == {"bad_type": 4}
    strict = home.path(
        "strict.toml", "[source.events]\nstrict = true\n" + OWN.replace('"who"', '{ path = "who", type = "integer" }')
    )
    assert home.run(strict, content)["ledger"]["quarantined"] == {"bad_type": 6}


def test_9_1_labels_of_every_format(home: Home) -> None:
    """CSV has them as text, Parquet as text or as a list; equal sets of labels are one value (3.2)."""
    csv = 'visit,at,who,labels\nv,0,1,"b,a"\nv,0,1,"a, b,a"\nw,0,2,\n'
    ledger = home.run(own(home), csv.encode(), name="in.csv")["ledger"]
    assert (ledger["accepted"], ledger["duplicate"], variants(home)) == (2, 1, {"1": "multiple"})
    columns: dict[str, Any] = {"visit": ["v", "w", "x"], "at": [0, 0, 0], "who": ["1", "2", "3"]}
    for labels, found, refused in (
        ([["a"], [], None], {"1": "a"}, {}),
        ([["a", None], [], None], {}, {"bad_type": 1}),
        ([[7], [], None], {"1": "7"}, {}),
    ):
        path = home.folder / "made.parquet"
        pyarrow.parquet.write_table(pyarrow.table({**columns, "labels": labels}), path)
        done = home.call("run", own(home), path, "--mode", "replace", "--json")
        assert (variants(home), done.json["ledger"]["quarantined"]) == (found, refused)


def test_9_1_all_labels_are_one_experiment(home: Home) -> None:
    """It is called default; its control is the label with most users, of equally many the first by its bytes."""
    users = {"b": 3, "a": 3, "Z": 2}
    home.run(own(home), lines(*(view(f"{label}{at}", label) for label, count in users.items() for at in range(count))))
    rows = readout(home, "second_page_view")
    assert {row["experiment"] for row in rows.values()} == {"default"}
    assert [name for name, row in rows.items() if row["difference"] is None] == ["a"]
    home.run(own(home), lines(*(view(f"b{at}", "b") for at in range(4))), name="more.jsonl")
    assert [name for name, row in readout(home, "second_page_view").items() if row["difference"] is None] == ["b"]


def test_9_1_declared_variants_and_control(home: Home) -> None:
    """Other labels belong to no experiment; a label may belong to two; without a control it is as in default."""
    declared = """
        [experiments.colour]
        variants = ["red", "blue"]
        control  = "blue"
        [experiments.size]
        variants = ["red", "big", "small"]
        [experiments.unseen]
        variants = ["x", "y"]
        """
    seen = [("1", "red"), ("2", "red,other"), ("3", "blue, big"), ("4", "other"), ("5", "small")]
    home.run(own(home, declared), lines(*(view(*one) for one in seen)))
    found = home.rows("select experiment, actor, variant from own.experiment_users order by all")
    assert [tuple(row.values()) for row in found] == [
        ("colour", "1", "red"), ("colour", "2", "red"), ("colour", "3", "blue"),
        ("size", "1", "red"), ("size", "2", "red"), ("size", "3", "big"), ("size", "5", "small"),
    ]  # fmt: skip
    rows = home.rows("select experiment, variant from own.experiments where goal = 'second_page_view'")
    assert [tuple(row.values()) for row in rows] == [
        ("colour", "blue"), ("colour", "red"), ("size", "red"), ("size", "big"), ("size", "small"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('[experiments.a]\nvariants = ["x"]', "two variants"),
        ('[experiments.a]\nvariants = ["x", "x"]', "two variants"),
        ('[experiments.a]\nvariants = ["x", "y,z"]', "no comma"),
        ('[experiments.a]\nvariants = ["x", "multiple"]', "several variants"),
        ('[experiments.a]\nvariants = ["x", "y"]\ncontrol = "z"', "one of the variants: x, y"),
        ('[experiments.a]\nvariants = ["x", "y"]\nshares = [1]', "one share for each"),
        ('[experiments.a]\nvariants = ["x", "y"]\nshares = [1, 0]', "one share for each"),
        ('[experiments.a]\nvariant = ["x", "y"]', "did you mean 'variants'"),
        ('[goals.A]\npage = "/"', "lower-case"),
        ('[goals.sessions_per_user]\npage = "/"', "taken"),
        ('[goals.a]\npage = "/"\nsessions = 2', "say one of"),
        ("[goals.a]", "say one of"),
        ("[goals.a]\nsessions = 0", "from 1"),
        (f"[goals.a]\nfirst_session_page_views = {10**20}", "from 1 to 1000000"),
        ('[goals.a]\nevent = ""', "empty"),
        ('[goals.a]\nsessions = "two"', "goals.a.sessions"),
    ],
)
def test_9_1_mistakes_in_experiments_are_told(home: Home, more: str, told: str) -> None:
    """With their place, before anything is read."""
    done = sojourn("check", own(home, more + "\n"), home.path("x.jsonl"))
    assert (done.status, told in done.err) == (2, True), done.err


def test_9_1_goals_need_their_fields(home: Home) -> None:
    """A page goal a page, an event goal names of events; the tables need actor and labels, and sessions of actors."""
    for field, goal in (("url", 'page = "/x"'), ("name", 'event = "x"')):
        text = "".join(line for line in OWN.splitlines(keepends=True) if not line.startswith(field))
        done = sojourn("check", home.path("x.toml", f"{text}[goals.a]\n{goal}\n{TABLES}"), home.path("x.jsonl"))
        assert (done.status, f"needs the field {field}" in done.err) == (2, True), done.err
    live = '[source.events]\nformat = "streams"\n[source.events.fields]\nactor = "a"\nexperiments = "e"\n'
    live += '[sessions]\nrule = "markers"\n'
    done = sojourn("check", home.path("x.toml", live + TABLES), home.path("x.jsonl"))
    assert (done.status, "by gap or by key" in done.err) == (2, True), done.err


def test_9_2_the_unit_is_the_user(home: Home) -> None:
    """Sessions and page views are added up for each; who has no actor is no user."""
    given = [view("a", "x", at, visit) for at, visit in enumerate(["1", "1", "2"])] + [
        view(None, "x", 9),
        view("", "x", 9),
    ]
    home.run(own(home), lines(*given, view("b", "x", 5), view("b", None, 50)))
    rows = home.rows("select actor, first_seen, sessions, page_views, goals from own.experiment_users order by actor")
    assert [tuple(row.values()) for row in rows] == [
        ("a", "1970-01-01T00:00:00.000000Z", 2, 3, "second_page_view,more_than_one_session"),
        ("b", "1970-01-01T00:00:05.000000Z", 2, 2, "more_than_one_session"),
    ]
    assert readout(home, "sessions_per_user")["x"]["rate"] == 2.0


def test_9_2_users_of_two_variants_are_counted_apart(home: Home) -> None:
    """Under `multiple`, in no difference; at once, or in another session; and the rows say how many they are."""
    given = [view("a", "x"), view("b", "y"), view("c", "x,y"), view("d", "x"), view("d", "y", 9)]
    home.run(own(home), lines(*given))
    rows = readout(home, "more_than_one_session")
    assert {name: row["users"] for name, row in rows.items()} == {"x": 1, "y": 1, "multiple": 2}
    assert (rows["multiple"]["goal_users"], rows["multiple"]["difference"]) == (1, None)
    assert "2 users with several variants left out" in rows["y"]["warnings"]
    assert "saw several variants" in rows["multiple"]["warnings"]


def test_9_3_rows_and_columns(home: Home) -> None:
    """A row for every variant and goal, then means, then medians; the columns stand in one order."""
    home.run(own(home), lines(view("a", "x"), view("b", "y")))
    rows = home.rows("from own.experiments")
    assert list(rows[0]) == [
        "experiment", "variant", "goal", "users", "sessions", "page_views", "goal_users", "rate", "difference",
        "ratio", "ci_low", "ci_high", "p_value", "p_adjusted", "warnings",
    ]  # fmt: skip
    goals = ["second_page_view", "more_than_one_session", "sessions_per_user", "page_views_per_user"]
    goals += ["median_sessions_per_user", "median_page_views_per_user"]
    assert [(row["variant"], row["goal"]) for row in rows] == [(label, goal) for label in "xy" for goal in goals]


def test_9_3_goals_are_pages_events_and_sessions(home: Home) -> None:
    """A page view of a page, where * is any text; an event of that name in any letter case; so many sessions."""
    goals = '[goals.paid]\npage = "/shop/*/paid"\n[goals.bought]\nevent = "buy"\n[goals.back]\nsessions = 2\n'
    given = [
        view("a", "x", page="https://shop.example/shop/1/2/paid/?q"),
        view("b", "x", page="/shop/paid"),
        view("c", "x", page="/Shop/1/paid", what="BUY"),
        view("d", "x", page="/shop/1/paid", what="buyer"),
        view("e", "x"),
        view("e", None, 9, what="buy"),
    ]
    home.run(own(home, goals), lines(*given))
    found = home.rows("select actor, goals from own.experiment_users order by actor")
    assert [row["goals"] for row in found] == ["paid", None, "bought", None, "bought,back"]
    assert [row["goal_users"] for row in home.rows("from own.experiments limit 3")] == [1, 2, 1]


def test_9_3_differences_have_intervals_and_p_values(home: Home) -> None:
    """Proportions by the score method, means by Welch; p-values of an experiment are adjusted as one family (Holm)."""
    control = [view(f"c{at}", "control", visit) for at in range(40) for visit in range(1 + (at < 10))]
    better = [view(f"b{at}", "new", visit) for at in range(40) for visit in range(1 + (at < 30))]
    home.run(own(home), lines(*control, *better))
    row = readout(home, "more_than_one_session")["new"]
    assert (row["users"], row["goal_users"], row["rate"], row["difference"], row["ratio"]) == (40, 30, 0.75, 0.5, 3)
    assert row["ci_low"] == pytest.approx(0.2889, abs=5e-5)
    assert row["ci_high"] == pytest.approx(0.6647, abs=5e-5)
    assert 1e-6 < row["p_value"] < row["p_adjusted"] < 1e-4
    assert row["warnings"] is None
    mean = readout(home, "sessions_per_user")["new"]
    assert (mean["rate"], mean["difference"], mean["goal_users"]) == (1.75, 0.5, None)
    assert mean["ci_low"] < 0.5 < mean["ci_high"]
    median = readout(home, "median_sessions_per_user")["new"]
    assert (median["rate"], median["difference"], median["p_value"]) == (2, 1, None)
    assert (median["ci_low"], median["ci_high"]) == (1, 1)


def test_9_3_a_sample_ratio_that_is_not_as_declared_is_told(home: Home) -> None:
    """Only where shares are declared, and only where chance does not explain it."""
    for shares, is_told in (("", False), ("shares = [1, 1]", True), ("shares = [1, 4]", False)):
        declared = f'[experiments.a]\nvariants = ["x", "y"]\n{shares}\n'
        users = [view(f"x{at}", "x") for at in range(10)] + [view(f"y{at}", "y") for at in range(40)]
        home.run(own(home, declared), lines(*users), "--mode", "replace")
        told = [row["warnings"] or "" for row in readout(home, "second_page_view").values()]
        assert ["sample ratio" in text for text in told] == [is_told, is_told], shares


def test_9_3_small_samples_and_machines_are_told(home: Home) -> None:
    """In plain words, with what could have been seen; the two users against ten of the page-view log are no finding."""
    burst = [view("m", "x", at % 5, at) for at in range(50)]
    home.run(own(home), lines(*burst, *(view(f"x{at}", "x") for at in range(9)), view("y0", "y"), view("y1", "y")))
    for row in home.rows("from own.experiments where variant = 'y' and p_value is not null"):
        assert "small sample: 2 users against 10" in row["warnings"]
        assert "50 of the control's 59 sessions are suspect" in row["warnings"]
        assert "could be seen" in row["warnings"]
        assert row["p_adjusted"] > 0.05


def test_9_3_nothing_to_compare(home: Home) -> None:
    """A variant without users, with one, or without any spread has no interval, and says why."""
    declared = '[experiments.a]\nvariants = ["x", "y", "z"]\ncontrol = "x"\n'
    home.run(own(home, declared), lines(view("a", "x"), view("b", "x"), view("c", "y")))
    rows = readout(home, "sessions_per_user")
    assert (rows["y"]["difference"], rows["y"]["ci_low"], rows["z"]["rate"], rows["z"]["difference"]) == (
        0,
        None,
        None,
        None,
    )
    assert "a variant has one user" in rows["y"]["warnings"]
    assert "a variant has no users" in rows["z"]["warnings"]
    home.run(own(home, declared), lines(view("d", "y")), name="more.jsonl")
    assert "all users of a variant are alike" in readout(home, "sessions_per_user")["y"]["warnings"]


def test_9_3_no_answer_depends_on_the_road(home: Home) -> None:
    """In any order and in any runs: the same rows, in the same order, to the last digit."""
    given = [view(f"u{at % 23}", ["a", "b", "a,b"][at % 23 % 3], at, at // 2) for at in range(200)]
    home.run(own(home, name="one"), lines(*given))
    for part in (given[150:], given[50:150], given[:100]):
        home.run(own(home, name="two"), lines(*reversed(part)), name=f"{len(part)}.jsonl")
    for table in ("experiments", "experiment_users order by actor"):
        assert home.rows(f"from one.{table}") == home.rows(f"from two.{table}")
