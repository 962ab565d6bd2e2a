"""Requests that nobody makes by hand: `probes.toml` names them by kind."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final
from urllib.parse import unquote_plus

from logstats.dataclass import dataclass
from logstats.frames import pl

TARGET: Final = "target"


@dataclass(frozen=True, slots=True)
class Probe:
    """A kind of probe: where its `pattern` is looked for, and whether it counts only where it was `refused` (4xx)."""

    kind: str
    title: str
    pattern: str
    columns: tuple[str, ...]
    refused: bool


@cache
def probes() -> Mapping[str, Probe]:
    """All kinds, in the order in which they are tried: the first that fits is the kind of a request."""
    text = resources.files("logstats.clients").joinpath("probes.toml").read_text(encoding="utf-8")
    found = {}
    for entry in tomllib.loads(text)["probe"]:
        columns = tuple(entry.get("in", [TARGET]))
        found[entry["kind"]] = Probe(
            entry["kind"], entry["title"], f"(?i){entry['pattern']}", columns, entry.get("refused", False)
        )
    return found


def kinds(requests: pl.DataFrame) -> pl.Series:
    """What each request probes for (String, null for nothing). `requests` have target, method, user_agent,
    referer and status."""
    refused = requests["status"].is_between(400, 499).fill_null(value=False)
    asked_for = pl.when(pl.col("method") == "CONNECT").then(pl.col("target"))
    requests = requests.with_columns(asked_for.alias("proxied"))
    columns = {name: requests[name] for name in ("user_agent", "referer", "proxied")}
    held: dict[str, dict[str, pl.Series]] = {}
    for name, texts in {TARGET: requests[TARGET], **columns}.items():
        distinct = texts.unique()
        read = _decoded(distinct) if name != "user_agent" else distinct
        held[name] = {
            probe.kind: distinct.filter(read.str.contains(probe.pattern).fill_null(value=False))
            for probe in probes().values()
            if name in probe.columns
        }
    kind = pl.lit(None, pl.String)
    frame = requests.with_columns(refused.alias("refused"))
    for probe in reversed([*probes().values()]):
        hit = pl.lit(value=False)
        for name in probe.columns:
            texts = held[name][probe.kind]
            if len(texts):
                hit = hit | pl.col(name).is_in(texts.implode()).fill_null(value=False)
        if probe.refused:
            hit = hit & pl.col("refused")
        kind = pl.when(hit).then(pl.lit(probe.kind)).otherwise(kind)
    return frame.select(kind.alias("probe")).to_series()


def _decoded(texts: pl.Series) -> pl.Series:
    """Percent-decoded where there is something to decode; of bytes that are not UTF-8, their place-holders."""
    coded = texts.str.contains(r"[%+]").fill_null(value=False)
    if not coded.any():
        return texts
    return pl.Series([unquote_plus(text) if text else None for text in texts], dtype=pl.String)
