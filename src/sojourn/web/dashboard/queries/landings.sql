-- the landing pages to choose from: those that most sessions begin on
select coalesce(landing_page, '(none)') as value, count(*) as rows
from sessions
group by 1
order by 2 desc, 1
limit 50
