"""`results.json` with every figure, and `RESULTS.md` for people, made from it alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
JSON, MARKDOWN = FOLDER / "results.json", FOLDER / "RESULTS.md"

INTRODUCTION = """# Benchmark results

Written by `make bench`. All figures of a line were measured in one run on one machine, and stand here
also where a target is missed. Whole commands are timed as processes, from start to end, the start of
Python included. Contenders take turns (A B A B ...), each with fresh output, on input that is already in
the page cache; ratios compare medians. The input is seeded sample data in the shapes of the pipelines
(`benchmarks/inputs.py`). The peers stand in `benchmarks/peers`, each with a word on what it leaves out;
none keeps a quarantine, a ledger or the events themselves, as ours does.

Memory is the peak sum of the resident sets of all of a command's processes (shared pages and mapped files
count in each), and beside it the peak of its largest single process.
"""


def load() -> dict[str, Any]:
    """The results so far, by case."""
    try:
        results: dict[str, Any] = json.loads(JSON.read_bytes())
    except FileNotFoundError:
        results = {}
    return results


def write(results: Mapping[str, Any]) -> None:
    """Replace both files."""
    JSON.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    MARKDOWN.write_text(markdown(results), encoding="utf-8")


def markdown(results: Mapping[str, Any]) -> str:
    """The page: all questions in one table, then case by case."""
    parts = [INTRODUCTION, *_machines(results), "## Questions\n", questions(results.values()), ""]
    for name, case in results.items():
        parts += [f"## {case['title']}\n", f'`make bench ARGS="--only {name}"`, {_when(case)}.\n']
        if case["rows"]:
            parts += [table(_HEADINGS, map(_cells, case["rows"])), ""]
        parts += [f"- {note}" for note in case["notes"]]
        parts += [f"\n{part}" for part in case.get("more", ())]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def questions(cases: Any) -> str:
    """One line per question: target, measured, met or missed."""
    lines = [answer for case in cases for answer in case["answers"]]
    cells = [[line["question"], line["target"], line["measured"], _said(line["is_met"])] for line in lines]
    return table(["question", "target", "measured", ""], cells)


_HEADINGS = [
    "",
    "rounds",
    "median s",
    "fastest to slowest s",
    "CPU s",
    "memory of all MB",
    "of the largest MB",
]


def _machines(results: Mapping[str, Any]) -> list[str]:
    """The machine; several, if cases were measured on different ones."""
    texts: dict[str, list[str]] = {}
    for name, case in results.items():
        text = "\n".join(f"- {key}: {value}" for key, value in case["machine"].items())
        texts.setdefault(text, []).append(name)
    one = len(texts) == 1
    return [f"## Machine{'' if one else ' of ' + ', '.join(names)}\n\n{text}\n" for text, names in texts.items()]


def _when(case: Mapping[str, Any]) -> str:
    scale = "" if case["scale"] == 1 else f", at {case['scale']:g} of the size"
    taken = f"the host took {case['stolen']:.1%} of the CPU time away"
    return f"{case['date']}, commit {case['commit']}{scale}; {taken}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    digits = 2 if row["slowest"] >= 1 else 4
    span = f"{row['fastest']:.{digits}f} to {row['slowest']:.{digits}f}"
    memory = ["" if row[key] is None else f"{row[key] / 1e6:.0f}" for key in ("tree_rss", "largest_rss")]
    cpu = "" if row["cpu"] is None else f"{row['cpu']:.2f}"
    return [row["name"], str(row["rounds"]), f"{row['wall']:.{digits}f}", span, cpu, *memory]


def _said(is_met: bool | None) -> str:
    return {True: "met", False: "**missed**", None: "for information"}[is_met]


def table(headings: Sequence[str], lines: Any) -> str:
    """A table in Markdown."""
    rows = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
