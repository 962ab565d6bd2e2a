"""SQL over one snapshot of an archive, in a DuckDB that can reach nothing else.

The connection has views over the files of the snapshot, and can open no other file, and these only as Parquet. It is
read-only because the user's text is never run as a statement: it is the argument of DuckDB's table function `query()`,
which takes one SELECT. So COPY, ATTACH, SET, PRAGMA or a second statement need not be forbidden one by one. (Switching
external access off would not be enough: `COPY` could still overwrite a file that may be read.) Memory and temporary
files are bounded, time can be, and extensions are not loaded.

A file that is replaced during a query is moved (see `archive.log.storage`); the query is then run again.
"""

from __future__ import annotations

import json
import queue
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import duckdb

from logstats.archive.log.commit import ArchiveError
from logstats.archive.publish import catalog
from logstats.archive.query import opened
from logstats.archive.query.opened import Opened
from logstats.critical import uninterrupted
from logstats.errors import LogstatsError, QueryError
from logstats.frames import pl

if TYPE_CHECKING:
    from logstats.archive.log.snapshot import Snapshot
    from logstats.archive.log.storage import Storage

Form = Literal["values", "text", "json"]
Row = tuple[Any, ...]
Piece = TypeVar("Piece")

_BATCH: Final = 1 << 16  # rows
_TICK: Final = 0.1  # seconds between reports of progress
_ISO: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_NUMBERS: Final = re.compile(r"boolean|u?(tinyint|smallint|integer|bigint)|hugeint|float|double|decimal")
# Types that Polars lacks are read as the text that DuckDB writes for them.
_STRANGE: Final = re.compile(r"\b(INTERVAL|BIT|MAP|UNION|VARIANT|UHUGEINT|BIGNUM|TIME WITH TIME ZONE)\b")
_SETTINGS: Final = {
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "errors_as_json": "true",
}
MEMORY: Final = 4 << 30  # bytes of memory for a query; on a smaller machine, DuckDB's own default
SPILL: Final = 32 << 30  # bytes of temporary files, or half of the free space if that is less
_READERS: Final = re.compile(r"(?:READ_|SNIFF_)(?!PARQUET)\w+")  # functions that read files other than Parquet
_TRIES: Final = 3


