"""Records, events, and where every record ends."""

import json
from typing import Any

import pyarrow.csv
import pyarrow.parquet
import pytest

from sojourn import loading
from sojourn.errors import SojournError
from sojourn.ledger import REASONS, Ledger
from sojourn.loading import ready_pipelines
from tests.command import Home, lines, shop, sojourn

TILLS = """
[source.events.fields]
event_id    = { path = "nr", type = "integer" }
occurred_at = "at"
actor       = "till"
price       = { path = "price", type = "number" }
paid        = { path = "paid", type = "boolean" }
note        = "note"

[sessions]
rule = "gap"
"""
GATES = """
[source.events]
format = "csv"
dedupe = "off"

[source.events.fields]
occurred_at = "at"
actor       = "card"
open        = { path = "open", type = "boolean" }
weight      = { path = "weight", type = "number" }

[sessions]
rule = "gap"
"""


def ends(ledger: dict[str, Any]) -> int:
    """Accepted, duplicate, dropped and quarantined records together."""
    sums = sum(ledger["dropped"].values()) + sum(ledger["quarantined"].values())
    return int(ledger["accepted"] + ledger["duplicate"] + sums)


def test_1_1_ledger_balances_per_file_and_per_run(home: Home) -> None:
    """Every record read ends in exactly one place; blank lines and notes are counted beside."""
    one = home.path(
        "one.jsonl",
        lines(shop(1, "10:00:00"), "", shop(1, "10:00:00"), shop(2, "10:01:00", None), "{", shop(3, "nope")),
    )
    two = home.path("two.jsonl", lines(shop(1, "10:00:01"), " ", shop(4, "10:02:00"), shop(4, "10:02:00", "")))
    done = home.process("run", "webshop", one, two, "--json")
    first, second = done.json["files"]
    whole = done.json["ledger"]
    assert whole == {
        "read": 8,
        "blank": 2,
        "accepted": 2,
        "duplicate": 2,
        "dropped": {"anonymous": 2},
        "quarantined": {"invalid_json": 1, "bad_time": 1},
        "notes": {"conflicting": 1},
    }
    assert (first["read"], first["blank"], ends(first)) == (5, 1, 5)
    assert (second["read"], second["blank"], ends(second)) == (3, 1, 3)
    assert ends(whole) == whole["read"]


@pytest.mark.parametrize("wrong", [Ledger(read=2, accepted=1), Ledger(read=1, accepted=2, duplicate=-1)])
def test_1_1_ledger_that_does_not_balance_fails(wrong: Ledger) -> None:
    """A sum that does not come to what was read is an error, also where the ends only balance by a minus."""
    with pytest.raises(SojournError, match="does not balance"):
        wrong.check("the run")


def test_1_2_contract_comes_before_drop_rules_and_they_before_dedupe(home: Home) -> None:
    """A broken anonymous record is quarantined; an anonymous copy of an event is dropped, no duplicate."""
    report = home.run(
        "webshop",
        lines(shop(1, "10:00:00"), shop(1, "10:00:00", None), shop(1, "10:00:00", None, "search", page=False)),
    )
    ledger = report["ledger"]
    assert (ledger["accepted"], ledger["duplicate"]) == (1, 0)
    assert (ledger["dropped"], ledger["quarantined"]) == ({"anonymous": 1}, {"bad_type": 1})


def test_1_2_reasons_are_a_closed_set_in_this_order() -> None:
    """No other reason exists, and a record gets the first of them that holds."""
    assert REASONS == (
        "too_large",
        "invalid_utf8",
        "invalid_json",
        "not_an_object",
        "bad_row",
        "missing_field",
        "bad_type",
        "bad_time",
        "unknown_value",
        "schema",
    )


