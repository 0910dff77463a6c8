-- title: How much of the time devices are online, by the class of their fleet
-- pipeline: devices
-- tables: device_uptime
-- returns: rows
select
    fleet_size,
    count(*) as devices,
    percentile_cont(0.5) within group (order by uptime) as median_uptime,
    percentile_cont(0.05) within group (order by uptime) as p5_uptime
from device_uptime
where fleet_size is not null
group by fleet_size
-- a label begins with its class's least number of devices: 10-99, 1000+, 5
order by cast(split_part(replace(fleet_size, '+', '-'), '-', 1) as bigint)
