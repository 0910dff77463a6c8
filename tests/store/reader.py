"""A reader in a process of its own: looks at what is published until its standard input closes.

    python -m tests.store.reader HOME URL|-

For each change it prints the number of sessions; at the end, as JSON, how often it looked, and what was wrong: an
error, tables that are not of one run, or a run older than the one seen before.
"""

import json
import sys
from select import select
from typing import Any

from sojourn.errors import SojournError
from sojourn.store.base import Store
from sojourn.store.opening import open_store

ONE_STATEMENT = """
select (select count(*) from webshop.sessions) as rows,
       (select sum(sessions) from webshop.session_durations_by_referrer) as summed,
       (select max(run_id) from sojourn.runs where status = 'done') as run
"""


def look(store: Store) -> tuple[int, int, str]:
    """Sessions as they are and as they are summed up, and the latest run; by one statement, and by two."""
    with store.reading("webshop") as reading:
        one: dict[str, Any] = reading.query(ONE_STATEMENT).read_all().to_pylist()[0]
        again = reading.query("select sum(sessions) as n from webshop.session_durations_by_referrer").read_all()
    if int(again["n"][0].as_py()) != one["rows"]:
        return one["rows"], int(again["n"][0].as_py()), one["run"]
    return one["rows"], int(one["summed"]), one["run"]


def main() -> None:
    """Look until there is no more standard input."""
    store = open_store(sys.argv[1], None if sys.argv[2] == "-" else sys.argv[2])
    looks, faults, seen = 0, [], (0, "")
    while not select([sys.stdin], [], [], 0)[0]:
        try:
            rows, summed, run = look(store)
        except SojournError as error:
            faults.append(error.message)
            break
        looks += 1
        if rows != summed:
            faults.append(f"{rows} sessions, summed up as {summed}")
        if (rows, run) != seen:
            print(rows, flush=True)
            if run < seen[1]:
                faults.append(f"{run} came after {seen[1]}")
            seen = (rows, run)
    print(json.dumps({"looks": looks, "faults": faults[:10]}), flush=True)


if __name__ == "__main__":
    main()
