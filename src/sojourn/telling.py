"""What the commands `diff` and `verify` do: a person's words to runs and rules, results to sentences and tables."""

from collections.abc import Sequence
from typing import Any

from sojourn import show
from sojourn.comparing import differences
from sojourn.errors import SojournError, UsageError
from sojourn.pipeline import parse_size
from sojourn.store.base import Store
from sojourn.verifying import verify as verifying

_SHOWN = 6
_DELAYS = {
    "up_to_1_minute": "up to 1 minute",
    "up_to_1_hour": "up to 1 hour",
    "up_to_1_day": "up to 1 day",
    "up_to_1_week": "up to 1 week",
    "more": "more",
}


def diff(store: Store, given: Sequence[str], settings: Sequence[str], memory: str | None, *, as_json: bool) -> None:
    """Compare two runs, or what is published with what other rules would make, and print what moved."""
    found = _compared(store, given, settings, _size(memory))
    if as_json:
        print(show.dumps(found))
        return
    _print(found)


def verify(store: Store, pipeline: str | None, cuts: int, seed: int, memory: str | None, *, as_json: bool) -> None:
    """Prove what is published and print each check; raises `SojournError` ``not_sound`` when something is wrong."""
    found = verifying.verify(store, pipeline, verifying.Asked(cuts, seed, _size(memory)))
    if as_json:
        print(show.dumps(found))
    else:
        for one in found["pipelines"]:
            _print_checks(one)
    if not found["is_sound"]:
        wrong = [one["pipeline"] for one in found["pipelines"] if not one["is_sound"]]
        raise SojournError("not_sound", f"something is wrong with what is published by {', '.join(wrong)}")
    if not found["pipelines"] and not as_json:
        print("nothing is published yet: there is nothing to verify")


def _print_checks(found: dict[str, Any]) -> None:
    rows = [
        {"check": check["name"], "checked": f"{check['checked']:,}", "wrong": f"{len(check['problems']):,}"}
        for check in found["checks"]
    ]
    show.rows(rows, as_json=False, title=f"{found['pipeline']}, run {found['run_id']}", numbers=("checked", "wrong"))
    for check in found["checks"]:
        for line in (*check["notes"], *check["problems"]):
            print(line)
        for table in check["differences"]:
            _print_examples(table)


def _print_examples(table: dict[str, Any]) -> None:
    """The first rows that differ: what is published, and what the events give."""
    for example in table["examples"]:
        print(f"{table['table']}: published {_row(example['before'])}, the events give {_row(example['after'])}")


def _row(row: dict[str, Any] | None) -> str:
    return "no such row" if row is None else show.dumps(row)


def _compared(store: Store, given: Sequence[str], settings: Sequence[str], memory: int | None) -> dict[str, Any]:
    if settings and not given:
        given = _only_one(store)
    is_supposed = bool(settings) or (len(given) == 1 and given[0].endswith(".toml"))
    if is_supposed and len(given) == 1:
        return differences.supposed(store, given[0], settings, memory)
    if is_supposed:
        raise UsageError("bad_diff", "--set is for what is published now: sojourn diff PIPELINE --set NAME=VALUE")
    if len(given) not in (2, 3):
        raise UsageError("bad_diff", "name two runs: sojourn diff [PIPELINE] RUN_A RUN_B, such as previous current")
    return differences.of_runs(store, given[0] if len(given) == 3 else None, given[-2:], memory)


def _only_one(store: Store) -> list[str]:
    """The pipeline that is published, where it is the only one."""
    names = sorted({row["pipeline"] for row in store.published()})
    if len(names) != 1:
        there = f"published are {', '.join(names)}" if names else "nothing is published yet"
        raise UsageError("bad_diff", f"name the pipeline: sojourn diff PIPELINE --set NAME=VALUE; {there}")
    return names


def _size(memory: str | None) -> int | None:
    try:
        return parse_size(memory) if memory is not None else None
    except ValueError as error:
        raise UsageError("bad_memory", f"--memory: {error}") from error


def _print(found: dict[str, Any]) -> None:
    before, after = found["before"], found["after"]
    then = f"run {after['run_id']}" if after["run_id"] else f"what {', '.join(after['set']) or 'the file'} would give"
    print(f"{found['pipeline']}: from run {before['run_id']} to {then}\n")
    if found["rules"]:
        rules = [{name: _text(value) for name, value in rule.items()} for rule in found["rules"]]
        show.rows(rules, as_json=False, title="rules that differ")
    _print_tables(found["tables"])
    for table in ("sessions", "presence"):
        if found[table] is not None and not found["tables"][table]["is_equal"]:
            _print_spans(found[table], "sessions" if table == "sessions" else "intervals of presence")
    _print_metrics(found["metrics"])
    if found["late"] is not None:
        _print_late(found["late"])
    for note in found["notes"]:
        print(note)


