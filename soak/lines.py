"""Webshop events as JSON lines, as fast as a pipe takes them, with an answer that is known by construction.

`python -m soak.lines BLOCKS [hot]` writes them. They come in blocks of 100,000 events, one for each day, that are alike
but for the day, the ids and the customers: one block is made (by chance, with a seed), and of all others only the
digits that differ are set. A customer comes once on a day, on four days that lie far from each other in the file; with
`hot`, half of all events are one customer's. Between the events stand records that are no customer's, records that are
broken, and copies of events of the block before.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

EVENTS, ANONYMOUS, BROKEN, COPIES = 100_000, 8_000, 100, 1_000
"""Records of a block; the first one has no copies."""

_VISITS, _HOT_VISITS, _DAYS = 20_000, 40, 4
_SECOND, _MINUTE, _HOUR = 1_000_000, 60_000_000, 3_600_000_000
_CLOCK = (b"hh", _HOUR, 24), (b"mm", _MINUTE, 60), (b"ss", _SECOND, 60), (b"uuuuuu", 1, _SECOND)
_LINE = (
    b'{"id": IIIIIIIII, "event": {"user-agent": "Mozilla/5.0 (X11; Linux x86_64)", "customer-id": CCCCCCCCC, '
    b'"timestamp": "DDDDDDDDDDThh:mm:ss.uuuuuu", "page": "https://shop.example/PPPPP", '
    b'"referrer": "https://RRRR.example/"}, "type": "TTTTTTTTTTTTTT}\n'
)
_KINDS = (b'page_view"    ', b'search"       ', b'placed_order" ')
_SITES = (b"news", b"seek", b"shop")

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Expected:
    """What a run over all lines must count; *seconds* that all sessions last together."""

    read: int
    accepted: int
    duplicate: int
    anonymous: int
    broken: int
    sessions: int
    orders: int
    seconds: float
    actors: int


class Lines:
    """The lines of so many *blocks*."""

    def __init__(self, blocks: int, *, is_hot: bool = False) -> None:
        chance = np.random.default_rng(7)
        self.blocks, self.groups = blocks, max(1, blocks // _DAYS)
        self.hot = EVENTS // 2 if is_hot else 0
        self.visits = _VISITS // (2 if is_hot else 1)
        visit, clock = _ordinary(chance, EVENTS - self.hot, self.visits)
        hot_visit, hot_clock = _hot(chance, self.hot)
        clock = np.concatenate([hot_clock, clock, chance.integers(0, 24 * _HOUR, ANONYMOUS + BROKEN)])
        kind = chance.choice(3, len(clock), p=(0.7, 0.2, 0.1))
        self.orders = int(np.count_nonzero(kind[:EVENTS] == 2))
        self.lasting = _lasting(visit, clock[self.hot : EVENTS]) + _lasting(hot_visit, clock[: self.hot])
        rows = np.tile(np.frombuffer(_LINE, np.uint8), (len(clock), 1))
        _set(rows, b"IIIII", np.arange(len(clock)) % EVENTS, skipped=4)
        _set(rows, b"CCCCC", np.concatenate([np.zeros(self.hot, np.int64), visit, clock[EVENTS:] % 1_000]), skipped=4)
        for mark, unit, most in _CLOCK:
            _set(rows, mark, clock // unit % most)
        _set(rows, b"PPPPP", chance.integers(0, 100_000, len(clock)))
        rows[:, _at(b"TTTTTTTTTTTTTT")] = _texts(_KINDS)[kind]
        rows[:, _at(b"RRRR")] = _texts(_SITES)[chance.integers(0, 3, len(clock))]
        mixed = chance.permutation(len(clock))
        self.rows, self.number = np.ascontiguousarray(rows[mixed]), mixed

    def __iter__(self) -> Iterator[memoryview]:
        rows, number = self.rows, self.number
        events = np.flatnonzero(number < EVENTS)
        copied = events[:: len(events) // COPIES][:COPIES]
        is_nobody = (number >= EVENTS) & (number < EVENTS + ANONYMOUS)
        hot, nobody = np.flatnonzero(number < self.hot), np.flatnonzero(is_nobody)
        cold, broken = np.flatnonzero((number >= self.hot) & ~is_nobody), np.flatnonzero(number >= EVENTS + ANONYMOUS)
        ids, customers, days = _at(b"IIII"), _at(b"CCCC"), _at(b"DDDDDDDDDD")
        rows[nobody, _at(b"CCCCCCCCC")] = np.frombuffer(b"     null", np.uint8)
        rows[hot, _at(b"CCCCCCCCC")] = np.frombuffer(b"777777777", np.uint8)
        rows[broken[::2], 0] = ord("[")
        for block in range(self.blocks):
            copies = rows[copied] if block else rows[:0]
            rows[:, ids] = _digits(1_000 + block, 4)
            rows[cold[:, None], np.arange(customers.start, customers.stop)] = _digits(1_000 + block % self.groups, 4)
            rows[:, days] = np.frombuffer(str(date(2020, 1, 1) + timedelta(block)).encode(), np.uint8)
            rows[broken[1::2], days.start + 5] = ord("9")  # a month that is none
            yield rows.reshape(-1).data
            yield copies.reshape(-1).data

    def expected(self) -> Expected:
        """What a run over all of them must count."""
        copies = (self.blocks - 1) * COPIES
        return Expected(
            read=self.blocks * len(self.rows) + copies,
            accepted=self.blocks * EVENTS,
            duplicate=copies,
            anonymous=self.blocks * ANONYMOUS,
            broken=self.blocks * BROKEN,
            sessions=self.blocks * (self.visits + (_HOT_VISITS if self.hot else 0)),
            orders=self.blocks * self.orders,
            seconds=self.blocks * self.lasting / _SECOND,
            actors=self.groups * self.visits + (1 if self.hot else 0),
        )


def _ordinary(chance: np.random.Generator, events: int, visits: int) -> tuple[Numbers, Numbers]:
    """The visit that each event belongs to, and its time of day; a visit lasts 20 minutes at most."""
    visit = chance.integers(0, visits, events)
    visit[:visits] = np.arange(visits)  # none is without an event
    begin = chance.integers(_HOUR, 22 * _HOUR, visits)
    return visit, begin[visit] + chance.integers(0, 20 * _MINUTE, events)


def _hot(chance: np.random.Generator, events: int) -> tuple[Numbers, Numbers]:
    """The same of one customer who comes every 35 minutes, for three each time."""
    visit = np.arange(events) % _HOT_VISITS
    return visit, 10 * _MINUTE + visit * 35 * _MINUTE + chance.integers(0, 3 * _MINUTE, events)


def _lasting(visit: Numbers, clock: Numbers) -> int:
    """Microseconds from the first to the last event, of all visits together."""
    if not len(visit):
        return 0
    order = np.lexsort((clock, visit))
    visit, clock = visit[order], clock[order]
    begins = np.flatnonzero(np.diff(visit, prepend=-1))
    ends = np.append(begins[1:], len(visit)) - 1
    return int((clock[ends] - clock[begins]).sum())


def _at(mark: bytes, skipped: int = 0) -> slice:
    start = _LINE.index(mark) + skipped
    return slice(start, start + len(mark))


def _set(rows: Bytes, mark: bytes, numbers: Numbers, skipped: int = 0) -> None:
    """Write decimal digits in place of *mark*, behind so many of its first letters."""
    rows[:, _at(mark, skipped)] = numbers[:, None] // 10 ** np.arange(len(mark) - 1, -1, -1) % 10 + ord("0")


def _digits(number: int, count: int) -> Bytes:
    return np.frombuffer(f"{number:0{count}}".encode(), np.uint8)


def _texts(texts: tuple[bytes, ...]) -> Bytes:
    """Texts of one length as rows of bytes."""
    return np.frombuffer(b"".join(texts), np.uint8).reshape(len(texts), -1)


if __name__ == "__main__":
    for piece in Lines(int(sys.argv[1]), is_hot="hot" in sys.argv):
        sys.stdout.buffer.write(piece)
