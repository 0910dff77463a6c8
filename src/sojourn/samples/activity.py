"""Users of a directory of trades, in the shape of the ETL brief."""

from collections.abc import Iterator
from itertools import count

from sojourn.samples.chance import HOST, MINUTE, PAUSES, SECOND, SITE, VISITS, Rnd, moment_of, pick, split
from sojourn.samples.trouble import Shape, breakages_in_json

# The several ways in which people write an address.
FRONTS = (SITE,) * 53 + (
    HOST, "tidepool.example", f"//{HOST}", f"http://{HOST}", "https://trade.tidepool.example",
    f"https://{HOST.upper()}:443", "https://w3.tidepool.example",
)  # fmt: skip
TAILS = ("",) * 14 + ("/", "?search=sails", "?page=2&sort=near", "?search=mast+repair#list", "#reviews")
ERRANDS = (  # what a user does in one visit
    ("page_view /articles", "page_view /articles/knots-for-beginners", "button_click /articles"),
    ("list_directory /find/sailmakers", "page_view /connect/blue-loft/service/1906", "claim /quotes"),
    ("page_view ", "list_directory /find/boatbuilders", "button_click /quotes", "claim /quotes"),
    ("page_view /photos/moorings", "page_view /photos/moorings", "button_click /advertise"),
    ("list_directory /find/riggers", "list_directory /find/sailmakers", "page_view /quotes"),
    ("button_click /quotes", "page_view /find/riggers/near-me", "page_view /quotes"),
    ("page_view /advertise",),
)
UNNAMED = 0.004  # the share of visits without a user


def _activity(rnd: Rnd, lines: int) -> Iterator[str]:
    del lines
    number, session = 0, count(560_001)
    for user in count(56_001):
        day, ip = int(rnd() * 28), f"198.18.{int(rnd() * 256)}.{int(rnd() * 256)}"
        for _ in range(pick(rnd, VISITS)):
            at = moment_of(rnd, day)
            person = "" if rnd() < UNNAMED else f'"id": {user}, '
            who = f'"user": {{"session_id": "{next(session)}", {person}"ip": "{ip}"}}'
            for step in pick(rnd, ERRANDS):
                action, path = step.split(" ")
                date_, clock, _micros = split(at)
                # Distinct: the multiplier and the modulus have no common factor.
                number = (number + 232_630_513_987_207) % 900_000_000_000_000
                url = f"{pick(rnd, FRONTS)}{path}{pick(rnd, TAILS)}"
                stamp = f"{date_[8:]}/{date_[5:7]}/{date_[:4]} {clock}"
                yield (
                    f'{{"event_id": "{number + 10**14}", {who}, "action": "{action}", "url": "{url}", '
                    f'"timestamp": "{stamp}"}}\n'
                )
                at += SECOND + int(rnd() ** 3 * 25 * MINUTE)
            day += pick(rnd, PAUSES)


SHAPE = Shape(
    records=_activity,
    breakages=breakages_in_json(
        required=("event_id", "action"), number="id", text="url", bad_time="31/04/2022 07:38:46"
    ),
    is_shuffled=True,
    has_id=True,
    whole='"id": ',
)
