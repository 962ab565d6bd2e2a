"""The request line, `GET /path?query HTTP/1.1`, as RFC 9112 section 3 has it and as servers log it.

Accepted: a method and a target, with or without a protocol (HTTP/0.9 has none), spaces in the target. A
request line that is anything else (empty, `-`, the bytes of a TLS hello) is malformed: it has no method and no
path, its request still counts.
"""

from __future__ import annotations

import polars as pl

# RFC 9110 names methods by tokens; every registered one, and every one seen in the wild, is made of these.
_METHOD = r"^[A-Za-z][A-Za-z_-]{0,31}$"
_PROTOCOL = r"( [A-Za-z]{2,10}/[0-9](?:\.[0-9]{1,2})?)$"
_USUAL = (" HTTP/1.1", " HTTP/2.0", " HTTP/1.0")
_USUAL_LENGTH = 9
_TARGET = r"^(?:/|\*$|[A-Za-z][A-Za-z0-9+.-]*://|[^/ ]+:[0-9]+$)"  # RFC 9112, the four forms of a target
_AUTHORITY = r"^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)"


def split_requests(requests: pl.Series) -> pl.DataFrame:
    """Request lines → (method, target, protocol), String; all null where the request line is malformed.

    Without a protocol the target must have one of the four forms of RFC 9112, so that a stray sentence is
    not taken for a request.
    """
    parts = requests.to_frame("request").select(
        pl.col("request").str.splitn(" ", 2).struct.rename_fields(["method", "rest"]).struct.unnest()
    )
    rest = pl.col("rest")
    usual = pl.any_horizontal(*(rest.str.ends_with(ending) for ending in _USUAL))
    parts = parts.select(
        "method",
        "rest",
        target=pl.when(usual).then(rest.str.head(-_USUAL_LENGTH)),
        protocol=pl.when(usual).then(rest.str.tail(_USUAL_LENGTH - 1)),
    )
    odd = (parts["target"].is_null() & parts["rest"].is_not_null()).arg_true()
    if odd.len():
        parts = parts.with_columns(_unusual(parts["rest"].gather(odd), odd, parts))
    parts = parts.drop("rest")
    good = parts["method"].str.contains(_METHOD) & (parts["target"].str.len_bytes() > 0)
    if parts["protocol"].null_count():
        good &= parts["protocol"].is_not_null() | parts["target"].str.contains(_TARGET)
    good = good.fill_null(value=False)
    return parts if good.all() else parts.select(pl.when(good).then(pl.all()))


def _unusual(rests: pl.Series, places: pl.Series, parts: pl.DataFrame) -> list[pl.Series]:
    """Target and protocol of what ends with another protocol, or with none."""
    # The longest protocol that _PROTOCOL allows has 16 characters; a short text is searched fast.
    frame = rests.to_frame("rest").with_columns(tail=(" " + pl.col("rest").str.tail(16)).str.extract(_PROTOCOL))
    cut = pl.col("rest").str.head(-pl.col("tail").str.len_bytes().cast(pl.Int64))
    target = pl.when(pl.col("tail").is_null()).then("rest").otherwise(cut)
    frame = frame.select(target=target, protocol=pl.col("tail").str.slice(1))
    return [parts[name].scatter(places, frame[name]) for name in ("target", "protocol")]


def split_targets(targets: pl.Series) -> pl.DataFrame:
    """Request targets → (path, query, authority), String: split at the first `?`.

    Of an absolute URL, `http://host:8080/path`, the authority is set apart and the path starts at `/`.
    """
    frame = targets.to_frame("target").select(
        pl.col("target").str.splitn("?", 2).struct.rename_fields(["path", "query"]).struct.unnest(),
        authority=pl.lit(None, pl.String),
    )
    absolute = frame["path"].str.contains("://", literal=True).fill_null(value=False).arg_true()
    if not absolute.len():
        return frame
    few = (
        frame["path"]
        .gather(absolute)
        .to_frame()
        .with_columns(authority=pl.col("path").str.extract(_AUTHORITY), rest=pl.col("path").str.replace(_AUTHORITY, ""))
    )
    rest = pl.when(pl.col("rest") == "").then(pl.lit("/")).otherwise("rest")
    few = few.select("authority", path=pl.when(pl.col("authority").is_null()).then("path").otherwise(rest))
    return frame.with_columns(frame[name].scatter(absolute, few[name]) for name in ("path", "authority"))
