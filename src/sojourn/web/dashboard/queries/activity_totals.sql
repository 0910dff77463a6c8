with places as (
    select url_level1, activity, sum(activity_count) as events
    from hourly_activity
    group by 1, 2
)
select
    cast(coalesce(sum(events), 0) as bigint) as events,
    count(distinct activity) as activities,
    count(distinct url_level1) as sites,
    (select count(*) from (select time_bucket from hourly_activity group by 1) as hours) as hours
from places
