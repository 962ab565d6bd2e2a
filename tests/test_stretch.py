"""Stretches of time on the served page: figures are those of a report, and asking for one keeps no line waiting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds import examples

import logstats
from logstats import api, schema
from logstats.live import stretch, windows
from logstats.live.piece import Piece, first_of
from logstats.live.serve import desk as desks
from logstats.live.serve.view import View
from logstats.live.session import Session
from logstats.live.watching import Watching
from logstats.pipeline import Counts
from logstats.reports.build import build

NOON = datetime(2025, 1, 17, 12, tzinfo=UTC)
MINUTE = int(NOON.timestamp()) // 60
FIGURES = ("requests", "status", "latency_ms", "endpoints", "unique_users", "minutes")


def write(path: Path, *seconds: int) -> None:
    with path.open("a") as file:
        for second in seconds:
            at = NOON + timedelta(seconds=second)
            request = f'"GET /{second % 5} HTTP/1.1" {500 if second % 11 == 0 else 200} 10 "-" "curl"'
            client = f"10.0.{second % 7}.{second % 3}"
            file.write(f"{client} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] {request} {second % 13 / 1000:.3f}\n")


@pytest.mark.parametrize("whole", [1, 500])
def test_stretches_are_reports_while_minutes_close_and_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int
) -> None:
    """Asked for minute by minute, prepared or not, also after lines of a source that was silent came to closed ones."""
    for module in (windows, stretch):
        monkeypatch.setattr(module, "FEW", 3)  # most minutes are held as summaries,
    monkeypatch.setattr(windows, "_WHOLE", whole)  # some of chunks as they are
    logs, now = [tmp_path / "a.log", tmp_path / "b.log"], [0.0]
    watching = Watching(from_start=True, history=2 * 3600)
    session: Session = api.watch(
        logs, None, watching, clock=lambda: now[0], wall=lambda: NOON.timestamp() + now[0], over_time=True
    )

    def step(at: int) -> None:
        now[0] = at
        while session.step():
            pass

    def figures(held: stretch.Statistics) -> dict[str, object]:
        made = build(held, Counts()).to_dict() | {"requests": 0}
        return {name: made[name] for name in FIGURES}

    def expected(since: int, until: int) -> dict[str, object]:
        ends = [NOON + timedelta(minutes=minute) for minute in (since, until)]
        made = logstats.report([log for log in logs if log.exists()], since=ends[0], until=ends[1], over_time=True)
        return {name: made.to_dict()[name] for name in FIGURES} | {"requests": 0}

    write(logs[0], *range(0, 60 * 75, 9))
    step(60 * 75)
    for minute in range(75, 79):
        for second in (5, 45):  # before and after the minute before it is closed
            write(logs[0], 60 * minute + second)
            step(60 * minute + second)
            taken = session.stretch(MINUTE + minute - 59, MINUTE + minute + 1)
            assert figures(taken.merged()) == expected(minute - 59, minute + 1)
        if minute != 77:
            session.stretch(MINUTE + minute - 58, MINUTE + minute + 2).prepare()
    before, was = session.stretch(MINUTE, MINUTE + 80), expected(0, 80)
    write(logs[1], *range(30 * 60, 32 * 60, 7))
    step(60 * 79)
    assert figures(session.stretch(MINUTE, MINUTE + 80).merged()) == expected(0, 80) != was
    write(logs[1], *range(33 * 60, 34 * 60, 7))  # of one minute alone
    step(60 * 79)
    assert figures(session.stretch(MINUTE, MINUTE + 80).merged()) == expected(0, 80)
    cache = session._windows._cache
    assert len(cache.blocks) > 5
    cache.forget(MINUTE + 80)
    assert figures(before.merged()) == was, "what was taken does not change any more"
    write(logs[0], 60 * 300)
    step(60 * 300)
    assert not len(cache.blocks) + len(cache.stretches), "of minutes that are dropped, nothing is kept"
    session.close()


def test_nothing_is_merged_while_lines_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    write(log, *range(600))
    site = api.site([log], None, Watching(from_start=True, history=3600, rows=1000, top=10))
    desk = site.desk
    while desk.step():
        pass
    free: list[str] = []

    def noted(name: str, work: Callable[..., object]) -> Callable[..., object]:
        def noting(*arguments: object, **more: object) -> object:
            assert not desk._lock.locked(), name
            free.append(name)
            return work(*arguments, **more)

        return noting

    monkeypatch.setattr(stretch.Stretch, "merged", noted("merged", stretch.Stretch.merged))
    monkeypatch.setattr(desks, "build", noted("build", desks.build))
    monkeypatch.setattr(desks.HeldRows, "between", noted("rows", desks.HeldRows.between))
    view = View(since=NOON, until=NOON + timedelta(minutes=9))
    assert desk.report(view).requests == 540
    desk.prepare(View(range="1h"))
    assert free == ["rows", "merged", "build"]
    site.close()


VALUES = st.lists(st.one_of(st.none(), st.sampled_from("abcdeäœ"), st.text(max_size=3)), max_size=40)


@given(VALUES, st.integers(1, 5), st.lists(st.integers(0, 39), max_size=3))
@settings(max_examples=examples(20), deadline=None)
def test_the_first_are_those_of_all(values: list[str | None], top: int, cuts: list[int]) -> None:
    kinds = schema.dtypes()
    missing = {name: pl.lit(None, kinds[name]) for name in ("status", "bytes", "duration_ms")}
    rows = pl.DataFrame({"client_ip": pl.Series(values, dtype=pl.String)}).with_columns(
        kind=pl.lit("request"), **missing
    )
    places = sorted({0, *(place % (rows.height + 1) for place in cuts), rows.height})
    pieces = [Piece(rows[start:end]) for start, end in pairwise(places)] or [Piece(rows)]
    first, total = first_of(pieces, "client_ip", top)
    counts = {value: values.count(value) for value in values if value is not None}
    assert total == len(counts)
    ordered = sorted(counts, key=lambda value: (-counts[value], value.encode()))
    assert first is None if len(counts) <= top else first is not None and first.to_list() == ordered[:top]
    for only in (first, None):
        tables = [piece.ranked("client_ip", only) for piece in pieces for _ in range(2)]
        found = dict(pl.concat(tables).group_by("value").agg(pl.col("requests").sum()).iter_rows())
        assert found == {value: 2 * count for value, count in counts.items() if only is None or value in ordered[:top]}
