-- the sessions of the same actor, around this one
select session_id, session_number, started_at, duration_seconds, events, converted
from all_sessions
where actor = {actor} and session_number between {number} - 3 and {number} + 3
order by session_number
