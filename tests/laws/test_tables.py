"""Every published table against the reference, on small sets of events with many ties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.reading import land
from sojourn.reading.readers import in_this_process
from tests import reference
from tests.laws.adapt import pipeline_of
from tests.laws.effort import some_examples
from tests.laws.homes import Home
from tests.laws.pipelines import PIPELINES
from tests.laws.records import lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for homes, and no other process beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land, "in_processes", in_this_process)
        yield tmp_path_factory.mktemp("tables")


@pytest.mark.parametrize("name", PIPELINES)
@some_examples(6)
@given(data=st.data())
def test_tables_are_those_of_the_reference(folder, name, data):
    """Sessions, durations, activity, transitions and pages of one run: the same rows, and the same ledger."""
    pipeline = PIPELINES[name]
    content = b"\n".join(data.draw(lines(name)))
    home = Home(folder / name, pipeline)
    report = home.run({"all": content})
    outcome = reference.process([[("all", content)]], pipeline_of(pipeline))
    assert report["ledger"] == outcome.runs[0].as_dict()
    home.check(outcome.events)
