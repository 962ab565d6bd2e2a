"""The library: one function for each question. Nothing is printed; the command line is thin over these.

`reporting` reads, merges and builds reports, `splitting` one for each value of a column; `rows` gives rows and lines,
`objectives` indicators and comparisons, `clients` sessions and scans, `limiting` rate limits; `adding` fills archives,
`watching` follows logs, `serving` serves them; `arguments` and `reading` are what they share. A function's file is
imported when the function is first asked for, and what only some calls need (archives, objectives) by those. May use:
all rooms but the command line. Begin with `reporting.report`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from logstats.options import Options

if TYPE_CHECKING:
    from logstats.api.adding import add, add_following
    from logstats.api.clients import scan, session_rows, sessions, story
    from logstats.api.limiting import limits
    from logstats.api.objectives import diff, slo
    from logstats.api.reporting import merge, report
    from logstats.api.rows import read, search
    from logstats.api.serving import site
    from logstats.api.splitting import split
    from logstats.api.watching import watch

__all__ = [
    "Options",
    "add",
    "add_following",
    "diff",
    "limits",
    "merge",
    "read",
    "report",
    "scan",
    "search",
    "session_rows",
    "sessions",
    "site",
    "slo",
    "split",
    "story",
    "watch",
]

_FILES: Final = {
    "add": "adding",
    "add_following": "adding",
    "diff": "objectives",
    "limits": "limiting",
    "merge": "reporting",
    "read": "rows",
    "report": "reporting",
    "scan": "clients",
    "search": "rows",
    "session_rows": "clients",
    "sessions": "clients",
    "site": "serving",
    "slo": "objectives",
    "split": "splitting",
    "story": "clients",
    "watch": "watching",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module 'logstats.api' has no attribute {name!r}")
    return getattr(import_module(f"logstats.api.{_FILES[name]}"), name)
