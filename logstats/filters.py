"""Which rows count: time range, status, method, path, host, `--where`. One expression over the request schema.

What understands expressions of `--where` is loaded only if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Final

from logstats.dataclass import dataclass
from logstats.errors import UsageError
from logstats.expressions.patterns import glob_matches
from logstats.frames import pl

if TYPE_CHECKING:
    from logstats.expressions.predicates import Predicate


@dataclass(frozen=True, slots=True)
class Filters:
    """What must hold of a row (each tuple: any of these), and what must not (`exclude_…`).

    `since` ≤ timestamp < `until`; a row without a time is outside of any range. Statuses are `404` or `5xx`,
    methods are compared without regard to case, `path` and `host` are globs (`*` also matches `/`). All of `where` must
    hold: expressions as they were written, and as they were parsed. `bots` is `exclude`, `only`, or None.
    """

    since: datetime | None = None
    until: datetime | None = None
    status: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    exclude_status: tuple[str, ...] = ()
    exclude_method: tuple[str, ...] = ()
    exclude_path: tuple[str, ...] = ()
    exclude_host: tuple[str, ...] = ()
    where: tuple[tuple[str, Predicate], ...] = ()
    bots: str | None = None

    @property
    def needs(self) -> frozenset[str]:
        """The columns that the filters read, computed ones too."""
        columns = {"timestamp"} if self.since or self.until else set()
        if self.where:
            from logstats.expressions.predicates import needs

            columns |= {name for _, predicate in self.where for name in needs(predicate)}
        for name in ("status", "method", "path", "host"):
            if getattr(self, name) or getattr(self, f"exclude_{name}"):
                columns.add(name)
        if self.bots:
            columns.add("bot")
        return frozenset(columns)

    def expression(self) -> pl.Expr | None:
        """True for the rows that count, never null; None if all do. Raises UsageError."""
        tests: list[pl.Expr] = []
        if self.since:
            tests.append(pl.col("timestamp") >= self.since)
        if self.until:
            tests.append(pl.col("timestamp") < self.until)
        for name, test in (("status", _status), ("method", _method), ("path", glob_matches), ("host", glob_matches)):
            wanted, unwanted = getattr(self, name), getattr(self, f"exclude_{name}")
            if wanted:
                tests.append(test(name, wanted))
            if unwanted:
                tests.append(~test(name, unwanted).fill_null(value=False))
        if self.where:
            from logstats.expressions.compiled import expression

            tests += [expression(predicate) for _, predicate in self.where]
        if self.bots:
            tests.append(pl.col("bot").is_not_null() if self.bots == "only" else pl.col("bot").is_null())
        return pl.all_horizontal(*tests).fill_null(value=False) if tests else None

    def span(self) -> tuple[datetime | None, datetime | None]:
        """The span, since ≤ t < until, of every row that can count, `where` considered."""
        spans = [(self.since, self.until)]
        if self.where:
            from logstats.expressions.predicates import span

            spans += [span(predicate) for _, predicate in self.where]
        since = max((begin for begin, _ in spans if begin is not None), default=None)
        until = min((end for _, end in spans if end is not None), default=None)
        return since, until

    def equal(self) -> dict[str, frozenset[str]]:
        """Columns of texts, each with the texts of which it has one in every row that can count."""
        tests: list[dict[str, frozenset[str]]] = []
        if self.where:
            from logstats.expressions.predicates import equal

            tests += [equal(predicate) for _, predicate in self.where]
        for name in ("path", "host"):
            texts = getattr(self, name)
            if texts and not any(set(text) & set("*?") for text in texts):
                tests.append({name: frozenset(texts)})
        found: dict[str, frozenset[str]] = {}
        for name, wanted in (item for test in tests for item in test.items()):
            found[name] = found[name] & wanted if name in found else wanted
        return found

    def describe(self) -> dict[str, str]:
        """The filters in words, for a report."""
        words = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value and field.name == "where":
                texts = [text for text, _ in self.where]
                words["where"] = texts[0] if len(texts) == 1 else " and ".join(f"({text})" for text in texts)
            elif value:
                words[field.name.replace("_", "-")] = _shown(value)
        return words


BOTS: Final = ("exclude", "only")


def _shown(value: datetime | tuple[str, ...] | str) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value if isinstance(value, str) else ",".join(value)


def _status(name: str, wanted: Sequence[str]) -> pl.Expr:
    tests = []
    for word in wanted:
        if re.fullmatch(r"[1-5]xx", word.lower()):
            low = int(word[0]) * 100
            tests.append(pl.col(name).is_between(low, low + 99))
        elif re.fullmatch(r"[1-9][0-9]{2}", word):
            tests.append(pl.col(name) == int(word))
        else:
            raise UsageError(f"{word!r} is not a status", "write 404 or 5xx, several with commas: 5xx,404")
    return pl.any_horizontal(*tests)


def _method(name: str, wanted: Sequence[str]) -> pl.Expr:
    return pl.col(name).str.to_uppercase().is_in([word.upper() for word in wanted])
