"""Cases of the devices pipeline: presence and fleets beside bare DuckDB, and how they grow."""

from pathlib import Path

from benchmarks.agreement import headline_of_devices, verdict
from benchmarks.cases_runs import OURS, ours, peer
from benchmarks.inputs import sample, warm
from benchmarks.race import Contender, race
from benchmarks.results import MB, Case, answer, row
from benchmarks.setting import Setting
from sojourn.loading import ready_pipelines
from sojourn.samples import sources


def devices(setting: Setting) -> Case:
    """The whole run against the bare SQL of the same algorithm."""
    events, servers = _sample(setting, 5, clean=True)  # a broken event that one takes moves counts of many days
    script = peer("devices_duckdb", events, "tables.duckdb", str(servers))
    scores = race([_run("devices", events, servers), script], setting.rounds, setting.work)
    question = f"devices, {_millions(setting, 5)} events: whole run against the bare DuckDB SQL of the same algorithm"
    notes = [
        verdict(headline_of_devices(setting.work / OURS / "home"), [scores[1].output], scores[0].output),
        "Only ours makes repairs, uptime and a projection as well.",
    ]
    ratio = scores[0].wall / scores[1].wall
    return Case(
        "Devices against bare DuckDB", [answer(question, ratio, 2, "<=", "x the time")], [*map(row, scores)], notes
    )


def rolling(setting: Setting) -> Case:
    """What the 28 days cost on top of the daily run, and how that compares with repeating each day 28 times."""
    events, servers = _sample(setting, 5)
    daily, both = (_only(setting, *names) for names in (_DAILY, (*_DAILY, "fleet_rolling_28d")))
    script = [peer("devices_duckdb", events, "tables.duckdb", str(servers), how) for how in ("daily", "naive")]
    contenders = [
        _run(str(daily), events, servers, "sojourn, daily"),
        _run(str(both), events, servers, "sojourn, daily and 28 days"),
        Contender("devices_duckdb, daily", script[0].command),
        Contender("devices_duckdb, daily and 28 days, naive", script[1].command),
    ]
    scores = race(contenders, setting.rounds, setting.work)
    # the medians may differ by less than the noise: the worst that the rounds allow is what can be said
    cost = max(sample.wall for sample in scores[1].samples) - min(sample.wall for sample in scores[0].samples)
    naive = scores[3].wall - scores[2].wall
    memory = scores[1].median("tree_rss") / scores[3].median("tree_rss")
    about = f"devices, {_millions(setting, 5)} events: 28 days"
    answers = [
        answer(f"{about}: cost on top of the daily run", cost / scores[0].wall, 0.6, "<=", "x of it"),
        answer(f"{about}: faster than repeating each day 28 times", naive / cost, 5, ">=", "x"),
        answer(f"{about}: memory against repeating each day 28 times", memory, 0.3, "<=", "x"),
    ]
    apart = scores[1].wall - scores[0].wall
    note = (
        f"The 28 days take at most {cost:.2f} s of ours on top: the slowest round with them against the fastest "
        f"without. The medians differ by {apart:.2f} s. In the naive form they take {naive:.2f} s."
    )
    return Case("28 days on top of the daily tables", answers, list(map(row, scores)), [note])


def growth(setting: Setting) -> Case:
    """Time per event from 1 to 10 million events, and the memory that the largest takes."""
    scores = []
    for size, rounds in ((1, setting.rounds), (5, min(3, setting.rounds)), (10, min(2, setting.rounds))):
        [score] = race([_run("devices", *_sample(setting, size))], rounds, setting.work)
        score.name = f"{_millions(setting, size)} events"
        scores.append(score)
    per_event = [score.wall / size for score, size in zip(scores, (1, 5, 10), strict=True)]
    sizes = [_millions(setting, size) for size in (1, 5, 10)]
    answers = [
        answer(
            f"devices, {sizes[2]} against {sizes[1]} events: time per event",
            per_event[2] / per_event[1],
            1.2,
            "<=",
            "x",
        ),
        answer(f"devices, {sizes[2]} events: peak memory", scores[2].median("tree_rss") / MB, 1500, "<=", " MB"),
    ]
    return Case("Devices: growth", answers, list(map(row, scores)), ["Larger files have fewer rounds."])


_DAILY = ("presence", "fleet_daily")


def _run(pipeline: str, events: Path, servers: Path, name: str = OURS) -> Contender:
    return ours(pipeline, f"events={events}", f"servers={servers}", name=name)


def _only(setting: Setting, *tables: str) -> Path:
    """The ready pipeline with some of its tables."""
    text = ready_pipelines()["devices"].text
    head = text[: text.index("[tables.")]
    path = setting.work / f"devices_{len(tables)}.toml"
    path.write_text(head + "".join(f"[tables.{table}]\n" for table in tables), encoding="utf-8")
    return path


def _sample(setting: Setting, millions: int, *, clean: bool = False) -> tuple[Path, Path]:
    events = sample("devices", setting.lines(millions * MB), clean=clean)
    warm(events)
    return events, sources("devices", events)["servers"]


def _millions(setting: Setting, millions: int) -> str:
    return f"{setting.lines(millions * MB) / MB:g} M"
