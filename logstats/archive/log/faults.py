"""Named steps at which a test can make things go wrong.

Everything that promises to lose nothing calls `reach` before and after what cannot be taken back. It does nothing,
unless somebody runs the code within `injected`, whose function may raise, or end the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

STEPS: Final = (
    "write.begin",  # a data file is about to be written under its temporary name
    "write.written",  # all its bytes are, nothing is durable
    "write.synced",  # they are durable, under the temporary name
    "compact.verified",  # what small files were put together to was read back, under the temporary name
    "tier.verified",  # a day's new files were read back and are what they replace, under the temporary name
    "write.renamed",  # it has its name
    "commit.ready",  # all data files are in place, the commit is not written
    "commit.written",  # the commit is durable under a temporary name
    "commit.appeared",  # it has its number: the archive has changed
    "replaced.moved",  # a file that the commit removed lies aside, or was not there
    "commit.done",  # checkpoint and catalog are written, replaced files lie aside
    "checkpoint.written",  # a checkpoint is durable under a temporary name
    "sweep.begin",  # files that no snapshot needs are about to be deleted
    "sweep.file",  # one of them was
    "sweep.deleted",  # all of them were, no commit says so yet
    "workspace.abandoned",  # what a dead writer left was deleted, its folder is still there
)

_hook: ContextVar[Callable[[str], None] | None] = ContextVar("logstats_faults", default=None)


def reach(step: str) -> None:
    """Say that a step was reached; `step` is one of STEPS."""
    hook = _hook.get()
    if hook is not None:
        hook(step)


@contextmanager
def injected(hook: Callable[[str], None]) -> Iterator[None]:
    """Call `hook(step)` at every step that this context reaches."""
    token = _hook.set(hook)
    try:
        yield
    finally:
        _hook.reset(token)
