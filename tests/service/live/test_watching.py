"""Watching sessions as they happen."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from tests.service.live.client import Client, begin, end, event
from tests.service.live.process import Service


@contextmanager
def watched(service: Service, path: str) -> Iterator[Iterator[Any]]:
    """What is told at *path*, one after the other; or that nothing is new."""
    connection = HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.request("GET", path, headers=service.headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"

    def told() -> Iterator[Any]:
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
            elif line.startswith(b":"):
                yield "nothing new"

    try:
        yield told()
    finally:
        connection.close()


def until(told: Iterator[Any], *, holds: Any) -> Any:
    """The first thing told that is as it should be, among the next few."""
    seen = []
    for _ in range(8):
        seen.append(next(told))
        if seen[-1] != "nothing new" and holds(seen[-1]):
            return seen[-1]
    raise AssertionError(seen)


def test_numbers_follow_what_becomes_durable(service: Service, name: str) -> None:
    """Events, messages, and the session that was heard of last."""
    with watched(service, "/v1/live") as told:
        before = next(told)
        with Client(service, name) as client:
            client.put([begin(name), event(1), event(2)])
            mine = {"session_id": name, "events": 2, "messages": 1, "status": "open"}
            now = until(told, holds=lambda found: mine in found["sessions"])
            assert now["events"] >= before["events"] + 2
            assert now["messages"] >= before["messages"] + 1
            assert now["open"] >= 1
            client.put([end(name)])
        mine = {"session_id": name, "events": 2, "messages": 2, "status": "ended"}
        until(told, holds=lambda found: found["sessions"][0] == mine)


def test_a_session_is_told_as_it_grows(service: Service, name: str) -> None:
    """Its last 200 events, whenever something is new; nothing when nothing is."""
    with Client(service, name) as client:
        client.put([begin(name), event(1)])
        with watched(service, f"/v1/live/{name}") as told:
            first = next(told)
            assert (first["session_id"], first["events"], first["end"]) == (name, 1, None)
            assert next(told) == "nothing new"
            client.put([event(number) for number in range(2, 302)])
            grown = until(told, holds=lambda found: found["events"] == 301)
            assert len(grown["children"]) == 200
            assert grown["children"][-1] == event(301)
            assert service.ask("DELETE", f"/v1/sessions/{name}").status == 204
            assert next(line for line in told if line not in ("nothing new", grown)) is None


def test_head_ends(service: Service) -> None:
    """It answers as `GET` begins, and the connection goes on to the next request."""
    connection = HTTPConnection("127.0.0.1", service.port, timeout=5)
    for method, path, kind in (("HEAD", "/v1/live", "text/event-stream"), ("GET", "/health/live", "application/json")):
        connection.request(method, path, headers=service.headers)
        answer = connection.getresponse()
        assert (answer.status, str(answer.getheader("Content-Type")).partition(";")[0]) == (200, kind)
        answer.read()
    connection.close()


def test_what_cannot_be_watched(service: Service, name: str) -> None:
    """A session that is not there, a name that is none."""
    missing = service.get(f"/v1/live/{name}")
    assert (missing.status, missing.code) == (404, "unknown_session")
    assert service.get("/v1/live/a%20b").code == "bad_session_id"
