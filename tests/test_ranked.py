"""Rankings read out: every order, and everything in the rows, against a dict, a sorted list and `json.dumps`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import percentile

import logstats
from logstats.kernels import library as kernels
from logstats.reports.buckets import Histograms
from logstats.reports.figures import KeyFigures, RankedKey
from logstats.reports.ranked import REFUSED, TIMED, largest, rank
from logstats.reports.row_forms import Endpoints
from logstats.sketches import loghist
from logstats.summaries import endpoints, ranking
from logstats.summaries.names import SORTS

Request = tuple[str | None, str | None, int | None, int, int | None]  # method, endpoint, status, bytes, nanoseconds

requests = st.lists(
    st.tuples(
        st.sampled_from([None, "GET", "POST"]),
        st.sampled_from([None, "", "/", "/ä", "/\U0001f600", "/\uffff", "/a", "/b"]),
        st.sampled_from([None, 0, 101, 200, 204, 301, 404, 500, 503, 999]),
        st.integers(0, 2**62),
        st.one_of(st.none(), st.sampled_from([0, 1, 2, 1000, 10**6, 2**52]), st.integers(0, 2**52)),
    ),
    min_size=1,
    max_size=60,
)


def held(rows: list[Request], cap: int = 100) -> ranking.Ranking:
    frame = pl.DataFrame(
        {
            **{name: [row[i] for row in rows] for i, name in enumerate(("method", "endpoint", "status", "bytes"))},
            "duration_ms": [None if row[4] is None else row[4] / 1e6 for row in rows],
            "line": range(len(rows)),
        },
        schema={
            "method": pl.String,
            "endpoint": pl.String,
            "status": pl.UInt16,
            "bytes": pl.Int64,
            "duration_ms": pl.Float64,
            "line": pl.UInt32,
        },
    )
    made = ranking.Ranking(endpoints.KEYS, cap)
    made.add(ranking.summarise(frame, endpoints.KEYS))
    return made


class AsTheyAre:
    """Keys as rows."""

    def row(self, key: RankedKey) -> RankedKey:
        return key

    def members(self, figures: KeyFigures) -> dict[str, pl.Series]:
        raise NotImplementedError


def expected(rows: list[Request], sort: str, cap: int) -> list[dict[str, Any]]:
    """One dict per key, sorted as people would say it."""
    keys = list(dict.fromkeys(row[:2] for row in rows))
    found = []
    for key in [*keys[:cap], None]:
        some = [row for row in rows if (row[:2] == key if key else row[:2] in keys[cap:])]
        if not some or (key and key[1] is None):
            continue
        spans = sorted(row[4] for row in some if row[4] is not None)
        errors = sum(row[2] is not None and row[2] // 100 == 5 for row in some)
        measures = {"requests": len(some), "errors": errors}
        if spans:
            measures |= {"avg": Fraction(sum(spans), len(spans)), "total": float(sum(spans)), "max": spans[-1]}
        classes = Counter(f"{row[2] // 100}xx" for row in some if row[2] is not None and row[2] >= 100)
        method, endpoint = key or (None, "(other)")
        found.append(
            {
                "order": (key is None, -measures.get(sort, -1), -len(some), method or "", endpoint),
                "texts": (method, endpoint),
                "requests": len(some),
                "errors": errors,
                "bytes": sum(row[3] for row in some),
                "status_classes": dict(sorted(classes.items())),
                "spans": spans,
            }
        )
    return sorted(found, key=lambda row: row["order"])


@settings(max_examples=60, deadline=None)
@given(rows=requests, sort=st.sampled_from(SORTS), cap=st.integers(1, 20), top=st.none() | st.integers(1, 9))
def test_is_what_a_sorted_list_says(rows: list[Request], sort: str, cap: int, top: int | None) -> None:
    found = rank(held(rows, cap), ("50", "95", "99.9"), sort, top, form=AsTheyAre())
    exact = expected(rows, sort, cap)
    assert found.total == sum(row["texts"] != (None, "(other)") for row in exact)
    assert found.folded == sum(row["requests"] for row in exact if row["texts"] == (None, "(other)"))
    if sort.startswith("p"):  # an estimate: what it is is tested below, where it stands here
        every = rank(held(rows, cap), (sort[1:],), sort, None, form=AsTheyAre()).rows
        named = [row for row in every if row.texts != (None, "(other)")]
        measures = [row.latency.percentiles[sort[1:]] if row.latency else -1.0 for row in named]
        assert measures == sorted(measures, reverse=True)
        by_texts = {row["texts"]: row for row in exact}
        exact = [by_texts[row.texts] for row in found.rows]
    assert len(found.rows) == len(exact[:top])
    for row, right in zip(found.rows, exact[:top], strict=True):
        assert {name: getattr(row, name) for name in ("texts", "requests", "errors", "bytes", "status_classes")} == {
            name: right[name] for name in ("texts", "requests", "errors", "bytes", "status_classes")
        }
        assert list(row.status_classes) == list(right["status_classes"])
        check_latency(row.latency, right["spans"])


def check_latency(latency: Any, spans: list[int]) -> None:
    if not spans:
        assert latency is None
        return
    assert (latency.count, latency.sum_ns) == (len(spans), sum(spans))
    assert (latency.min, latency.max) == (spans[0] / 1e6, spans[-1] / 1e6)
    assert latency.avg == float(Fraction(sum(spans), 10**6 * len(spans)))
    buckets = Counter(loghist.bucket_of(ns / 1e6) if ns else None for ns in spans)
    assert latency.buckets == sorted(buckets.items(), key=lambda pair: (pair[0] is not None, pair[0] or 0))
    assert list(latency.percentiles) == ["50", "95", "99.9"]
    for text, value in latency.percentiles.items():
        assert value == pytest.approx(percentile(spans, text) / 1e6, rel=0.010001)


@settings(max_examples=60, deadline=None)
@given(rows=requests, sort=st.sampled_from(SORTS), cap=st.integers(1, 20), most=st.integers(1, 9))
def test_the_largest_are_those_of_the_rows(rows: list[Request], sort: str, cap: int, most: int) -> None:
    """The columns of a ranking say which rows a table shows; a list of its rows does, too, whichever is asked."""
    found = rank(held(rows, cap), ("50",), sort, form=Endpoints(0)).rows
    listed = list(found)
    assert found == listed
    for figure in ("requests", "errors", REFUSED, TIMED):
        assert found.largest(figure, most) == largest(listed, figure, most), figure
        assert largest(found, figure, most) == largest(listed, figure, most), figure


def test_buckets_are_a_list_of_pairs() -> None:
    pairs = {3: [(None, 2), (-4, 1), (9, 2**40)], 5: [(0, 1)]}
    rows = [(key, bucket, count) for key, some in pairs.items() for bucket, count in some]
    schema = {"key": pl.UInt32, "bucket": pl.Int32, "count": pl.Int64}
    histograms = Histograms(pl.DataFrame(rows, schema=schema, orient="row"))
    for key, right in {**pairs, 4: []}.items():
        found = histograms.of(key)
        assert found == right
        assert right == found
        assert found != [*right, (1, 1)]
        assert (len(found), list(found), found[1:], repr(found)) == (len(right), right, right[1:], repr(right))


bucket_numbers = st.none() | st.integers(-(2**31) + 1, 2**31 - 1)
pairs_of_a_key = st.lists(st.tuples(bucket_numbers, st.integers(-(2**63), 2**63 - 1) | st.integers(0, 999)), max_size=5)


@settings(max_examples=60, deadline=None)
@given(held=st.lists(pairs_of_a_key, max_size=8), native=st.booleans(), at_once=st.integers(1, 9))
def test_histograms_are_written_as_json_writes_them(
    held: list[list[tuple[int | None, int]]], native: bool, at_once: int
) -> None:
    rows = [(key, *pair) for key, some in enumerate(held) for pair in some]
    table = pl.DataFrame(rows, schema={"key": pl.Int64, "bucket": pl.Int32, "count": pl.Int64}, orient="row")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logstats.kernels.library.AVAILABLE", native and kernels.AVAILABLE)
        patch.setattr("logstats.reports.buckets._AT_ONCE", at_once)
        assert Histograms(table).as_json(len(held)).to_list() == [json.dumps([*map(list, some)]) for some in held]


@pytest.mark.skipif(not kernels.AVAILABLE, reason="the kernels are not compiled")
@pytest.mark.parametrize("ends", [[1], [3], [2, 1], [1, 1], []])
def test_histograms_end_where_there_are_buckets(ends: list[int]) -> None:
    buckets, counts = pl.Series([1, 2], dtype=pl.Int32), pl.Series([1, 1])
    with pytest.raises(IndexError):
        kernels.histograms(buckets, counts, np.array(ends, np.int64))


@pytest.mark.parametrize("top", [None, 3])
@pytest.mark.parametrize("percentiles", [["50", "99.9"], []])
def test_json_is_what_json_dumps_writes(tmp_path: Any, top: int | None, percentiles: list[str]) -> None:
    log = tmp_path / "access.log"
    took = ("0.000", "0.004", "1.5", "-", "70")
    log.write_text(
        "".join(
            f'10.0.0.{i % 7} - - [17/Jan/2025:10:{i % 50:02}:00 +0000] "GET /ä{i % 9}" 200 {i} "-" "\\x1b\\"" '
            f"{took[i % 5]}\n"
            for i in range(400)
        )
    )
    report = logstats.report(
        [log],
        by=["client_ip", "user_agent", "status,client_ip"],
        over_time=True,
        top=top,
        max_endpoints=5,
        percentiles=percentiles,
    )
    assert report.endpoints
    assert report.over_time is not None
    assert report.to_json() == json.dumps(report.to_dict(), allow_nan=False)
    assert asdict(report.endpoints[0])["latency"]["buckets"]
