"""The request line, `GET /path?query HTTP/1.1`, as RFC 9112 section 3 has it and as servers log it.

Accepted: a method and a target, with or without a protocol (HTTP/0.9 has none), spaces in the target. A
request line that is anything else (empty, `-`, the bytes of a TLS hello) is malformed: it has no method and no
path, its request still counts.
"""

from __future__ import annotations

import polars as pl

# RFC 9110 names methods by tokens; every registered one, and every one seen in the wild, is made of these.
_METHOD = r"^[A-Za-z][A-Za-z_-]{0,31}$"
_PROTOCOL = r" [A-Za-z]{2,10}/[0-9](?:\.[0-9]{1,2})?$"
_TARGET = r"^(?:/|\*$|[A-Za-z][A-Za-z0-9+.-]*://|[^/ ]+:[0-9]+$)"  # RFC 9112, the four forms of a target
_AUTHORITY = r"^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)"


def split_requests(requests: pl.Series) -> pl.DataFrame:
    """Request lines → (method, target, protocol), String; all null where the request line is malformed.

    Without a protocol the target must have one of the four forms of RFC 9112, so that a stray sentence is
    not taken for a request.
    """
    return (
        requests.to_frame("request")
        .select(
            pl.col("request").str.splitn(" ", 2).struct.rename_fields(["method", "rest"]).struct.unnest(),
        )
        .with_columns(protocol=pl.concat_str(pl.lit(" "), "rest").str.extract(f"({_PROTOCOL})").str.slice(1))
        .with_columns(
            target=pl.when(pl.col("protocol").is_null())
            .then("rest")
            .otherwise(pl.col("rest").str.head(-(pl.col("protocol").str.len_chars().cast(pl.Int64) + 1)))
        )
        .with_columns(
            good=pl.col("method").str.contains(_METHOD)
            & (pl.col("target").str.len_bytes() > 0)
            & (pl.col("protocol").is_not_null() | pl.col("target").str.contains(_TARGET))
        )
        .select(pl.when(pl.col("good")).then(name).alias(name) for name in ("method", "target", "protocol"))
    )


def split_targets(targets: pl.Series) -> pl.DataFrame:
    """Request targets → (path, query, authority), String: split at the first `?`.

    Of an absolute URL, `http://host:8080/path`, the authority is set apart and the path starts at `/`.
    """
    frame = targets.to_frame("target").select(
        pl.col("target").str.splitn("?", 2).struct.rename_fields(["path", "query"]).struct.unnest(),
    )
    absolute = pl.col("path").str.contains("://", literal=True) & pl.col("path").str.contains(_AUTHORITY)
    if not frame["path"].str.contains("://", literal=True).any():
        return frame.with_columns(authority=pl.lit(None, pl.String))
    path = pl.col("path").str.replace(_AUTHORITY, "")
    return frame.select(
        pl.when(absolute).then(pl.when(path == "").then(pl.lit("/")).otherwise(path)).otherwise("path").alias("path"),
        "query",
        pl.when(absolute).then(pl.col("path").str.extract(_AUTHORITY)).alias("authority"),
    )
