"""Reading logs for a call: the sources that its arguments name, and the results of a run over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from logstats.inputs import Source, discover
from logstats.options import Options
from logstats.pipeline import Counts, Interrupt, Job, Listener, Result, Silence, run
from logstats.scale.results import results
from logstats.scale.work import Work

if TYPE_CHECKING:
    from logstats.errors import SourceError


def results_of(
    sources: Any,
    options: Options,
    work: Work,
    counts: Counts,
    listener: Listener | None,
    interrupt: Interrupt | None,
    rejects: Callable[[list[bytes]], None] | None,
) -> Iterator[Any]:
    """Yield the results of `work` on the chunks of sources, in order; `counts` is filled meanwhile."""
    listener = listener or Silence()
    found = sources_of(options.sources(sources), counts, listener)
    yield from results(found, options, work, counts, listener, interrupt=interrupt, rejects=rejects)
    if counts.span is not None and not counts.interrupted:
        say_if_outside(options, counts.span, counts.notes, listener)


def say_if_outside(
    options: Options, span: tuple[datetime, datetime], notes: list[str], listener: Listener | None
) -> None:
    """Report which times there are, if none of them is in the range of the options."""
    from logstats.reports.clock import Clock

    (first, last), (since, until) = span, options.filters().span()
    if (since is None or since <= last) and (until is None or until > first):
        return
    what, covered = "nothing is of the time asked for", f"there are lines of {Clock(options.zone()).span(first, last)}"
    notes.append(f"{what}: {covered}")
    if listener is not None:
        listener.note(what, covered)


def run_job(
    sources: Sequence[str], job: Job[Result], listener: Listener | None, interrupt: Any, rejects: Any
) -> Iterator[Any]:
    """Yield the parts of a job over sources, in order, with the counts so far."""
    listener = listener or Silence()
    yield from run(sources_of(sources, job.counts, listener), job, listener, interrupt=interrupt, rejects=rejects)


def sources_of(names: Sequence[str], counts: Counts, listener: Listener) -> list[Source]:
    """The sources that arguments name. Those that cannot be read are counted and reported."""
    found, problems = discover(names)
    for problem in problems:
        counts.failed(problem)
        listener.problem(problem)
    return found


class Strict(Silence):
    """A listener that raises the first problem of a source."""

    def problem(self, error: SourceError) -> None:
        """Raise the error."""
        raise error
