"""Sessions with retentioneering 5, a library for paths of users; pandas reads the lines for it.

    RETENTIONEERING_NO_TRACK=1 python webshop_retentioneering.py EVENTS.jsonl OUT_FOLDER

It cannot read JSON lines, know a repeated id, or summarise sessions in a table: pandas does that before and after, and
retentioneering orders the events and cuts them (`split_sessions`, by DuckDB within). Where two events have the same
instant, their order is that of the file, not of their ids. It calls home when imported unless told not to. Broken lines
disappear uncounted; everything is in memory, several times over.
"""

import hashlib
import json
import sys
from pathlib import Path

import pandas as pd
from retentioneering import Eventstream

HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?(?:www\.)?([^/:?#]+)"
NOT_IN_PATH = r"^([A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)|[?#].*$"
COLUMNS = ["id", "event", "user_id", "timestamp", "page", "referrer"]


def read(source: str) -> pd.DataFrame:
    """Logged-in events of *source*, each id once (its earliest copy)."""
    rows = []
    with Path(source).open("rb") as lines:
        for line in lines:
            try:
                record = json.loads(line)
                event = record["event"]
                actor = event.get("customer-id")
                if actor:
                    row = (str(record["id"]), record["type"].lower(), str(actor), event["timestamp"])
                    rows.append((*row, event.get("page"), event.get("referrer")))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
    events = pd.DataFrame(rows, columns=COLUMNS)
    events["timestamp"] = pd.to_datetime(events["timestamp"], format="ISO8601", utc=True, errors="coerce")
    events["timestamp"] = events["timestamp"].dt.tz_localize(None)
    return events.dropna(subset="timestamp").sort_values(["timestamp", "id"]).drop_duplicates("id")


def cut(events: pd.DataFrame) -> pd.DataFrame:
    """The events with their sessions, in order: what retentioneering does."""
    schema = {"path_cols": ["user_id"], "event_col": "event", "timestamp_col": "timestamp"}
    stream = Eventstream(events, schema={**schema, "custom_cols": ["id", "page", "referrer"]})
    return stream.split_sessions(timeout="30m").to_dataframe()


def external_referrers(events: pd.DataFrame) -> pd.Series:
    """Per session the host of the first referrer that is not the page's own host."""
    referred = events[events["referrer"].notna()]
    host = referred["referrer"].str.extract(HOST, expand=False).str.lower()
    own = referred["page"].str.extract(HOST, expand=False).str.lower()
    return host[host.notna() & (host != own.fillna(""))].groupby(referred["session_id"]).first()


def page_path(page: pd.Series) -> pd.Series:
    """The path of *page* with a leading slash, without query, fragment or trailing slash."""
    return "/" + page.str.replace(NOT_IN_PATH, "", regex=True).str.strip("/")


def summarise(events: pd.DataFrame) -> pd.DataFrame:
    """One row per session."""
    events["is_view"] = events["event"] == "page_view"
    events["is_order"] = events["event"] == "placed_order"
    sessions = events.groupby("session_id", sort=False).agg(
        first_id=("id", "first"), actor=("user_id", "first"), session_number=("session_index", "first"),
        started_at=("timestamp", "first"), ended_at=("timestamp", "last"), events=("id", "size"),
        page_views=("is_view", "sum"), orders=("is_order", "sum"))  # fmt: skip
    views = events[events["is_view"]].groupby("session_id")["page"]
    sessions["duration_seconds"] = (sessions["ended_at"] - sessions["started_at"]).dt.total_seconds()
    sessions["converted"], sessions["bounced"] = sessions["orders"] > 0, sessions["page_views"] == 1
    sessions["referrer"] = external_referrers(events)
    sessions["landing_page"], sessions["exit_page"] = page_path(views.first()), page_path(views.last())
    started = sessions["started_at"].astype("datetime64[us]").astype("int64").astype(str)
    names = "webshop|" + sessions["actor"] + "|" + started + "|" + sessions["first_id"]
    sessions["session_id"] = [hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() for name in names]
    return sessions.drop(columns="first_id")


def durations_by_referrer(sessions: pd.DataFrame) -> pd.DataFrame:
    """Number of sessions, quartiles and mean of their durations, per referrer."""
    durations = sessions.groupby(sessions["referrer"].fillna("(direct)"))["duration_seconds"]
    quartiles = durations.quantile([0.25, 0.5, 0.75]).unstack()
    quartiles.columns = pd.Index(["p25_seconds", "median_seconds", "p75_seconds"])
    return quartiles.assign(sessions=durations.size(), mean_seconds=durations.mean()).reset_index()


def main(source: str, target: str) -> None:
    """Read *source*, write both tables as Parquet into the folder *target*, print the headline numbers."""
    sessions = summarise(cut(read(source)))
    Path(target).mkdir(parents=True, exist_ok=True)
    sessions.to_parquet(Path(target, "sessions.parquet"), index=False)
    durations_by_referrer(sessions).to_parquet(Path(target, "session_durations_by_referrer.parquet"))
    totals = sessions[["events", "orders"]].sum()
    headline = {"sessions": len(sessions), "events": int(totals["events"]), "orders": int(totals["orders"])}
    print(json.dumps({**headline, "duration_seconds": float(sessions["duration_seconds"].sum())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
