"""Visits that tell a server live what happens in them: messages in the order they came, visits side by side."""

from collections.abc import Iterator
from itertools import count

from sojourn.samples.chance import HOUR, SECOND, SITE, WARES, Rnd, pick
from sojourn.samples.trouble import Shape, breakages_in_messages

FIRST = 1_650_000_000 * SECOND  # epoch microseconds
LEFT_OPEN = 0.12  # the share of visits whose end never came
STEPS = ("page_view", "page_view", "page_view", "search", "add_to_basket", "remove_from_basket")


class _Visit:
    def __init__(self, rnd: Rnd, number: int) -> None:
        self.session_id = f"visit-{number}-{int(rnd() * 2**40):010x}"
        self.seq = 0
        self.messages = 2 + int(rnd() ** 2 * 14)
        self.ends = rnd() >= LEFT_OPEN

    def message(self, rnd: Rnd, at: int) -> str:
        """The visit's next message, sent *at* this moment; what is in it happened just before."""
        self.seq += 1
        is_last = self.seq == self.messages
        entries = [self._marker("SESSION_START", at)] if self.seq == 1 else []
        if entries or is_last or rnd() < 0.55:
            moments = sorted(at + int(rnd() * 20 * SECOND) for _ in range(1 + int(rnd() * 4)))
            entries += [_event(rnd, moment) for moment in moments]
        else:
            entries.append(f'{{"type": "EVENT", "timestamp": {_seconds(at)}, "name": "scroll"}}')
        if is_last and self.ends:
            entries.append(self._marker("SESSION_END", at + 20 * SECOND))
        return f'{{"session_id": "{self.session_id}", "seq": {self.seq}, "events": [{", ".join(entries)}]}}\n'

    def _marker(self, kind: str, at: int) -> str:
        return f'{{"type": "{kind}", "timestamp": {_seconds(at)}, "session_id": "{self.session_id}"}}'


def _messages(rnd: Rnd, lines: int) -> Iterator[str]:
    number, at = count(1), FIRST + 8 * HOUR
    visits = [_Visit(rnd, next(number)) for _ in range(max(3, min(400, lines // 20)))]
    while True:
        at += 1 + int(rnd() * 2 * SECOND)
        slot = int(rnd() * len(visits))
        yield visits[slot].message(rnd, at)
        if visits[slot].seq == visits[slot].messages:
            visits[slot] = _Visit(rnd, next(number))


def _event(rnd: Rnd, at: int) -> str:
    name, ware = pick(rnd, STEPS), pick(rnd, WARES)
    more = f'"query": "{ware}"' if name == "search" else f'"page": "{SITE}/{ware}"'
    return f'{{"type": "EVENT", "timestamp": {_seconds(at)}, "name": "{name}", {more}}}'


def _seconds(moment: int) -> str:
    seconds, micros = divmod(moment, SECOND)
    return f"{seconds}.{micros:06}".rstrip("0").rstrip(".")


SHAPE = Shape(
    records=_messages,
    breakages=breakages_in_messages(),
    is_shuffled=False,
    whole='"scroll"',  # alone in its message: a broken line is one broken record
)
