select experiment, variant, goal, users, sessions, page_views, goal_users, rate, difference, ratio, ci_low, ci_high,
    p_value, p_adjusted, warnings
from experiments
order by experiment, goal, difference nulls first, variant
