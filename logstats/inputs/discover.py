"""What the user named → sources, in the order to be read."""

from __future__ import annotations

import glob
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from logstats.errors import SourceError, UsageError

STDIN: Final = "-"
_SCRATCH: Final = re.compile(r"^\.|~$|\.(?:tmp|swp|swo|part|crdownload|lock|pid|sock)$")
_ROTATION: Final = re.compile(r"\.(\d{1,6})(?:\.(?:gz|zst|bz2|xz))?$")


@dataclass(frozen=True, slots=True)
class Source:
    """One stream of lines. `path` is None for standard input; `size` is in bytes on disk, None for a pipe."""

    name: str
    path: Path | None
    size: int | None = None
    modified: float | None = None


def discover(arguments: Sequence[str]) -> tuple[list[Source], list[SourceError]]:
    """Files, globs, folders (their files, oldest first), `-`; nothing at all is `-`.

    What cannot be found is among the errors, and does not stop the others. Raises UsageError where standard
    input is named twice, or is a terminal where nothing was named.
    """
    sources: list[Source] = []
    problems: list[SourceError] = []
    if not arguments and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("nothing to read", "name a log file, or pipe one in: logstats report access.log")
    if list(arguments).count(STDIN) > 1:
        raise UsageError("standard input can only be read once", "name - once")
    for argument in arguments or [STDIN]:
        try:
            sources.extend(_expand(argument))
        except SourceError as problem:
            problems.append(problem)
    return sources, problems


def _expand(argument: str) -> Iterator[Source]:
    if argument == STDIN:
        yield Source(STDIN, None)
        return
    path = Path(argument)
    try:
        status = path.stat()
    except FileNotFoundError:
        yield from _glob(argument)
        return
    except (OSError, ValueError) as error:
        raise SourceError(argument, _why(error), "check the path and its permissions") from None
    if stat.S_ISDIR(status.st_mode):
        yield from _folder(path)
    else:
        yield _source(path)


def _glob(argument: str) -> Iterator[Source]:
    if not glob.has_magic(argument):
        raise SourceError(argument, "no such file", "check the path; a relative one starts at the current folder")
    found = [Path(name) for name in glob.glob(argument, recursive=True)]
    files = [path for path in found if path.is_file()]
    if not files:
        raise SourceError(argument, "no file matches", "put a pattern in quotes only if the shell shall not expand it")
    yield from _oldest_first(files)


def _folder(folder: Path) -> Iterator[Source]:
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not _SCRATCH.search(path.name)]
    except OSError as error:
        raise SourceError(str(folder), _why(error), "check its permissions") from None
    if not files:
        raise SourceError(str(folder), "no files in this folder", "folders inside it are not looked into: use a glob, 'logs/**/*.log'")
    yield from _oldest_first(files)


def _oldest_first(paths: list[Path]) -> Iterator[Source]:
    def age(source: Source) -> tuple[float, int, str]:
        # What logrotate calls access.log.2 is older than access.log.1, and that than access.log.
        rotation = _ROTATION.search(source.name)
        return source.modified or 0.0, -int(rotation[1]) if rotation else 0, source.name

    yield from sorted((_source(path) for path in paths), key=age)


def _source(path: Path) -> Source:
    status = path.stat()
    regular = stat.S_ISREG(status.st_mode)
    return Source(str(path), path, status.st_size if regular else None, status.st_mtime)


def _why(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
