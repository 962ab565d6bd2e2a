"""The policy (`lifecycle.toml`): when rows are moved, where to, and when they are deleted; and the plan that follows
from it.

A plan is a pure function of a snapshot, a policy and the time. `move` applies it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logstats.archive.log import paths, tables
from logstats.dataclass import dataclass
from logstats.errors import PolicyError
from logstats.sizes import size

if TYPE_CHECKING:
    from logstats.archive.log.commit import DataFile
    from logstats.archive.log.log import CommitLog
    from logstats.archive.log.snapshot import Snapshot

TEMPLATE: Final = """\
# When the rows of this archive move, where to, and when they go. Read by `logstats archive tier`, which does what is
# due; `--dry-run` shows it. Without this file nothing moves and nothing is deleted.
#
# The age of a day counts from its end, in UTC: "30d" is due when the day has been over for 30 days (also: h, w).
# A change is for days that move from then on; what has moved stays as it is.

# publish = ["iceberg"]   # after each commit, Iceberg tables below iceberg/ (pip install 'logstats[iceberg]')

[warm]                    # large files, sorted
after = "30d"
# path = "/mnt/disk2/logs"  # a folder on another disk; without it, the archive's own
# former = ["/mnt/disk1/logs"]  # where days of this tier lie that moved while `path` was another
sort = ["timestamp"]      # by time, a range of time reads a part of each file
compression = "zstd"      # zstd, gzip, brotli, lz4, snappy or none
level = 9                 # more is smaller and slower to write
file_size = "192MB"       # about; a day that is smaller is one file

[cold]                    # the columns that are worth keeping for long
after = "90d"
# path = "s3://bucket/logs"  # or in an object store (pip install 'logstats[cloud]'); rollups stay here
columns = ["kind", "timestamp", "method", "path", "query", "endpoint", "status", "duration_ms", "bytes", "user_id",
           "client_ip", "host", "level", "app_name"]
sort = ["timestamp"]
compression = "zstd"
level = 15
file_size = "256MB"

[delete]                  # rows go; the rollups, and so reports by the hour, stay
# after = "365d"          # never, unless this line has no # before it
"""

_AGE: Final = re.compile(r"^(\d{1,6})\s*(h|d|w)$")
_SIZE: Final = re.compile(r"^(\d{1,6})\s*(kB|KB|MB|GB|KiB|MiB|GiB)$")
_UNITS: Final = {"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_LEVELS: Final = {"zstd": (1, 22), "gzip": (1, 9), "brotli": (1, 11), "lz4": None, "snappy": None, "none": None}
PUBLISHED: Final = ("iceberg",)  # what `publish` may list
_KEYS: Final = ("after", "path", "former", "columns", "sort", "compression", "level", "file_size")


@dataclass(frozen=True, slots=True)
class Tier:
    """How rows are kept in a tier. `columns` None keeps all; `path` None is the archive's own folder."""

    name: str
    after: timedelta
    path: str | None = None
    columns: tuple[str, ...] | None = None
    sort: tuple[str, ...] = ("timestamp",)
    compression: str = "zstd"
    level: int | None = 9
    file_size: int = 192_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """The tiers beyond hot, in order, and the age at which rows are deleted (None: never)."""

    tiers: tuple[Tier, ...] = ()
    delete_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The step that is due for one day: its `files` are rewritten in `tier`, or deleted if that is None."""

    day: paths.Partition
    tier: Tier | None
    files: tuple[DataFile, ...] = field(repr=False)

    @property
    def rows(self) -> int:
        """The number of rows in all files."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)

    def describe(self) -> str:
        """`2025-01-17: 1,000,000 rows in 24 files (120 MiB) hot → warm`."""
        origins = " + ".join(tier for tier in tables.TIERS if any(file.tier == tier for file in self.files))
        year, month, day = self.day
        files = f"{len(self.files):,} file{'s' if len(self.files) != 1 else ''}"
        target = self.tier.name if self.tier else "deleted, rollups stay"
        held = f"{self.rows:,} rows in {files} ({size(self.bytes)})"
        return f"{year:04}-{month:02}-{day:02}: {held} {origins} → {target}"


def plan(snapshot: Snapshot, policy: Policy, now: datetime) -> list[Step]:
    """The steps that are due, the oldest day first.

    A day whose rows are all in the right tier has no step, so nothing is due after a plan was applied. Late lines of a
    day that has moved are in its hot files; they are merged with the files of its tier.
    """
    days: dict[paths.Partition, list[DataFile]] = {}
    for file in snapshot.select(tables.LOGS):
        days.setdefault(file.partition[:3], []).append(file)
    steps = []
    for day in sorted(days):
        files = days[day]
        age = now - _end_of(day)
        if policy.delete_after is not None and age >= policy.delete_after:
            steps.append(Step(day, None, tuple(files)))
            continue
        due = [tier for tier in policy.tiers if age >= tier.after]
        # Rows never move back, even if the policy now moves them later.
        reached = max(tables.TIERS.index(file.tier) for file in files)
        if due and tables.TIERS.index(due[-1].name) >= reached and any(file.tier != due[-1].name for file in files):
            steps.append(Step(day, due[-1], tuple(files)))
    return steps


def _end_of(day: paths.Partition) -> datetime:
    try:
        return datetime(day[0], day[1], day[2], tzinfo=UTC) + timedelta(days=1)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def of(archive: CommitLog) -> Policy | None:
    """The policy of an archive; None if it has none. Raises PolicyError, and ForeignPath if the file is a link."""
    return _read(lambda: archive.storage.read(paths.LIFECYCLE), archive.storage.uri(paths.LIFECYCLE))


