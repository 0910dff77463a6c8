-- title: The fleet by class: latest day and 28 days, each against a week before
-- pipeline: devices
-- tables: fleet_daily, fleet_rolling_28d
-- returns: rows
with latest as (
    select max(day) as day, max(day) - 7 as week_before, min(day) as first_day
    from fleet_daily
),
class as (
    -- a fleet may reach a class in 28 days that it reaches on no single day
    select fleet_size from fleet_daily
    union
    select fleet_size from fleet_rolling_28d
),
counted as (
    -- a class that a table never has counts 0 in it
    select
        class.fleet_size,
        coalesce(daily.devices, 0) as devices,
        coalesce(daily.users, 0) as users,
        coalesce(daily.devices, 0) - coalesce(daily_before.devices, 0) as devices_change,
        coalesce(rolling.devices, 0) as devices_28d,
        coalesce(rolling.users, 0) as users_28d,
        coalesce(rolling.devices, 0) - coalesce(rolling_before.devices, 0) as devices_28d_change,
        latest.day,
        latest.week_before >= latest.first_day as has_week_before
    from latest
    cross join class
    left join fleet_daily as daily
        on daily.fleet_size = class.fleet_size and daily.day = latest.day
    left join fleet_daily as daily_before
        on daily_before.fleet_size = class.fleet_size and daily_before.day = latest.week_before
    left join fleet_rolling_28d as rolling
        on rolling.fleet_size = class.fleet_size and rolling.day = latest.day
    left join fleet_rolling_28d as rolling_before
        on rolling_before.fleet_size = class.fleet_size and rolling_before.day = latest.week_before
)
select
    fleet_size,
    devices,
    users,
    case when has_week_before then devices_change end as devices_change,
    devices_28d,
    users_28d,
    case when has_week_before then devices_28d_change end as devices_28d_change,
    day
from counted
-- a label begins with its class's least number of devices: 10-99, 1000+, 5
order by cast(split_part(replace(fleet_size, '+', '-'), '-', 1) as bigint)
