"""Activity."""

import json

import pytest

from tests.command import Home, lines

LEVELS = {
    # text: level 1, level 2, level 3, page
    "https://www.hipages.com.au/articles": ("hipages.com.au", "articles", None, "/articles"),
    "HTTPS://User:p@ss@WWW.Shop.Example:8080//a//b/c/?q=/x#/y": ("shop.example", "a", "b", "//a//b/c"),
    "//cdn.example/x": ("cdn.example", "x", None, "/x"),
    "www.hipages.com.au/connect/x": ("hipages.com.au", "connect", "x", "/connect/x"),
    "a.html": ("a.html", None, None, "/"),
    "/a.html": (None, "a.html", None, "/a.html"),
    "/pedals": (None, "pedals", None, "/pedals"),
    "pro-audio": (None, "pro-audio", None, "/pro-audio"),
    "pro/audio.html": (None, "pro", "audio.html", "/pro/audio.html"),
    "https://[2001:DB8::A]:80/x": ("[2001:db8::a]", "x", None, "/x"),
    "https:///x": (None, "x", None, "/x"),
    "https://": (None, None, None, "/"),
    "//": (None, None, None, "/"),
    "https://user@/x": (None, "x", None, "/x"),
    "www.www.example": ("www.example", None, None, "/"),
    "1https://x.example/y": (None, "1https:", "x.example", "/1https://x.example/y"),
    "x+y-z.1://h.example/y": ("h.example", "y", None, "/y"),
    "mailto:me@b.example": ("b.example", None, None, "/"),
    "example.com?u=/a/b.c": ("example.com", None, None, "/"),
    "path?u=x.y": (None, "path", None, "/path"),
    "#top": (None, None, None, "/"),
    "": (None, None, None, "/"),
    " \t\n/a ": (None, "a", None, "/a"),
    "/%C3%84/\u00c4/": (None, "%C3%84", "\u00c4", "/%C3%84/\u00c4"),
    "https://\u00c4B.example": ("\u00c4b.example", None, None, "/"),
    "/": (None, None, None, "/"),
    "not a url: {}": (None, "not a url: {}", None, "/not a url: {}"),
    "javascript:void(0)": (None, "javascript:void(0)", None, "/javascript:void(0)"),
    "/line\nbreak/x": (None, "line\nbreak", "x", "/line\nbreak/x"),
    "https://h\u0000.example/\u0000": ("h\u0000.example", "\u0000", None, "/\u0000"),
}


def act(number: object, when: str, url: str | None = "/", action: str = "page_view", **more: object) -> str:
    """A line of the website's log, on 1 March 2017; *user* is its user's id."""
    record: dict[str, object] = {
        "event_id": f"{number:02}",
        "action": action,
        "timestamp": f"01/03/2017 {when}",
        "url": url,
    }
    record |= {"user": {"id": more["user"]}} if "user" in more else {}
    return json.dumps(record)


@pytest.mark.parametrize("url", LEVELS)
def test_6_1_url_levels(levels: dict[str, tuple[str | None, ...]], url: str) -> None:
    """Host without user, port and one `www.`, then the first two non-empty segments; no text is an error."""
    assert levels[url] == LEVELS[url][:3]


@pytest.mark.parametrize("url", LEVELS)
def test_6_4_page(pages: dict[str, str], url: str) -> None:
    """The path with a leading slash, without query, fragment and trailing slash."""
    assert pages[url] == LEVELS[url][3]


