-- the headline numbers of the sessions wanted
select
    count(*) as sessions,
    count(distinct actor) as actors,
    cast(coalesce(sum(events), 0) as bigint) as events,
    cast(coalesce(sum(page_views), 0) as bigint) as page_views,
    count(case when bounced then 1 end) / cast(nullif(count(*), 0) as double precision) as bounced,
    count(case when converted then 1 end) / cast(nullif(count(*), 0) as double precision) as converted,
    percentile_cont(0.5) within group (order by duration_seconds) as median_seconds,
    percentile_cont(0.9) within group (order by duration_seconds) as p90_seconds,
    min(started_at) as first_at,
    max(started_at) as last_at
from sessions
