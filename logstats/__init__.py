"""logstats: statistics of web access logs.

    import logstats

    report = logstats.report(["access.log"], by=["client_ip"])
    for frame in logstats.read(["access.log"], status=["5xx"]):
        ...

`report`, `read`, `slo` and `diff` take the options of `Options` as keyword arguments. Errors are `LogstatsError`s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logstats.errors import (
    ExpressionError,
    FormatError,
    LogstatsError,
    ObjectiveError,
    RouteError,
    SourceError,
    UnknownFormatError,
    UsageError,
)

if TYPE_CHECKING:
    from logstats.api import Options, diff, read, report, slo
    from logstats.reports.model import Report

__version__ = "0.1.0"

__all__ = [
    "ExpressionError",
    "FormatError",
    "LogstatsError",
    "ObjectiveError",
    "Options",
    "Report",
    "RouteError",
    "SourceError",
    "UnknownFormatError",
    "UsageError",
    "diff",
    "read",
    "report",
    "slo",
]


def __getattr__(name: str) -> object:
    """Load what needs Polars when it is first asked for."""
    if name in ("Options", "diff", "read", "report", "slo"):
        from logstats import api

        return getattr(api, name)
    if name == "Report":
        from logstats.reports.model import Report

        return Report
    raise AttributeError(f"module 'logstats' has no attribute {name!r}")
