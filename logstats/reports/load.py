"""Loads a saved JSON report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from logstats.durations import MS
from logstats.errors import UsageError
from logstats.inputs.compression import Damaged, pieces
from logstats.reports.by_minute import Minute
from logstats.reports.model import (
    SCHEMA_VERSION,
    BreakdownRow,
    EndpointRow,
    Interval,
    Latency,
    OverTime,
    Rejects,
    RejectSample,
    Report,
    SourceInfo,
    Threshold,
    UniqueUsers,
)

LARGEST: Final = 256 << 20  # bytes; a larger file is not a report
_HEAD: Final = 1 << 20


def saved_report(file: str | Path) -> Report | None:
    """The report that a file holds, compressed or not; None if it holds something else. Raises UsageError.

    A log of JSON lines also begins with `{`, but its first line is an object of its own.
    """
    path = Path(file)
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            data = bytearray()
            for piece in pieces(stream.read):
                data += piece
                if len(data) >= _HEAD and not _may_be_report(data):
                    return None
                if len(data) > LARGEST:
                    return None
    except (OSError, Damaged):
        return None  # read as a log, which reports what is wrong with it
    if not _may_be_report(data):
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not {"schema_version", "endpoints"} <= set(found):
        return None
    return from_dict(found, str(path))


def _may_be_report(data: bytearray) -> bool:
    if not data[:64].lstrip().startswith(b"{"):
        return False
    first, newline, rest = data.partition(b"\n")
    if not newline or not rest.strip():
        return True
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return True
    return False  # the first line is a whole object, and more follows


def from_dict(found: Mapping[str, Any], place: str) -> Report:
    """A report from its JSON form; `place` is named in errors. Raises UsageError."""
    version = found.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{place}: a report of schema version {version!r}; this logstats knows {SCHEMA_VERSION}",
            "make it again from the log",
        )
    try:
        return _report(found)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(
            f"{place}: not a whole report: {type(error).__name__}: {error}",
            "make it again with logstats report -o json",
        ) from None


def _report(found: Mapping[str, Any]) -> Report:
    overall = _latency(found["latency_ms"])
    users = found["unique_users"]
    totals: dict[str, Any] = {
        key: int(found[key])
        for key in ("lines", "requests", "events", "rejected", "filtered", "ignored", "untimed", "bytes")
    }
    return Report(
        generated_at=_time(found["generated_at"]),
        sources=[SourceInfo(**source) for source in found["sources"]],
        **totals,
        invalid=_counts(found.get("invalid", {})),
        first=_time(found["time"]["first"]) if found["time"]["first"] else None,
        last=_time(found["time"]["last"]) if found["time"]["last"] else None,
        status=_counts(found["status"]),
        status_classes=_counts(found["status_classes"]),
        levels=_counts(found["levels"]),
        latency=overall,
        endpoints=[
            EndpointRow(
                row["method"],
                row["endpoint"],
                row["requests"],
                row["errors"],
                row["bytes"],
                _counts(row["status_classes"]),
                _latency(row["latency_ms"]),
                row["share_of_time"],
            )
            for row in found["endpoints"]
        ],
        endpoints_total=int(found["endpoints_total"]),
        endpoints_folded=int(found["endpoints_folded"]),
        breakdowns={
            column: [
                BreakdownRow(
                    row["value"],
                    row["requests"],
                    row["errors"],
                    row["bytes"],
                    _latency(row["latency_ms"]),
                    row.get("values"),
                )
                for row in rows
            ]
            for column, rows in found["breakdowns"].items()
        },
        unique_users=UniqueUsers(
            users["total"],
            users["standard_error"] or None,
            users["exact"],
            [(_time(row["minute"]), row["users"]) for row in users["per_minute"]],
        ),
        minutes=[
            Minute(_time(m["minute"]), m["requests"], m["errors"], m["bytes"], _counts(m["status_classes"]))
            for m in found["minutes"]
        ],
        rejects=Rejects(
            _counts(found["rejects"]["by_reason"]), [RejectSample(**sample) for sample in found["rejects"]["samples"]]
        ),
        notes=list(found["notes"]),
        interrupted=bool(found["interrupted"]),
        filters=dict(found["filters"]),
        over_time=_over_time(found.get("over_time")),
        thresholds=[Threshold(**threshold) for threshold in found.get("thresholds", ())],
    )


def _counts(found: Mapping[str, Any]) -> dict[str, int]:
    return {key: int(value) for key, value in found.items()}


def _latency(found: Mapping[str, Any] | None) -> Latency | None:
    """The sum of durations is not saved, but follows from the average: exactly up to 2^52 ns (52 days in all), since
    durations are whole nanoseconds, and to 16 digits beyond."""
    if found is None:
        return None
    buckets = _buckets(found["buckets"])
    if sum(count for _, count in buckets) != found["count"] or any(count < 0 for _, count in buckets):
        raise ValueError("the buckets do not hold as many requests as there are")
    return Latency(
        count=int(found["count"]),
        avg=float(found["avg"]),
        min=float(found["min"]),
        max=float(found["max"]),
        percentiles={p: float(value) for p, value in found["percentiles"].items()},
        relative_error=float(found.get("relative_error", 0.01)),
        invalid=int(found.get("invalid", 0)),
        buckets=buckets,
        sum_ns=round(Fraction(float(found["avg"])) * MS * int(found["count"])),
    )


def _buckets(found: Sequence[Any]) -> list[tuple[int | None, int]]:
    return [(None if bucket is None else int(bucket), int(count)) for bucket, count in found]


def _over_time(found: Mapping[str, Any] | None) -> OverTime | None:
    if found is None:
        return None
    intervals = [
        Interval(**{**i, "start": _time(i["start"]), "buckets": _buckets(i["buckets"])}) for i in found["intervals"]
    ]
    hours = [(_time(row["hour"]), row["users"]) for row in found["users_per_hour"]]
    return OverTime(found["step_minutes"], intervals, hours)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