class Session:
    """A snapshot that can be queried. Use `session`, which closes it."""

    def __init__(self, files: Storage, snapshot: Snapshot, timeout: float | None = None) -> None:
        self._files, self._snapshot, self._timeout = files, snapshot, timeout
        self._stack = ExitStack()
        self._stop, self._late = threading.Event(), threading.Event()
        self._open()
        if timeout is not None:
            threading.Thread(target=self._watch, name="logstats-timeout", daemon=True).start()

    def _open(self) -> None:
        for left in reversed(range(_TRIES)):
            self._stack.close()
            self._places = catalog.data_files(self._files.scanned, self._snapshot)
            self._opened = Opened(self._files, self._snapshot)
            try:
                self._connection = self._stack.enter_context(connect(self._files, self._snapshot, self._opened.fetched))
                break
            except duckdb.Error as error:
                if not left or not self._moved(error):
                    raise
        self._opened.read_log(self._connection)

    def close(self) -> None:
        """Close the connection and delete its temporary files."""
        self._stop.set()
        self._stack.close()

    def _watch(self) -> None:
        if not self._stop.wait(self._timeout):
            self._late.set()
            while not self._stop.wait(_TICK):
                with suppress(duckdb.Error):
                    self._connection.interrupt()

    def _asked(self, before: str, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement over `query($sql)`. Raises QueryError."""
        for left in reversed(range(_TRIES)):
            try:
                return self._connection.execute(f"{before} FROM query($sql)", {"sql": sql}).fetchall()
            except duckdb.Error as error:
                if not left or not self._moved(error):
                    raise self._error(error, sql) from None
                self._open()
        raise AssertionError

    def columns(self, sql: str) -> list[tuple[str, str]]:
        """(name, DuckDB type) of each column of the result. Raises QueryError."""
        return [(row[0], row[1]) for row in self._asked("DESCRIBE", sql)]

    def explain(self, sql: str) -> str:
        """DuckDB's plan. Raises QueryError."""
        return "\n".join(str(text).rstrip() for _, text in self._asked("EXPLAIN", sql)) + "\n"

    def _moved(self, error: Exception) -> bool:
        """Whether a file could not be opened because it was replaced meanwhile, and has been moved."""
        if isinstance(error, duckdb.InterruptException):
            return False
        return catalog.data_files(self._files.scanned, self._snapshot) != self._places

    def _error(self, error: Exception, sql: str) -> LogstatsError:
        return self._too_late() if self._late.is_set() else self._opened.failed() or _query_error(error, sql)

    def _too_late(self) -> LogstatsError:
        return ArchiveError(
            f"the query took longer than {self._timeout:g} seconds and was stopped",
            "a condition on year, month, day and hour reads less; --timeout gives it more time",
        )

    def _only_parquet(self, sql: str) -> None:
        """Raise QueryError if a query reads files in another way than as Parquet."""
        ((_, plan),) = self._asked("EXPLAIN (FORMAT json)", sql)
        for name in re.findall(r'"name": "([^"]*)"', str(plan)):
            if _READERS.fullmatch(name.strip()):
                raise QueryError(
                    f"{name.strip().lower()} cannot be used: the files of an archive are read as Parquet only",
                    "the views are logs, traffic, latency, endpoints and users",
                )

    def run(
        self, sql: str, form: Form = "values", *, progress: Callable[[float], None] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Run the query and yield its rows in frames: at least one, which may be empty.

        The form `values` gives typed columns (types that Polars lacks, such as intervals, as text); `text` gives
        numbers and texts, with times in ISO 8601; `json` gives one column of JSON objects. `progress` is called with
        per cent now and then. Leaving the iterator, or Ctrl-C, cancels the query. Raises QueryError, and ArchiveError
        when the time is over.
        """
        self._only_parquet(sql)
        yield from self._pieces(_projected(self.columns(sql), form), sql, _frames, progress)

    def rows(
        self, sql: str, form: Literal["text", "json"], *, progress: Callable[[float], None] | None = None
    ) -> tuple[list[tuple[str, bool]], Iterator[list[Row]]]:
        """(the columns, each with whether it is of numbers; the rows, as lists of tuples). As `run` does, but without
        Polars, whose import takes longer than most queries."""
        self._only_parquet(sql)
        columns = self.columns(sql)
        numbers = [(name, _is_number(kind) and kind != "BOOLEAN") for name, kind in columns]
        return numbers, self._pieces(_projected(columns, form), sql, _tuples, progress)

    def _pieces(
        self,
        text: str,
        sql: str,
        fetch: Callable[[duckdb.DuckDBPyConnection, str, str], Iterator[Piece]],
        progress: Callable[[float], None] | None,
    ) -> Iterator[Piece]:
        """Run the query, again if files are moved before the first row was given."""
        given = rows = 0  # pieces and rows
        for left in reversed(range(_TRIES)):
            try:
                for number, piece in enumerate(self._fetched(text, sql, fetch, progress)):
                    if number >= given:
                        yield piece
                        given, rows = given + 1, rows + len(piece)  # type: ignore[arg-type]
                return
            except Exception as error:
                if not isinstance(error, duckdb.Error) and not type(error).__module__.startswith("pyarrow"):
                    raise
                if not left or not self._moved(error):
                    raise self._error(error, sql) from None
                if rows:
                    raise ArchiveError(
                        "files were replaced while they were read: what was given is not all of it",
                        "run it again",
                    ) from None
                self._open()

    def _fetched(
        self,
        text: str,
        sql: str,
        fetch: Callable[[duckdb.DuckDBPyConnection, str, str], Iterator[Piece]],
        progress: Callable[[float], None] | None,
    ) -> Iterator[Piece]:
        """Run the query in a thread of its own, so that this one can report progress and be interrupted."""
        pieces: queue.Queue[Piece | BaseException | None] = queue.Queue(maxsize=4)
        stop = threading.Event()

        def put(item: Piece | BaseException | None) -> None:
            while not stop.is_set():
                with suppress(queue.Full):
                    pieces.put(item, timeout=_TICK)
                    return

        def work() -> None:
            try:
                for number, piece in enumerate(fetch(self._connection, text, sql)):
                    if stop.is_set():
                        return
                    if number:  # the first has no rows
                        self._opened.check()
                    put(piece)
                self._opened.check(last=True)
                put(None)
            except BaseException as error:
                put(error)

        worker = threading.Thread(target=work, name="logstats-query", daemon=True)
        worker.start()
        try:
            while True:
                try:
                    item = pieces.get(timeout=_TICK)
                except queue.Empty:
                    if self._late.is_set():
                        raise self._too_late() from None
                    if progress is not None:
                        progress(self._connection.query_progress())
                    continue
                if item is None:
                    return
                if self._late.is_set():
                    raise self._too_late()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            while worker.is_alive():
                with suppress(duckdb.Error):  # the connection is closed: a signal has ended the reader
                    self._connection.interrupt()
                worker.join(_TICK)


def _frames(connection: duckdb.DuckDBPyConnection, text: str, sql: str) -> Iterator[pl.DataFrame]:
    """The result of a query as frames, first an empty one."""
    reader = connection.sql(text, params={"sql": sql}).to_arrow_reader(_BATCH)
    empty = pl.DataFrame(pl.from_arrow(reader.schema.empty_table()))
    yield empty
    for batch in reader:
        yield empty.vstack(pl.DataFrame(pl.from_arrow(batch)))


def _tuples(connection: duckdb.DuckDBPyConnection, text: str, sql: str) -> Iterator[list[Row]]:
    """The result of a query as lists of tuples, first an empty one."""
    yield []
    found = connection.execute(text, {"sql": sql})
    while rows := found.fetchmany(_BATCH):
        yield rows


def present(files: Storage, snapshot: Snapshot) -> tuple[Snapshot, list[str]]:
    """(the snapshot without its missing files, the paths of these), so that the rest can still be queried."""
    missing = files.missing(snapshot.files)
    left = {path: file for path, file in snapshot.files.items() if path not in missing}
    return replace(snapshot, files=left), missing


@contextmanager
def session(files: Storage, snapshot: Snapshot, timeout: float | None = None) -> Iterator[Session]:
    """Open a snapshot for queries, which may take `seconds` altogether."""
    opened = Session(files, snapshot, timeout)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def connect(
    files: Storage, snapshot: Snapshot, check: Callable[[str], None] = lambda _: None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the views and macros over a snapshot's files, which can open no other file.

    `check` is called with the path of a file that comes from a store, before it is read.

    Data that exceeds its memory goes to a temporary folder of its own; both are bounded.
    """
    with ExitStack() as stack:
        with uninterrupted():
            # The object deletes the folder even if `close` is never called: a signal may end this at any time.
            folder = tempfile.TemporaryDirectory(prefix="logstats-query-", ignore_cleanup_errors=True)
        spill = stack.enter_context(folder)
        room = min(SPILL, shutil.disk_usage(spill).free // 2)
        config: dict[str, str | bool | int | float | list[str]] = {
            **_SETTINGS,
            "temp_directory": spill,
            "max_temp_directory_size": f"{room}B",
        }
        connection = stack.enter_context(duckdb.connect(config=config))
        connection.execute("SET TimeZone = 'UTC'")
        if _bytes(connection) > MEMORY:  # DuckDB's default respects the limits of containers
            connection.execute(f"SET memory_limit = '{MEMORY}B'")
        named = cache(files.scanned)  # which looks at each part of a path
        paths = ", ".join(catalog.quoted(path) for path in catalog.data_files(named, snapshot))
        files.mount(connection, check)
        connection.execute(catalog.macros())
        for view in catalog.views(named, snapshot):
            connection.execute(view)
        connection.execute(opened.LOGGED)
        connection.execute(f"SET allowed_paths = [{paths}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def _bytes(connection: duckdb.DuckDBPyConnection) -> float:
    """DuckDB's default bound of memory, in bytes."""
    found = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    number, _, unit = str(found[0] if found else "0 bytes").partition(" ")
    return float(number) * float(1024 ** ("KMGT".find(unit[:1]) + 1))


def _projected(columns: Sequence[tuple[str, str]], form: Form) -> str:
    """A SELECT from `query($sql)` whose columns are converted to the `form`."""
    listed = ", ".join(f"{_column(name, kind, form)} AS {catalog.name(name)}" for name, kind in columns)
    rows = f"SELECT {listed} FROM query($sql)"
    return f"SELECT to_json(object)::VARCHAR AS json FROM ({rows}) AS object" if form == "json" else rows


def _column(column: str, kind: str, form: Form) -> str:
    column = catalog.name(column)
    base = kind.partition("(")[0].lower()
    nested = _is_nested(kind)
    if form == "values":
        return f"{column}::VARCHAR" if _STRANGE.search(kind) else column
    if not nested and base in ("timestamp", "timestamp with time zone"):
        # `%f` always writes six digits, which are removed from whole seconds.
        iso = f"replace(strftime({column}, '{_ISO}'), '.000000Z', 'Z')"
        return f"CASE WHEN isfinite({column}) THEN {iso} ELSE {column}::VARCHAR END"
    if form == "json":
        return f"CASE WHEN isfinite({column}) THEN {column} END" if base in ("float", "double") else column
    return column if _is_number(kind) else f"{column}::VARCHAR"


def _is_nested(kind: str) -> bool:
    return kind.endswith("]") or kind.partition("(")[0].lower() in ("struct", "map", "union", "variant")


def _is_number(kind: str) -> bool:
    """Whether a type of DuckDB is one of numbers, or BOOLEAN."""
    return not _is_nested(kind) and _NUMBERS.fullmatch(kind.partition("(")[0].lower()) is not None


def _query_error(error: Exception, sql: str) -> LogstatsError:
    """DuckDB's error, with places in the text that the user wrote."""
    raw = str(error)
    try:
        told: dict[str, Any] = json.loads(raw[raw.index("{") :])
    except ValueError:
        return ArchiveError(raw.partition("\n\nLINE ")[0])
    what = str(told.get("exception_message", raw))
    kind = str(told.get("exception_type", "DuckDB"))
    if what == "Expected a single SELECT statement":
        return QueryError(
            "only one SELECT can be run: an archive is read-only",
            "WITH, FROM, VALUES, DESCRIBE and SUMMARIZE are fine too; --out FILE writes what a query gives",
        )
    if kind in ("IO", "Permission", "HTTP", "Out of Memory", "INTERNAL") or ".parquet" in what:
        return ArchiveError(what)
    if "location" in told and what.find("\nLINE ") < 0:
        what += _caret(sql, *json.loads(told["location"]))
    return QueryError(f"{kind} Error: {what}")


def _caret(sql: str, position: int, length: int) -> str:
    """The line around a place (in bytes) in a text, with carets below it."""
    raw = sql.encode()
    start = raw.rfind(b"\n", 0, position) + 1
    number = raw.count(b"\n", 0, position) + 1
    line = raw[start:].split(b"\n")[0].decode(errors="replace").rstrip()
    before = len(raw[start:position].decode(errors="replace"))
    wide = max(1, len(raw[position : position + length].split(b"\n")[0].decode(errors="replace")))
    cut = max(0, before - 50)
    label = f"LINE {number}: {'…' if cut else ''}"
    return f"\n\n{label}{line[cut : cut + 90]}\n{' ' * (len(label) + before - cut)}{'^' * wide}"