def _print_tables(tables: dict[str, Any]) -> None:
    if all(table["is_equal"] for table in tables.values()):
        print("every table holds the same rows\n")
        return
    counts = ("before", "after", "added", "removed", "changed")
    rows = [{"table": name, **{key: f"{table[key]:,}" for key in counts}} for name, table in tables.items()]
    show.rows(rows, as_json=False, title="rows of tables", numbers=counts)
    for name, table in tables.items():
        if table["columns"]:
            print(f"{name}: these columns are of one side only: {', '.join(table['columns'])}\n")


def _print_spans(found: dict[str, Any], noun: str) -> None:
    same, recut = found["same"], found["recut"]
    counts = [("with the same bounds", same, same), ("cut in another way", recut["before"], recut["after"])]
    counts += [("gone", found["gone"], None), ("new", None, found["new"])]
    if "renumbered" in found:
        counts[1:1] = [
            (f"  of these {how}", found[name], found[name])
            for how, name in (("with another number only", "renumbered"), ("with other values", "amended"))
        ]
    rows = [{noun: what, "before": _text(before), "after": _text(after)} for what, before, after in counts]
    show.rows(rows, as_json=False, title=f"how {noun} were cut", numbers=("before", "after"))
    moved = {name: count for name, count in found.get("counts", {}).items() if count["change"]}
    if moved:
        rows = [{"count": name, **_texts(count)} for name, count in moved.items()]
        show.rows(rows, as_json=False, title=f"what {noun} add up to", numbers=("before", "after", "change"))


def _print_metrics(metrics: dict[str, Any]) -> None:
    """The numbers that moved, of each metric the first few, and how many rows of it that concerns."""
    shown: list[dict[str, Any]] = []
    told = []
    for name, metric in metrics.items():
        values = [
            {"metric": name, "of": ", ".join(map(_text, row["key"].values())), "value": value, **_texts(moved)}
            for row in metric["rows"]
            for value, moved in row["values"].items()
            if _has_moved(moved)
        ]
        shown += values[:_SHOWN]
        more = f" (of {len(values)} numbers the first {_SHOWN} are shown, --json has all)"
        if not metric["is_one_row"]:
            told.append(
                f"{name}: {metric['moved']} of {metric['before']} rows moved, there are {metric['after']} now"
                + (more if len(values) > _SHOWN else "")
            )
    if shown:
        show.rows(shown, as_json=False, title="metrics that moved", numbers=("before", "after", "change"))
    still = [name for name, metric in metrics.items() if not metric["moved"]]
    told = [line for line in told if line.partition(":")[0] not in still]
    told += [f"metrics that did not move: {', '.join(still)}"] if still else []
    if told:
        print("\n".join(told) + "\n")


def _print_late(late: dict[str, Any]) -> None:
    new, count = late["new_events"], late["late_events"]
    if not count:
        print(f"none of {new:,} new events was late: none happened before {_text(late['latest_before'])}")
        return
    print(
        f"{count:,} of {new:,} new events ({late['share']:.2%}) were late: they happened before "
        f"{_text(late['latest_before'])}, the latest event known before"
    )
    for table, recut in late["recut"].items():
        share = f" ({recut['share']:.2%})" if recut["before"] else ""
        noun = "sessions" if table == "sessions" else "intervals of presence"
        print(f"they cut {recut['recut']:,} of {recut['before']:,} {noun}{share} in another way")
    rows = [{"late by": name, "events": f"{late['by_delay'][key]:,}"} for key, name in _DELAYS.items()]
    print()
    show.rows(rows, as_json=False, title="delays", numbers=("events",))
    half, most, nearly, last = map(_duration, late["delays"].values())
    print(f"half of them came within {half}, 90 % within {most}, 99 % within {nearly}, the last after {last}")


def _has_moved(moved: dict[str, Any]) -> bool:
    """Whether a number is another one now, has come or has gone."""
    was, is_now = (isinstance(value, int | float) for value in (moved["before"], moved["after"]))
    return bool(moved["change"]) or was != is_now


def _duration(seconds: float) -> str:
    """So long, in the largest unit that fits."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"


def _texts(moved: dict[str, Any]) -> dict[str, str]:
    """Before, after and change as text."""
    change = moved["change"]
    return {"before": _text(moved["before"]), "after": _text(moved["after"])} | {
        "change": "-" if change is None else f"{change:+,.6g}" if isinstance(change, float) else f"{change:+,}"
    }


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if value is None:
        return "-"
    return value if isinstance(value, str) else show.dumps(value).strip('"')
