"""The script a competent engineer would write by hand: webshop lines to sessions with DuckDB.

    python webshop_duckdb.py EVENTS.jsonl OUT.duckdb

It reads the same keys as the `webshop` pipeline, in one streaming pass, and publishes the same two tables.
What it does not do: a broken line disappears without a word (`ignore_errors` turns it into a row of
nulls, which the `where` removes); nothing is counted by reason, no line number or raw text is kept. It
takes some broken lines for events: `NaN`, `true` or an object where text belongs, a comma before the
closing brace, values nested deeper than 128. A second run starts from nothing, and readers are locked out
while it writes. On clean data its sessions are ours, row by row; on the dirty sample they differ by those
lines.
"""

import json
import sys
from pathlib import Path

import duckdb

# Timestamps are read WITH TIME ZONE: a plain TIMESTAMP silently drops `+02:00`.
READ = """
create temp table events as
select id, lower(type) as name, event."timestamp" as occurred_at, event."customer-id" as actor,
       event.page as page, event.referrer as referrer
from read_json(?, format = 'newline_delimited', ignore_errors = true, columns = {
    id: 'VARCHAR', type: 'VARCHAR',
    event: 'STRUCT("timestamp" TIMESTAMPTZ, "customer-id" VARCHAR, page VARCHAR, referrer VARCHAR)'})
where event."customer-id" <> '' and id is not null and type is not null and event."timestamp" is not null
"""

# Of several copies of one id the earliest counts.
DEDUPE = """
create temp view distinct_events as
select * from events qualify row_number() over (partition by id order by occurred_at) = 1
"""

# Own and foreign hosts are told apart as written, which is cheap; only a session's own is normalised.
SESSIONS = """
create table sessions as
with steps as (
    select *, row_number() over by_actor as position,
           coalesce(occurred_at - lag(occurred_at) over by_actor > interval 30 minutes, true) as opens
    from distinct_events
    window by_actor as (partition by actor order by occurred_at, id)
), numbered as (
    select *, count_if(opens) over (partition by actor order by position)::bigint as session_number
    from steps
), grouped as (
    select actor, session_number, min(occurred_at) as started_at, max(occurred_at) as ended_at,
           count(*) as events, count_if(name = 'page_view') as page_views,
           count_if(name = 'placed_order') as orders,
           any_value(id) filter (opens) as first_id,
           arg_min(referrer, position) filter (
               referrer is not null and split_part(referrer, '/', 3) <> coalesce(split_part(page, '/', 3), '')
           ) as referrer,
           arg_min(page, position) filter (name = 'page_view') as landing_page,
           arg_max(page, position) filter (name = 'page_view') as exit_page
    from numbered group by actor, session_number
)
select md5('webshop|' || actor || '|' || epoch_us(started_at) || '|' || first_id) as session_id,
       actor, session_number, started_at, ended_at,
       (epoch_us(ended_at) - epoch_us(started_at)) / 1e6 as duration_seconds, events, page_views, orders,
       orders > 0 as converted, page_views = 1 as bounced, host(referrer) as referrer,
       page_path(landing_page) as landing_page, page_path(exit_page) as exit_page
from grouped
"""

MACROS = r"""
create temp macro host(url) as
    lower(regexp_extract(url, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?(?:www\.)?([^/:?#]+)', 1));
create temp macro page_path(url) as
    '/' || trim(regexp_replace(url, '^([A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)|[?#].*$', '', 'g'), '/')
"""

BY_REFERRER = """
create table session_durations_by_referrer as
select coalesce(referrer, '(direct)') as referrer, count(*) as sessions,
       quantile_cont(duration_seconds, 0.5) as median_seconds,
       quantile_cont(duration_seconds, 0.25) as p25_seconds,
       quantile_cont(duration_seconds, 0.75) as p75_seconds, avg(duration_seconds) as mean_seconds
from sessions group by all order by all
"""

HEADLINE = "select count(*), sum(events), sum(orders), sum(duration_seconds) from sessions"


def main(source: str, target: str) -> None:
    """Read *source*, write both tables into the new DuckDB file *target*, print the headline numbers."""
    Path(target).unlink(missing_ok=True)
    with duckdb.connect(target) as connection:
        connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
        connection.execute(READ, [source])
        for statement in (MACROS, DEDUPE, SESSIONS, BY_REFERRER):
            connection.execute(statement)
        row = connection.execute(HEADLINE).fetchone()
    assert row is not None
    names = ("sessions", "events", "orders", "duration_seconds")
    print(json.dumps(dict(zip(names, (*map(int, row[:3]), float(row[3])), strict=True))))


if __name__ == "__main__":
    main(*sys.argv[1:])
