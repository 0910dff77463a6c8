"""What a view is asked for, and its answers: queries over one pipeline's tables, narrowed to what was chosen."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from sojourn.charts.looks import Rows
from sojourn.charts.narrowing import narrowed
from sojourn.errors import SojournError, UsageError
from sojourn.loading import ready_pipelines, to_begin
from sojourn.pipeline import did_you_mean
from sojourn.store.base import Store
from sojourn.store.readings import Reading
from sojourn.web.dashboard import filters
from sojourn.web.dashboard.filters import Chosen

Found = TypeVar("Found")


@dataclass
class _Answer:
    """An answer, in a list that is empty until it was *found*."""

    found: list[Any] = field(default_factory=list)
    making: threading.Lock = field(default_factory=threading.Lock)


class Remembered:
    """The last answers, by what decides them: what a run published never changes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._answers: OrderedDict[object, _Answer] = OrderedDict()

    def get(self, key: object, make: Callable[[], Found]) -> Found:
        """The answer to *key*, made when it is not known; who asks meanwhile waits for it."""
        with self._lock:
            answer = self._answers.setdefault(key, _Answer())
            self._answers.move_to_end(key)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        with answer.making:
            if not answer.found:
                answer.found.append(make())
        known: Found = answer.found[0]
        return known


_rows = Remembered(200)


@dataclass(frozen=True)
class Scope:
    """What a view looks at: *tables* that it needs, those of *pipeline* where no other is asked for.

    *helpful* tables it shows where they are there; *column* the first table must have; *filters* it takes beside time
    (*has_times*).
    """

    pipeline: str
    tables: tuple[str, ...]
    helpful: tuple[str, ...] = ()
    column: str | None = None
    filters: tuple[str, ...] = ()
    has_times: bool = True


@dataclass(frozen=True)
class Asked:
    """A view's question: one *run* of a *pipeline*, its *tables* that concern the view, and what was *chosen*."""

    store: Store
    reading: Reading
    pipeline: str
    pipelines: tuple[str, ...]
    run_id: str
    tables: frozenset[str]
    chosen: Chosen = field(default_factory=Chosen)
    where: Mapping[str, str] = field(default_factory=dict)

    def key(self, where: Mapping[str, str]) -> tuple[object, ...]:
        """What decides an answer that rests on the rows *where* says."""
        return (self.store.home, self.store.address, self.pipeline, self.run_id, tuple(sorted(where.items())))

    def options(self, name: str) -> Rows:
        """The rows of the query *name* over everything, whatever was chosen: what there is to choose from."""
        return replace(self, where={}).rows(name)

    def rows(self, name: str, /, **values: object) -> Rows:
        """The rows of the query *name*, with *values* in its places (SQL, so quote what people write)."""
        sql = query(name)
        for place, value in values.items():
            sql = sql.replace(f"{{{place}}}", str(value))
        return self.answer(sql)

    def answer(self, sql: str) -> Rows:
        """The rows of *sql*, over what was chosen."""
        narrow = narrowed(sql, self.pipeline, sorted(self.tables), self.where)
        return _rows.get((*self.key(self.where), narrow), lambda: self.reading.query(narrow).read_all().to_pylist())


@contextmanager
def asked(store: Store, scope: Scope, params: Mapping[str, str]) -> Iterator[Asked]:
    """What *params*, the words of an address, ask of *scope*. Raises `SojournError` with what would work."""
    wanted = params.get("pipeline") or None
    with store.reading() as reading:
        pipelines = _able(reading, scope)
    pipeline = wanted or (scope.pipeline if scope.pipeline in pipelines else next(iter(pipelines), None))
    if pipeline is None or pipeline not in pipelines:
        raise _nothing(scope, pipeline, pipelines)
    with store.reading(pipeline) as reading:  # another one: names without a schema are this pipeline's tables
        own = {row["table"]: row["run_id"] for row in reading.published() if row["pipeline"] == pipeline}
        tables = frozenset(own).intersection({*scope.tables, *scope.helpful})
        chosen = filters.read(params, scope.filters)
        schemas = {table: _schema(reading, pipeline, table) for table in sorted(tables)} if chosen.words else {}
        where = filters.where(chosen, schemas)
        run_id = own[scope.tables[0]]
        yield Asked(store, reading, pipeline, tuple(pipelines), run_id, tables, chosen, where)


@cache
def query(name: str) -> str:
    """The text of the query *name*."""
    return (resources.files("sojourn.web.dashboard") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def _able(reading: Reading, scope: Scope) -> list[str]:
    """The pipelines that publish what *scope* needs."""
    tables: dict[str, set[str]] = {}
    for row in reading.published():
        tables.setdefault(row["pipeline"], set()).add(row["table"])
    able = [name for name, own in tables.items() if own.issuperset(scope.tables)]
    if scope.column is not None:
        able = [name for name in able if scope.column in _schema(reading, name, scope.tables[0]).names]
    return sorted(able, key=lambda name: (name != scope.pipeline, name))


def _schema(reading: Reading, pipeline: str, table: str) -> Any:
    return reading.table(pipeline, table, None, page=(0, 0)).read_all().schema


def _nothing(scope: Scope, wanted: str | None, pipelines: list[str]) -> SojournError:
    """What to do where there is nothing to show."""
    if wanted is not None and pipelines:
        said = f"{wanted} publishes nothing to show here{did_you_mean(wanted, pipelines)} "
        return UsageError("unknown_pipeline", f"{said}there are {', '.join(pipelines)}")
    name = wanted if wanted in ready_pipelines() else scope.pipeline
    return SojournError("not_published", to_begin(name or scope.pipeline))
