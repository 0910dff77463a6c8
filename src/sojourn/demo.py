"""The main job on sample data: what `sojourn demo` and `make run` show.

It makes sample files, runs the ready pipelines over them, prints each ledger and the headline numbers,
draws a chart, and says what to type next. Every call starts over, so it shows the same each time.
"""

import sys
from pathlib import Path

from sojourn import charts, metrics, running, samples, show
from sojourn.store.base import Store
from sojourn.store.embedded import Embedded
from sojourn.store.files import make_folder

LINES = {"webshop": 20_000, "activity": 5_000, "pageviews": 5_000, "devices": 40_000, "live": 5_000}
SEED = 1
_MOST = 6  # rows of a metric that are shown

QUERIES = {
    "What happens in most live sessions": """
        select name, count(*) as sessions, cast(sum(events) as bigint) as events
        from live.event_counts group by name order by sessions desc, name limit 5""",
    "Pages with the most views": """
        select url, views, users, sessions, bounces
        from pageviews.pages order by views desc, url limit 5""",
    "Busiest hours": """
        select time_bucket, cast(sum(activity_count) as bigint) as events
        from activity.hourly_activity group by time_bucket order by events desc, time_bucket limit 5""",
    "Most frequent steps from page to page": """
        select from_page, to_page, activity, transitions, users
        from activity.transitions order by transitions desc, from_page, to_page, activity limit 5""",
}


def demonstrate(folder: Path) -> None:
    """Make the samples in *folder*, run every pipeline over its own, and show what came out."""
    make_folder(folder)
    store = Embedded((folder / "home").absolute())
    for pipeline, lines in LINES.items():
        sample = folder / f"{pipeline}.{'csv' if pipeline == 'devices' else 'jsonl'}"
        print(f"\nMaking {sample}: {lines:,} lines, some of them broken on purpose.", flush=True)
        samples.write(pipeline, sample, lines=lines, seed=SEED)
        options = running.options(mode="replace", memory=None, limit=None)
        given = [f"{name}={path}" for name, path in samples.sources(pipeline, sample).items()]
        running.run(pipeline, given, store, options, as_json=False)
    headlines(store)
    picture = folder / "fleet_daily.png"
    charts.draw("fleet_daily", store, picture)
    print(f"\nDrawn: {picture}, the devices online each day by the size of their fleet.")
    print("\nWhat to type next:")
    for remark, command in next_steps(folder):
        print(f"\n  # {remark}\n  {command}")


def headlines(store: Store) -> None:
    """Print every metric, then the queries."""
    for name, metric in metrics.metrics().items():
        print(f"\n{metric.title}")
        value = metrics.evaluate(name, store)
        show.value(value[-_MOST:] if isinstance(value, list) else value, as_json=False)
        if isinstance(value, list) and len(value) > _MOST:
            print(f"the last {_MOST} of {len(value)} rows; all of them: sojourn metrics {name}")
    for title, sql in QUERIES.items():
        print(f"\n{title}")
        with store.query(sql) as reader:
            show.rows(reader.read_all().to_pylist(), as_json=False)


def next_steps(folder: Path) -> list[tuple[str, str]]:
    """Commands that work as they are after `demonstrate`, each with what it shows."""
    sojourn = Path(sys.executable).with_name("sojourn")
    if sojourn.is_relative_to(Path.cwd()):
        sojourn = sojourn.relative_to(Path.cwd())
    home = f"--home {folder / 'home'}"
    return [
        ("which records were refused, and why", f"{sojourn} quarantine list {home} --limit 5"),
        (
            "the same file again: every record is a duplicate, and the tables stay as they are",
            f"{sojourn} run webshop {folder / 'webshop.jsonl'} {home}",
        ),
        (
            "a question of your own",
            f'{sojourn} sql {home} "select * from webshop.sessions order by orders desc, session_id limit 2"',
        ),
        ("a chart, as PNG, SVG or a page", f"{sojourn} chart repairs {home} -o {folder / 'repairs.svg'}"),
        ("everything on one page, to mail", f"{sojourn} report {home} -o {folder / 'report.html'}"),
        ("the tables as CSV files", f"{sojourn} export activity {home} --out {folder / 'tables'}"),
        (
            "a pipeline for a file of your own (here: one of the samples)",
            f"{sojourn} init {folder / 'pageviews.jsonl'} --output {folder / 'mine.toml'} --force",
        ),
    ]
