"""HyperLogLog, held against the `hyperloglog` package and against plain dicts of registers."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable

import hyperloglog
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logstats.kernels import library as kernels
from logstats.sketches import constants, hll
from logstats.sketches.hll import MinuteSketches

SCHEMA = {"minute": pl.Int64, "register": pl.UInt16, "rank": pl.UInt8}
Row = tuple[int | None, int, int]


def by_package(values: Iterable[str]) -> np.ndarray:
    """The registers of the package that was fed the same strings, one by one."""
    counter = hyperloglog.HyperLogLog(1.04 / 128)
    for value in values:
        counter.add(value)
    return counter.M.astype(np.uint8)


def registers_of(hashed: pl.DataFrame) -> np.ndarray:
    registers = np.zeros(16384, np.uint8)
    for register, rank in hashed.iter_rows():
        registers[register] = max(registers[register], rank)
    return registers


# -- hashing

HARD = [
    "",
    "é",
    "\\",
    "\\x00\\",
    "\x00",
    "a\x00b",
    "\x7f\x80\U0010ffff",
    "用户" * 7,
    *("x" * n for n in (15, 16, 23, 24, 31, 32, 33, 127, 128, 255, 256, 257, 65_535, 65_536, 70_001)),
    "é" * 16,  # 16 characters, but 32 bytes
    "用" * 22_000,  # below 65,536 characters, but not bytes
]


def test_the_constants_are_those_of_the_package() -> None:
    assert hyperloglog.const.tresholdData[constants.PRECISION - 4] == constants.LINEAR


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=12))
@example(HARD)
@example([f"10.0.{i // 256}.{i % 256}" for i in range(3000)])
def test_hashes_give_the_registers_of_the_package(values: list[str]) -> None:
    series = pl.Series("user", values, dtype=pl.String)
    hashed = hll.hash_strings(series)
    assert hashed.schema == {"register": pl.UInt16, "rank": pl.UInt8}
    assert np.array_equal(registers_of(hashed), by_package(values))


def test_a_row_for_each_value_in_the_order_of_the_input_also_for_many() -> None:
    values = [f"user-{i}" for i in range(10_000)] + HARD
    random.Random(1).shuffle(values)
    hashed = hll.hash_strings(pl.Series(values))
    assert hashed.height == len(values)
    for place in [*range(50), *(values.index(value) for value in HARD)]:
        single = by_package([values[place]])
        assert hashed.row(place) == (int(np.flatnonzero(single)[0]), int(single.max()))


def test_threads_may_hash_at_once() -> None:
    tables = [pl.Series([f"{n}-{i}" for i in range(5_000)]) for n in range(4)]
    found: dict[int, pl.DataFrame] = {}

    def work(number: int) -> None:
        for _ in range(3):
            found[number] = hll.hash_strings(tables[number])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, table in enumerate(tables):
        assert np.array_equal(registers_of(found[number]), by_package(table))


HYGIENE = """
import sys
import polars as pl
from logstats.sketches import constants, hll
hll.hash_strings(pl.Series([str(n) for n in range(20_000)]))
assert "duckdb" not in sys.modules
"""


def test_hashing_loads_no_database() -> None:
    done = subprocess.run([sys.executable, "-c", HYGIENE], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_null_has_no_register() -> None:
    assert hll.hash_strings(pl.Series(["a", None, "a"])).rows()[1] == (None, None)


def test_the_package_loads_nothing_by_itself() -> None:
    code = "import sys, logstats.sketches; sys.exit(bool({'polars', 'numpy', 'duckdb'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- estimates


def drawn(cardinality: int, seed: int) -> np.ndarray:
    """Registers as so many distinct values would leave them."""
    source = np.random.default_rng(seed)
    registers = np.zeros(16384, np.uint8)
    ranks = np.minimum(source.geometric(0.5, cardinality), 51).astype(np.uint8)
    np.maximum.at(registers, source.integers(0, 16384, cardinality), ranks)
    return registers


def card(registers: np.ndarray) -> int:
    counter = hyperloglog.HyperLogLog(1.04 / 128)
    counter.M = registers.astype(counter.M.dtype)
    return round(counter.card())


def test_estimates_are_those_of_the_package() -> None:
    # 11,500 is where linear counting ends, 81,920 where the bias correction does.
    sizes = [0, 1, 2, 3, 10, 100, 5000, *range(11_000, 12_100, 50), 20_000, 50_000, *range(79_000, 85_000, 500)]
    sizes += [100_000, 200_000]
    sketches = [drawn(size, seed) for seed, size in enumerate(sizes)]
    sketches += [np.full(16384, rank, np.uint8) for rank in (1, 2, 3, 4, 40)]  # no register is 0
    expected = [card(registers) for registers in sketches]
    assert [hll.estimate(registers) for registers in sketches] == expected
    ranks = np.stack([np.bincount(registers, minlength=64) for registers in sketches])
    assert hll.estimate_many(ranks).tolist() == expected
    assert hll.estimate_many(ranks[:0]).tolist() == []
    assert hll.estimate(np.full(16384, 51, np.uint8)) == 2**62  # forged: the package says 2^64 and more


# -- sketches per minute

#: (budget, max_minutes): roomy; everything compressed or in the file; one open and a little packed
BUDGETS = [256 << 20, 0, 20_000]


class Reference:
    """What `MinuteSketches` promises, as dicts."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.minutes: dict[int, dict[int, int]] = {}
        self.total: dict[int, int] = {}
        for minute, register, rank in rows:
            self.total[register] = max(rank, self.total.get(register, 0))
            if minute is not None:
                held = self.minutes.setdefault(minute, {})
                held[register] = max(rank, held.get(register, 0))


