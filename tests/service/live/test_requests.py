"""Sessions over HTTP: added to, read, listed and removed; and one shape for every error."""

import json
from collections.abc import Callable

import pytest

from tests.service.live.client import BEGIN, Client, begin, end, event, numbered, refusal
from tests.service.live.process import Service, start
from tests.store.places import Place

LINES = "application/x-ndjson"


def lines(*messages: object) -> bytes:
    """One message a line."""
    return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in messages).encode()


def test_one_message(service: Service, name: str) -> None:
    """An array is a message; it is acknowledged with its number, and can be read at once."""
    found = service.post(name, [begin(name), event(1)])
    assert (found.status, found.json) == (200, {"type": "ack", "seq": 1})
    assert found.headers["content-type"] == "application/json"
    assert service.post(name, numbered(2, event(2), end(name))).json == {"type": "ack", "seq": 2}
    assert [child["name"] for child in service.document(name)["children"]] == ["1", "2"]


def test_a_message_a_line(service: Service, name: str) -> None:
    """One answer at the end, with the last number that was stored; empty lines are none."""
    body = lines([begin(name)], "", *([event(number)] for number in range(2, 501)), " ")
    assert service.post(name, body, Content_Type=LINES).json == {"type": "ack", "seq": 500}
    assert service.post(name, body, Content_Type=f"{LINES}; charset=utf-8").json == {"type": "ack", "seq": 1000}
    assert len(service.document(name)["children"]) == 998


def test_a_line_that_is_refused(service: Service, name: str) -> None:
    """What stands before it stays: the answer says how far, and which line it was."""
    body = lines([begin(name)], [event(2)], [{**event(3), "timestamp": "x"}], [event(4)])
    found = service.post(name, body, Content_Type=LINES)
    assert (found.status, found.code) == (422, "bad_type")
    assert (found.json["path"], found.json["seq"], found.json["line"]) == ("$[0].timestamp", 2, 3)
    assert len(service.document(name)["children"]) == 1
    found = service.post(name, b"\n \r\n" + lines([event(3)], "", "nonsense"), Content_Type=LINES)
    assert (found.code, found.json["seq"], found.json["line"]) == ("invalid_json", 3, 5)


def test_sent_again_with_a_key(service: Service, name: str) -> None:
    """The same `Idempotency-Key` stores once, whether one message or many; another key stores anew."""
    service.post(name, [begin(name)])
    for _ in range(3):
        assert service.post(name, [event(2)], Idempotency_Key="k").json == {"type": "ack", "seq": 2}
    body = lines(*([event(number)] for number in range(3, 100)))
    for _ in range(2):
        assert service.post(name, body, Content_Type=LINES, Idempotency_Key="l").json == {"type": "ack", "seq": 99}
    assert service.post(name, [event(2)], Idempotency_Key="m").json == {"type": "ack", "seq": 100}
    found = service.post(name, [event(3)], Idempotency_Key="k")
    assert (found.status, found.code) == (409, "other_content")
    assert service.post(name, [event(2)]).json == {"type": "ack", "seq": 101}
    assert len(service.document(name)["children"]) == 100


def test_sent_again_with_numbers(service: Service, name: str) -> None:
    """Messages that say their number are stored once, also together with new ones, also after the end."""
    body = [numbered(1, begin(name)), *(numbered(number, event(number)) for number in range(2, 50))]
    for upto in (20, 10, 49, 49):
        assert service.post(name, lines(*body[:upto]), Content_Type=LINES).json == {"type": "ack", "seq": upto}
    service.post(name, [end(name)])
    assert service.post(name, body[0]).json == {"type": "ack", "seq": 1}
    assert len(service.document(name)["children"]) == 48


def test_sent_again_with_a_number_in_the_address(service: Service, name: str) -> None:
    """It is the number of the first message; those after it go on, but for those that say theirs."""
    path = f"/v1/sessions/{name}/events?seq="
    for _ in range(2):
        assert service.ask("POST", f"{path}1", [begin(name)]).json == {"type": "ack", "seq": 1}
        body = lines([event(2)], [event(3)], numbered(4, event(4)), [event(5)])
        assert service.ask("POST", f"{path}2", body, Content_Type=LINES).json == {"type": "ack", "seq": 5}
    for number, status, code, where in (
        ("1", 409, "other_content", "$"),
        ("7", 409, "gap", "$.seq"),
        ("0", 422, "bad_request", "$.query.seq"),
    ):
        found = service.ask("POST", path + number, [event(6)])
        assert (found.status, found.code, found.json["path"]) == (status, code, where)
    assert len(service.document(name)["children"]) == 4


