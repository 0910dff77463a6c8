-- the headline numbers of orders in the sessions wanted; what came before them is counted over all sessions
with purchase as (
    select
        actor,
        session_number,
        session_number
            - coalesce(lag(session_number) over (partition by actor order by session_number), 0) as visits
    from all_sessions
    where orders > 0
),
wanted as (
    select visits from purchase join sessions using (actor, session_number)
)
select
    (select count(*) from sessions) as sessions,
    (select count(*) from sessions where orders > 0) as sessions_with_order,
    (select count(distinct actor) from sessions where orders > 0) as buyers,
    (select cast(coalesce(sum(orders), 0) as bigint) from sessions) as orders,
    percentile_cont(0.25) within group (order by visits) as p25_visits,
    percentile_cont(0.5) within group (order by visits) as median_visits,
    percentile_cont(0.75) within group (order by visits) as p75_visits
from wanted