def test_1_2_a_record_gets_the_first_reason_that_holds(home: Home) -> None:
    """Each line breaks two rules; the earlier reason is told, with its own path."""
    own = home.path(
        "two.toml",
        """
        [source.events]
        max_record = "128B"
        schema = "two.json"
        [source.events.fields]
        event_id    = "id"
        kind        = { path = "kind", values = ["a"] }
        occurred_at = "at"
        size        = { path = "size", type = "integer", required = true }
        actor       = "who"
        [sessions]
        rule = "gap"
        """,
    )
    home.path("two.json", '{"properties": {"who": {"maxLength": 1}}}')
    at = '"at":"2022-03-01T10:00:00"'
    broken = [
        b"\xff" * 129,
        b'{"id":"\xff',
        b'{"id":1]',
        b'["id"]',
        b'{"id":true,"kind":"z","at":"x","who":"ww"}',
        b'{"id":"1","kind":"z","at":"x","size":5.5,"who":"ww"}',
        b'{"id":"1","kind":"z","at":"x","size":1,"who":"ww"}',
        f'{{"id":"1","kind":"z",{at},"size":1,"who":"ww"}}'.encode(),
        f'{{"id":"1","kind":"a",{at},"size":1,"who":"ww"}}'.encode(),
    ]
    home.run(own, b"\n".join(broken))
    assert home.rows("select reason, path from sojourn.quarantine order by line") == [
        {"reason": "too_large", "path": "$"},
        {"reason": "invalid_utf8", "path": "$"},
        {"reason": "invalid_json", "path": "$"},
        {"reason": "not_an_object", "path": "$"},
        {"reason": "missing_field", "path": "$.size"},
        {"reason": "bad_type", "path": "$.size"},
        {"reason": "bad_time", "path": "$.at"},
        {"reason": "unknown_value", "path": "$.kind"},
        {"reason": "schema", "path": "#/properties/who/maxLength"},
    ]


def test_1_2_nesting_of_128_stays_and_129_is_too_large(home: Home) -> None:
    """Brackets of both kinds count, those within text do not."""
    mixed = '{"x": [' * 63 + "0" + "]}" * 63
    fits = shop(1, "10:00:00")[:-1] + f', "y": [{mixed}], "z": "{"[" * 200}"}}'
    deep = shop(2, "10:00:00")[:-1] + f', "y": [[{mixed}]]}}'
    report = home.run("webshop", lines(fits, deep))
    assert report["ledger"]["accepted"] == 1
    assert home.rows("select line, reason from sojourn.quarantine") == [{"line": 2, "reason": "too_large"}]


def test_1_2_line_of_16_mebibytes_stays_and_one_byte_more_is_too_large(home: Home) -> None:
    """The default of `max_record` is 16 MiB, without the newline."""
    start = shop(1, "10:00:00")[:-1] + ', "x": "'
    fits = (start + "y" * ((16 << 20) - len(start) - 2) + '"}').encode()
    assert len(fits) == 16 << 20
    longer = fits.replace(b'"id": 1', b'"id": 22')
    done = home.process("run", "webshop", home.path("long.jsonl", fits + b"\r\n" + longer + b"\n"), "--json")
    assert done.json["ledger"]["accepted"] == 1
    rows = home.rows("select line, reason, octet_length(raw) as bytes from sojourn.quarantine")
    assert rows == [{"line": 2, "reason": "too_large", "bytes": (16 << 20) + 1}]


def test_1_2_nan_and_infinity_are_invalid_json_but_bad_type_in_csv(home: Home) -> None:
    """JSON knows neither; in CSV they are text that is no number."""
    report = home.run("webshop", lines(*(shop(0, "10:00:00").replace("0", word, 1) for word in ("NaN", "-Infinity"))))
    assert report["ledger"]["quarantined"] == {"invalid_json": 2}
    rows = lines(
        "at,card,open,weight", *(f"2022-03-01T10:00:00,c,1,{word}" for word in ("NaN", "Infinity", "-inf", "1"))
    )
    report = home.run(home.path("gates.toml", GATES), rows, name="rows.csv")
    assert report["ledger"]["quarantined"] == {"bad_type": 3}
    assert report["ledger"]["accepted"] == 1


def test_1_3_quarantine_is_never_sampled_or_capped(home: Home) -> None:
    """Thousands of broken records are all kept, each with its line and its own text."""
    report = home.run("webshop", lines(*(f'{{"broken": {at}' for at in range(1, 5001))))
    assert report["ledger"]["quarantined"] == {"invalid_json": 5000}
    kept = "select count(*) from sojourn.quarantine where decode(raw) = '{\"broken\": ' || line"
    assert home.values(kept) == [5000]
    exported = home.call("quarantine", "export").out.splitlines()
    assert len({json.loads(line)["line"] for line in exported}) == 5000


