"""The newest rows, whole: for questions that figures by the minute cannot answer, such as those about one client."""

from __future__ import annotations

from collections import deque
from dataclasses import field, replace
from typing import Final

import polars as pl

from logstats import schema
from logstats.dataclass import dataclass
from logstats.live.clocks import MINUTE

_SMALL: Final = 20_000  # rows, below which what has come is joined with what comes next,
_FEW: Final = 64  # unless that makes so many pieces
_PIECES: Final = 16  # at least, of all that is held: one of them goes when there is no room


@dataclass(slots=True)
class HeldRows:
    """The last `most` rows, whatever their times are, with these `columns`."""

    most: int
    columns: tuple[str, ...]
    height: int = 0
    _frames: deque[pl.DataFrame] = field(default_factory=deque)
    _small: list[pl.DataFrame] = field(default_factory=list)
    _dropped: int | None = None  # the last minute of which rows were dropped

    def add(self, rows: pl.DataFrame) -> None:
        """The next rows."""
        if not self.most or not rows.height:
            return
        missing = [pl.lit(None, kind).alias(name) for name, kind in self._kinds(rows).items()]
        rows = rows.with_columns(missing).select(self.columns)
        if rows.height > self.most:
            self._forget(rows.head(rows.height - self.most))
            rows = rows.tail(self.most)
        self._small.append(schema.owned(rows))
        self.height += rows.height
        if len(self._small) >= _FEW or sum(frame.height for frame in self._small) >= _SMALL:
            whole = pl.concat(self._small, rechunk=True)
            self._small.clear()
            self._frames.extend(schema.owned(piece) for piece in whole.iter_slices(max(1, self.most // _PIECES)))
        while self.height > self.most:
            oldest = self._frames.popleft() if self._frames else self._small.pop(0)
            self._forget(oldest)
            self.height -= oldest.height

    def _kinds(self, rows: pl.DataFrame) -> dict[str, pl.DataType]:
        kinds = schema.dtypes()
        return {name: kinds[name] for name in self.columns if name not in rows.columns}

    def _forget(self, rows: pl.DataFrame) -> None:
        last = int(rows["timestamp"].to_physical().max()) // MINUTE  # type: ignore[arg-type]
        self._dropped = last if self._dropped is None else max(self._dropped, last)

    def drop_before(self, minute: int) -> None:
        """Let go of what is older than a minute."""
        while self._frames and int(self._frames[0]["timestamp"].to_physical().max()) < minute * MINUTE:  # type: ignore[arg-type]
            oldest = self._frames.popleft()
            self._forget(oldest)
            self.height -= oldest.height

    @property
    def reach(self) -> int | None:
        """The first minute of which all rows are held; None if none was dropped."""
        return None if self._dropped is None else self._dropped + 1

    def copy(self) -> HeldRows:
        """The same rows, for a thread that asks while others come."""
        return replace(self, _frames=self._frames.copy(), _small=self._small.copy())

    def between(self, since: int, until: int) -> pl.DataFrame:
        """The rows of `since` ≤ minute < `until`, with `line` as a number that grows."""
        frames = [_within(frame, since * MINUTE, until * MINUTE) for frame in [*self._frames, *self._small]]
        kinds = schema.dtypes()
        empty = pl.DataFrame(schema={name: kinds[name] for name in self.columns})
        return pl.concat([empty, *frames]).with_row_index("line")


def _within(rows: pl.DataFrame, since: int, until: int) -> pl.DataFrame:
    """The rows of `since` ≤ time < `until`, in µs since 1970; they are not copied if those are all."""
    inside = rows["timestamp"].to_physical().is_between(since, until, closed="left")
    return rows if inside.all() else rows.filter(inside)
