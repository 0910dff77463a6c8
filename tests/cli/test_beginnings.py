"""What one begins with: `--help`, `pipelines`, `init` and `check`."""

import gzip
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sojourn import __version__
from tests.command import Home, lines, process, shop, sojourn

COMMANDS = [
    ["run"], ["check"], ["pipelines"], ["init"], ["tables"], ["sql"], ["metrics"], ["chart"],
    ["quarantine"], ["quarantine", "list"], ["quarantine", "export"], ["export"],
]  # fmt: skip
STORED = [
    ["run"],
    ["tables"],
    ["sql"],
    ["metrics"],
    ["chart"],
    ["quarantine", "list"],
    ["quarantine", "export"],
    ["export"],
]
VISITS = [
    {
        "uuid": f"e{at}",
        "verb": ("view", "buy")[at % 10 == 0],
        "created_at": f"2022-03-01 10:{at // 2:02}:{at % 2}0Z",
        "member": {"id": at % 5 + 1, "level": "gold"},
        "path": f"/page/{at % 4}",
        "score": at / 2,
    }
    for at in range(60)
]
CLICKS = lines(
    "session_id;click_time;user_name;page_url",
    *(f"s{at % 7};2022-03-{at % 28 + 1:02}T10:00:00;u{at % 3};/p{at}" for at in range(40)),
)


@pytest.mark.parametrize("words", [[], *COMMANDS], ids=" ".join)
def test_help_answers_for_every_command(words: list[str]) -> None:
    """With -h too; it says how the command is used."""
    done = sojourn(*words, "--help")
    assert (done.status, done.err) == (0, "")
    assert "Usage:" in done.out
    assert sojourn(*words, "-h").out == done.out


def test_help_names_every_command() -> None:
    """And one line on each."""
    told = sojourn("--help").out
    assert all(f"  {words[0]} " in told for words in COMMANDS)


@pytest.mark.parametrize("words", STORED, ids=" ".join)
def test_every_command_that_reads_or_writes_a_home_takes_home_and_store(words: list[str]) -> None:
    """Both options, everywhere under the same name."""
    told = sojourn(*words, "--help").out
    assert "--home" in told
    assert "--store" in told


