"""Cases of the service: streaming against a bare echo server, acknowledgements while a metric is asked for, reading."""

import json
import subprocess
import time
from contextlib import ExitStack
from statistics import median
from typing import Any

import duckdb
import httpx

from benchmarks.cases_stores import publish, snapshot
from benchmarks.results import MB, Answer, Case, Row, answer
from benchmarks.servers import SECONDS, Server, database_of_postgres, echoing, serving, streamed, words
from benchmarks.setting import Setting
from sojourn import metrics
from sojourn.store.opening import open_store

SHAPES = {(50, 10): 0.15, (1000, 10): 0.18, (5000, 10): 0.15, (50, 100): 0.07}
"""Connections and events a message -> how much of the echo server's events a second we shall reach."""


def streaming(setting: Setting) -> Case:
    """Durable acknowledgements against a server that sends every frame back and keeps nothing."""
    found: list[Answer] = []
    notes = ["Clients run in a process of their own; each waits for the answer before it sends its next message."]
    rows = []
    for (connections, events), target in SHAPES.items():
        ours, echo = [], []
        for at in range(_rounds(setting)):
            with echoing() as peer:
                echo.append(streamed([peer], connections, events))
            with serving(setting.work / f"home-{connections}-{events}-{at}") as server:
                ours.append(streamed([server], connections, events))
        shape = f"{connections:,} connections x {events} events"
        rate, bare = (median(one["messages"] / one["seconds"] for one in runs) * events for runs in (ours, echo))
        cpu, bare_cpu = (median(one["cpu"] / one["messages"] for one in runs) for runs in (ours, echo))
        found.append(answer(f"Streaming, {shape}: events/s against a bare echo", rate / bare, target, ">=", "x"))
        found.append(answer(f"Streaming, {shape}: server CPU per message", cpu / bare_cpu, 8, "<=", "x"))
        waits = median(one["median_ms"] for one in ours), median(one["p99_ms"] for one in ours)
        notes.append(
            f"{shape}: {rate:,.0f} events/s durable, echo {bare:,.0f}; acknowledged after {waits[0]:.1f} ms "
            f"(median), {waits[1]:.1f} ms (p99); {cpu * 1e6:.0f} µs of CPU a message."
        )
        rows += [_row(f"{shape}: ours", ours), _row(f"{shape}: echo", echo)]
        print(f"    {notes[-1]}", flush=True)
    return Case("Streaming live sessions", found, rows, notes)


def beside(setting: Setting) -> Case:
    """How long acknowledgements take while somebody asks for a metric over a million sessions, all the time."""
    home, sessions = setting.work / "home", setting.lines(MB)
    publish(open_store(str(home), None), snapshot(setting, sessions), sessions, 0)
    idle, busy, asked = [], [], []
    with serving(home) as server:
        for at in range(_rounds(setting)):
            idle.append(streamed([server], 50, 10, f"idle{at}"))
            command = words("asking", server.port, "/metrics/orders", 1, SECONDS + 1)
            with subprocess.Popen(command, stdout=subprocess.PIPE) as asking:
                busy.append(streamed([server], 50, 10, f"busy{at}"))
                asked.append(json.loads(asking.communicate()[0])["answers"])
    slower = median(one["p99_ms"] for one in busy) / median(one["p99_ms"] for one in idle)
    question = f"Acknowledgements (p99) while `orders` over {sessions / MB:g} M sessions is asked for all the time"
    note = (
        f"50 connections x 10 events: p99 {median(one['p99_ms'] for one in idle):.1f} ms alone, "
        f"{median(one['p99_ms'] for one in busy):.1f} ms beside {median(asked):.0f} queries in {SECONDS:.0f} s; "
        f"messages {median(one['messages'] for one in busy) / median(one['messages'] for one in idle):.2f}x."
    )
    print(f"    {note}", flush=True)
    return Case("Acknowledgements beside a metric", [answer(question, slower, 2, "<=", "x")], notes=[note])


