"""`archive add --follow`: a daemon that adds what has come to some files, and through pipes and ports, again and again.

Each commit keeps the promise of `add`. Between two commits no file is read: the files keep what has come, and only
their names are looked at, so that rotation and truncation are noticed. What comes through a pipe or a port is kept in
a `spool` meanwhile. While the archive cannot be written, the daemon says so once, keeps its place, tries again at
growing intervals, and says when it goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from logstats.archive.add import ingest
from logstats.archive.archive import Archive
from logstats.archive.ingest.ingest import IngestOptions
from logstats.archive.ingest.progress import Added
from logstats.archive.ingest.rotated_away import rotated_away
from logstats.archive.log.commit import DataFile
from logstats.archive.log.orphans import sweep
from logstats.archive.spool import Spool, Stream, left
from logstats.archive.tiers import move
from logstats.archive.tiers.compact import compact
from logstats.archive.tiers.policy import Step, of, plan
from logstats.dataclass import dataclass
from logstats.errors import LogstatsError, SourceError
from logstats.inputs import Arriving, Due, Source, Tracker
from logstats.inputs.discover import shown
from logstats.pipeline import Interrupt, Listener, Once, Stop

POLL: Final = 1.0  # seconds between two looks at the names
TIER_EVERY: Final = 3600.0  # seconds between two looks at what is due to move
LONGEST_WAIT: Final = 60.0  # seconds between two attempts
GRACE: Final = timedelta(hours=24)  # how long replaced files stay for those who read them


class Notify:
    """Tells systemd how things stand (sd_notify(3)), where `NOTIFY_SOCKET` names a socket; else nobody."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        place = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + place[1:] if place.startswith("@") else place

    def __call__(self, **words: object) -> None:
        """Send `NAME=value` lines."""
        if not self._address:
            return
        text = "\n".join(f"{name.upper()}={value}" for name, value in words.items())
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), self._address)