def test_1_3_replay_is_idempotent(home: Home) -> None:
    """Known by pipeline, source, content and line: read again, or under another name, it stands once."""
    content = lines("broken", shop(1, "10:00:00"), "broken")
    home.run("webshop", content)
    home.run("webshop", content, name="copy.jsonl")
    home.run("webshop", content, "--mode", "replace")
    identity = "select pipeline, line from sojourn.quarantine order by pipeline, line"
    assert home.rows(identity) == [{"pipeline": "webshop", "line": 1}, {"pipeline": "webshop", "line": 3}]
    home.run("activity", content)
    home.run("webshop", content + b"\n")  # a file that grew is no other content
    counts = "select pipeline, count(*) as records from sojourn.quarantine group by all order by all"
    assert home.rows(counts) == [{"pipeline": "activity", "records": 3}, {"pipeline": "webshop", "records": 2}]
    home.run("webshop", b"\n" + content)
    assert home.rows(counts) == [{"pipeline": "activity", "records": 3}, {"pipeline": "webshop", "records": 4}]


def test_1_3_the_same_line_of_two_equal_files_in_one_run_stands_once(home: Home) -> None:
    """The identity has the content and not the name: both count in the ledger, one record is kept."""
    one = home.path("one.jsonl", lines("broken"))
    two = home.path("two.jsonl", lines("broken"))
    done = home.process("run", "webshop", one, two, "--json")
    assert done.json["ledger"]["quarantined"] == {"invalid_json": 2}
    assert home.values("select count(*) from sojourn.quarantine") == [1]


def test_1_4_last_line_without_newline_is_a_record(home: Home) -> None:
    """Nothing is lost at the end of a file, whole or broken."""
    report = home.run("webshop", lines(shop(1, "10:00:00")) + shop(2, "10:01:00").encode())
    assert report["ledger"]["accepted"] == 2
    report = home.run("webshop", lines(shop(3, "10:00:00")) + shop(4, "10:01:00").encode()[:-1])
    assert (report["ledger"]["accepted"], report["ledger"]["quarantined"]) == (1, {"invalid_json": 1})


def test_1_4_byte_order_mark_is_skipped_at_the_beginning_only(home: Home) -> None:
    """It is no part of the first record; anywhere else it breaks one."""
    bom = b"\xef\xbb\xbf"
    report = home.run("webshop", bom + lines(shop(1, "10:00:00")) + bom + lines(shop(2, "10:00:00")))
    assert (report["ledger"]["accepted"], report["ledger"]["quarantined"]) == (1, {"invalid_json": 1})
    assert home.run("activity", bom)["ledger"]["read"] == 0


def test_1_4_crlf_is_one_newline_and_no_part_of_the_record(home: Home) -> None:
    """CRLF and LF may alternate; a line of CR alone is blank; the raw text ends before the CR."""
    content = shop(1, "10:00:00").encode() + b"\r\n\r\nbroken\r\n" + shop(2, "10:01:00").encode() + b"\n"
    ledger = home.run("webshop", content)["ledger"]
    assert (ledger["read"], ledger["blank"], ledger["accepted"]) == (3, 1, 2)
    assert home.rows("select line, raw from sojourn.quarantine") == [{"line": 3, "raw": "broken"}]


def test_1_4_two_objects_on_one_line_are_never_half_of_them(home: Home) -> None:
    """Glued with or without space, both are quarantined as one record."""
    both = shop(1, "10:00:00"), shop(2, "10:01:00")
    report = home.run("webshop", lines("".join(both), " ".join(both), f"{both[0]},"))
    assert report["ledger"]["quarantined"] == {"invalid_json": 3}
    assert report["tables"]["sessions"] == 0