def test_help_imports_no_engine() -> None:
    """What takes long to import is imported when it is used: help stays fast."""
    script = (
        "import sys, sojourn.cli\n"
        "try: sojourn.cli.main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'duckdb', 'pyarrow', 'ibis', 'rich', 'msgspec', 'jsonschema', 'zstandard', 'numpy', 'pandas'}\n"
        "print('imported:', *sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported:"


def test_version() -> None:
    """The package's own."""
    assert sojourn("--version").out == f"sojourn, version {__version__}\n"


def test_pipelines_are_listed(home: Home) -> None:
    """The ready ones with a title each."""
    listed = sojourn("pipelines", "--json").json
    assert [row["pipeline"] for row in listed] == ["activity", "devices", "live", "pageviews", "webshop"]
    assert all(row["title"] for row in listed)
    assert "webshop" in sojourn("pipelines").out


@pytest.mark.parametrize("name", ["activity", "devices", "live", "pageviews", "webshop"])
def test_a_ready_pipeline_is_shown_as_the_toml_that_it_is(home: Home, name: str) -> None:
    """Copied to a file it is a pipeline of one's own that says the same."""
    text = sojourn("pipelines", name).out
    assert set(tomllib.loads(text)) <= {"title", "source", "sessions", "fleet", "tables", "bucket_timezone"}
    done = sojourn("check", home.path("copy.toml", text), f"events={home.path('x.jsonl', b'')}", "--json")
    assert (done.status, done.json["pipeline"]) == (0, "copy")


def test_an_own_pipeline_is_shown_too(home: Home) -> None:
    """With everything that was left to its default; a mistake in it is told."""
    own = home.path("mine.toml", sojourn("pipelines", "webshop").out)
    shown = sojourn("pipelines", own)
    assert (shown.status, "30m" in shown.out) == (0, True)
    assert sojourn("pipelines", "webshp").status == 2


def test_check_prints_the_ledger_and_publishes_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts are those of a first run; no home is made."""
    monkeypatch.chdir(home.folder)
    monkeypatch.delenv("SOJOURN_HOME", raising=False)
    content = lines(shop(1, "10:00:00"), shop(1, "10:00:00"), shop(2, "11:00:00", None), "broken", "")
    path = home.path("x.jsonl", content)
    checked = sojourn("check", "webshop", path, "--json")
    assert checked.status == 0
    assert [path.name for path in home.folder.iterdir()] == ["x.jsonl"]
    assert checked.json["ledger"] == home.run("webshop", content)["ledger"]
    assert "invalid_json" in sojourn("check", "webshop", path).out


def test_check_reads_standard_input_and_keeps_the_limit(home: Home) -> None:
    """As a run does: status 3 when more is quarantined than is allowed, and the ledger all the same."""
    done = process("check", "webshop", "-", "--json", stdin=lines(shop(1, "10:00:00"), "broken"))
    assert (done.status, done.json["ledger"]["read"]) == (0, 2)
    path = home.path("x.jsonl", lines(shop(1, "10:00:00"), "broken"))
    limited = sojourn("check", "webshop", path, "--max-quarantined", "0", "--json")
    assert (limited.status, limited.err.count("\n")) == (3, 1)
    assert limited.json["ledger"]["quarantined"] == {"invalid_json": 1}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("visits.jsonl", lines(*map(json.dumps, VISITS)), {"event_id", "name", "occurred_at", "actor", "url"}),
        (
            "visits.json.gz",
            gzip.compress(lines(*map(json.dumps, VISITS)), mtime=0),
            {"event_id", "occurred_at", "actor"},
        ),
        ("clicks.csv", CLICKS, {"session_key", "occurred_at", "actor", "url"}),
        ("shop.log", lines(*(shop(at, f"10:{at:02}:00", at % 3) for at in range(30))), {"event_id", "name", "actor"}),
        (
            "epoch.jsonl",
            lines(*(f'{{"id": "{at}", "ts": {1646128800000 + at}, "userId": {at % 3}}}' for at in range(30))),
            {"event_id", "occurred_at", "actor"},
        ),
        (
            "brief.json",
            lines(
                *(
                    f'{{"event_id": "{at}", "user": {{"session_id": "s{at % 4}x{at}", "id": {at % 3}}}, "action": "a", '
                    f'"url": "/x", "timestamp": "{at % 28 + 1:02}/03/2017 10:00:00"}}'
                    for at in range(50)
                )
            ),
            {"event_id", "name", "occurred_at", "url"},
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_init_writes_a_pipeline_that_runs_on_the_file(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, expected: set[str]
) -> None:
    """Every record is accepted, tables are published, and comments say what to go on with."""
    monkeypatch.chdir(home.folder)
    home.path(name, content)
    done = sojourn("init", name)
    assert done.status == 0, done.err
    own = Path(name.split(".", maxsplit=1)[0] + ".toml")
    assert str(own) in done.out
    assert "sojourn check" in done.out
    text = own.read_text()
    assert "#" in text
    assert expected <= set(tomllib.loads(text)["source"]["events"]["fields"])
    checked = process("check", own, name, "--json")
    assert checked.status == 0, checked.err
    ledger = checked.json["ledger"]
    assert ledger["read"] > 0
    assert (ledger["quarantined"], ledger["accepted"]) == ({}, ledger["read"])
    ran = home.process("run", own, name, "--json")
    assert ran.status == 0, ran.err
    assert any(rows > 0 for rows in ran.json["tables"].values())


def test_init_survives_a_file_with_broken_lines(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample is no promise: what breaks the contract is quarantined by the run."""
    monkeypatch.chdir(home.folder)
    home.path("x.jsonl", b"\xef\xbb\xbfbroken\n\n\xff\n" + lines(*(shop(at, "10:00:00") for at in range(20))))
    assert sojourn("init", "x.jsonl").status == 0
    ledger = sojourn("check", "x.toml", "x.jsonl", "--json").json["ledger"]
    assert (ledger["read"], sum(ledger["quarantined"].values())) == (22, 2)


def test_init_keeps_an_existing_file(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another name, or --force."""
    monkeypatch.chdir(home.folder)
    home.path("x.jsonl", lines(*(shop(at, "10:00:00") for at in range(20))))
    mine = home.path("x.toml", "mine")
    done = sojourn("init", "x.jsonl")
    assert (done.status, done.err.count("\n"), mine.read_text()) == (2, 1, "mine")
    assert "--force" in done.err
    assert sojourn("init", "x.jsonl", "--output", "other.toml").status == 0
    assert Path("other.toml").exists()
    assert mine.read_text() == "mine"
    assert sojourn("init", "x.jsonl", "--force").status == 0
    assert mine.read_text() != "mine"


def test_init_says_where_day_and_month_could_be_either(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never guesses in silence."""
    monkeypatch.chdir(home.folder)
    home.path(
        "x.jsonl", lines(*(f'{{"id": "{at}", "time": "02/03/2017 10:00:0{at}", "user_id": 1}}' for at in range(9)))
    )
    done = sojourn("init", "x.jsonl")
    assert done.status == 0
    assert "month" in done.err


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("none.jsonl", None, "none.jsonl"),
        ("empty.jsonl", b"", "empty.jsonl"),
        ("array.json", b'[{"id": 1}, {"id": 2}]', "JSON array"),
        ("timeless.jsonl", b'{"id": 1, "user": 2}\n' * 20, "time"),
        ("prose.txt", b"It was a dark and stormy night\n" * 20, "prose.txt"),
        ("pack.parquet", b"PAR1" + b"\x00" * 100, "Parquet"),
        ("cut.gz", gzip.compress(b"x" * 1000, mtime=0)[:-9], "cut.gz"),
        ("folder/x.jsonl", b"{}\n", "folder"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_init_says_what_it_cannot_do(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None, word: str
) -> None:
    """One sentence, no file written."""
    monkeypatch.chdir(home.folder)
    if content is not None:
        home.path(name, content)
    done = sojourn("init", name.split("/", maxsplit=1)[0])
    assert done.status in (1, 2)
    assert done.err.count("\n") == 1
    assert word in done.err
    assert list(home.folder.glob("*.toml")) == []