def test_a_key_stands_for_one_message(service: Service, name: str) -> None:
    """With another number it is refused before it comes to the journal, where it would fail for everybody."""
    assert service.post(name, numbered(1, begin(name)), Idempotency_Key="k").status == 200
    assert service.post(name, numbered(1, begin(name)), Idempotency_Key="k").status == 200
    found = service.post(name, numbered(2, event(2)), Idempotency_Key="k")
    assert (found.status, found.code, found.json["path"]) == (409, "other_content", "$.header.idempotency-key")
    assert service.post(name, numbered(2, event(2)), Idempotency_Key="l").json == {"type": "ack", "seq": 2}
    found = service.post(name, [event(3)], Idempotency_Key="l")
    assert (found.status, found.code, found.json["path"]) == (409, "other_content", "$")


REFUSED: list[tuple[object, int, str, str]] = [
    (b"not JSON", 400, "invalid_json", "$"),
    (b"", 400, "invalid_json", "$"),
    (b'["\xff"]', 400, "invalid_utf8", "$"),
    ([], 422, "empty", "$"),
    ([event(1), 5], 422, "not_an_object", "$[1]"),
    ([event(1, x=1), {"type": "EVENT", "timestamp": 1}], 422, "missing_field", "$[1].name"),
    ([begin("another")], 422, "other_session", "$[0].session_id"),
    ([{**begin("x"), "timestamp": 1e-9}], 422, "bad_time", "$[0].timestamp"),
    (numbered(1, event(1)), 409, "other_content", "$.events"),
    (numbered(3, event(1)), 409, "gap", "$.seq"),
    ([event(1, x="x" * (1 << 20))], 413, "too_large", "$"),
    ([event(1)] * 10_001, 413, "too_large", "$"),
]


