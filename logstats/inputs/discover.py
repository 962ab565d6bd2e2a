"""Finds the sources that the arguments of a command name."""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from logstats.errors import SourceError, UsageError
from logstats.inputs import object_store, stores
from logstats.inputs.source import Source

_LEFTOVER = re.compile(r"^\.|(\.tmp|\.sw[a-p]|~)$")
_COMPRESSED = re.compile(r"\.(gz|zst|bz2|xz)$")
_OF_AN_ARCHIVE = ("commits", "lifecycle.toml")  # what every archive holds
_NUMBERED = re.compile(r"\.(\d{1,5})$")
_DATED = re.compile(r"[-._](\d{4}-?\d\d-?\d\d[-_.T\d]*)$")


def discover(arguments: Sequence[str]) -> tuple[list[Source], list[SourceError]]:
    """The sources that `arguments` name, in their order, and those that cannot be read.

    An argument is a file, a named pipe, a directory (its own files, not those of its folders), a glob
    that the shell has left alone (`**` reaches into folders), or `-`. The files of a directory or
    a glob come oldest first. No arguments mean standard input. A file named twice is there twice.

    Raises UsageError if standard input is named twice, or if nothing is named and it is a terminal.
    """
    if not arguments:
        if sys.stdin is not None and sys.stdin.isatty():
            raise UsageError(
                "nothing to read: no source is named and standard input is the terminal",
                "name log files, a directory of them, or pipe a log in; `-` reads lines as they are typed",
            )
        arguments = ["-"]
    if list(arguments).count("-") > 1:
        raise UsageError("`-` is named twice", "standard input can be read only once: name it once")
    sources: list[Source] = []
    errors: list[SourceError] = []
    for argument in arguments:
        try:
            sources += _sources_of(argument)
        except SourceError as error:
            errors.append(error)
        except (OSError, ValueError) as error:
            # ValueError: a NUL in the name, which no file system allows
            errors.append(_unreadable(argument, error))
    return sources, errors


def _sources_of(argument: str) -> list[Source]:
    if argument == "-":
        if sys.stdin is None:
            raise SourceError("-", "standard input is closed", "pipe a log in, or name files")
        return [Source("-", None)]
    if object_store.is_url(argument):
        found = [(at, _rotation(source.name), source.name, source) for source, at in stores.discover(argument)]
        return [source for *_, source in sorted(found, key=lambda one: one[:3])]
    if not argument:
        raise SourceError("''", "an empty name names no file", "is a shell variable unset?")
    path = Path(argument)
    try:
        status = path.stat()
    except FileNotFoundError:
        if glob.has_magic(argument):
            return _matching(argument)
        raise SourceError(shown(argument), "there is no such file", _missing_hint(path)) from None
    if stat.S_ISDIR(status.st_mode):
        return _directory(argument, path)
    return [_file(argument, path, status)]


def _file(name: str, path: Path, status: os.stat_result) -> Source:
    """The source of one path, tried for being readable (a pipe is not: that would wait for its writer)."""
    kind = status.st_mode
    if stat.S_ISREG(kind):
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        return Source(shown(name), path, status.st_size, status.st_mtime)
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        return Source(shown(name), path)
    raise SourceError(shown(name), "is a socket or a device, not a file", "name a log file, or pipe it in")


def _directory(name: str, path: Path) -> list[Source]:
    if all((path / entry).exists() for entry in _OF_AN_ARCHIVE):
        raise SourceError(shown(name), "is an archive, not a folder of logs", f"name it with --archive {shown(name)}")
    files = [entry for entry in path.iterdir() if not is_leftover(entry.name) and entry.is_file()]
    if not files:
        raise SourceError(
            shown(name),
            "the directory holds no log files (hidden and temporary files do not count)",
            f"to read its folders too, name a glob in quotes: '{shown(str(path / '**' / '*.log'))}'",
        )
    # A name like `logs//access.log` is avoided, but what the user typed is kept: `./logs` stays `./logs`.
    return _oldest_first((str(file) if name != "." else file.name, file) for file in files)


def _matching(pattern: str) -> list[Source]:
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207  (Path.glob takes no absolute pattern)
    files = [(name, path) for name in names if not (path := Path(name)).is_dir()]
    if not files:
        raise SourceError(shown(pattern), "no file matches", "`*` does not enter folders, `**` does: 'logs/**/*.log'")
    return _oldest_first(files)


def _oldest_first(files: Iterable[tuple[str, Path]]) -> list[Source]:
    found = [(name, path, path.stat()) for name, path in files]
    found.sort(key=lambda item: age(item[0], item[2]))
    return [_file(name, path, status) for name, path, status in found]


def age(name: str, status: os.stat_result) -> tuple[int, tuple[int, int, str], str]:
    """What sorts older files first: when they were modified; at the same time, as rotation names them."""
    return status.st_mtime_ns, _rotation(Path(name).name), name


def is_leftover(name: str) -> bool:
    """Whether a file of a folder is hidden, or temporary."""
    return bool(_LEFTOVER.search(name))


def _rotation(name: str) -> tuple[int, int, str]:
    """A key that sorts older files first: `a.log-20250116`, `a.log.2.gz`, `a.log.1`, `a.log`."""
    name = _COMPRESSED.sub("", name)
    if dated := _DATED.search(name):
        return 0, 0, dated[1]
    if numbered := _NUMBERED.search(name):
        return 1, -int(numbered[1]), ""
    return 2, 0, ""


def _missing_hint(path: Path) -> str:
    """A hint with a similar name that exists."""
    import difflib

    try:
        close = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)  # noqa: PTH208
    except (OSError, ValueError):
        return f"there is no directory {shown(str(path.parent))}: check the path"
    if close:
        return f"did you mean {shown(str(path.parent / close[0]))}?"
    return "check the name and the directory that you are in"


def _unreadable(name: str, error: OSError | ValueError) -> SourceError:
    if isinstance(error, PermissionError):
        hint = "read it as a user who may, such as a member of its group, or pipe it in with sudo cat"
    else:
        hint = "check that the file can be opened"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return SourceError(shown(name), f"cannot be read: {reason}", hint)


def shown(name: str) -> str:
    """`name` as text: bytes of a file name that are not UTF-8 become `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