def load(path: Path) -> Policy | None:
    """The policy in a file; None if there is no file. Raises PolicyError."""
    return _read(lambda: path.read_bytes() if path.exists() else None, str(path))


def _read(content: Callable[[], bytes | None], name: str) -> Policy | None:
    try:
        data = content()
        return None if data is None else parse(data.decode(), name)
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{name}: cannot be read: {error}") from None


def parse(text: str, name: str = paths.LIFECYCLE) -> Policy:
    """Parse a policy. Raises PolicyError, which names the line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{name}: {error}") from None
    at = _Place(name)
    at.known(document, ("publish", tables.WARM, tables.COLD, "delete"))
    wanted = document.get("publish", [])
    if not isinstance(wanted, list) or not set(map(str, wanted)) <= set(PUBLISHED):
        raise at.wrong(f"publish = {wanted!r}", f'what can be published: publish = ["{PUBLISHED[0]}"]')
    tiers = [_tier(word, at.table(document, word), at.within(word)) for word in tables.TIERS[1:] if word in document]
    after: timedelta | None = None
    if "delete" in document:
        table, within = at.table(document, "delete"), at.within("delete")
        within.known(table, ("after",))
        after = within.age(table["after"]) if "after" in table else None
    ages = [(tier.name, tier.after) for tier in tiers] + ([("delete", after)] if after is not None else [])
    for (former, sooner), (latter, later) in zip(ages, ages[1:], strict=False):
        if later <= sooner:
            raise PolicyError(f"{name}: [{latter}] is not after [{former}]", "each step needs a greater age")
    return Policy(tuple(tiers), after)


def _tier(word: str, table: Mapping[str, Any], at: _Place) -> Tier:
    at.known(table, _KEYS)
    if "after" not in table:
        raise at.wrong("has no `after`", 'write when a day comes here: after = "30d"')
    compression = at.one_of("compression", table.get("compression", "zstd"), tuple(_LEVELS))
    levels = _LEVELS[compression]
    level = table.get("level", 9 if levels else None)
    if level is not None and (
        levels is None or isinstance(level, bool) or not isinstance(level, int) or not levels[0] <= level <= levels[1]
    ):
        allowed = f"{compression} takes {levels[0]} to {levels[1]}" if levels else f"{compression} has no levels"
        raise at.wrong(f"level = {level!r}", allowed)
    columns = at.columns("columns", table["columns"]) if "columns" in table else None
    if columns is not None and not {"kind", "timestamp"} <= set(columns):
        raise at.wrong(
            "columns: `kind` and `timestamp` are not among them", "what is left must still be requests of a time"
        )
    sort = at.columns("sort", table.get("sort", ["timestamp"]))
    if columns is not None and not set(sort) <= set(columns):
        raise at.wrong("sort: by a column that is not kept", "keep it, or sort by another")
    path = table.get("path")
    if path is not None and not (isinstance(path, str) and paths.tier_folder(path)):
        raise at.wrong(
            f"path = {path!r} is no absolute path and no URL", 'write path = "/mnt/disk2/logs" or "s3://BUCKET/logs"'
        )
    former = table.get("former", [])
    if not isinstance(former, list) or not all(isinstance(one, str) and paths.tier_folder(one) for one in former):
        raise at.wrong(f"former = {former!r} is no list of paths or URLs", 'write former = ["/mnt/disk1/logs"]')
    return Tier(
        word,
        at.age(table["after"]),
        path and paths.tier_folder(path),
        columns,
        sort,
        compression,
        level,
        at.size(table.get("file_size", "192MB")),
    )


def age(text: object) -> timedelta:
    """`12h`, `30d`, `8w`. Raises ValueError."""
    match = _AGE.match(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"{text!r} is not an age")
    return timedelta(**{{"h": "hours", "d": "days", "w": "weeks"}[match[2]]: int(match[1])})


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the file, for error messages."""

    where: str

    def within(self, word: str) -> _Place:
        return _Place(f"{self.where}: [{word}]")

    def wrong(self, what: str, hint: str = "") -> PolicyError:
        return PolicyError(f"{self.where} {what}", hint)

    def known(self, table: Mapping[str, Any], words: tuple[str, ...]) -> None:
        for word in table:
            if word not in words:
                raise self.wrong(f"{word!r} is not known", f"there are {', '.join(words)}")

    def table(self, document: Mapping[str, Any], word: str) -> Mapping[str, Any]:
        value = document[word]
        if not isinstance(value, Mapping):
            raise self.wrong(f"{word!r} is not a table", f"write [{word}] on a line of its own")
        return value

    def one_of(self, key: str, value: object, words: tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in words:
            raise self.wrong(f"{key} = {value!r} is not known", f"choose among {', '.join(words)}")
        return value

    def age(self, value: object) -> timedelta:
        try:
            return age(value)
        except ValueError:
            raise self.wrong(f"after = {value!r} is not an age", 'write "12h", "30d" or "8w"') from None

    def size(self, value: object) -> int:
        match = _SIZE.match(value) if isinstance(value, str) else None
        if not match or int(match[1]) * _UNITS[match[2]] < 1e6:
            raise self.wrong(f"file_size = {value!r} is not a size", 'write "192MB" or "1GB"; at least 1MB')
        return int(int(match[1]) * _UNITS[match[2]])

    def columns(self, key: str, value: object) -> tuple[str, ...]:
        known = tuple(tables.columns(tables.LOGS))
        if not isinstance(value, list) or not value:
            raise self.wrong(f"{key} is not a list of columns", f"there are {', '.join(known)}")
        for column in value:
            if column not in known:
                raise self.wrong(f"{key}: no column is called {column!r}", f"there are {', '.join(known)}")
        return tuple(dict.fromkeys(value))
