"""Differences between referrers in how long sessions last: whether there are any, which, how large, in plain words."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import pyarrow as pa

from sojourn.statistics.comparing import holm, rounded
from sojourn.statistics.ranks import Group, Result, dunn, kruskal_wallis

SCHEMA = pa.schema(
    [
        ("test", pa.string()),
        ("referrer", pa.string()),
        ("other_referrer", pa.string()),
        ("sessions", pa.int64()),
        ("other_sessions", pa.int64()),
        ("median_seconds", pa.float64()),
        ("other_median_seconds", pa.float64()),
        ("statistic", pa.float64()),
        ("effect_size", pa.float64()),
        ("p_value", pa.float64()),
        ("p_adjusted", pa.float64()),
        ("sentence", pa.string()),
    ]
)
"""First the test of all referrers together, then one row per pair, most sessions first."""

SURE = 0.05
_ALL = ((0.01, "negligible"), (0.06, "small"), (0.14, "medium"))
_PAIR = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))
_FEW = 5


def differences(ranks: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The tests as `SCHEMA` says. *ranks* are the rows of `tables.referrers.ranks`.

    With fewer than two referrers, or sessions that all last equally long, there is one row, which says so; without
    any session there is none.
    """
    rows = sorted(ranks, key=lambda row: row["place"])
    tied = sum(int(row["tied"]) for row in rows)
    groups = [Group(row["sessions"], int(row["twice_ranks"])) for row in rows]
    n = sum(group.n for group in groups)
    if not rows:
        return pa.Table.from_pylist([], schema=SCHEMA)
    whole = kruskal_wallis(groups, tied)
    told: list[dict[str, Any]] = [{"test": "kruskal_wallis", "sessions": n, "sentence": _told(whole, groups)}]
    if whole is None:
        return pa.Table.from_pylist(told, schema=SCHEMA)
    told[0] |= _columns(whole)
    pairs = list(combinations(zip(rows, groups, strict=True), 2))
    found = [dunn(one, other, n, tied) for (_, one), (_, other) in pairs]
    for ((first, _), (second, _)), result, p in zip(pairs, found, holm([result.p for result in found]), strict=True):
        columns = _columns(result) | {"p_adjusted": rounded(p), "sentence": _told_pair(first, second, result, p)}
        told.append({"test": "dunn", **_named(first, ""), **_named(second, "other_"), **columns})
    return pa.Table.from_pylist(told, schema=SCHEMA)


def _columns(result: Result) -> dict[str, Any]:
    found = {"statistic": result.statistic, "effect_size": result.effect, "p_value": result.p}
    return {name: rounded(value) for name, value in found.items()}


def _named(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": row[name] for name in ("referrer", "sessions", "median_seconds")}


def _told(result: Result | None, groups: list[Group]) -> str:
    """The answer for all referrers together."""
    if len(groups) < 2:
        return "There is one referrer only: nothing to compare."
    if result is None:
        return "All sessions last equally long: there are no differences."
    few = f" Some have fewer than {_FEW} sessions: the test is rough." if min(g.n for g in groups) < _FEW else ""
    if result.p >= SURE:
        return f"No difference between {len(groups)} referrers can be told from chance ({_chance(result.p)}).{few}"
    size = _size(result.effect, _ALL)
    told = f"Sessions differ in length by referrer, more than by chance ({_chance(result.p)}); the effect is {size}."
    return told + few


def _told_pair(one: Mapping[str, Any], other: Mapping[str, Any], result: Result, p: float) -> str:
    """The answer for a pair; ranks decide which are longer, as equal medians may hide it."""
    names = (one["referrer"], other["referrer"]) if result.statistic >= 0 else (other["referrer"], one["referrer"])
    if p >= SURE:
        return f"{one['referrer']} and {other['referrer']} cannot be told apart ({_chance(p)})."
    size = _size(abs(result.effect), _PAIR)
    return f"Sessions from {names[0]} last longer than those from {names[1]} ({_chance(p)}); the effect is {size}."


def _size(effect: float, bounds: tuple[tuple[float, str], ...]) -> str:
    return next((word for below, word in bounds if effect < below), "large")


def _chance(p: float) -> str:
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
