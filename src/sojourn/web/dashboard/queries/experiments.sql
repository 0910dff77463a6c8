select experiment, variant, goal, users, sessions, page_views, goal_users, rate, difference, ratio, ci_low, ci_high,
    p_value, p_adjusted, warnings
from experiments
-- goals first, then means and medians
order by experiment, case when goal_users is null then 1 else 0 end, goal, case when difference is null then 0 else 1 end,
    variant
