"""Pipelines on which runs that add are tried: the ready ones, and odd combinations of what can be set."""

from __future__ import annotations

import msgspec

from sojourn.loading import load
from sojourn.pipeline import Pipeline
from tests.laws.pipelines import PIPELINES, WEBSHOP_FIELDS, written

VIEWS = """
        session_key = "sessionId"
        occurred_at = "timestamp"
        url         = "url"
"""
DEVICE = """
        occurred_at = { path = "at", required = true }
        device_id   = { path = "device", TYPE, required = true }
        user_id     = { path = "user", TYPE, required = true }
        server_id   = { path = "server", TYPE, required = true }
        connected   = { path = "on", type = "boolean", required = true }
"""
SERVERS = """
        [source.servers]
        format = "csv"
        columns = ["id", "created_at", "destroyed_at"]
        [source.servers.fields]
        id           = { TYPE, required = true }
        created_at   = "created_at"
        destroyed_at = "destroyed_at"
        [tables.presence]
        [tables.fleet_daily]
        [tables.fleet_rolling_28d]
        [tables.repairs]
        [tables.device_uptime]
"""

_EVENTS = {
    "gap_and_pages": f"""
        bucket_timezone = "America/New_York"
        [source.events.fields]
        event_id    = "id"
        session_key = "sessionId"
        name        = "type"
        actor       = "userId"
        experiments = "labels"
        {VIEWS.replace('session_key = "sessionId"', "")}
        referrer    = "referrer"
        [sessions]
        rule = "gap"
        gap  = "15m"
        goal = "placed_order"
        own_hosts = ["www.shop.example"]
        [tables.sessions]
        [tables.session_durations_by_referrer]
        [tables.referrer_differences]
        [tables.experiment_users]
        [tables.experiments]
        [tables.pages]
        [tables.hourly_activity]
        [tables.transitions]
        gap = "45m"
    """,
    "keys_of_nobody": f"""
        [source.events]
        dedupe = "record"
        [source.events.fields]
        {VIEWS}
        referrer = "referrer"
        [sessions]
        rule = "key"
        suspect = {{ events = 1, within = "15m" }}
        [tables.pages]
        [tables.sessions]
        [tables.session_durations_by_referrer]
        [tables.referrer_differences]
        [tables.hourly_activity]
    """,
    "keys_of_numbers": f"""
        bucket_timezone = "Europe/Berlin"
        [source.events.fields]
        event_id = {{ path = "id", type = "integer" }}
        actor    = {{ path = "event.number", type = "integer" }}
        name     = "type"
        labels   = "place"
        experiments = "labels"
        {VIEWS}
        [sessions]
        rule = "key"
        suspect = {{ sessions = 1, within = "1h" }}
        [experiments.one]
        variants = ["a", "b"]
        [goals.looked]
        page = "/*"
        [goals.often]
        sessions = 2
        [tables.experiment_users]
        [tables.experiments]
        [tables.pages]
        [tables.sessions]
        [tables.transitions]
        gap = "0s"
        [tables.user_activity]
        [tables.hourly_activity]
    """,
    "every_copy": f"""
        [source.events]
        dedupe = "off"
        [source.events.fields]
        actor    = "userId"
        name     = "type"
        experiments = "labels"
        {VIEWS}
        [sessions]
        rule = "key"
        [goals.ordered]
        event = "placed_order"
        [tables.experiment_users]
        [tables.experiments]
        [tables.pages]
        [tables.sessions]
        [tables.transitions]
        [tables.user_activity]
        [tables.hourly_activity]
    """,
    "no_sessions": f"""
        bucket_timezone = "Pacific/Apia"
        [source.events]
        dedupe = "record"
        [source.events.fields]
        actor = {{ path = "event.customer-id", type = "text" }}
        {WEBSHOP_FIELDS}
        price = {{ path = "event.price", type = "number" }}
        session_key = "sessionId"
        [tables.user_activity]
        [tables.hourly_activity]
        [tables.transitions]
        [tables.pages]
    """,
}

_DEVICES = {
    "devices_by_id": f"""
        bucket_timezone = "Australia/Lord_Howe"
        [source.events.fields]
        event_id    = "id"
        {DEVICE.replace("TYPE,", "")}
        [fleet]
        classes = [1, 2, 3]
        window_days = 3
        {SERVERS.replace("TYPE,", "")}
    """,
    "devices_every_copy": f"""
        bucket_timezone = "America/New_York"
        [source.events]
        dedupe = "off"
        [source.events.fields]
        {DEVICE.replace("TYPE", 'type = "integer"')}
        [fleet]
        classes = [1, 2, 4]
        window_days = 1
        {SERVERS.replace("TYPE", 'type = "integer"')}
    """,
    "devices_with_sessions": f"""
        bucket_timezone = "Asia/Kolkata"
        [source.events]
        dedupe = "record"
        [source.events.fields]
        {DEVICE.replace("TYPE,", "")}
        actor       = "user"
        session_key = "server"
        name        = "note"
        url         = "device"
        [sessions]
        rule = "gap"
        gap  = "12h"
        {SERVERS.replace("TYPE,", "")}
        [tables.sessions]
        [tables.session_durations_by_referrer]
        [tables.user_activity]
        [tables.hourly_activity]
        [tables.transitions]
        [tables.pages]
    """,
    "devices_with_notes": f"""
        bucket_timezone = "Europe/Berlin"
        [source.events]
        dedupe = "record"
        [source.events.fields]
        note  = "note"
        {DEVICE.replace("TYPE", 'type = "integer"')}
        level = {{ path = "level", type = "number" }}
        [fleet]
        window_days = 2
        {SERVERS.replace("TYPE", 'type = "integer"')}
    """,
}


def _without_projection(pipeline: Pipeline) -> Pipeline:
    """The pipeline without the table that a library works out, of which the reference knows nothing."""
    tables = {name: settings for name, settings in pipeline.tables.items() if name != "fleet_projection"}
    return msgspec.structs.replace(pipeline, tables=tables)


EVENTS: dict[str, Pipeline] = PIPELINES | {name: written(name, text) for name, text in _EVENTS.items()}
DEVICES: dict[str, Pipeline] = {"devices": _without_projection(load("devices"))}
DEVICES |= {name: written(name, text) for name, text in _DEVICES.items()}
STREAMS: dict[str, Pipeline] = {"live": load("live")}
