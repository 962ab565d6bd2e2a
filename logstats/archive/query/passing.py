"""Which rows of an archive pass, and what is seen of them: filtered by what was logged, then without persons."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from logstats import schema
from logstats.archive.log import tables
from logstats.dataclass import dataclass
from logstats.enrich.computed import Columns
from logstats.enrich.privacy import Anonymizer
from logstats.filters import Filters
from logstats.frames import pl
from logstats.options import Options


@dataclass(frozen=True, slots=True)
class Passing:
    """Takes frames of the columns in `reads`, and gives those of `wanted` of the rows that pass the filters.

    As of logs: filters see what was logged, and whoever gets the rows what `--anonymize` has left; of that, columns are
    computed again, but those that are impersonal.
    """

    reads: tuple[str, ...]
    keep: pl.Expr | None
    wanted: tuple[str, ...]
    computed: Columns
    anonymizer: Anonymizer | None

    @classmethod
    def of(cls, options: Options, filters: Filters, wanted: Collection[str]) -> Self:
        """What these options ask of rows with these columns, of the schema or computed."""
        computed, anonymizer = options.columns(), options.anonymizer()
        reads = {*wanted, *filters.needs}
        if anonymizer is not None:
            again = set(wanted) - schema.IMPERSONAL
            reads |= computed.reads(again - set(tables.columns(tables.LOGS))) | {"timestamp"}
        return cls(tuple(sorted(reads)), filters.expression(), tuple(sorted(wanted)), computed, anonymizer)

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that pass."""
        rows = frame if self.keep is None else frame.filter(self.keep)
        if self.anonymizer is not None and rows.height:
            logged = {*tables.columns(tables.LOGS), *schema.IMPERSONAL, schema.LINE}
            rows = self.anonymizer.rows(rows.select(name for name in rows.columns if name in logged))
            rows = self.computed.add(rows, self.wanted)
        return rows.select(self.wanted)
