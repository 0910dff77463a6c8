"""Files: each format is whole, opens without a network, and takes names from data as text."""

import json
import re
import struct
from xml.etree import ElementTree

import pytest

from sojourn import charts
from sojourn.store.embedded import Embedded
from tests import postgres
from tests.charts.publishing import (
    TRANSITIONS,
    devices,
    experiments,
    hourly,
    projection,
    publish,
    published,
    sessions,
    user_activity,
)
from tests.command import process, sojourn
from tests.docs import pages

EVIL = "</script><script>alert(1)</script><b>&amp;"


@pytest.mark.parametrize("name", charts.CHARTS)
def test_every_chart_is_a_png_of_legible_size(name, home, tmp_path):
    """About 800 by 400, twice as dense."""
    charts.draw(name, Embedded(home), target := tmp_path / "x.PNG")
    content = target.read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", content[16:24])
    assert 1500 <= width <= 1620
    assert 780 <= height <= 860
    assert len(content) < 2_000_000


@pytest.mark.parametrize("name", charts.CHARTS)
def test_every_chart_is_an_svg_and_json(name, home, tmp_path):
    """Well-formed; the specification in the file is the one that is drawn."""
    for ending in ("svg", "json"):
        charts.draw(name, Embedded(home), tmp_path / f"x.{ending}")
    root = ElementTree.fromstring((tmp_path / "x.svg").read_text())
    assert charts.CHARTS[name].title in "".join(root.itertext())
    spec = json.loads((tmp_path / "x.json").read_text())
    assert spec == json.loads(json.dumps(charts.specification(name, Embedded(home))))
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/v6")


def page(target):
    """An HTML file without the library in it, and the specification that it shows."""
    text = target.read_text()
    assert text.lower().count("<script") == text.lower().count("</script") == 2
    outside = re.sub(r"<script>.*?</script>", "", text, count=1, flags=re.DOTALL)
    found = re.search(r'vegaEmbed\("#chart", (\{.*\}), \{"renderer"', outside)
    assert found is not None
    return outside, json.loads(found[1])


def test_html_needs_no_network(home, tmp_path):
    """One file: the library and the data are inside, and no address is loaded."""
    charts.draw("repairs", Embedded(home), target := tmp_path / "x.html")
    outside, spec = page(target)
    assert spec == charts.specification("repairs", Embedded(home))
    assert re.findall(r"https?://[^\"]*", outside) == [spec["$schema"]]
    assert "window.vegaEmbed" in target.read_text()
    assert not re.search(r"src\s*=|href\s*=|@import|<link|<iframe|<img", outside)


@pytest.mark.parametrize("name", ["hourly_activity", "session_durations", "fleet_daily", "repairs"])
def test_names_from_data_are_text(name, tmp_path):
    """A tag in a referrer, an activity, a class or a rule is shown as it is, and does nothing."""
    tables = {
        "hourly_activity": hourly(3).replace("'a' || kind", f"'{EVIL}'"),
        "sessions": sessions(50).replace("null else", f"'{EVIL}' else"),
        "fleet_daily": f"select date '2024-03-01' as day, '{EVIL}' as fleet_size, 3::bigint as devices",
        "repairs": f"select '{EVIL}' as rule, null as ended_by, 3 as intervals, 1.0 as share, 2.0 as hours",
    }
    store = published(tmp_path / "home", charts.CHARTS[name].pipeline, tables)
    for ending in ("html", "svg"):
        charts.draw(name, store, tmp_path / f"x.{ending}")
    _, spec = page(tmp_path / "x.html")
    assert EVIL in json.dumps(spec)
    svg = (tmp_path / "x.svg").read_text()
    ElementTree.fromstring(svg)
    assert "<script" not in svg


