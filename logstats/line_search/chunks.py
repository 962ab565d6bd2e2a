"""The lines of a chunk that hold a pattern, those around them, and when they were written."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from logstats import schema
from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.line_search.pattern import Pattern
from logstats.pipeline import Lines

TIME: Final = pl.Datetime("us", "UTC")
# Of a line that was found, or stands around one: when the group of lines that it belongs to was written, the number of
# its source, its number there, whether it holds the pattern, and its bytes without the newline.
FOUND: Final = {
    "time": TIME,
    "place": pl.Int32(),
    "line": pl.Int64(),
    "found": pl.Boolean(),
    "raw": pl.Binary(),
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a chunk has: how many lines hold the pattern; these and the ones around them, with their own times (null
    before the first time of the chunk) and the columns that were asked for; its last time; its first and last lines."""

    count: int
    lines: pl.DataFrame
    first_time: datetime | None
    last_time: datetime | None
    head: list[bytes] = field(default_factory=list)
    tail: list[bytes] = field(default_factory=list)
    first: int = 0
    end: int = 0  # the number of the line after the last


@dataclass(frozen=True)
class Searcher:
    """Looks for a pattern (None: any line) in a chunk. Rows must pass the filters if it is `filtered`; then lines that
    are no rows are not found. `columns` of rows are kept, and `context` lines before and after; without `shown` lines
    are only counted."""

    pattern: Pattern | None
    filtered: bool
    columns: Sequence[str] = ()
    context: int = 0
    shown: bool = True

    def reads(self, data: bytes) -> bool:
        """Whether the lines have to be parsed."""
        if self.pattern is not None and not self.pattern.may_be_in(data):
            return False
        return self.filtered or self.shown

    def look(self, lines: Lines) -> Found:
        """What a chunk has of it; this runs in a worker."""
        text, rows = lines.text, lines.rows
        if rows is not None and not rows.height:  # which may have no columns, either
            kinds = schema.dtypes()
            rows = pl.DataFrame(schema={"line": pl.UInt32(), **{n: kinds[n] for n in ("timestamp", *self.columns)}})
        places = found = self._places(lines)
        end = lines.first + len(text)
        head = tail = []
        if self.context and self.shown:
            raw, most = lines.raw(), min(self.context, len(text))
            head = [raw.line(place) for place in range(most)]
            tail = [raw.line(place) for place in range(len(text) - most, len(text))]
            places = _around(places, self.context, len(text))
        first = last = None
        if rows is not None and self.shown:
            times = rows.select("line", "timestamp").drop_nulls().sort("line")
            if times.height:
                first, last = times["timestamp"][0], times["timestamp"][-1]
        shown = _nothing()
        if self.shown and len(places) and rows is not None:
            shown = self._shown(lines, rows, places, np.isin(places, found))
        return Found(len(found), shown, first, last, head, tail, lines.first, end)

    def _places(self, lines: Lines) -> NDArray[np.int64]:
        """Where the lines stand that are looked for."""
        text, rows = lines.text, lines.rows
        if self.pattern is not None and not self.pattern.may_be_in(lines.data):
            return np.empty(0, np.int64)
        if self.filtered:
            assert rows is not None
            among = rows["line"].cast(pl.Int64).unique().sort().to_numpy()
            if self.pattern is None or not len(among):
                return np.asarray(among)
            held: NDArray[np.int64] = among[self.pattern.matches(text.gather(among).lines).to_numpy()]
            return held
        if self.pattern is None:
            return np.arange(len(text))
        return np.flatnonzero(self.pattern.matches(text.lines))

    def _shown(
        self, lines: Lines, rows: pl.DataFrame, places: NDArray[np.int64], found: NDArray[np.bool_]
    ) -> pl.DataFrame:
        raw = lines.raw()
        frame = pl.DataFrame(
            {
                "line": pl.Series(places, dtype=pl.UInt32),
                "found": pl.Series(found, dtype=pl.Boolean),
                "raw": pl.Series([raw.line(place) for place in places.tolist()], dtype=pl.Binary),
            }
        )
        times = rows.select("line", time="timestamp").drop_nulls().sort("line")
        frame = frame.join_asof(times, on="line", check_sortedness=False)
        if self.columns:
            kept = schema.owned(rows.select("line", *self.columns).filter(pl.col("line").is_in(places)))
            frame = frame.join(kept.unique("line", keep="first"), on="line", how="left")
        place = pl.col("line").cast(pl.Int64) + lines.first
        return frame.select(place.alias("line"), "found", "raw", "time", *self.columns).sort("line")


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema={name: FOUND[name] for name in ("line", "found", "raw", "time")})


