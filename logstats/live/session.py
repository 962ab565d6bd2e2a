"""A session: endless sources, the figures of everything they brought, and those of the last minutes.

`step` takes what has arrived, `snapshot` says where things stand, `report` is the report over every line of the
session: the same figures as `logstats report` gives over the same lines, because it is made of the same summaries.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from logstats import schema
from logstats.frames import pl
from logstats.inputs import Endless
from logstats.live.alerts.alerts import Alerts, Change
from logstats.live.alerts.line_minutes import line_minutes
from logstats.live.clocks import MINUTE, Clocks
from logstats.live.figures import HOUR, Figures
from logstats.live.held_rows import HeldRows
from logstats.live.pace import Look
from logstats.live.rejected_lines import RejectedLines
from logstats.live.snapshot import RATES, Rejected, Snapshot
from logstats.live.stream import Stream
from logstats.live.stretch import Stretch
from logstats.live.watching import Watching
from logstats.live.windows import Windows
from logstats.pipeline import Counts, Job, Listener, Part
from logstats.reports.build import build
from logstats.reports.model import Report, SourceInfo
from logstats.reports.units import counted
from logstats.summaries.spec import ReportSpec
from logstats.summaries.statistics import Statistics, Summaries, needs, summarise
from logstats.summaries.traffic import EPOCH

CHANGES: Final = 10_000  # of alerts, that wait to be taken
RECENT: Final = 2_000  # requests that are kept whole
RECENT_COLUMNS: Final = ("timestamp", "method", "endpoint", "path", "status", "duration_ms", "user")
COLUMNS: Final = frozenset({*RECENT_COLUMNS[:-1], "kind", "level"})  # that it reads of each row
_TEXT: Final = 2_000  # characters of a rejected line
_MICROSECONDS: Final = timedelta(microseconds=1)

Parsed = tuple[Summaries, pl.DataFrame]


def work(spec: ReportSpec) -> Callable[[pl.DataFrame, str, int], Parsed]:
    """What a worker makes of the rows of a chunk."""
    return lambda rows, _source, _line: (summarise(rows, spec), rows)


class Session:
    """Not for use by several threads at once. `wall` and `clock` are this machine's clocks, to be given in tests."""

    def __init__(
        self,
        sources: Sequence[Endless],
        job: Job[Parsed],
        spec: ReportSpec,
        watching: Watching,
        listener: Listener,
        *,
        alerts: Alerts | None = None,
        columns: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.alerts = alerts or Alerts()
        self.watching, self.sort = watching, watching.sort
        self.contains = ""  # what the names of the endpoints of a snapshot have in them, in any case of letters
        self.counts: Counts = job.counts
        self.newest_rejected: Rejected | None = None
        self._spec, self._clock, self._wall = spec, clock, wall
        self._filters, self._anonymous = job.filters, job.anonymizer is not None
        self._stream = Stream(sources, job, listener)
        self._all = Statistics(spec)
        keep = max(watching.minutes, HOUR, math.ceil(watching.history / 60)) + 1
        self._clocks = Clocks(watching.lateness)
        self._windows = Windows(spec, self._clocks, keep)
        self._figures = Figures(self._windows, watching.minutes, watching.top)
        self._held_rows = HeldRows(watching.rows, tuple(sorted({*needs(spec), *columns, "kind", "level"})))
        self._rejected = RejectedLines()
        self._recent: deque[pl.DataFrame] = deque()
        self._recent_rows = 0
        self._notes: deque[str] = deque(maxlen=50)
        self._changes: deque[Change] = deque(maxlen=CHANGES)  # of alerts, since they were taken
        self._shown: deque[Change] = deque(maxlen=CHANGES)  # the same, since the last snapshot
        self._steps = deque([(clock() - watching.interval, 0, 0)])  # left nothing: when; lines, requests by then
        self._kept_from = -1  # the first minute that is told apart
        self._first: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return self._stream.ended

    @property
    def stuck(self) -> int:
        """How many names lead to nothing, or to what cannot be read."""
        return self._stream.stuck

    @property
    def behind(self) -> bool:
        """Whether more has arrived than was read."""
        return self._stream.behind

    @property
    def outside(self) -> int:
        """How many rows are in no minute: they came too late, have a time in the future, or none."""
        return self._windows.late + self._windows.ahead + self._windows.untimed

    def lag(self) -> float | None:
        """The age of the newest line in seconds; None before the first."""
        newest = self._clocks.newest()
        return None if newest is None else self._wall() - newest / 1_000_000

    def close(self) -> None:
        """Let go of the sources, without a report."""
        self._stream.close()

    def note(self, text: str) -> None:
        """Something that the user should know; it is shown, and in the report."""
        self._notes.append(text)

    def step(self, look: Look = "show") -> bool:
        """Take what has arrived; whether more is there already. If nothing is shown afterwards, a few lines may be read
        by a later step, or all is read and merged, so that the next step has less to do."""
        now, wall = self._clock(), round(self._wall() * 1_000_000)
        for source, part in self._stream.look(now, wait=look == "take"):
            self._take(source, part, now, wall)
        if look == "read":
            self._all.merge()
        while self._clocks.said:
            self.note(self._clocks.said.popleft())
        if look != "take":
            self._steps.append((now, self.counts.lines, self.counts.requests))
            while self._steps[1][0] <= now - self.watching.interval / 2:
                self._steps.popleft()
        self._forget(now)
        behind = self._stream.behind
        self._judge(now, wall, over=self.ended and not behind)
        return behind

    def _judge(self, now: float, wall: int, *, over: bool) -> None:
        """Look for what alerts say of the minutes that were closed; if all is over, of the last one, too."""
        if self.alerts:
            found = self.alerts.finish(self._clocks) if over else self.alerts.look(self._clocks, now, wall)
            dropped = len(self._changes) + len(found) - CHANGES
            if dropped > 0:
                self.note(f"there were so many changes of alerts at once that the first {dropped:,} are not told")
            self._changes += found
            self._shown += found

    def changes(self) -> list[Change]:
        """The changes of alerts since they were taken last; of very many, the newest."""
        taken = list(self._changes)
        self._changes.clear()
        return taken

    def _take(self, source: str, part: Part[Parsed], now: float, wall: int) -> None:
        if self._anonymous and part.rejected:
            self.newest_rejected = Rejected(source, *part.rejected[-1])
        elif part.rejected_lines:
            line, reason, raw = part.rejected_lines[-1]
            self.newest_rejected = Rejected(source, line, reason, _shown(raw))
        if part.rejected_lines:
            self._reject(source, part, now, wall)
        if part.result is None:
            if self.alerts:
                self._watch(part, pl.DataFrame(), now, wall)
            return
        summaries, rows = part.result
        self._all.add(summaries)
        if "timestamp" in rows.columns and (first := rows["timestamp"].min()) is not None:
            assert isinstance(first, datetime)
            minute = (first - EPOCH) // timedelta(minutes=1)
            self._first = minute if self._first is None else min(self._first, minute)
        on_time = self._windows.add(rows, source, wall, now, summaries)
        self._held_rows.add(on_time)
        if self.alerts:
            self._watch(part, on_time, now, wall)
        user = pl.coalesce("user_id", "client_ip") if self._spec.user_key == "auto" else self._user()
        requests = rows.filter(pl.col("kind") == "request") if "kind" in rows.columns else rows
        if requests.height:
            some = requests.tail(RECENT).sort("line").with_columns(user=user)
            self._recent.append(schema.owned(some.select(RECENT_COLUMNS)))
            self._recent_rows += some.height
        while self._recent and self._recent_rows - self._recent[0].height >= RECENT:
            self._recent_rows -= self._recent.popleft().height

    def _watch(self, part: Part[Parsed], on_time: pl.DataFrame, now: float, wall: int) -> None:
        """Count what alerts look at."""
        self.alerts.add(on_time)
        before = part.end.lines - part.chunk_lines + 1
        rejected = [line - before for line, _, _ in part.rejected_lines]
        unplaced = sum(part.reasons.values()) - len(rejected)
        latest = self._clocks.latest(now)
        minute = (wall if latest is None else latest) // MINUTE
        self.alerts.read(line_minutes(on_time, part.chunk_lines, rejected, unplaced, minute))

    def _reject(self, source: str, part: Part[Parsed], now: float, wall: int) -> None:
        """Note rejected lines by the minute."""
        lines = [(line, reason, _shown(raw)) for line, reason, raw in part.rejected_lines]
        rows = part.result[1] if part.result is not None else pl.DataFrame()
        latest = self._windows.latest(now)
        minute = (wall if latest is None else latest) // MINUTE
        self._rejected.add(source, lines, rows, part.end.lines - part.chunk_lines, minute)

    def _user(self) -> pl.Expr:
        from logstats.summaries.users import user

        return user(self._spec.user_key)

    def recent(self) -> pl.DataFrame:
        """The last requests, the newest last: `RECENT_COLUMNS`."""
        return pl.concat(self._recent).tail(RECENT) if self._recent else pl.DataFrame()

    def snapshot(self, *, screen: bool = True) -> Snapshot:
        """Where things stand; without what only the screen shows, if there is none."""
        now, counts, windows = self._clock(), self.counts, self._windows
        latest = windows.latest(now)
        current = (latest or 0) // MINUTE
        since, until = self._steps[0], self._steps[-1]
        passed = max(until[0] - since[0], 1e-3)
        rates = {
            name: windows.requests_since(length, now) / length if length else (until[2] - since[2]) / passed
            for name, length in RATES.items()
        }
        changes = list(self._shown)
        self._shown.clear()
        return Snapshot(
            time=None if latest is None else EPOCH + latest * _MICROSECONDS,
            window_minutes=self.watching.minutes,
            sort=self.sort,
            lines=counts.lines,
            requests=counts.requests,
            events=counts.events,
            rejected=counts.rejected,
            filtered=counts.filtered,
            late=windows.late,
            ahead=windows.ahead,
            untimed=windows.untimed,
            truncated=self._stream.truncated,
            lag=self.lag(),
            lines_per_second=(until[1] - since[1]) / passed,
            rates=rates,
            history=self._figures.history(current) if screen else [],
            newest_rejected=self.newest_rejected,
            sources=[SourceInfo(s.name, s.format, s.lines, s.bytes) for s in counts.sources],
            notes=list(self._notes),
            ended=self.ended,
            alerts=self.alerts.states(),
            alert_changes=changes,
            **self._figures.fields(counts.lines, current, now, sort=self.sort, contains=self.contains, screen=screen),
        )

    def _forget(self, now: float) -> None:
        """Drop the minutes of the session that are too old, once a minute."""
        latest = self._windows.latest(now)
        before = -1 if latest is None else latest // MINUTE - math.ceil(self.watching.keep / 60)
        if latest is None or before <= self._kept_from:
            return
        self._rejected.drop(latest // MINUTE - self._windows.keep + 1, latest // MINUTE + 1)
        self._held_rows.drop_before(latest // MINUTE - self._windows.keep + 1)
        first = self._first if self._first is not None else before
        if first < before:
            self._all.forget(before)
        self._kept_from = before

    # -- any stretch of time

    @property
    def version(self) -> tuple[int, int]:
        """What changes when any figure does: lines so far, and the minute."""
        return self.counts.lines, self.minute() or 0

    def minute(self) -> int | None:
        """The current minute, by the clocks of the logs; None before the first line."""
        latest = self._windows.latest(self._clock())
        return None if latest is None else latest // MINUTE

    def reach(self) -> int | None:
        """The first minute that can be asked for; None before the first line."""
        current = self.minute()
        if current is None or self._first is None:
            return current
        return max(current - self._windows.keep + 1, self._first)

    def rows_reach(self) -> int | None:
        """The first minute of which all rows that are on time are kept whole; None if that is all that were read.

        Rows that are older than what is held by minute are dropped as well.
        """
        current, reach = self.minute(), self.reach()
        if current is None or reach is None or self._first is None:
            return None
        if not self.watching.rows:
            return current + 1
        dropped = self._held_rows.reach
        if dropped is None and self._first >= reach:
            return None
        return reach if dropped is None else max(reach, dropped)

    def stretch(self, since: int, until: int) -> Stretch:
        """What is held of `since` ≤ minute < `until`, to be merged by whoever wants to."""
        return self._windows.stretch(since, until, self._clock())

    def rejected_between(self, since: int, until: int) -> Counts:
        """The lines of `since` ≤ minute < `until` that could not be read."""
        return self._rejected.between(since, until)

    def held_rows(self) -> HeldRows:
        """The rows that are kept whole, as they are now."""
        return self._held_rows.copy()

    def so_far(self, *, percentiles: Sequence[str], top: int | None = None, over_time: bool = True) -> Report:
        """The report over all lines until now; without `over_time`, it says nothing of intervals."""
        self._all.merge()
        made = build(
            self._all,
            self.counts,
            percentiles=percentiles,
            sort=self.watching.sort,
            top=top,
            filters=self._filters.describe(),
            generated_at=datetime.fromtimestamp(self._wall(), UTC),
            over_time=over_time,
        )
        return replace(made, notes=[*made.notes, *self.counts.notes, *self._notes, *self._said()])

    def report(self, *, percentiles: Sequence[str], top: int | None = None, interrupted: bool = False) -> Report:
        """The report over all lines of the session, which is over."""
        now, wall = self._clock(), round(self._wall() * 1_000_000)
        over = self.ended
        for source, part in self._stream.finish():
            self._take(source, part, now, wall)
        self._judge(now, wall, over=over)
        self.counts.interrupted = interrupted
        return self.so_far(percentiles=percentiles, top=top)

    def _said(self) -> list[str]:
        """What is to be said of the lines that are in no minute of the windows, and of alerts."""
        windows, lateness = self._windows, f"{self.watching.lateness:g} s"
        late = f"{windows.late:,} lines came more than {lateness} late, and were in no window; they are in this report"
        ahead = f"{windows.ahead:,} lines have a time in the future, and were in no window; they are in this report"
        missed = (
            f"{self.alerts.missed:,} requests came after alerts had judged their minute: these saw less than there was"
        )
        said = ((windows.late, late), (windows.ahead, ahead), (self.alerts.missed, missed))
        fired = [
            f"alert {state.rule.text}: fired {counted(state.fired, 'time')}"
            + (", and still does" if state.state == "firing" else "")
            for state in self.alerts.states()
            if state.fired
        ]
        return [*(text for number, text in said if number), *fired]


def _shown(raw: bytes) -> str:
    """The beginning of a rejected line."""
    return raw[: 4 * _TEXT].decode("utf-8", "backslashreplace")[:_TEXT]