def test_no_time_zone_changes_the_picture(home, tmp_path):
    """Days and hours stand where they do everywhere."""
    for name in ("fleet_daily", "hourly_activity"):
        pictures = set()
        for zone in ("UTC", "America/Los_Angeles", "Asia/Tokyo"):
            target = tmp_path / "x.svg"
            assert process("chart", name, "--home", home, "-o", target, env={"TZ": zone}).status == 0
            pictures.add(target.read_bytes())
        assert len(pictures) == 1


def test_the_command_draws_into_the_current_folder(home, tmp_path, monkeypatch):
    """NAME.png without -o; the path is printed."""
    monkeypatch.chdir(tmp_path)
    assert sojourn("chart", "repairs", "--home", home).out == "repairs.png\n"
    assert sojourn("chart", "repairs", "--home", home, "-o", "my.svg").out == "my.svg\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.svg", "repairs.png"]
    listed = sojourn("chart").out
    assert all(name in listed for name in charts.CHARTS)


@pytest.mark.parametrize(
    ("words", "status", "code", "said"),
    [
        (["repair"], 2, "unknown_chart", "did you mean 'repairs'"),
        (["repairs", "-o", "x.gif"], 2, "unknown_ending", ".png, .svg, .html, .json"),
        (["repairs", "-o", "png"], 2, "unknown_ending", "png"),
        (["repairs", "-o", "."], 2, "unknown_ending", "written as .;"),
        (["repairs", "-o", "nowhere/x.png"], 2, "out_unusable", "no folder nowhere"),
        (["repairs", "-o", "folder.png"], 2, "out_unusable", "folder.png"),
        (["repairs", "--pipeline", "own"], 1, "not_published", "own"),
        (["repairs", "--pipeline", "webshop"], 2, "missing_table", "repairs"),
        (["visits_before_order", "--pipeline", "pageviews"], 2, "missing_table", "sessions"),
    ],
)
def test_a_mistake_is_one_sentence(words, status, code, said, home, tmp_path, monkeypatch):
    """With a code, and no file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    done = sojourn("chart", *words, "--home", home)
    assert (done.status, done.out, done.err.count("\n")) == (status, "", 1)
    assert done.err.endswith(f"[{code}]\n")
    assert said in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_a_store_without_anything_is_said_to_be_empty(tmp_path):
    """Nothing was published yet, by any pipeline."""
    done = sojourn("chart", "repairs", "--home", tmp_path / "none", "-o", tmp_path / "x.png")
    assert (done.status, "not_published" in done.err) == (1, True)


def test_both_stores_give_the_same_charts(tmp_path):
    """DuckDB and PostgreSQL read the SQL alike."""
    tables = {
        "devices": devices(60, fleet_projection=projection("2024-03-02")),
        "activity": {"hourly_activity": hourly(50, 10), "user_activity": user_activity(50), "transitions": TRANSITIONS},
        "pageviews": {"hourly_activity": hourly(9000, 2), "experiments": experiments(6)},
        "webshop": {"sessions": sessions(2000, 12)},
    }
    with postgres.running() as server:
        from sojourn.store.postgres import Postgres

        ours, theirs = Embedded(tmp_path / "ours"), Postgres(tmp_path / "theirs", server.database())
        for store in (ours, theirs):
            for pipeline, queries in tables.items():
                publish(store, pipeline, queries)
        wanted = [*((chart.name, chart.pipeline) for chart in charts.CHARTS.values()), ("hourly_activity", "pageviews")]
        for name, pipeline in wanted:
            mine, other = (charts.specification(name, store, pipeline) for store in (ours, theirs))
            assert mine == other, name


def test_every_chart_and_ending_is_on_its_page():
    """The page lists what the code knows, with the tables that it reads."""
    text = (pages.DOCS / "how-to" / "charts.md").read_text()
    for name, chart in charts.CHARTS.items():
        assert f"| `{name}` | `{chart.pipeline}.{chart.tables[0]}` |" in text
    assert all(f"| `{ending}` |" in text for ending in charts.ENDINGS)
