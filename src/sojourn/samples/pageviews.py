"""Page views that name their session, in order of time: at the end a burst of one-view visits."""

from collections.abc import Iterator

from sojourn.samples.chance import BUSY, DAY, HOUR, SECOND, WARES, Rnd, pick, split
from sojourn.samples.trouble import Shape, breakages_in_json

# How long the pauses of the whole site are in each hour.
PACES = tuple(sum(BUSY) / 24 / weight for weight in BUSY)


def _pageviews(rnd: Rnd, lines: int) -> Iterator[str]:
    users, calm, at = max(40, lines // 12), lines * 5 // 6, 8 * HOUR
    step = 3 * DAY // max(1, calm)
    visits = [_visit(rnd, users) for _ in range(max(3, 45 * SECOND // step))]
    for _ in range(calm):
        at += 1 + int(rnd() * 2 * step * PACES[at // HOUR % 24])
        slot = int(rnd() * len(visits))
        session, user, left = visits[slot]
        visits[slot] = (session, user, left - 1) if left > 1 else _visit(rnd, users)
        yield _view(rnd, at, session, user, " " if rnd() < 0.05 else "T", last=left == 1)
    at += 9 * HOUR
    while True:
        at += 40 + int(rnd() * 80)
        session, user, _left = _visit(rnd, users)
        yield _view(rnd, at, session, user, " ", last=False)


def _visit(rnd: Rnd, users: int) -> tuple[str, int, int]:
    """A new session, its user, and how many views it will have."""
    digits = "".join(f"{int(rnd() * 2**40):010x}" for _ in range(3))
    session = f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-{digits[18:]}"
    user = 1 + int(rnd() * users)
    return session, user, 1 + int(rnd() ** 2 * (12 if _is_calm(user) else 9))


def _is_calm(user: int) -> bool:
    return user * 7919 % 100 < 35


def _view(rnd: Rnd, at: int, session: str, user: int, between: str, *, last: bool) -> str:
    chance, zone = rnd(), ""
    if chance < 0.06:
        at, zone = (at, "Z") if chance < 0.03 else (at + 2 * HOUR, "+02:00")
    page = f"/{pick(rnd, WARES)}"
    if last and rnd() < (0.3 if _is_calm(user) else 0.22):
        page = "/checkout/thanks"
    elif rnd() < 0.15:
        page = page[1:] if rnd() < 0.8 else f"{page}/?page=2"
    date_, clock, micros = split(at)
    label = "calm-home" if _is_calm(user) else "bold-home"
    return (
        f'{{"url": "{page}", "timestamp": "{date_}{between}{clock}.{micros:06}{zone}", '
        f'"sessionId": "{session}", "experiments": "{label}", "userId": {user}}}\n'
    )


SHAPE = Shape(
    records=_pageviews,
    breakages=breakages_in_json(
        required=("sessionId", "url"), number="userId", text="url", bad_time="2022-04-28T24:00:00"
    ),
    is_shuffled=False,
)
