-- the latest runs, with what their reports say of reasons and of tables
select
    run_id, pipeline, status, started_at, seconds, read, blank, accepted, duplicate, dropped, quarantined, message,
    cast(cast(report as json) -> 'ledger' -> 'dropped' as varchar) as dropped_by_reason,
    cast(cast(report as json) -> 'ledger' -> 'quarantined' as varchar) as quarantined_by_reason
from sojourn.runs
where {where}
order by run_id desc
limit {limit}
