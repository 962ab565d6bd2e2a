"""Where calls are done: in so many processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from logstats.scale.calls import Executor


@contextmanager
def started(workers: int, cluster: str | None = None) -> Iterator[Executor | None]:
    """So many processes, or a cluster, until the context is left; None for this process alone. Raises UsageError and
    LogstatsError."""
    executor: Executor | None = None
    if cluster:
        from logstats.scale.cluster import Cluster

        executor = Cluster(cluster)
    elif workers > 1:
        from logstats.scale.processes import Processes

        executor = Processes(workers)
    try:
        yield executor
    finally:
        if executor is not None:
            executor.close()
