"""The paths of an archive: tables, tiers, partitions, and the one check of a path that was read from a file.

    hot/year=2025/month=1/day=17/hour=10/NAME.parquet          logs, as they arrived
    hot/…/day=17/hour=__HIVE_DEFAULT_PARTITION__/NAME.parquet  likewise: hours with few rows, which share a file
    warm/year=2025/month=1/day=17/NAME.parquet                 logs, sorted; cold/ likewise
    rollups/TABLE/year=2025/month=1/day=17/NAME.parquet        traffic, latency, endpoints, users
    rejects/year=2025/month=1/day=17/NAME.parquet              by the day of the `add`

All times are UTC. Numbers in paths have no leading zeros: DuckDB would read `01` as text. The value of a shared hour
is how Hive writes null, so readers of Parquet folders find the same partition columns everywhere. NAME begins with the
writer that made the file (see `writer`). A partition may have several files; those of rollups are merged when they are
read, like every summary. A tier may lie in another folder, which `lifecycle.toml` names; its paths are absolute. A
replaced file is moved to `work/replaced`, where no glob over the tables matches it, until readers of older snapshots
have had a day to finish.

Every path that is read from a file (a commit, the checkpoint, a journal) passes `Places.checked` while it is parsed. An
archive may come from an untrusted party, and must not make the program touch a file elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable
from datetime import date
from typing import Final

from logstats.archive.log.tables import COLD, HOT, LOGS, REJECTS, ROLLUPS, TABLES, WARM
from logstats.errors import LogstatsError

COMMITS: Final = "commits"
CHECKPOINT: Final = "commits/checkpoint.json"
LIFECYCLE: Final = "lifecycle.toml"
CATALOG: Final = "catalog.sql"
WORK: Final = "work"  # a folder for each running writer: its lock, journal and temporary files
REPLACED: Final = "work/replaced"  # files that are no longer part of the archive, until they are deleted
TEMPORARY: Final = ".tmp"  # suffix of a file that is not complete yet
_OLD: Final = ".old"  # suffix of a replaced file, which no glob for Parquet files matches
SHARED: Final = "__HIVE_DEFAULT_PARTITION__"  # in place of the hour, in the path of a file of several hours
STORES: Final = ("s3://", "gs://", "az://")  # which a tier may lie on
Partition = tuple[int, ...]  # (year, month, day), or with the hour

_DAY: Final = r"year=([1-9]\d{0,3})/month=([1-9]\d?)/day=([1-9]\d?)"
_DATA: Final = re.compile(
    rf"(?:({HOT})/{_DAY}/hour=(?:1?\d|2[0-3]|{SHARED})|(?:({WARM}|{COLD}|{REJECTS})|rollups/({'|'.join(ROLLUPS)}))/{_DAY})"
    r"/[0-9a-f]{19}-\d{1,9}\.parquet",
    re.ASCII,
)
_DEPTH: Final = 5  # components of the path of a file in the warm or cold tier


class ForeignPath(LogstatsError, ValueError):
    """A path that is not one of the archive's, or that leads out of it."""


class Places:
    """Decides which paths belong to one archive, of which `read` reads a file. If that is `shared` by machines, no
    folder of this machine holds a part of it, whatever lifecycle.toml says."""

    def __init__(self, read: Callable[[str], bytes | None], *, shared: bool = False) -> None:
        self._read, self._shared = read, shared
        self._elsewhere: frozenset[str] | None = None

    def checked(self, path: object, table: str | None = None, tier: str | None = None) -> str:
        """Return the path if it is one of a data file of this archive (and of the given table and tier).

        Such a path is TIER/PARTITION/NAME as this program writes it, relative to the root, or below a folder that the
        archive's own lifecycle.toml names for a tier. Raises ForeignPath for any other.
        """
        if not isinstance(path, str):
            raise ForeignPath(f"{path!r} is no path")
        base, inner = split(path)
        found = _DATA.fullmatch(inner)
        if found is None:
            raise ForeignPath(f"{path[:200]!r} is no path of a data file", _HANDED)
        hot, hot_year, hot_month, hot_day, other, rollup, year, month, day = found.groups()
        try:
            date(int(hot_year or year), int(hot_month or month), int(hot_day or day))
        except ValueError as error:
            raise ForeignPath(f"{path!r} is of no day: {error}", _HANDED) from None
        if base and (other not in (WARM, COLD) or base not in self.elsewhere()):
            raise ForeignPath(
                f"{path!r} lies outside of the archive, and {LIFECYCLE} names no such folder",
                f'if it is yours, name it in {LIFECYCLE}: [{other or WARM}] former = ["{base}"]',
            )
        if table is not None and tier is not None:
            here = (table, tier)
            there = (LOGS, hot or other) if hot or other in (WARM, COLD) else (rollup or REJECTS, other or "rollups")
            if table not in TABLES or here != there:
                raise ForeignPath(f"{path!r} is not of the table {table!r} and the tier {tier!r}", _HANDED)
        return path

    def is_data(self, path: str) -> bool:
        """Whether `checked` accepts a path."""
        try:
            return bool(self.checked(path))
        except ForeignPath:
            return False

    def elsewhere(self) -> frozenset[str]:
        """The folders outside of the root that lifecycle.toml names: `path`, and `former`, of each tier."""
        if self._elsewhere is None:
            import tomllib

            document: object = {}
            with contextlib.suppress(OSError, ValueError):  # then it names none; reading the policy says what is wrong
                document = tomllib.loads((self._read(LIFECYCLE) or b"").decode())
            found: set[str] = set()
            for tier in (WARM, COLD):
                table = document.get(tier) if isinstance(document, dict) else None
                if isinstance(table, dict):
                    former = table.get("former")
                    found.update(
                        folder
                        for given in (table.get("path"), *(former if isinstance(former, list) else ()))
                        if isinstance(given, str)
                        and (folder := tier_folder(given)) is not None
                        and (is_url(folder) or not self._shared)
                    )
            self._elsewhere = frozenset(found)
        return self._elsewhere


