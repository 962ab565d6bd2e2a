"""Summary files: what `report -o summary` wrote merges to the report over all the lines, byte for byte."""

from __future__ import annotations

import io
import json
import pickle
import random
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import hyperloglog
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke
from rounds import examples

import logstats
from logstats.errors import SummaryError, UsageError
from logstats.pipeline import Counts
from logstats.scale import description, writer
from logstats.scale.description import Description
from logstats.scale.reader import Summary
from logstats.scale.tables import Piece
from logstats.summaries.spec import ReportSpec

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "sample_logs" / "combined_time.log"
NOW = datetime(2025, 1, 18, tzinfo=UTC)


def summary_of(folder: Path, name: str, *sources: Path, **options: Any) -> Path:
    made = folder / f"{name}.summary"
    with made.open("wb") as file:
        logstats.report(sources, summary=file, **options)
    return made


LINE = st.one_of(
    st.builds(
        lambda ip, minute, second, path, status, size, took: (
            f'10.0.0.{ip} - - [17/Jan/2025:10:{minute:02}:{second:02} +0000] "GET /{path} HTTP/1.1" '
            f'{status} {size} "-" "agent" {took}'
        ),
        st.integers(0, 5),
        st.integers(0, 5),
        st.integers(0, 59),
        st.sampled_from("abcdefg"),
        st.sampled_from(["200", "301", "404", "500", "-"]),
        st.sampled_from(["-", "0", "17", "9223372036854775807"]),
        st.sampled_from(["0.000", "0.001", "0.250", "-", "1.5", "0.000024323", "7.000000001", "nonsense"]),
    ),
    st.just('10.0.0.9 - - [17/Jan/2025:10:00:00 +0000] "GET /un"balanced HTTP/1.1" 200'),
    st.just("# a comment"),
    st.just('10.0.0.7 - - [-] "GET /a HTTP/1.1" 200 5 "-" "agent" 0.003'),
)
SHARDS = st.lists(st.lists(LINE, min_size=1, max_size=25), min_size=1, max_size=4)


@given(SHARDS, st.sampled_from([1, 2, 10_000]), st.booleans(), st.booleans())
@settings(max_examples=examples(4))
def test_any_split_merges_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, shards: list[list[str]], cap: int, exact: bool, ranged: bool
) -> None:
    """Caps that are exceeded, exact users, conditions about some requests, and a stretch of time: all as in one run."""
    folder = tmp_path_factory.mktemp("shards")
    logs = []
    for number, lines in enumerate(shards):
        logs.append(folder / f"{number}.log")
        logs[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    made: dict[str, Any] = {"format": "combined_time", "now": NOW, "exact_users": exact, "max_endpoints": cap}
    shown: dict[str, Any] = {
        "by": ["client_ip", "status"],
        "fail_if": ["GET /a*: p95 > 1ms", "GET /b: users > 1", "rejected > 1%", "rps > 0.1"],
    }
    span = {"since": "2025-01-17T10:01", "until": "2025-01-17T10:04"} if ranged else {}
    whole = logstats.report(logs, over_time=True, **made, **shown, **span)
    files = [summary_of(folder, str(number), log, **made, **shown) for number, log in enumerate(logs)]
    asked: dict[str, Any] = {"now": NOW, "max_endpoints": cap, "over_time": True, **shown}
    assert logstats.merge(files, **asked, **span).to_json() == whole.to_json()
    with (folder / "all").open("wb") as file:
        logstats.merge(files, summary=file, **asked)
    assert logstats.merge(folder / "all", **asked, **span).to_json() == whole.to_json()


def test_formats_events_and_problems_of_every_host(tmp_path: Path) -> None:
    """Hosts whose servers write different logs, one of which cannot be read to its end."""
    (tmp_path / "cut.gz").write_bytes(b"\x1f\x8b\x08\x00" + bytes(20))
    logs = [ROOT / "sample_logs" / name for name in ("json.log", "app.log", "vhost_combined.log")]
    logs += [tmp_path / "cut.gz", tmp_path / "missing.log"]
    whole = logstats.report(logs, now=NOW, percentiles=["99.9", "1"], sort="max", top=3)
    files = [summary_of(tmp_path, str(number), log) for number, log in enumerate(logs)]
    merged = logstats.merge(files, now=NOW, percentiles=["99.9", "1"], sort="max", top=3)
    assert merged.to_json() == whole.to_json()
    assert sum(bool(source.problem) for source in merged.sources) == 2


def test_small_pieces_are_the_same_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks_of: Callable[[int], None]
) -> None:
    """Keys come again in every piece of a long file."""
    from logstats.scale import condense

    whole = logstats.report(SAMPLE, now=NOW, by=["user_agent"], over_time=True)
    monkeypatch.setattr(condense, "ROWS", 0)
    monkeypatch.setattr("logstats.inputs.chunks.HEAD", 20_000)
    chunks_of(20_000)
    made = summary_of(tmp_path, "a", SAMPLE, by=["user_agent"])
    assert logstats.merge(made, now=NOW, by=["user_agent"], over_time=True).to_json() == whole.to_json()


