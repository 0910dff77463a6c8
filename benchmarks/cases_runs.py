"""Cases that time whole commands: runs of ours beside the peers' scripts."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.agreement import headline_of_activity, headline_of_webshop, verdict
from benchmarks.inputs import sample, warm
from benchmarks.race import Contender, Score, race
from benchmarks.results import MB, Answer, Case, answer, row
from benchmarks.setting import Setting

PEERS = Path(__file__).parent / "peers"
OURS = "sojourn"
_ON_ONE_CORE = "import os; os.cpu_count = lambda: 1; from sojourn.cli import main; main()"


def ours(pipeline: str, source: Path | str, *options: str, name: str = OURS) -> Contender:
    """A whole `sojourn run` into a fresh home."""
    command = [sys.executable, "-m", "sojourn", "run", pipeline, str(source), "--json", *options]
    return Contender(name, lambda folder: [*command, "--home", str(folder / "home")])


def peer(script: str, source: Path, target: str, *options: str) -> Contender:
    """A peer's script, which writes *target*."""
    command = [sys.executable, str(PEERS / f"{script}.py"), str(source)]
    return Contender(script, lambda folder: [*command, str(folder / target), *options])


def webshop_duckdb(setting: Setting) -> Case:
    """The whole run against the hand-written DuckDB script."""
    source = _sample(setting, "webshop", 5 * MB)
    scores = race(
        [ours("webshop", source), peer("webshop_duckdb", source, "tables.duckdb")],
        setting.rounds,
        setting.work,
    )
    question = f"webshop, {_millions(setting, 5)} lines: whole run against the hand-written DuckDB script"
    title = "Webshop against a hand-written DuckDB script"
    notes = [_agreement(setting, scores), _throughput(scores[0], source)]
    return Case(title, [answer(question, _ratio(scores), 1.8, "<=", "x the time")], list(map(row, scores)), notes)


def webshop_pandas(setting: Setting) -> Case:
    """The whole run against the usual pandas script; few rounds, since it is slow."""
    source = _sample(setting, "webshop", 5 * MB)
    usual = peer("webshop_pandas", source, "tables", "usual")
    scores = race(
        [
            ours("webshop", source),
            Contender("webshop_pandas, usual", usual.command),
            peer("webshop_pandas", source, "tables"),
        ],
        min(2, setting.rounds),
        setting.work,
    )
    about = f"webshop, {_millions(setting, 5)} lines: faster than"
    tuned = f"{scores[2].wall / scores[0].wall:.2f}x"
    answers = [
        answer(f"{about} the usual pandas script", 1 / _ratio(scores), 8, ">=", "x"),
        Answer(f"{about} a tuned pandas script, which keeps what is needed only", "none", tuned, None),
    ]
    notes = [
        _agreement(setting, scores),
        "The usual script makes a frame of all records with `json_normalize`; the tuned one picks fields line by line.",
        "pandas is slow: at most two rounds.",
    ]
    return Case("Webshop against pandas", answers, list(map(row, scores)), notes)


def webshop_polars(setting: Setting) -> Case:
    """The whole run against Polars, on a file without any broken line."""
    source = _sample(setting, "webshop", 5 * MB, clean=True)
    scores = race([ours("webshop", source), peer("webshop_polars", source, "tables")], setting.rounds, setting.work)
    question = f"webshop, {_millions(setting, 5)} clean lines: faster than Polars"
    notes = [
        _agreement(setting, scores),
        "Polars stops at the first broken line: both read a clean file. Cleaning one is not counted.",
    ]
    faster = answer(question, 1 / _ratio(scores), 1.2, ">=", "x")
    return Case("Webshop against Polars, clean file", [faster], list(map(row, scores)), notes)


def activity_duckdb(setting: Setting) -> Case:
    """The activity pipeline against the hand-written DuckDB script, with and without our third table."""
    source = _sample(setting, "activity", 5 * MB)
    script = peer("activity_duckdb", source, "tables.duckdb")
    longer = peer("activity_duckdb", source, "tables.duckdb", "transitions")
    both = [script, Contender("activity_duckdb with transitions", longer.command)]
    scores = race([ours("activity", source), *both], setting.rounds, setting.work)
    text = f"activity, {_millions(setting, 5)} lines: whole run against the hand-written DuckDB script"
    same = f"{scores[0].wall / scores[2].wall:.2f}x the time"
    answers = [
        answer(text, _ratio(scores), 2.3, "<=", "x the time"),
        Answer(f"{text}, made to publish `transitions` as we do", "none", same, None),
    ]
    notes = [
        verdict(headline_of_activity(_home(setting)), [score.output for score in scores[1:]], scores[0].output),
        _throughput(scores[0], source),
    ]
    return Case("Activity against a hand-written DuckDB script", answers, list(map(row, scores)), notes)


