"""Several services on one database; and what keeps strangers' pages out of one without tokens."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from sojourn.live.ingest import Ingest, Limits
from sojourn.store.journals import Journal, Message, Settled, Standing
from sojourn.web.adding import _Adding
from tests.command import process
from tests.service.live.client import begin, event
from tests.service.live.conftest import Start
from tests.service.live.process import Service


@pytest.mark.parametrize("new_place", ["postgres"], indirect=True)
def test_requests_to_several_services_wait_for_each_other(starting: Start) -> None:
    """Unnumbered messages of one session, all at once, to two processes: each is stored once."""
    services = [starting(), starting()]
    services[0].post("a", [begin("a")])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda at: services[at % 2].post("a", [event(at)]), range(1, 17)))
    assert [answer.status for answer in answers] == [200] * 16, [answer.content for answer in answers]
    assert sorted(answer.json["seq"] for answer in answers) == list(range(2, 18))
    for service in services:
        assert len(service.document("a")["children"]) == 16


class Slow:
    """A journal that stores nothing until it is told to."""

    def __init__(self) -> None:
        self.submitted: list[tuple[Message, Any]] = []

    def claim(self, _session_id: str) -> Standing:
        """Nothing is stored yet."""
        return Standing()

    def submit(self, message: Message, sender: Any) -> None:
        """Keep *message* on its way."""
        self.submitted.append((message, sender))


def test_a_message_that_became_durable_while_its_session_was_taken_over_is_not_added_again() -> None:
    """News of another process's claim can come between a message and what became of it: the latter is waited for."""

    async def added() -> bytes:
        journal = Slow()
        ingest = Ingest(cast("Journal", journal), Limits())
        adding = _Adding(json.dumps([begin("a")]).encode(), None, None, has_lines=False)
        async with ingest.turn("a") as held:
            going = asyncio.create_task(adding.go_on(ingest, held))
            while not journal.submitted:
                await asyncio.sleep(0)
            ingest.taken("a")
            await asyncio.sleep(0.01)
            assert not going.done()
            ingest.told([Settled(*journal.submitted[0])], 0.0)
            return bytes(adding.answer(await going).body)

    assert json.loads(asyncio.run(added())) == {"type": "ack", "seq": 1}


def test_names_of_others_lead_nowhere(service: Service, name: str) -> None:
    """Without tokens a request under another name than this machine's, or from another's page, is refused."""
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Host": "127.0.0.1.evil.example:80"}):
        told = service.post(name, [begin(name)], **headers)
        assert (told.status, told.code) == (403, "other_origin"), headers
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "shop.localhost"):
        assert service.get("/v1/sessions?limit=1", Host=host).status == 200, host
    assert service.get(f"/v1/sessions/{name}").status == 404


def test_a_length_that_is_too_large_is_not_waited_for(service: Service, name: str) -> None:
    """The header says it already."""
    told = service.ask("POST", f"/v1/sessions/{name}/events", b"[", Content_Length="99999999999")
    assert (told.status, told.code) == (413, "too_large")


def test_settings_that_cannot_work() -> None:
    """One sentence each, before anything is served."""
    for code, words in {
        "bad_size": ["--max-waiting", "1KiB"],
        "bad_origin": ["--cors", "shop.example"],
        "bad_duration": ["--idle", "0s"],
        "no_tokens": ["--host", "0.0.0.0"],
    }.items():
        told = process("serve", *words)
        assert (told.status, told.err.count("\n")) == (2, 1), told.err
        assert f"[{code}]" in told.err


def test_a_play_to_nobody_ends_at_once(tmp_path: Path) -> None:
    """A service that was never there is told, not waited for."""
    path = tmp_path / "streams.jsonl"
    path.write_text(json.dumps({"session_id": "a", "seq": 1, "events": [begin("a")]}) + "\n")
    for words in (["--url", "http://127.0.0.1:1"], ["--url", "http://127.0.0.1:1/prefix"]):
        told = process("replay-stream", path, *words)
        assert told.status == 1
        assert "[unreachable]" in told.err
    assert "[bad_token]" in process("replay-stream", path, "--token", "a\nb").err
