"""The statistics of experiments and referrers give what publications print."""

from __future__ import annotations

import pytest

from sojourn.statistics.comparing import Sample, holm, means, proportions, sample_ratio
from sojourn.statistics.ranks import Group, kruskal_wallis

NEWCOMBE = [
    (56, 70, 48, 80, 0.0528, 0.3382),
    (9, 10, 3, 10, 0.1700, 0.8406),
    (6, 7, 2, 7, 0.0342, 0.8534),
    (5, 56, 0, 29, -0.0326, 0.1933),
    (0, 10, 0, 20, -0.1658, 0.2844),
    (0, 10, 0, 10, -0.2879, 0.2879),
    (10, 10, 0, 20, 0.7156, 1.0000),
    (10, 10, 0, 10, 0.6636, 1.0000),
]
"""R. G. Newcombe, Interval estimation for the difference between independent proportions: comparison of eleven methods,
Statistics in Medicine 17 (1998) 873-890, table II, method 6 (Miettinen and Nurminen)."""


@pytest.mark.parametrize(("hits", "n", "control_hits", "control_n", "low", "high"), NEWCOMBE)
def test_intervals_of_proportions_are_those_of_newcombes_table(hits, n, control_hits, control_n, low, high):
    """To the four digits that are printed, rates of 0 and 1 included."""
    found = proportions(hits, n, control_hits, control_n)
    assert (round(found.low or 0, 4), round(found.high or 0, 4)) == (low, high)


def test_means_are_those_of_students_sleep_data():
    """Hours of extra sleep under two drugs (Student, Biometrika 6 (1908) 20, taken as two groups), in tenths: Welch's
    test as the manual of R prints it: t = -1.8608, df = 17.776, p = 0.07939, from -3.3654832 to 0.2054832 hours."""
    one = [7, -16, -2, -12, -1, 34, 37, 8, 0, 20]
    two = [19, 8, 11, 1, -1, 44, 55, 16, 46, 34]
    samples = [Sample(len(values), sum(values), sum(value**2 for value in values)) for values in (one, two)]
    found = means(*samples)
    assert round(found.p or 0, 5) == 0.07939
    assert (round(found.low or 0, 6), round(found.high or 0, 6)) == (-33.654832, 2.054832)


def test_ranks_are_those_of_hollander_and_wolfe():
    """Mucociliary efficiency of normal subjects, of those with obstructive airway disease, and with asbestosis
    (Hollander and Wolfe, Nonparametric Statistical Methods (1973) 115-120): H = 0.77143, p = 0.68."""
    groups = [[2.9, 3.0, 2.5, 2.6, 3.2], [3.8, 2.7, 4.0, 2.4], [2.8, 3.4, 3.7, 2.2, 2.0]]
    order = sorted(value for group in groups for value in group)
    found = kruskal_wallis([Group(len(g), 2 * sum(order.index(value) + 1 for value in g)) for g in groups], 0)
    assert found is not None
    assert (round(found.statistic, 5), round(found.p, 2)) == (0.77143, 0.68)


def test_sample_ratio_is_that_of_kohavi():
    """821,588 users against 815,482 where half and half was meant: p = 1.8e-6 (Kohavi, Tang and Xu, Trustworthy Online
    Controlled Experiments (2020) chapter 21)."""
    assert f"{sample_ratio([821_588, 815_482], [1, 1]):.1e}" == "1.8e-06"


def test_holm_by_hand():
    """Four p-values: the least by 4, the next by 3, and none below the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
