"""Alerts: rules that are held against each closed minute, what they come to, and who is told.

`rule` is what a rule is and what one minute says of it; `conditions` (`--alert`) and `burn` (`--policy`) count what
rules need and judge minutes; `line_minutes` tells when lines without a time were read; `alerts` decides from one minute
after the other which rules fire, `batches` does so for rows that come in batches; `message` says a change in words and
as JSON; `delivery` hands changes to a `command` and to a `webhook`, without anybody waiting for them. May use:
objectives, reports, summaries, expressions, and `clocks` of its own room. Begin with `alerts.Alerts`.
"""

__all__ = [
    "alerts",
    "batches",
    "burn",
    "command",
    "conditions",
    "delivery",
    "line_minutes",
    "message",
    "rule",
    "webhook",
]
