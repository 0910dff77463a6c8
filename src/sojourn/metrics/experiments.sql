-- title: Experiments: every variant by goal, its difference from the control, and what stands against it
-- pipeline: pageviews
-- tables: experiments
-- returns: rows
select experiment, variant, goal, users, sessions, page_views, goal_users, rate, difference, ratio, ci_low, ci_high,
    p_value, p_adjusted, warnings
from experiments
order by experiment, goal,
    -- the control has no difference, and comes first; users who saw several variants come last
    case when variant = 'multiple' then 2 when difference is null then 0 else 1 end, variant
