"""Laws of live sessions as a source: the reader against the reference, any cut of messages, and the live road (8.7)."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.live import assemble
from sojourn.live.protocol import Incoming, Known, New, State, read, take
from sojourn.loading import load
from sojourn.reading import land, sources
from sojourn.reading.readers import in_this_process
from sojourn.reading.streams import StreamLines
from tests.laws.adapt import same_tables, shown
from tests.laws.damage import spoil
from tests.laws.effort import EFFORT, seeded, some_examples
from tests.laws.homes import Home
from tests.laws.pipelines import written
from tests.live.stream import exactly
from tests.reference.streams import Entry, Streams
from tests.reference.streams import _entries as reference_entries

LIVE = load("live")
READER = StreamLines(LIVE.events)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for homes, and no other process beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land, "in_processes", in_this_process)
        yield tmp_path_factory.mktemp("streams")


def entry(rng: Random, session: str) -> str:
    """An entry as a client of the session may write it; rarely one that its contract forbids."""
    kind = rng.choice(["EVENT"] * 8 + ["SESSION_START", "SESSION_END"])
    moment = rng.choice(["1569972082", "1569972083.5", "1569972083.500000", "1.569972084E9", "-1.5", "0"])
    known = {"timestamp": moment, "type": json.dumps(kind)}
    known |= {"name": rng.choice(['"a"', '"ä"', '"page_view"', '""'])} if kind == "EVENT" else {}
    known |= {"session_id": json.dumps(session)} if kind != "EVENT" or rng.random() < 0.1 else {}
    if rng.random() < 0.2:
        known["more"] = rng.choice(["[1,2.50]", '{"deep":{"er":null}}', '"}{"', "1e400", "null"])
    if rng.random() < 0.06:
        broken = rng.choice(
            ["17", '"x"', "null", "[]", "true", '{"a":1}', "1.0000001", "1e99", "253402300800", '"EVENT"']
        )
        known[rng.choice([*known, "name", "session_id"])] = broken
    if rng.random() < 0.03:
        known.pop(rng.choice(list(known)))
    return rng.choice(["17", "null", '"x"', "[]"]) if rng.random() < 0.01 else _object(known, rng)


def _object(known: dict[str, str], rng: Random) -> str:
    members = [f'"{key}":{value}' for key, value in known.items()]
    rng.shuffle(members)
    return f"{{{rng.choice([',', ' , ']).join(members)}}}"


def message(rng: Random, session: str, seq: object) -> bytes:
    """A message as a line."""
    entries = ",".join(entry(rng, session) for _ in range(rng.choice([1, 1, 2, 3, 5])))
    known = {"session_id": json.dumps(session), "seq": str(seq), "events": f"[{entries}]"}
    if rng.random() < 0.05:
        broken = rng.choice(["null", '"1"', "0", "1.0", "[]", '"a b"', '""', "9223372036854775808", "{}", "01"])
        known[rng.choice([*known, "extra"])] = broken
    return _object(known, rng).encode()


def check(data: bytes) -> None:
    """The reader says of every record of *data* what the reference says."""
    block = READER.read(data)
    read = [
        (row["line"], row["reason"], row["path"], shown(row["value"]), row["raw"]) for row in block.rejects.to_pylist()
    ]
    entries: Counter[Any] = Counter()
    rejects = []
    lines = data.split(b"\n")
    for number, line in enumerate(lines if lines[-1] else lines[:-1], 1):
        whole = line.removesuffix(b"\r") if number < len(lines) else line
        for found in reference_entries(whole):
            if isinstance(found, Entry):
                entries[found[:6]] += 1
            else:
                raw, rejected = found
                value = shown(rejected.value) if rejected.path != "$" else None
                rejects.append((number, rejected.reason, rejected.path, value, raw))
    read = [(*row[:3], None if row[2] == "$" else row[3], row[4]) for row in read]
    assert sorted(read, key=str) == sorted(rejects, key=str)
    names = ["occurred_at", "session_id", "seq", "position", "type", "name"]
    assert Counter(tuple(row[name] for name in names) for row in block.events.to_pylist()) == entries
    assert block.ledger.read == entries.total() + len(rejects)
    assert block.ledger.quarantined.total() == block.rejects.num_rows


def test_the_reader_says_what_the_reference_says():
    """Whole, broken and spoiled messages: the same entries, reasons, paths, values and raw texts."""
    rng, seed = seeded("streams")
    for _ in range(150 * EFFORT):
        lines = [message(rng, rng.choice("ab"), rng.randrange(1, 9)) for _ in range(20)]
        lines = [spoil(line, lines, rng).replace(b"\n", b"") if rng.random() < 0.3 else line for line in lines]
        try:
            check(b"\n".join(lines) + rng.choice([b"", b"\n", b"\r\n", b"\n\n"]))
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


OWN = """
    [source.events]
    format = "streams"
    [source.events.fields]
    session_key = "session_id"
    actor   = "user.id"
    url     = { path = "page", values = ["/a", "1"] }
    number  = { path = "more", type = "integer" }
    place   = { path = "position", type = "integer", values = [0, 1] }
    message = { path = "seq", type = "integer" }
    flag    = { path = "user.flag", type = "boolean" }
    price   = { path = "price", type = "number" }
    seen    = { path = "seen", type = "time" }
    deep    = { path = "user.a.b", required = true }
    [sessions]
    rule = "key"
