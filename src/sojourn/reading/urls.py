"""URLs as text: host, first two levels, page. Settled when a record is read, so that no engine has a say."""

import re
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sojourn.pipeline import DERIVED, Source

_SPACE = " \t\n\r\v\f"
_SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
_UPPER_TO_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_USUAL = r"^https?://[^/]+(?:/[^/]+)*/?$"

Parts = tuple[str | None, str | None, str | None, str | None]


def parts(url: str) -> Parts:
    """Level 1 (the host), levels 2 and 3 (path segments as written), and the page. No text is an error."""
    return _parts(url.strip(_SPACE).partition("?")[0].partition("#")[0])


def _parts(bare: str) -> Parts:
    scheme = _SCHEME.match(bare)
    authority, slash, rest = bare[scheme.end() if scheme else 0 :].partition("/")
    if scheme is None and "." not in authority:
        authority, path = "", bare
    else:
        path = slash + rest
    stripped = path.rstrip("/")
    page = stripped if stripped.startswith("/") else f"/{stripped}"
    _, level2, *more = page.split("/", 3)
    if (not level2 and page != "/") or (more and not more[0]):  # slashes in a row
        level2, *more = [segment for segment in page.split("/") if segment]
    return _host(authority), level2 or None, more[0] if more else None, page


def host(url: str) -> str | None:
    """Level 1 alone."""
    return parts(url)[0]


def derive(events: pa.Table, source: Source) -> pa.Table:
    """*events* with the derived columns, which are coded by a dictionary, as is what they come from.

    Each distinct text is looked at once.
    """
    for field, names in DERIVED.items():
        if field in source.fields:
            each = _coded(events[field].combine_chunks())
            bare = _coded(_bare(each.dictionary))  # far fewer than URLs, whose queries differ
            at = pc.take(bare.indices, each.indices)
            events = events.set_column(events.column_names.index(field), field, each)
            for name, column in zip(names, _levels(bare.dictionary)[: len(names)], strict=True):
                level = _coded(column)
                level = pa.DictionaryArray.from_arrays(pc.take(level.indices, at), level.dictionary)
                events = events.append_column(name, level)
    return events.select(list(source.landed))


def _levels(bare: pa.Array) -> list[pa.Array]:
    """What `parts` gives of each distinct URL: of usual ones as whole columns, of the others one by one."""
    columns = _as_usual(bare)
    is_odd = pc.invert(pc.match_substring_regex(bare, _USUAL))
    odd = [_parts(url) for url in bare.filter(is_odd).to_pylist()]
    others = [pa.array(level, pa.string()) for level in zip(*odd, strict=True)] or [pa.nulls(0, pa.string())] * 4
    return [pc.replace_with_mask(column, is_odd, other) for column, other in zip(columns, others, strict=True)]


def _as_usual(urls: pa.Array) -> list[pa.Array]:
    """Levels 1 to 3 and the page, right for URLs that have a usual scheme, a host and no slashes in a row."""
    pieces = pc.split_pattern(urls, "/", max_splits=5)  # scheme, nothing, host, level 2, level 3, the rest
    starts = pieces.offsets.to_numpy()
    host, level2, level3, rest = (_piece(pieces, starts, at) for at in range(2, 6))
    rest = pc.utf8_rtrim(rest, "/")
    path = pc.binary_join_element_wise("", level2, level3, rest, "/", null_handling="skip")
    page = pc.if_else(pc.equal(path, ""), "/", path)
    hosts = _coded(host)
    level1 = pc.take(pa.array(map(_host, hosts.dictionary.to_pylist()), pa.string()), hosts.indices)
    return [level1, level2, level3, page]


def _piece(pieces: pa.ListArray, starts: npt.NDArray[np.int32], at: int) -> pa.Array:
    """The piece with the number *at* of each text, null where it is empty or there is none."""
    places = starts[:-1] + at
    found = pc.take(pieces.values, pa.array(places, mask=places >= starts[1:]))
    return pc.if_else(pc.equal(found, ""), None, found)


def _coded(texts: pa.Array) -> pa.DictionaryArray:
    coded = texts.dictionary_encode()
    return coded if isinstance(coded, pa.DictionaryArray) else pa.concat_arrays(coded.chunks)


def _bare(urls: pa.Array) -> pa.Array:
    """URLs without space around them, query and fragment."""
    bare = pc.ascii_trim(urls, _SPACE)
    for mark in "?#":
        if pc.any(pc.match_substring(bare, mark)).as_py():
            bare = pc.list_element(pc.split_pattern(bare, mark, max_splits=1), 0)
    return bare


@lru_cache(maxsize=4096)
def _host(authority: str) -> str | None:
    """The host without user and port, lowered, without one leading `www.`; None when nothing is left."""
    name = authority.rpartition("@")[2]
    name = name.lower() if name.isascii() else name.translate(_UPPER_TO_LOWER)
    bracketed = name.startswith("[") and "]" in name
    name = name[: name.index("]") + 1] if bracketed else name.partition(":")[0]
    return name.removeprefix("www.") or None
