"""Alerts: rules that are held against each closed minute, what they come to, and who is told.

`rule` is what a rule is and what one minute says of it; `conditions` (`--alert`) and `burn` (`--policy`) count what
rules need and judge minutes; `line_minutes` tells when lines without a time were read; `alerts` decides from one minute
after the other which rules fire.
May use: objectives, reports, summaries, expressions, and `clocks` of its own room. Begin with `alerts.Alerts`.
"""

__all__ = ["alerts", "burn", "conditions", "line_minutes", "rule"]
