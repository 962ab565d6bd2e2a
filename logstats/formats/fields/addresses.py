"""Addresses of clients as they are logged: with a port, in brackets, or as a list of those that passed it on."""

from __future__ import annotations

from logstats.frames import pl

_HAS_PORT = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}:[0-9]+|\[.*)$"


def without_ports(texts: pl.Series) -> pl.DataFrame:
    """Addresses without their ports; null for what says none."""
    return texts.to_frame("").select(_without_port(pl.col("")))


def first_addresses(texts: pl.Series) -> pl.DataFrame:
    """The first of some addresses, `client, proxy, proxy`, without its port."""
    first = pl.col("").str.splitn(",", 2).struct.field("field_0").str.strip_chars(" ")
    return texts.to_frame("").select(_without_port(pl.when((first != "-") & (first != "")).then(first)))


def _without_port(address: pl.Expr) -> pl.Expr:
    bare = address.str.replace(r"^\[([^\]]*)\].*$", "$1").str.replace(r"^([0-9.]+):[0-9]+$", "$1")
    return pl.when(address.str.contains(_HAS_PORT)).then(bare).otherwise(address)
