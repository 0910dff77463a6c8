"""Quantiles out of bars: the same as those of all values, sorted."""

import duckdb
import numpy as np
import pytest

from sojourn.charts import quantiles
from tests.charts.publishing import sessions

SHARES = (0, 0.25, 0.5, 0.75, 0.98, 1)


def told(seconds):
    """As it stands beside a bar."""
    units = ((3600, "h"), (60, "min"))
    return next((f"{seconds / size:.1f} {unit}" for size, unit in units if seconds >= size), f"{seconds:.0f} s")


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1001])
@pytest.mark.parametrize("width", [0.1, 1, 7, 1000])
def test_bars_are_looked_into_only_where_quantiles_lie(count, width):
    """What other bars hold does not matter."""
    values = sorted(np.random.default_rng(count).exponential(20, count).round(1))
    counts: dict[float, dict[float, int]] = {}
    for value in values:
        bar = counts.setdefault(value // width, {})
        bar[value] = bar.get(value, 0) + 1
    bars = [(bar, sum(inner.values())) for bar, inner in counts.items()]
    inner = {bar: list(counts[bar].items()) for bar in quantiles.holding(bars, *SHARES)}
    assert len(inner) <= 2 * len(SHARES)
    found = [quantiles.quantile(quantiles.opened(bars, inner), share) for share in SHARES]
    assert found == pytest.approx(np.quantile(values, SHARES).tolist())


def test_charts_have_the_quantiles_of_the_tables(drawn):
    """Of all sessions, and the medians of referrers, those of all others together included."""
    table = sessions(3000, 12)
    lengths = drawn("session_lengths", "webshop", {"sessions": table})["datasets"]["shape"][0]
    expected = duckdb.execute(
        f"select quantile_cont(duration_seconds / 60, [0.25, 0.5, 0.75, 0.9]) from ({table})"
    ).fetchall()[0][0]
    assert [lengths[name] for name in ("p25", "median", "p75", "p90")] == pytest.approx(expected)
    spec = drawn("session_durations", "webshop", {"sessions": table})
    medians = duckdb.execute(
        f"with named as (select coalesce(referrer, '(direct)') as name, duration_seconds as seconds from ({table})), "
        "ranked as (select name, row_number() over (order by count(*) desc, name) as place from named group by name) "
        "select least(place, 9), median(seconds) from named join ranked using (name) group by 1 order by 1"
    ).fetchall()
    shown = [name.rpartition("median ")[2] for name in spec["layer"][0]["encoding"]["y"]["sort"]]
    assert shown == [told(seconds) for _, seconds in medians]
