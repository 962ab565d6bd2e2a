"""The JSON Schema of the JSON report; it ships beside this file."""

from __future__ import annotations

from importlib import resources


def load_schema() -> str:
    """The schema as text."""
    return (resources.files("logstats.reports") / "report.schema.json").read_text(encoding="utf-8")
