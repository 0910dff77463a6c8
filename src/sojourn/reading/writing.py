"""Writing what was read: a table here, a table there, to one Parquet file."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sojourn.pipeline import DERIVED

_REPEATING = {
    "name",
    "url",
    "referrer",
    "experiments",
    "user_agent",
    *(name for names in DERIVED.values() for name in names),
}
_ROW_GROUP = 16 << 20

Complete = Callable[[pa.Table], pa.Table]


class Writer:
    """A Parquet file that comes into being with its first row; small tables are gathered into row groups."""

    def __init__(self, path: Path, compression: str, complete: Complete = lambda table: table) -> None:
        self.path, self.compression, self.complete = path, compression, complete
        self.file: pq.ParquetWriter | None = None
        self.waiting: list[pa.Table] = []
        self.bytes_waiting = 0

    def write(self, table: pa.Table) -> None:
        """Add the rows of *table*."""
        if table.num_rows == 0:
            return
        self.waiting.append(table)
        self.bytes_waiting += table.nbytes
        if self.bytes_waiting > _ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write down what waits, and the end of the file."""
        self._flush()
        if self.file is not None:
            self.file.close()

    def _flush(self) -> None:
        if not self.waiting:
            return
        table = self.complete(pa.concat_tables(self.waiting))
        if self.file is None:
            self.file = pq.ParquetWriter(
                self.path,
                table.schema,
                compression=self.compression,
                use_dictionary=[name for name in table.column_names if name in _REPEATING],
                write_statistics=False,
                store_schema=False,  # texts are texts to whoever reads them, also those that a dictionary codes here
            )
        self.file.write_table(table)
        self.waiting, self.bytes_waiting = [], 0
