"""Tables over HTTP: pages, files, and what keeps them apart."""

import io
import json
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from sojourn import export, show
from tests.service.serving import serving
from tests.service.shops import publish_visits
from tests.store.places import Place


def whole(client: httpx.Client, path: str, limit: int) -> list[dict[str, Any]]:
    """All rows, page by page; every page but the last is full."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        asked: dict[str, str | int] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        page = client.get(path, params=asked).raise_for_status().json()
        assert len(page["rows"]) == limit or page["next"] is None
        rows += page["rows"]
        if (cursor := page["next"]) is None:
            return rows


def tables(client: httpx.Client) -> list[tuple[str, str]]:
    """Every published table."""
    return [(row["pipeline"], row["table"]) for row in client.get("/v1/tables").json()]


def test_tables_are_listed(client: httpx.Client, published: Place) -> None:
    """All of them as the command lists them; those of one pipeline."""
    listed = published.call("tables", "--json").json
    assert client.get("/v1/tables").json() == listed
    assert client.get("/v1/tables/webshop").json() == [row for row in listed if row["pipeline"] == "webshop"]


def test_a_row_is_what_was_published(client: httpx.Client) -> None:
    """Text, integers, doubles, booleans, instants and nulls as JSON has them."""
    page = client.get("/v1/tables/webshop/sessions", params={"limit": 2}).json()
    assert (page["pipeline"], page["table"]) == ("webshop", "sessions")
    assert page["run_id"] == client.get("/v1/tables/webshop").json()[0]["run_id"]
    second = page["rows"][1]
    assert len(second.pop("session_id")) == 32
    assert second == {
        "actor": "user-1", "session_number": 2,
        "started_at": "2024-03-02T09:00:00.000000Z", "ended_at": "2024-03-02T09:20:00.000000Z",
        "duration_seconds": 1200.0, "events": 2, "page_views": 1, "orders": 1, "converted": True, "bounced": True,
        "referrer": None, "landing_page": None, "exit_page": None,
        "suspect": False,
    }  # fmt: skip


def test_pages_give_every_row_once(client: httpx.Client, published: Place) -> None:
    """Whatever their size, pages of any table together are its rows in the order of its files."""
    for pipeline, table in tables(client):
        with published.open().reading(pipeline) as reading:
            columns = reading.query(f"select * from {table} limit 0").read_all().column_names
            order = export.order(table, columns)
            expected = json.loads(show.dumps(reading.table(pipeline, table, order).read_all().to_pylist()))
        for limit in {len(expected) // 3 + 1, max(1, len(expected)), 10_000}:
            assert whole(client, f"/v1/tables/{pipeline}/{table}", limit) == expected, table


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_is_what_export_writes(client: httpx.Client, published: Place, tmp_path: Path, form: str) -> None:
    """Every table of every pipeline, byte by byte, with the pipeline's own conventions in CSV."""
    for pipeline, table in tables(client):
        done = published.call("export", pipeline, table, "--out", tmp_path, "--format", form)
        assert done.status == 0, done.err
        answer = client.get(f"/v1/tables/{pipeline}/{table}", params={"format": form})
        expected = (tmp_path / f"{table}.{form}").read_bytes()
        if form == "csv":
            assert answer.content == expected, table
            assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        else:
            assert pq.read_table(io.BytesIO(answer.content)).equals(pq.read_table(io.BytesIO(expected))), table
            assert answer.headers["content-type"] == "application/vnd.apache.parquet"
        assert answer.headers["content-length"] == str(len(answer.content))
        assert f'filename="{table}.{form}"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.9", "application/json"),
        ("application/json;q=0, text/csv", "text/csv; charset=utf-8"),
        ("text/csv;q=often", "application/json"),
        ("image/png", "application/json"),
        ("text/*", "text/csv; charset=utf-8"),
    ],
)
def test_the_header_accept_chooses_the_format(client: httpx.Client, accept: str, kind: str) -> None:
    """By weight, then by order; JSON where it names nothing of ours. `format` is stronger."""
    path = "/v1/tables/webshop/session_durations_by_referrer"
    assert client.get(path, headers={"Accept": accept}).headers["content-type"] == kind
    assert (
        client.get(path, headers={"Accept": accept}, params={"format": "csv"}).headers["content-type"][:8] == "text/csv"
    )


