"""The cost curve: the fitted growth, where curves meet, what a page says, and inputs made by repetition."""

import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import scale_page
from benchmarks.agreement import agrees
from benchmarks.cases_peers import lines_of
from benchmarks.fitting import Curve, Line, crossover, fit, straight
from benchmarks.measure import measure
from benchmarks.scale import shuffled

MACHINE = {"CPU": "a CPU", "memory": "8 GB", "system": "a system"}


def test_the_exponent_is_the_slope_of_the_logarithms():
    """Twice the time for each fourfold size is a square root; a point off the line pulls as least squares say."""
    half = fit([1, 4, 16], [3, 6, 12])
    assert half is not None
    assert [half.factor, half.exponent] == pytest.approx([3, 0.5])
    assert half.at(64) == pytest.approx(24)
    # x = 0, 1, 2 (tens), y = 0, 1, 3: the mean is (1, 4/3), the slope (1*4/3 + 1*5/3) / 2 = 3/2, at 0: -1/6
    bent = fit([1, 10, 100], [1, 10, 1000])
    assert bent is not None
    assert [bent.exponent, bent.factor] == pytest.approx([1.5, 10 ** (-1 / 6)])
    assert fit([2, 2], [1, 3]) is None


@pytest.mark.parametrize(
    ("low", "high", "size"),
    [
        (Curve(1, 1), Curve(10, 0.5), 100),  # x = 10 sqrt(x)
        (Curve(2, 1), Curve(6, 1), None),  # always three times as slow
        (Curve(6, 1), Curve(2, 1), 0),
        (Curve(1, 1), Curve(4, 1.5), None),  # draws away
        (Curve(1, 1), Curve(0.5, 1.5), None),  # is faster below 4, and falls behind
    ],
)
def test_curves_meet_where_both_are_equal(low, high, size):
    """The size from which the second is as fast as the first, or none."""
    found = crossover(low, high)
    assert found == (size if size is None else pytest.approx(size))


def test_a_line_goes_through_the_ends():
    """Five seconds to begin with, two for each further one; the middle does not bend it."""
    assert straight([11, 1, 3], [27, 7, 99]) == Line(5, 2)


def test_machines_pay_where_their_share_makes_up_for_the_start():
    """20 s more to begin with, and 6 s instead of 4 s an event: two save 1 s an event, one saves nothing."""
    assert scale_page.pays(Line(1, 4), Line(21, 6), 2) == 20
    assert scale_page.pays(Line(1, 4), Line(21, 6), 1) is None


def figure(engine, size, wall, **more):
    """What one run took."""
    told = {"pipeline": "webshop", "engine": engine, "size": size, "events": size * 1e6, "wall": wall, "cpu": 2 * wall}
    given = {"lines": 0, "size": size * 8e8, "disk": 0, "is_packed": size > 20}
    home = {"events": size * 4e7, "warehouse": size * 5e7}
    moved = dict.fromkeys(("read", "written", "tree_rss"), size * 1e9)
    last = {"date": "2024-01-01 10:00 UTC", "commit": "abc", "machine": MACHINE, "stolen": 0.01, "rows": size * 1e5}
    return {**told, "input": given, "home": home, **moved, **last, **more}


