"""Services that are killed under load, one after the other, and every promise that was broken."""

import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.service.live.client import Client, begin, event, numbered
from tests.service.live.process import Service, start
from tests.store.places import Place

SESSIONS = 5
WINDOW = 30


def entries(session_id: str, seq: int) -> list[Any]:
    """What message *seq* of a session holds: always the same, never the same as another's."""
    size = random.Random(f"{session_id} {seq}").randrange(800)
    return [*([begin(session_id)] if seq == 1 else []), event(seq, of=session_id, more="x" * size)]


@dataclass
class Killed:
    """*acknowledged*: the last number of each session that a client was told is durable."""

    place: Place
    double: str | None = None
    acknowledged: dict[str, int] = field(default_factory=lambda: {f"s{number}": 0 for number in range(SESSIONS)})
    breaks: list[str] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        """Begin one, have clients go on with their sessions, and kill it some *seconds* after it was ready."""
        service = start(self.place, double=self.double)
        threads = [threading.Thread(target=self._stream, args=(service, one)) for one in self.acknowledged]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        service.kill()
        for thread in threads:
            thread.join()

    def look(self) -> None:
        """Every session holds exactly its messages, once, and all that were acknowledged."""
        service = start(self.place)
        for session_id, acknowledged in self.acknowledged.items():
            with Client(service, session_id) as client:
                last = client.last
            self._compare(session_id, last)
            children = service.document(session_id)["children"] if last else []
            expected = [entries(session_id, seq)[-1] for seq in range(1, last + 1)]
            if sorted(children, key=lambda one: int(one["name"])) != expected:
                self.breaks.append(f"{session_id} holds something else than {last} messages")
            if acknowledged > last:
                self.breaks.append(f"{session_id} has lost {acknowledged - last} messages")
        service.stop()

    def _stream(self, service: Service, session_id: str) -> None:
        with suppress(ConnectionClosed, InvalidHandshake, OSError, EOFError, TimeoutError):
            client = Client(service, session_id)
            try:
                self._talk(client, session_id)
            finally:
                client.close()

    def _talk(self, client: Client, session_id: str) -> None:
        """Send the last three messages again, then new ones, with so many on their way."""
        if "closed" in client.welcome:
            return
        self._compare(session_id, client.last)
        seq, told = max(0, client.last - 3), client.last
        while True:
            seq += 1
            message = entries(session_id, seq)
            client.send(numbered(seq, *message) if seq <= client.last or seq % 2 else message)
            while seq - told >= WINDOW:
                frame = client.next()
                if frame.get("type") != "ack":
                    if "closed" not in frame:
                        self.breaks.append(f"{session_id} was told {frame}")
                    return
                told = max(told, frame["seq"])
                self.acknowledged[session_id] = max(self.acknowledged[session_id], told)
                if told > seq:
                    self.breaks.append(f"{session_id} was acknowledged {told}, but sent {seq}")

    def _compare(self, session_id: str, last: int) -> None:
        lost = self.acknowledged[session_id] - last
        if lost > 0:
            self.breaks.append(f"{lost} acknowledged messages of {session_id} are lost")
            self.acknowledged[session_id] = last  # said once
