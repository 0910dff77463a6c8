-- records in the order of their places; of long ones the text comes later
select pipeline, run_id, source, file, line, reason, path, value, content, octet_length(raw) as bytes,
    case when octet_length(raw) <= {most} then raw end as raw
from sojourn.quarantine
where {where}
order by pipeline, file, line, path, source, content
limit {limit} offset {skipped}
