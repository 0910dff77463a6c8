"""Records with many ties: few actors, few instants, pauses of exactly the gap, copies that agree and copies that do not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

START = datetime(2011, 12, 30, 9, 30, tzinfo=UTC)  # the night in which Samoa lost a day
QUARTER = timedelta(minutes=15)

instants = st.builds(
    lambda quarters, slip: START + quarters * QUARTER + timedelta(microseconds=slip),
    st.integers(0, 9) | st.integers(0, 9) | st.integers(-3000, 3000),
    st.sampled_from([0, 0, 0, 0, 1, -1, 999_999, 59_000_000]),
)
actors = st.sampled_from(["a", "a", "a", "b", "b", "B", "", None, 5, "5", "é", "\U0001f600", 'q"|,\n', "absent"])
names = st.sampled_from(
    ["page_view", "page_view", "PAGE_VIEW", "placed_order", "Placed_Order", "search", "claim", "page_view\n", "", "order+(1)", "ORDER+(1)", "orderr1", "pſage_view", 7]
)  # fmt: skip
pages = st.sampled_from(
    ["/a", "a", "/a/", "https://www.shop.example/a?x", "http://shop.example:80", "https://localhost/b", "//b.example/b/c/d", "/b/c", "", "/", None, "absent", "\ue000", "www.é.example/é"]
)  # fmt: skip
referrers = st.sampled_from(
    ["https://www.shop.example/x", "https://SHOP.example", "http://x.example/", "x.example", "y.example/a", "/a", "", None, "absent", "absent", "https://localhost", "other.example"]
)  # fmt: skip


@st.composite
def records(draw, ids: int) -> dict[str, Any]:
    """One record that every pipeline here can read; *ids* is how many ids there are to choose from."""
    moment = draw(instants)
    if moment.microsecond:
        text = moment.isoformat().removesuffix("+00:00") + draw(st.sampled_from(["Z", "+00:00", "999Z"]))
    else:
        text = draw(st.sampled_from([moment.isoformat(), moment.isoformat().removesuffix("+00:00"), f"{moment:%Y-%m-%d %H:%M:%S}+0000"]))
    identity = draw(st.integers(0, ids))
    actor, name, page = draw(actors), draw(names), draw(pages)
    event = {"customer-id": actor, "timestamp": text, "page": page, "referrer": draw(referrers)}
    event |= {"number": draw(st.sampled_from([0, 1, 2, -1, None, "1"])), "flag": draw(st.sampled_from([True, False, None]))}
    event |= {"price": draw(st.sampled_from([0, -0.0, 0.1, "0.10", 1e3, None])), "seen": draw(st.sampled_from([None, 0, 1.5, "1.5"]))}
    event |= {"ip": draw(st.integers(0, 3))}  # nobody reads it
    return {
        "id": identity, "event_id": str(identity), "type": name, "action": name, "event": event,
        "timestamp": draw(st.sampled_from([f"{moment:%d/%m/%Y %H:%M:%S}"] * 3 + [text])), "url": page, "user": {"id": actor},
        "price": event["price"], "place": draw(st.sampled_from([None, "x", "y"])), "part": draw(st.sampled_from([None, 1, 2])),
        "n": identity % 2, "file": "f", "sessionId": draw(st.sampled_from(["s", "t", "u", "", 7])), "userId": actor, "referrer": event["referrer"],
    }  # fmt: skip


def line(record: dict[str, Any], pipeline: str) -> bytes:
    """The record as JSON; *pipeline* decides which times it is read with."""
    own = {key: value for key, value in record.items() if value != "absent"}
    own["event"] = {key: value for key, value in record["event"].items() if value != "absent"}
    if pipeline not in ("activity", "activity_by_record"):
        own["timestamp"] = record["event"]["timestamp"]
    if own["user"]["id"] == "absent":
        own["user"] = None
    return json.dumps(own, ensure_ascii=False).encode()


@st.composite
def lines(draw, pipeline: str, most: int = 40) -> list[bytes]:
    """Lines for *pipeline*: records, copies of some, a few that are blank or broken."""
    ids = draw(st.sampled_from([4, 12, 1000]))
    found = [line(record, pipeline) for record in draw(st.lists(records(ids), max_size=most))]
    found += [found[at % len(found)] for at in draw(st.lists(st.integers(0, most), max_size=5))] if found else []
    found += draw(st.lists(st.sampled_from([b"", b" ", b"oops", b"{}", b"[1]", b'{"id": 1', b"\xff", b'{"id":{},"sessionId":[]}']), max_size=3))
    return draw(st.permutations(found))
