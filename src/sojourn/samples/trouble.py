"""What is spoiled in a sample on purpose, and the reason that a run has to give for it (semantics 1.2)."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import NamedTuple

from sojourn.samples.chance import Rnd

BROKEN, COPIED = 0.000_1, 0.003  # shares of a large file; a small one gets more, so that it shows every kind

Edit = Callable[[str, str], str]  # a record and one that came before -> a broken line


class Shape(NamedTuple):
    """How a pipeline's records are made, and where they can be hurt."""

    records: Callable[[Rnd, int], Iterator[str]]
    breakages: list[tuple[str, Edit]]  # kinds of broken lines, with the reason that each has to get
    is_shuffled: bool  # whether records arrive in any order
    has_id: bool = False  # then a copy may differ
    whole: str = ""  # a text that a record must hold to be taken for trouble
    beside: tuple[str, Callable[[], Iterator[str]]] | None = None  # a second file: the name of its source, its lines


def _put(field: str, value: str) -> Edit:
    """Write something else into a field."""
    old, new = re.compile(rf'"{field}": ("[^"]*"|[^,}}]+)'), f'"{field}": {value}'
    return lambda line, _: old.sub(lambda _: new, line, count=1)


def _swap(old: str, new: str) -> Edit:
    return lambda line, _: line.replace(old, new, 1)


