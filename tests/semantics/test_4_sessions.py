"""Sessions."""

import hashlib
import json
from datetime import UTC, datetime

from tests.command import Home, lines, shop, sojourn


def md5(*parts: object) -> str:
    """The MD5 in hex of the parts, joined by `|`."""
    return hashlib.md5("|".join(map(str, parts)).encode()).hexdigest()


def microseconds(text: str) -> int:
    """Epoch microseconds of an ISO time in UTC."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // datetime.resolution


def view(url: str, when: str, key: str, user: object = 4) -> str:
    """A line of the page-view log, on 2 January 2018."""
    return json.dumps({"url": url, "timestamp": f"2018-01-02T{when}", "sessionId": key, "userId": user})


REPLACE = ("--mode", "replace")


def events_by_session(home: Home) -> list[int]:
    """How many events each of the customer's sessions holds, in order."""
    return home.values("select events from webshop.sessions order by actor, session_number")


def test_4_1_exact_gap_stays(home: Home) -> None:
    """A pause of 30:00.000000 is within the session."""
    home.run("webshop", lines(shop(1, "10:00:00"), shop(2, "10:30:00.000000")))
    assert events_by_session(home) == [2]


def test_4_1_one_microsecond_more_than_the_gap_splits(home: Home) -> None:
    """A pause of 30:00.000001 ends the session."""
    home.run("webshop", lines(shop(1, "10:00:00"), shop(2, "10:30:00.000001")))
    assert events_by_session(home) == [1, 1]


def test_4_1_many_short_pauses_make_one_long_session(home: Home) -> None:
    """The gap is between neighbours: the session itself may be far longer."""
    home.run(
        "webshop",
        lines(*(shop(hour * 2 + half, f"{hour:02}:{half * 30:02}:00") for hour in range(24) for half in (0, 1))),
    )
    rows = home.rows("select events, duration_seconds from webshop.sessions")
    assert rows == [{"events": 48, "duration_seconds": 23.5 * 3600}]


def test_4_1_one_event_is_a_session_of_zero_seconds(home: Home) -> None:
    """It starts and ends at its instant."""
    home.run("webshop", lines(shop(1, "10:00:00.000001")))
    assert home.rows("select started_at, ended_at, duration_seconds from webshop.sessions") == [
        {
            "started_at": "2022-03-01T10:00:00.000001Z",
            "ended_at": "2022-03-01T10:00:00.000001Z",
            "duration_seconds": 0.0,
        }
    ]


def test_4_1_pauses_are_an_actors_own(home: Home) -> None:
    """Another actor's events between two of mine keep no session alive, nor end one."""
    mine = [shop(at, f"1{at}:00:00", "me") for at in (0, 1)]
    others = [shop(10 + at, f"10:{at:02}:00", "other") for at in range(0, 60, 10)]
    home.run("webshop", lines(mine[0], *others, mine[1]))
    assert events_by_session(home) == [1, 1, 6]


def test_4_1_the_gap_is_the_pipelines(home: Home) -> None:
    """Declared with its unit, to the microsecond; the default is 30 minutes."""
    own = """
        [source.events.fields]
        event_id    = "id"
        occurred_at = "event.timestamp"
        actor       = "event.customer-id"
        [sessions]
        rule = "gap"
        """
    content = lines(shop(1, "10:00:00"), shop(2, "10:01:30"), shop(3, "10:03:00.000001"), shop(4, "10:33:00.000001"))
    for name, gap, sessions in (
        ("quick", 'gap = "90s"', 3),
        ("usual", "", 1),
        ("shorter", 'gap = "1.5m"', 3),
        ("longer", 'gap = "90000001us"', 2),
    ):
        report = home.run(home.path(f"{name}.toml", f"{own}{gap}\n"), content)
        assert report["tables"] == {"sessions": sessions}, name