def test_days_make_a_month(tmp_path: Path) -> None:
    """`since` and `until` of the days become those of the month, and no line is read again."""
    days = [("2025-01-17T00:00", "2025-01-17T12:00"), ("2025-01-17T12:00", "2025-01-18T00:00")]
    files = [summary_of(tmp_path, since[-5:], SAMPLE, since=since, until=until) for since, until in days]
    merged = logstats.merge(files)
    assert merged.filters == {"since": "2025-01-17T00:00:00Z", "until": "2025-01-18T00:00:00Z"}
    assert merged.requests == logstats.report(SAMPLE).requests == 897
    later = logstats.merge(files, since="2025-01-17T06:00")
    assert later.filters == {"since": "2025-01-17T06:00:00Z", "until": "2025-01-18T00:00:00Z"}
    assert later.requests == logstats.report(SAMPLE, since="2025-01-17T06:00").requests


def test_beyond_its_own_bound_a_summary_says_so(tmp_path: Path) -> None:
    """Ten times as many endpoints as a report: with 12 in a file, a cap of 1 is passed."""
    lines = [f"2025-01-17 10:30:00 GET /{'abcdefghijkl'[i % 12]} 200 1ms\n" for i in range(24)]
    (tmp_path / "many.log").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "last.log").write_text(lines[11], encoding="utf-8")
    files = [summary_of(tmp_path, n, tmp_path / f"{n}.log", max_endpoints=1) for n in ("last", "many")]
    merged = logstats.merge(files, max_endpoints=1)
    assert {row.endpoint: row.requests for row in merged.endpoints} == {"/l": 1, "(other)": 24}
    (note,) = [note for note in merged.notes if "many.summary" in note]
    assert note.endswith("tells 10 endpoints apart, the first of its lines; 4 of its requests are to others and count "
                         "as (other)")  # fmt: skip
    assert sum(row.requests for row in logstats.merge(files).endpoints) == 25


def test_what_was_made_otherwise_is_refused(tmp_path: Path) -> None:
    plain = summary_of(tmp_path, "plain", SAMPLE)
    others: list[tuple[dict[str, Any], str]] = [
        ({"user_key": "client_ip"}, "--user-key client_ip, .* with auto"),
        ({"exact_users": True}, "--exact-users true"),
        ({"trust_forwarded": True}, "--trust-forwarded true"),
        ({"templates": False}, "templates false"),
        ({"routes": ["/api/{x}"]}, r"--route /api/\{x\}"),
        ({"status": ["5xx"]}, "filters --status 5xx"),
        ({"anonymize": "hash"}, r"--anonymize hash \(key [0-9a-f]{8}\), .* with none"),
    ]
    for options, words in others:
        other = summary_of(tmp_path, "other", SAMPLE, **options)
        with pytest.raises(UsageError, match=words):
            logstats.merge([plain, other])
    hidden = [summary_of(tmp_path, name, SAMPLE, anonymize="hash") for name in ("one", "two")]
    with pytest.raises(UsageError, match="--anonymize hash"):  # a key is made up for each run
        logstats.merge(hidden)
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    alike = {"anonymize": "hash", "anonymize_key": key, "exact_users": True}
    hidden = [summary_of(tmp_path, name, SAMPLE, **alike) for name in ("one", "two")]
    whole = logstats.report([SAMPLE, SAMPLE], now=NOW, **alike).to_dict()
    merged = logstats.merge(hidden, now=NOW).to_dict()
    assert {**merged, "notes": whole["notes"]} == whole
    asked: list[tuple[dict[str, Any], str]] = [
        ({"by": ["status"]}, "cannot be ranked by status: it has no breakdown"),
        ({"fail_if": ["GET /a: requests > 1"]}, "does not hold the requests of GET /a"),
        ({"since": "2025-01-17T10:00:30"}, "within a minute"),
        ({"status": ["5xx"]}, "no lines to filter"),
    ]
    for more, words in asked:
        with pytest.raises(UsageError, match=words):
            logstats.merge(plain, **more)
    # Units, zones and formats are a matter of each host.
    assert logstats.merge([plain, summary_of(tmp_path, "zone", SAMPLE, tz="Asia/Tokyo", app="web")]).requests == 2 * 897


