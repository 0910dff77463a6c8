"""URLs as text against the reference (semantics 6.1, 6.4), one by one and in columns."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sojourn.pipeline import Field, Source
from sojourn.reading import urls
from tests import reference
from tests.laws.effort import each, examples

SOURCE = Source(
    fields={"url": Field(path="url"), "occurred_at": Field(path="at", type="time"), "referrer": Field(path="referrer")}
)
pieces = st.sampled_from(
    [
        *each(
            "/ // /// : :// @ . .. # ? [ ] www. www WWW. Www. http https: HTTPS:// http:// ftp+x-1.0:// 1a:// mailto:"
        ),
        *each(
            "javascript: data:, a b example Example.COM shop.example.com :80 :x user:pw@ u@v@ [::1] [2001:DB8::1] ]:["
        ),
        *each("%2F %20 q=1&r=/x É.com İstanbul.example K.example ß\u0130 xn--bcher-kva .html / index.php \\ ; , ' \""),
        *(" ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\u00a0", "\u2003", "\u2028", "\ufeff", "\u200b", "\x00", "\x1c"),
        *("\x85", "\ue000", "localhost"),
    ]
)
texts = (
    st.lists(pieces, max_size=9).map("".join)
    | st.lists(pieces | st.text(max_size=3), max_size=6).map("".join)
    | st.text()
)


def expected(text: str | None) -> tuple[str | None, ...]:
    """Levels and page by the reference."""
    return (*reference.levels(text), reference.page(text))


@examples(1500)
@given(texts)
def test_levels_and_page_are_those_of_the_reference(text):
    """Schemes, users, ports, IPv6, dots, white space of every kind, query and fragment: no text is an error."""
    assert urls.parts(text) == expected(text)
    assert urls.host(text) == reference.host(text)


@examples(100)
@given(st.lists(st.tuples(st.none() | texts, st.none() | texts), max_size=8))
def test_columns_hold_what_each_text_gives_alone(rows):
    """Derived columns of a whole block, nulls and repetitions among them, are those of its texts one by one."""
    table = pa.table(
        {
            "url": pa.array([url for url, _ in rows], pa.string()),
            "occurred_at": pa.array(range(len(rows)), pa.int64()),
            "referrer": pa.array([referrer for _, referrer in rows], pa.string()),
        }
    )
    derived = urls.derive(table, SOURCE)
    assert derived.column_names == list(SOURCE.landed)
    assert [tuple(row.values())[3:] for row in derived.to_pylist()] == [
        (*expected(url), reference.host(referrer)) for url, referrer in rows
    ]


@examples(200)
@given(texts)
def test_a_page_is_a_page_of_itself(text):
    """A page read again as a URL is the same page, unless its path begins like a host (`//`); it ends in no slash."""
    page = urls.parts(text)[3]
    assert page is not None
    assert page.startswith("/")
    assert page == "/" or not page.endswith("/")
    if not page.startswith("//") and page == page.strip(" \t\n\r\v\f"):
        assert urls.parts(page)[3] == page
