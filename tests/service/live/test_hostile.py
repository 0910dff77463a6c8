"""Clients that break the protocols, are slow, or want to harm: the others notice nothing."""

import json
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.service.live.client import Client, begin, event
from tests.service.live.process import Service, start
from tests.service.live.raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, Raw, frame, head
from tests.store.places import Place

MIB = 1 << 20


@pytest.fixture(scope="module")
def new_place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """One kind of journal is enough: what is tested here lies before it."""
    return lambda: Place(tmp_path_factory.mktemp("service") / "home")


@pytest.fixture(scope="module")
def service(new_place: Callable[[], Place]) -> Iterator[Service]:
    """A service with little patience, which does not tell of what clients do."""
    started = start(new_place(), "--idle", "5s", double="hasty")
    yield started
    assert started.stop() == 0
    assert started.said == []


@pytest.fixture(autouse=True)
def others_are_served(service: Service, name: str) -> Iterator[None]:
    """After each test a normal client is served at once."""
    yield
    began = time.monotonic()
    with Client(service, f"{name}-after") as client:
        assert client.put([begin(f"{name}-after")]) == {"type": "ack", "seq": 1}
    assert service.get("/health/ready").status == 200
    assert time.monotonic() - began < 10


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Closes what it is given when the test ends."""
    with ExitStack() as stack:
        yield stack


def start_of(name: str) -> bytes:
    """The message that begins a session."""
    return json.dumps([begin(name)]).encode()


BROKEN: dict[str, tuple[list[bytes], int]] = {
    "an opcode that is none": ([frame(3, b"x")], 1002),
    "a control opcode that is none": ([frame(11, b"x")], 1002),
    "a reserved bit": ([frame(TEXT, b"[]", reserved=1)], 1002),
    "compressed, though not agreed": ([frame(TEXT, b"\xaa\x56\x00\x00", reserved=4)], 1002),
    "not masked": ([frame(TEXT, b"[]", is_masked=False)], 1002),
    "a long ping": ([frame(PING, b"x" * 126)], 1002),
    "a ping in pieces": ([frame(PING, b"x", fin=False)], 1002),
    "nothing to continue": ([frame(CONT, b"[]")], 1002),
    "a new message within another": ([frame(TEXT, b"[", fin=False), frame(TEXT, b"]")], 1002),
    "a close of one byte": ([frame(CLOSE, b"x")], 1002),
    "a close code that is none": ([frame(CLOSE, struct.pack("!H", 999))], 1002),
    "a close code that may not be sent": ([frame(CLOSE, struct.pack("!H", 1006))], 1002),
    "a close reason that is no text": ([frame(CLOSE, struct.pack("!H", 1000) + b"\xff")], 1007),
    "a size with its highest bit": ([b"\x81\xff" + b"\xff" * 8 + b"abcd"], 1009),
    "a size far too large": ([b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"abcd"], 1009),
    "pieces that are too large together": (
        [frame(TEXT, b"[" * MIB, fin=False), frame(CONT, b"[" * MIB, fin=False), frame(CONT, b"[")],
        1009,
    ),
    "no text": ([frame(TEXT, b'["\xff"]')], 1007),
    "no text, over two pieces": ([frame(TEXT, b'["\xc3', fin=False), frame(CONT, b'\x28"]')], 1007),
    "half a character at the end": ([frame(TEXT, b'["\xe2\x82')], 1007),
    "surrogates": ([frame(TEXT, b'["\xed\xa0\x80"]')], 1007),
    "too many empty pieces": ([frame(TEXT, b"", fin=False), *[frame(CONT, b"", fin=False)] * 5000], 1009),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_frames_that_break_the_protocol(service: Service, name: str, broken: str) -> None:
    """The connection ends with the code that says so; what was acknowledged before stays."""
    frames, code = BROKEN[broken]
    with Raw(service) as client:
        client.open(name)
        client.send(frame(TEXT, start_of(name)))
        assert client.frame() == (TEXT, b'{"type":"ack","seq":1}')
        client.send(b"".join(frames))
        assert client.closed() == code
    assert service.document(name)["children"] == []


def test_frames_that_are_unusual(service: Service, name: str) -> None:
    """Pieces, empty ones too, with pings between them; a character cut in two; a close without a code."""
    text = json.dumps([begin(name), event(1, more="ä€")], ensure_ascii=False).encode()
    cut = text.index("€".encode()) + 1
    with Raw(service) as client:
        client.open(name)
        client.send(frame(TEXT, b"", fin=False) + frame(PING, b"x" * 125) + frame(CONT, text[:cut], fin=False))
        assert client.frame() == (PONG, b"x" * 125)
        client.send(frame(PONG, b"nobody asked") + frame(CONT, b"", fin=False) + frame(CONT, text[cut:]))
        assert client.frame() == (TEXT, b'{"type":"ack","seq":1}')
        for byte in frame(BINARY, json.dumps([event(2)]).encode()):
            client.send(bytes([byte]))
        assert client.frame() == (TEXT, b'{"type":"ack","seq":2}')
        client.send(frame(CLOSE))
        assert client.frame() == (CLOSE, b"")
    assert [child["name"] for child in service.document(name)["children"]] == ["1", "2"]


def test_compression_is_not_agreed(service: Service, name: str) -> None:
    """Whoever offers it is answered without: no small frame becomes a large message."""
    with Raw(service) as client:
        answered = client.open(name, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
        assert "permessage-deflate" not in answered.lower()


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes_after_the_handshake(service: Service, name: str, seed: int) -> None:
    """Whatever comes, the connection ends or goes on; nothing is stored that is not valid."""
    chance = random.Random(seed)
    for number in range(25):
        with Raw(service) as client:
            client.open(f"{name}-{number}")
            good = bytearray(frame(TEXT, start_of("another")) + frame(PING, b"x") + frame(CONT, b"y"))
            for _ in range(chance.randrange(1, 6)):
                good[chance.randrange(len(good))] = chance.randrange(256)
            client.send(bytes(good) if chance.random() < 0.7 else chance.randbytes(200))
    assert service.get(f"/v1/sessions/{name}-0").status == 404


def test_any_frames(service: Service, name: str) -> None:
    """So it is with whole frames of any kind, and any JSON in them."""
    chance = random.Random(7)
    texts = [b"[]", b"{}", b"[[]]", b'[{"type":"EVENT"}]', b"null", b'{"seq":1,"events":[1]}', b"1e999", b'"\\ud800"']
    for number in range(100):
        with Raw(service) as client:
            client.open(f"{name}-{number}")
            opcodes = [chance.choice((TEXT, BINARY, CONT, PING, PONG, CLOSE)) for _ in range(5)]
            client.send(
                b"".join(
                    frame(opcode, chance.choice(texts), fin=chance.random() < 0.8, is_masked=chance.random() < 0.95)
                    for opcode in opcodes
                )
            )
    assert service.get("/v1/sessions").status == 200


HEADS: dict[str, bytes] = {
    "nonsense": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(100),
    "no request": b"hello\r\n\r\n",
    "another method": head("x", method="POST"),
    "a body": head("x", "Content-Length: 5") + b"hello",
    "a body in pieces": head("x", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n",
    "another version": head("x").replace(b"Version: 13", b"Version: 12"),
    "no key": head("x").replace(b"Sec-WebSocket-Key", b"X-Key"),
    "a key that is none": head("x").replace(b"dGhl", b"????"),
    "two keys": head("x", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "HTTP/1.0": head("x", version="1.0"),
    "too many headers": head("x", *(f"X-{number}: x" for number in range(200))),
    "a long header": head("x", f"X-Long: {'x' * 9_000}"),
    "a long path": head("x" * 9_000),
    "headers that never end": head("x")[:-2] + b"X-Long: x\r\n" * 200_000,
    "one header that never ends": head("x")[:-2] + b"X-Long: " + b"x" * 3_000_000,
    "a path that never ends": b"GET /" + b"x" * 3_000_000,
    "bytes in the path": head("x").replace(b"/x/", b"/\xff\xfe/"),
    "bytes in a header": head("x", "X: \xff\x00"),
    "a folded header": head("x", "X: a\r\n b"),
}


@pytest.mark.parametrize("broken", HEADS)
def test_requests_that_open_no_socket(service: Service, broken: str) -> None:
    """They are refused at once, with one error of ours or none, never with a 500."""
    with Raw(service, HEADS[broken]) as client:
        assert client.closes_within(6)
        assert b" 500 " not in client.buffer.partition(b"\r\n")[0]
        assert b" 101 " not in client.buffer.partition(b"\r\n")[0]
        if client.buffer:
            assert client.buffer.startswith(b"HTTP/1.1 4"), client.buffer


def test_requests_that_cannot_be_read(service: Service) -> None:
    """Have the one shape of errors, too; and a head has a size that it may have."""
    for sent, status, code in (
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 16_384 + b"\r\n\r\n", 431, "too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 101 + b"\r\n", 431, "too_large"),
    ):
        with Raw(service, sent) as client:
            told, _, body = client.rest().partition(b"\r\n\r\n")
        assert told.startswith(b"HTTP/1.1 %d " % status)
        assert json.loads(body)["code"] == code
        assert json.loads(body)["type"] == "error"


@pytest.mark.parametrize("seed", range(3))
def test_any_body(service: Service, name: str, seed: int) -> None:
    """Bytes of any kind are refused with the one shape, never with a 500."""
    chance = random.Random(seed)
    kinds = ["application/json", "application/x-ndjson", "text/plain"]
    valid = start_of(name)
    for number in range(60):
        body = bytearray(valid)
        for _ in range(chance.randrange(1, 8)):
            place = chance.randrange(len(body))
            body[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        content = bytes(body) if number % 3 else chance.randbytes(chance.randrange(300))
        found = service.post(f"{name}-{number}", content, Content_Type=kinds[chance.randrange(3)])
        assert found.status in (200, 400, 409, 413, 415, 422), found
        assert found.status == 200 or found.code
    assert service.get(f"/v1/sessions?cursor={chance.randbytes(9).hex()}").status == 400


def test_whoever_never_sends_a_request_is_closed(service: Service, closing: ExitStack) -> None:
    """A connection has some seconds for its request, and for the next one after an answer."""
    whole = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    parts = [b"", b"GET ", whole[:-2], whole, whole + whole, whole + b"G", b"\r\n" + whole + b"\r\n"]
    clients = [closing.enter_context(Raw(service, sent)) for sent in parts]
    assert not clients[0].closes_within(0.7), "it has that long"
    began = time.monotonic()
    assert all(client.closes_within(12) for client in clients)
    assert time.monotonic() - began < 12, "uvicorn gives 5 s after an answer"
    assert [client.buffer.count(b"200 OK") for client in clients] == [0, 0, 0, 1, 2, 1, 1]


def test_who_is_slow_with_a_request_is_closed(service: Service) -> None:
    """A byte now and then does not keep a connection open."""
    with Raw(service) as client:
        began = time.monotonic()
        for byte in b"GET /health/live HTTP/1.1\r\nX: " + b"x" * 100:
            client.send(bytes([byte]))
            if client.closes_within(0.1):
                break
        assert 0.8 < time.monotonic() - began < 8


def test_a_body_that_stops_coming(service: Service, name: str) -> None:
    """Is answered after a while; a client that goes away in the midst of it is forgotten."""
    first = (
        f"POST /v1/sessions/{name}/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
    )
    with Raw(service, first + b"Content-Length: 99\r\n\r\n[") as client:
        client.closes_within(2)
        assert client.buffer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"timeout"' in client.buffer
    with Raw(service, first + b"Content-Length: 99\r\n\r\n["):
        pass
    with Raw(service, first + b"Expect: 100-continue\r\nContent-Length: 200000\r\n\r\n") as client:
        client.closes_within(2)
        assert client.buffer.startswith(b"HTTP/1.1 100 ")
        assert b"HTTP/1.1 408 " in client.buffer
    assert service.get(f"/v1/sessions/{name}").status == 404


def test_pings_without_end(service: Service, name: str) -> None:
    """Who pings and never reads fills no memory: it is not read from until it takes the answers."""
    before = service.memory()
    with Raw(service, patience=1) as client:
        client.open(name)
        many, sent, deadline = frame(PING, b"x" * 125) * 1000, 0, time.monotonic() + 4
        try:
            while time.monotonic() < deadline:
                client.socket.sendall(many)
                sent += len(many)
        except (TimeoutError, ConnectionError):
            pass
        assert service.memory() - before < 12 * MIB
        assert sent < 40 * MIB


def test_large_messages_that_never_end(new_place: Callable[[], Place], closing: ExitStack) -> None:
    """Bytes in memory are bounded over all clients; who holds most has to go, and the others are served."""
    service = start(new_place(), "--max-waiting", "4MiB", "--max-body", "2MiB")
    before = service.memory()
    clients = [closing.enter_context(Raw(service)) for _ in range(40)]
    for number, client in enumerate(clients):
        client.open(f"slow-{number}")
        client.send(b"\x81\xff" + struct.pack("!Q", MIB) + b"abcd" + b"x" * (MIB - 1))
    time.sleep(0.3)
    assert service.memory() - before < 24 * MIB
    with Client(service, "honest") as honest:
        assert honest.put([begin("honest")]) == {"type": "ack", "seq": 1}
        assert honest.put([event(1, more="x" * 100_000)]) == {"type": "ack", "seq": 2}
    assert service.post("honest", [event(2)]).status == 200
    codes = [client.closed() for client in clients[:10]]
    assert set(codes) == {1013}
    closing.close()
    assert service.stop() == 0
    assert service.said == []


def test_large_bodies_that_never_end(new_place: Callable[[], Place], closing: ExitStack) -> None:
    """So it is with bodies of requests."""
    service = start(new_place(), "--max-waiting", "4MiB", "--max-body", "2MiB")
    before = service.memory()
    first = b"POST /v1/sessions/x/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    first += b"Content-Length: 2000000\r\n\r\n"
    clients = [closing.enter_context(Raw(service)) for _ in range(20)]
    for client in clients:
        client.send(first + b"x" * 1_900_000)
    time.sleep(0.3)
    assert service.memory() - before < 24 * MIB
    assert service.post("honest", [begin("honest"), event(1, more="x" * 100_000)]).status == 200
    with Client(service, "honest") as honest:
        assert honest.put([event(2)]) == {"type": "ack", "seq": 2}
    gone = [client for client in clients if client.closes_within(0.2) or client.buffer]
    assert len(gone) > 15
    assert all(client.buffer.startswith(b"HTTP/1.1 503 ") for client in gone)
    assert all(b"retry-after: 1" in client.buffer.lower() for client in gone)
    closing.close()
    assert service.stop() == 0
    assert service.said == []


def test_bodies_of_tiny_lines(service: Service, name: str) -> None:
    """A body of millions of lines takes little more room than its bytes."""
    for body in (b"\n" * (16 * MIB), b"a\n" * (8 * MIB)):
        Path(f"/proc/{service.run.pid}/clear_refs").write_text("5")  # forgets how much it was at most
        before = service.memory()
        assert service.post(name, body, Content_Type="application/x-ndjson").status in (400, 422)
        assert service.most_memory() - before < 80 * MIB


def test_who_never_reads_harms_nobody(service: Service, name: str) -> None:
    """Its acknowledgements wait; others are served as fast as before, and its messages are stored."""
    with Raw(service, patience=5) as deaf:
        deaf.open(name)
        deaf.send(frame(TEXT, start_of(name)))

        def talk() -> None:
            for number in range(2, 3000):
                deaf.send(frame(TEXT, json.dumps([event(number)]).encode()))

        talking = threading.Thread(target=talk)
        talking.start()
        slowest = 0.0
        with Client(service, f"{name}-other") as client:
            client.put([begin(f"{name}-other")])
            for number in range(100):
                began = time.monotonic()
                client.put([event(number)])
                slowest = max(slowest, time.monotonic() - began)
        talking.join()
        assert slowest < 5
    deadline = time.monotonic() + 10
    while len(service.document(name)["children"]) < 2998:
        assert time.monotonic() < deadline
        time.sleep(0.05)