@dataclass(slots=True)
class Daemon:
    """Adds to an archive what comes to files and through streams, until `stop` is asked, or until every stream has
    ended, if there are no files. Times are in seconds.

    `tell` gets the outcome of each commit that had something, `say` what a user should know. `starting` is called with
    the time of `clock` before the first commit, `settled` when everything is added that had been written by the time
    that it gets. `health` is a file that says how things stand, as JSON, with what `standing` adds. `clock`,
    `wall` and `chance` are to be given in tests.
    """

    archive: str | Path
    arguments: Sequence[str]
    options: IngestOptions
    listener: Listener
    streams: list[Stream] = field(default_factory=list)
    every: float = 60.0
    health: Path | None = None
    tell: Callable[[Added], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None
    starting: Callable[[float], None] = lambda _: None
    settled: Callable[[float], None] = lambda _: None
    standing: Callable[[], Mapping[str, object]] = dict
    stop: Stop = field(default_factory=Stop)
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    notify: Notify = field(default_factory=Notify)
    lines: int = 0
    """Lines that were added."""
    failures: int = 0
    """Attempts that failed since the last one that did not."""
    _problem: str = ""
    _unread: dict[str, str] = field(default_factory=dict)  # files that cannot be read: why, by name
    _failing_since: str = ""
    _last_commit: str = ""
    _next_tier: float = float("-inf")
    _started: bool = False

    def __post_init__(self) -> None:
        self.listener = _Hearing(self.listener)

    def run(self) -> None:
        """Go on until it is asked to stop."""
        tracker = Tracker(self.arguments, say=self.say, clock=self.clock)
        try:
            self.take_over()
            tracker.look()
            due = self.clock()
            self.notify(ready=1, status="following")
            while not self.stop.asked and not self.ended:
                full = any(stream.full for stream in self.streams) and not self.failures
                if self.clock() >= due or full:
                    due = self.clock() + (self.every if self.attempt(tracker) else self._pause())
                self.notify(watchdog=1)
                self.stop.wait(min(POLL, due - self.clock()))
                tracker.look()
            if not self.stop.asked:
                self.say("nothing follows: every source has ended")
            self.notify(stopping=1)
            for stream in self.streams:
                stream.finish()
            self.attempt(tracker, last=True)
        finally:
            tracker.close()
            for stream in self.streams:
                stream.close()

    def take_in(self, sources: Sequence[Arriving]) -> None:
        """Keep what arrives at these from now on, to add it. Raises LogstatsError."""
        opened = Archive.open(self.archive)
        for source in sources:
            spool = Spool.create(opened, source.name, self.options.source_name)
            self.streams.append(Stream(source, spool, self.say))

    @property
    def ended(self) -> bool:
        """Whether nothing can come any more."""
        return not self.arguments and all(stream.over for stream in self.streams)

    def take_over(self) -> None:
        """Add what daemons that were killed had taken in, too."""
        found = []
        for spool, words in left(Archive.open(self.archive)):
            self.say(words)
            found.append(Stream(None, spool, self.say))
        self.streams[:0] = found  # first, because a pipe may begin with the same lines again

    def _find_rotated(self, tracker: Tracker) -> None:
        """Add what was rotated away before this daemon began, too, or say what may be missing."""
        snapshot, label = Archive.open(self.archive).snapshot(), self.options.source_name
        for away in rotated_away(snapshot, label, self.arguments, tracker.paths, tracker.present):
            name = shown(away.name)
            for one in away.files:
                tracker.hold(one, name)
            if away.files:
                files = ", ".join(shown(one.path) for one in away.files)
                self.say(f"{name}: was rotated while nothing followed it; what is new is read from {files}")
            if away.lost:
                perhaps = ", ".join(shown(one.path) for one in away.perhaps)
                self.say(
                    f"{name}: the archive has lines of a file of this name, which is neither there nor beside it under "
                    "a name that rotation gives; if it was followed here, lines that came to it later may be missing"
                    + (f", unless they are in {perhaps}: add these with `archive add`" if perhaps else "")
                )

    def attempt(self, tracker: Tracker, *, last: bool = False) -> bool:
        """Commit what has come; whether that could be done."""
        began = self.clock()
        try:
            if not self._started:
                self._find_rotated(tracker)
                self.starting(began)
                self._started = True
            self._commit(tracker, Interrupt() if last else self.stop)
            if not last and self.clock() >= self._next_tier:
                self._next_tier = self.clock() + TIER_EVERY
                self._tier()
        except (LogstatsError, OSError) as error:
            self._failed(error)
            return False
        if self.failures:
            self.say(f"the archive is written again, after {self.failures:,} attempts that failed: {self._problem}")
            self.notify(status="following")
        self.failures, self._problem = 0, ""
        self._failing_since = self._failing_since or _now() if self._unread or tracker.unreadable else ""
        self.settled(began)
        self._write_health(tracker)
        return True

    def _commit(self, tracker: Tracker, interrupt: Interrupt) -> None:
        opened, lines = Archive.open(self.archive), self.lines
        found = tracker.due()
        if found or self.streams:
            sweep(opened, self.options.now())
        unread: dict[str, str] = {}
        for final in (False, True):
            some = [due for due in found if due.final is final]
            if some:
                options = replace(self.options, final=final or self.options.final)
                unread |= self._add(opened, tracker, some, options, interrupt)
        self._note(unread)
        for stream in list(self.streams):
            if (waiting := stream.due()) is not None:
                self._add_stream(opened, stream, *waiting, interrupt)
            if stream.done:
                stream.close()
                self.streams.remove(stream)
        if self.lines > lines and not interrupt.asked:
            compact(opened, self.options.now())

    def _add_stream(self, opened: Archive, stream: Stream, source: Source, final: bool, interrupt: Interrupt) -> None:
        options = replace(self.options, final=final, source_name=stream.spool.source_name)
        added = ingest(opened, [source], options, self.listener, interrupt)
        if not added.interrupted:
            stream.added(source, added.outcomes[0])
        self._added(added)

    def _add(
        self, opened: Archive, tracker: Tracker, some: Sequence[Due], options: IngestOptions, interrupt: Interrupt
    ) -> dict[str, str]:
        """Add some files. Returns why some could not be read, by name."""
        added = ingest(opened, [due.source for due in some], options, self.listener, interrupt)
        if not added.interrupted:
            done = zip(some, added.outcomes, strict=True)
            tracker.added(due for due, outcome in done if outcome.problem is None or (due.final and _opens(due)))
        self._added(added)
        problems = [(outcome.name, outcome.problem) for outcome in added.outcomes]
        return {name: problem.what for name, problem in problems if isinstance(problem, SourceError)}

    def _note(self, unread: dict[str, str]) -> None:
        """Say once which files cannot be read, and that they can be read again."""
        for name, problem in unread.items():
            if name not in self._unread:
                self.say(f"{problem}; it is tried again")
        for name in self._unread:
            if name not in unread:
                self.say(f"{name}: can be read again")
        self._unread = unread

    def _added(self, added: Added) -> None:
        if added.commits:
            self.lines += added.counts.lines
            self._last_commit = _now()
            self.tell(added)

    def _tier(self) -> None:
        """Move what is due, as lifecycle.toml says."""
        opened, now = Archive.open(self.archive), datetime.now(UTC)
        rules = of(opened)
        if rules is None or not plan(opened.snapshot(), rules, now):
            return
        move.apply(opened, rules, now, _Moves(self.say))
        compact(opened, now)
        sweep(opened, now, GRACE, left=GRACE)

    def _failed(self, error: LogstatsError | OSError) -> None:
        problem = error.what if isinstance(error, LogstatsError) else f"{error.filename or 'i/o'}: {error.strerror}"
        if not self.failures:
            self._failing_since = _now()
            self.say(f"{problem}; nothing is lost, what comes is kept in its files, and it is tried again")
        self.failures, self._problem = self.failures + 1, problem
        self.notify(status=f"failing: {problem}")
        self._write_health(None)

    def _pause(self) -> float:
        """Seconds until the next attempt: twice as long each time, and never in step with others."""
        return min(LONGEST_WAIT, self.every, float(2 ** min(self.failures, 10))) * (0.5 + self.chance() / 2)

    def _write_health(self, tracker: Tracker | None) -> None:
        if self.health is None:
            return
        unread = (
            [*self._unread.values(), *(f"{path}: cannot be read" for path in tracker.unreadable)] if tracker else []
        )
        state = {
            "state": "failing" if self.failures or unread else "ok",
            "time": _now(),
            "last_commit": self._last_commit or None,
            "lines": self.lines,
            "problem": self._problem or "; ".join(unread) or None,
            "failing_since": self._failing_since or None,
            "failures": self.failures,
            "truncated": tracker.truncated if tracker is not None else None,
            "waiting_bytes": sum(stream.waiting for stream in self.streams),
            "dropped": sum(stream.dropped for stream in self.streams),
            **self.standing(),
        }
        with contextlib.suppress(OSError):
            handle, name = tempfile.mkstemp(dir=self.health.parent, prefix=f".{self.health.name}.")
            with os.fdopen(handle, "w") as file:
                file.write(json.dumps(state) + "\n")
            Path(name).chmod(0o644)
            Path(name).replace(self.health)


def _opens(due: Due) -> bool:
    """Whether a file can be opened: what is wrong with it remains."""
    assert due.source.path is not None
    with contextlib.suppress(OSError):
        os.close(os.open(due.source.path, os.O_RDONLY))
        return True
    return False


class _Hearing(Once):
    """Hands on what is new. That a file cannot be read is said by the daemon."""

    def problem(self, error: SourceError) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _Moves:
    """Says which days were moved, and which could not be."""

    say: Callable[[str], None]

    def finished(self, step: Step, made: tuple[DataFile, ...]) -> None:
        self.say(step.describe())

    def failed(self, step: Step, error: LogstatsError) -> None:
        self.say(f"{step.describe()}: not done: {error.what}")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
