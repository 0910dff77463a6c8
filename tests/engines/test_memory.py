"""Tables that do not fit into memory while they are made are the same ones, also where one actor does half of it all.

`make soak` does this with a hundred million events, and measures.
"""

import os
from pathlib import Path

import duckdb
import pytest

from sojourn.engines import duckdb as engine
from sojourn.engines.building import Built, EventFile, build
from sojourn.errors import SojournError
from sojourn.loading import load
from sojourn.pipeline import Pipeline
from sojourn.reading.readers import Landing, workers_of

EVENTS = 240_000
LITTLE, PLENTY = 1, 4_000_000_000  # of the former, what no run can do without

PIPELINE = """
[source.events.fields]
event_id = { path = "id", required = true }
name = "type"
occurred_at = "at"
actor = "who"
url = "page"

[sessions]
rule = "gap"
goal = "buy"

[tables.sessions]
[tables.user_activity]
[tables.transitions]
[tables.hourly_activity]
"""

# Every fourth event is a copy of the one before, pages are long, and of 3,000 actors the first does half of all.
LANDED = f"""copy (
    select
        n::varchar as event_id,
        ['look', 'look', 'buy'][1 + n % 4] as name,
        n * 60_000_003 as occurred_at,
        'actor ' || case when n // 4 % 2 = 0 then 0 else n // 8 % 3_000 end as actor,
        url_page as url, 'one' as url_level1, null::varchar as url_level2, null::varchar as url_level3, url_page
    from (
        select n, '/' || repeat('page ', 60) || n % 500 as url_page
        from (select i - (i % 4 = 3)::int as n from range({EVENTS}) as t(i))
    )
) to '{{}}' (format parquet)"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Tables that sort all events, by actor or by time."""
    path = tmp_path_factory.mktemp("pipeline") / "large.toml"
    path.write_text(PIPELINE)
    return load(str(path))


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> EventFile:
    """Landed events, as a reader leaves them."""
    path = tmp_path_factory.mktemp("events") / "events.parquet"
    duckdb.sql(LANDED.format(path))
    return EventFile(path, "events", part=0)


def made(pipeline: Pipeline, events: EventFile, memory: int, folder: Path) -> Built:
    """Build all tables in a *folder* of their own."""
    folder.mkdir()
    return build(pipeline, [events], folder / "snapshot.duckdb", memory, folder / "spill")


def test_what_does_not_fit_is_the_same(pipeline: Pipeline, events: EventFile, tmp_path: Path) -> None:
    """Every table, row for row, and the counts; worked out by hand where that is easy."""
    counts = [made(pipeline, events, size, tmp_path / name) for name, size in (("a", LITTLE), ("b", PLENTY))]
    assert counts[0] == counts[1]
    assert counts[0].events == EVENTS * 3 // 4
    assert counts[0].duplicates == {("events", 0): (EVENTS // 4, 0)}
    with duckdb.connect() as connection:
        for name in ("a", "b"):
            connection.execute(f"attach '{tmp_path / name / 'snapshot.duckdb'}' as {name} (read_only)")
        for table in pipeline.tables:
            for one, other in (("a", "b"), ("b", "a")):
                assert connection.sql(f"from {one}.{table} except all from {other}.{table}").fetchall() == []
        [(events_of_all, orders)] = connection.sql("select sum(events), sum(orders) from a.sessions").fetchall()
        assert (events_of_all, orders) == (EVENTS * 3 // 4, EVENTS // 4)
        [(hot,)] = connection.sql("select sum(events) from a.sessions where actor = 'actor 0'").fetchall()
        assert hot > EVENTS * 3 // 8


def test_it_does_not_fit(pipeline: Pipeline, events: EventFile, tmp_path: Path) -> None:
    """The control: where nothing can be spilled, the same build with as little memory fails."""
    (tmp_path / "spill").write_text("no folder")
    with pytest.raises(SojournError, match="spill") as failed:
        build(pipeline, [events], tmp_path / "snapshot.duckdb", LITTLE, tmp_path / "spill")
    assert failed.value.code in ("io", "memory")


@pytest.mark.parametrize(("memory", "readers"), [(None, 64), (2_000_000_000, 15), (400_000_000, 2), (90_000_000, 1)])
def test_readers_share_the_memory(memory: int | None, readers: int, pipeline: Pipeline, tmp_path: Path) -> None:
    """On many processors, no more readers than fit; without `--memory`, as many as there are processors."""
    landing = Landing("events", pipeline.events, tmp_path, memory=memory)
    with pytest.MonkeyPatch.context() as machine:
        machine.setattr(os, "cpu_count", lambda: 64)
        assert workers_of(landing) == readers


def test_without_a_word_large_runs_may_use_more() -> None:
    """640 MB; six times what landed where that is more; but half of what DuckDB would take, which is 80 %, at most."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert engine.fitting(0) == engine.fitting(100_000_000) == 640_000_000
    most = engine.fitting(1 << 60)
    assert 640_000_000 <= most <= max(640_000_000, 0.41 * physical)
    assert engine.fitting(110_000_000) == min(660_000_000, most)
    assert engine.fitting(physical // 10) == most


def test_what_is_built_upon_counts(
    pipeline: Pipeline, events: EventFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes of all landed files decide, unless a person did."""
    asked: list[int] = []

    def fitting(size: int) -> int:
        asked.append(size)
        return PLENTY

    monkeypatch.setattr(engine, "fitting", fitting)
    for memory in (None, PLENTY):
        build(pipeline, [events], tmp_path / f"{memory}.duckdb", memory, tmp_path / "spill")
    assert asked == [events.path.stat().st_size]
