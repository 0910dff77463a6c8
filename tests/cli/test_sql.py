"""`sojourn sql` reads the published tables and nothing else; `sojourn tables` lists them."""

import csv
import io
import json

import pytest

from tests.command import Home, lines, shop, sojourn

ROWS = lines(shop(1, "10:00:00", "a"), shop(2, "10:00:30.5", "a"), shop(3, "10:00:00", 'b,"ü"'), "broken")


@pytest.fixture
def shop_home(home: Home) -> Home:
    """A home with a run of the webshop."""
    home.run("webshop", ROWS)
    return home


def test_json_is_a_list_of_rows(shop_home: Home) -> None:
    """Numbers, booleans, instants and nulls have their JSON forms."""
    query = (
        "select actor, events, duration_seconds, converted, referrer, started_at from webshop.sessions order by actor"
    )
    assert shop_home.rows(query) == [
        {
            "actor": "a", "events": 2, "duration_seconds": 30.5, "converted": False,
            "referrer": None, "started_at": "2022-03-01T10:00:00.000000Z",
        },
        {
            "actor": 'b,"ü"', "events": 1, "duration_seconds": 0.0, "converted": False,
            "referrer": None, "started_at": "2022-03-01T10:00:00.000000Z",
        },
    ]  # fmt: skip


def test_csv_has_a_header_and_every_row(shop_home: Home) -> None:
    """Fields are quoted where they must be; null is empty."""
    done = shop_home.call("sql", "select actor, events, referrer, started_at from webshop.sessions order by 1", "--csv")
    rows = list(csv.reader(io.StringIO(done.out)))
    assert rows == [
        ["actor", "events", "referrer", "started_at"],
        ["a", "2", "", "2022-03-01T10:00:00.000000Z"],
        ['b,"ü"', "1", "", "2022-03-01T10:00:00.000000Z"],
    ]


def test_a_table_for_a_person_says_how_many_rows(shop_home: Home) -> None:
    """Long results are cut on the screen, never in --json or --csv."""
    done = shop_home.call("sql", "select range as n from range(100)")
    assert "100 rows" in done.err
    assert len(shop_home.rows("select range as n from range(100)")) == 100
    assert shop_home.call("sql", "select range as n from range(100)", "--csv").out.count("\n") == 101


