"""The request line, `GET /path?query HTTP/1.1`, as defined by RFC 9112 section 3 and as servers log it.

Accepted: a method and a target, with or without a protocol (HTTP/0.9 has none), spaces in the target, colours of a
terminal around it (Werkzeug's, inside the quotes). A request line that is anything else (empty, `-`, the bytes of a TLS
hello) is malformed: it has no method and no path, but its request counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import Mask, as_numbers

# RFC 9110 defines methods as tokens; all registered ones, and all seen in real logs, consist of these characters.
_METHOD = r"^[A-Za-z][A-Za-z_-]{0,31}$"
_PROTOCOL = r"( [A-Za-z]{2,10}/[0-9](?:\.[0-9]{1,2})?)$"
_TARGET = r"^(?:/|\*$|[A-Za-z][A-Za-z0-9+.-]*://|[^/ ]+:[0-9]+$)"  # RFC 9112, the four forms of a target
_COLOURS = r"^(?:\x1b\[[0-9;]*m)+|(?:\x1b\[[0-9;]*m)+$"
_AUTHORITY = r"^(?:-|[A-Za-z][A-Za-z0-9+._-]*)://([^/?#]*)"  # `-`: nginx has no $http_x_forwarded_proto
# The same for Python, for which `$` is also in front of a newline at the end.
_METHOD_OF_ONE, _PROTOCOL_OF_ONE, _TARGET_OF_ONE, _COLOURS_OF_ONE, _AUTHORITY_OF_ONE = (
    re.compile(form.replace("$", r"\Z")) for form in (_METHOD, _PROTOCOL, _TARGET, _COLOURS, _AUTHORITY)
)


def split_requests(requests: pl.Series) -> pl.DataFrame:
    """Request lines → (method, target, protocol), String; all null where the request line is malformed.

    Without a protocol, the target must have one of the four forms of RFC 9112, so that a sentence is not read as a
    request.
    """
    if not kernels.AVAILABLE:
        return _unusual(requests)
    method, target, protocol, usual = kernels.request_lines(requests)
    parts = pl.DataFrame([method.alias("method"), target.alias("target"), protocol.alias("protocol")])
    return _completed(parts, usual, requests, _unusual)


def _completed(
    frame: pl.DataFrame, known: Mask, texts: pl.Series, others: Callable[[pl.Series], pl.DataFrame]
) -> pl.DataFrame:
    """Append the rows that are missing; the row of null has nulls."""
    odd = ~known
    if texts.null_count():
        odd &= texts.is_not_null().to_numpy()
    if not odd.any():
        return frame
    places = as_numbers(np.flatnonzero(odd))
    found = others(texts[places])
    return frame.with_columns(frame[name].scatter(places, found[name]) for name in found.columns)


def _unusual(requests: pl.Series) -> pl.DataFrame:
    """The same, for request lines with any protocol or none."""
    split = pl.col("").str.splitn(" ", 2).struct.rename_fields(["method", "rest"]).struct.unnest()
    # _PROTOCOL allows at most 16 characters, and a short text is searched fast.
    tail = (" " + pl.col("rest").str.tail(16)).str.extract(_PROTOCOL)
    cut = pl.col("rest").str.head(-pl.col("tail").str.len_bytes().cast(pl.Int64))
    has_form = pl.col("protocol").is_not_null() | pl.col("target").str.contains(_TARGET)
    named = pl.col("method").str.contains(_METHOD) & (pl.col("target").str.len_bytes() > 0)
    good = (named & has_form).fill_null(value=False)
    return (
        requests.to_frame("")
        .lazy()
        .select(pl.col("").str.replace_all(_COLOURS, ""))
        .select(split)
        .with_columns(tail=tail)
        .select(
            "method",
            target=pl.when(pl.col("tail").is_null()).then("rest").otherwise(cut),
            protocol=pl.col("tail").str.slice(1),
        )
        .select(pl.when(good).then(pl.all()))
        .collect()
    )


def request_of(line: str) -> tuple[str, str, str | None] | None:
    """One request line → (method, target, protocol or None); None where it is malformed."""
    method, space, rest = _COLOURS_OF_ONE.sub("", line).partition(" ")
    tail = _PROTOCOL_OF_ONE.search(f" {rest[-16:]}")
    target = rest[: -len(tail[1])] if tail else rest
    good = space and target and _METHOD_OF_ONE.search(method) and (tail or _TARGET_OF_ONE.search(target))
    return (method, target, tail[1][1:] if tail else None) if good else None


def path_of(target: str) -> str:
    """The path of one target, as `split_targets` has it."""
    path = target.partition("?")[0]
    authority = _AUTHORITY_OF_ONE.search(path)
    return path if authority is None else path[authority.end() :] or "/"


def split_targets(targets: pl.Series) -> pl.DataFrame:
    """Request targets → (path, query, authority), String: split at the first `?`.

    For an absolute URL, `http://host:8080/path`, the authority is separated and the path starts at `/`.
    """
    if not kernels.AVAILABLE:
        return _absolute(targets)
    path, query, usual = kernels.targets(targets)
    authority = pl.Series("authority", [None], pl.String).new_from_index(0, len(targets))
    parts = pl.DataFrame([path.alias("path"), query.alias("query"), authority])
    return _completed(parts, usual, targets, _absolute)


def _absolute(targets: pl.Series) -> pl.DataFrame:
    """The same, if some targets may be absolute URLs."""
    rest = pl.col("path").str.replace(_AUTHORITY, "")
    rest = pl.when(rest == "").then(pl.lit("/")).otherwise(rest)
    return (
        targets.to_frame("target")
        .lazy()
        .select(pl.col("target").str.splitn("?", 2).struct.rename_fields(["path", "query"]).struct.unnest())
        .with_columns(authority=pl.col("path").str.extract(_AUTHORITY))
        .with_columns(path=pl.when(pl.col("authority").is_null()).then("path").otherwise(rest))
        .collect()
    )
