"""`archive add`: sources → rows, rejects and rollups, in commits that say how far each source was read."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, TypeVar

import polars as pl
import pyarrow as pa

from logstats import memory, schema
from logstats.archive import layout, rollups
from logstats.archive.commits import Advance, Archive, ArchiveError, Commit, Conflict, Counts, End, Snapshot, Source
from logstats.archive.compact import compact
from logstats.archive.compare import are_stored
from logstats.archive.files import cannot_write
from logstats.archive.partitions import Partitions, to_arrow
from logstats.archive.sources import BlockDigest, Known, Place, Records, block_start, by_content, by_place, last_lines
from logstats.archive.sweep import sweep
from logstats.archive.workspace import Workspace
from logstats.errors import FormatError, LogstatsError, SourceError, UnknownFormatError
from logstats.filters import Filters
from logstats.formats import registry
from logstats.formats.convert import Reading
from logstats.formats.layout import Layout, parse
from logstats.inputs import OpenFile, Start
from logstats.inputs import Source as Input
from logstats.inputs.compression import Damaged, pieces
from logstats.pipeline import UNKNOWN, WORKERS, Interrupt, Job, Listener, Part, Silence, run

Result = TypeVar("Result")

COMMIT_ROWS: Final = 10_000_000  # of one commit: what a crash costs at the most is reading them again
COMMIT_SECONDS: Final = 60  # between commits of a pipe, whose lines cannot be read again
CHUNK: Final = 5 << 20
_WORKERS: Final = max(1, WORKERS - 1)  # the main thread sorts and writes, which takes as long as reading
_BUDGETS: Final = {layout.LOGS: 16 << 20, layout.REJECTS: 8 << 20}  # bytes in memory; of each rollup:
_BUDGET: Final = 2 << 20


@dataclass(slots=True)
class Outcome:
    """What became of one source: `counts` of what was added, after `known` lines that the archive had already.

    `left` are bytes of a last line that waits for its newline; `problem` is why it was not read, or not to its end.
    """

    name: str
    format: str | None = None
    known: int = 0
    counts: Counts = field(default_factory=Counts)
    left: int = 0
    problem: LogstatsError | None = None


@dataclass(slots=True)
class Added:
    """What an `add` did."""

    outcomes: list[Outcome] = field(default_factory=list)
    commits: list[int] = field(default_factory=list)
    interrupted: bool = False

    @property
    def counts(self) -> Counts:
        """What was added of all sources."""
        total = Counts()
        for outcome in self.outcomes:
            total += outcome.counts
        return total

    def failed(self, problems: Iterable[SourceError]) -> None:
        """Remember sources that could not even be opened."""
        self.outcomes += [Outcome(problem.source, problem=problem) for problem in problems]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a worker makes of a chunk."""

    logs: pa.Table
    rollups: dict[str, pa.Table]


@dataclass(frozen=True, kw_only=True)
class How:
    """How sources are read and known. `source_name` tells sources of one content apart; `duplicates` adds what is
    known once more; `final` takes a last line without its newline; `format` is given, or found out."""

    reading: Reading
    format: tuple[Layout, ...] | None = None
    formats_dir: Path | None = None
    source_name: str | None = None
    duplicates: bool = False
    final: bool = False
    commit_rows: int = COMMIT_ROWS
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def add(
    archive: Archive,
    sources: Sequence[Input],
    how: How,
    listener: Listener,
    interrupt: Interrupt | None = None,
) -> Added:
    """Add what the archive does not have yet of some sources; each line is in it once, whatever happens.

    A source that cannot be read, or whose format nobody knows, is told to the listener, and the others are still
    added. Raises LogstatsError if the archive cannot be read or written: then everything up to the last commit is in
    it, and running the same again adds the rest.
    """
    sweep(archive, how.now())
    with Workspace(archive) as workspace:
        added = _Adding(archive, workspace, sources, how, listener, interrupt or Interrupt()).all()
    if not added.interrupted:
        compact(archive, how.now())
    return added


def _taken(rows: pl.DataFrame, source: str, first_line: int) -> Taken:
    if not rows["line"].is_sorted():
        rows = rows.sort("line")
    place = (pl.col("line").cast(pl.Int64) + first_line).alias("line")
    logs = rows.select(*schema.COLUMNS, pl.lit(source).alias("source"), place)
    small = {table: to_arrow(rollup, table) for table, rollup in rollups.summarise(rows).items()}
    return Taken(to_arrow(logs, layout.LOGS), small)