def test_numbers_that_json_lacks_are_null(shop_home: Home) -> None:
    """NaN and infinity would make the output no JSON."""
    assert shop_home.rows("select 'nan'::double as a, [1 / 0.0] as b, 1.5 as c") == [{"a": None, "b": [None], "c": 1.5}]


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from webshop.sessions",
        "from webshop.sessions",
        "with s as (from webshop.sessions) select * from s;",
        "describe webshop.sessions",
        "show all tables",
        "summarize webshop.sessions",
        "explain select * from webshop.sessions",
        "values (1)",
        "select * from sojourn.runs",
        "select * from sojourn.quarantine",
        "select s.actor, q.line from webshop.sessions s, sojourn.quarantine q",
    ],
)
def test_every_way_of_reading_works(shop_home: Home, query: str) -> None:
    """One statement that reads."""
    assert len(shop_home.rows(query)) >= 1


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('SECRET')",
        "select * from read_text('SECRET')",
        "select * from read_blob('SECRET')",
        "select * from read_json('SECRET')",
        "select * from read_parquet('HOME/events/**/*.parquet')",
        "select * from 'SECRET'",
        "select * from glob('/*')",
        "select * from sniff_csv('SECRET')",
        "select * from parquet_metadata('HOME/events/x.parquet')",
        "copy webshop.sessions to 'HOME/leak.csv'",
        "copy (select 1) to 'HOME/leak.csv'",
        "export database 'HOME/leak'",
        "attach 'HOME/leak.duckdb' as leak",
        "attach 'SECRET' as leak",
        "detach webshop",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "reset lock_configuration",
        "pragma enable_profiling",
        "install httpfs",
        "load httpfs",
        "create table webshop.t as select 1",
        "create temp table t as select 1",
        "create or replace view sojourn.runs as select 1",
        "drop table webshop.sessions",
        "delete from webshop.sessions",
        "update webshop.sessions set actor = 'x'",
        "insert into webshop.sessions select * from webshop.sessions",
        "insert into sojourn.runs select * from sojourn.runs",
        "truncate webshop.sessions",
        "explain analyze delete from webshop.sessions",
        "explain analyze create table t as select 1",
        "select 1; drop table webshop.sessions",
        "select 1; select 2",
        "begin",
        "checkpoint",
        "use webshop",
        "",
        ";",
        "-- nothing",
    ],
)
def test_nothing_else_is_allowed(shop_home: Home, query: str) -> None:
    """No files, no other databases, no settings, no changes, no second statement; one sentence says so."""
    secret = shop_home.path("secret.csv", "top,secret\n1,2\n")
    query = query.replace("SECRET", str(secret)).replace("HOME", str(shop_home.folder / "home"))
    done = sojourn("sql", "--json", "--home", shop_home.folder / "home", "--", query)
    assert (done.status, done.out) == (2, ""), done.err
    assert done.err.count("\n") == 1
    assert not list(shop_home.folder.rglob("leak*"))
    assert len(shop_home.rows("select * from webshop.sessions")) == 2


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("selec 1", ["syntax error", "selec"]),
        ("select evnts from webshop.sessions", ["evnts", "events"]),
        ("select * from webshop.session", ["session", "Did you mean"]),
        ("select * from pageviews.sessions", ["pageviews"]),
        ("select actor::integer from webshop.sessions", ["Conversion Error", "INT32"]),
        ("select ?", ["parameter"]),
    ],
)
def test_a_query_with_a_mistake(shop_home: Home, query: str, words: list[str]) -> None:
    """What the database says, on one line, with its suggestion."""
    done = shop_home.call("sql", query)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    for word in words:
        assert word in done.err


def test_runs_and_quarantine_can_be_read_before_anything_is_published(home: Home) -> None:
    """They are there, and empty."""
    assert home.rows("select * from sojourn.runs") == []
    assert home.rows("select * from sojourn.quarantine") == []


def test_quarantine_holds_the_raw_bytes(home: Home) -> None:
    """Byte for byte, also where they are no text."""
    raw = b'{"id": 1, "caf\xe9\x00'
    home.run("webshop", raw)
    assert home.rows("select hex(raw) as raw, line, reason, path, value, pipeline, source from sojourn.quarantine") == [
        {
            "raw": raw.hex().upper(), "line": 1, "reason": "invalid_utf8", "path": "$", "value": None,
            "pipeline": "webshop", "source": "events",
        }
    ]  # fmt: skip


def test_tables_lists_what_is_published(home: Home) -> None:
    """Pipeline, table, rows and the run; before the first run it says how to begin."""
    assert "sojourn run" in home.call("tables").out
    assert home.call("tables", "--json").json == []
    report = home.run("webshop", ROWS)
    assert home.call("tables", "--json").json == [
        {"pipeline": "webshop", "table": "sessions", "rows": 2, "run_id": report["run_id"]},
        {"pipeline": "webshop", "table": "session_durations_by_referrer", "rows": 1, "run_id": report["run_id"]},
        {"pipeline": "webshop", "table": "referrer_differences", "rows": 1, "run_id": report["run_id"]},
    ]
    assert "session_durations_by_referrer" in home.call("tables").out


def test_the_report_of_a_run_is_in_runs(shop_home: Home) -> None:
    """As JSON, with the ledger of every file."""
    (report,) = shop_home.values("select report from sojourn.runs")
    ledger = json.loads(report)["files"][0]
    assert (ledger["read"], ledger["quarantined"]) == (4, {"invalid_json": 1})
