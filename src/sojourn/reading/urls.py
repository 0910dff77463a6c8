"""URLs as text: host, first two levels, page. Settled when a record is read, so that no engine has a say."""

import re
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from sojourn.pipeline import DERIVED, Source

_SPACE = " \t\n\r\v\f"
_SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
_UPPER_TO_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_MOST_KNOWN = 200_000

Parts = tuple[str | None, str | None, str | None, str | None]
_NOTHING: Parts = (None, None, None, None)


def parts(url: str) -> Parts:
    """Level 1 (the host), levels 2 and 3 (path segments as written), and the page. No text is an error."""
    return _parts(url.strip(_SPACE).partition("?")[0].partition("#")[0])


@lru_cache(maxsize=_MOST_KNOWN)
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
    """*events* with the derived columns; each distinct text is looked at once."""
    for field, names in DERIVED.items():
        if field in source.fields:
            for name, column in zip(names, _columns(events[field], len(names)), strict=True):
                events = events.append_column(name, column)
    return events.select(list(source.landed))


def _columns(urls: pa.ChunkedArray, count: int) -> list[pa.Array]:
    each = _coded(urls.combine_chunks())
    bare = _coded(_bare(each.dictionary))  # far fewer than URLs, whose queries differ
    found = [_NOTHING if url is None else _parts(url) for url in bare.dictionary.to_pylist()]
    at = pc.take(bare.indices, each.indices)
    return [pc.take(pa.array([parts[level] for parts in found], pa.string()), at) for level in range(count)]


def _coded(texts: pa.Array) -> pa.DictionaryArray:
    coded = texts.dictionary_encode()
    return coded if isinstance(coded, pa.DictionaryArray) else pa.concat_arrays(coded.chunks)


def _bare(urls: pa.Array) -> pa.Array:
    """URLs without space around them, query and fragment."""
    bare = pc.utf8_trim(urls, _SPACE)
    for mark in "?#":
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
