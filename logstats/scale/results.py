"""Where lines are read: in this process, in several, or on a cluster. The results are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logstats.inputs import Source
from logstats.options import Options
from logstats.pipeline import Counts, Interrupt, Listener, run
from logstats.scale.cores import cores
from logstats.scale.work import RowsWork, Task, Work

if TYPE_CHECKING:
    from logstats.scale.calls import Executor
    from logstats.scale.run import Rejects

PAYS: Final = 512 << 20  # bytes of lines for each process: its start takes as long as reading 50 to 100 MB
_FILES: Final = ("formats_dir", "openapi", "anonymize_key")  # options that name files: another process is elsewhere
_WHOLE: Final = 48 << 20  # bytes of a shard whose rows or rejected lines come back as they are


def results(
    sources: Sequence[Source],
    options: Options,
    work: Work,
    counts: Counts,
    listener: Listener,
    *,
    interrupt: Interrupt | None = None,
    rejects: Rejects | None = None,
) -> Iterator[Any]:
    """What is made of the lines of some sources, in order; `counts` are complete when the last result is taken."""
    task = Task(work, options, rejects is not None)
    executor = _executor(sources, options)
    if executor is None:
        for part, _ in run(sources, task.job(counts), listener, interrupt=interrupt, rejects=rejects):
            if part.result is not None:
                yield part.result
        return
    from logstats.scale.run import run_shards
    from logstats.scale.shards import LARGEST, shards

    fixed = at_this_moment(options)
    job = task.job(Counts())
    task = replace(task, options=fixed, chunk=job.chunk, threads=1)
    whole = isinstance(work, RowsWork) or rejects is not None
    cut = shards(sources, job, executor.workers, largest=_WHOLE if whole else LARGEST)
    yield from run_shards(cut, task, executor, counts, listener, interrupt=interrupt, rejects=rejects)


def at_this_moment(options: Options) -> Options:
    """The options for all workers: a time such as 2h is that of this moment, and files have whole paths."""
    files: dict[str, Any] = {
        name: Path(path).absolute() for name in _FILES if (path := getattr(options, name)) is not None
    }
    now = options.now or datetime.now(UTC)
    return replace(options, now=now, workers=1, cluster=None, **files)


def _executor(sources: Sequence[Source], options: Options) -> Executor | None:
    """Where shards are read; None for this process alone."""
    if options.cluster:
        from logstats.scale.cluster import Cluster

        return Cluster(options.cluster)
    workers = options.workers or cores() // 2
    if workers > 1 and not options.workers:
        from logstats.scale.shards import size_of

        workers = min(workers, size_of(sources) // PAYS)
    if workers <= 1:
        return None
    from logstats.scale.processes import Processes

    return Processes(workers)
