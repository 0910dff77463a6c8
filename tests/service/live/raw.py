"""A client that speaks the protocol byte by byte, and may break it."""

import os
import socket
import struct
import time
from contextlib import suppress

from tests.service.live.process import Service

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
CLOSE, PING, PONG, TEXT, BINARY, CONT = 8, 9, 10, 1, 2, 0


def head(session_id: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """The request that opens a WebSocket, with further header *lines*."""
    usual = ["Host: 127.0.0.1", "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}"]
    usual += ["Sec-WebSocket-Version: 13", *lines]
    first = f"{method} /v1/sessions/{session_id}/stream HTTP/{version}"
    return "\r\n".join([first, *usual, "", ""]).encode("latin-1")


def frame(opcode: int, content: bytes = b"", *, fin: bool = True, reserved: int = 0, is_masked: bool = True) -> bytes:
    """One frame, as a client sends it unless told otherwise."""
    first = fin << 7 | reserved << 4 | opcode
    size, mask = len(content), 0x80 * is_masked
    if size < 126:
        start = struct.pack("!BB", first, mask | size)
    elif size < 1 << 16:
        start = struct.pack("!BBH", first, mask | 126, size)
    else:
        start = struct.pack("!BBQ", first, mask | 127, size)
    if not is_masked:
        return start + content
    key = os.urandom(4)
    repeated = key * (size // 4 + 1)
    masked = int.from_bytes(content, "big") ^ int.from_bytes(repeated[:size], "big")
    return start + key + masked.to_bytes(size, "big")


class Raw:
    """A TCP connection."""

    def __init__(self, service: Service, *sent: bytes, patience: float = 10) -> None:
        self.socket = socket.create_connection(("127.0.0.1", service.port), patience)
        self.buffer = b""
        for piece in sent:
            self.send(piece)

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Send, as far as the server takes it."""
        with suppress(ConnectionError):
            self.socket.sendall(content)

    def rest(self) -> bytes:
        """Everything until the server closes."""
        with suppress(ConnectionError):
            while piece := self.socket.recv(1 << 16):
                self.buffer += piece
        return self.buffer

    def closes_within(self, seconds: float) -> bool:
        """Whether the server closes so soon."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                piece = self.socket.recv(1 << 16)
            except TimeoutError:
                return False
            except ConnectionError:
                return True
            if not piece:
                return True
            self.buffer += piece
        return False

    def open(self, session_id: str, *lines: str) -> str:
        """Open a WebSocket and take its welcome; the head of the answer."""
        self.send(head(session_id, *lines))
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        answered, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 101"), answered
        opcode, content = self.frame()
        assert opcode == TEXT
        assert b'"welcome"' in content, content
        return answered.decode()

    def frame(self) -> tuple[int, bytes]:
        """The next frame of the server: opcode and content. `(0, b"")` when it has closed."""
        try:
            while len(self.buffer) < 2:
                self._more()
            size, start = self.buffer[1] & 0x7F, 2
            if size >= 126:
                start = 4 if size == 126 else 10
                while len(self.buffer) < start:
                    self._more()
                size = int.from_bytes(self.buffer[2:start], "big")
            while len(self.buffer) < start + size:
                self._more()
        except ConnectionError:
            return 0, b""
        opcode, content = self.buffer[0] & 15, self.buffer[start : start + size]
        self.buffer = self.buffer[start + size :]
        return opcode, content

    def closed(self) -> int:
        """The code that the server closes with, after whatever else it says; 1006 for none."""
        while True:
            opcode, content = self.frame()
            if opcode == CLOSE:
                return int(struct.unpack("!H", content[:2])[0])
            if opcode == 0:
                return 1006

    def _more(self) -> None:
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise ConnectionResetError
        self.buffer += piece
