"""The requests of a chunk: method, protocol, path, query, host, endpoint.

A format has whole request lines, or their parts, or either. Each distinct text is read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from logstats import schema
from logstats.cache import BoundedCache
from logstats.formats.fields.request_line import path_of, request_of, split_requests, split_targets
from logstats.frames import pl

TARGET_COLUMNS: Final = frozenset({"path", "query", "endpoint", "host"})
_TARGET_ALONE: Final = r"^/[^ ]*$"
_COLUMNS: Final = ("method", "protocol", "path", "query", "authority", "endpoint")


class PathTemplates(Protocol):
    """Turns paths into endpoints; `logstats.endpoints.Endpoints` is one."""

    def templates(self, paths: pl.Series) -> pl.Series: ...
    def endpoint(self, path: str) -> str: ...
    def parameters(self, queries: pl.Series) -> pl.Series | None: ...


class Requests:
    """Reads the columns of requests. Threads may share it."""

    def __init__(self, endpoints: PathTemplates, wanted: frozenset[str], *, mixed: bool) -> None:
        """`mixed` says that each line may have its request whole or in parts."""
        self._endpoints, self._mixed = endpoints, mixed
        # The authority of an absolute URL is the host if the line has no other.
        self._wanted = (wanted - {"host"}) | ({"authority"} if "host" in wanted else frozenset())
        self._any = bool(self._wanted & {*_COLUMNS} - {"authority"})
        self._of_lines = BoundedCache(self._split_lines)
        self._of_targets = BoundedCache(self._split_targets)

    def split(self, frame: pl.DataFrame, role: Mapping[str, str]) -> list[pl.Series]:
        """`_method`, `_protocol`, `_path`, `_query`, `_authority`, `_endpoint` of every row, as far as wanted.

        `role` maps a role (the request, or a part of it) to its column of texts.
        """
        own = {part: frame[role[part]] for part in ("method", "target", "path", "protocol", "query") if part in role}
        if not self._any or not ("request" in role or own):
            return []
        found: dict[str, pl.Series] = {}
        targets = [own.pop(part) for part in ("target", "path") if part in own]
        if "request" in role:
            requests = frame[role["request"]]
            found = {column.name: column for column in self._of_lines.lookup(requests)}
            if self._mixed and "method" in own and "target" in found and found["target"].null_count():
                alone = requests.str.contains(_TARGET_ALONE) & own["method"].is_not_null()  # `"request": "%U"`
                if alone.any():
                    targets.append(requests.set(~alone.fill_null(value=False), None))
        if targets:
            if "target" in found:
                targets.append(found["target"])
            texts = targets[0]
            for other in targets[1:]:
                texts = _with_query(texts.fill_null(other), other)
            found |= {column.name: column for column in self._of_targets.lookup(texts)}
        for part, column in own.items():
            if part == "query":
                column = column.str.strip_prefix("?")
                found[part] = found[part].fill_null(column) if part in found else column
            else:
                found[part] = column.fill_null(found[part]) if part in found else column
        if "endpoint" not in found and "endpoint" in self._wanted:  # no line of these has a path; others may
            found["endpoint"] = pl.Series([schema.MALFORMED], dtype=pl.String).new_from_index(0, frame.height)
        elif "endpoint" in found:
            found["endpoint"] = _filled(found["endpoint"], schema.MALFORMED)
            kept = self._endpoints.parameters(found["query"]) if "query" in found else None
            if kept is not None:
                found["endpoint"] = found["endpoint"] + kept
        return [found[name].alias(f"_{name}") for name in _COLUMNS if name in found and name in self._wanted]

    def _split_lines(self, lines: pl.Series) -> pl.DataFrame:
        parts = split_requests(lines)
        kept = self._wanted | ({"target"} if self._mixed else set())
        own = [parts[name] for name in ("method", "protocol", "target") if name in kept]
        return pl.DataFrame([*own, *self._split_targets(parts["target"])])

    def _split_targets(self, targets: pl.Series) -> pl.DataFrame:
        if not self._wanted & {"path", "query", "authority", "endpoint"}:
            return pl.DataFrame()
        parts = {part.name: part for part in split_targets(targets)}
        if "endpoint" in self._wanted:
            parts["endpoint"] = self.endpoints(parts["path"]).alias("endpoint")
        return pl.DataFrame([parts[name] for name in parts if name in self._wanted])

    def endpoints(self, paths: pl.Series) -> pl.Series:
        """The endpoints of paths, without what they keep of queries."""
        return _filled(self._endpoints.templates(paths), schema.MALFORMED)

    def name(self, line: str) -> str:
        """`METHOD endpoint` of one request line, or ` (malformed)`, without what is kept of queries."""
        found = request_of(line)
        if found is None:
            return f" {schema.MALFORMED}"
        method, target, _ = found
        return f"{method} {self.endpoint(path_of(target))}"

    def endpoint(self, path: str) -> str:
        """The endpoint of one path."""
        return self._endpoints.endpoint(path)


def _with_query(targets: pl.Series, others: pl.Series) -> pl.Series:
    """The targets; or, of those that are another without its query, the other."""
    either = pl.DataFrame([targets.alias("target"), others.alias("other")])
    longer = pl.col("other").str.starts_with(pl.col("target") + "?")
    return either.select(pl.when(longer).then("other").otherwise("target")).to_series()


def _filled(texts: pl.Series, text: str) -> pl.Series:
    """The texts, and this one for null, of which there are few."""
    return texts.clone().scatter(texts.is_null().arg_true(), text) if texts.null_count() else texts
