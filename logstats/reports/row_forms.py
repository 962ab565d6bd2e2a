"""What the rows of rankings are: endpoints, and the values of other columns."""

from __future__ import annotations

import json
from collections.abc import Mapping

from logstats import schema
from logstats.dataclass import dataclass
from logstats.frames import pl
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

    def members(self, figures: KeyFigures) -> Mapping[str, pl.Series]:
        """As `EndpointRow.figures`."""
        return {
            "method": json_text.texts(figures.texts.to_series(0)),
            "endpoint": json_text.texts(figures.texts.to_series(1).fill_null("")),
            **_counts(figures),
            "status_classes": figures.classes_as_json(),
            "share_of_time": json_text.numbers(figures.shares(self.total)),
        }


@dataclass(frozen=True, slots=True)
class Values:
    """Values of a column, or of several, `by` which was asked."""

    by: str

    def row(self, key: RankedKey) -> BreakdownRow:
        """A value."""
        value, values = self._value(key.texts)
        return BreakdownRow(value, key.requests, key.errors, key.bytes, key.latency, values)

    def members(self, figures: KeyFigures) -> Mapping[str, pl.Series]:
        """As `BreakdownRow.figures`."""
        values = [self._written(*self._value(texts)) for texts in figures.texts.iter_rows()]
        return {"value": pl.Series(values, dtype=pl.String), **_counts(figures)}

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


def _counts(figures: KeyFigures) -> dict[str, pl.Series]:
    return {name: figures.kept[name] for name in ("requests", "errors", "bytes")}
