"""Time in the upstream, caches, and the columns that the schema got later: figures, and archives from before."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from program import invoke
from reference import percentile

import logstats
from logstats import schema
from logstats.archive.archive import Archive
from logstats.archive.query import rows

LATER = schema.COLUMNS[schema.FIRST :]
FORMAT = (
    '$remote_addr [$time_local] "$request" $status $bytes_sent $request_time $upstream_response_time '
    "$upstream_cache_status $upstream_addr $request_length $ssl_protocol"
)
HITS = {"HIT", "STALE", "UPDATING", "REVALIDATED"}  # nginx: the answers that it had itself


@pytest.fixture(scope="module")
def requests() -> list[dict[str, Any]]:
    draw = random.Random(16)
    made = []
    for number in range(3000):
        cache = draw.choice(["HIT", "MISS", "MISS", "EXPIRED", "STALE", "-"])
        tries = [] if cache == "HIT" else [draw.randrange(1, 900) for _ in range(draw.choice([1, 1, 2]))]
        whole = sum(tries) + draw.randrange(40)
        made.append({"number": number, "cache": cache, "tries": tries, "whole": whole, "bytes": draw.randrange(9999)})
    return made


@pytest.fixture(scope="module")
def log(requests: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "access.log"
    with path.open("w") as file:
        for one in requests:
            number, tries = one["number"], one["tries"]
            times = ", ".join(f"{ms / 1000:.3f}" for ms in tries) or "-"
            servers = ", ".join(f"10.0.0.{ms % 3}:80" for ms in tries) or "-"
            file.write(
                f'192.0.2.{number % 9} [17/Jan/2025:10:{number // 60:02}:{number % 60:02} +0000] "GET /a HTTP/1.1" 200 '
                f"{one['bytes']} {one['whole'] / 1000:.3f} {times} {one['cache']} {servers} {number % 700} TLSv1.3\n"
            )
    return path


def test_columns(log: Path, requests: list[dict[str, Any]]) -> None:
    found = pl.concat(logstats.read(log, columns=LATER, log_format=FORMAT))
    for row, one in zip(found.select(LATER).iter_rows(named=True), requests, strict=True):
        assert row == {
            "upstream_ms": float(sum(one["tries"])) if one["tries"] else None,
            "request_bytes": one["number"] % 700,
            "cache": None if one["cache"] == "-" else one["cache"],
            "upstream": ", ".join(f"10.0.0.{ms % 3}:80" for ms in one["tries"]) or None,
            "tls": "TLSv1.3",
        }


def test_where_time_goes(log: Path, requests: list[dict[str, Any]]) -> None:
    behind = [sum(one["tries"]) for one in requests if one["tries"]]
    before = [one["whole"] - sum(one["tries"]) for one in requests if one["tries"]]
    table = logstats.report(log, log_format=FORMAT).tables["upstream"].to_list()
    assert [row["upstream"] for row in table] == ["in the upstream", "in front of it"]
    for row, spans in zip(table, (behind, before), strict=True):
        assert row["requests"] == len(spans)
        assert row["avg_ms"] == pytest.approx(sum(spans) / len(spans), rel=1e-9)
        assert row["share"] == pytest.approx(sum(spans) / sum(behind + before), rel=1e-9)
        for text in ("50", "95", "99"):
            assert row[f"p{text}_ms"] == pytest.approx(percentile(sorted(spans), text), rel=0.01)


def test_what_a_cache_served(log: Path, requests: list[dict[str, Any]]) -> None:
    cached = [one for one in requests if one["cache"] != "-"]
    counted = Counter(one["cache"] for one in cached)
    sizes = Counter({name: sum(one["bytes"] for one in cached if one["cache"] == name) for name in counted})
    table = logstats.report(log, log_format=FORMAT).tables["cache_statuses"].to_list()
    assert table[0]["cache"] == "(hits)"
    assert table[0]["requests"] == sum(counted[name] for name in HITS)
    assert table[0]["bytes"] == sum(sizes[name] for name in HITS)
    assert table[0]["share"] == pytest.approx(table[0]["requests"] / len(cached))
    assert {row["cache"]: (row["requests"], row["bytes"]) for row in table[1:]} == {
        name: (counted[name], sizes[name]) for name in counted
    }
    assert [row["requests"] for row in table[1:]] == sorted(counted.values(), reverse=True)


def test_it_is_the_same_however_it_is_read(log: Path, tmp_path: Path) -> None:
    def tables(*arguments: str) -> Any:
        ran = invoke(*arguments, "-q", "-o", "json")
        assert ran.returncode == 0, ran.stderr
        report = json.loads(ran.stdout)
        return report["upstream"], report["cache_statuses"]

    reading = ("--log-format", FORMAT)
    whole = tables("report", str(log), *reading)
    lines = log.read_bytes().splitlines(keepends=True)
    for name, part in (("a", lines[:1000]), ("b", lines[1000:])):
        (tmp_path / f"{name}.log").write_bytes(b"".join(part))
        made = ("-o", "summary", "--out", str(tmp_path / f"{name}.summary"))
        assert invoke("report", str(tmp_path / f"{name}.log"), *reading, *made).returncode == 0
    assert tables("merge", *(str(tmp_path / f"{name}.summary") for name in "ab")) == whole
    archive = str(tmp_path / "archive")
    assert invoke("archive", "init", archive).returncode == 0
    assert invoke("archive", "add", "--archive", archive, str(log), *reading).returncode == 0
    assert tables("report", "--archive", archive, "--rows") == whole
    # Rollups have no such columns, and a report from them has no such table.
    assert "upstream" not in json.loads(invoke("report", "--archive", archive, "-q", "-o", "json").stdout)


def test_a_log_without_them_has_no_table() -> None:
    sample = Path(__file__).parent.parent / "sample_logs" / "combined.log"
    assert logstats.report(sample).tables == {}


# An archive as it was made when the schema had its first columns only.
BEFORE = f"""
import sys
from logstats import schema
schema.COLUMNS = schema.COLUMNS[:{schema.FIRST}]
import runpy
runpy.run_module("logstats", run_name="__main__")
"""


def test_an_archive_from_before(log: Path, requests: list[dict[str, Any]], tmp_path: Path) -> None:
    """It is read, added to, compacted and tiered; what was not known then is null, and nothing is rewritten for it."""
    archive = str(tmp_path / "archive")
    lines = log.read_bytes().splitlines(keepends=True)
    parts = [tmp_path / f"{number}.log" for number in range(3)]
    for number, part in enumerate(parts):
        part.write_bytes(b"".join(lines[number * 1000 : number * 1000 + 1000]))
    reading = ("--log-format", FORMAT)
    for arguments in (("init", archive), ("add", "--archive", archive, str(parts[0]), *reading)):
        ran = subprocess.run([sys.executable, "-c", BEFORE, "archive", *arguments], capture_output=True)
        assert ran.returncode == 0, ran.stderr
    (old,) = [file for file in Archive.open(archive).snapshot().files.values() if file.table == "logs"]
    assert old.schema == schema.FIRST
    assert not set(LATER) & set(old.held)

    def check() -> None:
        found = pl.concat(list(rows.rows(archive, columns=("line", *LATER))))
        assert found["upstream_ms"].null_count() == 1000 + sum(not one["tries"] for one in requests[1000:])
        assert found["request_bytes"].drop_nulls().to_list() == [one["number"] % 700 for one in requests[1000:]]
        said = invoke(
            "query", "--archive", archive, "-o", "csv", "SELECT count(*), count(request_bytes), count(tls) FROM logs"
        )
        assert said.stdout.splitlines()[1] == b"3000,2000,2000"
        ran = invoke("archive", "verify", "--deep", "--archive", archive)
        assert ran.returncode == 0, ran.stderr
        found = invoke("search", "10.0.0.2", "--archive", archive, "--count").stdout
        assert int(found) == sum(any(ms % 3 == 2 for ms in one["tries"]) for one in requests[1000:])

    for part in parts[1:]:
        assert invoke("archive", "add", "--archive", archive, str(part), *reading).returncode == 0
    check()
    Path(archive, "lifecycle.toml").write_text('[warm]\nafter = "1d"\n')
    assert invoke("archive", "tier", "--archive", archive, "--grace", "0h").returncode == 0
    assert {file.tier for file in Archive.open(archive).snapshot().select("logs")} == {"warm"}
    check()
    Path(archive, "lifecycle.toml").write_text(
        '[warm]\nafter = "1d"\n[cold]\nafter = "2d"\ncolumns = ["kind", "timestamp", "method", '
        '"endpoint", "status", "duration_ms", "bytes", "user_id", "client_ip", "level", "request_bytes"]\n'
    )
    assert invoke("archive", "tier", "--archive", archive, "--grace", "0h").returncode == 0
    ran = invoke("query", "--archive", archive, "-o", "csv", "SELECT count(request_bytes), count(tls) FROM logs")
    assert ran.stdout.splitlines()[1] == b"2000,0"
    report = json.loads(invoke("report", "--archive", archive, "--rows", "-q", "-o", "json").stdout)
    assert "upstream" not in report
    assert any("not all days keep" in note for note in report["notes"])
    ran = invoke("report", "--archive", archive, "--rows", "--by", "tls")
    assert ran.returncode == 1
    assert b"the cold tier does not keep" in ran.stderr