_HANDED: Final = "do not use an archive that you do not trust; `logstats archive verify` says what else is wrong"


def tier_folder(given: str) -> str | None:
    """A tier's folder outside the archive, in the form that paths begin with: an absolute path, or the URL of a prefix
    in a store. None if it is neither."""
    if is_url(given):
        url = given.rstrip("/")
        return None if {"", ".", ".."} & set(url.split("/")[2:]) or "\0" in url or not is_url(url) else url
    folder = "/" + os.path.normpath(given).strip("/")
    return folder if given.startswith("/") and len(folder) > 1 and "\0" not in folder else None


def is_url(path: str) -> bool:
    """Whether a path, or a tier's folder, lies in a store."""
    return path.startswith(STORES)


def split(path: str) -> tuple[str, str]:
    """The folder outside of the archive that a path begins with (empty if it lies inside), and the rest."""
    if not path.startswith("/") and not is_url(path):
        return "", path
    names = path.removesuffix("/").split("/")
    return "/".join(names[:-_DEPTH]), "/".join(names[-_DEPTH:])


def replaced(path: str) -> str:
    """The path, on the same disk, to which a data file is moved when it is no longer part of the archive."""
    base, inner = split(path)
    return "/".join([*([base] if base else []), REPLACED, inner + _OLD])


def unreplaced(path: str) -> str:
    """The inverse of `replaced`."""
    before, _, inner = path.partition(f"{REPLACED}/")
    return before + inner.removesuffix(_OLD)


def folder(table: str, tier: str, partition: Partition) -> str:
    """The folder of a partition, within the archive or the folder of its tier."""
    names = ("year", "month", "day", "hour")
    place = tier if table in (LOGS, REJECTS) else f"{tier}/{table}"
    shared = (SHARED,) if tier == HOT and len(partition) < len(names) else ()
    return "/".join([place, *(f"{name}={value}" for name, value in zip(names, (*partition, *shared), strict=False))])


def partition_in(path: str) -> Partition:
    """The partition that a data file's path names; empty if it names none. A file of several hours is of its day."""
    found = [part.partition("=") for part in path.split("/")]
    names = ("year", "month", "day", "hour")
    return tuple(int(value) for name, sign, value in found if sign and name in names and value != SHARED)


def writer_id() -> str:
    """A new, unique name for a writer; names sort by time."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}"


def time_of(id: str) -> float:
    """When the writer of a name began, or of a name that begins with its: in seconds since 1970."""
    return int(id[:11], 16) / 1000


def age(path: str) -> tuple[str, int]:
    """A key that sorts data files in the order in which they were made."""
    writer, _, number = path.rsplit("/", 1)[-1].removesuffix(".parquet").partition("-")
    return writer, int(number) if number.isdigit() else 0


def commit_path(number: int) -> str:
    """`commits/00000042.json`."""
    return f"{COMMITS}/{number:08}.json"


def commit_number(path: str) -> int | None:
    """The number in the path of a commit; None for any other path."""
    name = path.removeprefix(f"{COMMITS}/").removesuffix(".json")
    return int(name) if name.isascii() and name.isdigit() and commit_path(int(name)) == path else None