def test_a_filtered_file_holds_the_rows_that_are_let_through(client: httpx.Client) -> None:
    """Filters hold for files as for pages."""
    text = client.get(
        "/v1/tables/webshop/sessions", params={"format": "csv", "actor": "user-2", "events.gte": "3"}
    ).text
    header, *rows = text.splitlines()
    assert header.startswith("session_id,actor,")
    assert [row.split(",")[1:3] for row in rows] == [["user-2", "1"]]


def test_pages_are_for_json_alone(client: httpx.Client) -> None:
    """A file is the whole: a limit or a cursor there is refused, not forgotten."""
    for asked in ({"limit": "5"}, {"cursor": "x"}):
        answer = client.get("/v1/tables/webshop/sessions", params={"format": "csv", **asked})
        assert (answer.status_code, answer.json()["path"]) == (400, f"$.query.{next(iter(asked))}")


@pytest.mark.parametrize(
    ("path", "code", "hint"),
    [
        ("/v1/tables/webshop/sesions", "unknown_table", "did you mean 'sessions'?"),
        ("/v1/tables/webshp/sessions", "unknown_pipeline", "did you mean 'webshop'?"),
        ("/v1/tables/webshp", "unknown_pipeline", "did you mean 'webshop'?"),
        ("/v1/tables/sojourn/runs", "unknown_pipeline", ""),
        ("/v1/tables/webshop/sessions%22%20union%20select%201--", "unknown_table", ""),
        ("/v1/tables/web%22shop/sessions", "unknown_pipeline", ""),
        ("/v1/tables/web%00shop/sessions", "unknown_pipeline", ""),
        ("/v1/tables/webshop/sessions%00", "unknown_table", ""),
    ],
)
def test_what_is_not_there_is_404(client: httpx.Client, path: str, code: str, hint: str) -> None:
    """Unknown names, with a suggestion where one is close."""
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert hint in answer.json()["message"]
    assert answer.json()["path"] == f"$.path.{code.removeprefix('unknown_')}"


def test_nothing_published_is_an_empty_list_and_404_below(fresh: Place) -> None:
    """The list of tables is empty; a ready pipeline's tables say how to begin."""
    with serving(fresh.open()) as client:
        assert client.get("/v1/tables").json() == []
        for path in ("/v1/tables/webshop", "/v1/tables/webshop/sessions"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_published")


@pytest.mark.parametrize("cursor", ["x", "", "WyJ4Il0", "W10", "bnVsbA", "WyJ4IiwgMV0=%00", "\u00e9", "WzEsIDFd"])
def test_a_made_up_cursor_is_refused(client: httpx.Client, cursor: str) -> None:
    """A cursor that we did not give is 400, whatever it holds."""
    answer = client.get("/v1/tables/webshop/sessions", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def test_a_new_run_ends_the_pages_of_the_one_before(fresh: Place, tmp_path: Path) -> None:
    """A cursor of a table that was published anew is 410, as is said; tags change with the run."""
    publish_visits(fresh, tmp_path)
    with serving(fresh.open()) as client:
        path = "/v1/tables/webshop/sessions"
        page = client.get(path, params={"limit": 4})
        tag = page.headers["etag"]
        assert client.get(path, params={"limit": 4}, headers={"If-None-Match": tag}).status_code == 304
        (tmp_path / "more.jsonl").write_bytes(b"\n")  # nothing else, but another run
        fresh.run("webshop", tmp_path / "more.jsonl")
        gone = client.get(path, params={"limit": 4, "cursor": page.json()["next"]})
        assert (gone.status_code, gone.json()["code"]) == (410, "begin_again")
        assert client.get(path, params={"limit": 4}, headers={"If-None-Match": tag}).status_code == 200
