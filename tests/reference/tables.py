"""The published tables other than sessions, and the metrics (sections 5 and 6)."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.reference.ledger import is_anonymous
from tests.reference.pipelines import MINUTE, in_order
from tests.reference.sessions import groups_by_gap, is_page_view, text_of, time_of
from tests.reference.times import local_time
from tests.reference.urls import levels, page

if TYPE_CHECKING:
    from tests.reference.pipelines import Pipeline
    from tests.reference.records import Event
    from tests.reference.sessions import Group, Row


def quantile(values: list[float], share: float) -> float | None:
    """Linear interpolation between the closest ranks (percentile_cont); null of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def session_durations_by_referrer(sessions: list[Row]) -> list[Row]:
    """One row per referrer of the session rows; no referrer is "(direct)"."""
    by_referrer: dict[str, list[Fraction]] = {}  # exact, and rounded once in the end
    for row in sessions:
        referrer = "(direct)" if row["referrer"] is None else row["referrer"]
        microseconds = round(row["duration_seconds"] * 1_000_000)
        by_referrer.setdefault(referrer, []).append(Fraction(microseconds, 1_000_000))
    return [
        {
            "referrer": referrer,
            "sessions": len(seconds),
            "median_seconds": float(_quantile(seconds, Fraction(1, 2))),
            "p25_seconds": float(_quantile(seconds, Fraction(1, 4))),
            "p75_seconds": float(_quantile(seconds, Fraction(3, 4))),
            "mean_seconds": float(sum(seconds) / len(seconds)),
        }
        for referrer, seconds in sorted(by_referrer.items())
    ]


def _quantile(values: list[Fraction], share: Fraction) -> Fraction:
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def user_activity(events: list[Event], pipeline: Pipeline) -> list[Row]:
    """One row per event, in the total order; time_stamp in epoch microseconds."""
    rows = []
    for event in in_order(events, pipeline):
        level1, level2, level3 = levels(text_of(event, "url"))
        rows.append(
            {
                "user_id": event.get("actor"),
                "time_stamp": time_of(event),
                "url_level1": level1,
                "url_level2": level2,
                "url_level3": level3,
                "activity": activity_of(event, pipeline),
            }
        )
    return rows


def activity_of(event: Event, pipeline: Pipeline) -> str | None:
    """The event's name; a source without names holds page views."""
    return text_of(event, "name") if pipeline.has_field("name") else "page_view"


def hourly_activity(events: list[Event], pipeline: Pipeline) -> list[Row]:
    """One row per (time_bucket, url_level1, url_level2, activity), in that order."""
    names = ("time_bucket", "url_level1", "url_level2", "activity")
    groups: dict[tuple[str | None, ...], list[Event]] = {}
    for event in events:
        hour = local_time(time_of(event), pipeline.bucket_timezone)
        bucket = f"{hour.year:04}{hour.month:02}{hour.day:02}{hour.hour:02}"
        level1, level2, _ = levels(text_of(event, "url"))
        key = (bucket, level1, level2, activity_of(event, pipeline))
        groups.setdefault(key, []).append(event)
    return [
        {
            **dict(zip(names, key, strict=True)),
            "activity_count": len(groups[key]),
            "user_count": _users(groups[key]),
        }
        for key in sorted(groups, key=_nulls_first)
    ]


def transitions(events: list[Event], pipeline: Pipeline, gap: int = 30 * MINUTE) -> list[Row]:
    """One row per (from_page, to_page, activity of the later event): steps within gap sessions."""
    names = ("from_page", "to_page", "activity")
    steps: dict[tuple[str | None, ...], list[Event]] = {}
    for group in groups_by_gap(events, replace(pipeline, gap=gap)):
        for earlier, later in pairwise(group):
            key = (
                page(text_of(earlier, "url")),
                page(text_of(later, "url")),
                activity_of(later, pipeline),
            )
            steps.setdefault(key, []).append(later)
    return [
        {
            **dict(zip(names, key, strict=True)),
            "transitions": len(steps[key]),
            "users": _users(steps[key]),
        }
        for key in sorted(steps, key=_nulls_first)
    ]


def pages(events: list[Event], groups: list[Group], pipeline: Pipeline) -> list[Row]:
    """One row per page that was viewed; *groups* are the events' sessions, by gap or by key."""
    viewed: dict[tuple[str | None, ...], list[Event]] = {}
    for event in events:
        if is_page_view(event, pipeline):
            viewed.setdefault((page(text_of(event, "url")),), []).append(event)
    visits = [  # of each session the pages that it viewed, in order
        [page(text_of(event, "url")) for event in group if is_page_view(event, pipeline)] for group in groups
    ]
    visits = [visit for visit in visits if visit]
    return [
        {
            "url": url,
            "views": len(viewed[(url,)]),
            "users": _users(viewed[(url,)]),
            "sessions": sum(url in visit for visit in visits),
            "entries": sum(url == visit[0] for visit in visits),
            "exits": sum(url == visit[-1] for visit in visits),
            "bounces": sum([url] == visit for visit in visits),
        }
        for (url,) in sorted(viewed, key=_nulls_first)
    ]


def _users(events: list[Event]) -> int:
    return len({event["actor"] for event in events if not is_anonymous(event)})


def _nulls_first(key: tuple[str | None, ...]) -> list[tuple[bool, bytes]]:
    return [(part is not None, (part or "").encode("utf-8")) for part in key]


def orders(sessions: list[Row]) -> Row:
    """The two medians of 5.1 and 5.2 over the session rows."""
    return {
        "median_visits_before_order": quantile(visits_before_order(sessions), 0.5),
        "median_session_duration_minutes_before_order": quantile(minutes_before_order(sessions), 0.5),
    }


def time_to_order(sessions: list[Row]) -> Row:
    """Quartiles of the minutes of 5.2, with the number of buyers and of their orders."""
    minutes = minutes_before_order(sessions)
    return {
        "buyers": len(minutes),
        "orders": sum(row["orders"] for rows in _by_actor(sessions) for row in rows),
        "p25_minutes": quantile(minutes, 0.25),
        "median_minutes": quantile(minutes, 0.5),
        "p75_minutes": quantile(minutes, 0.75),
    }


def visits_before_order(sessions: list[Row]) -> list[float]:
    """For every purchase session: the sessions since the purchase session before it, itself included."""
    counts: list[float] = []
    for rows in _by_actor(sessions):
        count = 0
        for row in rows:
            count += 1
            if row["converted"]:
                counts.append(count)
                count = 0
    return counts


def minutes_before_order(sessions: list[Row]) -> list[float]:
    """For every actor who bought: the minutes of all sessions up to and with the first purchase session."""
    minutes: list[float] = []
    for rows in _by_actor(sessions):
        seconds: list[float] = []
        for row in rows:
            seconds.append(row["duration_seconds"])
            if row["converted"]:
                minutes.append(math.fsum(seconds) / 60)
                break
    return minutes


def _by_actor(sessions: list[Row]) -> list[list[Row]]:
    """Each actor's sessions by their number."""
    by_actor: dict[object, list[Row]] = {}
    for row in sessions:
        if row["session_number"] is not None:
            by_actor.setdefault(row["actor"], []).append(row)
    return [sorted(rows, key=lambda row: int(row["session_number"])) for rows in by_actor.values()]
