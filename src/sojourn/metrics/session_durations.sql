-- title: How long sessions last, by referrer
-- pipeline: webshop
-- tables: session_durations_by_referrer
-- returns: rows
select referrer, sessions, median_seconds, p25_seconds, p75_seconds, mean_seconds
from session_durations_by_referrer
order by sessions desc, referrer
