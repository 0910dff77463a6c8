-- the referrers to choose from: those that led to most sessions
select coalesce(referrer, '(direct)') as value, count(*) as rows
from sessions
group by 1
order by 2 desc, 1
limit 100
