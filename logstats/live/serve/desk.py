"""Answers what the page, the API and Prometheus ask: from the session that reads the logs, or from an archive.

One thread reads (`step`), others ask; a lock is between them. What an answer needs of the session is taken under the
lock, and what takes long is done without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from logstats.filters import Filters
from logstats.frames import pl
from logstats.live.alerts.alerts import Change, State
from logstats.live.held_rows import HeldRows
from logstats.live.pace import Look
from logstats.live.piece import Piece, first_of
from logstats.live.serve.archived import ArchiveReports
from logstats.live.serve.view import ALL, View, minute_of
from logstats.live.session import Session
from logstats.live.snapshot import Snapshot
from logstats.live.stretch import Stretch
from logstats.pipeline import Counts
from logstats.reports.build import build
from logstats.reports.clock import Clock
from logstats.reports.merged import breakdown
from logstats.reports.model import Report
from logstats.summaries import breakdowns
from logstats.summaries.levels import Levels
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics, summarise
from logstats.summaries.traffic import Traffic, moment

PERCENTILES: Final = ("50", "90", "95", "99", "99.9")
BY: Final = ("client_ip", "host")
HANGS: Final = 60.0  # seconds without a look at the sources, after which something is wrong


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether the sources are read as they should be, and what is wrong."""

    problems: tuple[str, ...]
    lag: float | None