def test_1_4_of_duplicate_keys_the_last_wins(home: Home) -> None:
    """Also where an earlier one is of a wrong type, and where a nested object is replaced whole."""
    good = shop(1, "10:00:00", "last", "page_view", page="/last")
    event = good[good.index("{", 1) : -1]
    home.run(
        "webshop",
        lines(
            good.replace('"page": ', '"page": "/first", "page": '),
            good.replace('"id": 1', '"id": {}, "id": 2'),
            good.replace('"id": 1', '"id": 3').replace('"event": ', '"event": {"page": 5.5, "query": "x"}, "event": '),
            good.replace('"id": 1', '"id": 4').replace(event, f'{event}, "event": {{}}'),
        ),
    )
    assert home.rows("select events, landing_page, exit_page from webshop.sessions") == [
        {"events": 3, "landing_page": "/last", "exit_page": "/last"}
    ]
    assert home.rows("select reason, path from sojourn.quarantine") == [
        {"reason": "missing_field", "path": "$.event.timestamp"}
    ]


@pytest.mark.parametrize(
    ("field", "accepted", "refused"),
    [
        (
            "note",
            ['"x"', "56456", "-0", "1.50", "1e3", "123456789012345678901", '"null"', "null"],
            ["true", "[]", "{}"],
        ),
        (
            "nr",
            ["1", "-1", '"12"', '"-12"', '"007"', "9223372036854775807", "-9223372036854775808"],
            ["1.0", "1e3", "5.5", '" 1"', '"1 "', '"+1"', '"1.0"', '""', "true", "false", "9223372036854775808", "[1]"],
        ),
        (
            "price",
            ["1", "1.5", "-0.0", "2E-3", '"1.5"', '"-2e3"', "null"],
            ['".5"', '"1."', '"01"', '"+1"', '"NaN"', '"Infinity"', '" 1"', '"0x1"', '""', "1e999", "true"],
        ),
        ("paid", ["true", "false", "null"], ['"true"', '"t"', "1", "0", '"1"']),
    ],
)
def test_1_5_coercion_of_json_values(home: Home, field: str, accepted: list[str], refused: list[str]) -> None:
    """What a declared text, integer, number or boolean takes, and what is `bad_type`."""

    def record(number: int, value: str) -> str:
        given = {"nr": str(1000 + number), "at": '"2022-03-01T10:00:00"', "till": '"t"', field: value}
        return "{" + ", ".join(f'"{key}": {text}' for key, text in given.items()) + "}"

    values = accepted + refused
    home.run(home.path("tills.toml", TILLS), lines(*(record(at, value) for at, value in enumerate(values))))
    assert home.values("select sum(events) from tills.sessions") == [len(accepted)]
    rows = home.rows("select line, reason, path, value from sojourn.quarantine order by line")
    assert rows == [
        {
            "line": at + 1,
            "reason": "bad_type",
            "path": f"$.{field}",
            "value": json.loads(value) if value[0] == '"' else value,
        }
        for at, value in enumerate(values)
        if value in refused
    ]


def test_1_5_a_number_becomes_text_with_the_sources_own_digits(home: Home) -> None:
    """`56456` and `"56456"` are one customer; `1.0` and `1.00` are two."""
    customers = ["56456", '"56456"', "1.0", "1.00", "-0", "0", "1E5", "12345678901234567890123"]
    home.run(
        "webshop",
        lines(*(shop(at, "10:00:00", "@").replace('"@"', text) for at, text in enumerate(customers))),
    )
    known = home.values("select actor from webshop.sessions order by actor")
    assert known == ["-0", "0", "1.0", "1.00", "12345678901234567890123", "1E5", "56456"]


def test_1_5_booleans_in_csv_are_true_false_t_f_1_0_in_any_case(home: Home) -> None:
    """In CSV everything is text, so the usual spellings are booleans; others are `bad_type`."""
    good = ["true", "True", "TRUE", "t", "T", "1", "false", "False", "f", "F", "0", ""]
    bad = ["yes", "no", "2", " true", "tr"]
    rows = lines("at,card,open,weight", *(f"2022-03-01T10:00:00,c,{word},1" for word in good + bad))
    ledger = home.run(home.path("gates.toml", GATES), rows, name="rows.csv")["ledger"]
    assert (ledger["accepted"], ledger["quarantined"]) == (len(good), {"bad_type": len(bad)})


