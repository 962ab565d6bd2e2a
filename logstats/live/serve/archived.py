"""Reports of an archive for the page: whole hours from rollups, the rest from rows, at most so many seconds of them."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

from logstats.archive.archive import Archive
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.query.report import collect
from logstats.errors import LogstatsError
from logstats.filters import Filters
from logstats.live.serve.view import ALL, RANGES, View, minute_of
from logstats.options import Options
from logstats.pipeline import Interrupt
from logstats.reports.build import build
from logstats.reports.clock import Clock
from logstats.reports.model import Report
from logstats.summaries.spec import ReportSpec
from logstats.summaries.traffic import moment

_APART: Final = "work/metrics.json"
LOOKED: Final = 5.0  # seconds between two looks for new commits
LONGEST: Final = 30.0  # seconds that an answer may take
HOURS: Final = 1440  # minutes, from which on a range is whole hours: these are in rollups


class TooLong(LogstatsError):
    """An answer would take too long."""


class Deadline:
    """Asks reading to end when time is up."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def asked(self) -> bool:
        """Whether time is up."""
        return time.monotonic() > self._end


class ArchiveReports:
    """The reports of an archive. `percentiles` and `by` are what they have, `zone` that of their readers; only what
    passes `filters` is in them."""

    def __init__(
        self,
        folder: str | Path,
        *,
        percentiles: tuple[str, ...],
        by: tuple[str, ...],
        user_key: str,
        zone: str,
        filters: Filters,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._archive = Archive.open(folder)
        self._percentiles, self._by, self._user_key = percentiles, by, user_key
        self._zone, self._filters, self._wall = zone, filters, wall
        self._lock = threading.Lock()
        self._snapshot: Snapshot = self._archive.snapshot()
        self._looked = time.monotonic()

    def snapshot(self) -> Snapshot:
        """The archive as it was at most `LOOKED` seconds ago. Raises LogstatsError."""
        with self._lock:
            if time.monotonic() - self._looked > LOOKED:
                self._snapshot = self._archive.snapshot()
                self._looked = time.monotonic()
            return self._snapshot

    def commit(self) -> int:
        """The number of the newest commit; of the last one that was read, while the archive cannot be."""
        with contextlib.suppress(LogstatsError):
            return self.snapshot().number
        return self._snapshot.number

    def version(self, view: View) -> tuple[int, int]:
        """What changes when the report of a view does: the number of the commit, and the stretch of time."""
        return self.snapshot().number, self._ends(view)[1] or 0

    def _ends(self, view: View) -> tuple[int | None, int | None]:
        """Since ≤ minute < until."""
        if view.range == ALL:
            return None, None
        since, until = view.minutes(minute_of(datetime.fromtimestamp(self._wall(), UTC)))
        if view.range and RANGES[view.range] >= HOURS:
            return since // 60 * 60, -(-until // 60) * 60
        return since, until

    def report(self, view: View) -> Report:
        """The report of a view. Raises LogstatsError, also if rows that it needs are gone, or if it takes too long."""
        snapshot = self.snapshot()
        since, until = (None if minute is None else moment(minute) for minute in self._ends(view))
        filters = view.filters(since, until, self._filters)
        spec = ReportSpec(self._by if view.only else (), self._user_key, over_time=True)
        deadline = cast(Interrupt, Deadline(LONGEST))
        statistics, counts, note = collect(self._archive, snapshot, spec, filters, Options(), interrupt=deadline)
        if counts.interrupted:
            raise TooLong(
                f"reading the archive's rows takes more than {LONGEST:g} s", "choose a shorter range, or ask `report`"
            )
        made = build(statistics, counts, percentiles=self._percentiles, filters=filters.describe())
        notes = [*made.notes, *counts.notes, *self._outside(snapshot, since, until), note]
        return replace(made, notes=notes, zone=self._zone)

    def _outside(self, snapshot: Snapshot, since: datetime | None, until: datetime | None) -> list[str]:
        """What there is, if none of it is of the time asked for."""
        span = snapshot.span()
        if span is None:
            return ["the archive is empty"]
        if (since is None or since <= span[1]) and (until is None or until > span[0]):
            return []
        return [f"nothing is of the time asked for: there are lines of {Clock(self._zone).span(*span)}"]

    def totals(self) -> Report:
        """Everything that was ever added, for counters. Raises LogstatsError."""
        spec = ReportSpec((), self._user_key)
        statistics, counts, _ = collect(self._archive, self.snapshot(), spec, self._filters, Options())
        return build(statistics, counts, percentiles=("50",))

    def kept_apart(self) -> set[tuple[str, str]]:
        """Methods and endpoints that have had counters of their own before, so that none falls over a restart."""
        try:
            kept = json.loads((self._archive.root / _APART).read_bytes())
            return {(str(method), str(endpoint)) for method, endpoint in kept}
        except (OSError, ValueError, TypeError):
            return set()

    def keep_apart(self, names: set[tuple[str, str]]) -> None:
        """Keep them for the next start, where the archive can be written."""
        place = self._archive.root / _APART
        with contextlib.suppress(OSError):
            new = place.with_suffix(f".{os.getpid()}.tmp")
            new.write_text(json.dumps(sorted(names)))
            new.replace(place)

    def age(self) -> float | None:
        """How many seconds ago the newest line was logged, as far as the archive knows; None if it is empty."""
        span = self.snapshot().span()
        return None if span is None else self._wall() - span[1].timestamp()