def test_4_2_a_key_is_one_session_whatever_the_pauses(home: Home) -> None:
    """Hours between its events, and another session among them, do not split it."""
    home.run("pageviews", lines(view("/a", "00:00:00", "k"), view("/b", "12:00:00", "x"), view("/c", "23:00:00", "k")))
    rows = home.rows("select events, duration_seconds from pageviews.sessions order by events desc")
    assert rows == [{"events": 2, "duration_seconds": 23 * 3600.0}, {"events": 1, "duration_seconds": 0.0}]


def test_4_2_the_actor_of_a_key_is_that_of_its_first_event(home: Home) -> None:
    """First in the order of events, not in the file."""
    home.run("pageviews", lines(view("/b", "10:00:01", "k", "second"), view("/a", "10:00:00", "k", "first")))
    assert home.values("select actor from pageviews.sessions") == ["first"]


def test_4_4_start_end_duration_and_number(home: Home) -> None:
    """First event, last event, their difference in seconds as a double; numbers count from 1 by start."""
    home.run(
        "webshop",
        lines(
            shop(1, "15:00:00"),
            shop(2, "10:00:00.25"),
            shop(3, "10:10:00.75"),
            shop(4, "12:00:00"),
            shop(5, "11:00:00", "d"),
        ),
    )
    rows = home.rows(
        "select actor, session_number, started_at, ended_at, duration_seconds from webshop.sessions order by 1, 2"
    )
    day = "2022-03-01T"
    assert [tuple(row.values()) for row in rows] == [
        ("c", 1, f"{day}10:00:00.250000Z", f"{day}10:10:00.750000Z", 600.5),
        ("c", 2, f"{day}12:00:00.000000Z", f"{day}12:00:00.000000Z", 0.0),
        ("c", 3, f"{day}15:00:00.000000Z", f"{day}15:00:00.000000Z", 0.0),
        ("d", 1, f"{day}11:00:00.000000Z", f"{day}11:00:00.000000Z", 0.0),
    ]


def test_4_4_sessions_that_start_together_are_numbered_by_session_id(home: Home) -> None:
    """Keys can begin at one instant: the smaller id comes first, whatever the file's order."""
    keys = [f"k{at}" for at in range(6)]
    home.run("pageviews", lines(*(view("/", "10:00:00", key) for key in keys)))
    ids = home.values("select session_id from pageviews.sessions order by session_number")
    assert ids == sorted(md5("pageviews", key) for key in keys)


def test_4_5_session_id_by_gap(home: Home) -> None:
    """MD5 of pipeline, actor, start in microseconds and the first event's id."""
    home.run(
        "webshop",
        lines(shop("b", "10:00:00.000001", "käthe"), shop("a", "10:00:01", "käthe"), shop("a|", "12:00:00", "käthe")),
    )
    ids = home.values("select session_id from webshop.sessions order by session_number")
    assert ids == [
        md5("webshop", "käthe", microseconds("2022-03-01T10:00:00.000001"), "b"),
        md5("webshop", "käthe", microseconds("2022-03-01T12:00:00"), "a|"),
    ]


def test_4_5_session_id_without_event_ids_ends_with_nothing(home: Home) -> None:
    """A source without ids gives an empty last part; times before 1970 are negative."""
    own = home.path(
        "noid.toml",
        '[source.events.fields]\noccurred_at = "at"\nactor = "who"\n[sessions]\nrule = "gap"\n',
    )
    home.run(own, lines('{"at": "1969-12-31T23:59:59", "who": "c"}'))
    assert home.values("select session_id from noid.sessions") == [md5("noid", "c", -1_000_000, "")]


def test_4_5_session_id_by_key(home: Home) -> None:
    """MD5 of pipeline and key: the same whatever events come."""
    home.run("pageviews", lines(view("/", "10:00:00", "k|1")))
    assert home.values("select session_id from pageviews.sessions") == [md5("pageviews", "k|1")]


