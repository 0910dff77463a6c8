"""The same sessions with PySpark on this machine, by its own `session_window`.

    python webshop_pyspark.py EVENTS.jsonl OUT_FOLDER

`session_window` makes a window of 30 minutes from every event and joins those that touch: an event exactly 30 minutes
after the one before stays in its session, as with us, although the end of a window is said to be exclusive; a
microsecond later opens the next. The window's own end lies a gap after the last event: when a session ended, is worked
out beside it. It also knows no order of events within a session, nor their number: landing pages, exits and the number
of a session need orderings of their own.
What it does not do: a broken line disappears without a word (its fields are null, or read as text where they are
something else); nothing is counted by reason. The folder of a table holds as many files as Spark had tasks.
"""

import json
import sys

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as f

SCHEMA = (
    "id string, type string, event struct<timestamp: string, `customer-id`: string, page: string, referrer: string>"
)
HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?(?:www\.)?([^/:?#]+)"
NOT_IN_PATH = r"^([A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)|[?#].*$"
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "4g",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.ansi.enabled": "false",  # a time that is none becomes null instead of the end of the query
}


def read(spark: SparkSession, source: str) -> DataFrame:
    """Logged-in events of *source*, each id once (its earliest copy)."""
    events = spark.read.schema(SCHEMA).json(source).select(
        "id", f.lower("type").alias("name"), f.col("event.customer-id").alias("actor"),
        f.col("event.timestamp").cast("timestamp").alias("occurred_at"), "event.page", "event.referrer")  # fmt: skip
    events = events.where("actor <> '' and id is not null and name is not null and occurred_at is not null")
    earliest = Window.partitionBy("id").orderBy("occurred_at")
    return events.withColumn("copy", f.row_number().over(earliest)).where("copy = 1").drop("copy")


def host(url: str) -> Column:
    """The host of the column *url* in lower case; null if there is none."""
    return f.lower(f.nullif(f.regexp_extract(url, HOST, 1), f.lit("")))


def page_path(page: str) -> Column:
    """The path of *page* with a leading slash, without query, fragment or trailing slash."""
    return f.concat(f.lit("/"), f.trim(f.regexp_replace(page, NOT_IN_PATH, ""), f.lit("/")))


def sessionize(events: DataFrame) -> DataFrame:
    """One row per session."""
    order, is_view = f.struct("occurred_at", "id"), f.col("name") == "page_view"
    foreign = f.col("referrer").isNotNull() & (host("referrer") != f.coalesce(host("page"), f.lit("")))
    grouped = events.groupBy("actor", f.session_window("occurred_at", "30 minutes")).agg(
        f.min("occurred_at").alias("started_at"), f.max("occurred_at").alias("ended_at"),
        f.count("*").alias("events"), f.count_if(is_view).alias("page_views"),
        f.count_if(f.col("name") == "placed_order").alias("orders"), f.min_by("id", order).alias("first_id"),
        f.min_by("referrer", f.when(foreign, order)).alias("referrer"),
        f.min_by("page", f.when(is_view, order)).alias("landing_page"),
        f.max_by("page", f.when(is_view, order)).alias("exit_page"))  # fmt: skip
    started = f.unix_micros("started_at")
    name = f.concat_ws("|", f.lit("webshop"), "actor", started.cast("string"), "first_id")
    return grouped.select(
        f.md5(name).alias("session_id"), "actor",
        f.row_number().over(Window.partitionBy("actor").orderBy("started_at")).alias("session_number"),
        "started_at", "ended_at", ((f.unix_micros("ended_at") - started) / 1e6).alias("duration_seconds"),
        "events", "page_views", "orders", (f.col("orders") > 0).alias("converted"),
        (f.col("page_views") == 1).alias("bounced"), host("referrer").alias("referrer"),
        page_path("landing_page").alias("landing_page"), page_path("exit_page").alias("exit_page"))  # fmt: skip


def durations_by_referrer(sessions: DataFrame) -> DataFrame:
    """Number of sessions, quartiles and mean of their durations, per referrer."""
    seconds = f.col("duration_seconds")
    return sessions.groupBy(f.coalesce("referrer", f.lit("(direct)")).alias("referrer")).agg(
        f.count("*").alias("sessions"), f.percentile(seconds, f.lit(0.5)).alias("median_seconds"),
        f.percentile(seconds, f.lit(0.25)).alias("p25_seconds"),
        f.percentile(seconds, f.lit(0.75)).alias("p75_seconds"), f.avg(seconds).alias("mean_seconds"))  # fmt: skip


def main(source: str, target: str) -> None:
    """Read *source*, write both tables as Parquet into the folder *target*, print the headline numbers."""
    builder = SparkSession.builder.master("local[*]").appName("webshop")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    sessionize(read(spark, source)).write.mode("overwrite").parquet(f"{target}/sessions")
    sessions = spark.read.parquet(f"{target}/sessions")
    durations_by_referrer(sessions).write.mode("overwrite").parquet(f"{target}/session_durations_by_referrer")
    totals = sessions.agg(
        f.count("*").alias("sessions"), f.sum("events").alias("events"), f.sum("orders").alias("orders"),
        f.sum("duration_seconds").alias("duration_seconds"))  # fmt: skip
    print(json.dumps(totals.collect()[0].asDict()))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
