"""Instants: whole columns and single texts against the reference (semantics 2.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import times
from sojourn.pipeline import Field, Source
from sojourn.reading import columns
from sojourn.reading.judge import Contract
from tests import reference
from tests.laws.effort import EFFORT, examples, seeded
from tests.reference import times as oracle

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Asia/Tehran",
    "America/Caracas",
    "Antarctica/Troll",
    "Etc/GMT+5",
    "Asia/Manila",
    "America/St_Johns",
]
PATTERNS = [
    "%d/%m/%Y %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%d",
    "%y%m%d%H%M%S",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y, %H:%M:%S Uhr",
    "%Y%m%d%H%M%S.%f%z",
    "%S %M %H %d %m %Y",
    "%d%%%m.%Y%H:%M:%S",
    "3%m/%d/%Y %H:%M:%S",
    "%Y/%m/%d (%H|%M|%S) 100%%",
    "%Y-%m-%dT%H:%M:%S%z",
    "[%d/%m/%Y:%H:%M:%S %z]",
]


@cache
def edges(zone: str) -> list[datetime]:
    """Local times at which the clocks of *zone* change, from before there were zones until after the tables end."""
    found = []
    info = ZoneInfo(zone)
    for year in (1883, 1893, 1911, 1944, 1970, 2011, 2018, 2021, 2022, 2037, 2050, 2090):
        day = datetime(year, 1, 1, tzinfo=info)
        for _ in range(366):
            after = day + timedelta(days=1)
            if day.utcoffset() != after.utcoffset():
                found += [hour for hour in (day + timedelta(hours=h) for h in range(-1, 26)) if _changes(hour)]
            day = after
    return [edge.replace(tzinfo=UTC) for edge in found]


def _changes(local: datetime) -> bool:
    return local.utcoffset() != (local + timedelta(hours=1)).utcoffset()


@st.composite
def moments(draw, zone: str):
    """A calendar time as if in UTC: any, or near a change of clocks."""
    near = edges(zone)
    if near and draw(st.booleans()):
        start = draw(st.sampled_from(near))
        return start + timedelta(minutes=draw(st.sampled_from([-61, -30, -1, 0, 1, 29, 30, 59, 60, 61, 119, 120, 180])))
    year = draw(
        st.sampled_from([1, 2, 99, 1500, 1883, 1900, 1969, 1970, 1999, 2000, 2022, 2024, 2038, 2100, 9998, 9999])
    )
    part = st.integers(0, 365 * 86_400 - 1)
    return datetime(year, 1, 1, tzinfo=UTC) + timedelta(seconds=draw(part))


fractions = st.sampled_from(
    ["", "", "", ".0", ".290271", ".123", ".999999999", ".1234567", ".000000999", ".1234567890", "."]
)
offsets = st.sampled_from(
    [
        "",
        "",
        "",
        "Z",
        "+02:00",
        "-0330",
        "+11",
        "+00:00",
        "-00:01",
        "+23:59",
        "+24:00",
        "+01:60",
        "z",
        "+1",
        " Z",
        "+0",
        "-12:3",
    ]
)
edits = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.integers(0, 2),
        st.sampled_from(["", *"0123456789TZtz:.-+/ eE\n\x00", "\u0662", "\u00a0", "60", "99", "00"]),
    ),
    max_size=2,
)


def edited(text: str, changes: list[tuple[int, int, str]]) -> str:
    """The text after some slips of the pen."""
    for at, length, piece in changes:
        text = text[:at] + piece + text[at + length :]
    return text


@st.composite
def iso_texts(draw, zone: str):
    """ISO text, right or nearly so."""
    moment = draw(moments(zone)).replace(tzinfo=None)
    text = moment.isoformat(sep=draw(st.sampled_from("TTT ")), timespec="seconds") + draw(fractions) + draw(offsets)
    return edited(text, draw(edits)) if draw(st.integers(0, 2)) == 0 else text


def written(moment: datetime, pattern: str, fraction: str, offset: str) -> str:
    """A moment under a pattern (strftime writes no year of four digits before 1000)."""
    parts = {"Y": f"{moment.year:04}", "y": f"{moment.year % 100:02}", "f": fraction, "z": offset, "%": "%"}
    parts |= {"m": f"{moment.month:02}", "d": f"{moment.day:02}", "H": f"{moment.hour:02}", "M": f"{moment.minute:02}"}
    parts["S"] = f"{moment.second:02}"
    first, *rest = pattern.replace("%%", "\0").split("%")
    return (first + "".join(parts[piece[0]] + piece[1:] for piece in rest)).replace("\0", "%")


@st.composite
def pattern_texts(draw, pattern: str, zone: str):
    """Text under a pattern, right or nearly so."""
    fraction = draw(st.sampled_from(["1", "999999999", "000001", "5000000", "12"]))
    offset = draw(st.sampled_from(["Z", "+0200", "-03:30", "+11", "+2400"]))
    text = written(draw(moments(zone)), pattern, fraction, offset)
    if draw(st.booleans()):
        text = re.sub(r"\b0(\d)", r"\1", text)
    return edited(text, draw(edits)) if draw(st.integers(0, 2)) == 0 else text


def check(values: list[str | None], formats: tuple[str, ...], zone: str) -> None:
    """The column holds what the reference reads, and names as doubtful whatever it leaves open."""
    contract = Contract(Source(fields={"x": Field(path="x", type="time", formats=formats)}, timezone=zone))
    read, doubtful = columns.instants(values, formats, contract)
    assert read.type == pa.int64()
    form = formats[0] if formats else "iso"
    for at, (value, found) in enumerate(zip(values, read.to_pylist(), strict=True)):
        expected = None if value is None else read_one(value, form, zone)
        if found is None:
            assert (value is not None) == (at in doubtful), (value, expected)
        else:
            assert (found, at in doubtful) == (expected, False), (value, zone)


def read_one(text: str, form: str, zone: str) -> int | None:
    """The reference's reading; the engine's exact functions say the same."""
    if form == "iso":
        expected = oracle.read_iso(text, zone)
        assert times.parse_iso(text, ZoneInfo(zone)) == expected, (text, zone)
    else:
        expected = oracle.read_pattern(text, form, zone)
        assert times.parse_pattern(text, form, ZoneInfo(zone)) == expected, (text, form, zone)
    return expected


@st.composite
def iso_columns(draw):
    """A column of ISO texts in one zone: all alike, or mixed, with nulls."""
    zone = draw(st.sampled_from(["UTC", *ZONES]))
    values: list[str | None] = draw(st.lists(iso_texts(zone), min_size=1, max_size=10))
    if draw(st.booleans()):  # many that are alike: the whole column is read at once
        cut = draw(st.sampled_from([(19, ""), (19, "Z"), (19, ".123"), (19, ".123456Z"), (16, ":00")]))
        values = [value[: cut[0]] + cut[1] for value in values if value is not None]
        values += [f"0000{value[4:]}" for value in values[: draw(st.sampled_from([0, 0, 0, 1]))] if value is not None]
    if draw(st.booleans()):
        values.insert(draw(st.integers(0, len(values))), None)
    return zone, values


@examples(400)
@given(iso_columns())
def test_iso_columns(case):
    """Digits beyond the microsecond are cut, offsets applied, clock changes settled as 2.1 says."""
    zone, values = case
    check(values, (), zone)
    check(values, ("iso",), zone)


@examples(200)
@given(st.data())
def test_pattern_columns(data):
    """A strptime pattern reads its fields, with one digit where none stands beside, and nothing else."""
    pattern, zone = data.draw(st.sampled_from(PATTERNS)), data.draw(st.sampled_from(["UTC", *ZONES]))
    values = data.draw(st.lists(pattern_texts(pattern, zone), min_size=1, max_size=8))
    check(values, (pattern,), zone)


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_of_clocks(zone):
    """Around every change: what occurs twice is the earlier instant, what never does moves on by the gap; also after
    2037, where some zone data end."""
    values: list[str | None] = [
        f"{(edge + timedelta(minutes=minutes)).replace(tzinfo=None).isoformat()}"
        for edge in edges(zone)
        for minutes in range(-125, 130, 15)
    ]
    check(values or ["2022-01-01T00:00:00"], (), zone)


@pytest.mark.parametrize(
    "odd", ["0000-01-01T00:00:00", "2022-04-28T07:38:60", "2022-04-28T24:00:00", "2022-02-29T00:00:00"]
)
@pytest.mark.parametrize("end", ["", "Z", ".5", ".123456Z"])
def test_one_odd_value_in_a_plain_column(odd, end):
    """A column that could be read at once, but for one value: that one alone is in doubt."""
    values: list[str | None] = ["2022-04-28T07:38:46" + end, odd + end, None, "1969-12-31T23:59:59" + end]
    check(values, (), "UTC")
    check(values[:1] + values[3:], (), "UTC")


def test_long_mixed_columns():
    """One odd value among thousands changes no other, wherever the column is halved to find it."""
    rng, seed = seeded("long")
    for _ in range(4 * EFFORT):
        odd = [
            "2022-02-30T00:00:00",
            "2022-04-28",
            "x",
            "",
            None,
            "2022-04-28T07:38:46+02:00",
            "0000-01-01T00:00:00",
            "2022-04-28T07:38:46.1234567Z",
        ]
        values: list[str | None] = [
            f"2022-04-{rng.randrange(1, 31):02}T07:38:{rng.randrange(60):02}{rng.choice(('', '.5', 'Z'))}"
            for _ in range(rng.randrange(900))
        ]
        for _ in range(rng.randrange(4)):
            values.insert(rng.randrange(len(values) + 1), rng.choice(odd))
        try:
            check(values, (), "UTC")
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


numbers = (
    st.integers(-(1 << 70), 1 << 70).map(str)
    | st.integers(-(10**12), 10**12).map(str)
    | st.builds("{}{}.{}".format, st.sampled_from(["", "-"]), st.integers(0, 10**13), st.integers(0, 10**9))
    | st.builds(
        "{}{}{}".format, st.integers(-99, 10**5), st.sampled_from(["e", "E+", "e-", ".5e", ".25E-"]), st.integers(0, 60)
    )
    | st.sampled_from(
        [
            "253402300799",
            "253402300800",
            "-62135596800",
            "-62135596801",
            "-0",
            "0.0000009",
            "1e400",
            "0e999",
            "1e99999999999999999999",
            "-1E-99999999999999999999",
            "0.0e99999999999999999999",
            "1e00000000000000000000000009",
            "253402300799.9999999",
        ]
    )
)


@examples(400)
@given(numbers, st.sampled_from(sorted(times.EPOCH_UNITS)))
def test_epoch_numbers(number, unit):
    """A number by its own digits, in any unit and any size: cut off, never rounded; beyond the calendar none."""
    assert times.parse_epoch(number, unit) == oracle.read_epoch(number, unit)


@examples(150)
@given(
    st.lists(
        st.none() | st.integers(-(1 << 65), 1 << 65) | st.integers(0, 2 * 10**18) | st.integers(0, 2 * 10**9),
        max_size=8,
    ),
    st.sampled_from(sorted(times.EPOCH_UNITS)),
)
def test_epoch_columns(values, unit):
    """A column of integers in a unit."""
    contract = Contract(Source(fields={"x": Field(path="x", type="time", formats=(unit,))}))
    read, doubtful = columns.instants(values, (unit,), contract)
    for at, (value, found) in enumerate(zip(values, read.to_pylist(), strict=True)):
        assert (at in doubtful) == (value is not None and found is None)
        if found is not None:
            assert found == oracle.read_epoch(str(value), unit)


@examples(200)
@given(st.integers(times.FIRST, times.LAST))
def test_an_instant_reads_back(instant):
    """What is written as ISO text is read as the same instant, to the microsecond."""
    text = times.to_iso(instant)
    assert (len(text), text[-1]) == (27, "Z")
    assert times.parse_iso(text, ZoneInfo("UTC")) == instant == reference.times.read_iso(text, "UTC")


@examples(300)
@given(
    st.text(alphabet="0123456789.smhdu -+e", max_size=8)
    | st.builds(
        "{}{}".format,
        st.integers(0, 10**6) | st.floats(0, 1e6),
        st.sampled_from(["us", "ms", "s", "m", "h", "d", "", "w"]),
    )
)
def test_a_duration_needs_a_unit(text):
    """A duration is a number with a unit, exact to the microsecond, or a ValueError that says what to write."""
    try:
        found = times.parse_duration(text)
    except ValueError as error:
        assert "30m" in str(error)  # noqa: PT017 - most texts are none
    else:
        assert text.strip()[-1] in "smhd"
        assert found >= 0