def reading(setting: Setting) -> Case:
    """Documents and metrics over HTTP against a static route, and against the bare query."""
    home, sessions = setting.work / "home", setting.lines(MB)
    source = snapshot(setting, sessions)
    publish(open_store(str(home), None), source, sessions, 0)
    start = {"timestamp": 1569972082, "type": "SESSION_START", "session_id": "visit-1"}
    events = [{"timestamp": 1569972084 + at, "type": "EVENT", "name": "cart_load"} for at in range(20)]
    documents, static, asked, bare = [], [], [], []
    with serving(home) as server, duckdb.connect(str(source), read_only=True) as connection:
        sent = httpx.post(f"http://127.0.0.1:{server.port}/v1/sessions/visit-1/events", json=[start, *events])
        sent.raise_for_status()
        sql = metrics.metric("orders").sql
        for _ in range(_rounds(setting)):
            documents.append(_asked(server, "/v1/sessions/visit-1", 20))
            static.append(_asked(server, "/health/live", 20))
            asked.append(_asked(server, "/metrics/orders", 1)["median_ms"])
            began = time.perf_counter()
            for _ in range(20):
                connection.execute(sql).fetchall()
            bare.append((time.perf_counter() - began) / 20 * 1000)
    rate, still = (median(one["answers"] / one["seconds"] for one in runs) for runs in (documents, static))
    found = [
        answer("A session of 20 events: documents/s against a static route", rate / still, 0.4, ">=", "x"),
        answer(
            f"`/metrics/orders` over {sessions / MB:g} M sessions against the bare query",
            median(asked) / median(bare),
            2,
            "<=",
            "x the time",
        ),
    ]
    note = (
        f"{rate:,.0f} documents a second, {still:,.0f} answers of the static route (`/health/live` of the same "
        f"server, 20 clients); the metric takes {median(asked):.0f} ms, its query alone {median(bare):.0f} ms."
    )
    print(f"    {note}", flush=True)
    return Case("Reading over HTTP", found, notes=[note])


def database(setting: Setting) -> Case:
    """The journal in PostgreSQL against the embedded one."""
    embedded, postgres = [], []
    with database_of_postgres() as store:
        for at in range(_rounds(setting)):
            with serving(setting.work / f"home-{at}") as server:
                embedded.append(streamed([server], 1000, 10))
            with serving(setting.work / f"home-pg-{at}", store) as server:
                postgres.append(streamed([server], 1000, 10, f"pg{at}"))
    ratio = median(one["messages"] for one in postgres) / median(one["messages"] for one in embedded)
    question = "1,000 connections x 10 events: the journal in PostgreSQL against the embedded one"
    note = (
        f"{median(one['messages'] for one in postgres) / SECONDS:,.0f} messages a second durable in PostgreSQL on the "
        f"same two cores, {median(one['messages'] for one in embedded) / SECONDS:,.0f} in SQLite."
    )
    print(f"    {note}", flush=True)
    rows = [_row("PostgreSQL", postgres), _row("SQLite", embedded)]
    return Case("The journal in PostgreSQL", [answer(question, ratio, 0.5, ">=", "x")], rows, [note])


def spread(setting: Setting) -> Case:
    """The same connections spread over one, two and four processes that share one PostgreSQL."""
    runs: dict[int, list[dict[str, Any]]] = {1: [], 2: [], 4: []}
    with database_of_postgres() as store:
        for at in range(_rounds(setting)):
            for processes, found in runs.items():
                with ExitStack() as stack:
                    homes = [setting.work / f"home-{at}-{processes}-{one}" for one in range(processes)]
                    servers = [stack.enter_context(serving(home, store)) for home in homes]
                    found.append(streamed(servers, 1000, 10, f"{at}-{processes}"))
    rate = {processes: median(one["messages"] for one in found) / SECONDS for processes, found in runs.items()}
    question = "1,000 connections x 10 events on one PostgreSQL: messages/s of {} processes against one"
    answers = [Answer(question.format(some), "none", f"{rate[some] / rate[1]:.2f}x", None) for some in (2, 4)]
    note = (
        f"{rate[1]:,.0f} messages a second by one process, {rate[2]:,.0f} by two, {rate[4]:,.0f} by four that share "
        "one PostgreSQL."
    )
    print(f"    {note}", flush=True)
    rows = [_row(f"{processes} of ours", found) for processes, found in runs.items()]
    return Case("Several processes on one PostgreSQL", answers, rows, [note])


def _rounds(setting: Setting) -> int:
    return min(3, setting.rounds)


def _asked(server: Server, path: str, connections: int) -> dict[str, Any]:
    command = words("asking", server.port, path, connections, SECONDS)
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def _row(name: str, runs: list[dict[str, Any]]) -> Row:
    """A line of the table: here seconds are those of a thousand messages."""
    seconds = [one["seconds"] / one["messages"] * 1000 for one in runs]
    cpu = median(one["cpu"] / one["messages"] * 1000 for one in runs)
    return Row(f"{name}, 1,000 messages", len(runs), median(seconds), min(seconds), max(seconds), cpu)