@pytest.fixture(scope="module")
def home_of_urls(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with every text of LEVELS as the url of one event."""
    home = Home(tmp_path_factory.mktemp("urls"))
    home.run("activity", lines(*(act(at, f"10:{at:02}:00", url) for at, url in enumerate(LEVELS))))
    view = {"timestamp": "2018-01-02T10:00:00"}
    home.run(
        "pageviews",
        lines(*(json.dumps({**view, "url": url, "sessionId": str(at)}) for at, url in enumerate(LEVELS))),
    )
    return home


@pytest.fixture(scope="module")
def levels(home_of_urls: Home) -> dict[str, tuple[str | None, ...]]:
    """The three levels of each text, by the place of its event."""
    rows = home_of_urls.rows(
        "select url_level1, url_level2, url_level3 from activity.user_activity order by time_stamp"
    )
    return dict(zip(LEVELS, (tuple(row.values()) for row in rows), strict=True))


@pytest.fixture(scope="module")
def pages(home_of_urls: Home) -> dict[str, str]:
    """The page of each text, by the id of its session."""
    found = home_of_urls.rows(
        "select place, landing_page from pageviews.sessions "
        "join (select range as place from range(100)) on session_id = md5('pageviews|' || place)"
    )
    by_place = {row["place"]: row["landing_page"] for row in found}
    return {url: by_place[at] for at, url in enumerate(LEVELS)}


def test_6_2_one_row_per_bucket_place_and_activity(home: Home) -> None:
    """Events are counted; users exactly and once each; an event without a user in the first only."""
    home.run(
        "activity",
        lines(
            act(1, "10:00:00", "/a", user=5),
            act(2, "10:59:59", "/a/b?c", user="5"),
            act(3, "10:30:00", "/a", user=6),
            act(4, "10:30:00", "/a"),
            act(5, "10:30:00", "/a", user=None),
            act(6, "10:30:00", "/a", user=""),
            act(7, "11:00:00", "/a", user=5),
            act(8, "10:00:00", "/a", "claim"),
            act(9, "10:00:00", "h.example/a", user=5),
        ),
    )
    rows = home.rows("select * from activity.hourly_activity order by 1, 2 nulls first, 3, 4")
    assert [tuple(row.values()) for row in rows] == [
        ("2017030110", None, "a", "claim", 1, 0),
        ("2017030110", None, "a", "page_view", 6, 2),
        ("2017030110", "h.example", "a", "page_view", 1, 1),
        ("2017030111", None, "a", "page_view", 1, 1),
    ]


def test_6_3_the_two_tables_have_the_briefs_columns_spelling_and_order(home: Home) -> None:
    """`DD/MM/YYYY HH:MM:SS`, `NULL` for a missing level, rows in the total order and by key."""
    out = home.folder / "out"
    home.run(
        "activity",
        lines(
            act(3, "20:22:00", "https://b.example/x/y", user=2),
            act(2, "20:22:00", "/", user=10),
            act(1, "20:22:01", "https://b.example", "claim", user=2),
        ),
        "--out",
        out,
    )
    assert (out / "user_activity.csv").read_text() == (
        "user_id,time_stamp,url_level1,url_level2,url_level3,activity\n"
        "10,01/03/2017 20:22:00,NULL,NULL,NULL,page_view\n"
        "2,01/03/2017 20:22:00,b.example,x,y,page_view\n"
        "2,01/03/2017 20:22:01,b.example,NULL,NULL,claim\n"
    )
    assert (out / "hourly_activity.csv").read_text() == (
        "time_bucket,url_level1,url_level2,activity,activity_count,user_count\n"
        "2017030120,NULL,NULL,page_view,1,1\n"
        "2017030120,b.example,NULL,claim,1,1\n"
        "2017030120,b.example,x,page_view,1,1\n"
    )


def test_6_3_other_tables_have_iso_instants_lower_case_booleans_and_empty_nulls(home: Home) -> None:
    """Text that is empty, or would read otherwise, is quoted: a reader can tell it from null."""
    out = home.folder / "out"
    home.run(
        "pageviews",
        lines('{"url": "/a,\\"b\\"", "timestamp": "2016-01-01T00:00:00", "sessionId": "k", "userId": ""}'),
        "--out",
        out,
    )
    assert (out / "sessions.csv").read_text().splitlines()[1].partition(",")[2] == (
        ',,2016-01-01T00:00:00.000000Z,2016-01-01T00:00:00.000000Z,0.0,1,1,false,true,,"/a,""b""","/a,""b""",false'
    )


def test_6_4_two_spellings_are_one_page(home: Home) -> None:
    """`pro-audio`, `/pro-audio`, with slash or query: one row with all views."""
    view = '{{"url": "{}", "timestamp": "2018-01-02T10:00:0{}", "sessionId": "k"}}'
    urls = ["pro-audio", "/pro-audio", "/pro-audio/", "pro-audio?x=1", "https://shop.example/pro-audio#y"]
    home.run("pageviews", lines(*(view.format(url, at) for at, url in enumerate(urls))))
    assert home.rows("select url, views from pageviews.pages") == [{"url": "/pro-audio", "views": 5}]


def test_6_5_transitions_are_steps_between_neighbours_within_30_minutes(home: Home) -> None:
    """A pause of exactly 30 minutes is a step, a longer one is none; users and repetitions are counted."""
    home.run(
        "activity",
        lines(
            act(1, "10:00:00", "/a", user=1),
            act(2, "10:30:00", "a?x", user=1),
            act(3, "11:00:00", "/b", "claim", user=1),
            act(4, "11:30:01", "/a", user=1),
            act(5, "11:31:00", "/b", "claim", user=1),
            act(6, "10:00:00", "/a", user=2),
            act(7, "10:00:00", "/b", "claim", user=2),
            act(8, "10:00:01", "/c"),
            act(9, "10:00:02", "/d"),
        ),
    )
    rows = home.rows("select * from activity.transitions order by 1, 2, 3")
    assert [tuple(row.values()) for row in rows] == [("/a", "/a", "page_view", 1, 1), ("/a", "/b", "claim", 3, 2)]
