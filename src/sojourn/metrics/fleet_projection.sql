-- title: The fleet four weeks on, by class, with the projection's error so far
-- pipeline: devices
-- tables: fleet_projection
-- returns: rows
select series, fleet_size, day, devices, lower, upper, error, error_as_last_week
from fleet_projection
-- a label begins with its class's least number of devices: 10-99, 1000+, 5
order by series, cast(split_part(replace(fleet_size, '+', '-'), '-', 1) as bigint), day
