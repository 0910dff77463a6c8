"""Pipelines of streams: what goes together, and what is refused in a sentence."""

from __future__ import annotations

import gzip

import pytest

from tests.command import Home, lines

EVENTS = '[source.events]\nformat = "streams"\n'
LINES = '[source.events.fields]\noccurred_at = "at"\nname = "what"\n'
MARKERS = '[sessions]\nrule = "markers"\n'
SERVERS = "id = 'id'\ncreated_at = 'c'\ndestroyed_at = 'd'\n"
VISIT = (
    '{"session_id":"a","seq":1,"events":[{"type":"SESSION_START","session_id":"a","timestamp":1},'
    '{"type":"EVENT","name":"x","timestamp":2,"who":{"id":"u"}},{"type":"SESSION_END","session_id":"a","timestamp":3}]}'
)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (EVENTS + 'dedupe = "record"\n' + MARKERS, "source.events.dedupe", "its position"),
        (EVENTS + 'schema = "x.json"\n' + MARKERS, "source.events.schema", "jsonl"),
        (EVENTS + 'drop = ["anonymous"]\n' + MARKERS, "source.events.drop", "actor"),
        (EVENTS + '[source.events.fields]\noccurred_at = "at"\n' + MARKERS, "occurred_at", "every source of streams"),
        (EVENTS + '[source.events.fields]\nname = "what"\n' + MARKERS, "fields.name", "every source of streams"),
        (EVENTS + '[source.events.fields]\nposition = "x"\n' + MARKERS, "fields.position", "every source of streams"),
        (EVENTS + '[source.events.fields]\nevent_id = "id"\n' + MARKERS, "fields.event_id", "by their place"),
        (EVENTS + '[source.events.fields]\nurl = { path = "u", type = "number" }\n' + MARKERS, "fields.url", "text"),
        (EVENTS, "tables", "nothing to publish"),
        (EVENTS + "[tables.sessions]", "tables.sessions", "needs [sessions]"),
        (EVENTS + '[sessions]\nrule = "gap"', "sessions", "need the field actor"),
        (EVENTS + '[sessions]\nrule = "key"', "sessions", "need the field session_key"),
        (EVENTS + MARKERS + 'goal = "buy"', "sessions.goal", "by gap or by key"),
        (EVENTS + MARKERS + 'own_hosts = ["a"]', "sessions.own_hosts", "by gap or by key"),
        (EVENTS + MARKERS + "[tables.sessions]\n[tables.session_durations_by_referrer]", "by_referrer", "no referrer"),
        (EVENTS + MARKERS + "[tables.pages]", "tables.pages", "needs the field url"),
        (EVENTS + MARKERS + "[tables.user_activity]", "tables.user_activity", "needs the field actor"),
        (EVENTS + MARKERS + "[tables.presence]", "tables.presence", "not from streams"),
        (LINES + MARKERS, "sessions.rule", 'format = "streams"'),
        (LINES + "[tables.event_counts]", "tables.event_counts", 'format = "streams"'),
        (
            EVENTS + '[source.servers]\nformat = "streams"\n[source.servers.fields]\n' + SERVERS + MARKERS,
            "source.servers",
            "streams",
        ),
    ],
)
def test_what_does_not_go_together(home: Home, text: str, where: str, what: str) -> None:
    """Told with its place, before anything is read."""
    done = home.call("run", home.path("own.toml", text), home.path("x.jsonl", lines(VISIT)))
    assert done.status == 2
    assert where in done.err
    assert what in done.err
    assert not (home.folder / "home").exists()


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_streams_are_json_lines(home: Home, ending: str) -> None:
    """A file that is something else by its name is refused."""
    done = home.call("run", "live", home.path(f"x{ending}", lines(VISIT)))
    assert (done.status, "[streams_format]" in done.err) == (2, True)


def test_streams_come_as_other_files_do(home: Home) -> None:
    """Through a pipe, packed, in a folder, with CRLF and a byte-order mark."""
    assert home.call("run", "live", "-", stdin=lines(VISIT)).status == 0
    home.path("folder/a.ndjson", b"\xef\xbb\xbf" + VISIT.replace('"a"', '"b"').encode() + b"\r\n\r\n")
    home.path("folder/b.log.gz", gzip.compress(VISIT.encode()))
    home.path("folder/c.csv", b"not,ours\n")
    done = home.process("run", "live", home.folder / "folder", "--json")
    assert [(one["read"], one["blank"]) for one in done.json["files"]] == [(3, 1), (3, 0)]
    assert (done.json["ledger"]["accepted"], done.json["ledger"]["duplicate"]) == (3, 3)
    assert home.values("select session_id from live.sessions order by session_id") == ["a", "b"]


def test_another_way_of_reading_is_refused(home: Home) -> None:
    """Kept files bind a pipeline to the way in which they were read."""
    first, second = EVENTS + MARKERS, EVENTS + '[source.events.fields]\nactor = "who.id"\n[sessions]\nrule = "gap"\n'
    own = home.path("own.toml", first)
    home.run(own, lines(VISIT))
    own.write_text(second)
    refused = home.call("run", own, home.path("y.jsonl", lines(VISIT)))
    assert (refused.status, "[reading_changed]" in refused.err) == (2, True)
    done = home.call("run", own, home.path("y.jsonl", lines(VISIT)), "--mode", "replace")
    assert done.status == 0, done.err
    assert home.rows("select actor, events from own.sessions") == [{"actor": "u", "events": 1}]


def test_charts_of_live_sessions_are_none(home: Home) -> None:
    """A run that also draws leaves out what needs page views."""
    done = home.call("run", "live", home.path("x.jsonl", lines(VISIT)), "--chart", "--out", home.folder, "--json")
    assert (done.status, done.json["charts"]) == (0, [])