"""


@pytest.mark.parametrize("strict", ["", "strict = true"])
def test_own_fields_are_read_as_the_exact_judgement_reads_them(strict, monkeypatch):
    """Whatever the fast decoder takes of an event, the slow look takes as the same value."""
    source = written("own", OWN.replace('"streams"\n', f'"streams"\n{strict}\n')).events
    rng, _ = seeded(f"own fields {strict}")
    texts = ['"/a"', '"1"', "1", "0", "-0", "1.0", "null", "true", '""', "9223372036854775808", "-9223372036854775808"]
    texts += ["123456789012345678901234567890", '"2024-01-01T00:00:00Z"', "{}", "[]", '"\\u00e4"', "1e2"]
    members = ["page", "more", "price", "seen", "seq", "position", "session_id"]
    lines = []
    for _ in range(800 * EFFORT):
        own = [f'"{name}":{rng.choice(texts)}' for name in members if rng.random() < 0.15]
        user = [f'"{name}":{rng.choice(texts)}' for name in ("id", "flag") if rng.random() < 0.5]
        user.append(rng.choice(['"a":{"b":"x"}', '"a":{"b":7}', '"a":{"b":"x"}', '"a":{}', '"a":1']))
        own.append(f'"user":{{{",".join(user)}}}' if rng.random() < 0.95 else '"user":7')
        entries = [f'{{"type":"EVENT","name":"x","timestamp":1,{",".join(own)}}}']
        lines.append(f'{{"session_id":"a","seq":{rng.randrange(1, 9)},"events":[{",".join(entries * 2)}]}}'.encode())
    data = b"\n".join(lines)
    doubted: Counter[int] = Counter()
    judge = StreamLines._judge

    def counted(reader: StreamLines, line: bytes, number: int, rows: Any) -> None:
        doubted[number] += 1
        judge(reader, line, number, rows)

    monkeypatch.setattr(StreamLines, "_judge", counted)
    fast, taken = StreamLines(source).read(data), len(lines) - len(doubted)
    monkeypatch.setattr(StreamLines, "_decode", lambda *_: False)
    slow = StreamLines(source).read(data)
    assert Counter(map(str, fast.events.to_pylist())) == Counter(map(str, slow.events.to_pylist()))
    assert fast.rejects.sort_by([("line", "ascending"), ("path", "ascending")]) == slow.rejects.sort_by(
        [("line", "ascending"), ("path", "ascending")]
    )
    assert len(lines) // 50 < taken < len(lines)


@pytest.mark.parametrize("depth", [125, 126, 127])
def test_depth_is_counted_from_the_line(depth):
    """A line holds its entries two levels deep: an entry may nest 126."""
    deep = "[" * (depth - 1) + "]" * (depth - 1)
    line = f'{{"session_id":"a","seq":1,"events":[{{"type":"EVENT","name":"x","timestamp":1,"deep":{deep}}}]}}'
    flat = ",".join(['{"type":"EVENT","name":"{[","timestamp":1}'] * 200)
    check(f'{line}\n{{"session_id":"a","seq":2,"events":[{flat}]}}\n'.encode())


@st.composite
def runs(draw) -> list[dict[str, bytes]]:
    """Messages of a few sessions, dealt to files of several runs in any order, some of them twice."""
    rng = Random(draw(st.integers(0, 1 << 32)))
    lines = [message(rng, session, seq) for session in "abc" for seq in range(1, rng.randrange(1, 7))]
    for session in "abc":  # most sessions begin as they should
        if rng.random() < 0.8:
            start = f'{{"type":"SESSION_START","timestamp":1569972082,"session_id":"{session}"}}'
            lines.append(f'{{"session_id":"{session}","seq":1,"events":[{start}]}}'.encode())
    lines += rng.sample(lines, rng.randrange(len(lines) + 1))
    lines += [b"oops", b"", b"[]"]
    rng.shuffle(lines)
    cut: list[dict[str, list[bytes]]] = [{"one": [], "two": []} for _ in range(rng.randrange(1, 4))]
    for line in lines:
        rng.choice([part for files in cut for part in files.values()]).append(line)
    return [{name: b"\n".join(part) for name, part in files.items()} for files in cut]


@some_examples(13)
@given(runs(), st.sampled_from([64, sources.UNIT]))
def test_any_cut_of_messages_gives_the_same_tables(folder, cut, unit):
    """Whatever stands in which file of which run, and in which order: tables and ledgers are the reference's."""
    home, expected = Home(folder / "cut", LIVE), Streams()
    for files in cut:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sources, "UNIT", unit)
            report = home.run(files)
        told = expected.run(*files.values())
        assert report["ledger"] == told.as_dict() | {"notes": dict(+told.notes)}
    for name, rows in expected.tables().items():
        same_tables(home.tables()[name], rows)
    whole = Home(folder / "whole", LIVE)
    whole.run({"all": b"\n".join(content for files in cut for content in files.values())})
    for name, rows in whole.tables().items():
        same_tables(home.tables()[name], rows)