def memory(setting: Setting) -> Case:
    """Peak memory of the process tree, by default and with little of it."""
    source = _sample(setting, "webshop", 5 * MB)
    rounds = min(3, setting.rounds)
    default = race([ours("webshop", source)], rounds, setting.work, pss=True)[0]
    little = race([ours("webshop", source, "--memory", "400MB")], rounds, setting.work, pss=True)[0]
    about = f"webshop, {_millions(setting, 5)} lines:"
    # where the kernel does not tell shares, the largest process is all there is
    peaks = [max(_peak(score, "tree_pss"), _peak(score, "largest_rss")) for score in (default, little)]
    answers = [
        answer(f"{about} peak memory of all processes together", peaks[0] / MB, 800, "<=", " MB"),
        Answer(f"{about} finishes with `--memory 400MB`", "yes", "yes", little.output["status"] == "done"),
        Answer(f"{about} its peak memory then", "none", f"{peaks[1] / MB:.0f} MB", None),
    ]
    notes = [
        f"{name}: {_peak(score, 'tree_pss') / MB:.0f} MB with shared pages counted once, "
        f"of which {_peak(score, 'tree_own') / MB:.0f} MB are no mapped files; "
        f"{_peak(score, 'tree_rss') / MB:.0f} MB as the plain sum over processes; "
        f"{_peak(score, 'largest_rss') / MB:.0f} MB in the largest single process."
        for name, score in (("By default", default), ("With `--memory 400MB`", little))
    ]
    notes.append(
        f"The peak is the largest of {rounds} rounds, shared pages counted once. "
        "Times stand in the other cases, since measuring shares disturbs."
    )
    return Case("Memory", answers, notes=notes)


def linearity(setting: Setting) -> Case:
    """Time per line from 1 to 20 million lines."""
    scores = []
    for size, rounds in ((1, setting.rounds), (5, min(3, setting.rounds)), (20, min(2, setting.rounds))):
        source = _sample(setting, "webshop", size * MB)
        [score] = race([ours("webshop", source)], rounds, setting.work)
        score.name = f"{_millions(setting, size)} lines"
        scores.append(score)
    one, five, twenty = (score.wall / size for score, size in zip(scores, (1, 5, 20), strict=True))
    sizes = [_millions(setting, size) for size in (1, 5, 20)]
    answers = [
        answer(f"webshop, {sizes[2]} against {sizes[0]} lines: time per line", twenty / one, 1.2, "<=", "x"),
        answer(f"webshop, {sizes[2]} against {sizes[1]} lines: time per line", twenty / five, 1.2, "<=", "x"),
    ]
    notes = [
        "Linear is taken to mean: a line costs at most a fifth more in the largest file.",
        "Larger files have fewer rounds.",
    ]
    return Case("Linearity", answers, list(map(row, scores)), notes)


def processes(setting: Setting) -> Case:
    """CPU time per line by the number of processes: what one more costs beside its share of the work."""
    source = _sample(setting, "webshop", 5 * MB)
    alone = ours("webshop", source, name="one process that reads, one thread that builds")
    one = Contender(alone.name, lambda folder: [sys.executable, "-c", _ON_ONE_CORE, *alone.command(folder)[3:]])
    scores = race([one, ours("webshop", source, name="as many as there are cores")], setting.rounds, setting.work)
    each, all_of_them = (score.median("cpu") for score in scores)
    about = f"webshop, {_millions(setting, 5)} lines:"
    answers = [
        answer(f"{about} CPU time with all cores against one", all_of_them / each, 1.2, "<=", "x"),
        Answer(f"{about} time with all cores against one", "none", f"{scores[1].wall / scores[0].wall:.2f}x", None),
    ]
    notes = ["Two threads of one physical core take more CPU time each than one alone, whatever they do."]
    return Case("From one process to many", answers, list(map(row, scores)), notes)


def small(setting: Setting) -> Case:
    """A run on a small file, the start of Python included."""
    source = sample("webshop", 500)
    [score] = race([ours("webshop", source)], 2 * setting.rounds + 1, setting.work)
    question = "webshop, 500 lines: whole command, start of Python included"
    return Case("A small file", [answer(question, score.wall, 1.0, "<=", " s")], [row(score)])


def _sample(setting: Setting, pipeline: str, lines: int, *, clean: bool = False) -> Path:
    path = sample(pipeline, setting.lines(lines), clean=clean)
    warm(path)
    return path


def _ratio(scores: Sequence[Score]) -> float:
    """Our median against the peer's."""
    return scores[0].wall / scores[1].wall


def _peak(score: Score, of: str) -> float:
    return float(max(getattr(taken, of) for taken in score.samples))


def _home(setting: Setting) -> Path:
    return setting.work / OURS / "home"


def _agreement(setting: Setting, scores: Sequence[Score]) -> str:
    peers: list[Mapping[str, float]] = [score.output for score in scores[1:]]
    return verdict(headline_of_webshop(_home(setting)), peers, scores[0].output)


def _throughput(score: Score, source: Path) -> str:
    size = source.stat().st_size
    return f"The file has {size / 1e9:.2f} GB; we read and publish {size / score.wall / MB:.0f} MB/s."


def _millions(setting: Setting, millions: float) -> str:
    return f"{setting.lines(int(millions * MB)) / MB:g} M"