def refused(path: Path) -> str:
    with pytest.raises(SummaryError) as caught:
        logstats.merge(path)
    words = str(caught.value)
    assert words.startswith(str(path)) and "\n" not in words and len(words) < 300
    return words


def test_a_flipped_bit_is_never_a_figure(tmp_path: Path) -> None:
    whole = summary_of(tmp_path, "a", SAMPLE).read_bytes()
    damaged = tmp_path / "damaged"
    draw = random.Random(1)
    places = [*range(4), *(draw.randrange(len(whole)) for _ in range(60)), *range(len(whole) - 12, len(whole))]
    for place in places:
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
        refused(damaged)
    for size in (0, 3, 4, 12, 1000, len(whole) - 1):
        damaged.write_bytes(whole[:size])
        refused(damaged)
    damaged.write_bytes(whole + b"\n")
    refused(damaged)


def forge(source: Path, target: Path, change: Callable[[Description, list[Piece]], Description | None]) -> Path:
    """A file that is whole, with a digest that is right, but what is in it is changed."""
    with Summary.open(source, "a") as summary:
        pieces, about = list(summary.pieces()), summary.about
    about = change(about, pieces) or about
    out = io.BytesIO()
    made = writer.Writer(out, ReportSpec(over_time=True))
    for piece in pieces:
        made.add(piece)
    made.close(about)
    target.write_bytes(out.getvalue())
    return target


def test_forged_figures_are_refused(tmp_path: Path) -> None:
    source, target = summary_of(tmp_path, "a", SAMPLE), tmp_path / "forged"
    assert logstats.merge(forge(source, target, lambda *_: None)).requests == 897

    def column(table: str, **values: pl.Expr) -> Callable[[Description, list[Piece]], None]:
        def change(_: Description, pieces: list[Piece]) -> None:
            place = next(n for n, piece in enumerate(pieces) if piece.table == table)
            pieces[place] = replace(pieces[place], frame=pieces[place].frame.with_columns(**values))

        return change

    for change, words in [
        (
            column("endpoints", requests=-pl.col("requests")),
            "table endpoints has a value of requests that no log gives",
        ),
        (column("endpoints", timed=pl.col("requests") + 1), "value of timed"),
        (column("endpoints", bucket=pl.lit(2**30, pl.Int32)), "value of bucket"),
        (column("endpoints", ns_min=pl.col("ns_max") + 1), "value of ns_max"),
        (column("endpoints", ns=pl.lit(10**30, pl.Int128)), "value of ns_max"),
        (column("endpoints", ns=pl.lit(10**38, pl.Int128)), "value of us that"),
        (column("users", register=pl.lit(16_384, pl.UInt16)), "value of register"),
        (column("users", rank=pl.lit(60, pl.UInt8)), "value of rank"),
        (column("traffic", requests=pl.col("requests") * 2), "do not add up"),
        (column("traffic", minute=pl.col("minute") + 1), "value of earliest"),
        (column("latency", count=pl.col("count") + 1), "do not add up"),
    ]:
        assert words in refused(forge(source, target, change))

    def lines(about: Description, _: list[Piece]) -> Description:
        about.counts.lines += 1
        return about

    assert "its lines do not add up" in refused(forge(source, target, lines))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("schema_version", 2, "schema version 2; this logstats reads 1"),
        ("latency_relative_error", 0.02, "its sketches have latency_relative_error 0.02"),
        ("users_precision", 12, "its sketches have users_precision 12"),
        ("held", "many", "its description is not whole"),
        ("sources", [{"name": 3}], "its description is not whole"),
        ("aggregates", ["weather"], "other aggregates: weather, where this one has none"),
    ],
)
def test_other_versions_are_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: Any, words: str
) -> None:
    to_json = Description.to_json
    monkeypatch.setattr(Description, "to_json", lambda self: json.dumps({**json.loads(to_json(self)), key: value}))
    assert words in refused(summary_of(tmp_path, "a", SAMPLE))
    assert not description.from_json(to_json(Description(description.Making(), Counts()))).pieces


