"""Reading what is published."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sojourn.engines.duckdb import identifier


@dataclass(frozen=True)
class Limits:
    """What all readings of a process may take together: bytes of *memory*, and *threads*.

    Of more than two cores one stays free for whatever else the process does.
    """

    memory: int = 640_000_000
    threads: int = max(2, (os.cpu_count() or 1) - 1)


class Reading(ABC):
    """What is published at one moment: all its queries see the same runs. One result is read at a time."""

    @abstractmethod
    def query(self, sql: str) -> pa.RecordBatchReader:
        """The result of a person's read-only query."""

    @abstractmethod
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

    @abstractmethod
    def published(self) -> list[dict[str, Any]]:
        """Every published table, as `Store.published` lists them."""


def table_query(pipeline: str, table: str, order_by: Sequence[str], where: str, page: tuple[int, int] | None) -> str:
    """The SQL of `Reading.table`; *order_by* ends with what tells the order in which rows were made."""
    order = ", ".join(f"{identifier(key)} nulls first" for key in order_by)
    some = f" limit {page[0]} offset {page[1]}" if page is not None else ""
    return f"select * from {identifier(pipeline)}.{identifier(table)} where {where} order by {order}{some}"
