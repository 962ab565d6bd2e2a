"""What was rotated away while no daemon followed: its old names are not those that are followed.

The archive tells which files these are. One that it has a part of, under a followed name, is one of them, whatever it
is called by now. One that it has nothing of is, if it has the name of a rotated file and was written to after the
newest of those that the archive knows had begun.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePath

from logstats.archive.ingest.known_sources import Known, Records, by_path
from logstats.archive.log import paths
from logstats.archive.log.commit import Source
from logstats.archive.log.snapshot import Snapshot
from logstats.dataclass import dataclass
from logstats.inputs.discover import shown
from logstats.inputs.rotated import Beside, Files, Key, beside, regular_files


@dataclass(frozen=True, slots=True)
class Away:
    """What is to be added of a name: files beside it, oldest first. If not even a part of what was added last is
    anywhere, it is `lost`."""

    name: str
    files: Sequence[Beside]
    lost: bool


def rotated_away(
    snapshot: Snapshot, label: str | None, arguments: Sequence[str], under: Collection[str], present: Collection[Key]
) -> Iterator[Away]:
    """Of each name that the archive knows and the arguments name, what was rotated away. Files that are `present` are
    `under` the arguments, and added anyway."""
    records = Records(snapshot.sources.values(), label)
    by_name: dict[str, list[Source]] = {}
    for source in records.by_id.values():
        by_name.setdefault(os.path.abspath(source.name), []).append(source)  # noqa: PTH100
    named = {*under, *arguments}
    gone = [
        name
        for name in by_name
        for pattern in arguments
        if glob.has_magic(pattern) and _matches(name, os.path.abspath(pattern))  # noqa: PTH100
    ]
    found = {os.path.abspath(path): path for path in (*gone, *arguments, *under)}  # noqa: PTH100
    files_of = cache(regular_files)
    for absolute, path in found.items():
        if own := by_name.get(shown(absolute)):
            away = _away(path, own, records, present, files_of)
            # Of a name that a glob gave and that is not there, nobody knows whether it was rotated or deleted.
            yield replace(away, lost=away.lost and path in named)


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) if "**" in pattern else PurePath(name).match(pattern)


def _away(
    path: str,
    own: Sequence[Source],
    records: Records,
    present: Collection[Key],
    files_of: Callable[[str], Files],
) -> Away:
    newest = max(own, key=lambda source: source.id)
    begun = paths.time_of(newest.id)
    places = {place for source in own for place in source.places}
    others: list[Beside] = []
    with contextlib.suppress(OSError):
        for one in beside(path, files_of):
            if one.key not in present and (one.rotated or f"{one.key[0]}:{one.key[1]}" in places):
                others.append(one)
    found: list[Beside] = []
    seen = {_id(by_path(Path(path), records))}
    for one in sorted(others, key=lambda one: -one.status.st_mtime_ns):
        known = by_path(Path(one.path), records)
        seen.add(_id(known))
        if known.whole and known.source is not None:
            break  # what is older was whole before this one began
        if known.source is not None or known.similar is not None or one.status.st_mtime >= begun:
            found.append(one)
    return Away(path, found[::-1], newest.id not in seen)


def _id(known: Known) -> str | None:
    source = known.source or known.similar
    return source.id if source is not None else None