def cells(table, first):
    """The cells of the table's only line that begins so."""
    [line] = [line for line in table.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_says_what_was_measured():
    """A DuckDB of 1 s + 4 s a million events beside a Spark of 21 s + 6 s, worked out by hand."""
    duckdb = [figure("duckdb", size, 1 + 4 * size) for size in (1, 10)]
    spark = [figure("spark", size, 21 + 6 * size, shuffles=7, shuffled=size * 1e8) for size in (1, 10)]
    packed = figure("duckdb", 30, 1000)  # stands in the table, and nowhere else
    parts = scale_page.sections([*spark, *duckdb, packed])
    assert cells(parts["growth"], "webshop") == [
        "webshop", "0.91", "1.0 + 4.00", "0.48", "21.0 + 6.00", "none: a further event costs 1.5x",
    ]  # fmt: skip
    assert cells(parts["machines"], "webshop") == ["webshop", "1.5x", "20 M", "8 M", "6 M", "6 M"]
    rows = [line for line in parts["curve"].splitlines() if "10.00" in line]
    assert [cells(row, "webshop")[:6] for row in rows] == [
        ["webshop", "DuckDB", "10.00", "41.0", "82.0", "8.2"],
        ["webshop", "Spark", "10.00", "81.0", "162.0", "16.2"],
    ]
    assert "| webshop | DuckDB | 30.00 (packed) | 1000.0 |" in parts["curve"]
    assert [cells(parts["billion"], name)[1] for name in ("lines in, GB", "tables, GB", "Spark: shuffled, GB")] == [
        "800", "50", "100",
    ]  # fmt: skip
    assert cells(parts["billion"], "DuckDB: CPU hours")[1] == "2.3"  # 82 s x 100 / 3600
    assert "at most 1.0%" in parts["conditions"]


def test_a_meeting_is_told_only_within_reach():
    """Level at 16 M where a further event is cheaper; at 100 M no longer, being ten times what was measured."""
    duckdb = [figure("duckdb", size, size) for size in (1, 9, 10)]
    assert scale_page.level(duckdb, [figure("spark", size, 10 * size**0.5) for size in (1, 9)]) == "none within reach"
    assert scale_page.level(duckdb, [figure("spark", size, 4 * size**0.5) for size in (1, 10)]) == "16.0 M"
    dearer = [figure("spark", size, 6 * size**0.5) for size in (1, 10)]  # 36 M by the curves
    assert scale_page.level(duckdb, dearer) == "none: a further event costs 1.4x"  # (18.97 - 6) / 9
    assert scale_page.level(duckdb, [figure("spark", size, 9 * size**1.1) for size in (1, 10)]).startswith(
        "none: the curves"
    )
    assert scale_page.level(duckdb, []) == "not measured"


def test_only_what_is_marked_is_replaced():
    """Words stay; a part without a place is an error."""
    page = "before\n<!-- curve -->\nold\n<!-- end -->\nbetween\n<!-- live -->\n<!-- end -->\n"
    filled = scale_page.filled(page, {"curve": r"new \1"})
    assert filled == "before\n<!-- curve -->\n\nnew \\1\n\n<!-- end -->\nbetween\n<!-- live -->\n<!-- end -->\n"
    assert scale_page.filled(filled, {"curve": r"new \1"}) == filled
    with pytest.raises(ValueError, match="no place for growth"):
        scale_page.filled(page, {"growth": ""})


def test_the_page_has_a_place_for_each_part():
    """And the marks stand in pairs."""
    page = scale_page.PAGE.read_text()
    parts = scale_page.sections([figure("duckdb", 1, 5)])
    assert all(page.count(f"<!-- {name} -->") == 1 for name in parts)
    assert page.count("<!-- end -->") == len(parts)


def test_shuffles_are_counted_by_stage(tmp_path: Path):
    """Two tasks of one stage are one shuffle; a stage that wrote none is none."""
    written = [(1, 100), (1, 50), (2, 0), (3, 7)]
    lines = [
        {"Event": "SparkListenerTaskEnd", "Stage ID": stage,
         "Task Metrics": {"Shuffle Write Metrics": {"Shuffle Bytes Written": size}}}
        for stage, size in written
    ]  # fmt: skip
    (tmp_path / "log").mkdir()
    text = "\n".join(json.dumps(line, separators=(",", ":")) for line in [{"Event": "other"}, *lines])
    (tmp_path / "log" / "events").write_text(text + "\n")
    assert shuffled(tmp_path) == {"shuffles": 2, "shuffled": 157}


def test_copies_have_other_people_and_the_same_times(tmp_path: Path, monkeypatch):
    """Three copies of a sample have three times its events, ids and customers; a missing customer stays missing."""
    from benchmarks import inputs, scale_inputs

    monkeypatch.setattr(inputs, "FOLDER", tmp_path / "data")
    monkeypatch.setattr(scale_inputs, "_MB", 200)
    grown = scale_inputs.grow("webshop", 3, tmp_path / "input")
    files = sorted((tmp_path / "input").iterdir())
    copies = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    assert [len(copy) for copy in copies] == [500, 500, 500]
    assert grown.lines == 1500
    assert grown.size == grown.disk == sum(file.stat().st_size for file in files)
    assert all(
        [(line["event"]["timestamp"], line["event"].get("customer-id") is None) for line in one]
        == [(line["event"]["timestamp"], line["event"].get("customer-id") is None) for line in other]
        for one, other in pairwise(copies)
    )
    customers = [
        {str(line["event"]["customer-id"]) for line in copy if line["event"].get("customer-id")} for copy in copies
    ]
    assert len(set.union(*customers)) == 3 * len(customers[0]) > 30
    assert len({line["id"] for copy in copies for line in copy}) == 1500


def test_lines_of_a_script_are_lines_of_code(tmp_path: Path):
    """Words, comments and empty lines are none; text that is asked for is."""
    script = tmp_path / "script.py"
    script.write_text(
        '"""Words\nand more."""\n\n# why\nSQL = """\nselect 1\n"""\n\ndef f():\n    """What."""\n    return SQL\n'
    )
    assert lines_of(script) == 5


def test_answers_agree_but_for_last_digits():
    """Counts are exact, and nothing is missing."""
    ours = {"sessions": 3.0, "duration_seconds": 1e6}
    assert agrees(ours, {"sessions": 3, "duration_seconds": 1e6 + 1e-4})
    assert not agrees(ours, {"sessions": 4, "duration_seconds": 1e6})
    assert not agrees(ours, {"sessions": 3, "duration_seconds": 1e6 + 1})
    assert not agrees(ours, {"sessions": 3})


def test_processor_time_of_all_processes_is_counted():
    """Of one that outlives its parent, and of one whose parent ignores its end, too."""
    burn = "import time\nwhile time.process_time() < 0.6: pass\n"
    outlives = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {burn!r}])"
    assert 0.6 <= measure([sys.executable, "-c", outlives]).cpu < 1.2
    ignores = "import signal, time; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    ignored = f"{burn}time.sleep(0.3)"
    started = f"{ignores}import subprocess, sys; subprocess.Popen([sys.executable, '-c', {ignored!r}]).wait()"
    assert 0.6 <= measure([sys.executable, "-c", started]).cpu < 1.2
