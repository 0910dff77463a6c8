"""The script a competent engineer would write by hand: presence and fleets of devices with DuckDB.

    python devices_duckdb.py EVENTS.csv OUT.duckdb SERVERS.csv [daily | islands | naive]

It repairs by the same rules and counts fleets by the same algorithm as we do: spans of days, merged, counted at
their ends. The last word says which tables to make: `daily` stops before the 28 days, `islands` (the default)
makes them too, and `naive` makes them the obvious way instead, by repeating each day 28 times.
What it does not do: broken rows disappear without a word, nothing says which rule ended how much, there is no
uptime and no projection, and no record is accounted for.
"""

import json
import sys
from pathlib import Path

import duckdb

READ = """
create temp table events as select distinct *
from read_csv(?, header = false, ignore_errors = true, columns = {
    seen: 'TIMESTAMP', device_id: 'BIGINT', user_id: 'BIGINT', server_id: 'BIGINT', connected: 'BOOLEAN'})
where seen is not null and device_id is not null and user_id is not null and server_id is not null
  and connected is not null
"""

SERVERS = """
create temp table servers as select id, min(destroyed_at) as destroyed_at
from read_csv(?, header = false, columns = {id: 'BIGINT', created_at: 'TIMESTAMP', destroyed_at: 'TIMESTAMP'})
group by id
"""

PRESENCE = """
create table presence as
with paired as (
    select *, (select max(seen) from events) as ends, lead(seen) over stream as next_at,
           lead(server_id) over stream as next_server, lead(connected) over stream as next_connected
    from events window stream as (partition by device_id order by seen, connected, server_id, user_id)
), ruled as (
    select p.*, destroyed_at, case
        when next_at is null then 'last'
        when next_connected and next_server = server_id then 'online_same' when next_connected then 'online_other'
        when next_server = server_id then 'offline_same' else 'offline_other' end as rule
    from paired p left join servers s on p.server_id = s.id where connected
), ended as (
    select *, case rule when 'online_other' then least(next_at, destroyed_at)
        when 'offline_other' then least(destroyed_at, ends) when 'last' then least(destroyed_at, ends)
        else next_at end as ending
    from ruled
)
select device_id, user_id, server_id, seen as started_at, greatest(seen, ending) as ended_at, rule,
       case when rule = 'offline_same' then 'offline_event'
            when rule in ('online_same', 'online_other') and ending = next_at then 'next_online'
            when ending = destroyed_at then 'server_destroyed' else 'observation_end' end as ended_by
from ended
"""

DAYS = """
create temp table days as
with spans as (
    select user_id, device_id, started_at::date as first,
           greatest(started_at, ended_at - interval 1 microsecond)::date as last
    from presence
), marked as (
    select *, max(last) over (owned order by first, last rows between unbounded preceding and 1 preceding) as reached,
           max(last) over (owned) as furthest
    from spans window owned as (partition by user_id, device_id)
)
select user_id, device_id, first,
       coalesce(lead(reached) over (partition by user_id, device_id order by first), furthest) as last
from marked where reached is null or first > reached + 1
"""

