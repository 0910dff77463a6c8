"""Several processes at one home: runs take turns, readers go on undisturbed, and nobody stays behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.store.places import Place, Tables, left_in_session, reader, until
from tests.store.torn import publish_torn


def test_a_reader_sees_whole_runs_while_others_publish(place: Place, files: list[Path]) -> None:
    """In ten publishes a reader in another process sees no error, no mixture of runs, and none go back."""
    place.run("webshop", files[0])
    with reader(place) as (_, told):
        for file in [*files[1:], files[0]]:
            place.run("webshop", file)
    assert told["faults"] == []
    assert told["looks"] > 10
    assert len(told["seen"]) > 3


def test_a_reader_would_notice_a_mixture(place: Place, files: list[Path]) -> None:
    """The control: a snapshot whose tables are not of one run is a fault to the reader above."""
    place.run("webshop", files[0])
    with reader(place) as (_, told):
        publish_torn(place.open(), place.rows("select * from webshop.sessions limit 5"))
        time.sleep(1)
    assert told["faults"] != []


def test_runs_take_turns_and_say_so(
    place: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """Of runs begun at once one works, the others say that they wait; all their events count."""
    started = [place.start("run", "webshop", file, "--json") for file in files[:3]]
    answers = [run.communicate(timeout=120) for run in started]
    assert [run.returncode for run in started] == [0, 0, 0]
    assert tables() == expected[3]
    for out, err in answers:
        assert json.loads(out)["status"] == "done"
        assert err.decode().strip() in ("", f"another run is writing to {place.home}; waiting for it to end")
    assert any(err for _, err in answers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_waiting_run_can_be_told_to_end(place: Place, files: list[Path], number: int) -> None:
    """Whoever waits for another run, or for standard input, does not have to wait for them to end."""
    with place.open().writing():
        run = place.start("run", "webshop", files[0])
        assert run.stderr is not None
        assert b"waiting for it to end" in run.stderr.readline()
        run.send_signal(number)
        assert run.communicate(timeout=10)[1] == b"interrupted\n"
    assert run.returncode == 128 + number
    run = place.start("run", "webshop", "-", stdin=subprocess.PIPE)
    assert run.stdin is not None
    run.stdin.write(files[0].read_bytes())
    run.stdin.flush()
    until(lambda: any(place.home.rglob("staging/*/events")), run)
    with suppress(subprocess.TimeoutExpired):
        run.send_signal(number)
        run.wait(5)
    run.send_signal(number)  # the first may have come just before the read that it should interrupt
    assert run.wait(10) == 128 + number
    run.communicate()
    assert (place.open().published(), place.statuses()) == ([], ["failed"])


def test_a_second_signal_ends_a_run_at_once(place: Place, large: Path) -> None:
    """A person who is not willing to wait need not: the next run cleans up."""
    run = place.start("run", "webshop", large)
    until(lambda: any(place.home.rglob("staging/*/events/*")), run)
    for pid in left_in_session(run.pid):
        if pid != run.pid:
            os.kill(pid, signal.SIGSTOP)  # its readers are stuck, so that it cannot end by itself
    run.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(1.5)
    run.send_signal(signal.SIGINT)
    assert run.wait(5) == 130
    for pid in left_in_session(run.pid):
        os.kill(pid, signal.SIGCONT)
    run.communicate(timeout=10)
    until(lambda: not left_in_session(run.pid))
    with place.open().writing():
        assert place.statuses() == ["killed"]
    assert place.garbage() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to", ["the run", "all of them"])
def test_a_signal_ends_a_run_cleanly(place: Place, files: list[Path], large: Path, number: int, to: str) -> None:
    """One sentence, the usual exit status, a row in `runs`, nothing left behind, and the next run goes on."""
    place.run("webshop", files[0])
    before = place.open().published()
    run = place.start("run", "webshop", large)
    until(lambda: any(place.home.rglob("staging/*/events/*")), run)
    os.kill(run.pid, number) if to == "the run" else os.killpg(run.pid, number)
    _, err = run.communicate(timeout=30)
    assert run.returncode == 128 + number
    assert err.decode().splitlines() == ["error: interrupted; nothing was published [interrupted]"]
    assert left_in_session(run.pid) == []
    assert (place.open().published(), place.statuses(), place.garbage()) == (before, ["done", "failed"], [])
    place.run("webshop", files[1])


def test_readers_end_with_a_killed_run(place: Place, files: list[Path], large: Path) -> None:
    """Reading processes of a run that was killed end by themselves, and let the home go."""
    run = place.start("run", "webshop", large)
    until(lambda: any(place.home.rglob("staging/*/events/*")), run)
    assert len(left_in_session(run.pid)) > 1
    run.kill()
    run.communicate(timeout=30)
    until(lambda: not left_in_session(run.pid))
    assert place.process("run", "webshop", files[0]).status == 0
    assert place.statuses() == ["killed", "done"]


def test_a_killed_reading_process_fails_the_run(place: Place, large: Path) -> None:
    """When one of the reading processes is killed, the run says so and ends; it does not wait for ever."""
    run = place.start("run", "webshop", large)
    until(lambda: any(place.home.rglob("staging/*/events/*")), run)
    os.kill(max(left_in_session(run.pid)), signal.SIGKILL)
    _, err = run.communicate(timeout=30)
    assert run.returncode == 1
    assert "a reading process was ended from outside" in err.decode()
    assert err.count(b"\n") == 1
    assert left_in_session(run.pid) == []
    assert place.statuses() == ["failed"]
