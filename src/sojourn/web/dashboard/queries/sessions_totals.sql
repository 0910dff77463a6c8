-- the headline numbers of the sessions wanted
select
    count(*) as sessions,
    (select count(*) from (select actor from sessions where actor is not null group by actor) as actors) as actors,
    count(case when bounced then 1 end) / cast(nullif(count(*), 0) as double precision) as bounced,
    count(case when converted then 1 end) / cast(nullif(count(*), 0) as double precision) as converted
from sessions