@some_examples(13)
@given(st.integers(0, 1 << 32))
def test_live_and_from_a_file_a_session_is_the_same(folder, seed):
    """What the live road accepts, published from a file, is what the documents of the sessions say."""
    rng = Random(seed)
    stored: dict[str, list[bytes]] = {}
    for session in ("a", "b", "c"):
        state, kept = State(), stored.setdefault(session, [])
        for _ in range(rng.randrange(12)):
            start = f'{{"type":"SESSION_START","timestamp":1569972082,"session_id":"{session}"}}'
            entries = [start] * (rng.random() < 0.3) + [entry(rng, session) for _ in range(rng.randrange(1, 4))]
            found = read(f"[{','.join(entries)}]", session, max_bytes=1 << 20, max_entries=100)
            whole = reference_entries(f'{{"session_id":"{session}","seq":1,"events":[{",".join(entries)}]}}'.encode())
            assert isinstance(found, Incoming) == all(isinstance(one, Entry) for one in whole), (found, entries)
            if isinstance(found, Incoming):
                outcome = take(state, found, lambda _: b"")  # every message is a new one
                assert not isinstance(outcome, Known)
                if isinstance(outcome, New):
                    kept.append(found.entries)
                    state = outcome.state
    lines = [
        b'{"session_id":"%b","seq":%d,"events":%b}' % (session.encode(), seq, entries)
        for session, messages in stored.items()
        for seq, entries in enumerate(messages, 1)
    ]
    rng.shuffle(lines)
    home = Home(folder / "live", LIVE)
    report = home.run({"all": b"\n".join(lines)})
    assert report["ledger"]["quarantined"] == report["ledger"]["notes"] == {}
    expected = [_summed(session, messages) for session, messages in stored.items() if messages]
    rows = [{key: row[key] for key in expected[0]} for row in home.tables()["sessions"]] if expected else []
    assert sorted(rows, key=str) == sorted(expected, key=str)


def _summed(session: str, messages: list[bytes]) -> dict[str, Any]:
    """The row of a session, from its document."""
    document = exactly(assemble.document(messages))
    start, end, children = document["start"], document["end"], document["children"]
    return {
        "session_id": session,
        "started_at": int(start * 10**6),
        "ended_at": None if end is None else int(end * 10**6),
        "duration_seconds": None if end is None else float(end - start),
        "events": len(children),
        "status": "open" if end is None else "ended",
        "distinct_names": len({child["name"] for child in children}),
    }
