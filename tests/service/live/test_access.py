"""Who may come in, and what is written down of those who do."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import process
from tests.service.live.client import Client, begin, event, refusal
from tests.service.live.conftest import Start
from tests.service.live.process import Service, start
from tests.service.live.raw import Raw
from tests.store.places import Place

TOKENS = """# who may
whole-token
in-token:ingest, out-token:read
one-token:ingest+read:mine
"""


@pytest.fixture(scope="module")
def new_place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """One kind of journal is enough: what is tested here lies before it."""
    return lambda: Place(tmp_path_factory.mktemp("service") / "home")


@pytest.fixture(scope="module")
def service(new_place: Callable[[], Place]) -> Iterator[Service]:
    """A service with tokens, for the pages of one other origin."""
    place = new_place()
    file = place.home.parent / "tokens"
    file.write_text(TOKENS)
    started = start(place, "--tokens", file, "--cors", "https://shop.example", "--host", "0.0.0.0")
    yield started
    assert started.stop() == 0
    assert started.said == []


def bearer(token: str) -> dict[str, str]:
    """The header."""
    return {"Authorization": f"Bearer {token}"}


def statuses(service: Service, session_id: str, **headers: str) -> list[int]:
    """What adding, reading, listing, counting and removing is answered."""
    return [
        service.post(session_id, [begin(session_id)], **headers).status,
        service.get(f"/v1/sessions/{session_id}", **headers).status,
        service.get("/v1/sessions", **headers).status,
        service.get("/telemetry", **headers).status,
        service.ask("DELETE", f"/v1/sessions/{session_id}", **headers).status,
    ]


def test_scopes_over_http(service: Service) -> None:
    """A token may do what it says: everything, add, read; or that for one session. Health is for everybody."""
    assert statuses(service, "a", **bearer("whole-token")) == [200, 200, 200, 200, 204]
    assert statuses(service, "a", **bearer("in-token")) == [200, 403, 403, 403, 204]
    assert statuses(service, "a", **bearer("out-token")) == [403, 404, 200, 200, 403]
    assert statuses(service, "mine", **bearer("one-token")) == [200, 200, 403, 403, 204]
    assert statuses(service, "other", **bearer("one-token")) == [403] * 5
    for headers in ({}, bearer("wrong"), {"Authorization": "Basic d2hvbGU6dG9rZW4="}, {"Authorization": "whole-token"}):
        assert statuses(service, "a", **headers) == [401] * 5
    found = service.get("/v1/sessions")
    assert (found.code, found.headers["www-authenticate"]) == ("bad_token", "Bearer")
    assert service.get("/v1/sessions?token=whole-token&access_token=whole-token").status == 401
    assert service.get("/health/ready").status == service.get("/health/live").status == 200


@pytest.mark.parametrize(
    ("token", "session_id", "expected"),
    [
        ("whole-token", "s", None),
        ("in-token", "s", None),
        ("one-token", "mine", None),
        ("one-token", "other", ("forbidden", "$", 4403)),
        ("out-token", "s", ("forbidden", "$", 4403)),
        ("wrong", "s", ("bad_token", "$", 4401)),
    ],
)
def test_scopes_of_sockets(service: Service, token: str, session_id: str, expected: object) -> None:
    """In the header, or for browsers among the subprotocols."""
    for how in ({"headers": bearer(token)}, {"subprotocols": ["sojourn", f"bearer.{token}"]}):
        with Client(service, session_id, **how) as client:
            if expected is None:
                assert client.welcome["type"] == "welcome"
                assert client.socket.subprotocol == ("sojourn" if "subprotocols" in how else None)
            else:
                assert refusal([client.welcome, *client.rest()]) == expected


def test_no_token_on_a_socket(service: Service) -> None:
    """Nor one in the URL."""
    for path in (None, "/v1/sessions/s/stream?token=whole-token"):
        with Client(service, "s", path=path) as client:
            assert refusal([client.welcome, *client.rest()]) == ("bad_token", "$", 4401)


def test_pages_of_other_origins(service: Service, starting: Start) -> None:
    """They may ask only where that was set, and open no socket; the service's own may."""
    mine, friend, stranger = f"http://127.0.0.1:{service.port}", "https://shop.example", "https://evil.example"
    for origin, allowed in ((friend, friend), (stranger, None)):
        found = service.get("/health/live", Origin=origin)
        assert found.headers.get("access-control-allow-origin") == allowed
        preflight = service.ask("OPTIONS", "/v1/sessions/a/events", Origin=origin, Access_Control_Request_Method="POST")
        assert preflight.headers.get("access-control-allow-origin") == allowed
        assert preflight.status == 200 if allowed else (preflight.status, preflight.code) == (403, "other_origin")
    for origin, is_allowed in ((mine, True), (friend, True), (stranger, False), ("null", False)):
        with Client(service, "s", headers={"Origin": origin, **bearer("whole-token")}) as client:
            if is_allowed:
                assert client.welcome["type"] == "welcome"
            else:
                assert refusal([client.welcome, *client.rest()]) == ("other_origin", "$", 4403)
    plain = starting()
    assert "access-control-allow-origin" not in plain.get("/health/live", Origin=friend).headers
    with Client(plain, "s", headers={"Origin": friend}) as client:
        assert refusal([client.welcome, *client.rest()]) == ("other_origin", "$", 4403)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_without_tokens_it_serves_loopback_only(tmp_path: Path, host: str) -> None:
    """It does not begin anywhere else, and says why."""
    done = process("serve", "--home", tmp_path / "home", "--host", host, "--port", "0", env={"SOJOURN_TOKENS": ""})
    assert done.status == 2
    assert done.err.startswith(f"error: without tokens everybody who reaches {host} could read and write")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("to ken:other", "unknown scope"),
        ("secret!", "is no token"),
        ("a:ingest:no/session", "names no session"),
        ("# nobody", "holds no token"),
    ],
)
def test_tokens_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    """They are refused when the service begins, without being shown."""
    (tmp_path / "tokens").write_text(text)
    done = process("serve", "--home", tmp_path / "home", "--tokens", tmp_path / "tokens")
    assert done.status == 2
    assert said in done.err
    assert "[bad_tokens]" in done.err
    assert "secret" not in done.err


