-- title: Visits and session minutes before an order (medians)
-- pipeline: webshop
-- tables: sessions
-- returns: one row
with purchase as (
    -- one row per session with a purchase: visits since the purchase session before it, itself included
    select
        actor,
        session_number,
        session_number
            - coalesce(lag(session_number) over (partition by actor order by session_number), 0) as visits
    from sessions
    where orders > 0
),
first_purchase as (
    select actor, min(session_number) as session_number
    from purchase
    group by actor
),
buyer as (
    -- one row per actor with a purchase: time in sessions up to and with the first purchase session
    select sum(sessions.duration_seconds) / 60 as minutes
    from sessions
    join first_purchase
        on sessions.actor = first_purchase.actor
        and sessions.session_number <= first_purchase.session_number
    group by sessions.actor
)
select
    (select percentile_cont(0.5) within group (order by visits) from purchase) as median_visits_before_order,
    (select percentile_cont(0.5) within group (order by minutes) from buyer)
        as median_session_duration_minutes_before_order
