"""Cases of runs that add to what is kept, and of what proves them."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb

from benchmarks.cases_runs import OURS
from benchmarks.inputs import sample, warm
from benchmarks.race import Contender, Score, race
from benchmarks.results import MB, Answer, Case, answer, row
from benchmarks.setting import Setting
from sojourn.samples import sources

LINES = "read_csv('{}', columns = {{'line': 'varchar'}}, delim = '\x01', quote = '', escape = '', header = false)"
WEBSHOP_TIME = r"regexp_extract(line, '\"timestamp\": ?\"([^\"]*)\"', 1)"
DEVICES_TIME = r"replace(split_part(line, ',', 1), 'T', ' ')"


def adding_webshop(setting: Setting) -> Case:
    """The newest hundredth of ten million kept events, beside a run over everything."""
    source = sample("webshop", setting.lines(25 * MB), clean=True)  # four lines in ten have a customer
    whole, old, new = _cut(setting, source, WEBSHOP_TIME, "regexp_matches(line, '\"customer-id\": ?[0-9]')")
    return _adding(setting, "webshop", [str(whole)], [str(old)], [str(new)])


def adding_devices(setting: Setting) -> Case:
    """The same of devices."""
    source = sample("devices", setting.lines(10 * MB), clean=True)
    whole, old, new = (f"events={path}" for path in _cut(setting, source, DEVICES_TIME, "true"))
    servers = f"servers={sources('devices', source)['servers']}"
    return _adding(setting, "devices", [whole, servers], [old, servers], [new])


def unchanged(setting: Setting) -> Case:
    """A second run over a directory of a hundred files in which nothing has changed."""
    folder = setting.work / "files"
    folder.mkdir()
    lines = sample("webshop", setting.lines(MB)).read_bytes().splitlines(keepends=True)
    share = -(-len(lines) // 100)
    for at in range(100):
        (folder / f"{at:03}.jsonl").write_bytes(b"".join(lines[at * share : (at + 1) * share]))
    home = setting.work / "home"
    [first] = race([_run("first", "webshop", [str(folder)], home)], 1, setting.work)
    [second] = race([_run("second", "webshop", [str(folder)], home)], setting.rounds, setting.work)
    question = "a second run over an unchanged directory of 100 files"
    took = Answer(question, "< 1 s", f"{second.wall:.2f} s", second.wall < 1)
    return Case("Files that are known", [took], [row(first), row(second)])


def verifying(setting: Setting) -> Case:
    """`sojourn verify` of a million events beside the run that made them."""
    source = sample("webshop", setting.lines(int(2.5 * MB)))
    home = setting.work / "home"
    [full] = race([_run(OURS, "webshop", [str(source)], None)], setting.rounds, setting.work)
    shutil.copytree(setting.work / OURS / "home", home)
    command = [sys.executable, "-m", "sojourn", "verify", "--json", "--home", str(home)]
    [verify] = race([Contender("verify", lambda _: command)], min(2, setting.rounds), setting.work)
    question = f"webshop, {setting.lines(MB) / MB:g} M events: `verify` against a full run"
    ratio = verify.wall / full.wall
    return Case("Verifying", [answer(question, ratio, 6, "<=", "x the time")], [row(full), row(verify)])


def _adding(setting: Setting, pipeline: str, whole: list[str], old: list[str], new: list[str]) -> Case:
    base = setting.work / "base"
    [first] = race([_run("kept", pipeline, old, base)], 1, setting.work)
    scores = race(
        [_run("everything", pipeline, whole, None), _run("added", pipeline, new, base)], setting.rounds, setting.work
    )
    kept = first.output["ledger"]["accepted"]
    question = f"{pipeline}: adding the newest 1 % to {kept / MB:.1f} M kept events, of a full run"
    share = answer(question, 100 * scores[1].wall / scores[0].wall, 10, "<=", " %")
    memory = answer(
        f"{pipeline}: peak memory of adding, of a full run's",
        scores[1].median("tree_rss") / scores[0].median("tree_rss"),
        1,
        "<=",
        "x",
    )
    same = "the same" if _same(scores) else "**not the same**"
    notes = [
        f"Both leave {same} number of rows in each table. The home is copied for each round, which is not timed.",
        f"Processor time: {100 * scores[1].median('cpu') / scores[0].median('cpu'):.1f} % of a full run's.",
    ]
    return Case(f"Adding to what is kept: {pipeline}", [share, memory], list(map(row, scores)), notes)


def _same(scores: Sequence[Score]) -> bool:
    return bool(scores[0].output["tables"] == scores[1].output["tables"])


def _run(name: str, pipeline: str, given: list[str], base: Path | None) -> Contender:
    """A run into a fresh home, or into a copy of *base*, which the first run makes."""

    def command(folder: Path) -> list[str]:
        home = folder / "home" if base is None or base.exists() else base
        if base is not None and base.exists():
            shutil.copytree(base, home)
        return [sys.executable, "-m", "sojourn", "run", pipeline, *given, "--json", "--home", str(home)]

    return Contender(name, command)


def _cut(setting: Setting, source: Path, time: str, condition: str) -> tuple[Path, Path, Path]:
    """The lines of *source* for which the *condition* holds: all, those before the newest hundredth, and these."""
    whole, old, new = (setting.work / f"{name}{source.suffix}" for name in ("whole", "old", "new"))
    with duckdb.connect() as connection:
        connection.execute(f"create table lines as select line, {time} as at_time from {LINES.format(source)}")
        connection.execute(f"delete from lines where not ({condition})")
        limit = connection.execute("select quantile_disc(at_time, 0.99) from lines").fetchall()[0][0]
        for path, which in ((whole, "true"), (old, f"at_time < '{limit}'"), (new, f"at_time >= '{limit}'")):
            connection.execute(
                f"copy (select line from lines where {which}) to '{path}' "
                "(format csv, delimiter '\x01', quote '', escape '', header false)"
            )
    for path in (whole, old, new):
        warm(path)
    return whole, old, new
