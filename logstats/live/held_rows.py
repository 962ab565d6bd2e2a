"""The newest rows, whole: for questions that figures by the minute cannot answer, such as those about one client."""

from __future__ import annotations

from collections import deque
from dataclasses import field, replace
from typing import Final

from logstats import schema
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.live.clocks import MINUTE
from logstats.live.piece import Piece

_SMALL: Final = 20_000  # rows, below which what has come is joined with what comes next,
_FEW: Final = 64  # unless that makes so many pieces
_PIECES: Final = 16  # at least, of all that is held: one of them goes when there is no room


@dataclass(slots=True)
class HeldRows:
    """The last `most` rows, whatever their times are, with these `columns`."""

    most: int
    columns: tuple[str, ...]
    height: int = 0
    _pieces: deque[Piece] = field(default_factory=deque)
    _small: list[Piece] = field(default_factory=list)
    _new: list[pl.DataFrame] = field(default_factory=list)  # that nobody has asked for yet
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
        self._new.append(schema.owned(rows))
        self.height += rows.height
        small = [*(piece.rows for piece in self._small), *self._new]
        if len(small) >= _FEW or sum(rows.height for rows in small) >= _SMALL:
            whole = pl.concat(small, rechunk=True)
            self._small.clear()
            self._new.clear()
            slices = whole.iter_slices(max(1, self.most // _PIECES))
            self._pieces.extend(Piece(schema.owned(rows)) for rows in slices)
        while self.height > self.most:
            if self._pieces or self._small:
                oldest = (self._pieces.popleft() if self._pieces else self._small.pop(0)).rows
            else:
                oldest = self._new.pop(0)
            self._forget(oldest)
            self.height -= oldest.height

    def _kinds(self, rows: pl.DataFrame) -> dict[str, pl.DataType]:
        kinds = schema.dtypes()
        return {name: kinds[name] for name in self.columns if name not in rows.columns}

    def _forget(self, rows: pl.DataFrame) -> None:
        last = _last(rows)
        self._dropped = last if self._dropped is None else max(self._dropped, last)

    def drop_before(self, minute: int) -> None:
        """Let go of what is older than a minute."""
        while self._pieces and _last(self._pieces[0].rows) < minute:
            oldest = self._pieces.popleft().rows
            self._forget(oldest)
            self.height -= oldest.height

    @property
    def reach(self) -> int | None:
        """The first minute of which all rows are held; None if none was dropped."""
        return None if self._dropped is None else self._dropped + 1

    def copy(self) -> HeldRows:
        """The same rows, for a thread that asks while others come."""
        if self._new:
            self._small.append(Piece(pl.concat(self._new, rechunk=True)))
            self._new.clear()
        return replace(self, _pieces=self._pieces.copy(), _small=self._small.copy(), _new=[])

    def between(self, since: int, until: int) -> list[Piece]:
        """The rows of `since` ≤ minute < `until`, in one piece at least."""
        ends = since * MINUTE, until * MINUTE
        pieces = [piece.within(*ends) for piece in (*self._pieces, *self._small, *map(Piece, self._new))]
        kinds = schema.dtypes()
        return pieces or [Piece(pl.DataFrame(schema={name: kinds[name] for name in self.columns}))]


def _last(rows: pl.DataFrame) -> int:
    """The last minute of rows."""
    return int(rows["timestamp"].to_physical().max()) // MINUTE  # type: ignore[arg-type]