def test_what_is_no_summary_is_refused_by_its_kind(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(pickle.dumps(hyperloglog.HyperLogLog(0.01)))
    assert "a pickle, which is never loaded" in refused(other)
    pl.DataFrame({"a": [1]}).write_parquet(other)
    assert "it has no digest" in refused(other)
    other.write_text("plain", encoding="utf-8")
    assert "not a summary but another kind of file" in refused(other)
    with pytest.raises(SummaryError, match=r"there is no such file"):
        logstats.merge(tmp_path / "missing")
    with pytest.raises(UsageError, match="nothing to merge"):
        logstats.merge([])


def test_users_are_those_of_the_hyperloglog_package(tmp_path: Path) -> None:
    """Register for register, so that other programs can merge what a summary holds into their own sketches."""
    made = summary_of(tmp_path, "a", SAMPLE, user_key="client_ip")
    sketch = hyperloglog.HyperLogLog(1.04 / 128)
    rows = duckdb.sql(
        f"""SELECT register, max(rank) FROM read_parquet('{made}') WHERE "table" = 'users' GROUP BY register"""
    )
    for register, rank in rows.fetchall():
        sketch.M[register] = max(sketch.M[register], rank)
    fed = hyperloglog.HyperLogLog(1.04 / 128)
    for line in SAMPLE.read_text(encoding="utf-8").splitlines():
        if '"' in line:
            fed.add(line.split()[0])
    differ = [place for place, rank in enumerate(sketch.M) if rank != fed.M[place]]
    assert len(differ) <= 2  # clients of rejected lines alone
    assert round(sketch.card()) == logstats.merge(made).unique_users.total


def test_rows_of_an_endpoint_in_a_minute_stand_together_and_come_in_the_same_order(tmp_path: Path) -> None:
    """Times go back and forth, so minutes interleave: of every range of minutes, the order of endpoints is that of the
    lines, because caps keep what comes first."""
    chance = random.Random(1)
    lines = [(chance.randrange(4), chance.randrange(9), chance.choice([200, 404, 500])) for _ in range(300)]
    log = tmp_path / "a.log"
    log.write_text("".join(
        f'10.0.0.1 - - [17/Jan/2025:10:0{minute}:30 +0000] "GET /e{name} HTTP/1.1" {status} 5\n'
        for minute, name, status in lines
    ), encoding="utf-8")  # fmt: skip
    assert (
        invoke("report", str(log), "-q", "-o", "summary", "--out", str(tmp_path / "s"), "--no-templates").returncode
        == 0
    )
    stored = pl.read_parquet(tmp_path / "s").filter(pl.col("table") == "endpoints")
    found = stored.select(pl.col("minute").dt.minute(), pl.col("endpoint").str.slice(2).cast(pl.Int64)).rows()
    together = [key for before, key in zip([None, *found], found, strict=False) if key != before]
    assert len(together) == len(set(together)) == len({line[:2] for line in lines})
    for since in range(4):
        for until in range(since + 1, 5):
            order = [
                dict.fromkeys(name for minute, name, *_ in rows if since <= minute < until) for rows in (lines, found)
            ]
            assert list(order[0]) == list(order[1])


def test_duckdb_reads_it(tmp_path: Path) -> None:
    made = summary_of(tmp_path, "a", SAMPLE)
    found = duckdb.sql(
        f"""SELECT sum(requests), sum(bytes), min(earliest) FROM read_parquet('{made}') WHERE "table" = 'traffic'"""
    ).fetchall()
    report = logstats.report(SAMPLE)
    assert found[0] == (report.requests, report.bytes, report.first)
    assert pq.ParquetFile(made).metadata.metadata[b"logstats"].startswith(b'{"schema_version": 1')


POLICY = """
window = "30d"
[[objective]]
name = "answered"
good = "status < 500"
target = 99
[[objective]]
name = "reads"
select = "GET *"
good = "status < 400"
target = 90
[[objective]]
name = "on average"
require = "avg < 300ms"
[[objective]]
name = "slowest bug"
select = "GET /api/bugs*"
require = "max < 10s"
[[objective]]
name = "fast and answered"
good = "status < 500 and duration < 100ms"
target = 85
[[objective]]
name = "bugs are fast"
select = "GET /api/bugs*"
require = "p95 < 200ms"
[[objective]]
name = "busy"
require = "requests > 100"
"""


def test_objectives_of_summaries_are_those_of_the_logs(tmp_path: Path) -> None:
    """Exact where statuses, averages and numbers count; the exact share of fast requests is within the bounds."""
    (tmp_path / "slo.toml").write_text(POLICY, encoding="utf-8")
    logs = [SAMPLE, ROOT / "sample_logs" / "combined_us.log"]
    asked = {"fail_if": ["GET /api/bugs*: requests == 0"]}
    files = [summary_of(tmp_path, str(number), log, **asked) for number, log in enumerate(logs)]
    for span in ({}, {"since": "2025-01-17T10:00", "until": "2025-01-17T15:00"}):
        of_logs = logstats.slo(logs, tmp_path / "slo.toml", **span)
        merged = logstats.slo(files, tmp_path / "slo.toml", **span)
        assert (merged.lines, merged.rejected, merged.filters) == (of_logs.lines, of_logs.rejected, of_logs.filters)
        assert (merged.begin, merged.end) == (of_logs.begin, of_logs.end)
        for exact, found in zip(of_logs.results, merged.results, strict=True):
            assert (found.name, found.requests, found.outside) == (exact.name, exact.requests, exact.outside)
            if "fast" in found.name:
                assert found.low is not None and found.high is not None and exact.indicator is not None
                assert found.low <= exact.indicator <= found.high
                assert found.unknown == exact.unknown
            else:
                assert found == exact
    plain = summary_of(tmp_path, "plain", SAMPLE)
    with pytest.raises(
        UsageError, match=r"'slowest bug': .*plain.summary does not tell requests to GET /api/bugs\* apart"
    ):
        logstats.slo(plain, tmp_path / "slo.toml")
    with pytest.raises(UsageError, match="how the lines of summaries are read is decided"):
        logstats.slo(files, tmp_path / "slo.toml", format="json")


def test_summaries_compare_as_their_logs_do(tmp_path: Path) -> None:
    slower = tmp_path / "slower.log"
    text = SAMPLE.read_text(encoding="utf-8")
    slower.write_text(re.sub(r" 0\.0(\d+)$", r" 0.3\1", text, flags=re.MULTILINE), encoding="utf-8")
    sides = [summary_of(tmp_path, "before", SAMPLE), summary_of(tmp_path, "after", slower)]
    expected = [asdict(change) for change in logstats.diff(SAMPLE, slower).changes]
    assert expected
    for pair in (sides, [SAMPLE, sides[1]], [sides[0], slower]):
        assert [asdict(change) for change in logstats.diff(*pair).changes] == expected
    with pytest.raises(UsageError, match="no lines to filter"):
        logstats.diff(*sides, status=["5xx"])


def test_the_command(tmp_path: Path) -> None:
    """Output to a pipe, codes, and what is refused."""
    piped = invoke("report", "-q", str(SAMPLE), "-o", "summary", "--by", "status")
    (tmp_path / "a.summary").write_bytes(piped.stdout)
    arguments = ("-o", "json", "--by", "status")
    merged = json.loads(invoke("merge", str(tmp_path / "*.summary"), *arguments).stdout)
    whole = json.loads(invoke("report", str(SAMPLE), *arguments).stdout)
    assert merged | {"generated_at": ""} == whole | {"generated_at": ""}
    ran = invoke("merge", "a.summary", "--fail-if", "error_rate > 0.1%", "--strict", "-o", "csv", cwd=tmp_path)
    assert ran.returncode == 4 and ran.stdout.startswith(b"method,endpoint")
    assert invoke("merge", "a.summary", "--fail-if", "requests > 1", cwd=tmp_path).returncode == 3
    for option in ("--top=3", "--sort=p99", "--percentiles=50", "--title=web"):
        ran = invoke("report", str(SAMPLE), "-o", "summary", option)
        assert ran.returncode == 2 and b"to logstats merge" in ran.stderr
    ran = invoke("report", str(tmp_path / "gone.log"), str(SAMPLE), "-o", "summary", "--out", str(tmp_path / "b"))
    assert ran.returncode == 1
    assert invoke("merge", str(tmp_path / "b"), "-o", "markdown").returncode == 1
    ran = invoke("merge", str(tmp_path), cwd=tmp_path)  # a folder of them
    assert ran.returncode in (1, 2)  # which were not made alike
    (tmp_path / "empty").write_bytes(invoke("report", "-", "-o", "summary").stdout)
    assert json.loads(invoke("merge", str(tmp_path / "empty"), "-o", "json").stdout)["lines"] == 0
