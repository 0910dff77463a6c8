"""Whole columns of decoded values to Arrow, with the positions that need the exact judgement.

Each function agrees with `reading.judge` wherever it gives a value; where it is not sure it gives
null and names the position as doubtful.
"""

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sojourn import times
from sojourn.reading.judge import Contract, one_text

_SMALL = 256
_DAY = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_ISO = rf"^(?P<local>(?:[1-9]\d\d\d|0[1-9]\d\d)-{_DAY}[T ]{_CLOCK}(?:\.\d{{1,9}})?)(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?$"
_LOCAL = re.compile(r"\(\?P<([YmdHMSf])>")
_ZONES_END = times.parse_iso("2037-01-01T00:00:00Z", times.zone_named("UTC"))  # Arrow knows no changes of clocks after
_ISO_FORM = b"0000-00-00T00:00:00"
_ISO_DIGITS = [place for place, byte in enumerate(_ISO_FORM) if byte == ord("0")]
_MOST = (1 << 63) - 1

Doubtful = set[int]
Cast = Callable[[pa.Array], pa.Array]


def text(values: list[object]) -> tuple[pa.Array, Doubtful]:
    """A text column from str, int and None; an int becomes its digits."""
    try:
        return pa.array(values, pa.string()), set()
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        pass
    try:
        column = pa.array(values, pa.int64()).cast(pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid, OverflowError):
        # of an int `repr` is `str`, only faster
        digits = [value if value is None or value.__class__ is str else repr(value) for value in values]
        column = pa.array(digits, pa.string())
    return column, _positions(pc.equal(column, "0"))  # msgspec reads -0 as 0, whose own digits are lost


def labels(values: list[object]) -> tuple[pa.Array, Doubtful]:
    """A text column of labels in the form in which they land, from str, int, lists of both, and None."""
    doubtful = {at for at, value in enumerate(values) if isinstance(value, list) and 0 in value}  # as for text
    column, doubts = text([",".join(map(str, value)) if isinstance(value, list) else value for value in values])
    return one_texts(column), doubtful | doubts


def one_texts(column: pa.Array) -> pa.Array:
    """A text column of labels in the form in which they land; each distinct text is looked at once."""
    coded = column.dictionary_encode()
    return pc.take(pa.array(map(one_text, coded.dictionary.to_pylist()), pa.string()), coded.indices)


def integer(values: list[object]) -> tuple[pa.Array, Doubtful]:
    """An integer column; what lies outside 64 bits is doubtful."""
    try:
        return pa.array(values, pa.int64()), set()
    except (OverflowError, pa.ArrowInvalid):
        fits = [value if isinstance(value, int) and -(1 << 63) <= value < 1 << 63 else None for value in values]
        return pa.array(fits, pa.int64()), _lost(values, fits)


def number(values: list[object]) -> tuple[pa.Array, Doubtful]:
    """A column of doubles; infinities are doubtful."""
    column = pa.array(values, pa.float64())
    return column, _positions(pc.invert(pc.is_finite(column)))


def boolean(values: list[object]) -> tuple[pa.Array, Doubtful]:
    """A column of booleans."""
    return pa.array(values, pa.bool_()), set()


def instants(
    values: list[object] | pa.Array, formats: tuple[str, ...], contract: Contract
) -> tuple[pa.Array, Doubtful]:
    """A column of epoch microseconds from text (or from integers, for epoch formats)."""
    if not formats or formats == ("iso",):
        cast = _iso(contract)
    elif len(formats) == 1 and formats[0] in times.EPOCH_UNITS:
        cast = _epoch(times.EPOCH_UNITS[formats[0]])
    elif len(formats) == 1:
        cast = _pattern(formats[0], contract)
    else:  # several formats: the exact judgement tries them in turn
        cast = lambda column: pa.nulls(len(column), pa.int64())  # noqa: E731 - as short as the others
    kind = pa.int64() if formats and all(name in times.EPOCH_UNITS for name in formats) else pa.string()
    try:
        column = values if isinstance(values, pa.Array) else pa.array(values, kind)
        read = cast(column) if column.type == kind else pa.nulls(len(column), pa.int64())
    except (pa.ArrowTypeError, pa.ArrowInvalid, OverflowError):
        column = pa.array([value is not None or None for value in values], pa.bool_())
        read = pa.nulls(len(column), pa.int64())
    return read, _positions(pc.and_(column.is_valid(), read.is_null()))


