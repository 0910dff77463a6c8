"""Records with many ties: few actors, few instants, pauses of exactly the gap, copies that agree and that do not.

A record comes from a seed of its own, so that a failing set shrinks record by record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.laws.effort import each

START = datetime(2011, 12, 30, 9, 30, tzinfo=UTC)  # the night in which Samoa lost a day
QUARTER = timedelta(minutes=15)
SLIPS = [0] * 8 + [1, -1, 999_999, 59_000_000]

ACTORS = ["a", "a", "a", "b", "b", "B", "", None, 5, "5", "é", "\U0001f600", 'q"|,\n', "absent"]
NAMES: list[Any] = [
    *each("page_view page_view PAGE_VIEW placed_order Placed_Order search claim order+(1) ORDER+(1) orderr1"),
    *("p\u017fage_view", "page_view\n", "", 7),
]
PAGES = [
    *each("/a a /a/ https://www.shop.example/a?x http://shop.example:80 https://localhost/b //b.example/b/c/d /b/c /"),
    *("www.é.example/é", "/n\x00l"),
]
REFERRERS = [
    *each("https://www.shop.example/x https://SHOP.example http://x.example/ x.example y.example/a /a"),
    *each("https://localhost other.example"),
]
NOTHING = ["", None, "absent", "absent", "\ue000"]
LABELS: list[Any] = ["a", "b", "a", ["b"], "b, a", ["b", "a,c"], [], " ", 0, [0, "a"], [1], "absent", None]
BROKEN = [b"", b" ", b"oops", b"{}", b"[1]", b'{"id": 1', b"\xff", b'{"id":{},"sessionId":[]}']
DAY_FIRST = ("activity", "activity_by_record")


@dataclass(frozen=True)
class World:
    """What records are made of: few of each, so that many agree in much."""

    ids: int
    quarters: int
    actors: list[Any]
    names: list[Any]
    pages: list[Any]
    referrers: list[Any]

    @staticmethod
    def of(rng: Random) -> World:
        """Some world."""
        return World(
            ids=rng.choice((4, 12, 1000)),
            quarters=rng.choice((2, 6, 10)),
            actors=rng.choices(ACTORS, k=rng.choice((2, 4, 9))),
            names=rng.choices(NAMES, k=rng.choice((1, 3, 9))),
            pages=rng.choices(PAGES + NOTHING, k=rng.choice((2, 4, 9))),
            referrers=rng.choices(REFERRERS + NOTHING, k=rng.choice((2, 4, 9))),
        )


WIDE = World(12, 10, ACTORS, NAMES, PAGES + NOTHING, REFERRERS + NOTHING)


def record(rng: Random, world: World = WIDE) -> dict[str, Any]:
    """One record that every pipeline here can read."""
    quarters = rng.randrange(world.quarters) if rng.random() < 0.9 else rng.randrange(-3000, 3000)
    moment = START + quarters * QUARTER + timedelta(microseconds=rng.choice(SLIPS))
    if moment.microsecond:
        text = moment.isoformat().removesuffix("+00:00") + rng.choice(["Z", "+00:00", "999Z"])
    else:
        plain = moment.isoformat()
        text = rng.choice([plain, plain.removesuffix("+00:00"), f"{moment:%Y-%m-%d %H:%M:%S}+0000"])
    identity = rng.randrange(world.ids)
    actor, name = rng.choice(world.actors), rng.choice(world.names)
    page, referrer = rng.choice(world.pages), rng.choice(world.referrers)
    price = rng.choice([0, -0.0, 0.1, "0.10", 1e3, None])
    event = {
        "customer-id": actor,
        "timestamp": text,
        "page": page,
        "referrer": referrer,
        "price": price,
        "ip": rng.random(),
        "number": rng.choice([0, 1, 2, -1, None, "1"]),
        "flag": rng.choice([True, False, None]),
        "seen": rng.choice([None, 0, 1.5, "1.5"]),
    }
    return {
        "id": identity,
        "event_id": str(identity),
        "type": name,
        "action": name,
        "event": event,
        "timestamp": f"{moment:%d/%m/%Y %H:%M:%S}" if rng.random() < 0.7 else text,
        "url": page,
        "user": {"id": actor},
        "price": price,
        "place": rng.choice([None, "x", "y"]),
        "part": rng.choice([None, 1, 2]),
        "n": identity % 2,
        "file": "f",
        "new": rng.choice([True, False, None]),
        "sessionId": rng.choice(["s", "t", "u", "", 7]),
        "userId": actor,
        "referrer": referrer,
        "experiments": (labels := rng.choice(LABELS)),
        "labels": labels,
    }


def line(record: dict[str, Any], pipeline: str) -> bytes:
    """The record as JSON; *pipeline* decides how its time is written."""
    own = {key: value for key, value in record.items() if value != "absent"}
    own["event"] = {key: value for key, value in record["event"].items() if value != "absent"}
    if pipeline not in DAY_FIRST:
        own["timestamp"] = record["event"]["timestamp"]
    if own["user"]["id"] == "absent":
        own["user"] = None
    return json.dumps(own, ensure_ascii=False).encode()


@st.composite
def lines(draw, pipeline: str, most: int = 40) -> list[bytes]:
    """Lines for *pipeline*: records, copies of some, a few that are blank or broken."""
    world = World.of(Random(draw(st.integers(0, 1 << 32))))
    least = draw(st.sampled_from([0, most // 2]))
    seeds = draw(st.lists(st.integers(0, 1 << 32), min_size=least, max_size=most))
    found = [line(record(Random(seed), world), pipeline) for seed in seeds]
    found += [found[at % len(found)] for at in draw(st.lists(st.integers(0, most), max_size=5))] if found else []
    found += draw(st.lists(st.sampled_from(BROKEN), max_size=3))
    Random(draw(st.integers(0, 1 << 32))).shuffle(found)
    return found
