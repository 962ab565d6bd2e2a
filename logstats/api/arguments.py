"""Checks of the arguments that calls of the library share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from logstats.errors import UsageError
from logstats.filters import Filters
from logstats.options import Options
from logstats.summaries.names import SORTS, USER_KEYS


def several(texts: str | Sequence[str]) -> Sequence[str]:
    """Texts, of which one may be given alone."""
    return (texts,) if isinstance(texts, str | Path) else texts


def options_from(options: Options | None, more: dict[str, Any]) -> Options:
    """The options, with further fields as keyword arguments. Raises UsageError for an unknown one."""
    many = {name for name in more if getattr(Options, name, None) == ()}
    more = {name: several(value) if name in many else value for name, value in more.items()}
    try:
        return replace(options or Options(), **more)
    except TypeError:
        unknown = next(name for name in more if name not in Options.__dataclass_fields__)
        raise UsageError(f"no option is called {unknown!r}", "see logstats.Options") from None


def refuse_for_archive(sources: Any, options: Options, *, workers: bool = False, anonymize: bool = False) -> None:
    """Refuse sources, and options that only apply when lines are added to an archive; also `workers` and `cluster`,
    unless they may read its rows, and `anonymize`, unless rows may be shown without persons. Raises UsageError."""
    if sources:
        raise UsageError("sources and an archive exclude each other", "give one of the two")
    if not workers and (options.workers > 1 or options.cluster):
        option = "--cluster" if options.cluster else "--workers"
        raise UsageError(f"{option} is for logs and `report`; here an archive is asked", "leave the option out")
    plain = Options()
    for name in (
        "format",
        "log_format",
        "allow_unknown",
        "formats_dir",
        "label",
        "app",
        "trust_forwarded",
        "anonymize",
        "anonymize_key",
        "secret",
        "unit",
        "routes",
        "openapi",
        "templates",
        "query",
    ):
        if anonymize and name in ("anonymize", "anonymize_key", "secret"):
            continue
        if getattr(options, name) != getattr(plain, name):
            said = {"openapi": "routes", "routes": "route", "templates": "no-templates"}.get(name, name)
            raise UsageError(
                f"--{said.replace('_', '-')} says how lines are read, and those of an archive have been",
                "it is an option of `logstats archive add`",
            )


def refuse_for_summaries(options: Options) -> None:
    """Refuse options about reading lines, which summaries have behind them. Raises UsageError."""
    plain = Options(tz=options.tz, now=options.now, workers=options.workers, cluster=options.cluster)
    if options != replace(plain, **filters_of(options)):
        raise UsageError("how the lines of summaries are read is decided", "leave options such as --format out")


def filters_of(options: Options) -> dict[str, Any]:
    """The fields of the options that are filters."""
    return {name: getattr(options, name) for name in Filters.__dataclass_fields__}


def check_choices(user_key: str, sort: str, max_endpoints: int) -> None:
    """Raise UsageError for a word that is none of its option, or a number out of range."""
    if user_key not in USER_KEYS:
        raise UsageError(f"no user key is called {user_key!r}", f"choose among {', '.join(USER_KEYS)}")
    if sort not in SORTS:
        raise UsageError(f"cannot sort by {sort!r}", f"choose among {', '.join(SORTS)}")
    if max_endpoints < 1:
        raise UsageError("--max-endpoints must be at least 1")
