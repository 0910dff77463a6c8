"""The statistics of experiments and referrers agree with other implementations: SciPy, statsmodels, and definitions."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from random import Random

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats import multitest, proportion, weightstats

from sojourn.statistics.comparing import COVERAGE, Sample, holm, means, median, medians, proportions, sample_ratio
from sojourn.statistics.distributions import chi_squared_above
from sojourn.statistics.ranks import Group, dunn, kruskal_wallis

COUNTS = [(n, m) for n in (1, 2, 3, 7, 40) for m in (1, 2, 10, 33)]


def sample(values: list[int]) -> Sample:
    """The values as their sums."""
    return Sample(len(values), sum(values), sum(value**2 for value in values))


def score(difference: float, hits: int, n: int, control_hits: int, control_n: int) -> float:
    """The score statistic of Miettinen and Nurminen by its definition: the rates are found by searching."""

    def unlikely(rate: float) -> float:
        other = rate + difference
        return -sum(
            count * math.log(max(chance, 1e-300))
            for count, chance in (
                (control_hits, rate),
                (control_n - control_hits, 1 - rate),
                (hits, other),
                (n - hits, 1 - other),
            )
            if count
        )

    bounds = (max(0.0, -difference), min(1.0, 1 - difference))
    rate = optimize.minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    other = rate + difference
    spread = (rate * (1 - rate) / control_n + other * (1 - other) / n) * (n + control_n) / (n + control_n - 1)
    return (hits / n - control_hits / control_n - difference) / math.sqrt(spread)


@pytest.mark.parametrize(("n", "control_n"), COUNTS)
def test_bounds_of_proportions_are_what_the_score_test_just_allows(n, control_n):
    """At each bound within -1 and 1 the statistic, by its definition, is the normal distribution's 97.5 % point."""
    limit = stats.norm.ppf((1 + COVERAGE) / 2)
    for hits in {0, n // 3, n}:
        for control_hits in {0, control_n // 2, control_n}:
            counts = (hits, n, control_hits, control_n)
            found = proportions(*counts)
            for bound in (found.low, found.high):
                assert bound is not None
                if abs(bound) < 1 - 1e-9:
                    assert abs(score(bound, *counts)) == pytest.approx(limit, rel=1e-4), counts


@pytest.mark.parametrize("n", [2, 9, 50])
def test_proportions_hold_together(n):
    """Around the difference; the other way round it is mirrored; p is below 0.05 just where 0 lies outside."""
    for hits in range(n + 1):
        for control_hits in range(n + 2):
            found = proportions(hits, n, control_hits, n + 1)
            mirrored = proportions(control_hits, n + 1, hits, n)
            assert found.low is not None
            assert found.high is not None
            assert found.p is not None
            assert -1 <= found.low <= hits / n - control_hits / (n + 1) <= found.high <= 1
            assert found.low == pytest.approx(-(mirrored.high or 0), abs=1e-9)
            assert (found.p < 1 - COVERAGE) == (found.low > 0 or found.high < 0)


def test_proportions_of_many_are_those_of_statsmodels():
    """Its score test; and its hybrid interval by Newcombe, which many users bring near. Its own score interval fails
    on most small counts, which is why there is one of ours."""
    for counts in ((500, 1000, 520, 1000), (30, 400, 60, 500), (50_000, 1_000_000, 50_300, 1_000_000)):
        found = proportions(*counts)
        tested = proportion.test_proportions_2indep(*counts, method="score", compare="diff", correction=True)
        assert found.p == pytest.approx(tested.pvalue, rel=1e-9)
        low, high = proportion.confint_proportions_2indep(*counts, method="newcomb", compare="diff")
        assert (found.low, found.high) == pytest.approx((low, high), abs=2e-3)


def test_differences_that_could_be_seen_are_seen_in_four_of_five():
    """As statsmodels works out the power of a difference that large."""
    for control_hits, n, near in ((100, 1000, 0.07), (2500, 5000, 0.005)):  # rates of 10 % spread more where they grow
        least = proportions(control_hits, n, control_hits, n).least
        assert least is not None
        power = proportion.power_proportions_2indep(least, control_hits / n, n).power
        assert power == pytest.approx(0.8, abs=near)


def test_means_are_those_of_scipy_and_statsmodels():
    """Welch's p-value and interval, over samples of few and of many, also with very different spreads."""
    rng = Random(1)
    for n, m, most in ((2, 2, 9), (2, 10, 1000), (30, 5, 3), (500, 800, 50)):
        one, two = [rng.randrange(most) for _ in range(n)], [rng.randrange(3 * most) ** 2 for _ in range(m)]
        found = means(sample(one), sample(two))
        tested = stats.ttest_ind(one, two, equal_var=False)
        assert found.p == pytest.approx(tested.pvalue, rel=1e-9)
        both = weightstats.CompareMeans.from_data(np.array(one, float), np.array(two, float))
        assert (found.low, found.high) == pytest.approx(both.tconfint_diff(usevar="unequal"), rel=1e-9)


def test_what_cannot_be_estimated_is_none():
    """One user, nobody, or no spread at all."""
    nothing = (None, None, None, None)
    for found in (
        proportions(0, 0, 1, 2),
        means(sample([1]), sample([1, 2])),
        means(sample([3, 3]), sample([4, 4, 4])),
        medians({1: 1}, {1: 5}),
        medians({}, {1: 5}),
    ):
        assert (found.low, found.high, found.p, found.least) == nothing
    assert (median({}), sample([]).mean, sample_ratio([0, 0], [1, 1])) == (None, None, None)


def test_medians_are_those_of_scipy():
    """The percentile bootstrap, whose chance is another: the bounds are near, and the same when asked again."""
    rng = Random(2)
    one, two = [rng.randrange(100) for _ in range(80)], [rng.randrange(20, 130) for _ in range(120)]
    found = medians(Counter(one), Counter(two))
    drawn = stats.bootstrap(
        (one, two),
        lambda a, b, axis: np.median(a, axis=axis) - np.median(b, axis=axis),
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=4)
    assert medians(Counter(reversed(one)), Counter(two)) == found
    assert median(Counter(one)) == np.median(one)


def test_holm_is_that_of_statsmodels():
    """Families of one to twelve, with equal p-values among them."""
    rng = Random(4)
    for size in range(1, 13):
        ps = [rng.choice([rng.random(), rng.random() / 50, 0.5, 0.0]) for _ in range(size)]
        assert holm(ps) == pytest.approx(multitest.multipletests(ps, method="holm")[1])
    assert holm([]) == []


def test_sample_ratio_is_that_of_scipy():
    """Shares need not add up to one."""
    expected = np.array([1, 2, 7]) / 10 * 1000
    assert sample_ratio([110, 230, 660], [1, 2, 7]) == pytest.approx(stats.chisquare([110, 230, 660], expected).pvalue)


@pytest.mark.parametrize("values", [4, 30, 100_000])
def test_ranks_are_those_of_scipy(values):
    """Kruskal and Wallis as SciPy has it, Dunn from SciPy's ranks by the paper's formula; with many ties and few."""
    rng = Random(values)
    groups = [[rng.randrange(values) + at for _ in range(n)] for at, n in enumerate((5, 17, 40))]
    whole = [value for group in groups for value in group]
    ranks, n = stats.rankdata(whole), len(whole)
    tied = sum(copies**3 - copies for copies in Counter(whole).values())
    split = np.split(ranks, np.cumsum([len(group) for group in groups])[:-1])
    known = [Group(len(part), round(2 * part.sum())) for part in split]
    found = kruskal_wallis(known, tied)
    assert found is not None
    assert (found.statistic, found.p) == pytest.approx(stats.kruskal(*groups))
    assert found.effect == pytest.approx(found.statistic / (n - 1))
    correction = tied / (12 * (n - 1))
    for one, other in combinations(range(3), 2):
        error = (n * (n + 1) / 12 - correction) * (1 / len(split[one]) + 1 / len(split[other]))
        z = (split[one].mean() - split[other].mean()) / math.sqrt(error)
        pair = dunn(known[one], known[other], n, tied)
        assert (pair.statistic, pair.p) == pytest.approx((z, 2 * stats.norm.sf(abs(z))))


def test_two_groups_alone_are_a_pair():
    """Then Dunn's z squared is H, and the effect is Cliff's delta."""
    one, other = [1, 2, 2, 5, 9], [2, 3, 4, 9, 9, 11, 12]
    ranks = stats.rankdata(one + other)
    known = [Group(5, round(2 * ranks[:5].sum())), Group(7, round(2 * ranks[5:].sum()))]
    tied = sum(copies**3 - copies for copies in Counter(one + other).values())
    whole, pair = kruskal_wallis(known, tied), dunn(known[0], known[1], 12, tied)
    assert whole is not None
    assert pair.statistic**2 == pytest.approx(whole.statistic)
    above = sum((a > b) - (a < b) for a in one for b in other)
    assert pair.effect == pytest.approx(above / (5 * 7))


def test_chi_squared_is_that_of_scipy():
    """Up to many degrees of freedom, and far out."""
    for freedom in (1, 2, 3, 4, 9, 10, 31):
        for number in (0.0, 1e-9, 0.3, freedom, 40.0, 300.0):
            assert chi_squared_above(number, freedom) == pytest.approx(stats.chi2.sf(number, freedom), rel=1e-9)


def test_nothing_to_rank():
    """One group, or values that are all equal."""
    assert kruskal_wallis([Group(3, 12)], 0) is None
    assert kruskal_wallis([Group(1, 3), Group(1, 3)], 2**3 - 2) is None
