select session_id, actor, session_number, started_at, duration_seconds, events, converted, bounced, referrer, landing_page
from sessions
order by started_at desc, session_id
limit {limit}
