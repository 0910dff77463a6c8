"""The service answers all the while: runs publish, old snapshots go, the database restarts."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sojourn.errors import UsageError
from sojourn.store.base import KEPT_RUNS
from sojourn.store.readings import Limits
from tests import postgres
from tests.command import shop, write
from tests.service.serving import serving
from tests.service.shops import ORDERS, publish_visits
from tests.store.places import Place

_PATHS = (
    "/metrics/orders",
    "/v1/tables/webshop/sessions",
    "/v1/tables/webshop/sessions?format=csv",
    "/v1/tables/webshop/session_durations_by_referrer?format=parquet",
    "/v1/runs",
    "/v1/quarantine",
)


@contextmanager
def hammered(url: str, path: str, failed: list[str], seen: list[int]) -> Iterator[None]:
    """Ask for *path* without a pause meanwhile; *failed* gets what was not answered well, *seen* a count."""
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not stop.is_set():
                answer = client.get(path)
                seen.append(answer.status_code)
                if answer.status_code != 200:
                    failed.append(f"{path}: {answer.status_code} {answer.text}")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        stop.set()
        asking.join()


def test_a_new_run_is_seen_at_once_and_no_request_fails(fresh: Place, tmp_path: Path) -> None:
    """While clients ask without a pause, each run's row is there as soon as the run has ended; runs come often enough
    for the first snapshots to be removed."""
    source = tmp_path / "events.jsonl"
    fresh.run("webshop", write(source, shop(0, "09:00:00", "c0")))
    failed: list[str] = []
    counts: list[list[int]] = [[] for _ in _PATHS]
    with serving(fresh.open()) as client:
        url = str(client.base_url)
        asking = [hammered(url, path, failed, seen) for path, seen in zip(_PATHS, counts, strict=True)]
        for each in asking:
            each.__enter__()
        try:
            for number in range(1, KEPT_RUNS + 5):
                report = fresh.run("webshop", write(source, shop(number, "09:00:00", f"c{number}")))
                page = client.get("/v1/tables/webshop/sessions").json()
                assert page["run_id"] == report["run_id"]
                assert [row["actor"] for row in page["rows"]] == [f"c{at}" for at in range(number + 1)]
                assert client.get("/v1/runs").json()["runs"][0]["run_id"] == report["run_id"]
        finally:
            for each in asking:
                each.__exit__(None, None, None)
    assert failed == []
    assert all(len(seen) > 5 for seen in counts), counts


def test_a_page_is_of_one_run(fresh: Place, tmp_path: Path) -> None:
    """However runs and requests meet, the run named in a page is the one whose rows it holds."""
    source = tmp_path / "events.jsonl"
    runs: dict[str, int] = {}
    fresh_run = fresh.run("webshop", write(source, shop(0, "09:00:00", "c0")))
    runs[fresh_run["run_id"]] = 1
    pages: list[tuple[str, int]] = []
    stop = threading.Event()
    with serving(fresh.open()) as client:

        def ask() -> None:
            with httpx.Client(base_url=client.base_url) as other:
                while not stop.is_set():
                    page = other.get("/v1/tables/webshop/sessions").json()
                    pages.append((page["run_id"], len(page["rows"])))

        asking = threading.Thread(target=ask)
        asking.start()
        for number in range(1, 6):
            report = fresh.run("webshop", write(source, shop(number, "09:00:00", f"c{number}")))
            runs[report["run_id"]] = number + 1
        stop.set()
        asking.join()
    assert {(run, runs[run]) for run, _ in pages} == set(pages)
    assert len(set(pages)) > 2


def test_the_service_outlives_a_restart_of_the_database(tmp_path: Path) -> None:
    """While it is away requests are told so (503); as soon as it is back they are answered."""
    with postgres.running() as server:
        place = Place(tmp_path / "home", server.database())
        publish_visits(place, tmp_path)
        with serving(place.open()) as client:
            assert client.get("/metrics/orders").json() == ORDERS
            server.crash()
            for path in _PATHS:
                answer = client.get(path)
                assert answer.status_code == 503, path
                assert answer.headers["retry-after"]
                assert postgres.PASSWORD not in answer.text
            server.start()
            for path in _PATHS:
                assert client.get(path).status_code == 200, path


def test_readings_share_what_is_open_and_close_it_at_the_end(fresh: Place, tmp_path: Path) -> None:
    """Within `kept_open` a second reading opens nothing; the first snapshot is let go of when nobody reads it."""
    publish_visits(fresh, tmp_path)
    store = fresh.open()
    sql = "select count(*) as n from webshop.sessions"
    with store.kept_open(Limits()):
        with store.reading() as outer, store.reading("webshop") as inner:
            assert outer.query(sql).read_all().to_pylist() == inner.query(sql).read_all().to_pylist() == [{"n": 6}]
        times = []
        for _ in range(5):
            began = time.perf_counter()
            with store.reading("webshop"):
                times.append(time.perf_counter() - began)
        assert min(times) < 0.01  # opening anew takes longer, in both stores
    with store.query(sql) as reader:
        assert reader.read_all().to_pylist() == [{"n": 6}]


def test_a_snapshot_is_read_to_its_end_after_another_took_its_place(tmp_path: Path) -> None:
    """Who began to read goes on with what was there then, also when the file is gone."""
    place = Place(tmp_path / "home")
    source = tmp_path / "events.jsonl"
    store = place.open()
    place.run("webshop", write(source, shop(0, "09:00:00", "c0")))
    sql = "select count(*) as n from webshop.sessions"
    with store.kept_open(Limits()), store.reading() as old:
        for number in range(1, KEPT_RUNS + 2):
            place.run("webshop", write(source, shop(number, "09:00:00", f"c{number}")))
            with store.query(sql) as fresh_rows:
                assert fresh_rows.read_all().to_pylist() == [{"n": number + 1}]
        assert len(list((place.home / "warehouse" / "webshop").glob("*.duckdb"))) == KEPT_RUNS
        assert old.query(sql).read_all().to_pylist() == [{"n": 1}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded home in which the visits are published."""
    folder = tmp_path_factory.mktemp("locked")
    publish_visits(Place(folder / "home"), folder)
    return folder / "home"


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/hostname')",
        "from glob('/*')",
        "copy webshop.sessions to 'x.csv'",
        "create table memory.main.x as select 1",
        "set threads = 8",
        "attach 'x.duckdb'",
        "explain analyze create table memory.main.x as select 1",
    ],
)
def test_what_is_kept_open_stays_locked(home: Path, sql: str) -> None:
    """A reading of the service reaches the published tables and nothing else, like any other."""
    store = Place(home).open()
    with store.kept_open(Limits()):
        for _ in range(2):
            with (
                pytest.raises(UsageError, match=r"only one SELECT|outside the published|not run"),
                store.query(sql) as rows,
            ):
                rows.read_all()
        with store.query("select current_setting('TimeZone') as zone") as rows:
            assert rows.read_all().to_pylist() == [{"zone": "UTC"}]
