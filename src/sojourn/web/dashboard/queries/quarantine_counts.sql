-- how many records each pipeline refused, by reason
select pipeline, reason, count(*) as records, count(distinct file) as files
from sojourn.quarantine
where {where}
group by 1, 2
order by 3 desc, 1, 2
