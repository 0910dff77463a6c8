select
    cast(coalesce(sum(activity_count), 0) as bigint) as events,
    count(distinct activity) as activities,
    count(distinct url_level1) as sites,
    count(distinct time_bucket) as hours,
    min(time_bucket) as first_hour,
    max(time_bucket) as last_hour
from hourly_activity
