"""Devices that connect to servers and leave them: fleets of every size, and much of what happens goes unrecorded.

The servers are the same whatever the seed. Some have been destroyed, and a few stand in no list.
"""

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import NamedTuple

from sojourn.samples.chance import DAY, HOUR, MINUTE, SECOND, Rnd, moment_of, pick, split
from sojourn.samples.trouble import Shape, breakages_in_rows

DAYS = 730
END = DAYS * DAY
FRIDAY, SATURDAY, SUNDAY, MONDAY = range(4)  # day 0 is a Friday

ALWAYS, WEEKLY, DAILY = 8, 12, 30  # the ways of devices, and how often one of each way comes
WAYS = (ALWAYS,) * 5 + (WEEKLY,) * 3 + (DAILY,) * 2

LOST = 0.02  # the share of events that were never recorded
LOST_WHEN_MOVED = 0.4  # of a device that its server sends elsewhere, or drops
PASSED_ON = 0.005  # the share of devices that get another owner


class Server(NamedTuple):
    """A server and its life, in microseconds since the first date."""

    number: int
    created: int
    destroyed: int | None


def _founded(rnd: Rnd) -> Iterator[Server]:
    """One server in eight is there from the first day; every seventh is never destroyed."""
    for number in range(1, 189):
        created = 0 if number <= 24 else int((number - 24 + rnd()) / 165 * END)
        destroyed = created + 20 * DAY + int(rnd() * 600 * DAY)
        yield Server(number, created, destroyed if number % 7 and destroyed < END else None)


SERVERS = tuple(_founded(Random("servers").random))
UNLISTED = (41, 97, 160)
STANDING = tuple(  # those that stand the whole day, for each day
    tuple(
        server
        for server in SERVERS
        if server.created <= day * DAY and (server.destroyed is None or server.destroyed >= (day + 1) * DAY)
    )
    for day in range(DAYS)
)


def _events(rnd: Rnd, lines: int) -> Iterator[str]:
    """One user after the other with all devices, as many as are asked for."""
    device, largest = count(100_001), min(6000, 40 + lines // 100)
    for user in count(2001):
        since = _after(rnd, 0, 0.5)
        for _ in range(int(1 / (rnd() + 1 / largest)) or 1):  # half as many users have twice as many devices
            yield from _device(rnd, next(device), user, _after(rnd, since, 0.2))


def _after(rnd: Rnd, day: int, share: float) -> int:
    """*day* itself for this share, else any later day."""
    return day + int(max(0.0, (rnd() - share) / (1 - share)) * (DAYS - day))


def _device(rnd: Rnd, device: int, user: int, day: int) -> Iterator[str]:
    """What is recorded of one device, from its first day on."""
    way, old = pick(rnd, WAYS), rnd() < 0.05  # an old gateway has a spelling of its own
    visits, between, words = 1 + int(rnd() ** 2 * 3.3 * way), "T" if old else " ", ("False", "True") if old else "ft"
    handed_over = 1 + int(rnd() * visits) if rnd() < PASSED_ON else visits
    at, server = moment_of(rnd, day), pick(rnd, STANDING[day])
    for visit in range(visits):
        owner, until = user if visit < handed_over else user + 1, _leaving(rnd, way, at)
        for moment, number, is_online in _visit(rnd, at, until, server):
            if moment < END:
                date_, clock, micros = split(moment)
                fraction = f".{micros // 1000:03}".rstrip("0") if micros >= 1000 else ""
                yield f"{date_}{between}{clock}{fraction},{device},{owner},{number},{words[is_online]}\n"
            until = max(until, moment)
        at = _coming(rnd, way, until)
        if at >= END:
            break
        if rnd() < 0.1 or (server.destroyed is not None and server.destroyed <= at):
            server = pick(rnd, STANDING[at // DAY])


def _visit(rnd: Rnd, at: int, until: int, server: Server) -> Iterator[tuple[int, int, bool]]:
    """The recorded events of one visit: instant, server, whether it is online from then on.

    A server's end moves its devices to another server, within the same instant, a minute, or half an hour.
    """
    if rnd() >= LOST:
        yield at, server.number, True
    while server.destroyed is not None and server.destroyed < until:
        moment = max(at, server.destroyed + int((rnd() - 0.5) * HOUR))
        if rnd() >= LOST_WHEN_MOVED:
            yield moment, server.number, False
        at, server = moment + pick(rnd, (0, SECOND, MINUTE)), pick(rnd, STANDING[min(moment // DAY, DAYS - 1)])
        if rnd() >= LOST_WHEN_MOVED / 4:
            yield at, server.number, True
    if rnd() >= LOST:
        yield max(at, until), server.number, False


def _leaving(rnd: Rnd, way: int, at: int) -> int:
    """When a device that came at *at* leaves: after weeks, on Friday, or the same day or night."""
    if way == ALWAYS:
        return at + HOUR + int(rnd() ** 3 * 80 * DAY)
    if way == WEEKLY:
        friday = at // DAY + (FRIDAY - at // DAY) % 7
        return max(at + MINUTE, friday * DAY + 16 * HOUR + int(rnd() * 3 * HOUR))
    return at + 10 * MINUTE + int(rnd() ** 2 * 10 * HOUR)


def _coming(rnd: Rnd, way: int, at: int) -> int:
    """When a device that left at *at* comes again: after hours or days, on Monday, or on the next working day."""
    if way == ALWAYS:
        return at + SECOND + int(rnd() ** 4 * 12 * DAY)
    day = at // DAY + 1
    if way == WEEKLY:
        return (day + (MONDAY - day) % 7) * DAY + 6 * HOUR + int(rnd() * 4 * HOUR)
    if day % 7 in (SATURDAY, SUNDAY) and rnd() < 0.8:
        day += (MONDAY - day) % 7
    return moment_of(rnd, day)


def servers() -> Iterator[str]:
    """The list of servers: id, created_at, destroyed_at."""
    for server in SERVERS:
        if server.number not in UNLISTED:
            created, destroyed = _stamp(server.created), "" if server.destroyed is None else _stamp(server.destroyed)
            yield f"{server.number},{created},{destroyed}\n"


def _stamp(moment: int) -> str:
    date_, clock, _ = split(moment)
    return f"{date_} {clock}"


SHAPE = Shape(records=_events, breakages=breakages_in_rows(), is_shuffled=True, beside=("servers", servers))