def test_1_5_strict_turns_coercion_off(home: Home) -> None:
    """No text from numbers, no numbers from text; what is of its type stays."""
    strict = home.path("tills.toml", "[source.events]\nstrict = true\n" + TILLS)
    rest = '"at": "2022-03-01T10:00:00", "till": "t"'
    ledger = home.run(
        strict,
        lines(
            f'{{"nr": 1, {rest}, "price": 2, "paid": true, "note": "5"}}',
            f'{{"nr": "2", {rest}}}',
            f'{{"nr": 3, {rest}, "price": "2"}}',
            f'{{"nr": 4, {rest}, "note": 5}}',
        ),
    )["ledger"]
    assert (ledger["accepted"], ledger["quarantined"]) == (1, {"bad_type": 3})


def test_1_6_a_new_type_of_event_is_accepted(home: Home) -> None:
    """The ready pipelines state no enumeration; a pipeline that does refuses what lies outside."""
    for name in ready_pipelines():
        assert [field for field in loading.load(name).events.fields.values() if field.values] == []
    assert home.run("webshop", lines(shop(1, "10:00:00", kind="never seen")))["ledger"]["accepted"] == 1
    stated = TILLS.replace('"note"', '{ path = "note", values = ["a", "b"] }')
    rest = '"at": "2022-03-01T10:00:00", "till": "t"'
    notes = ['"a"', '"c"', '"A"', "null"]
    ledger = home.run(
        home.path("tills.toml", stated),
        lines(*(f'{{"nr": {at}, {rest}, "note": {note}}}' for at, note in enumerate(notes))),
    )["ledger"]
    assert (ledger["accepted"], ledger["quarantined"]) == (2, {"unknown_value": 2})


BOTS = """
[source.events]
bots = "drop"
drop = ["anonymous"]

[source.events.fields]
occurred_at = "at"
session_key = "visit"
actor       = "who"
user_agent  = "agent"

[sessions]
rule = "key"
"""
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


def test_1_2_bots_are_dropped_by_their_user_agent(home: Home) -> None:
    """After the contract and after `anonymous`, before duplicates; without a user agent nobody is a bot."""
    hits = [
        {"at": "2024-03-01T09:00:00", "visit": "v", "who": who, "agent": agent}
        for who, agent in (("a", PERSON), ("a", PERSON), ("b", CRAWLER), ("b", CRAWLER), (None, CRAWLER), ("c", None))
    ]
    broken = {"at": "soon", "visit": "v", "who": "b", "agent": CRAWLER}
    content = lines(*map(json.dumps, [*hits, broken]))
    ledger = home.run(home.path("bots.toml", BOTS), content)["ledger"]
    assert (ledger["accepted"], ledger["duplicate"], ledger["quarantined"]) == (2, 1, {"bad_time": 1})
    assert ledger["dropped"] == {"anonymous": 1, "bot": 2}
    ledger = home.run(home.path("kept.toml", BOTS.replace('bots = "drop"', "")), content)["ledger"]
    assert ledger["dropped"] == {"anonymous": 1}
    done = sojourn("check", home.path("blind.toml", BOTS.replace("user_agent ", "agent ")), home.folder / "input.jsonl")
    assert (done.status, "user_agent" in done.err) == (2, True), done.err


def test_1_2_bots_are_dropped_from_every_format(home: Home) -> None:
    """CSV and Parquet know them as JSON does."""
    csv = f"at,visit,who,agent\n2024-03-01T09:00:00,v,a,{PERSON}\n2024-03-01T09:00:00,v,b,{CRAWLER}\n"
    assert home.run(home.path("bots.toml", BOTS), csv.encode(), name="in.csv")["ledger"]["dropped"] == {"bot": 1}
    table = pyarrow.csv.read_csv(
        home.folder / "in.csv", convert_options=pyarrow.csv.ConvertOptions(column_types={"at": "string"})
    )
    pyarrow.parquet.write_table(table, home.path("made.parquet"))
    done = sojourn("check", home.folder / "bots.toml", home.folder / "made.parquet", "--json")
    assert done.json["ledger"]["dropped"] == {"bot": 1}
