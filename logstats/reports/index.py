"""Several reports side by side (`--split-by`): the names of their pages, and the index of these."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from logstats.reports.clock import Clock
from logstats.reports.document import Cell, Section
from logstats.reports.model import SCHEMA_VERSION, Report
from logstats.reports.units import count, duration, share, size

LONGEST = 60  # characters of a file's name
NONE = "(none)"  # what was not logged


def file_names(values: Mapping[str | None, Report]) -> dict[str | None, str]:
    """The name of the page of each value: no other than letters, digits and `.-_` is in it, and no two are alike."""
    names: dict[str | None, str] = {}
    taken = {"index"}
    for value in values:
        plain = (
            re.sub(r"[^A-Za-z0-9_-]+", "-", NONE if value is None else value)[:LONGEST].strip("-").lower() or "empty"
        )
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name)
        names[value] = f"{name}.html"
    return names


def sections(split_by: str, reports: Mapping[str | None, Report]) -> list[Section]:
    """A line for each report."""
    rows = []
    for report in reports.values():
        latency = report.latency
        p95 = latency.percentiles.get("95") if latency else None
        rows.append(
            [
                Cell(report.title),
                Cell(count(report.requests)),
                Cell(share(report.errors, report.requests) if report.errors else "–"),
                Cell(duration(latency.avg) if latency else "–"),
                Cell("–" if p95 is None else duration(p95)),
                Cell(size(report.bytes)),
            ]
        )
    heads = [split_by, "requests", "errors", "avg", "p95", "bytes"]
    return [Section(f"By {split_by}", f"{count(len(rows))} reports", (), heads, rows)]


def to_html(split_by: str, reports: Mapping[str | None, Report], clock: Clock) -> str:
    """The index: each value leads to its page."""
    from logstats.reports.html import document

    names = file_names(reports)
    found = sections(split_by, reports)
    links = "".join(
        f'<li><a href="{escape(names[value])}">{escape(report.title or "(empty)")}</a></li>'
        for value, report in reports.items()
    )
    drawn = document.Picture("Pages", Markup(f"<ul>{links}</ul>"), Markup(""))
    return document.to_html(f"Access log reports by {split_by}", found, clock, drawn)


def to_json(split_by: str, reports: Mapping[str | None, Report]) -> str:
    """An object for each value, with its report."""
    made = (f'{{"value": {json.dumps(value)}, "report": {report.to_json()}}}' for value, report in reports.items())
    return f'{{"schema_version": {SCHEMA_VERSION}, "split_by": {json.dumps(split_by)}, "reports": [{", ".join(made)}]}}'
