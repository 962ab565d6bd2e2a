"""The request line, `GET /path?query HTTP/1.1`, as RFC 9112 section 3 has it and as servers log it.

Accepted: a method and a target, with or without a protocol (HTTP/0.9 has none), spaces in the target. A
request line that is anything else (empty, `-`, the bytes of a TLS hello) is malformed: it has no method and no
path, its request still counts.
"""

from __future__ import annotations

import numpy as np
import polars as pl

# RFC 9110 names methods by tokens; every registered one, and every one seen in the wild, is made of these.
_METHOD = r"^[A-Za-z][A-Za-z_-]{0,31}$"
_PROTOCOL = r"( [A-Za-z]{2,10}/[0-9](?:\.[0-9]{1,2})?)$"
_USUAL = (" HTTP/1.1", " HTTP/2.0", " HTTP/1.0")
_USUAL_LENGTH = 9
_TARGET = r"^(?:/|\*$|[A-Za-z][A-Za-z0-9+.-]*://|[^/ ]+:[0-9]+$)"  # RFC 9112, the four forms of a target
_METHOD_AND_TARGET = pl.col("method").str.contains(_METHOD) & (pl.col("target").str.len_bytes() > 0)
_AUTHORITY = r"^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)"


def split_requests(requests: pl.Series) -> pl.DataFrame:
    """Request lines → (method, target, protocol), String; all null where the request line is malformed.

    Without a protocol the target must have one of the four forms of RFC 9112, so that a stray sentence is
    not taken for a request.
    """
    rest = pl.col("rest")
    parts = requests.to_frame("").select(
        pl.col("").str.splitn(" ", 2).struct.rename_fields(["method", "rest"]).struct.unnest()
    )
    usual = parts.select(pl.any_horizontal(*(rest.str.ends_with(ending) for ending in _USUAL))).to_series()
    parts = parts.with_columns(
        target=pl.when(usual).then(rest.str.head(-_USUAL_LENGTH)),
        protocol=pl.when(usual).then(rest.str.tail(_USUAL_LENGTH - 1)),
    )
    odd = np.flatnonzero(~parts.select(_METHOD_AND_TARGET.fill_null(value=False)).to_series().to_numpy())
    if len(odd):
        found = _unusual(parts[odd])
        parts = parts.with_columns(parts[name].scatter(odd, found[name]) for name in found.columns)
    parts.drop_in_place("rest")
    return parts


def _unusual(parts: pl.DataFrame) -> pl.DataFrame:
    """Method, target and protocol of what ends with another protocol, or with none; or is malformed."""
    # The longest protocol that _PROTOCOL allows has 16 characters; a short text is searched fast.
    tail = (" " + pl.col("rest").str.tail(16)).str.extract(_PROTOCOL)
    cut = pl.col("rest").str.head(-pl.col("tail").str.len_bytes().cast(pl.Int64))
    has_form = pl.col("protocol").is_not_null() | pl.col("target").str.contains(_TARGET)
    good = (_METHOD_AND_TARGET & has_form).fill_null(value=False)
    return (
        parts.lazy()
        .select("method", "rest", tail=tail)
        .select(
            "method",
            target=pl.when(pl.col("tail").is_null()).then("rest").otherwise(cut),
            protocol=pl.col("tail").str.slice(1),
        )
        .select(pl.when(good).then(pl.all()))
        .collect()
    )


def split_targets(targets: pl.Series) -> pl.DataFrame:
    """Request targets → (path, query, authority), String: split at the first `?`.

    Of an absolute URL, `http://host:8080/path`, the authority is set apart and the path starts at `/`.
    """
    frame = (
        targets.to_frame("target")
        .lazy()
        .select(
            pl.col("target").str.splitn("?", 2).struct.rename_fields(["path", "query"]).struct.unnest(),
            authority=pl.lit(None, pl.String),
        )
        .with_columns(absolute=pl.col("path").str.contains("://", literal=True).fill_null(value=False))
        .collect()
    )
    absolute = np.flatnonzero(frame.drop_in_place("absolute").to_numpy())
    if not len(absolute):
        return frame
    rest = pl.col("path").str.replace(_AUTHORITY, "")
    rest = pl.when(rest == "").then(pl.lit("/")).otherwise(rest)
    authority = pl.col("path").str.extract(_AUTHORITY)
    few = frame[absolute].select(authority=authority, path=pl.when(authority.is_null()).then("path").otherwise(rest))
    return frame.with_columns(frame[name].scatter(absolute, few[name]) for name in ("path", "authority"))
