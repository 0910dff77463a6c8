"""`sojourn export`: published tables as files."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command import Home, lines, shop

CONTENT = {
    "webshop": lines(shop(1, "10:00:00", kind="page_view", page="/a"), shop(2, "12:00:00"), shop(3, "10:00:00", "b")),
    "activity": lines(
        '{"event_id": "2", "action": "a", "timestamp": "02/03/2017 10:00:00", "url": "/x", "user": {"id": 1}}',
        '{"event_id": "1", "action": "a", "timestamp": "02/03/2017 10:00:00", "url": "h.example/y"}',
    ),
    "pageviews": lines('{"url": "/", "timestamp": "2018-01-02T10:00:00", "sessionId": "k", "userId": 4}'),
}


@pytest.mark.parametrize("pipeline", CONTENT)
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_all_tables_are_written_as_a_run_writes_them(home: Home, pipeline: str, file_format: str) -> None:
    """Equal to the files of `run --out`, to the byte in CSV; the files are named with their rows."""
    ran, out = home.folder / "ran", home.folder / "deep" / "out"
    report = home.run(pipeline, CONTENT[pipeline], "--out", ran, "--format", file_format)
    done = home.call("export", pipeline, "--out", out, "--format", file_format)
    assert done.status == 0, done.err
    assert {path.name for path in out.iterdir()} == {f"{name}.{file_format}" for name in report["tables"]}
    for path in out.iterdir():
        assert f"{path}: {report['tables'][path.stem]} row" in done.out
        if file_format == "csv":
            assert path.read_bytes() == (ran / path.name).read_bytes()
        else:
            assert pq.read_table(path).to_pylist() == pq.read_table(ran / path.name).to_pylist()


def test_one_table_and_the_current_folder(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table may be named; without --out the file lands here."""
    home.run("webshop", CONTENT["webshop"])
    monkeypatch.chdir(home.folder)
    assert home.call("export", "webshop", "sessions").status == 0
    assert Path("sessions.csv").read_text().count("\n") == 4
    assert not Path("session_durations_by_referrer.csv").exists()


def test_an_unknown_table_or_pipeline_is_told(home: Home) -> None:
    """With the nearest name, and nothing written."""
    home.run("webshop", CONTENT["webshop"])
    out = home.folder / "out"
    done = home.call("export", "webshop", "sesions", "--out", out)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "did you mean 'sessions'" in done.err
    assert home.call("export", "pageviews", "--out", out).status == 1
    assert not out.exists()


def test_a_folder_that_cannot_be(home: Home) -> None:
    """A file where the folder should be."""
    home.run("webshop", CONTENT["webshop"])
    file = home.path("file", b"mine")
    done = home.call("export", "webshop", "--out", file)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert file.read_bytes() == b"mine"
