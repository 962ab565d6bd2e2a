"""Polars, loaded when the first frame is made.

It takes longer to load than a report over a small log takes otherwise, and such a report needs no frame: its lines are
counted in C, and its tables are read out as they come (`reports.small`). So modules on the way there take `pl` from
here, and ask nothing of it while they are imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["pl"]

if TYPE_CHECKING:
    import polars as pl
else:

    class _Deferred:
        """A module that is imported when it is first asked for something. Threads may share it."""

        def __getattr__(self, name: str) -> Any:
            import polars

            found = getattr(polars, name)
            setattr(self, name, found)  # from now on without this method
            return found

    pl = _Deferred()
