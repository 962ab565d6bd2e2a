"""What the rows of rankings are: endpoints, and the values of other columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from logstats import schema
from logstats.dataclass import dataclass
from logstats.reports import json_text
from logstats.reports.figures import KeyFigures, RankedKey
from logstats.reports.model import BreakdownRow, EndpointRow


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Endpoints, with their share of the `total` of all durations in nanoseconds."""

    total: int

    def row(self, key: RankedKey) -> EndpointRow:
        """An endpoint."""
        share = key.latency.sum_ns / self.total if key.latency and self.total else None
        method, endpoint = key.texts
        figures = key.requests, key.errors, key.bytes, key.status_classes, key.latency
        return EndpointRow(method, endpoint or "", *figures, share)

    def members(self, figures: KeyFigures) -> Mapping[str, Sequence[str]]:
        """As `EndpointRow.figures`."""
        durations, total = zip(figures.timed, figures.ns, strict=True), self.total
        return {
            "method": json_text.texts(method for method, _ in figures.texts),
            "endpoint": json_text.texts(endpoint or "" for _, endpoint in figures.texts),
            **_counts(figures),
            "status_classes": figures.classes_as_json(),
            "share_of_time": json_text.numbers([ns / total if timed and total else None for timed, ns in durations]),
        }


@dataclass(frozen=True, slots=True)
class Values:
    """Values of a column, or of several, `by` which was asked."""

    by: str

    def row(self, key: RankedKey) -> BreakdownRow:
        """A value."""
        value, values = self._value(key.texts)
        return BreakdownRow(value, key.requests, key.errors, key.bytes, key.latency, values)

    def members(self, figures: KeyFigures) -> Mapping[str, Sequence[str]]:
        """As `BreakdownRow.figures`."""
        return {"value": [self._written(*self._value(texts)) for texts in figures.texts], **_counts(figures)}

    def _written(self, value: str, values: dict[str, str | None] | None) -> str:
        """The value, followed by the member `values` if there are any: what was folded has none among others' rows."""
        text = json_text.encode(value)
        return text if values is None else f"{text}, {json_text.member('values', json_text.encode(values))}"

    def _value(self, texts: tuple[str | None, ...]) -> tuple[str, dict[str, str | None] | None]:
        """(the value, those of several columns by name; None for one column, and for what was folded)."""
        value = texts[0] or ""
        if "," not in self.by or value == schema.OTHER:
            return value, None
        values: dict[str, str | None] = json.loads(value)
        return ", ".join("–" if text is None else text for text in values.values()), values


def _counts(figures: KeyFigures) -> dict[str, list[str]]:
    counted = {"requests": figures.requests, "errors": figures.errors, "bytes": figures.bytes}
    return {name: json_text.numbers(values) for name, values in counted.items()}
