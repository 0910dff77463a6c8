-- the last two runs of each pipeline that published
with numbered as (
    select run_id, row_number() over (partition by pipeline order by run_id desc) as place
    from sojourn.runs
    where status = 'done'
)
select
    run_id, pipeline, place, started_at, read, accepted, duplicate, dropped, quarantined,
    cast(cast(report as json) -> 'tables' as varchar) as tables
from sojourn.runs
join numbered using (run_id)
where place <= 2
order by pipeline, place