def breakages_in_json(*, required: tuple[str, str], number: str, text: str, bad_time: str) -> list[tuple[str, Edit]]:
    """Broken lines of JSON; the first seven show every reason.

    *required* are the names of text fields that a record must have, *number* and *text* those of a field that
    holds a number and of one that holds free text.
    """
    one, two = required
    deep = "[" * 200 + "]" * 200
    return [
        ("invalid_json", lambda line, _: line[: len(line) * 2 // 3] + "\n"),  # cut off
        ("missing_field", _swap('"timestamp":', '"time":')),
        ("bad_time", _put("timestamp", f'"{bad_time}"')),
        ("invalid_utf8", _swap(f'"{text}": "', f'"{text}": "Caf\udce9 ')),  # Latin-1
        ("bad_type", _put(two, f'{{"name": "{two}"}}')),
        ("not_an_object", lambda _line, _: '["page_view", 17]\n'),
        ("too_large", lambda line, _: f'{{"deep": {deep}, {line[1:]}'),
        ("invalid_json", lambda line, before: before[:-1] + line),  # glued
        ("invalid_json", _put(number, "NaN")),
        ("missing_field", _swap(f'"{one}":', f'"_{one}":')),
        ("bad_time", _put("timestamp", '"yesterday"')),
        ("invalid_json", lambda _line, _: "ERROR worker 7: upstream timed out (110)\n"),
        ("invalid_json", lambda line, _: line.replace('"', "'")),  # printed, not encoded
        ("bad_type", _put(one, "true")),
        ("invalid_json", lambda line, _: "\0" * 64 + line),  # a crash of the file system
        ("bad_time", _put("timestamp", '"28.04.2022 07:38"')),
        ("invalid_json", lambda line, _: line[:-2] + ",}\n"),
        ("not_an_object", lambda _line, _: "null\n"),
        ("missing_field", lambda _line, _: "{}\n"),
        ("invalid_json", _put(number, "-Infinity")),
    ]


def breakages_in_messages() -> list[tuple[str, Edit]]:
    """Broken lines of streams, each a message of one event; the first eight show every reason."""
    deep = "[" * 200 + "]" * 200
    return [
        ("invalid_json", lambda line, _: line[: len(line) * 2 // 3] + "\n"),  # cut off
        ("missing_field", _swap('"name":', '"title":')),
        ("bad_time", _put("timestamp", "1650028800.1234567")),
        ("invalid_utf8", _swap('"name": "', '"name": "Caf\udce9 ')),  # Latin-1
        ("bad_type", _put("timestamp", '"2022-04-15T13:20:00Z"')),
        ("not_an_object", lambda _line, _: '[{"type": "EVENT"}]\n'),
        ("too_large", lambda line, _: f'{{"deep": {deep}, {line[1:]}'),
        ("unknown_value", _swap('"EVENT"', '"CLICK"')),
        ("invalid_json", lambda line, before: before[:-1] + line),  # glued
        ("missing_field", _swap('"seq":', '"number":')),
        ("bad_time", _put("timestamp", "1650028800123")),  # milliseconds
        ("bad_type", _put("seq", "0")),
        ("invalid_json", lambda line, _: line[:-2] + ",}\n"),
        ("not_an_object", lambda line, _: f"{line[: line.index('[')]}[17]}}\n"),
        ("missing_field", lambda line, _: f"{line[: line.index('[')]}[]}}\n"),
        ("bad_type", _put("session_id", '"visit 17"')),
        ("invalid_json", _put("timestamp", "NaN")),
        ("unknown_value", _swap('"EVENT"', '"event"')),
    ]


def _cell(number: int, value: str) -> Edit:
    """Write something else into a cell of a CSV row."""

    def edited(line: str, _before: str) -> str:
        cells = line[:-1].split(",")
        return ",".join([*cells[:number], value, *cells[number + 1 :]]) + "\n"

    return edited


def breakages_in_rows() -> list[tuple[str, Edit]]:
    """Broken CSV rows of a time, three integers and a boolean; the first five show every reason."""
    return [
        ("bad_row", lambda line, _: line[: len(line) // 2] + "\n"),  # cut off
        ("missing_field", _cell(2, "")),
        ("bad_time", _cell(0, "2022-04-31 07:38:46.290271")),
        ("invalid_utf8", _cell(1, "Caf\udce9")),  # Latin-1
        ("bad_type", _cell(4, "online")),
        ("bad_row", lambda line, before: before[:-1] + line),  # glued
        ("bad_type", _cell(1, "NaN")),
        ("missing_field", _cell(0, "")),
        ("bad_time", _cell(0, "yesterday")),
        ("bad_row", lambda _line, _: "ERROR worker 7: upstream timed out (110)\n"),
        ("bad_row", lambda line, _: line[:-1] + ",\n"),
        ("bad_type", _cell(3, "17.0")),
        ("bad_time", lambda line, _: "\0" * 64 + line),  # a crash of the file system
        ("missing_field", lambda _line, _: ",,,,\n"),
        ("bad_type", _cell(2, "1e3")),
        ("bad_type", _cell(4, "2")),
        ("bad_row", lambda line, _: line.replace(",", ";")),
        ("bad_time", _cell(0, "28.04.2022 07:38")),
        ("bad_type", _cell(1, "9223372036854775808")),  # one more than 64 bits hold
        ("bad_row", lambda line, _: '"' + line),  # a quote that is never closed
    ]


def _later(line: str, _before: str) -> str:
    """The same record with another last digit of its time."""
    return re.sub(r'("timestamp": "[^"]*)([0-9])"', lambda m: f'{m[1]}{(int(m[2]) + 1) % 10}"', line, count=1)


def plan(rng: Random, shape: Shape, lines: int) -> list[tuple[int, str, Edit]]:
    """Where to do what: broken lines, copies of records (one in ten differs from its record), blank lines."""
    few, kinds = min(24, lines // 20), shape.breakages
    todo = [kinds[number % len(kinds)] for number in range(max(round(lines * BROKEN), few))]
    todo += [
        ("conflicting", _later) if shape.has_id and number % 10 == 0 else ("duplicate", lambda line, _: line)
        for number in range(max(round(lines * COPIED), few))
    ]
    todo += [("blank", lambda _line, _: "\n")] * (min(1, few) + lines // 1_000_000)
    places = sorted(1 + int(rng.random() * lines * 0.95) for _ in todo)
    rng.shuffle(todo)
    return [(place, *what) for place, what in zip(places, todo, strict=True)]


def spoiled(records: Iterator[str], plan: list[tuple[int, str, Edit]], whole: str, done: Counter[str]) -> Iterator[str]:
    """The records with the planned trouble, for which only those are taken that hold the text *whole*."""
    seen, before = 0, ""
    for place, kind, edit in plan:
        yield from islice(records, max(0, place - seen))
        seen = max(seen, place)
        for record in records:
            seen += 1
            if whole in record:
                *whole_ones, hurt = _hurt(record, before or record, kind, edit)
                yield from whole_ones
                done.update({kind, "duplicate"} if kind == "conflicting" else {kind})  # before: it may be the last line
                yield hurt
                before = record
                break
            yield record
    yield from records


def _hurt(record: str, before: str, kind: str, edit: Edit) -> tuple[str, ...]:
    if kind in {"duplicate", "conflicting", "blank"}:
        return record, edit(record, before)
    return (edit(record, before),)