def from_text(column: pa.Array, kind: str) -> tuple[pa.Array, Doubtful]:
    """A text column of CSV as integer, number or boolean; whatever is not plainly one is doubtful."""
    if kind == "integer" and (whole := _digits(column)) is not None:
        return whole, set()
    if kind == "integer":
        plain = pc.match_substring_regex(column, r"^-?[0-9]{1,18}$")
        read = pc.if_else(plain, column, None).cast(pa.int64())
    elif kind == "number":
        plain = pc.match_substring_regex(column, r"^-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,14})?$")
        read = pc.if_else(plain, column, None).cast(pa.float64())
    else:
        lowered = pc.ascii_lower(column)
        read = pc.if_else(
            pc.is_in(lowered, pa.array(["true", "t", "1"], pa.string())),
            True,
            pc.if_else(pc.is_in(lowered, pa.array(["false", "f", "0"], pa.string())), False, None),
        )
    return read, _positions(pc.and_(column.is_valid(), read.is_null()))


def _digits(column: pa.Array) -> pa.Array | None:
    """A text column of nothing but whole numbers within 64 bits, else None."""
    _, offsets, data = column.buffers()
    if data is None:
        return None
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    text = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    if not (((text >= ord("0")) & (text <= ord("9"))) | (text == ord("-"))).all():
        return None  # Arrow would take a hexadecimal number, too
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return None


def _iso(contract: Contract) -> Cast:
    def cast(column: pa.Array) -> pa.Array:
        if column.type != pa.string():
            return pa.nulls(len(column), pa.int64())
        if contract.source.timezone == "UTC" and (plain := _plain_utc(column)) is not None:
            return plain
        if len(column) > _SMALL and contract.source.timezone == "UTC":
            middle = len(column) // 2
            return pa.concat_arrays([cast(column[:middle]), cast(column[middle:])])
        return _by_parts(column, contract)

    return cast


def _plain_utc(column: pa.Array) -> pa.Array | None:
    """The column when all of it is ISO text of one kind: without offset, or all with Z."""
    lengths = pc.min_max(pc.binary_length(column))
    zulu = pc.all(pc.ends_with(column, "Z")).as_py()
    if lengths["max"].as_py() is None:
        return pa.nulls(len(column), pa.int64())
    if lengths["min"].as_py() < 19 + bool(zulu) or lengths["max"].as_py() > 26 + bool(zulu):
        return None
    try:
        local = pc.utf8_slice_codeunits(column, 0, -1) if zulu else column
        read = local.cast(pa.timestamp("us")).cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    return read if pc.min(read).as_py() >= times.FIRST else None


def _by_parts(column: pa.Array, contract: Contract) -> pa.Array:
    """Local time and offset apart, for text of mixed kinds; what does not match is null."""
    parts = pc.extract_regex(column, _ISO)
    local = pc.utf8_slice_codeunits(pc.struct_field(parts, "local"), 0, 26).cast(pa.timestamp("us"))
    zones = pc.struct_field(parts, "zone").dictionary_encode()
    shift = [times.offset_seconds(zone) if zone else None for zone in zones.dictionary.to_pylist()]
    shifts = pc.take(pa.array(shift, pa.int64()), zones.indices)
    offset = pc.subtract(local.cast(pa.int64()), pc.multiply(shifts, 1_000_000))
    bare = pc.equal(pc.struct_field(parts, "zone"), "")
    read = pc.if_else(bare, _to_utc(local, contract), offset)
    return pc.if_else(pc.and_(pc.greater_equal(read, times.FIRST), pc.less_equal(read, times.LAST)), read, None)


