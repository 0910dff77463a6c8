-- title: Session minutes before the first order (quartiles), buyers and orders
-- pipeline: webshop
-- tables: sessions
-- returns: one row
with first_purchase as (
    select actor, min(session_number) as session_number
    from sessions
    where orders > 0
    group by actor
),
buyer as (
    select sum(sessions.duration_seconds) / 60 as minutes
    from sessions
    join first_purchase
        on sessions.actor = first_purchase.actor
        and sessions.session_number <= first_purchase.session_number
    group by sessions.actor
)
select
    percentile_cont(0.25) within group (order by minutes) as p25_minutes,
    percentile_cont(0.5) within group (order by minutes) as median_minutes,
    percentile_cont(0.75) within group (order by minutes) as p75_minutes,
    count(*) as buyers,
    (select cast(coalesce(sum(orders), 0) as bigint) from sessions) as orders
from buyer
