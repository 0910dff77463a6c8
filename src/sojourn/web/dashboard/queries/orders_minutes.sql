-- session minutes before the first order, of those whose first order lies in the sessions wanted
with first_purchase as (
    select actor, min(session_number) as session_number
    from all_sessions
    where orders > 0
    group by actor
),
buyer as (
    select first_purchase.actor, first_purchase.session_number, sum(known.duration_seconds) / 60 as minutes
    from all_sessions as known
    join first_purchase
        on known.actor = first_purchase.actor
        and known.session_number <= first_purchase.session_number
    group by 1, 2
)
select
    count(*) as buyers,
    percentile_cont(0.25) within group (order by minutes) as p25_minutes,
    percentile_cont(0.5) within group (order by minutes) as median_minutes,
    percentile_cont(0.75) within group (order by minutes) as p75_minutes
from buyer
join sessions using (actor, session_number)
