"""Reading what is published."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sojourn.engines.duckdb import DEFAULT_MEMORY, identifier


@dataclass(frozen=True)
class Limits:
    """What all readings of a process may take together: bytes of *memory*, and *threads*.

    Of more than two cores one stays free for whatever else the process does.
    """

    memory: int = DEFAULT_MEMORY
    threads: int = max(2, (os.cpu_count() or 1) - 1)


class Reading(ABC):
    """What is published at one moment: all its queries see the same runs. One result is read at a time."""

    row_order: str
    """The column that tells the order in which rows were made."""

    @abstractmethod
    def query(self, sql: str) -> pa.RecordBatchReader:
        """The result of a person's read-only query."""

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns."""
        return list(self.query(f"select * from {identifier(table)} limit 0").schema.names)

    def table(
        self,
        pipeline: str,
        table: str,
        order_by: Sequence[str] | None,
        where: str = "true",
        page: tuple[int, int] | None = None,
    ) -> pa.RecordBatchReader:
        """Rows of a published table, nulls first; rows that are equal there in the order they were made.

        *where*: an SQL condition that they meet. *page*: how many of them, after how many.
        """
        order = ", ".join(f"{identifier(key)} nulls first" for key in [*(order_by or ()), self.row_order])
        some = f" limit {page[0]} offset {page[1]}" if page is not None else ""
        source = f"{identifier(pipeline)}.{identifier(table)}"
        return self.query(f"select * from {source} where {where} order by {order}{some}")

    @abstractmethod
    def published(self) -> list[dict[str, Any]]:
        """Every published table, as `Store.published` lists them."""
