"""Unique users: per minute and over the whole range, by HyperLogLog, or exactly, which takes more memory.

A range's users are the union of its minutes, never their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import ClassVar

from logstats import schema
from logstats.frames import pl
from logstats.sketches import hll
from logstats.summaries.aggregate import Aggregate, State
from logstats.summaries.names import USER_KEYS
from logstats.summaries.spec import ReportSpec
from logstats.summaries.traffic import minute


def user(key: str) -> pl.Expr:
    """The text that stands for a user; null where the line has none."""
    if key == "auto":
        return pl.coalesce("user_id", "client_ip")
    if key == "ip+agent":
        return pl.concat_str("client_ip", pl.col("user_agent").fill_null("-"), separator=" ")
    return pl.col(key)


def summarise(rows: pl.DataFrame, key: str, *, exact: bool) -> pl.DataFrame:
    """Requests of one chunk → (minute, user) pairs if exact, else (minute, register, rank)."""
    seen = rows.select(minute(), user(key).alias("user"))
    if seen["user"].null_count():
        seen = seen.drop_nulls("user")
    if exact:
        return schema.owned(seen.unique())
    # A minute that comes twice in a register is cheaper to add twice than to find.
    return pl.DataFrame([seen["minute"], *hll.hash_strings(seen["user"])])


def aggregates(spec: ReportSpec) -> Iterable[Aggregate]:
    """Part of every report."""
    count = partial(summarise, key=spec.user_key, exact=spec.exact_users)
    yield Aggregate("users", USER_KEYS[spec.user_key] | {"timestamp"}, count, state(spec))


def state(spec: ReportSpec) -> type[Users]:
    """The kind of state that counts users as they are asked for."""
    return ExactUsers if spec.exact_users else SketchedUsers


class Users(State):
    """What is held of the users."""

    in_parts = True  # they are long, and those of a chunk have its few minutes in order
    exact: ClassVar[bool]
    standard_error: ClassVar[float | None]

    def merge(self, other: Users) -> None:
        """Add what another one of this kind holds."""
        raise NotImplementedError

    def total(self) -> int:
        """Users of everything."""
        raise NotImplementedError

    def per_minute(self) -> pl.DataFrame:
        """(minute, users), in order."""
        raise NotImplementedError

    def per_step(self, step: int) -> pl.DataFrame:
        """(minute, users), in order: the union of each `step` minutes."""
        raise NotImplementedError


class SketchedUsers(Users):
    """Users by HyperLogLog: 16 KiB a minute at the most, standard error 0.81 %."""

    exact = False
    standard_error = 1.04 / 128

    def __init__(self) -> None:
        self._sketches = hll.MinuteSketches()
        self._whole: list[pl.DataFrame] = []  # (minute, users) of minutes that were read out as they came

    def add(self, table: pl.DataFrame) -> None:
        """Add the table of the next chunk, or of other sketches."""
        if table.height:
            self._sketches.add(table)

    def merge(self, other: Users) -> None:
        """Add what another one holds."""
        assert isinstance(other, SketchedUsers)
        self._sketches.merge(other._sketches)

    def condense(self) -> Iterator[pl.DataFrame]:
        """(minute, register, rank); a minute of null is the union of everything."""
        assert not self._whole, "`add_whole` keeps no registers"
        yield from self._sketches.to_rows()

    def forget(self, before: int) -> None:
        """Users of the minutes before one count in the total only."""
        self._sketches.forget(before)

    def add_whole(self, counted: pl.DataFrame, registers: hll.Registers) -> None:
        """Add some minutes that are complete: their (minute, users), in order, and the registers of all of them
        together (`hll.users_by_minute`).

        The registers of each minute are not kept; `per_step` and `condense` would need them.
        """
        self._sketches.raise_total(registers)
        self._whole.append(counted)

    def total(self) -> int:
        """Users of everything."""
        return self._sketches.total()

    def per_minute(self) -> pl.DataFrame:
        """(minute, users), in order."""
        return pl.concat([self._sketches.per_minute(), *self._whole]).sort("minute")

    def per_step(self, step: int) -> pl.DataFrame:
        """(minute, users), in order: the union of each `step` minutes."""
        return self._sketches.per_minute() if step == 1 else self._sketches.per_step(step)


class ExactUsers(Users):
    """Users counted one by one; memory grows with them."""

    exact = True
    standard_error = None

    def __init__(self) -> None:
        self._pairs: list[pl.DataFrame] = []
        self._pending = 0

    def add(self, table: pl.DataFrame) -> None:
        """Add the table of the next chunk, or of another count."""
        self._pairs.append(table)
        self._pending += table.height
        if self._pending > max(1_000_000, self._pairs[0].height):
            self._merge()

    def merge(self, other: Users) -> None:
        """Add what another one holds."""
        assert isinstance(other, ExactUsers)
        self.add(other._merge())

    def condense(self) -> Iterator[pl.DataFrame]:
        """(minute, user), in one piece."""
        yield self._merge()

    def forget(self, before: int) -> None:
        """Users of the minutes before one count in the total only."""
        known = self._merge()
        self._pairs = [known.with_columns(minute=pl.when(pl.col("minute") >= before).then("minute"))]
        self._merge()

    def _merge(self) -> pl.DataFrame:
        empty = pl.DataFrame(schema={"minute": pl.Int64, "user": pl.String})
        merged = pl.concat([empty, *self._pairs]).unique()
        self._pairs, self._pending = [merged], 0
        return merged

    def total(self) -> int:
        """Users of everything."""
        return self._merge()["user"].n_unique()

    def per_minute(self) -> pl.DataFrame:
        """(minute, users), in order."""
        return self._merge().drop_nulls("minute").group_by("minute").agg(users=pl.len().cast(pl.Int64)).sort("minute")

    def per_step(self, step: int) -> pl.DataFrame:
        """(minute, users), in order: the union of each `step` minutes."""
        stepped = self._merge().drop_nulls("minute").with_columns(pl.col("minute") // step * step)
        return stepped.group_by("minute").agg(users=pl.col("user").n_unique().cast(pl.Int64)).sort("minute")
