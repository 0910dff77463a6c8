"""Customers and passers-by of a shop come in visits; four in ten events belong to a customer."""

from collections.abc import Iterator, Sequence
from itertools import count

from sojourn.samples import chance
from sojourn.samples.chance import HOUR, MINUTE, SECOND, SITE, WARES, Rnd, pick
from sojourn.samples.trouble import Shape, breakages_in_json

AGENTS = tuple(
    f"Mozilla/5.0 ({system}) {engine}"
    for system in (
        "X11; Linux x86_64",
        "Windows NT 10.0; Win64",
        "Macintosh; Intel Mac OS X 12",
        "Linux; Android 12",
    )
    for engine in (
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0.4896.127 Safari/537.36",
        "Gecko/20100101 Firefox/99.0",
    )
)
QUALITIES = ("sea-green", "two-person", "light", "lined", "waxed", "brass", "folding", "used", "extra-long")
QUERIES = (
    "rubber boots 42", "Öljacke größe L", "rope 12 mm", 'a \\"big\\" lantern', "wool socks", "кайак", "tide",
)  # fmt: skip
SOURCES = (  # where a visit comes from, and how long its pauses are beside the others'
    (None, 1.0), (None, 1.0), (None, 1.0), (None, 1.1),
    ("https://www.seekwell.example/", 0.8), ("https://www.seekwell.example/find?q=sea+boots", 0.8),
    ("https://kelpnews.example/gear/best-of-spring", 1.4), ("https://m.wavebook.example/", 0.5),
    ("android-app://example.pond.reader/", 0.6), ("https://partners.driftwood.example:8443/deal", 1.2),
)  # fmt: skip

NOBODY = ('"customer-id": null, ',) * 18 + ("", '"customer-id": "", ')

# What happens in a visit: about four events each, and an order in a quarter of them.
PAGE, SEARCH, ADD, REMOVE, ORDER = (
    "page_view", "search", "add_product_to_cart", "remove_product_from_cart", "placed_order",
)  # fmt: skip
RELATED, RECENT, PERSONAL = (
    "visit_related_product", "visit_recently_visited_product", "visit_personal_recommendation",
)  # fmt: skip
LOOKS = (
    (PAGE,), (PAGE, SEARCH), (PAGE, PAGE, PAGE), (PAGE, SEARCH, PAGE), (SEARCH, PAGE, RELATED, PAGE),
    (PAGE, PERSONAL, PAGE, RECENT), (PAGE, SEARCH, PAGE, ADD), (PAGE, "sign_up_success", PAGE),
    (PAGE, SEARCH, PAGE, ADD, REMOVE), (RECENT, PAGE, ADD, PAGE, SEARCH, PAGE),
    (PAGE, SEARCH, PAGE, SEARCH, RELATED),
)  # fmt: skip
ORDERS = (
    (PAGE, ADD, ORDER), (PAGE, SEARCH, PAGE, ADD, ORDER), (RECENT, ADD, PAGE, ORDER, PAGE),
    (PAGE, SEARCH, RELATED, PAGE, ADD, PAGE, ORDER),
)  # fmt: skip
SHAPES = LOOKS + ORDERS


def _webshop(rnd: Rnd, lines: int) -> Iterator[str]:
    del lines  # one visitor after the other, as many as are asked for
    ids, customers, anonymous, known = count(460_001), count(1_000_001), 0, 0
    while True:
        if 3 * known <= 2 * anonymous:
            records = _visitor(rnd, ids, f'"customer-id": {next(customers)}, ', SHAPES, pick(rnd, chance.VISITS))
            known += len(records)
        else:
            records = _visitor(rnd, ids, pick(rnd, NOBODY), LOOKS, 1)
            anonymous += len(records)
        yield from records


def _visitor(rnd: Rnd, ids: Iterator[int], customer: str, shapes: Sequence[Sequence[str]], visits: int) -> list[str]:
    """The records of one visitor; the pauses between visits are hours or days."""
    ip = f"198.{18 + int(rnd() * 2)}.{int(rnd() * 256)}.{int(rnd() * 256)}"
    head = f'"event": {{"user-agent": "{pick(rnd, AGENTS)}", "ip": "{ip}", {customer}"timestamp": "'
    site = "" if rnd() < 0.1 else SITE  # the shop's app knows paths only
    old = rnd() < 0.03  # an old app writes PAGE_VIEW
    day, free, records = int(rnd() * 35), 0, list[str]()
    for _ in range(visits):
        at, (came_from, pace) = max(free, chance.moment_of(rnd, day)), pick(rnd, SOURCES)
        for kind in pick(rnd, shapes):
            date_, clock, micros = chance.split(at)
            if kind == PAGE:
                path = _path(rnd)
                referrer = f', "referrer": "{came_from}"' if came_from else ""
                detail = f', "page": "{site}{path}"{referrer}'
                came_from = site + path if site else None
            else:
                detail = _detail(rnd, kind)
            name = kind.upper() if old else kind
            stamp = f"{date_}T{clock}.{micros:06}"
            records.append(f'{{"id": {next(ids)}, "type": "{name}", {head}{stamp}"{detail}}}}}\n')
            at += int((8 * SECOND + rnd() ** 3 * 19 * MINUTE) * pace)
        free, day = at + int((1 + 5 * rnd()) * HOUR), day + pick(rnd, chance.PAUSES)
    return records


def _path(rnd: Rnd) -> str:
    luck, ware = rnd(), pick(rnd, WARES)
    if luck < 0.7:
        return f"/{ware}/{pick(rnd, QUALITIES)}-{ware}-{int(rnd() * 9000)}"
    return "/" if luck < 0.8 else f"/{ware}/" if luck < 0.9 else f"/{ware}?page={int(rnd() * 9)}#list"


def _detail(rnd: Rnd, kind: str) -> str:
    """What a webshop event carries besides what all events carry."""
    if kind == SEARCH:
        return f', "query": "{pick(rnd, QUERIES)}", "results": {int(rnd() * 90)}'
    product, price = 1000 + int(rnd() * 9000), int(rnd() * 30_000) / 100
    if kind == ORDER:
        return f', "order": "T{product}", "total": {price}, "items": [{{"product": {product}, "quantity": 1}}]'
    if kind in (ADD, REMOVE):
        return f', "product": {product}, "quantity": 1, "price": {price}'
    return f', "product": {product}, "position": {product % 12}'


SHAPE = Shape(
    records=_webshop,
    breakages=breakages_in_json(
        required=("id", "type"), number="id", text="user-agent", bad_time="2022-04-31T07:38:46.290271"
    ),
    is_shuffled=True,
    has_id=True,
    whole='"customer-id": 1',
)
