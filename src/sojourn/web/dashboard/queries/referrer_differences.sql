-- the test over all referrers first, then pairs by how likely they differ
select test, referrer, other_referrer, sessions, other_sessions, median_seconds, other_median_seconds, effect_size,
    p_value, p_adjusted, sentence
from referrer_differences
order by case when referrer is null then 0 else 1 end, p_adjusted nulls last, referrer, other_referrer
limit 30