class Desk:
    """`session` reads logs, `archive` is asked about what is older; one of both can be missing. `max_lag` is how many
    seconds old the newest line may be while all is well. `spec` and `filters` are those of the session; `whole` says
    that it reads sources from their start."""

    def __init__(
        self,
        session: Session | None,
        archive: ArchiveReports | None,
        *,
        spec: ReportSpec,
        zone: str,
        filters: Filters,
        whole: bool = False,
        max_lag: float | None = None,
    ) -> None:
        assert session is not None or archive is not None
        self.session, self.archive = session, archive
        self._spec, self._zone, self._filters, self._whole, self._max_lag = spec, zone, filters, whole, max_lag
        self._lock = threading.Lock()
        self._stepped = time.monotonic()
        self._ready = Ready(("nothing was read yet",), None)
        self._version: tuple[Hashable, ...] = ()
        self._lines = 0
        self._reads = 0
        self.alerts: list[State] = []  # how things stood with each after the last look
        self.snapshot: Snapshot | None = None  # where things stood when that was last watched
        self._caught_up = False

    # -- the thread that reads

    def step(
        self, changed: Callable[[Change], None] = lambda _: None, look: Look = "show", *, watched: bool = False
    ) -> bool:
        """Take what has arrived; whether more is there already. `changed` is told which alerts fire or are resolved.

        What is asked after a look that shows is answered anew: once an interval, not after each look; if that is
        `watched`, there is a `snapshot`. Counters are answered anew whenever lines were read.
        """
        show = look == "show"
        more, read, changes = False, show, list[Change]()
        if self.session is not None:
            with self._lock:
                before = self.session.counts.lines
                more = self.session.step(look)
                read |= self.session.counts.lines != before
                self.alerts = self.session.alerts.states()
                if show:
                    self._lines = self.session.counts.lines
                    self._version = (*self.session.version, *(one.state for one in self.alerts))
                if watched:  # before others have their turn
                    self.snapshot = self.session.snapshot(screen=False)
                changes = self.session.changes()
                self._caught_up = self._caught_up or not more
                self._ready = Ready(tuple(self._problems(self.session)), self.session.lag())
        self._stepped = time.monotonic()
        self._reads += read
        for change in changes:
            changed(change)
        return more

    def _problems(self, session: Session) -> list[str]:
        found = [] if self._caught_up else ["what was there at the start is still being read"]
        if session.stuck:
            found.append(f"{session.stuck:,} of the sources cannot be read, or are not there")
        return found + self._late(session.lag(), "the newest line is", "no line has come yet")

    def _late(self, lag: float | None, line: str, nothing: str) -> list[str]:
        """What is wrong with the age of the newest line, if that is asked."""
        if self._max_lag is None or (lag is not None and lag <= self._max_lag):
            return []
        age = nothing if lag is None else f"{line} {lag:,.0f} s old"
        return [f"{age} (--max-lag {self._max_lag:g}s)"]

    # -- any thread

    def alive(self) -> bool:
        """Whether sources are looked at."""
        return time.monotonic() - self._stepped < HANGS

    def ready(self) -> Ready:
        """Whether the sources are read as they should be. Raises LogstatsError if an archive cannot be read."""
        if self.session is not None:
            return self._ready
        assert self.archive is not None
        lag = self.archive.age()
        return Ready(tuple(self._late(lag, "the archive's newest line is", "the archive is empty")), lag)

    def is_archived(self, view: View) -> bool:
        """Whether a view is answered by the archive."""
        if self.archive is None or self.session is None:
            return self.archive is not None
        if view.range == ALL:
            return True
        with self._lock:
            current, reach, rows = self.session.minute(), self.session.reach(), self.session.rows_reach()
        if current is None or reach is None:
            return True
        since = view.minutes(current)[0]
        return since < reach + (not self._whole) or bool(view.only and rows is not None and since < rows)

    def version(self, view: View) -> Hashable:
        """What changes when the answer does. Raises LogstatsError."""
        if self.is_archived(view):
            assert self.archive is not None
            return (*self.archive.version(view), *(one.state for one in self.alerts))
        return self._version

    @property
    def shown_lines(self) -> int:
        """How many lines had been read when `step` last was to show what it found."""
        return self._lines

    def totals_version(self) -> Hashable:
        """What changes when `totals`, `ready` or `alive` may have another answer."""
        return self._reads, self.alive(), self._ready.problems, *(one.state for one in self.alerts)

    def report(self, view: View, top: int | None = None) -> Report:
        """The report of a view; of live figures, with the `top` clients and hosts by requests if that is given.

        Raises LogstatsError.
        """
        if self.is_archived(view):
            assert self.archive is not None
            return self.archive.report(view)
        return self._live(view, top)

    def totals(self) -> Report:
        """What counters count: all that the archive has, or else all that was read. Raises LogstatsError."""
        if self.archive is not None:
            return self.archive.totals()
        assert self.session is not None
        with self._lock:
            return self.session.so_far(percentiles=("50",), over_time=False)

    def _live(self, view: View, top: int | None) -> Report:
        session = self.session
        assert session is not None
        everything: Report | None = None
        stretch: Stretch | None = None
        counts = Counts()
        with self._lock:
            current, reach = session.minute(), session.reach()
            if current is None:  # no line with a time has come yet
                current = minute_of(datetime.now(UTC))
            since, until = (reach or current, current + 2) if view.range == ALL else view.minutes(current)
            reach = since if reach is None else reach
            held_rows: HeldRows = session.held_rows()
            rows_reach = session.rows_reach()
            if view.range == ALL and not view.only:
                everything = session.so_far(percentiles=PERCENTILES)
            else:
                counts = session.rejected_between(since, until)
                stretch = None if view.only else session.stretch(since, until)
            invalid, outside = bool(session.counts.invalid), session.outside
        pieces = held_rows.between(since, until)
        height = sum(piece.rows.height for piece in pieces)
        notes = self._notes(view, since, reach, rows_reach, height, outside, invalid=invalid)
        if everything is not None:
            return self._with_breakdowns(everything, pieces, top, notes)
        ends = [None if view.range == ALL else moment(minute) for minute in (since, until)]
        filters = view.filters(ends[0], ends[1], self._filters)
        if stretch is None:
            some = self._narrowed(view, pl.concat(piece.rows for piece in pieces), counts)
            held, pieces = Statistics(self._spec), [Piece(some)]
            held.add(summarise(some.with_row_index("line"), self._spec))
            held.merge()
        else:
            held = stretch.merged()
            counts.requests = int(held.get("traffic", Traffic).by_class()["requests"].sum())
            counts.events = sum(held.get("levels", Levels).counts().values())
            counts.lines = counts.requests + counts.events + counts.rejected
        made = build(held, counts, percentiles=PERCENTILES, filters=filters.describe())
        return self._with_breakdowns(made, pieces, top, notes)

    def prepare(self, view: View) -> None:
        """Merge what the same view will need when the next minute begins, which takes longest then."""
        session = self.session
        if session is None or view.only or view.range in ("", ALL) or self.is_archived(view):
            return
        with self._lock:
            current = session.minute()
            stretch = None if current is None else session.stretch(*view.minutes(current + 1))
        if stretch is not None:
            stretch.prepare()

    def _narrowed(self, view: View, rows: pl.DataFrame, counts: Counts) -> pl.DataFrame:
        """Those of the rows that the view is about, which are counted."""
        keep = view.filters(None, None).expression()
        some = rows if keep is None else rows.filter(keep)
        events = int((some["kind"] == "event").sum())
        counts.requests, counts.events, counts.filtered = some.height - events, events, rows.height - some.height
        counts.lines = rows.height + counts.rejected
        return some

    def _with_breakdowns(self, made: Report, pieces: Sequence[Piece], top: int | None, notes: list[str]) -> Report:
        """A report with the rankings of clients and hosts in these rows, and with further notes."""
        asked = replace(self._spec, by=BY)
        held = Statistics(asked, {breakdowns.name(by) for by in BY})
        totals: dict[str, int] = {}
        for by in BY:
            first = None
            if top is not None:
                first, totals[by] = first_of(pieces, by, top)
            for piece in pieces:
                if (table := piece.ranked(by, first)).height:
                    held.add({breakdowns.name(by): table})
        held.merge()
        sort = "avg" if top is None else "requests"
        ranked = {by: breakdown(held, by, PERCENTILES, sort, top) for by in BY}
        return replace(
            made,
            breakdowns={by: rows for by, (rows, _, _) in ranked.items()},
            breakdowns_total={by: total for by, (_, total, _) in ranked.items()} | totals,
            notes=[*made.notes, *notes, *(note for _, _, notes in ranked.values() for note in notes)],
            zone=self._zone,
        )

    def _notes(
        self,
        view: View,
        since: int,
        reach: int,
        rows_reach: int | None,
        height: int,
        outside: int,
        *,
        invalid: bool,
    ) -> list[str]:
        """What is to be said of figures of a part of the session."""
        clock, notes = Clock(self._zone), []
        if since < reach and view.range != ALL:
            unread = "" if self._whole else ", or was not read"
            notes.append(f"what was logged before {clock.zoned(moment(reach))} is not held by minute{unread}")
        if rows_reach is not None and (since < rows_reach or view.range == ALL):
            what = "these figures are" if view.only else "clients and hosts are those"
            begin = clock.zoned(moment(rows_reach))
            notes.append(f"{what} of the newest {height:,} rows, which reach back to {begin} (--keep, --keep-rows)")
        if view.range != ALL or view.only:
            if outside:
                notes.append(
                    f"not counted here, because they are in no minute: {outside:,} of the lines of the session, which "
                    "came more than --lateness late, have a time in the future, or none; range=all has them"
                )
            notes.append("blank and filtered lines, and the lines of each source, are known of the whole session only")
            if invalid:
                notes.append("values without meaning are not known by time, and not counted")
        return notes
