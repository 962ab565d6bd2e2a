"""What a report has of each minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.reports import json_text
from logstats.reports.lazy_rows import LazyRows, Row
from logstats.summaries.traffic import EPOCH, MINUTE_US, moment

Numbers = NDArray[np.int64]

_FIRST: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(minutes=1)
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute with requests in it."""

    minute: datetime
    requests: int
    errors: int
    bytes: int
    status_classes: dict[str, int]


class ByMinute(LazyRows[Row]):
    """Rows of minutes, in order."""

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.height

    def figures(self, name: str) -> tuple[Numbers, Numbers]:
        """(the minutes since 1970, within the years 1 to 9999; this figure of each)."""
        return self._table["minute"].clip(_FIRST, _LAST).to_numpy(), self._table[name].to_numpy()

    def _object(self) -> pl.Expr:
        """A row as a JSON object."""
        raise NotImplementedError

    @property
    def json(self) -> str:
        """As `json.dumps` writes a list of the rows as the JSON report has them."""
        return json_text.array(self._table.select(self._object()).to_series())


class Minutes(ByMinute[Minute]):
    """Requests by minute and class of status, of (minute, status_class, requests, bytes), in order."""

    def __init__(self, by_class: pl.DataFrame) -> None:
        digit, requests = pl.col("status_class"), pl.col("requests")
        digits = sorted(number for number in by_class["status_class"].unique().to_list() if number)
        self._names = [f"{number}xx" for number in digits]
        super().__init__(
            by_class.group_by("minute", maintain_order=True).agg(
                requests.sum(),
                requests.filter(digit == 5).sum().alias("errors"),
                pl.col("bytes").sum(),
                *(requests.filter(digit == number).sum().alias(f"{number}xx") for number in digits),
            )
        )

    def _made(self) -> list[Minute]:
        rows = []
        for minute, number, errors, size, *counts in self._table.iter_rows():
            by = {name: count for name, count in zip(self._names, counts, strict=True) if count}
            rows.append(Minute(moment(minute), number, errors, size, by))
        return rows

    def _object(self) -> pl.Expr:
        by_class = {name: pl.when(pl.col(name) != 0).then(pl.col(name)) for name in self._names}
        return json_text.object_of(
            {
                "minute": _iso(),
                **{name: pl.col(name) for name in ("requests", "errors", "bytes")},
                "status_classes": json_text.object_of_some(by_class),
            }
        )


class UsersByMinute(ByMinute[tuple[datetime, int]]):
    """Users by minute, of (minute, users), in order."""

    def _made(self) -> list[tuple[datetime, int]]:
        return [(moment(minute), users) for minute, users in self._table.iter_rows()]

    def _object(self) -> pl.Expr:
        return json_text.object_of({"minute": _iso(), "users": pl.col("users")})


def in_columns(rows: Sequence[Minute] | Sequence[tuple[datetime, int]], name: str) -> tuple[Numbers, Numbers]:
    """As `ByMinute.figures`, also of rows that are a list: of minutes one figure, of (minute, users) the users."""
    if isinstance(rows, ByMinute):
        return rows.figures(name)
    pairs = [row if isinstance(row, tuple) else (row.minute, getattr(row, name)) for row in rows]
    minutes = [(minute - EPOCH) // timedelta(minutes=1) for minute, _ in pairs]
    return np.array(minutes, np.int64), np.array([value for _, value in pairs], np.int64)


def _iso() -> pl.Expr:
    """`minute` as `model.iso` writes it, as JSON."""
    minute = pl.col("minute")
    within = (minute.clip(_FIRST, _LAST) * MINUTE_US).cast(pl.Datetime("us")).dt.strftime('"%Y-%m-%dT%H:%M:%SZ"')
    last = f'"{datetime.max.isoformat()}Z"'
    return pl.when(minute > _LAST).then(pl.lit(last)).otherwise(within)
