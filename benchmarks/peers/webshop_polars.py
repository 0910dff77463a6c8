"""The same sessions with Polars, on a cleaned file.

    python webshop_polars.py CLEAN.jsonl OUT_FOLDER

Polars' reader of JSON lines fails the whole query on the first broken line (`ignore_errors` does not help
with a truncated one), so somebody has to clean the file before; that time is not counted here. It has no MD5:
`session_id` is its own 64-bit hash, which is cheaper, and differs between versions of Polars.
"""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl

HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?(?:www\.)?([^/:?#]+)"
NOT_IN_PATH = r"^([A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)|[?#].*$"
EVENT = {"timestamp": pl.String, "customer-id": pl.String, "page": pl.String, "referrer": pl.String}
SCHEMA: dict[str, Any] = {"id": pl.String, "type": pl.String, "event": pl.Struct(EVENT)}


def read(source: str) -> pl.LazyFrame:
    """Logged-in events of *source*, each id once (its earliest copy), by actor and time."""
    event = pl.col("event").struct
    at = event.field("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", time_zone="UTC")
    return (
        pl.scan_ndjson(source, schema=SCHEMA)
        .filter(event.field("customer-id").is_not_null() & (event.field("customer-id") != ""))
        .select(
            "id", name=pl.col("type").str.to_lowercase(), actor=event.field("customer-id"),
            occurred_at=at, page=event.field("page"), referrer=event.field("referrer"))
        .sort("actor", "occurred_at", "id")
        .unique("id", keep="first", maintain_order=True)
    )  # fmt: skip


def page_path(page: pl.Expr) -> pl.Expr:
    """The path of *page* with a leading slash, without query, fragment or trailing slash."""
    return pl.lit("/") + page.str.replace_all(NOT_IN_PATH, "").str.strip_chars("/")


def host(url: str) -> pl.Expr:
    """The host of the column *url* in lower case."""
    return pl.col(url).str.extract(HOST).str.to_lowercase()


def sessionize(events: pl.LazyFrame) -> pl.LazyFrame:
    """One row per session: a pause longer than 30 minutes opens a new one."""
    pause = pl.col("occurred_at").diff() > pl.duration(minutes=30)
    opens = (pl.col("actor") != pl.col("actor").shift()).fill_null(True) | pause
    is_view, at = pl.col("name") == "page_view", pl.col("occurred_at")
    referrer = pl.col("referrer").filter(host("referrer") != host("page").fill_null(""))
    grouped = events.with_columns(session=opens.cum_sum()).group_by("session").agg(
        actor=pl.col("actor").first(), first_id=pl.col("id").first(), started_at=at.first(),
        ended_at=at.last(), events=pl.len(), page_views=is_view.sum(),
        orders=(pl.col("name") == "placed_order").sum(), referrer=referrer.first(),
        landing_page=pl.col("page").filter(is_view).first(),
        exit_page=pl.col("page").filter(is_view).last())  # fmt: skip
    return grouped.sort("session").select(
        pl.struct("actor", "started_at", "first_id").hash().alias("session_id"),
        "actor",
        pl.int_range(1, pl.len() + 1).over("actor").alias("session_number"),
        "started_at", "ended_at",
        ((pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1e6).alias("duration_seconds"),
        "events", "page_views", "orders",
        (pl.col("orders") > 0).alias("converted"), (pl.col("page_views") == 1).alias("bounced"),
        host("referrer"),
        page_path(pl.col("landing_page")).alias("landing_page"),
        page_path(pl.col("exit_page")).alias("exit_page"),
    )  # fmt: skip


def durations_by_referrer(sessions: pl.DataFrame) -> pl.DataFrame:
    """Number of sessions, quartiles and mean of their durations, per referrer."""
    seconds = pl.col("duration_seconds")
    return sessions.group_by(pl.col("referrer").fill_null("(direct)")).agg(
        sessions=pl.len(), median_seconds=seconds.median(),
        p25_seconds=seconds.quantile(0.25, "linear"), p75_seconds=seconds.quantile(0.75, "linear"),
        mean_seconds=seconds.mean())  # fmt: skip


def main(source: str, target: str) -> None:
    """Read *source*, write both tables as Parquet into the folder *target*, print the headline numbers."""
    sessions = sessionize(read(source)).collect(engine="streaming")
    Path(target).mkdir(parents=True, exist_ok=True)
    sessions.write_parquet(Path(target, "sessions.parquet"))
    durations_by_referrer(sessions).write_parquet(Path(target, "session_durations_by_referrer.parquet"))
    totals = sessions.select(pl.col("events", "orders", "duration_seconds").sum()).row(0, named=True)
    print(json.dumps({"sessions": sessions.height, **totals}))


if __name__ == "__main__":
    main(*sys.argv[1:])
