"""What was rotated away while no daemon followed: its old names are not those that are followed.

The archive tells by content which files these are: one that it has a part of goes on where that ends, whatever it is
called by now, and one that it has nothing of, but that has the name of a rotated file and was written to later than one
that it knows, came and went in between. If it knows none, they may be of another machine that adds to it under the same
name: then nothing is added that was not asked for, and it is said what may be missing.
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
    """What is to be added of a name: files beside it, oldest first. It is `lost` if none is known, nor what is under
    the name; `perhaps` are files that may be what was lost."""

    name: str
    files: Sequence[Beside]
    lost: bool
    perhaps: Sequence[Beside] = ()


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
    places = {place for source in own for place in source.places}
    others: list[Beside] = []
    with contextlib.suppress(OSError):
        for one in beside(path, files_of):
            if one.key not in present and (one.rotated or f"{one.key[0]}:{one.key[1]}" in places):
                others.append(one)
    found: list[Beside] = []
    unknown: list[Beside] = []  # which are newer than what follows
    is_known = _is_known(by_path(Path(path), records))
    for one in sorted(others, key=lambda one: -one.status.st_mtime_ns):
        known = by_path(Path(one.path), records)
        if not _is_known(known):
            unknown.append(one)
            continue
        is_known = True
        found += unknown
        unknown.clear()
        if known.whole:
            break  # what is older was whole before this one began
        found.append(one)
    begun = paths.time_of(max(source.id for source in own))
    perhaps = [one for one in unknown if one.status.st_mtime >= begun] if not is_known else []
    return Away(path, found[::-1], not is_known, perhaps[::-1])


def _is_known(known: Known) -> bool:
    return known.source is not None or known.similar is not None