def test_logs_hold_nothing_of_clients(starting: Start) -> None:
    """Neither tokens nor addresses nor what sessions are called and hold, whatever clients do."""
    service = starting("--publish-every", "1s", env={"SOJOURN_TOKENS": "geheim-1 geheim-2:read"})
    service.headers = bearer("geheim-1")
    service.post("anna", [begin("anna"), event(1, mail="anna@example.org")])
    service.post("anna", [{**event(1), "mail": "anna@example.org", "timestamp": "x"}])
    service.post("anna", b'["anna@example.org')
    service.get("/v1/sessions/anna?mail=anna@example.org")
    service.get("/nothing/anna@example.org")
    service.get("/v1/sessions", **bearer("geheim-3"))
    with Client(service, "anna") as client:
        client.send('[{"mail":"anna@example.org"}]')
        client.rest()
    with Raw(service, b"GET /anna@example.org\r\nAuthorization: Bearer geheim-1\r\n\r\n") as raw:
        raw.rest()
    with Raw(service, b"POST /v1/sessions/anna/events HTTP/1.1\r\nContent-Length: 99\r\n\r\nanna@example.org"):
        pass
    deadline = time.monotonic() + 20
    while not service.said:
        assert time.monotonic() < deadline, "nothing is published, so nothing written down"
        time.sleep(0.05)
    assert service.stop() == 0
    log = service.log.read_text()
    assert all(secret not in log for secret in ("geheim", "anna", "example.org", "Bearer"))
    for line in service.said:
        assert set(json.loads(line)) >= {"time", "level", "logger", "message"}
    assert "published" in log, "the control: something was written down"
