-- the activities to choose from
select coalesce(activity, '(none)') as value, cast(sum(activity_count) as bigint) as rows
from hourly_activity
group by 1
order by 2 desc, 1
limit 100
