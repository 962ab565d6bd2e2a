"""The errors of the library, and the exit codes of the program.

LogstatsError exit 1 ├── UsageError exit 2 an option that is invalid │ ├── FormatError a format, or a format string,
that cannot be read │ ├── RouteError a route, or an OpenAPI document, that cannot be read │ ├── QueryError SQL that
cannot be run │ ├── ConfigError a configuration file that cannot be read │ ├── PolicyError a lifecycle.toml that cannot
be read │ ├── ExpressionError a condition, with the place in it that cannot be read │ └── ObjectiveError a policy of
objectives that cannot be read ├── SourceError exit 1 one source that cannot be read (the others still are) ├──
SummaryError exit 1 a summary file that is damaged, or of another version └── UnknownFormatError exit 5 no format reads
the source

Every error says what happened, where, and in `hint` what to do next.
"""

from __future__ import annotations

import unicodedata
from enum import IntEnum
from typing import Any, Final


class ExitCode(IntEnum):
    """The exit codes of every command. If several apply, `gravest` chooses."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    MISSED = 3
    REJECTED = 4
    NOTHING_PARSED = 5
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Final = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed, in whole or for one source",
    ExitCode.USAGE: "wrong usage",
    ExitCode.MISSED: "a threshold or objective was missed or had no data, or an alert fired",
    ExitCode.REJECTED: "`--strict`, and lines were rejected",
    ExitCode.NOTHING_PARSED: "no line could be parsed",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C, SIGINT)",
    ExitCode.TERMINATED: "ended by SIGTERM or SIGHUP",
}
_GRAVEST_FIRST = (
    ExitCode.TERMINATED,
    ExitCode.INTERRUPTED,
    ExitCode.USAGE,
    ExitCode.FAILED,
    ExitCode.NOTHING_PARSED,
    ExitCode.REJECTED,
    ExitCode.MISSED,
)


def gravest(codes: set[ExitCode]) -> ExitCode:
    """The exit code of a run to which all of `codes` apply."""
    return next((code for code in _GRAVEST_FIRST if code in codes), ExitCode.DONE)


class LogstatsError(Exception):
    """The root of the tree: `what` happened and, in `hint`, what to do."""

    exit_code = ExitCode.FAILED

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross processes whatever their constructor takes."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[LogstatsError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> LogstatsError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


class UsageError(LogstatsError):
    """An invalid option or argument."""

    exit_code = ExitCode.USAGE


class FormatError(UsageError):
    """A format file, a format name or a format string that cannot be read."""


class RouteError(UsageError):
    """A route, or an OpenAPI document, that cannot be read."""


class QueryError(UsageError):
    """SQL that DuckDB does not understand, or that is not one SELECT."""


class PolicyError(UsageError):
    """A lifecycle.toml that cannot be read."""


class ConfigError(UsageError):
    """A configuration file that cannot be read; says which key, and why."""


class ExpressionError(UsageError):
    """A condition that cannot be read: the problem, then the text, then a caret under the place in it (from 0).

    Of a text of more than 500 characters, 60 are shown before the place and 60 from there on.
    """

    def __init__(self, text: str, place: int, problem: str, hint: str = "") -> None:
        self.place = place
        if len(text) > 500:
            begin, end = max(place - 60, 0), place + 60
            text = "…" * (begin > 0) + text[begin:end] + "…" * (end < len(text))
            place -= begin - (begin > 0)
        line = "".join(character if character.isprintable() else " " for character in text)
        columns = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line[:place])
        super().__init__(f"{problem}\n  {line}\n  {' ' * columns}^", hint)


class ObjectiveError(UsageError):
    """A policy of objectives that cannot be read; says which key, and why."""


class SourceError(LogstatsError):
    """A source that cannot be read, or not to its end. What could be read is kept."""

    def __init__(self, source: str, what: str, hint: str = "") -> None:
        super().__init__(f"{source}: {what}", hint)
        self.source = source


class SummaryError(LogstatsError):
    """A summary file that cannot be read, or not be added to the others; says which, and why."""


class UnknownFormatError(LogstatsError):
    """No format reads the lines of a source."""

    exit_code = ExitCode.NOTHING_PARSED
