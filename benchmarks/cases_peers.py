"""Peers side by side: the same clean webshop lines, the same two tables, the same answers."""

import ast
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import peers_chart
from benchmarks.agreement import agrees, headline_of_webshop
from benchmarks.cases_runs import OURS, PEERS, ours
from benchmarks.inputs import sample, warm
from benchmarks.measure import CommandFailedError, Sample
from benchmarks.race import Contender, Score, race
from benchmarks.report import table
from benchmarks.results import MB, Answer, Case, row
from benchmarks.setting import Setting
from sojourn.loading import ready_pipelines


class Peer(NamedTuple):
    """A script of `benchmarks/peers`, how it is called, and what it leaves out, in a few words.

    *most* is the largest number of million lines that it gets: the slow ones would take all the time of the others.
    """

    script: str
    leaves_out: str
    how: str = ""
    most: float = 5


_NO_LEDGER = "a ledger and a quarantine; adding to what is kept"
_NO_DISK = f"{_NO_LEDGER}; files larger than memory"
SCRIPTS = {
    "DuckDB": Peer("webshop_duckdb", _NO_LEDGER),
    "Polars": Peer("webshop_polars", f"{_NO_LEDGER}; files with a broken line, at which it stops; names that last"),
    "chDB": Peer("webshop_chdb", _NO_LEDGER),
    "PySpark": Peer("webshop_pyspark", _NO_LEDGER),
    "pandas, tuned": Peer("webshop_pandas", _NO_DISK),
    "pandas, usual": Peer("webshop_pandas", _NO_DISK, "usual", 1),
    "retentioneering": Peer(
        "webshop_retentioneering", f"{_NO_DISK}; reading and summing up, which pandas does", most=1
    ),
}
OWN = "Sojourn"


def peers(setting: Setting) -> Case:
    """Everybody at a million lines and, but the slow ones, at five."""
    os.environ["RETENTIONEERING_NO_TRACK"] = "1"  # a benchmark tells nobody
    case = Case("Peers side by side", [])
    bars: list[dict[str, Any]] = []
    for millions, rounds in ((1, min(3, setting.rounds)), (5, min(2, setting.rounds))):
        bars += _beside(case, millions, rounds, setting)
    peers_chart.write(bars, is_kept=setting.scale == 1)
    others = "All others give" if any("**" in note for note in case.notes) else "All give"
    case.notes += [f"{others} our numbers of sessions, events, orders and seconds, exactly."]
    case.more += [_scripts(), _PICTURE]
    return case


def _beside(case: Case, millions: int, rounds: int, setting: Setting) -> list[dict[str, Any]]:
    """Add what all take for so many lines to the *case*; gives the bars of its chart."""
    source = sample("webshop", setting.lines(millions * MB), clean=True)
    warm(source)
    size = f"{setting.lines(millions * MB) / MB:g} M lines"
    contenders = {OWN: ours("webshop", source, name=OURS)}
    contenders |= {name: _contender(name, peer, source) for name, peer in SCRIPTS.items() if millions <= peer.most}
    scores = {name: Score(name) for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            scores[name].samples += _raced(contender, setting)
    expected = headline_of_webshop(setting.work / OURS / "home")
    own, bars = scores[OWN], []
    for name, score in scores.items():
        if len(score.samples) < rounds:
            case.notes.append(f"{name}, {size}: **could not be run**.")
            continue
        case.rows.append(row(score, f"{name}, {size}"))
        bars.append({"name": name, "lines": size, "seconds": score.wall, "memory": score.median("tree_rss") / MB})
        if score is not own:
            case.answers.append(_faster(name, size, own, score))
            case.notes += _disagreement(name, size, expected, score.output)
    return bars


_PICTURE = "![Seconds and memory of each, at each number of lines](peers.svg)"


def _contender(name: str, peer: Peer, source: Path) -> Contender:
    command = [sys.executable, str(PEERS / f"{peer.script}.py"), str(source)]
    options = [peer.how] if peer.how else []
    return Contender(name, lambda folder: [*command, str(folder / "tables"), *options])


def _raced(contender: Contender, setting: Setting) -> list[Sample]:
    """What one round took; nothing where a peer failed."""
    try:
        return race([contender], 1, setting.work)[0].samples
    except CommandFailedError as error:
        if contender.name == OURS:
            raise
        print(f"    FAILED: {error}", file=sys.stderr)
        return []


def _faster(name: str, size: str, own: Score, score: Score) -> Answer:
    ratio, memory = own.wall / score.wall, own.median("tree_rss") / score.median("tree_rss")
    return Answer(
        f"webshop, {size}, clean: whole run against {name}, time",
        "≤ 1x",
        f"{ratio:.2f}x, memory {memory:.2f}x",
        ratio <= 1,
    )


def _disagreement(name: str, size: str, expected: Mapping[str, float], told: Mapping[str, float]) -> list[str]:
    if agrees(expected, told):
        return []
    return [f"{name}, {size}: **other answers**: {', '.join(f'{key} {value:,.0f}' for key, value in told.items())}."]


def _scripts() -> str:
    """What each script is: its lines, and what it leaves out."""
    rows = [[name, str(lines_of(PEERS / f"{peer.script}.py")), peer.leaves_out] for name, peer in SCRIPTS.items()]
    ours = [f"{OWN} (TOML)", str(_lines(ready_pipelines()["webshop"].text)), "nothing; a third table is in it"]
    return table(["", "lines of script", "leaves out"], [ours, *rows])


def lines_of(script: Path) -> int:
    """Lines with code in them: neither empty, nor comments, nor docstrings."""
    text = script.read_text(encoding="utf-8")
    within = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return _lines("\n".join(line for at, line in enumerate(text.splitlines(), 1) if at not in within))


def _lines(text: str) -> int:
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in text.splitlines())
