"""Pipelines to try the tables on: the ready ones, and others that set what can be set."""

from __future__ import annotations

from pathlib import Path

from sojourn.loading import load, parse
from sojourn.pipeline import Pipeline

WEBSHOP_FIELDS = """
name        = { path = "type", required = true }
occurred_at = { path = "event.timestamp", required = true }
url         = "event.page"
referrer    = "event.referrer"
"""

TEXTS = {
    "shop_own_hosts": f"""
        [source.events]
        dedupe = "record"
        timezone = "Europe/Berlin"
        [source.events.fields]
        event_id = "id"
        actor    = "event.customer-id"
        {WEBSHOP_FIELDS}
        [sessions]
        rule = "gap"
        gap  = "15m"
        goal = "SEARCH"
        own_hosts = ["www.Shop.example", "http://other.example:80/x", "localhost"]
        [tables.sessions]
        [tables.session_durations_by_referrer]
        [tables.hourly_activity]
    """,
    "shop_without_id": f"""
        [source.events]
        dedupe = "off"
        [source.events.fields]
        {WEBSHOP_FIELDS}
        actor = {{ path = "event.customer-id", type = "text" }}
        [sessions]
        rule = "gap"
        gap  = "1800000001us"
        suspect = {{ events = 1, within = "1h" }}
    """,
    "shop_by_number": f"""
        [source.events.fields]
        event_id = {{ path = "id", type = "integer" }}
        actor    = {{ path = "event.number", type = "integer" }}
        {WEBSHOP_FIELDS}
        price    = {{ path = "event.price", type = "number" }}
        flag     = {{ path = "event.flag", type = "boolean" }}
        seen     = {{ path = "event.seen", type = "time", formats = ["epoch_s"] }}
        [sessions]
        rule = "gap"
        goal = "placed_order"
        [tables.sessions]
        [tables.user_activity]
        [tables.transitions]
        gap = "15m"
    """,
    # its fields bear names that the tables' own columns might bear on the way
    "activity_by_record": """
        bucket_timezone = "America/St_Johns"
        [source.events]
        dedupe = "record"
        timezone = "Australia/Lord_Howe"
        [source.events.fields]
        occurred_at = { path = "timestamp", formats = ["%d/%m/%Y %H:%M:%S", "iso"] }
        name        = "action"
        actor       = "user.id"
        url         = "url"
        price       = { path = "price", type = "number" }
        place       = "place"
        part        = { path = "part", type = "integer" }
        is_new      = { path = "new", type = "boolean" }
        is_view     = { path = "new", type = "boolean" }
        viewed      = "place"
        outside     = "outside"
        copies      = "copies"
        filename    = "file"
        session_number = { path = "n", type = "integer" }
        page        = "page"
        step        = "step"
        hour        = "hour"
        user        = "who"
        k_name      = "k"
        r_name      = "r"
        pause       = "pause"
        first_old   = "first"
        is_entry    = "entry"
        [sessions]
        rule = "gap"
        [tables.user_activity]
        [tables.hourly_activity]
        [tables.transitions]
        gap = "0s"
        [tables.sessions]
    """,
    "views_with_names": """
        bucket_timezone = "Asia/Kolkata"
        [source.events.fields]
        event_id    = "id"
        session_key = "sessionId"
        occurred_at = "timestamp"
        url         = "url"
        name        = "type"
        referrer    = "referrer"
        actor       = "userId"
        experiments = "labels"
        [sessions]
        rule = "key"
        goal = "order+(1)"
        suspect = { events = 2, sessions = 1, within = "15m" }
        [experiments.one]
        variants = ["a", "b"]
        control  = "b"
        shares   = [1, 2.5]
        [experiments.two]
        variants = ["c", "1", "0", "nobody"]
        [goals.ordered]
        event = "order+(1)"
        [goals.looked]
        page = "/*b*"
        [goals.back]
        sessions = 3
        [goals.viewed]
        first_session_page_views = 1
        [tables.experiment_users]
        [tables.experiments]
        [tables.referrer_differences]
        [tables.pages]
        [tables.sessions]
        [tables.session_durations_by_referrer]
        [tables.transitions]
        [tables.hourly_activity]
    """,
    "views_of_nobody": """
        bucket_timezone = "Pacific/Apia"
        [source.events]
        dedupe = "off"
        [source.events.fields]
        session_key = "sessionId"
        occurred_at = "timestamp"
        url         = "url"
        [sessions]
        rule = "key"
        [tables.pages]
        [tables.sessions]
        [tables.hourly_activity]
    """,
}


def written(name: str, text: str) -> Pipeline:
    """The pipeline of a TOML text."""
    return parse(text, name=name, where=f"{name}.toml", folder=Path())


PIPELINES: dict[str, Pipeline] = {name: load(name) for name in ("webshop", "activity", "pageviews")}
PIPELINES |= {name: written(name, text) for name, text in TEXTS.items()}
