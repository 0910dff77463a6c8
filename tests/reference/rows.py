"""CSV rows of the devices pipeline's two sources: a cell is judged as the text that it holds (sections 1.2 to 1.5)."""

from __future__ import annotations

import csv
import json

from tests.reference.ledger import Ledger
from tests.reference.presence import Event, Server, conflicting, merged, stream_order
from tests.reference.records import Accepted, Blank, Contract, Field, Rejected, judge, read_lines

EVENTS = Contract(
    (
        Field("occurred_at", ("timestamp",), "time", required=True),
        Field("device_id", ("device_id",), "integer", required=True),
        Field("user_id", ("user_id",), "integer", required=True),
        Field("server_id", ("server_id",), "integer", required=True),
        Field("connected", ("connected",), "boolean", required=True),
    )
)
SERVERS = Contract(
    (
        Field("id", ("id",), "integer", required=True),
        Field("created_at", ("created_at",), "time"),
        Field("destroyed_at", ("destroyed_at",), "time"),
    )
)
BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def judge_row(raw: bytes, contract: Contract) -> Accepted | Rejected | Blank:
    """Where one row ends, of a file without a header line whose columns are the contract's fields."""
    if not raw.strip():
        return Blank()
    try:
        ((*cells,),) = csv.reader([raw.decode()], strict=True)
    except UnicodeDecodeError:
        return Rejected("invalid_utf8")
    except csv.Error:
        return Rejected("bad_row")
    if len(cells) != len(contract.fields):
        return Rejected("bad_row")
    values: dict[str, str | bool | None] = {}
    for field, cell in zip(contract.fields, cells, strict=True):
        values[field.path[0]] = cell or None
        if field.type == "boolean":
            values[field.path[0]] = BOOLEANS.get(cell.lower(), cell or None)
    return judge(json.dumps(values).encode(), contract)


def read_rows(data: bytes, contract: Contract) -> tuple[Ledger, list[Event]]:
    """The rows that keep the contract, and a ledger that lacks what becomes of them."""
    ledger, rows = Ledger(), []
    for _, raw in read_lines(data):
        judged = judge_row(raw, contract)
        if isinstance(judged, Blank):
            ledger.blank += 1
            continue
        ledger.read += 1
        if isinstance(judged, Rejected):
            ledger.quarantined[judged.reason] += 1
        else:
            rows.append(judged.values)
    return ledger, rows


class Devices:
    """What is known after some runs: distinct events in any order, and all rows of servers."""

    def __init__(self) -> None:
        self.events: dict[tuple[int, ...], Event] = {}
        self.servers: list[Server] = []

    def run(self, events: bytes, servers: bytes, until: int | None = None) -> Ledger:
        """One run over both sources; its ledger."""
        ledger, read = read_rows(events, EVENTS)
        others, rows = read_rows(servers, SERVERS)
        ledger.read += others.read
        ledger.blank += others.blank
        ledger.quarantined += others.quarantined
        self._list(ledger, [(row["id"], row["created_at"], row["destroyed_at"]) for row in rows])
        known = merged(self.servers)
        for event in read:
            if until is not None and event["occurred_at"] > until:
                ledger.dropped["after_until"] += 1
            elif (key := (*stream_order(event), event["device_id"])) in self.events:
                ledger.duplicate += 1
            else:
                ledger.accepted += 1
                ledger.notes["unknown_server"] += event["server_id"] not in known
                self.events[key] = event
        ledger.notes = +ledger.notes
        return ledger

    def _list(self, ledger: Ledger, rows: list[Server]) -> None:
        """One row of each server is accepted once; the others are duplicates, and may conflict (semantics 3.4)."""
        new = {row[0] for row in rows} - {row[0] for row in self.servers}
        ledger.accepted += len(new)
        ledger.duplicate += len(rows) - len(new)
        ledger.notes["conflicting"] += conflicting(rows, self.servers)
        self.servers += rows
