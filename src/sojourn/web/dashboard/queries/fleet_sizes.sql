-- the classes to choose from; a label begins with its class's least number of devices
select fleet_size as value, count(*) as rows
from fleet_daily
group by 1
order by cast(split_part(replace(fleet_size, '+', '-'), '-', 1) as bigint)
