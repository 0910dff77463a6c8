"""The pandas script: webshop lines to sessions with json.loads, sort, groupby, diff and cumsum.

    python webshop_pandas.py EVENTS.jsonl OUT_FOLDER [tuned | usual]

`read_json(lines=True)` stops at the first broken line, so the lines are decoded one by one. `usual` makes a
frame of all of them with `json_normalize`, and goes on from there. `tuned` (the default) keeps only the
fields that are needed and only logged-in events while it decodes, which is far kinder to pandas. What it
does not do: broken lines disappear uncounted, or pass as events where Python's decoder is generous (NaN,
`true` as an id, deep nesting); everything is held in memory, one thread does all the work, and its Parquet
files are replaced one after the other, so a reader may see half of a run.
"""

import hashlib
import json
import sys
from pathlib import Path

import pandas as pd

GAP = pd.Timedelta(minutes=30)
HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?(?:www\.)?([^/:?#]+)"
NOT_IN_PATH = r"^([A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)|[?#].*$"
COLUMNS = ["id", "name", "actor", "occurred_at", "page", "referrer"]


def read_all(source: str) -> pd.DataFrame:
    """All records of *source* as a frame, as nearly every script begins; then its logged-in events."""
    records = []
    with Path(source).open("rb") as lines:
        for line in lines:
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
    frame = pd.json_normalize([record for record in records if isinstance(record, dict)])
    frame = frame[frame["event.customer-id"].notna() & (frame["event.customer-id"] != "")]
    frame = frame.dropna(subset=["id", "type", "event.timestamp"])
    events = pd.DataFrame(
        {
            "id": frame["id"].astype(str),
            "name": frame["type"].astype(str).str.lower(),
            "actor": frame["event.customer-id"].astype(str),
            "occurred_at": frame["event.timestamp"],
            "page": frame["event.page"],
            "referrer": frame["event.referrer"],
        }
    )
    return in_order(events)


def read(source: str) -> pd.DataFrame:
    """Logged-in events of *source*, each id once (its earliest copy), by actor and time."""
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
    return in_order(pd.DataFrame(rows, columns=COLUMNS))


def in_order(events: pd.DataFrame) -> pd.DataFrame:
    """Events with times, each id once, by actor and time."""
    events["occurred_at"] = pd.to_datetime(events["occurred_at"], format="ISO8601", utc=True, errors="coerce")
    events = events.dropna(subset="occurred_at").sort_values(["actor", "occurred_at", "id"])
    return events.drop_duplicates("id").reset_index(drop=True)


def external_referrers(events: pd.DataFrame) -> pd.Series:
    """Per session the host of the first referrer that is not the page's own host."""
    referred = events[events["referrer"].notna()]
    host = referred["referrer"].str.extract(HOST, expand=False).str.lower()
    own = referred["page"].str.extract(HOST, expand=False).str.lower()
    return host[host.notna() & (host != own.fillna(""))].groupby(referred["session"]).first()


def page_path(page: pd.Series) -> pd.Series:
    """The path of *page* with a leading slash, without query, fragment or trailing slash."""
    return "/" + page.str.replace(NOT_IN_PATH, "", regex=True).str.strip("/")


def md5(text: str) -> str:
    """The MD5 of *text* in hex."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def sessionize(events: pd.DataFrame) -> pd.DataFrame:
    """One row per session: a pause longer than 30 minutes opens a new one."""
    other_actor = events["actor"] != events["actor"].shift()
    events["session"] = (other_actor | (events["occurred_at"].diff() > GAP)).cumsum()
    events["is_view"] = events["name"] == "page_view"
    events["is_order"] = events["name"] == "placed_order"
    sessions = events.groupby("session", sort=False).agg(
        first_id=("id", "first"), actor=("actor", "first"), started_at=("occurred_at", "first"),
        ended_at=("occurred_at", "last"), events=("id", "size"), page_views=("is_view", "sum"),
        orders=("is_order", "sum"))  # fmt: skip
    views = events[events["is_view"]].groupby("session")["page"]
    sessions["session_number"] = sessions.groupby("actor").cumcount() + 1
    sessions["duration_seconds"] = (sessions["ended_at"] - sessions["started_at"]).dt.total_seconds()
    sessions["converted"], sessions["bounced"] = sessions["orders"] > 0, sessions["page_views"] == 1
    sessions["referrer"] = external_referrers(events)
    sessions["landing_page"], sessions["exit_page"] = page_path(views.first()), page_path(views.last())
    started = sessions["started_at"].astype("datetime64[us, UTC]").astype("int64").astype(str)
    names = "webshop|" + sessions["actor"] + "|" + started + "|" + sessions["first_id"]
    sessions["session_id"] = [md5(name) for name in names]
    return sessions.drop(columns="first_id")


def durations_by_referrer(sessions: pd.DataFrame) -> pd.DataFrame:
    """Number of sessions, quartiles and mean of their durations, per referrer."""
    durations = sessions.groupby(sessions["referrer"].fillna("(direct)"))["duration_seconds"]
    quartiles = durations.quantile([0.25, 0.5, 0.75]).unstack()
    quartiles.columns = pd.Index(["p25_seconds", "median_seconds", "p75_seconds"])
    return quartiles.assign(sessions=durations.size(), mean_seconds=durations.mean()).reset_index()


def main(source: str, target: str, how: str = "tuned") -> None:
    """Read *source*, write both tables as Parquet into the folder *target*, print the headline numbers."""
    sessions = sessionize(read_all(source) if how == "usual" else read(source))
    Path(target).mkdir(parents=True, exist_ok=True)
    sessions.to_parquet(Path(target, "sessions.parquet"), index=False)
    durations_by_referrer(sessions).to_parquet(Path(target, "session_durations_by_referrer.parquet"))
    totals = sessions[["events", "orders"]].sum()
    headline = {"sessions": len(sessions), "events": int(totals["events"]), "orders": int(totals["orders"])}
    print(json.dumps({**headline, "duration_seconds": float(sessions["duration_seconds"].sum())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
