"""Any cut of records into runs gives the tables of one run, though runs make anew only what they touch (10.1).

Each step of each example is compared with the slow reference, and the last one with one run over everything. Each test
sees to it that the steps were built upon each other. The same with many more examples: soak/test_one_answer.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sojourn import run
from sojourn.reading.inputs import resolve
from tests.laws.effort import examples, some_examples
from tests.laws.homes import Home
from tests.laws.one_answer import PIPELINES, compare, expected, forgetting_an_actor, roads
from tests.laws.one_answer_engine import in_one_thread
from tests.laws.one_answer_steps import histories, try_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.laws.one_answer import File


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for homes, and no other process or thread beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        in_one_thread(patch)
        yield tmp_path_factory.mktemp("one-answer")


@pytest.mark.parametrize("name", PIPELINES)
@examples(2)
@given(data=st.data())
def test_builds_upon_builds_give_what_one_build_gives(folder, name, data):
    """Whatever comes first, later, twice or in between, and whatever goes again: after every step the tables are the
    reference's over what is there, and in the end those of one build."""
    pipeline = PIPELINES[name]
    try_steps(folder, pipeline, data.draw(histories(pipeline, losing=True)))


def test_an_increment_that_forgets_an_actor_is_noticed(folder):
    """The control: where the first of the touched actors keeps the rows of before, the law above fails."""
    noticed = []

    @settings(max_examples=6, phases=[Phase.generate])
    @given(data=st.data())
    def histories_of_a_shop(data):
        try:
            try_steps(folder, PIPELINES["webshop"], data.draw(histories(PIPELINES["webshop"], losing=False)))
        except AssertionError as error:
            noticed.append(error.__notes__)

    with forgetting_an_actor():
        histories_of_a_shop()
    assert ["the table sessions"] in noticed


class Sources(Home):
    """A home whose runs read files of any source."""

    def read(self, files: Sequence[File], **options: Any) -> dict[str, Any]:
        """One run over *files*; its report."""
        inputs = []
        for file in files:
            kind = self.pipeline.source[file.source].format
            path = self.folder / f"{file.name}.{'csv' if kind == 'csv' else 'jsonl'}"
            path.write_bytes(file.content)
            inputs += resolve([str(path)], kind, file.source)
        return run.execute(self.pipeline, inputs, self.store, run.Options(**options), lambda _: None).report()


def ends_of(ledger: dict[str, Any]) -> dict[str, Any]:
    """Where records ended, and how many duplicates were others."""
    names = ("read", "blank", "accepted", "duplicate", "dropped", "quarantined")
    return {name: ledger[name] for name in names} | {"conflicting": ledger["notes"].get("conflicting", 0)}


def check_ledgers(report: dict[str, Any], told: list[dict[str, Any]]) -> None:
    """Every file's ledger is the reference's (of live messages the run's); and all of them balance."""
    mine = report["files"] if len(told) == len(report["files"]) else [report["ledger"]]
    assert list(map(ends_of, mine)) == list(map(ends_of, told))
    for ledger in (*report["files"], report["ledger"]):
        ends = [ledger["accepted"], ledger["duplicate"], *ledger["dropped"].values(), *ledger["quarantined"].values()]
        assert ledger["read"] == sum(ends)


@some_examples(4)
@given(data=st.data())
def test_runs_that_build_upon_each_other_give_the_tables_of_one_run(folder, data):
    """After every run the tables are the reference's over all that was read so far, and every file's ledger is the
    reference's; in the end the tables are those of one run."""
    pipeline = PIPELINES[data.draw(st.sampled_from(sorted(PIPELINES)))]
    steps = data.draw(histories(pipeline, losing=False))
    home, theirs = Sources(folder / "cut", pipeline), expected(pipeline)
    for number, step in enumerate(steps):
        was = theirs.mark()
        with roads() as seen:
            report = home.read(step.files)
        check_ledgers(report, theirs.run(step.files))
        assert seen.taken == ["extended" if number > 0 and theirs.goes_on_from(was) else "whole"]
        compare(home.tables(), theirs.tables())
    whole = Sources(folder / "whole", pipeline)
    whole.read([file for step in steps for file in step.files])
    compare(home.tables(), whole.tables(), is_whole=True)
