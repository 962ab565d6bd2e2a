"""The JSON Schema of the JSON report; it ships beside this file."""

from __future__ import annotations

import json
from importlib import resources

from logstats.summaries.names import AGGREGATES


def load_schema() -> str:
    """The schema as text, with the aggregates that are tables of their own."""
    schema = json.loads((resources.files("logstats.reports") / "report.schema.json").read_text(encoding="utf-8"))
    for name, title in AGGREGATES.items():
        if title:
            schema["properties"][name] = {"type": "array", "description": title, "items": {"type": "object"}}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