@pytest.mark.parametrize(("content", "status", "code", "path"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_a_refused_message_stores_nothing(
    service: Service, name: str, content: object, status: int, code: str, path: str
) -> None:
    """The answer has the code and the path that a socket is told."""
    service.post(name, [begin(name)])
    found = service.post(name, content)
    assert (found.status, found.code, found.json["path"]) == (status, code, path)
    assert service.post(name, [event(2)]).json == {"type": "ack", "seq": 2}


def test_starts_and_ends(service: Service, name: str) -> None:
    """What a session does not take."""
    found = service.post(name, [event(1)])
    assert (found.status, found.code) == (422, "not_started")
    assert service.get(f"/v1/sessions/{name}").status == 404
    service.post(name, [begin(name), end(name)])
    found = service.post(name, [event(1)])
    assert (found.status, found.code, found.json["seq"]) == (410, "ended", 1)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json(service: Service, name: str, kind: str) -> None:
    """A body says what it is, and is not compressed."""
    found = service.post(name, [begin(name)], Content_Type=kind)
    assert (found.status, found.code) == (415, "unsupported_type")
    assert service.post(name, [begin(name)], Content_Encoding="gzip").status == 415


def test_documents_have_a_tag(service: Service, name: str) -> None:
    """304 as long as nothing changed, for open sessions, too."""
    assert service.get(f"/v1/sessions/{name}").code == "unknown_session"
    service.post(name, [begin(name), event(1)])
    first = service.get(f"/v1/sessions/{name}")
    assert (first.status, first.json["end"], first.headers["cache-control"]) == (200, None, "private, no-cache")
    for known in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
        again = service.get(f"/v1/sessions/{name}", If_None_Match=known)
        assert (again.status, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    service.post(name, [end(name)])
    second = service.get(f"/v1/sessions/{name}", If_None_Match=first.headers["etag"])
    assert (second.status, second.json["end"]) == (200, BEGIN + 1000)
    assert second.headers["etag"] != first.headers["etag"]


def test_exact_numbers_and_further_keys(service: Service, name: str) -> None:
    """What an event says comes back, to the last digit."""
    text = '[{"type":"SESSION_START","timestamp":1.100000,"session_id":"%s"},{"type":"EVENT","timestamp":1.5,"name":"a"'
    more = ',"cart":{"price":0.10,"id":12345678901234567890123}'
    assert service.post(name, (text % name + more + "},]").encode()).status == 200
    found = service.get(f"/v1/sessions/{name}").content.decode()
    assert found == (
        '{"type":"SESSION","start":1.100000,"end":null,"children":[{"type":"EVENT","timestamp":1.5,"name":"a"'
        + more
        + "}]}"
    )


def test_listing(new_place: Callable[[], Place]) -> None:
    """By start and id; by status; from one time to another; page after page."""
    service = start(new_place())
    names = [f"n{number}" for number in range(25)]
    for number, one in enumerate(names):
        entries = [{**begin(one), "timestamp": BEGIN + number // 2}, event(number)]
        service.post(one, [*entries, end(one)] if number % 5 == 0 else entries)
    whole = service.get("/v1/sessions").json
    assert whole["next"] is None
    assert [one["session_id"] for one in whole["sessions"]] == sorted(names, key=lambda one: (int(one[1:]) // 2, one))
    assert whole["sessions"][0] == {
        "session_id": "n0",
        "status": "ended",
        "start": BEGIN,
        "end": BEGIN + 1000,
        "events": 1,
        "messages": 1,
    }
    ended = service.get("/v1/sessions?status=ended").json["sessions"]
    assert [one["session_id"] for one in ended] == ["n0", "n5", "n10", "n15", "n20"]
    assert len(service.get("/v1/sessions?status=open").json["sessions"]) == 20
    some = service.get(f"/v1/sessions?from={BEGIN + 2}&to={BEGIN + 4}").json["sessions"]
    assert [one["start"] for one in some] == [BEGIN + 2, BEGIN + 2, BEGIN + 3, BEGIN + 3]
    assert service.get("/v1/sessions?from=2019-10-01T23:20:02Z&to=1569972004").json["sessions"] == some
    assert service.get("/v1/sessions?from=2019-10-01&to=2019-10-02").json == whole
    assert service.get("/v1/sessions?from=2019-10-02").json["sessions"] == []
    pages: list[list[object]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = service.get(f"/v1/sessions?limit=4&cursor={cursor}" if cursor else "/v1/sessions?limit=4").json
        pages.append(page["sessions"])
        cursor = page["next"]
    assert [len(page) for page in pages] == [4, 4, 4, 4, 4, 4, 1]
    assert [one for page in pages for one in page] == whole["sessions"]
    cursor = service.get("/v1/sessions?limit=1").json["next"]
    assert service.get(f"/v1/sessions?from={BEGIN + 2}&to={BEGIN + 4}&cursor={cursor}").json["sessions"] == some
    for query, status, code, path in (
        ("cursor=xxx", 400, "bad_cursor", "$.query.cursor"),
        ("from=yesterday", 422, "bad_time", "$.query.from"),
        (f"from=yesterday&cursor={cursor}", 422, "bad_time", "$.query.from"),
        ("to=2019-10-01T00:00:00+02:00", 422, "bad_time", "$.query.to"),
        ("status=other", 422, "bad_request", "$.query.status"),
        ("limit=0", 422, "bad_request", "$.query.limit"),
        ("limit=x", 422, "bad_request", "$.query.limit"),
    ):
        found = service.get(f"/v1/sessions?{query}")
        assert (found.status, found.code, found.json["path"]) == (status, code, path)
    assert service.stop() == 0


def test_removing(service: Service, name: str) -> None:
    """For good: whoever streams it is told and closed; the name begins anew."""
    with Client(service, name) as client:
        client.put([begin(name)])
        found = service.ask("DELETE", f"/v1/sessions/{name}")
        assert (found.status, found.content) == (204, b"")
        assert refusal(client.rest()) == ("deleted", "$", 4410)
    found = service.ask("DELETE", f"/v1/sessions/{name}")
    assert (found.status, found.code) == (404, "unknown_session")
    assert service.get(f"/v1/sessions/{name}").status == 404
    assert service.post(name, [begin(name)]).json == {"type": "ack", "seq": 1}


def test_a_request_takes_the_session_over(service: Service, name: str) -> None:
    """The newer wins: a socket is told when a request adds to its session, and goes on when it comes back."""
    with Client(service, name) as client:
        client.put([begin(name)])
        assert service.post(name, [event(2)]).json == {"type": "ack", "seq": 2}
        assert refusal(client.rest()) == ("taken_over", "$", 4409)
    with Client(service, name) as client:
        assert client.put([event(3)]) == {"type": "ack", "seq": 3}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/sessions/", 404, "not_found"),
        ("GET", "/v1/sessions/a/events/b", 404, "not_found"),
        ("PUT", "/v1/sessions/a", 405, "bad_method"),
        ("GET", "/v1/sessions/a/events", 405, "bad_method"),
        ("POST", "/health/ready", 405, "bad_method"),
        ("GET", "/v1/sessions/a%20b", 400, "bad_session_id"),
        ("DELETE", f"/v1/sessions/{'a' * 129}", 400, "bad_session_id"),
        ("POST", "/v1/sessions/a/events", 415, "unsupported_type"),
        ("GET", "/v1/sessions/a/stream", 426, "no_websocket"),
        ("POST", "/v1/sessions/a/stream", 426, "no_websocket"),
        ("GET", "/v1/sessions?limit=1001", 422, "bad_request"),
    ],
)
def test_one_shape_for_every_error(service: Service, method: str, path: str, status: int, code: str) -> None:
    """Also for what no route knows."""
    found = service.ask(method, path)
    assert (found.status, found.code) == (status, code)
    assert found.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("PUT", "/v1/sessions/a", "GET, HEAD, DELETE"),
        ("GET", "/v1/sessions/a/events", "POST"),
        ("HEAD", "/v1/sessions/a/events", "POST"),
        ("POST", "/v1/sessions", "GET, HEAD"),
        ("PATCH", "/health/ready", "GET, HEAD"),
        ("DELETE", "/docs", "GET, HEAD"),
        ("GET", "/sign-in", "POST"),
        ("OPTIONS", "/openapi.json", "GET, HEAD"),
    ],
)
def test_a_path_says_what_it_knows(service: Service, method: str, path: str, known: str) -> None:
    """All its methods, whichever route has them."""
    found = service.ask(method, path)
    assert (found.status, found.headers["allow"]) == (405, known)
    if method != "HEAD":
        assert (found.code, found.json["message"]) == ("bad_method", f"{path} does not know {method}; it knows {known}")


def test_what_is_counted(new_place: Callable[[], Place]) -> None:
    """Events, messages, refusals by code and connections, equal to what was sent; commits and what waits."""
    service = start(new_place())
    with Client(service, "a") as client, Client(service, "b"):
        client.put([begin("a"), event(1), event(2)])
        for number in range(2, 12):
            client.put([event(number)])
        client.put(numbered(3, event(3)))
        service.post("c", lines([begin("c"), event(1)], [event(2), end("c")]), Content_Type=LINES)
        service.post("c", lines([begin("c"), event(1)]), Content_Type=LINES)
        assert service.counts()["sojourn_connections"] == 2
        client.send("nonsense")
        client.rest()
    for _ in range(2):
        with Client(service, "a") as client:
            client.send(numbered(1, event(1)))
            client.rest()
    service.post("d", [event(1)])
    service.post("d", [event(1)], Content_Type="text/plain")
    service.post("d", b" " * (1 << 20) + b"[]")
    service.post("d*", [event(1)])
    counts = service.counts()
    assert (counts["sojourn_messages_total"], counts["sojourn_events_total"]) == (13, 14)
    refused = {name: number for name, number in counts.items() if name.startswith("sojourn_refused_total")}
    assert refused == {
        'sojourn_refused_total{code="invalid_json"}': 1,
        'sojourn_refused_total{code="other_content"}': 2,
        'sojourn_refused_total{code="ended"}': 1,
        'sojourn_refused_total{code="not_started"}': 1,
        'sojourn_refused_total{code="unsupported_type"}': 1,
        'sojourn_refused_total{code="too_large"}': 1,
        'sojourn_refused_total{code="bad_session_id"}': 1,
    }
    assert (counts["sojourn_queue_depth"], counts["sojourn_queue_bytes"]) == (0, 0)
    assert counts["sojourn_commit_seconds_count"] >= 12
    assert 12 <= counts["sojourn_acks_total"] <= 13
    assert 0 < counts["sojourn_commit_seconds_sum"] < 10
    assert counts['sojourn_commit_seconds_bucket{le="+Inf"}'] == counts["sojourn_commit_seconds_count"]
    assert service.stop() == 0
