"""Every kind of output: what the registry says of it, and the tables as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import invoke

import logstats
from logstats.reports import json_text
from logstats.reports.model import Report
from logstats.reports.renderers import RENDERERS
from logstats.reports.tables import Table, table, to_csv, to_parquet
from logstats.reports.view import TABLES, TABLES_OVER_TIME, View

SAMPLE = Path(__file__).parent.parent / "sample_logs" / "combined_time.log"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One that has every table."""
    proxied = tmp_path_factory.mktemp("proxied") / "access.ltsv"
    proxied.write_text(
        "time:2025-01-17T10:30:00Z\thost:192.0.2.1\treq:GET /a HTTP/1.1\tstatus:200\t"
        "reqtime:0.25\tapptime:0.2\tcache:HIT\n"
    )
    more = {"over_time": True, "agents": True, "slowest": 5, "not_found": True}
    return logstats.report([SAMPLE, proxied], by=["client_ip"], **more)


@pytest.mark.parametrize("name", RENDERERS)
def test_every_kind_renders_a_report_and_an_empty_one(name: str, report: Report) -> None:
    renderer = RENDERERS[name]
    view = View(to="ops@example.com")
    assert len(renderer.render(report, view)) > 500
    assert renderer.render(logstats.report([]), view)


def test_registry_and_terminal_need_no_data_frames() -> None:
    code = "import sys, logstats.reports.renderers, logstats.cli.main; print({'polars', 'duckdb'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("name", [*TABLES, "client_ip"])
def test_csv_and_parquet_hold_the_same_table(name: str, report: Report) -> None:
    found = table(report, name)
    rows = list(csv.reader(io.StringIO(to_csv(found))))
    frame = pl.read_parquet(to_parquet(found))
    assert rows[0] == frame.columns == list(found.columns)
    assert len(rows) == frame.height + 1 > 1
    for row, values in zip(rows[1:], frame.iter_rows(), strict=True):
        for text, value in zip(row, values, strict=True):
            if value is None:
                assert text == ""
            elif isinstance(value, str):
                assert text == value
            elif isinstance(value, int | float):
                assert float(text) == value
            else:
                assert text == value.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_tables_add_up(report: Report) -> None:
    """Different tables count the same requests."""
    for name in ("endpoints", "minutes", "hours", "over_time", "client_ip"):
        found = table(report, name)
        place = list(found.columns).index("requests")
        assert sum(row[place] for row in found.rows) == report.requests, name
    assert report.latency is not None
    buckets = table(report, "buckets")
    assert sum(row[3] for row in buckets.rows) == report.latency.count
    for bucket, above, up_to, _ in buckets.rows[1:]:
        assert up_to / above == pytest.approx(1.01 / 0.99)
        assert up_to == pytest.approx((1.01 / 0.99) ** bucket)


def test_the_command_writes_any_table(tmp_path: Path) -> None:
    for name in [*TABLES_OVER_TIME, "user_agent"]:
        ran = invoke("report", "-q", str(SAMPLE), "-o", "csv", "--table", name)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.count(b"\r\n") > 5
    out = tmp_path / "a.parquet"
    assert invoke("report", "-q", str(SAMPLE), "-o", "parquet", "--table", "minutes", "--out", str(out)).returncode == 0
    assert pl.read_parquet(out)["requests"].sum() == 897


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "csv", "--table", "nothing"], b"--table 'nothing' is not known"),
        (["--table", "minutes"], b"-o table has no --table"),
        (["-o", "pdf"], b"--output 'pdf' is not known"),
        (["--email"], b"--email and --email-to go together"),
        (["--email-to", "a@example.com"], b"--email and --email-to go together"),
        (["--email", "-o", "json", "--email-to", "a@example.com"], b"--email and --email-to go together"),
        (["--email", "--email-to", "a@example.com\r\nBcc: x@example.com"], b"is not an address"),
    ],
)
def test_what_means_nothing_is_refused(arguments: list[str], said: bytes) -> None:
    ran = invoke("report", str(SAMPLE), *arguments)
    assert ran.returncode == 2
    assert said in ran.stderr and b"Traceback" not in ran.stderr


def test_hostile_cells() -> None:
    found = Table({"a": str, "n": int}, [("=1+1", 1), ("a\x1b[31m", 1 << 70), (None, None), ('x,"y"', 3)])
    assert to_csv(found) == 'a,n\r\n\'=1+1,1\r\na\\x1b[31m,1180591620717411303424\r\n,\r\n"x,""y""",3\r\n'
    assert pl.read_parquet(to_parquet(found))["n"].to_list() == [1, 1 << 70, None, 3]
    assert pl.read_parquet(to_parquet(found))["a"].to_list() == ["=1+1", "a\x1b[31m", None, 'x,"y"']


FLOATS = st.sampled_from([0.0, -0.0, 1.5, 1e300, 1e-7, 3.0]) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.none() | FLOATS, max_size=30) | st.lists(st.none() | st.integers(-3, 3), max_size=30))
def test_numbers_and_texts_are_written_as_json_writes_them(values: list[float | None]) -> None:
    """Whatever their sign, and however small or large."""
    kind = pl.Int64 if all(isinstance(value, int | None) for value in values) else pl.Float64
    assert json_text.numbers(pl.Series(values, dtype=kind)).to_list() == [json.dumps(value) for value in values]
    words = [None if value is None else f'{value}é\x1b"\u2028' for value in values]
    column = pl.Series(words, dtype=pl.String)
    assert json_text.texts(column).to_list() == [json.dumps(word) for word in words]
    objects = json_text.objects({'a"{}%': json_text.texts(column), "^n$": json_text.numbers(pl.Series(values))})
    assert objects.to_list() == [json.dumps({'a"{}%': a, "^n$": n}) for a, n in zip(words, values, strict=True)]
    some = pl.DataFrame({"a": range(len(values)), "b": pl.Series(values, dtype=kind).cast(pl.Int64, strict=False)})
    written = some.select(json_text.object_of_some({"a": pl.col("a"), "b": pl.col("b")})).to_series().to_list()
    assert written == [json.dumps({k: v for k, v in row.items() if v is not None}) for row in some.to_dicts()]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text.numbers(pl.Series([1.0, None, value]))