def test_4_5_a_late_event_renames_at_most_the_sessions_it_touches(home: Home) -> None:
    """Before a session it gives that one a new start; between two it joins them; others keep their ids."""
    home.run("webshop", lines(shop(1, "10:00:00"), shop(2, "10:50:00"), shop(3, "12:00:00"), shop(4, "14:00:00")))
    ids = "select session_id from webshop.sessions order by session_number"
    first, second, third, fourth = home.values(ids)
    home.run("webshop", lines(shop(5, "10:25:00")), name="joins.jsonl")
    assert home.values(ids) == [first, third, fourth]
    home.run("webshop", lines(shop(6, "11:59:00")), name="earlier.jsonl")
    joined, renamed, last = home.values(ids)
    assert (joined, last) == (first, fourth)
    assert renamed not in (second, third)


def test_4_6_referrer_is_the_host_of_the_first_external_one(home: Home) -> None:
    """Not the page's own host; hosts compare without www., port and letter case."""
    home.run(
        "webshop",
        lines(
            shop(1, "10:00:00", page="https://shop.example/", referrer="https://WWW.Shop.example:443/x"),
            shop(2, "10:01:00", page="https://shop.example/", referrer="/inside"),
            shop(3, "10:02:00", page="https://shop.example/", referrer="https://www.First.example/x?y"),
            shop(4, "10:03:00", page="https://shop.example/", referrer="https://second.example/"),
            shop(5, "10:00:00", "d", page="https://shop.example/", referrer="https://sub.shop.example/"),
            shop(6, "10:00:00", "e", page="https://shop.example/"),
        ),
    )
    rows = home.values("select referrer from webshop.sessions order by actor")
    assert rows == ["first.example", "sub.shop.example", None]


def test_4_6_own_hosts_serve_events_whose_page_has_none(home: Home) -> None:
    """Where the page has a host, that decides alone."""
    own = home.path(
        "own.toml",
        """
        [source.events.fields]
        event_id    = "id"
        name        = "type"
        occurred_at = "event.timestamp"
        actor       = "event.customer-id"
        url         = "event.page"
        referrer    = "event.referrer"
        [sessions]
        rule      = "gap"
        own_hosts = ["shop.example", "www.pay.example"]
        """,
    )
    home.run(
        own,
        lines(
            shop(1, "10:00:00", "a", page="/path", referrer="https://shop.example/"),
            shop(2, "10:00:00", "b", referrer="https://pay.example/x"),
            shop(3, "10:00:00", "c", page="/path", referrer="https://other.example/"),
            shop(4, "10:00:00", "d", page="https://elsewhere.example/", referrer="https://shop.example/"),
        ),
    )
    rows = home.values("select referrer from own.sessions order by actor")
    assert rows == [None, None, "other.example", "shop.example"]


def test_4_6_landing_and_exit_are_pages_of_page_views_only(home: Home) -> None:
    """Other events have a page and do not count; without a page view both are null."""
    home.run(
        "webshop",
        lines(
            shop(1, "10:00:00", page="/before"),
            shop(2, "10:01:00", kind="page_view", page="https://shop.example/in/?q#f"),
            shop(3, "10:02:00", kind="Page_View", page="out"),
            shop(4, "10:03:00", kind="placed_order", page="/after"),
            shop(5, "10:00:00", "d", page="/x"),
        ),
    )
    rows = home.rows("select page_views, landing_page, exit_page from webshop.sessions order by actor")
    assert rows == [
        {"page_views": 2, "landing_page": "/in", "exit_page": "/out"},
        {"page_views": 0, "landing_page": None, "exit_page": None},
    ]


def test_4_6_exactly_one_page_view_is_bounced(home: Home) -> None:
    """None is no bounce, two are none; other events do not matter."""
    home.run(
        "webshop",
        lines(
            shop(1, "10:00:00", "none"),
            shop(2, "10:00:00", "one", "page_view"),
            shop(3, "10:01:00", "one"),
            shop(4, "10:00:00", "two", "page_view"),
            shop(5, "10:01:00", "two", "PAGE_VIEW"),
        ),
    )
    rows = home.rows("select actor, bounced from webshop.sessions order by actor")
    assert rows == [
        {"actor": "none", "bounced": False},
        {"actor": "one", "bounced": True},
        {"actor": "two", "bounced": False},
    ]