def dense(held: dict[int, int]) -> np.ndarray:
    registers = np.zeros(16384, np.uint8)
    for register, rank in held.items():
        registers[register] = rank
    return registers


def frame(rows: Iterable[Row]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


def sketches(*parts: list[Row], budget: int = BUDGETS[0], max_minutes: int = 1_000_000) -> MinuteSketches:
    made = MinuteSketches(budget=budget, max_minutes=max_minutes)
    for rows in parts:
        made.add(frame(rows))
    return made


def state(held: MinuteSketches) -> dict[int | None, bytes]:
    """Everything that can be read out, minute by minute; None is the whole."""
    stored: dict[int | None, bytes] = {None: held.total_registers.tobytes()}
    for minute in held.per_minute()["minute"]:
        stored[minute] = held.registers(minute).tobytes()
    return stored


def same(held: MinuteSketches, reference: Reference) -> None:
    assert np.array_equal(held.total_registers, dense(reference.total))
    users = held.per_minute()
    assert users.schema == {"minute": pl.Int64, "users": pl.Int64}
    assert users["minute"].to_list() == sorted(reference.minutes)
    for minute, estimated in users.iter_rows():
        registers = dense(reference.minutes[minute])
        assert np.array_equal(held.registers(minute), registers)
        assert estimated == card(registers)
    assert held.total() == card(dense(reference.total))


def busy(minute: int | None, count: int, seed: int) -> list[Row]:
    source = random.Random(seed)
    return [(minute, source.randrange(16384), min(51, 1 + int(source.expovariate(0.69)))) for _ in range(count)]


minute_numbers = st.sampled_from([None, -1, 0, 1, 29_000_000, -(2**40), 2**40])
few_rows = st.lists(st.tuples(minute_numbers, st.sampled_from([0, 1, 2, 16383]), st.integers(1, 51)), max_size=20)
busy_rows = st.builds(busy, minute_numbers, st.sampled_from([300, 3000]), st.integers(0, 3))
tables = st.one_of(few_rows, few_rows, busy_rows)


@pytest.mark.parametrize("budget", BUDGETS)
@settings(max_examples=20, deadline=None)
@given(st.lists(tables, max_size=8))
def test_registers_are_the_highest_ranks_wherever_they_are_kept(budget: int, parts: list[list[Row]]) -> None:
    same(sketches(*parts, budget=budget), Reference(row for rows in parts for row in rows))


@settings(max_examples=25, deadline=None)
@given(tables, tables, tables, st.sampled_from(BUDGETS))
def test_the_merge_laws(a: list[Row], b: list[Row], c: list[Row], budget: int) -> None:
    def of(*parts: list[Row]) -> MinuteSketches:
        return sketches(*parts, budget=budget)

    def merged(*many: MinuteSketches) -> MinuteSketches:
        first, *others = many
        for other in others:
            before = state(other)
            first.merge(other)
            assert state(other) == before  # the argument is untouched
        return first

    whole = state(of([*a, *b, *c]))
    assert state(merged(of(a), of(b), of(c))) == whole  # sharded equals whole
    assert state(merged(of(c), of(b), of(a))) == whole  # commutes
    assert state(merged(of(a), merged(of(b), of(c)))) == whole  # associates
    assert state(merged(of(a), of())) == state(merged(of(), of(a))) == state(of(a))  # identity
    assert state(merged(of(a), of(a))) == state(of(a))  # a union
    there_and_back = MinuteSketches.from_table(of(a, b).to_table(), budget=budget)
    assert state(there_and_back) == state(of(a, b))


def test_a_merged_sketch_shares_nothing_with_its_argument() -> None:
    other = sketches(busy(5, 5000, 1))
    held = sketches()
    held.merge(other)
    before = state(other)
    held.add(frame(busy(5, 5000, 2)))
    other.registers(5)[:] = 51
    assert state(other) == before


def test_a_table_has_the_whole_first_then_the_minutes_and_two_tables_are_a_merge() -> None:
    held = sketches([(7, 1, 3), (-2, 5, 1), (None, 9, 51)])
    table = pl.concat(held.to_table())
    assert table.schema == {"minute": pl.Int64, "registers": pl.Binary}
    assert table["minute"].to_list() == [None, -2, 7]
    assert list(table["registers"]) == [
        dense({1: 3, 5: 1, 9: 51}).tobytes(),
        dense({5: 1}).tobytes(),
        dense({1: 3}).tobytes(),
    ]
    more = sketches([(7, 1, 9), (8, 2, 2)])
    both = MinuteSketches.from_table([table, *more.to_table()])
    same(both, Reference([(7, 1, 3), (-2, 5, 1), (None, 9, 51), (7, 1, 9), (8, 2, 2)]))
    # Some minutes of a table, without the row of everything: the whole is their union.
    some = MinuteSketches.from_table([table.filter(pl.col("minute") > 0)])
    same(some, Reference([(7, 1, 3)]))


@pytest.mark.parametrize("stored", [None, b"", b"\x01" * 16383, b"\x01" * 16385, b"\x00" * 16383 + b"\x34"])
def test_registers_that_no_sketch_could_hold_are_refused(stored: bytes | None) -> None:
    table = pl.DataFrame({"minute": [3], "registers": [stored]}, schema={"minute": pl.Int64, "registers": pl.Binary})
    with pytest.raises(ValueError, match="minute 3: not 16384 registers"):
        MinuteSketches.from_table([table])


def test_minutes_beyond_the_cap_count_in_the_whole_only_and_are_said() -> None:
    held = sketches([(5, 1, 1), (1, 2, 2), (3, 3, 3), (9, 4, 4), (9, 5, 5)], [(1, 6, 6), (2, 7, 7)], max_minutes=2)
    assert held.per_minute().rows() == [(1, 2), (3, 1)]
    assert held.folded == 4
    assert held.total() == 7
    other = sketches([(1, 8, 8), (2, 9, 9)], max_minutes=2)
    other.merge(held)
    assert other.folded == 4 + 1  # and minute 3, which found no room
    assert other.per_minute().rows() == [(1, 3), (2, 1)]
    assert other.total() == 9


@given(st.integers(0, 16384), st.integers(0, 16384), st.integers(0, 2**32))
@example(2047, 0, 1)
@example(2048, 0, 1)
@example(16384, 2047, 1)
@example(16384, 2048, 1)
@example(16384, 16384, 1)
def test_packing(used: int, high: int, seed: int) -> None:
    """Every register is there again, in at most as many bytes, with the kernels and without."""
    random = np.random.default_rng(seed)
    registers: hll.Registers = np.zeros(16384, np.uint8)
    registers[:used] = random.integers(1, 16, used)
    registers[:high] = random.integers(16, 52, high)
    random.shuffle(registers)
    packed = hll.pack(registers)
    assert np.array_equal(hll._unpack(packed), registers)
    assert len(packed) <= 16384
    if kernels.AVAILABLE:
        assert kernels.pack(registers) == packed


def test_quiet_and_busy_minutes_stay_within_the_budget_and_the_file_within_its_minutes() -> None:
    held = MinuteSketches(budget=1 << 18)
    reference: dict[int, np.ndarray] = {}
    for turn in range(3):
        for minute in range(0, 150, 3):
            rows = [row for m in range(minute, minute + 3) for row in busy(m, 2500 if m % 2 else 40, turn * 1000 + m)]
            held.add(frame(rows))
            for m, register, rank in rows:
                assert m is not None
                one = reference.setdefault(m, np.zeros(16384, np.uint8))
                one[register] = max(one[register], rank)
    in_memory = 16384 * len(held._open) + sum(len(packed) for packed in held._packed.values())
    assert in_memory <= 1 << 18
    assert held._packed_bytes == sum(len(packed) + hll._ENTRY for packed in held._packed.values())
    assert held._file is not None
    assert held._file.seek(0, 2) <= 150 * 16384  # touching a minute again takes no new room
    assert all(np.array_equal(held.registers(m), registers) for m, registers in reference.items())


def test_forged_minutes_by_the_hundred_thousand() -> None:
    count = 100_000
    held = MinuteSketches()
    minutes = np.random.default_rng(1).permutation(count) - count // 2
    for start in range(0, count, 50_000):
        some = minutes[start : start + 50_000]
        held.add(pl.DataFrame({"minute": some, "register": some % 16384, "rank": some % 51 + 1}, schema=SCHEMA))
    users = held.per_minute()
    assert users["minute"].to_list() == list(range(-count // 2, count // 2))
    assert users["users"].unique().to_list() == [1]
    assert held._packed_bytes < 200 * count  # as counted, Python's own overhead included


@pytest.mark.parametrize("read", [MinuteSketches.per_minute, MinuteSketches.total, lambda held: list(held.to_table())])
def test_reading_out_changes_nothing(read: Callable[[MinuteSketches], object]) -> None:
    held = sketches(busy(1, 5000, 1), busy(2, 100, 2), busy(3, 5000, 3), budget=20_000)
    before = state(held)
    read(held)
    assert state(held) == before


@settings(max_examples=40, deadline=None)
@given(st.lists(tables, max_size=4), st.booleans())
def test_minutes_that_are_read_out_at_once(parts: list[list[Row]], compiled: bool) -> None:
    """In any order, and with registers that come several times, as in rollups of several commits."""
    rows = [row for part in parts for row in part if row[0] is not None]
    reference = Reference(rows)
    kinds = {"minute": pl.Int64, "register": pl.UInt16, "rank": pl.UInt8}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "AVAILABLE", compiled and kernels.AVAILABLE)
        users, registers = hll.users_by_minute(pl.DataFrame(rows, schema=kinds, orient="row"))
    assert np.array_equal(registers, dense(reference.total))
    assert users["minute"].to_list() == sorted(reference.minutes)
    assert users["users"].to_list() == [card(dense(reference.minutes[minute])) for minute in users["minute"]]
