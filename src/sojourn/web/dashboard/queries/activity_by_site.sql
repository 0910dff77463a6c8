select coalesce(url_level1, '(none)') as site, coalesce(activity, '(none)') as activity,
    cast(sum(activity_count) as bigint) as events
from hourly_activity
group by 1, 2
order by 3 desc, 1, 2
limit 30
