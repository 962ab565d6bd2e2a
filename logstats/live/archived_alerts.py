"""Alerts that are held against what a daemon commits to an archive, and go on over its restarts.

After each commit, how things stand is kept in `work/alerts-….json` of the archive, a file for the sources that the
daemon follows. The next daemon with these sources takes it up: what fires goes on firing and is not told again, what is
pending goes on too, and requests of minutes that were not judged yet are counted again, from the archive's rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from logstats.archive.archive import Archive
from logstats.archive.ingest.progress import Added
from logstats.archive.log import paths, tables
from logstats.archive.query import rows
from logstats.errors import LogstatsError
from logstats.frames import pl
from logstats.live.alerts.alerts import Alerts, Change
from logstats.live.alerts.batches import Batches
from logstats.live.clocks import SILENT
from logstats.live.watching import Watching
from logstats.summaries.traffic import moment

OLD: Final = 24 * 3600.0  # seconds after which nothing is taken up
_VERSION: Final = 1
_LINES: Final = ("minute", "lines", "rejected")


class ArchivedAlerts:
    """`changed` gets what fires and what is resolved, `say` what a user should know. `sources` are what the daemon
    follows; if some of them are `fleeting`, what came while no daemon ran is not known. `wall` is the clock of this
    machine, in seconds since 1970."""

    def __init__(
        self,
        alerts: Alerts,
        archive: str | Path,
        sources: Sequence[str],
        changed: Callable[[Change], None],
        say: Callable[[str], None],
        wall: Callable[[], float],
        *,
        fleeting: bool = False,
    ) -> None:
        self._alerts, self._archive, self._say, self._wall = alerts, archive, say, wall
        self._batches = Batches(alerts, Watching().lateness, changed, say)
        self._fleeting = fleeting
        self._commits: list[int] = []
        key = hashlib.sha256("\0".join(sorted(sources)).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._file = f"{paths.WORK}/alerts-{key}.json"
        self._kept = True

    def committed(self, added: Added) -> None:
        """Remember the commits that are to be looked at."""
        self._commits.extend(added.commits)

    def settled(self, now: float) -> None:
        """Judge what had been committed by a time of the monotonic clock, and keep how things stand."""
        wall = round(self._wall() * 1_000_000)
        while self._commits:
            number = self._commits.pop(0)
            try:
                opened = Archive.open(self._archive)
                for some in rows.added(opened, number, self._batches.columns):
                    self._batches.add(some, now, wall)
                for some in rows.added(opened, number, _LINES, tables.LINES):
                    self._batches.read(_counted(some))
            except (LogstatsError, OSError) as error:
                self._say(f"alerts did not see commit {number}: {getattr(error, 'what', error)}")
        self._batches.look(now, wall)
        self._keep(now)

    def standing(self) -> dict[str, list[dict[str, Any]]]:
        """The rules that fire, and those that are pending."""
        states = self._alerts.states()
        return {kind: [one.to_dict() for one in states if one.state == kind] for kind in ("firing", "pending")}

    def take_up(self, now: float) -> None:
        """Go on as the daemon before had it. Raises LogstatsError."""
        opened = Archive.open(self._archive)
        place = opened.root / self._file
        try:
            kept = json.loads(place.read_bytes())
            if kept["version"] != _VERSION:
                raise ValueError("it is of another version")
            passed = self._wall() - kept["written"]
            if not -SILENT < passed < OLD:
                self._say(f"{place}: how alerts stood at {_shown(kept['written'])} is too old, and ignored")
                return
            known = self._batches.restore(kept["batches"], now - max(0.0, passed))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._say(f"{place}: how alerts stood cannot be read, and is ignored: {error}")
            return
        if self._fleeting and passed > SILENT:
            self._batches.skip(now)
        try:
            self._count_again(opened, self._batches.next, known)
        except LogstatsError as error:
            self._say(f"alerts see less than there was of the minutes before the start: {error.what}")
        firing = self.standing()["firing"]
        for state in firing:
            self._say(f"alert fires still, since {state['since']}: {state['condition']}")

    def _count_again(self, opened: Archive, minute: int | None, sources: Sequence[str]) -> None:
        """Count what the archive has of minutes that were not judged yet, of the sources that were known."""
        if minute is None:
            return
        mine = pl.col("source").is_in(list(sources))
        for some in _since(opened, minute, self._batches.columns, tables.LOGS):
            self._batches.count(some.filter(mine))
        for some in _since(opened, minute, [*_LINES, "source"], tables.LINES):
            self._batches.read(_counted(some.filter(mine)))

    def _keep(self, now: float) -> None:
        kept = {"version": _VERSION, "written": self._wall(), "batches": self._batches.saved(now)}
        try:
            place = Archive.open(self._archive).root / self._file
            new = place.with_suffix(paths.TEMPORARY)
            new.write_text(json.dumps(kept))
            new.replace(place)
        except (LogstatsError, OSError) as error:
            if self._kept:
                self._say(f"how alerts stand cannot be kept: {getattr(error, 'what', error)}")
            self._kept = False
        else:
            self._kept = True


def _since(opened: Archive, minute: int, columns: Sequence[str], table: str) -> Iterator[pl.DataFrame]:
    begin = moment(minute)
    for file in opened.snapshot().select(table, since=begin):
        if file.last >= begin:
            time_column = "timestamp" if table == tables.LOGS else "minute"
            read = rows.read(opened, [file], list(dict.fromkeys([*columns, time_column])), table)
            yield read.filter(pl.col(time_column) >= begin).select(columns)


def _counted(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.select(pl.col("minute").to_physical() // 60_000_000, "lines", "rejected")


def _shown(seconds: float) -> str:
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "an impossible time"
