"""What a worker does with a shard: read it, and give back what it is made of.

What crosses processes is data: a `Task` and the sources of a shard in, an `Outcome` out. `read` runs in any process, on
any machine that has the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any, Final, Protocol

from logstats import __version__, schema
from logstats.dataclass import dataclass
from logstats.errors import LogstatsError, SourceError
from logstats.formats.detection.detect import Detected
from logstats.frames import pl
from logstats.inputs import Source
from logstats.options import Options, job_of
from logstats.pipeline import WORKERS, Counts, Job, Silence, run
from logstats.summaries import indicators, statistics
from logstats.summaries.indicators import INDICATORS, Indicator
from logstats.summaries.slowest import NAME as SLOWEST
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics, Summaries

HELD: Final = 10  # times as many keys as a report holds: which ones it keeps is known when all shards are merged


class Work(Protocol):
    """What is made of lines. A result of few lines, and the results of many, are of one type, and add up alike."""

    @property
    def needs(self) -> frozenset[str]: ...
    def work(self, rows: pl.DataFrame, source: str, first_line: int) -> Any: ...
    def condense(self, results: list[Any]) -> tuple[list[Any], list[str]]: ...
    def moved(self, result: Any, lines: int) -> Any: ...


def wide(spec: ReportSpec) -> ReportSpec:
    """What a shard holds of a report."""
    return replace(spec, max_endpoints=HELD * spec.max_endpoints)


def beyond(held: Statistics) -> list[str]:
    """What has to be said of the statistics of a shard: what is in `(other)`, though other shards may tell it apart."""
    rows = {one.name: one.rows for one in statistics.aggregates(held.spec)}
    found = ((name, *state.beyond()) for name, state in held.states.items())
    return [f"{n:,} {rows[name]} of {name} beyond {cap:,} count as {schema.OTHER}" for name, n, cap in found if n]


def moved(summaries: Summaries, lines: int) -> Summaries:
    """Summaries, with the single requests so many lines further down."""
    table = summaries.get(SLOWEST)
    if not lines or not isinstance(table, pl.DataFrame):
        return summaries
    return {**summaries, SLOWEST: table.with_columns(pl.col("line") + lines)}


@dataclass(frozen=True, slots=True)
class ReportWork:
    """The summaries of a report."""

    spec: ReportSpec

    @property
    def needs(self) -> frozenset[str]:
        """The schema columns that are read."""
        return statistics.needs(self.spec)

    def work(self, rows: pl.DataFrame, _source: str, _first_line: int) -> Any:
        """The summaries of a chunk."""
        return statistics.summarise(rows, self.spec)

    def condense(self, results: list[Any]) -> tuple[list[Any], list[str]]:
        """The summaries of all chunks together, and what has to be said of them."""
        held = Statistics(wide(self.spec))
        for result in results:
            held.add(result)
        condensed = list(held.condense())
        return condensed, beyond(held)

    def moved(self, result: Any, lines: int) -> Any:
        """The summaries, with the single requests so many lines further down."""
        return moved(result, lines)


@dataclass(frozen=True, slots=True)
class IndicatorWork:
    """Good and all requests of objectives."""

    wanted: tuple[Indicator, ...]

    @property
    def needs(self) -> frozenset[str]:
        """The schema columns that are read."""
        return indicators.needs(self.wanted)

    def work(self, rows: pl.DataFrame, _source: str, _first_line: int) -> Any:
        """INDICATORS of a chunk."""
        requests = rows.filter(pl.col("kind") == "request") if "kind" in rows.columns else rows
        return indicators.summarise(requests, dict(enumerate(self.wanted)))

    def condense(self, results: list[Any]) -> tuple[list[Any], list[str]]:
        """INDICATORS of all chunks together."""
        return [INDICATORS.merge([INDICATORS.empty(), *results])], []

    def moved(self, result: Any, _lines: int) -> Any:
        """The same: indicators know no line numbers."""
        return result


@dataclass(frozen=True, slots=True)
class RowsWork:
    """The rows themselves, with their sources and line numbers."""

    columns: tuple[str, ...]

    @property
    def needs(self) -> frozenset[str]:
        """The schema columns that are read."""
        return frozenset(self.columns)

    def work(self, rows: pl.DataFrame, source: str, first_line: int) -> Any:
        """The rows of a chunk, in order."""
        place = pl.col("line").cast(pl.Int64) + first_line
        chosen = schema.owned(rows.select(*self.columns, "line"))
        return chosen.sort("line").select(*self.columns, pl.lit(source).alias("source"), place.alias("line"))

    def condense(self, results: list[Any]) -> tuple[list[Any], list[str]]:
        """The same frames."""
        return results, []

    def moved(self, result: Any, lines: int) -> Any:
        """The rows, so many lines further down."""
        return result.with_columns(pl.col("line") + lines) if lines else result


@dataclass(frozen=True, slots=True)
class Task:
    """What to do with each shard, as data. `threads` parse, in chunks of so many bytes (0: as always)."""

    work: Work
    options: Options
    keep_rejected: bool = False
    chunk: int = 0
    threads: int = WORKERS
    version: str = __version__

    def job(self, counts: Counts) -> Job[Any]:
        """The job of a shard."""
        made = job_of(self.options, self.work.needs, self.work.work, self.keep_rejected, counts)
        report = self.work.spec if isinstance(self.work, ReportWork) else None
        return replace(made, chunk=self.chunk or made.chunk, workers=self.threads, report=report)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shard is made of, in the order of its lines; `events` are what a listener is to be told."""

    results: list[Any]
    counts: Counts
    events: list[tuple[Any, ...]]
    rejected: list[bytes]


@dataclass(slots=True)
class Recorder(Silence):
    """A listener that writes down what it is told, for one in another process."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def format_found(self, source: str, found: Detected) -> None:
        """Record it."""
        self.events.append(("format_found", source, found))

    def format_added(self, source: str, name: str, line: int) -> None:
        """Record it."""
        self.events.append(("format_added", source, name, line))

    def format_unknown(self, source: str) -> None:
        """Record it."""
        self.events.append(("format_unknown", source))

    def note(self, source: str, text: str) -> None:
        """Record it."""
        self.events.append(("note", source, text))

    def problem(self, error: SourceError) -> None:
        """Record it."""
        self.events.append(("problem", error))


def check_version(version: str) -> None:
    """Raise LogstatsError in a worker that has another version than the one that gave out the work."""
    if version != __version__:
        raise LogstatsError(
            f"a worker has logstats {__version__}, and the report is made by {version}",
            "install the same version on all of them",
        )


def read(task: Task, sources: Sequence[Source]) -> Outcome:
    """Read a shard. Raises what the options raise, and LogstatsError in a process of another version."""
    check_version(task.version)
    recorder, counts = Recorder(), Counts()
    results, rejected = [], list[bytes]()
    keep = rejected.extend if task.keep_rejected else None
    for part, _ in run(sources, task.job(counts), recorder, rejects=keep):
        if part.result is not None:
            results.append(part.result)
    condensed, said = task.work.condense(results)
    counts.notes += [f"{sources[0].name}: {text}" for text in said]
    return Outcome(condensed, counts, recorder.events, rejected)
