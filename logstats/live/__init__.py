"""Logs as they are written: `logstats watch`, and `logstats serve` (serve/).

`stream` reads sources that go on; `log_clock` tells which lines are on time, `clocks` which minutes are closed;
`windows` holds figures minute by minute (a `stretch` is some minutes together, `totals` what they amount to in all),
`held_rows` (of which each is a `piece`) and `rejected_lines` what figures cannot tell; `alerts` holds rules against
them, and `archived_alerts` against what a daemon adds to an archive; `session` joins them, and makes a `snapshot` of
them, which `screen` shows as `view` and `keyboard` say; `pace` tells when to look and show. `begin` finds where to
begin in a log.
May use: pipeline, inputs, summaries, reports, archive, objectives. Begin with `session`.
"""

__all__ = [
    "alerts",
    "archived_alerts",
    "begin",
    "clocks",
    "keyboard",
    "pace",
    "screen",
    "serve",
    "session",
    "stream",
    "view",
    "watching",
]
