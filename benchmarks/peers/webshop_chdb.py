"""The same sessions with chDB, the engine of ClickHouse within Python.

    python webshop_chdb.py EVENTS.jsonl OUT_FOLDER

What it does not do: a broken line disappears without a word (`input_format_allow_errors_num`), and what takes its place
is nobody's business; nothing is counted by reason, no line number or raw text is kept. Text that is no address gives an
empty host. `domainWithoutWWW` and `path` are ClickHouse's idea of an address, which differs from ours in the corners.
"""

import json
import sys
from pathlib import Path

from chdb.session import Session

# A MergeTree in the order of the windows: they read it in turn, instead of sorting all once more.
READ = """
create table events engine = MergeTree order by (actor, occurred_at, id) as
select id, lower(type) as name, event.timestamp as occurred_at, assumeNotNull(event.`customer-id`) as actor,
       event.page as page, event.referrer as referrer
from file('{source}', JSONEachRow, 'id String, type String, event Tuple(timestamp DateTime64(6, \\'UTC\\'),
     `customer-id` Nullable(String), page Nullable(String), referrer Nullable(String))')
where event.`customer-id` <> ''
order by occurred_at limit 1 by id
settings date_time_input_format = 'best_effort', input_format_allow_errors_num = 1000000,
         input_format_json_read_numbers_as_strings = 1
"""

SESSIONS = """
create table sessions engine = MergeTree order by (actor, started_at) as
with steps as (
    select *, row_number() over by_actor as position,
           position = 1 or occurred_at - lagInFrame(occurred_at) over by_actor > 1800 as opens
    from events window by_actor as (partition by actor order by occurred_at, id
                                    rows between unbounded preceding and current row)
), numbered as (
    select *, sum(opens) over (partition by actor order by position
                               rows between unbounded preceding and current row) as session_number
    from steps
), grouped as (
    select actor, session_number, min(occurred_at) as started_at, max(occurred_at) as ended_at,
           count() as events, countIf(name = 'page_view') as page_views, countIf(name = 'placed_order') as orders,
           anyIf(id, opens) as first_id,
           argMinIf(referrer, position, referrer is not null and domain(referrer) <> domain(coalesce(page, '')))
               as referrer_url,
           argMinIf(page, position, name = 'page_view') as landing_page,
           argMaxIf(page, position, name = 'page_view') as exit_page
    from numbered group by actor, session_number
)
select lower(hex(MD5(concat('webshop|', actor, '|', toString(toUnixTimestamp64Micro(started_at)), '|', first_id))))
           as session_id,
       actor, session_number, started_at, ended_at,
       (toUnixTimestamp64Micro(ended_at) - toUnixTimestamp64Micro(started_at)) / 1e6 as duration_seconds,
       events, page_views, orders, orders > 0 as converted, page_views = 1 as bounced,
       nullIf(lower(domainWithoutWWW(referrer_url)), '') as referrer,
       '/' || trim(both '/' from path(landing_page)) as landing_page,
       '/' || trim(both '/' from path(exit_page)) as exit_page
from grouped
"""

BY_REFERRER = """
create table session_durations_by_referrer engine = Memory as
select coalesce(referrer, '(direct)') as referrer, count() as sessions,
       quantileExactInclusive(0.5)(duration_seconds) as median_seconds,
       quantileExactInclusive(0.25)(duration_seconds) as p25_seconds,
       quantileExactInclusive(0.75)(duration_seconds) as p75_seconds, avg(duration_seconds) as mean_seconds
from sessions group by referrer order by referrer
"""

HEADLINE = """
select count() as sessions, sum(events) as events, sum(orders) as orders, sum(duration_seconds) as duration_seconds
from sessions settings output_format_json_quote_64bit_integers = 0
"""


def main(source: str, target: str) -> None:
    """Read *source*, write both tables as Parquet into the folder *target*, print the headline numbers."""
    Path(target).mkdir(parents=True, exist_ok=True)
    with Session(f"{target}/engine") as session:
        for statement in (READ.replace("{source}", source), SESSIONS, BY_REFERRER):
            session.query(statement)
        for table in ("sessions", "session_durations_by_referrer"):
            session.query(f"select * from {table} into outfile '{target}/{table}.parquet' truncate format Parquet")
        print(json.dumps(json.loads(str(session.query(HEADLINE, "JSONEachRow")))))


if __name__ == "__main__":
    main(*sys.argv[1:])