@dataclass(slots=True)
class _Progress:
    """One source, since the last commit: from `known` to `end`."""

    id: str
    outcome: Outcome
    known: Known
    end: End
    digest: BlockDigest
    place: Place | None
    counts: Counts = field(default_factory=Counts)

    @property
    def moved(self) -> bool:
        """Whether anything was read."""
        return self.end.bytes > self.known.end.bytes

    def advance(self, label: str | None) -> Advance:
        """As a commit says it."""
        source, begun = self.known.source, len(self.known.digest.blocks) if self.known.digest else 0
        return Advance(
            id=self.id,
            name=self.outcome.name,
            label=label,
            format=self.outcome.format,
            parent=source.id if source is not None and source.id != self.id else None,
            start=(begun, self.known.end.bytes, self.known.end.lines),
            blocks=tuple(self.digest.blocks[begun:]),
            end=self.end,
            counts=self.counts,
            heads=tuple(self.digest.heads),
            places={self.place.key: (self.place.size, self.place.last)} if self.place else {},
        )


class _Adding:
    """An `add` at work."""

    def __init__(
        self,
        archive: Archive,
        workspace: Workspace,
        sources: Sequence[Input],
        how: How,
        listener: Listener,
        interrupt: Interrupt,
    ) -> None:
        self._archive, self._workspace, self._how = archive, workspace, how
        self._listener, self._interrupt = listener, interrupt
        self._sources = list(sources)
        self._tables = {t: Partitions(workspace, t, _BUDGETS.get(t, _BUDGET)) for t in layout.TABLES}
        self._job = _job(how, _taken)
        self._outcomes: dict[int, Outcome] = {}
        self._commits: list[int] = []
        self._progress: list[_Progress] = []
        self._begun: list[int] = []  # sources, since the last commit
        self._rows = self._ids = 0
        self._since = how.clock()
        self._look(archive.snapshot())

    def all(self) -> Added:
        """Add all sources."""
        left = deque(range(len(self._sources)))
        while True:
            try:
                while left and not self._interrupt.asked:
                    self._begun.append(left.popleft())
                    self._read(self._begun[-1])
                self._commit()
            except Conflict:
                left.extendleft(reversed(self._begun))
                self._forget()
            except BaseException:
                for table in self._tables.values():
                    table.abandon()
                raise
            else:
                outcomes = [self._outcomes[number] for number in sorted(self._outcomes)]
                return Added(outcomes, self._commits, self._interrupt.asked)

    def _look(self, snapshot: Snapshot) -> None:
        self._base = snapshot
        self._records = Records(snapshot.sources.values(), self._how.source_name)

    def _forget(self) -> None:
        """Drop what is not committed, as another `add` was faster, and look again."""
        pipe = next((self._sources[n] for n in self._begun if self._sources[n].size is None), None)
        for table in self._tables.values():
            table.abandon()
        self._workspace.discard()
        if pipe is not None:
            raise ArchiveError(
                f"{pipe.name}: another `archive add` took in what may be the same lines at the same time",
                "nothing was added from this pipe since the last commit: pipe it in again",
            )
        self._progress, self._begun, self._rows = [], [], 0
        self._look(self._archive.snapshot())

    # -- one source

    def _read(self, number: int) -> None:
        source = self._sources[number]
        outcome = self._outcomes.setdefault(number, Outcome(source.name))
        outcome.problem = None
        known, place, opened = self._identify(source)
        if known.within is not None and self._is_within(number, known, known.within, opened):
            known = Known(known.within, known.within.end, whole=True)
        outcome.known = known.end.lines - outcome.counts.lines
        if known.source is not None:
            outcome.format = known.source.format
        if known.whole and known.source is not None:
            self._seen(known.source, outcome, place)
            return
        progress = self._begin(known, outcome, place)
        start = Start(
            known.end.bytes,
            known.end.lines + 1,
            known.digest or BlockDigest(),
            self._how.final,
            self._format(outcome.format),
            known.end.directives,
            opened,
        )
        parts = run([replace(source, start=start)], self._job, self._listener, interrupt=self._interrupt)
        for part, read in parts:
            outcome.format = read.sources[-1].format
            if UNKNOWN in part.reasons:
                outcome.problem = UnknownFormatError(
                    f"{source.name}: no format reads these lines, nothing was added",
                    "name one with --format, or paste the server's own definition: --log-format '…'",
                )
                parts.close()
                self._progress.remove(progress)
                return
            self._take(part, progress)
            if self._rows >= self._how.commit_rows or (source.size is None and self._waited()):
                self._commit()
                self._begun = [number]
                progress = self._begin(self._continued(progress), outcome, place)
        state = self._job.counts.sources[-1]
        outcome.left = state.unfinished
        outcome.problem = state.problem
        if not progress.moved:
            self._progress.remove(progress)
            if progress.known.source is not None and not progress.known.branches:
                self._seen(progress.known.source, outcome, place)
            return
        self._records.put(self._applied(progress))

    def _begin(self, known: Known, outcome: Outcome, place: Place | None) -> _Progress:
        if known.source is not None and not known.branches:
            id = known.source.id
        else:
            id = f"{self._workspace.id}-{self._ids}"
            self._ids += 1
        progress = _Progress(id, outcome, known, known.end, known.digest or BlockDigest(), place)
        self._progress.append(progress)
        return progress

    def _continued(self, progress: _Progress) -> Known:
        """What is known of a source after a commit in its middle."""
        return Known(self._base.sources[progress.id], progress.end, progress.digest)

    def _seen(self, source: Source, outcome: Outcome, place: Place | None) -> None:
        """Remember where a source that is known lies, so that it need not be read again to be known."""
        if place is not None and source.places.get(place.key) != (place.size, place.last):
            digest = BlockDigest(source.blocks, block_start(source.end.bytes))
            progress = _Progress(source.id, outcome, Known(source, source.end, digest), source.end, digest, place)
            self._progress.append(progress)
            self._records.put(self._applied(progress))

    def _applied(self, progress: _Progress) -> Source:
        return progress.advance(self._how.source_name).applied(self._records.by_id)

    def _format(self, name: str | None) -> str | None:
        """How a source was read before, if formats of these names are still there."""
        try:
            return name if name and parse(name, registry.formats(self._how.formats_dir)) else None
        except FormatError:
            return None

    def _identify(self, source: Input) -> tuple[Known, Place | None, Replay | None]:
        """What is known of a source, where it lies, and a pipe as it was before anybody looked into it."""
        place = Place.of(source.path) if source.size is not None else None
        if self._how.duplicates:
            return Known(), place, None
        if place is not None and source.path is not None:
            known = by_place(source.path, place, self._records, final=self._how.final)
            if known is not None:
                return known, place, None
        try:
            opened = OpenFile(source)
        except OSError:  # whoever reads it says so
            return Known(), place, None
        if source.size is None:
            replay = Replay(opened, self._workspace.path)
            known = by_content(_readable(replay.read), self._records)
            replay.rewind()
            return known, place, replay
        with contextlib.closing(opened):
            return by_content(_readable(opened.read), self._records), place, None

    def _is_within(self, number: int, known: Known, longer: Source, opened: Replay | None) -> bool:
        """Whether the last lines of a source, which end within a block of a longer record, are those of the record."""
        if self._progress:  # the record may be of this very run, whose rows are to be compared
            self._commit()
            self._begun = [number]
        file = opened or OpenFile(self._sources[number])
        try:
            lines, first = last_lines(_readable(file.read), known.alike, final=self._how.final)
        finally:
            if opened is not None:
                opened.rewind()
            else:
                file.close()
        format = self._format(longer.format)
        if not lines or not (format or self._how.format):
            return True
        before = [end for end in longer.ends if end.bytes <= known.alike] or longer.ends[:1]
        start = Start(line=first, format=format, directives=before[-1].directives, opened=InMemory(lines))
        job = _job(self._how, _numbered)
        parts = [part for part, _ in run([Input(longer.name, None, start=start)], job, Silence())]
        rows = [part.result for part in parts if part.result is not None]
        rejected = [(line, raw) for part in parts for line, _, raw in part.rejected_lines]
        return are_stored(self._archive, self._base, rows, rejected)

    def _take(self, part: Part[Taken], progress: _Progress) -> None:
        if part.result is not None:
            self._tables[layout.LOGS].add(part.result.logs)
            for table, rows in part.result.rollups.items():
                self._tables[table].add(rows)
        if part.rejected_lines:
            self._tables[layout.REJECTS].add(_rejects(part.rejected_lines, progress.outcome.name, self._how.now()))
        assert isinstance(part.end.digest, BlockDigest)
        progress.end = End(part.end.bytes, part.end.lines, part.end.digest.tail, part.end.directives)
        progress.digest = part.end.digest
        rejected = sum(part.reasons.values())
        progress.counts += Counts(
            part.chunk_lines,
            part.chunk_bytes,
            part.requests,
            part.rows - part.requests,
            rejected,
            part.ignored,
            part.invalid_durations,
            part.reasons,
        )
        self._rows += part.rows + rejected

    # -- commits

    def _waited(self) -> bool:
        return self._how.clock() - self._since >= COMMIT_SECONDS

    def _commit(self) -> None:
        """Commit everything since the last time. Raises Conflict."""
        if self._progress:
            memory.give_back()  # what the chunks took; merging takes pieces of other sizes
            files = [file for table in self._tables.values() for file in table.finish()]
            self._workspace.keep(files)
            advances = tuple(progress.advance(self._how.source_name) for progress in self._progress)

            def made(snapshot: Snapshot) -> Commit:
                self._check(snapshot)
                return Commit(what="add", added=tuple(files), sources=advances)

            snapshot = self._archive.commit(made, self._workspace.folder)
            self._workspace.committed()
            for progress in self._progress:
                progress.outcome.counts += progress.counts
            self._commits.append(snapshot.number)
            self._look(snapshot)
        self._progress, self._begun, self._rows = [], [], 0
        self._since = self._how.clock()

    def _check(self, snapshot: Snapshot) -> None:
        """Raises Conflict if somebody else has read on one of our sources, or one that may be the same."""
        if snapshot.number == self._base.number or self._how.duplicates:
            return
        for theirs in snapshot.sources.values():
            before = self._base.sources.get(theirs.id)
            if theirs.label != self._how.source_name or (before is not None and before.ends == theirs.ends):
                continue
            for ours in self._progress:
                first = ours.digest.blocks[:1]
                if ours.id == theirs.id or not first or not theirs.blocks or first[0] == theirs.blocks[0]:
                    raise Conflict


