"""What a pipeline file may say of servers and fleets, and the sentence for each mistake."""

from __future__ import annotations

import pytest

from sojourn import charts
from sojourn.loading import ready_pipelines
from sojourn.store.embedded import Embedded
from tests.command import Home, lines, sojourn

TEXT = ready_pipelines()["devices"].text


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[source.servers]", "[source.server]", "source.server: unknown source, did you mean 'servers'?"),
        ("classes = [1, 3,", "classes = [3, 1,", "fleet.classes: the least devices of each class, ascending from 1"),
        ("classes = [1, 3,", "classes = [2, 3,", "fleet.classes: the least devices of each class, ascending from 1"),
        ("classes = [1, 3, 10, 100, 1000]", "classes = []", "fleet.classes: the least devices"),
        ("window_days = 28", "window_days = 0", "fleet.window_days: a window has 1 to 3660 days"),
        ("window_days = 28", "window = 28", "fleet.window: unknown key, did you mean 'window_days'?"),
        ("[source.servers]", '[source.servers]\ndedupe = "off"', "source.servers.dedupe: servers are always merged"),
        ("[tables.presence]", "", "tables.fleet_daily: is made from the table presence; add [tables.presence]"),
        ('destroyed_at = "destroyed_at" ', "", "source.servers.fields: the field destroyed_at is needed"),
        ('created_at   = "created_at"', 'created_at = "created_at"\nowner = "owner"', "fields.owner: unknown field"),
        ('id           = { type = "integer"', 'id = { type = "text"', "its type is that of the events' server_id"),
        ('connected   = { type = "boolean"', 'connected = { type = "text"', "fields.connected: its type is boolean"),
        ('user_id     = { type = "integer", required = true }', 'user_id = { type = "integer" }', "required = true"),
        ("device_id   = {", "devices = {", "tables.presence: needs the field device_id"),
    ],
)
def test_mistakes_are_told_in_one_sentence(home: Home, before: str, after: str, said: str) -> None:
    """With the place in the file."""
    assert before in TEXT
    path = home.path("mine.toml", TEXT.replace(before, after))
    done = sojourn("check", path, f"events={home.path('e.csv')}")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert said in done.err


def test_presence_needs_a_list_of_servers(home: Home) -> None:
    """Which may be empty, but must be declared."""
    text = TEXT[: TEXT.index("[source.servers]")] + TEXT[TEXT.index("[fleet]") :]
    done = sojourn("check", home.path("mine.toml", text), home.path("e.csv"))
    assert (done.status, "needs the list of servers: [source.servers]" in done.err) == (2, True)


def test_classes_and_window_are_settings(home: Home) -> None:
    """Classes are named after their bounds; a window of one day counts what the day counts."""
    text = TEXT.replace("[1, 3, 10, 100, 1000]", "[1, 2, 4]").replace("window_days = 28", "window_days = 1")
    events = [f"2024-05-0{day} 10:00:00,{device},{user},1,t" for day, device, user in DEVICES]
    done = home.call("run", home.path("mine.toml", text), f"events={home.path('e.csv', lines(*events))}", "--json")
    assert done.status == 0, done.err
    daily = home.rows("select day, fleet_size, devices from mine.fleet_daily where devices > 0 order by 1, 2")
    assert [(row["day"], row["fleet_size"], row["devices"]) for row in daily] == [
        ("2024-05-01", "1", 1),
        ("2024-05-01", "2-3", 2),
        ("2024-05-01", "4+", 4),
    ]
    rolling = home.rows("select day, fleet_size, devices from mine.fleet_rolling_28d where devices > 0 order by 1, 2")
    assert rolling == daily
    assert charts.window_days(Embedded(home.folder / "home"), "mine") == 1  # what its chart says


DEVICES = [(1, 1, 7), (1, 2, 8), (1, 3, 8), *[(1, device, 9) for device in (4, 5, 6, 7)]]
"""Day, device, user."""


def test_clocks_that_go_back_over_midnight(home: Home) -> None:
    """In Newfoundland 7 November 2010 began, and one minute later it was 6 November again: both days count."""
    text = f'bucket_timezone = "America/St_Johns"\n{TEXT}'
    events = ["2010-11-07 02:30:30Z,1,1,1,t", "2010-11-07 03:00:00Z,1,1,1,f"]
    done = home.call("run", home.path("mine.toml", text), f"events={home.path('e.csv', lines(*events))}", "--json")
    assert done.status == 0, done.err
    daily = home.rows("select day, devices from mine.fleet_daily order by day")
    assert daily == [{"day": "2010-11-06", "devices": 1}, {"day": "2010-11-07", "devices": 1}]
