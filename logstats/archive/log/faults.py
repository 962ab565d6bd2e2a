"""Named steps at which tests inject failures.

Code that must not lose data calls `reach` before and after every step that cannot be undone. `reach` does nothing,
unless a test runs the code within `injected`, whose function may raise or end the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

STEPS: Final = (
    "write.begin",  # a data file is about to be written under its temporary name
    "write.written",  # all bytes are written, none is durable
    "write.synced",  # its bytes are durable, under the temporary name
    "compact.verified",  # the file that replaces small ones was read back, under its temporary name
    "tier.verified",  # a day's new files were read back and equal those they replace, under their temporary names
    "erase.verified",  # a day's new files without a person were read back, under their temporary names
    "write.renamed",  # the file has its final name
    "commit.ready",  # all data files are in place, the commit is not written
    "commit.written",  # the commit is durable under a temporary name
    "commit.appeared",  # the commit has its number: the archive has changed
    "replaced.moved",  # a file that the commit removed was moved aside, or was not there
    "commit.done",  # checkpoint and catalog are written, replaced files are moved aside
    "checkpoint.written",  # a checkpoint is durable under a temporary name
    "sweep.begin",  # files that no snapshot needs are about to be deleted
    "sweep.file",  # one of them was deleted
    "sweep.deleted",  # all of them were deleted, no commit records it yet
    "workspace.abandoned",  # the files of a dead writer were deleted, its folder is still there
)

_hook: ContextVar[Callable[[str], None] | None] = ContextVar("logstats_faults", default=None)


def reach(step: str) -> None:
    """Report that a step was reached; `step` is one of STEPS."""
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