FLEETS = """
create table {table} as
with ends as (select (select max(seen) from events)::date as last_day),
reaching as (
    select user_id, device_id, first, least(last + {reach}, last_day) as last from days, ends
), marked as (
    select *, max(last) over (owned order by first, last rows between unbounded preceding and 1 preceding) as reached,
           max(last) over (owned) as furthest
    from reaching window owned as (partition by user_id, device_id)
), spans as (
    select user_id, device_id, first,
           coalesce(lead(reached) over (partition by user_id, device_id order by first), furthest) as last
    from marked where reached is null or first > reached + 1
), steps as (
    select user_id, seen, sum(change) as change
    from (select user_id, first as seen, 1 as change from spans union all select user_id, last + 1, -1 from spans)
    group by all
), sized as (
    select user_id, seen, sum(change) over (partition by user_id order by seen) as size from steps
), classed as (
    select user_id, seen, case when size >= 1000 then 1000 when size >= 100 then 100 when size >= 10 then 10
                             when size >= 3 then 3 when size >= 1 then 1 end as low
    from sized
), moved as (
    select * from classed
    qualify low is distinct from lag(low) over (partition by user_id order by seen)
         or row_number() over (partition by user_id order by seen) = 1
), owners as (
    select * from (select user_id, low, seen as first, lead(seen) over (partition by user_id order by seen) - 1 as last
                   from moved) where low is not null
), pieces as (
    select device_id, low, greatest(s.first, o.first) as first, least(s.last, o.last) as last
    from spans s join owners o on s.user_id = o.user_id and s.first <= o.last and o.first <= s.last
), united as (
    select *, max(last) over (classed order by first, last rows between unbounded preceding and 1 preceding) as reached,
           max(last) over (classed) as furthest
    from pieces window classed as (partition by device_id, low)
), counted as (
    select device_id, low, first,
           coalesce(lead(reached) over (partition by device_id, low order by first), furthest) as last
    from united where reached is null or first > reached + 1
), changes as (
    select low, first as seen, 1 as devices, 0 as users from counted
    union all select low, last + 1, -1, 0 from counted
    union all select low, first, 0, 1 from owners
    union all select low, last + 1, 0, -1 from owners
    union all select low, seen::date, 0, 0 from (select distinct low from owners),
        (select unnest(generate_series(min(first), any_value(last_day), interval 1 day)) as seen from days, ends)
)
select seen as day, low, sum(sum(devices)) over so_far as devices, sum(sum(users)) over so_far as users
from changes, ends where seen <= last_day group by seen, low
window so_far as (partition by low order by seen) order by seen, low
"""

NAIVE = """
create table fleet_rolling_28d as
with device_days as (
    select distinct user_id, device_id, unnest(generate_series(first, last, interval 1 day))::date as day from days
), spread as (
    select distinct user_id, device_id, day + n::integer as day
    from device_days, range(28) as t(n) where day + n::integer <= (select max(seen) from events)::date
), sized as (
    select user_id, day, count(distinct device_id) as size from spread group by all
), classed as (
    select *, case when size >= 1000 then 1000 when size >= 100 then 100 when size >= 10 then 10
                   when size >= 3 then 3 else 1 end as low
    from sized
)
select day, low, count(distinct device_id) as devices, count(distinct user_id) as users
from spread join classed using (user_id, day) group by all order by all
"""

HEADLINE = """
select (select count(*) from presence), (select sum(devices) from fleet_daily), {rolling},
       (select sum(epoch(ended_at - started_at)) from presence)
"""


def main(source: str, target: str, servers: str, tables: str = "islands") -> None:
    """Read *source* and *servers*, write the tables into the new DuckDB file *target*, print the headline numbers."""
    Path(target).unlink(missing_ok=True)
    with duckdb.connect(target) as connection:
        connection.execute("set temp_directory = ?", [f"{target}.spill"])
        connection.execute(READ, [source])
        connection.execute(SERVERS, [servers])
        for statement in (PRESENCE, DAYS, FLEETS.format(table="fleet_daily", reach=0)):
            connection.execute(statement)
        if tables != "daily":
            rolling = FLEETS.format(table="fleet_rolling_28d", reach=27) if tables == "islands" else NAIVE
            connection.execute(rolling)
        summed = "null" if tables == "daily" else "(select sum(devices) from fleet_rolling_28d)"
        row = connection.execute(HEADLINE.format(rolling=summed)).fetchone()
    assert row is not None
    names = ("intervals", "daily", "rolling", "duration_seconds")
    print(json.dumps({name: value for name, value in zip(names, map(_plain, row), strict=True) if value is not None}))


def _plain(value: object) -> float | None:
    return None if value is None else float(str(value))


if __name__ == "__main__":
    main(*sys.argv[1:])
