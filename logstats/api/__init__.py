"""The library: one function for each question. Nothing is printed; the command line is thin over these.

`reporting` reads, merges and builds reports, `splitting` one for each value of a column; `rows` gives rows and lines,
`objectives` indicators and comparisons, `clients` sessions and scans, `limiting` rate limits; `adding` fills archives,
`watching` follows logs, `serving` serves them; `arguments` and `reading` are what they share. What only some calls need
(archives, objectives) is imported by those, since every report starts with this room. May use: all rooms but the
command line. Begin with `reporting.report`.
"""

from logstats.api.adding import add, add_following
from logstats.api.clients import scan, session_rows, sessions, story
from logstats.api.limiting import limits
from logstats.api.objectives import diff, slo
from logstats.api.reporting import merge, report
from logstats.api.rows import read, search
from logstats.api.serving import site
from logstats.api.splitting import split
from logstats.api.watching import watch
from logstats.options import Options

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
