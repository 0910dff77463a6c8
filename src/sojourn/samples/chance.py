"""What all samples share: one invented site, its wares, and when people are about."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TypeVar

Rnd = Callable[[], float]  # from 0 to below 1; nothing but `Random.random` is the same in every Python
T = TypeVar("T")

SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000

HOST = "www.tidepool.example"
SITE = f"https://{HOST}"
BUSY = (1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 7, 6, 5, 5, 5, 6, 7, 9, 10, 9, 6, 3)  # each hour, UTC
HOURS = tuple(hour for hour, weight in enumerate(BUSY) for _ in range(weight))
DATES = tuple(str(date(2022, 4, 1) + timedelta(days)) for days in range(800))
CLOCK = tuple(f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60))

WARES = ("boots", "raincoats", "nets", "lanterns", "ropes", "compasses", "kayaks", "wool", "shells", "sails")
VISITS = (1, 2, 2, 3, 4, 5, 6, 7, 9, 12)  # of one person
PAUSES = (0, 1, 1, 2, 3, 5, 8)  # days from one visit to the next


def pick(rnd: Rnd, items: Sequence[T]) -> T:
    """One of the items, each as likely as the others."""
    return items[int(rnd() * len(items))]


def moment_of(rnd: Rnd, day: int) -> int:
    """A moment of the day as microseconds since the first date, likelier in the busy hours."""
    return day * DAY + pick(rnd, HOURS) * HOUR + int(rnd() * HOUR)


def split(moment: int) -> tuple[str, str, int]:
    """The date, the time to the second, and the microseconds."""
    day, rest = divmod(moment, DAY)
    minute, rest = divmod(rest, MINUTE)
    second, micros = divmod(rest, SECOND)
    return DATES[day], f"{CLOCK[minute]}{second:02}", micros
