-- orders in the sessions wanted
select
    count(*) as sessions,
    count(case when orders > 0 then 1 end) as sessions_with_order,
    cast(coalesce(sum(orders), 0) as bigint) as orders
from sessions
