"""Shards on a Dask cluster (the extra `logstats[dask]`): the scheduler gives them to workers, and again if one dies.

Workers need the same version of logstats, and see the files under the same paths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from logstats.errors import LogstatsError, UsageError
from logstats.scale.calls import Call

RETRIES: Final = 2  # of a shard whose worker died
_POLL: Final = 0.1  # seconds after which a waiting caller looks whether it is interrupted
_CONNECT: Final = 10  # seconds that the scheduler may take to answer


class Cluster:
    """A client of a scheduler, such as tcp://HOST:8786."""

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError:
            raise UsageError("--cluster needs Dask", "pip install 'logstats[dask]'") from None
        client: Any = distributed.Client
        self._address = address
        try:
            self._client = client(address, timeout=_CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:  # a timeout is an OSError
            words = (str(error).splitlines() or [type(error).__name__])[0]
            raise LogstatsError(
                f"--cluster {address}: no scheduler answers: {words}", "start one with `dask scheduler`, and workers"
            ) from None
        self.workers = sum(self._client.nthreads().values())
        if not self.workers:
            self._client.close()
            raise LogstatsError(f"--cluster {address}: it has no workers", f"start some: dask worker {address}")

    def submit(self, call: Call) -> Any:
        """Give out a call."""
        return self._client.submit(call.function, *call.arguments, retries=RETRIES, pure=False)

    def result(self, ticket: Any, until: Callable[[], bool]) -> Any:
        """What a call gives; None if `until` says so first. Raises LogstatsError."""
        while not until():
            try:
                outcome = ticket.result(_POLL)
            except TimeoutError:
                continue
            except LogstatsError:
                raise
            except Exception as error:
                words = (str(error).splitlines() or [type(error).__name__])[0]
                raise LogstatsError(
                    f"--cluster {self._address}: a shard was not read: {words}",
                    "look into the log of its workers; they need logstats of the same version, and memory",
                ) from None
            ticket.release()
            return outcome
        return None

    def close(self) -> None:
        """Leave the cluster; what was given out is cancelled by that."""
        self._client.close()
