-- title: Whether sessions differ in length by referrer: the test of all, then of each pair
-- pipeline: webshop
-- tables: referrer_differences
-- returns: rows
select test, referrer, other_referrer, sessions, other_sessions, median_seconds, other_median_seconds, statistic,
    effect_size, p_value, p_adjusted, sentence
from referrer_differences
order by test desc, p_adjusted, p_value, referrer, other_referrer