def test_4_6_a_goal_event_in_any_letter_case_converts(home: Home) -> None:
    """`orders` counts them; a name that only begins alike is none."""
    kinds = ["placed_order", "PLACED_ORDER", "Placed_Order", "placed_order_2", "placed order"]
    home.run("webshop", lines(*(shop(at, "10:00:00", at, kind) for at, kind in enumerate(kinds))))
    rows = home.rows("select orders, converted from webshop.sessions order by actor")
    assert rows == [{"orders": 1, "converted": True}] * 3 + [{"orders": 0, "converted": False}] * 2


def test_4_6_every_event_of_a_source_without_names_is_a_page_view(home: Home) -> None:
    """The page-view log names no events: all are views, and nothing converts."""
    home.run("pageviews", lines(view("/a", "10:00:00", "k"), view("/b", "10:00:01", "k")))
    rows = home.rows("select events, page_views, converted from pageviews.sessions")
    assert rows == [{"events": 2, "page_views": 2, "converted": False}]


def test_4_6_more_events_than_a_person_makes_are_suspect(home: Home) -> None:
    """100 within ten seconds are fine, 101 are not; one that comes a microsecond later does not count."""
    for name, last in (("exactly", "09.999999"), ("within", "10.000000"), ("later", "10.000001")):
        times = [f"10:00:{at // 10:02}.{at % 10}" for at in range(100)]
        views = [view(f"/{at}", when, "k") for at, when in enumerate(times)]
        home.run(
            "pageviews", lines(*views[: 99 if name == "exactly" else 100], view("/z", f"10:00:{last}", "k")), *REPLACE
        )
        assert home.values("select suspect from pageviews.sessions") == [name == "within"], name


def test_4_6_more_sessions_than_a_person_begins_are_suspect(home: Home) -> None:
    """Each of the eleven is marked, the middle ones too; others of the actor, and those of others, are not."""
    burst = [view("/", f"10:00:{at:02}", f"k{at}") for at in range(11)]
    others = [view("/", "09:59:58.999999", "before"), view("/", "10:00:05", "bob", "bob")]
    others += [view("/", "10:00:05", f"nobody{at}", None) for at in range(20)]
    home.run("pageviews", lines(*burst, *others))
    rows = home.rows("select actor, suspect, count(*) as n from pageviews.sessions group by all order by all")
    assert [tuple(row.values()) for row in rows] == [
        ("4", False, 1),
        ("4", True, 11),
        ("bob", False, 1),
        (None, False, 20),
    ]


def test_4_6_what_is_suspect_is_the_pipelines_to_say(home: Home) -> None:
    """By gap the time is at most the gap; by markers nothing is suspect."""
    own = """
        [source.events.fields]
        occurred_at = "event.timestamp"
        event_id    = "id"
        actor       = "event.customer-id"
        [sessions]
        rule    = "gap"
        gap     = "2s"
        suspect = { events = 2, within = "1h" }
        """
    kept = [shop(1, "10:00:00"), shop(2, "10:00:01"), shop(3, "10:00:02"), shop(4, "10:00:05"), shop(5, "10:00:07")]
    home.run(home.path("own.toml", own), lines(*kept))
    assert home.values("select suspect from own.sessions order by started_at") == [True, False]
    for wrong, told in (("events = 0", "from 1"), ('within = "10"', "unit"), ("views = 1", "unknown key")):
        text = own.replace('events = 2, within = "1h"', wrong)
        done = sojourn("check", home.path("wrong.toml", text), home.folder / "input.jsonl")
        assert (done.status, told in done.err) == (2, True), done.err
