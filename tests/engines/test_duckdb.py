"""The connection to DuckDB."""

import subprocess
import sys

ASKED = """
from sojourn.engines.duckdb import connect
with connect() as connection:
    print(connection.execute("select current_setting('enable_progress_bar')").fetchall())
"""


def test_no_progress_bar_is_printed_where_python_runs_no_script() -> None:
    """DuckDB would draw one into standard output there, in the midst of what `--json` prints."""
    ended = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[(False,)]"
