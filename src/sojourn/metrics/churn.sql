-- title: Devices and users that came and went, by week
-- pipeline: devices
-- tables: presence
-- returns: rows
with online as (
    select
        device_id,
        user_id,
        cast(extract(epoch from started_at) as double precision) as begins,
        cast(extract(epoch from ended_at) as double precision) as ends
    from presence
),
touched as (
    -- weeks have a number: week 0 begins on Monday, 1969-12-29, 259200 seconds before the epoch. An interval touches
    -- the weeks from its begin to its end; one that ends as a week begins does not touch that, unless it begins there
    select
        device_id,
        user_id,
        cast(floor((begins + 259200) / 604800) as bigint) as first_week,
        case
            when ends > begins then cast(ceil((ends + 259200) / 604800) as bigint) - 1
            else cast(floor((begins + 259200) / 604800) as bigint)
        end as last_week
    from online
),
member as (
    select true as is_device, device_id as id, first_week, max(last_week) as last_week
    from touched
    group by device_id, first_week
    union all
    select false as is_device, user_id as id, first_week, max(last_week) as last_week
    from touched
    where user_id is not null
    group by user_id, first_week
),
followed as (
    -- a member's rows in the order of weeks: until when they reached before this one, and with it, and what comes next
    select
        is_device,
        first_week,
        max(last_week) over (
            partition by is_device, id order by first_week rows between unbounded preceding and 1 preceding
        ) as reached_before,
        max(last_week) over (
            partition by is_device, id order by first_week rows between unbounded preceding and current row
        ) as reached,
        lead(first_week) over (partition by is_device, id order by first_week) as next_week
    from member
),
change as (
    -- weeks without a gap are one stay: a member comes in its first, and goes in the one after its last
    select first_week as week, is_device, 1 as came, 0 as went
    from followed
    where reached_before is null or reached_before < first_week - 1
    union all
    select reached + 1 as week, is_device, 0 as came, 1 as went
    from followed
    where next_week is null or reached < next_week - 1
),
by_week as (
    -- every week from the first to the last stands here; the one after the last has only goings
    select
        number,
        sum(case when is_device then came else 0 end) as devices_came,
        sum(case when is_device then went else 0 end) as devices_went,
        sum(case when is_device then 0 else came end) as users_came,
        sum(case when is_device then 0 else went end) as users_went
    from (
        select week as number, is_device, came, went from change
        union all
        select week, false, 0, 0
        from (select min(first_week) as low, max(last_week) as high from touched) as span,
            generate_series(span.low, span.high) as every(week)
    ) as changes
    group by number
)
select
    cast('1969-12-29' as date) + cast(number * 7 as integer) as week,
    cast(sum(devices_came - devices_went) over (order by number) as bigint) as devices,
    cast(devices_came as bigint) as devices_came,
    cast(devices_went as bigint) as devices_went,
    cast(sum(users_came - users_went) over (order by number) as bigint) as users,
    cast(users_came as bigint) as users_came,
    cast(users_went as bigint) as users_went
from by_week
where number <= (select max(last_week) from touched)
order by week