def _rejects(lines: Sequence[tuple[int, str, bytes]], source: str, now: datetime) -> pa.Table:
    numbers, reasons, raw = zip(*lines, strict=True)
    columns = {
        "added": [now] * len(lines),
        "source": [source] * len(lines),
        "line": numbers,
        "reason": reasons,
        "raw": [line.removesuffix(b"\r") for line in raw],
    }
    return pa.table(columns, schema=layout.arrow_schema(layout.REJECTS))


def _readable(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The content of a file as far as it can be read."""
    with contextlib.suppress(Damaged, OSError):
        yield from pieces(read)


def _job(how: How, work: Callable[[pl.DataFrame, str, int], Result]) -> Job[Result]:
    reading = replace(how.reading, wanted=frozenset(schema.COLUMNS))
    return Job(
        reading,
        Filters(),
        work,
        how.format,
        how.formats_dir,
        keep_rejected=True,
        timed=True,
        chunk=CHUNK,
        workers=_WORKERS,
    )


def _numbered(rows: pl.DataFrame, source: str, first_line: int) -> pl.DataFrame:
    return rows.with_columns(pl.col("line").cast(pl.Int64) + first_line)


class InMemory(io.BytesIO):
    """Lines that are read as if they were a file."""

    pipe = False

    @property
    def read_bytes(self) -> int:
        """How far it was read."""
        return self.tell()


class Replay:
    """A pipe that was looked into: what was read of it is read once more, then the rest."""

    pipe = True

    def __init__(self, opened: OpenFile, folder: Path) -> None:
        self._opened, self._folder = opened, folder
        self._seen: IO[bytes] = tempfile.SpooledTemporaryFile(8 << 20, dir=str(folder))  # noqa: SIM115
        self._looking = True

    @property
    def read_bytes(self) -> int:
        """Bytes read of the pipe."""
        return self._opened.read_bytes

    def read(self, size: int) -> bytes:
        """Read on."""
        if self._looking:
            data = self._opened.read(size)
            try:
                self._seen.write(data)
            except OSError as error:  # what cannot be read again must not be passed over
                raise cannot_write(error, self._folder) from None
            return data
        return self._seen.read(size) or self._opened.read(size)

    def rewind(self) -> None:
        """Go back to its beginning."""
        self._looking = False
        self._seen.seek(0)

    def close(self) -> None:
        """Close it."""
        self._seen.close()
        self._opened.close()