def _around(places: NDArray[np.int64], context: int, lines: int) -> NDArray[np.int64]:
    """The places and those that are at most so many lines from one."""
    steps = np.zeros(lines + 1, np.int64)
    np.add.at(steps, np.maximum(places - context, 0), 1)
    np.add.at(steps, np.minimum(places + context + 1, lines), -1)
    return np.flatnonzero(np.cumsum(steps[:lines]))


class SourceLines:
    """Joins what the chunks of one source have, in their order: lines around a line may stand in the chunk before or
    after it, and a line without a time has that of the line before."""

    def __init__(self, place: int, context: int) -> None:
        self._place, self._context = place, context
        self._time: datetime | None = None  # the last one
        self._before: deque[bytes] = deque(maxlen=context)
        self._owed = 0  # lines after the last that was found, of chunks to come
        self._shown = -1  # the last line that was shown
        self._group: datetime | None = None  # when the group of the last line that was shown was written

    def add(self, found: Found) -> pl.DataFrame:
        """The lines to show, with the columns of FOUND and those of `found.lines`."""
        time = pl.lit(self._time or found.first_time, TIME)
        lines = found.lines.with_columns(pl.col("time").fill_null(time))
        if self._context:
            lines = self._with_context(found, lines)
        if found.last_time is not None:
            self._time = found.last_time
        others = [name for name in lines.columns if name not in FOUND]
        placed = lines.with_columns(place=pl.lit(self._place, pl.Int32))
        return placed.select(pl.col(name).cast(kind) for name, kind in FOUND.items()).with_columns(
            placed.select(others).get_columns()
        )

    def _with_context(self, found: Found, lines: pl.DataFrame) -> pl.DataFrame:
        matched = lines.filter("found")["line"]
        extra: list[tuple[int, bytes]] = []
        if matched.len():
            wanted = self._context - (matched[0] - found.first)
            before = list(self._before)[-wanted:] if wanted > 0 else []
            extra += [(found.first - len(before) + n, raw) for n, raw in enumerate(before)]
        shown = set(lines["line"].to_list())
        extra += [(found.first + n, raw) for n, raw in enumerate(found.head[: self._owed])]
        extra = [(line, raw) for line, raw in extra if line not in shown and line > self._shown]
        if extra:
            more = pl.DataFrame(
                {"line": [n for n, _ in extra], "found": [False] * len(extra), "raw": [raw for _, raw in extra]},
                schema={name: FOUND[name] for name in ("line", "found", "raw")},
            )
            lines = pl.concat([lines, more], how="diagonal").sort("line")
        if matched.len():
            self._owed = max(self._context - (found.end - 1 - matched[-1]), 0)
        else:
            self._owed = max(self._owed - (found.end - found.first), 0)
        self._before.extend(found.tail)
        return self._grouped(lines) if lines.height else lines

    def _grouped(self, lines: pl.DataFrame) -> pl.DataFrame:
        """Lines one after another are a group, which stands where the first of those that were found belongs."""
        group = (pl.col("line").diff() != 1).fill_null(value=lines["line"][0] != self._shown + 1).cum_sum()
        time = pl.col("time").filter("found").drop_nulls().first().over(group)
        going_on = pl.when(group == 0).then(pl.lit(self._group, TIME))
        lines = lines.with_columns(time=pl.coalesce(going_on, time, "time", pl.lit(self._time, TIME)))
        self._shown, self._group = lines["line"][-1], lines["time"][-1]
        return lines