def _to_utc(local: pa.Array, contract: Contract) -> pa.Array:
    """Local times in the source's zone; those around a change of clocks are null (doubtful)."""
    if contract.source.timezone == "UTC":
        return local.cast(pa.int64())
    try:
        zone = contract.source.timezone
        early = pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="earliest")
        late = pc.assume_timezone(local, zone, ambiguous="latest", nonexistent="latest")
    except pa.ArrowInvalid:  # no zone data in this Arrow: the exact judgement has its own
        return pa.nulls(len(local), pa.int64())
    sure = pc.and_(pc.equal(early, late), pc.less(local.cast(pa.int64()), _ZONES_END))
    return pc.if_else(sure, early.cast(pa.int64()), None)


def _pattern(pattern: str, contract: Contract) -> Cast:
    """A strptime pattern, turned into ISO text: by place where all values are equally long, else by expression."""
    regex = times.pattern_regex(pattern).pattern
    names = re.findall(r"\(\?P<(\w)>", regex)
    simple = {"Y", "H", "M", "S"} <= set(names) and "z" not in names
    group = {name: f"\\{at}" for at, name in enumerate(names, 1)}
    unnamed = f"^{re.sub(_LOCAL, '(', regex)}$"

    def cast(column: pa.Array) -> pa.Array:
        if not simple or column.type != pa.string():
            return pa.nulls(len(column), pa.int64())
        if "f" not in group and (moved := _by_place(column, pattern)) is not None:
            return _iso(contract)(moved)
        iso = "{Y}-{m}-{d} {H}:{M}:{S}".format(**group) + (f".{group['f']}" if "f" in group else "")
        known = pc.match_substring_regex(column, unnamed)
        moved = pc.if_else(known, pc.replace_substring_regex(column, unnamed, iso), None)
        return _iso(contract)(pc.replace_substring_regex(moved, r"([-: ])(\d)\b", r"\10\2"))  # one digit becomes two

    return cast


def _by_place(column: pa.Array, pattern: str) -> pa.Array | None:
    """Texts of one width with their digits moved to where ISO 8601 has them; None where they are not that alike."""
    literals, order, width = _places(pattern)
    lengths = pc.min_max(pc.binary_length(column))
    if column.null_count or lengths["min"].as_py() != width or lengths["max"].as_py() != width:
        return None
    _, offsets, data = column.buffers()
    start = np.frombuffer(offsets, np.int32)[column.offset]
    texts = np.frombuffer(data, np.uint8)[start : start + len(column) * width].reshape(-1, width)
    if not (texts[:, list(literals)] == list(literals.values())).all():
        return None
    iso = np.tile(np.frombuffer(_ISO_FORM, np.uint8), (len(column), 1))
    iso[:, _ISO_DIGITS] = texts[:, order]
    ends = np.arange(0, iso.size + 1, len(_ISO_FORM), dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(column), [None, pa.py_buffer(ends), pa.py_buffer(iso)])


def _places(pattern: str) -> tuple[dict[int, int], list[int], int]:
    """Of *pattern* filled in: the bytes that never change by place, the places of the ISO digits, and its width."""
    literals: dict[int, int] = {}
    found: dict[str, range] = {}
    width = 0
    for directive, char in re.findall(r"%(.)|(.)", pattern, re.DOTALL):
        if directive in ("", "%"):
            byte_values = (char or directive).encode()
            literals |= dict(enumerate(byte_values, width))
            width += len(byte_values)
        else:
            found[directive] = range(width, width := width + (4 if directive == "Y" else 2))
    return literals, [place for name in "YmdHMS" for place in found[name]], width


def _epoch(places: int) -> Cast:
    def cast(column: pa.Array) -> pa.Array:
        if column.type != pa.int64():
            return pa.nulls(len(column), pa.int64())
        last = min(times.LAST // 10**6 * 10**places, _MOST)
        fits = pc.and_(pc.greater_equal(column, 0), pc.less_equal(column, last))
        safe = pc.if_else(fits, column, None)
        return pc.multiply(safe, 10 ** (6 - places)) if places <= 6 else pc.divide(safe, 10 ** (places - 6))

    return cast


def _lost(before: list[object], after: list[int | None]) -> Doubtful:
    return {at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old is not None and new is None}


def _positions(mask: pa.Array) -> Doubtful:
    return set(pc.indices_nonzero(mask).to_pylist())
