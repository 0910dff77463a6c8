"""What tests of the service publish: the example of the page about metrics, with some trouble, and every sample."""

from pathlib import Path

from sojourn import samples
from tests.command import lines, shop
from tests.store.places import Place

ORDERS = {"median_visits_before_order": 2.0, "median_session_duration_minutes_before_order": 47.5}
"""The metric `orders` of `VISITS`, as the figure of the webshop works it out."""

BROKEN = b'{"id": 90, "type": "search", "event": {"customer-id": "\xff", "timestamp": "2024-03-01T09:00:00"}}'

_DAYS = ["2024-03-01", "2024-03-02", "2024-03-03"]
_EVENTS = [
    ("user-1", 0, "09:00:00", "page_view"), ("user-1", 0, "09:30:00", "page_view"),
    ("user-1", 1, "09:00:00", "page_view"), ("user-1", 1, "09:20:00", "placed_order"),
    ("user-1", 2, "09:00:00", "page_view"), ("user-1", 2, "09:12:00", "search"),
    ("user-2", 0, "09:00:00", "page_view"), ("user-2", 0, "09:30:00", "page_view"),
    ("user-2", 0, "09:45:00", "placed_order"),
    ("user-2", 1, "09:00:00", "page_view"), ("user-2", 1, "09:20:00", "search"),
    ("user-2", 2, "09:00:00", "page_view"), ("user-2", 2, "09:10:30", "Placed_Order"),
]  # fmt: skip

VISITS = lines(
    *(
        shop(at, f"{_DAYS[day]}T{clock}", who, kind, referrer="https://it's.example/" if day == 2 else None)
        for at, (who, day, clock, kind) in enumerate(_EVENTS, 1)
    ),
    shop(20, "2024-03-01T09:00:00", ""),
    shop(21, "yesterday"),
    "{'single': 'quotes'}",
)
VISITS += BROKEN + b"\n"
"""Six sessions of two customers; one event without a customer, three records that break the contract."""


def publish_visits(place: Place, folder: Path) -> None:
    """Publish `VISITS` by the ready pipeline."""
    (folder / "visits.jsonl").write_bytes(VISITS)
    place.run("webshop", folder / "visits.jsonl")


def publish_samples(place: Place, folder: Path) -> None:
    """Publish a sample by every other ready pipeline that has one."""
    for name in samples.PIPELINES:
        if name != "webshop":
            path = folder / f"{name}.{'csv' if name == 'devices' else 'jsonl'}"
            samples.write(name, path, lines=600, seed=3)
            place.run(name, *[f"{source}={file}" for source, file in samples.sources(name, path).items()])
