"""Sources → rows, rejects and rollups, in commits that also record how far each source was read."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from logstats import allocators, schema
from logstats.archive.archive import Archive
from logstats.archive.ingest import line_times, rollups
from logstats.archive.ingest.known_sources import (
    BlockDigest,
    Known,
    Place,
    Records,
    block_start,
    by_content,
    by_place,
    clashes,
    digest_after,
    is_refilled,
    last_lines,
    resumed,
)
from logstats.archive.ingest.overlap import first_missing
from logstats.archive.ingest.partition_writer import to_arrow
from logstats.archive.ingest.progress import Added, Outcome, SourceProgress
from logstats.archive.ingest.replay import InMemory, Replay, readable
from logstats.archive.ingest.table_writers import TableWriters
from logstats.archive.log import tables
from logstats.archive.log.commit import ArchiveError, Commit, Conflict, Counts, End, Source
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.log.writer import Workspace
from logstats.dataclass import dataclass
from logstats.enrich.computed import Columns
from logstats.enrich.privacy import Anonymizer
from logstats.errors import FormatError, SourceError, UnknownFormatError
from logstats.filters import Filters
from logstats.formats import registry
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.wrappers.stack import FormatStack, parse, shown
from logstats.frames import pl
from logstats.inputs import SOON, OpenFile, Start
from logstats.inputs import Source as Input
from logstats.inputs import opened as open_source
from logstats.pipeline import UNKNOWN, WORKERS, Interrupt, Job, Listener, Part, Silence, run

Result = TypeVar("Result")
COMMIT_ROWS: Final = 10_000_000  # of one commit: after a crash, at most these are read again
RETRIES: Final = 3  # of a file that is truncated and filled again while it is read
COMMIT_SECONDS: Final = 60  # between commits of a pipe, whose lines cannot be read again
CHUNK: Final = 10 << 20


@dataclass(frozen=True, slots=True)
class ParsedChunk:
    """The result of a worker for one chunk."""

    tables: dict[str, pa.Table]  # the rows, and rollups of them
    lines: NDArray[np.int64]  # the lines of the chunk that are rows, and …
    times: NDArray[np.int64]  # … their times, in µs since 1970


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """How sources are read and recognised. Sources with different `source_name`s are distinct even if their content is
    the same. `duplicates` adds known lines once more. `final` reads a last line without its newline. Without a
    `format`, it is detected."""

    reading: ReadOptions
    format: tuple[FormatStack, ...] | None = None
    formats_dir: Path | None = None
    source_name: str | None = None
    duplicates: bool = False
    final: bool = False
    anonymizer: Anonymizer | None = None
    columns: Columns = field(default_factory=Columns)  # says what the column `source` is
    commit_rows: int = COMMIT_ROWS
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def _parse_chunk(rows: pl.DataFrame, source: str, first_line: int) -> ParsedChunk:
    if not rows["line"].is_sorted():
        rows = rows.sort("line")
    place = (pl.col("line").cast(pl.Int64) + first_line).alias("line")
    logs = rows.select(*schema.COLUMNS, pl.lit(source).alias("source"), place)
    made = {tables.LOGS: logs, **rollups.summarise(rows, borrowed=True)}
    times = rows["timestamp"].to_physical().to_numpy()
    return ParsedChunk(
        {table: to_arrow(some, table) for table, some in made.items()}, rows["line"].cast(pl.Int64).to_numpy(), times
    )


class Ingest:
    """One run of `archive add`."""

    def __init__(
        self,
        archive: Archive,
        workspace: Workspace,
        sources: Sequence[Input],
        options: IngestOptions,
        listener: Listener,
        interrupt: Interrupt,
    ) -> None:
        self._archive, self._workspace, self._options = archive, workspace, options
        self._listener, self._interrupt = listener, interrupt
        self._sources = list(sources)
        self._writers = TableWriters(workspace)
        self._job = job_of(options)
        self._outcomes: dict[int, Outcome] = {}
        self._commits: list[int] = []
        self._progress: list[SourceProgress] = []
        self._begun: list[int] = []  # sources, since the last commit
        self._refilled: dict[int, int] = {}  # how often each source was truncated and filled again while it was read
        self._rows = self._ids = 0
        self._since = options.clock()
        self._look(archive.snapshot())

    def all(self) -> Added:
        """Add all sources."""
        with self._writers:
            return self._all()

    def _all(self) -> Added:
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
                self._writers.abandon()
                raise
            else:
                outcomes = [self._outcomes[number] for number in sorted(self._outcomes)]
                return Added(outcomes, self._commits, self._interrupt.asked)

    def _look(self, snapshot: Snapshot) -> None:
        self._base = snapshot
        self._records = Records(snapshot.sources.values(), self._options.source_name)

    def _forget(self) -> None:
        """Drop everything that is not committed, because another `add` was faster, and compare the sources with the
        archive again."""
        pipe = next((self._sources[n] for n in self._begun if self._sources[n].size is None), None)
        self._writers.abandon()
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
        if known.similar is not None:
            known = self._compared(number, known, known.similar, opened)
        outcome.known = known.end.lines - outcome.counts.lines
        if known.source is not None:
            outcome.format, outcome.spelling = shown(known.source.format), known.source.format
        if known.whole and known.source is not None:
            self._seen(known.source, outcome, place)
            return
        progress = self._begin(known, outcome, place, source.record)
        if source.start is not None:  # the lines before are another worker's
            progress.last_time = self._time_before(source, known, outcome.spelling)
        start = Start(
            known.end.bytes,
            known.end.lines + 1,
            known.digest or BlockDigest(),
            self._options.final,
            self._format(outcome.spelling),
            known.end.directives,
            opened,
        )
        states = self._job.counts.sources
        before_it = len(states)
        parts = run([replace(source, start=start)], self._job, self._listener, interrupt=self._interrupt)
        for part, read in parts:
            outcome.format, outcome.spelling = read.sources[-1].format, read.sources[-1].spelling
            if UNKNOWN in part.reasons and outcome.format is None:
                outcome.problem = UnknownFormatError(
                    f"{source.name}: no format reads these lines, nothing was added",
                    "name one with --format, or paste the server's own definition: --log-format '…'",
                )
                parts.close()
                self._listener.format_unknown(source.name)
                self._progress.remove(progress)
                return
            self._take(part, progress)
            if self._rows >= self._options.commit_rows or (source.size is None and self._waited()):
                self._check_beginning(number, progress)
                self._commit()
                self._begun = [number]
                before, progress = progress, self._begin(self._continued(progress), outcome, place, source.record)
                progress.last_time = before.last_time
        self._check_beginning(number, progress)
        for state in states[before_it:]:  # none, if an interrupt came just before
            outcome.left = state.unfinished
            outcome.problem = state.problem
        if not progress.moved:
            self._progress.remove(progress)
            if progress.known.source is not None and not progress.known.branches:
                self._seen(progress.known.source, outcome, place)
            return
        self._records.put(self._applied(progress))

    def _check_beginning(self, number: int, progress: SourceProgress) -> None:
        """Raise Conflict if a file was truncated and filled again while it was read, so that its beginning was not."""
        source = self._sources[number]
        if (
            source.path is None
            or progress.place is None
            or not is_refilled(source.path, progress.place, progress.digest)
        ):
            return
        self._refilled[number] = self._refilled.get(number, 0) + 1
        if self._refilled[number] > RETRIES:
            raise ArchiveError(
                f"{source.name} was truncated and filled again each time that it was read",
                "nothing of it was added since the last commit: add a copy of it",
            )
        self._listener.note(
            source.name,
            "was truncated and filled again while it was read: it is read again from its beginning; "
            "add the copy of what it held before, too",
        )
        raise Conflict

    def _begin(self, known: Known, outcome: Outcome, place: Place | None, record: str | None) -> SourceProgress:
        if known.source is not None and not known.branches:
            id = known.source.id
        elif record is not None:
            id = record
        else:
            id = f"{self._workspace.id}-{self._ids}"
            self._ids += 1
        progress = SourceProgress(id, outcome, known, known.end, known.digest or BlockDigest(), place)
        self._progress.append(progress)
        return progress

    def _continued(self, progress: SourceProgress) -> Known:
        """What the archive has of a source after a commit in its middle."""
        return Known(self._base.sources[progress.id], progress.end, progress.digest)

    def _seen(self, source: Source, outcome: Outcome, place: Place | None) -> None:
        """Record the place of a known source, so that the next run recognises it without reading it."""
        if place is not None and source.places.get(place.key) != (place.size, place.last):
            digest = BlockDigest(source.blocks, block_start(source.end.bytes))
            progress = SourceProgress(source.id, outcome, Known(source, source.end, digest), source.end, digest, place)
            self._progress.append(progress)
            self._records.put(self._applied(progress))

    def _applied(self, progress: SourceProgress) -> Source:
        return progress.advance(self._options.source_name).applied(self._records.by_id)

    def _format(self, name: str | None) -> str | None:
        """The format that a source was read with before, if formats of these names still exist."""
        try:
            return name if name and parse(name, registry.formats(self._options.formats_dir)) else None
        except FormatError:
            return None

    def _identify(self, source: Input) -> tuple[Known, Place | None, Replay | None]:
        """(what the archive has of a source, its place, and for a pipe, what reads it from its beginning)."""
        if source.record is not None and source.path is not None:
            record = self._records.by_id.get(source.record)
            if record is not None and (source.base or record.end.bytes <= (source.stop or 0)):
                return resumed(source.path, source.base, record, source.stop), None, None
            if record is None and source.name != "-":  # what is sent to a port is new; `docker logs -f` begins anew
                return Known(), None, None
        inode = source.path is not None and source.size is not None and source.record is None
        place = Place.locate(source.path) if inode else None
        if self._options.duplicates:
            return Known(), place, None
        if place is not None and source.path is not None:
            known = by_place(source.path, place, self._records, final=self._options.final)
            if known is not None:
                return known, place, None
        try:
            opened = open_source(source)
        except (OSError, SourceError):  # reading it reports the error
            return Known(), place, None
        if source.size is None and isinstance(opened, OpenFile):
            replay = Replay(opened, self._workspace.path)
            known = by_content(readable(replay.read), self._records)
            replay.rewind()
            return known, place, replay
        with contextlib.closing(opened):
            return by_content(readable(opened.read), self._records, place.key if place else ""), place, None

    def _compared(self, number: int, known: Known, similar: Source, opened: Replay | None) -> Known:
        """What the archive has of a source, after comparing its lines beyond the last matching block with those that
        were stored from the `similar` record."""
        if self._progress:  # the record may be of this run, whose rows must be committed to be compared
            self._commit()
            self._begun = [number]
        with self._from_start(number, opened) as content:
            lines, first, more = last_lines(content, known.alike, final=self._options.final)
        before = [end for end in similar.ends if end.bytes <= known.alike] or similar.ends[:1]
        start = Start(line=first, format=self._format(similar.format), directives=before[-1].directives)
        rows: list[pl.DataFrame] = []
        rejected: list[tuple[int, bytes]] = []
        if lines and (start.format or self._options.format):
            parts = self._parts(lines, start, similar.name)
            rows = [part.result for part in parts if part.result is not None]
            rejected = [(line, raw) for part in parts for line, _, raw in part.rejected_lines]
        elif known.cut and lines:  # nothing tells what they are
            more = True
        missing = first_missing(self._archive, self._base, rows, rejected)
        if missing is None and not more:
            return Known(similar, similar.end, whole=True)
        if not known.cut:
            return replace(known, similar=None)
        # The last line that was compared and is stored. Lines after it that are no rows may be new.
        compared = [*(line for part in rows for line in part["line"]), *(line for line, _ in rejected)]
        same = max((line for line in compared if missing is None or line < missing), default=first - 1)
        with self._from_start(number, opened) as content:
            digest = digest_after(content, same)
        if digest.offset <= known.end.bytes:
            return replace(known, similar=None)
        again = self._parts(b"\n".join([*lines.split(b"\n")[: same + 1 - first], b""]), start, similar.name)
        directives = again[-1].end.directives if again else start.directives
        return Known(similar, End(digest.offset, same, digest.tail, directives), digest)

    @contextlib.contextmanager
    def _from_start(self, number: int, opened: Replay | None) -> Iterator[Iterator[bytes]]:
        """The content of a source from its beginning."""
        if opened is not None:
            yield readable(opened.read)
            opened.rewind()
        else:
            with contextlib.closing(open_source(self._sources[number])) as file:
                yield readable(file.read)

    def _parts(self, lines: bytes, start: Start, name: str) -> list[Part[pl.DataFrame]]:
        """Some lines of a source, parsed."""
        source = Input(name, None, start=replace(start, opened=InMemory(lines)))
        return [part for part, _ in run([source], _job(self._options, _numbered), Silence())]

    def _time_before(self, source: Input, known: Known, spelling: str | None) -> int | None:
        """The time of the last row before the end of what is known of a plain file, in µs since 1970."""
        end = known.end.bytes
        size = min(end, SOON)
        if source.path is None or not size or not (form := self._format(spelling) or self._options.format):
            return None
        lines = b""
        with contextlib.suppress(OSError), source.path.open("rb") as file:  # (reading it reports the error)
            file.seek(end - size)
            _, _, lines = file.read(size).partition(b"\n")
        start = Start(format=form if isinstance(form, str) else None, directives=known.end.directives)
        rows = [part.result for part in self._parts(lines, start, source.name) if part.result is not None]
        times = [time for part in rows for time in part.sort("line")["timestamp"].to_physical()]
        return times[-1] if times else None

    def _take(self, part: Part[ParsedChunk], progress: SourceProgress) -> None:
        if part.result is not None:
            self._writers.add(part.result.tables)
        self._take_lines(part, progress)
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
            part.invalid.get("duration", 0),
            part.reasons,
            part.invalid,
        )
        self._rows += part.rows + rejected

    def _take_lines(self, part: Part[ParsedChunk], progress: SourceProgress) -> None:
        """Count all lines by their minute, and store the rejected ones whole."""
        assert part.line_bytes is not None
        nothing = np.zeros(0, np.int64)
        lines, times = (part.result.lines, part.result.times) if part.result is not None else (nothing, nothing)
        number, now = len(part.line_bytes), self._options.now()
        if not number:
            return
        instant = int(now.timestamp() * 1_000_000)
        around = line_times.of_lines(number, lines, times, progress.last_time, instant)
        of_line = around[0]
        first = part.end.lines - number + 1
        rejected, ignored = np.zeros(number, bool), np.ones(number, bool)
        ignored[lines] = False
        if part.rejected_lines:
            places = np.array([line - first for line, _, _ in part.rejected_lines], np.int64)
            raw = [whole for _, _, whole in part.rejected_lines]
            of_line[places] = line_times.of_rejects(places, raw, around, self._options.reading.zone)
            rejected[places], ignored[places] = True, False
            whole_lines = _rejects(part.rejected_lines, progress.outcome.name, now, of_line[places])
            self._writers.add({tables.REJECTS: whole_lines})
        name, form = progress.outcome.name, progress.outcome.format
        counted = line_times.by_minute(of_line, part.line_bytes, rejected, ignored, name, form)
        self._writers.add({tables.LINES: to_arrow(counted, tables.LINES)})
        if len(times):
            progress.last_time = int(times[-1])

    # -- commits

    def _waited(self) -> bool:
        return self._options.clock() - self._since >= COMMIT_SECONDS

    def _commit(self) -> None:
        """Commit everything since the last time. Raises Conflict."""
        if self._progress:
            allocators.trim()  # frees the memory of chunks: merging allocates other sizes
            files = self._writers.finish()
            self._workspace.keep(files)
            advances = tuple(progress.advance(self._options.source_name) for progress in self._progress)

            def made(snapshot: Snapshot) -> Commit:
                self._check(snapshot)
                return Commit(what="add", added=tuple(files), sources=advances)

            snapshot = self._archive.commit(made, self._workspace.folder)
            self._workspace.committed()
            for progress in self._progress:
                progress.outcome.counts += progress.counts
                progress.outcome.record, progress.outcome.tail = progress.id, block_start(progress.end.bytes)
            self._commits.append(snapshot.number)
            self._look(snapshot)
        self._progress, self._begun, self._rows = [], [], 0
        self._since = self._options.clock()

    def _check(self, snapshot: Snapshot) -> None:
        """Raise Conflict if another run has read further in one of these sources, or in one that may be the same."""
        if snapshot.number == self._base.number or self._options.duplicates:
            return
        known = self._base.sources
        theirs = {id for id, now in snapshot.sources.items() if id not in known or known[id].ends != now.ends}
        advances = [progress.advance(self._options.source_name) for progress in self._progress]
        if clashes(advances, theirs, snapshot.sources):
            raise Conflict


def _rejects(lines: Sequence[tuple[int, str, bytes]], source: str, now: datetime, times: NDArray[np.int64]) -> pa.Table:
    numbers, reasons, raw = zip(*lines, strict=True)
    columns = {
        "added": [now] * len(lines),
        "source": [source] * len(lines),
        "line": numbers,
        "reason": reasons,
        "raw": [line.removesuffix(b"\r") for line in raw],
        "timestamp": pa.array(times, pa.int64()).cast(pa.timestamp("us", "UTC")),
    }
    return pa.table(columns, schema=tables.arrow_schema(tables.REJECTS))


def job_of(options: IngestOptions) -> Job[ParsedChunk]:
    """What is made of each chunk."""
    return _job(options, _parse_chunk)


def _job(options: IngestOptions, work: Callable[[pl.DataFrame, str, int], Result]) -> Job[Result]:
    reading = replace(options.reading, wanted=frozenset(schema.COLUMNS))
    return Job(
        reading,
        Filters(),
        work,
        options.format,
        options.formats_dir,
        keep_rejected=True,
        timed=True,
        chunk=CHUNK,
        workers=WORKERS,
        anonymizer=options.anonymizer,
        columns=options.columns,
    )


def _numbered(rows: pl.DataFrame, source: str, first_line: int) -> pl.DataFrame:
    return rows.with_columns(pl.col("line").cast(pl.Int64) + first_line)
