"""SQL over an archive: what it may do, what it opens, what it says."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import archives
import duckdb
import numpy as np
import polars as pl
import pytest
from hyperloglog import HyperLogLog
from program import invoke
from reference import percentile

from logstats import api
from logstats.archive import files
from logstats.archive.archive import Archive
from logstats.archive.log import tables
from logstats.archive.log.snapshot import Snapshot
from logstats.archive.publish import catalog
from logstats.archive.query.sql import connect
from logstats.archive.query.sql import session as open_session
from logstats.errors import QueryError
from logstats.sketches import hll, loghist

Ask = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def tiered(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Three days, one in each tier, and late lines of the warm one."""
    folder = tmp_path_factory.mktemp("tiered")
    archive = archives.make(folder / "archive", archives.logs_of_three_days(folder))
    archives.move(archive)
    late = folder / "late.log"
    late.write_bytes(b"".join(archives.day_of("combined_time.log", 18, folder).read_bytes().splitlines(True)[:50]))
    api.add([late], archive.root)
    return archive


@pytest.fixture
def ask(tiered: Archive) -> object:
    with ExitStack() as stack:
        session = stack.enter_context(open_session(tiered.storage, tiered.snapshot()))
        yield lambda sql: [row for frame in session.run(sql) for row in frame.rows()]


# -- what there is


def test_views_have_every_column(tiered: Archive) -> None:
    with open_session(tiered.storage, tiered.snapshot()) as session:
        logs = dict(session.columns("FROM logs"))
        assert list(logs) == ["tier", *tables.columns(tables.LOGS), "year", "month", "day", "hour"]
        assert logs["timestamp"] == "TIMESTAMP WITH TIME ZONE" and logs["status"] == "USMALLINT"
        assert dict(session.columns("SELECT minute, registers FROM users"))["registers"] == "UINTEGER[]"
        assert session.columns("SHOW TABLES") and len(list(session.run("SHOW TABLES"))[1]) == 6


def test_an_empty_archive_has_the_same_views(tmp_path: Path, tiered: Archive) -> None:
    empty = archives.make(tmp_path / "archive", [])
    with (
        open_session(empty.storage, empty.snapshot()) as session,
        open_session(tiered.storage, tiered.snapshot()) as full,
    ):
        for view in ("logs", *tables.ROLLUPS):
            assert session.columns(f"FROM {view}") == full.columns(f"FROM {view}")
            assert sum(frame.height for frame in session.run(f"FROM {view}")) == 0


def test_tiers_are_one_table(ask: Ask) -> None:
    rows = ask(
        "SELECT tier, day, count(*), count(user_agent), count(DISTINCT hour) FROM logs GROUP BY ALL ORDER BY ALL"
    )
    assert [(tier, day) for tier, day, *_ in rows] == [("cold", 17), ("hot", 18), ("hot", 19), ("warm", 18)]
    counts = {(tier, day): (n, agents, hours) for tier, day, n, agents, hours in rows}
    assert counts["cold", 17] == (897, 0, 24)  # the policy did not keep user_agent
    assert counts["warm", 18][1] > 0
    assert ask("SELECT count(*) FROM logs WHERE hour <> extract(hour FROM timestamp) OR day <> day(timestamp)") == [
        (0,)
    ]


def test_errors_by_app(ask: Ask) -> None:
    """The query in the design, against what is known of the lines."""
    truth = json.loads((archives.SAMPLES / "vhost_combined.log.expected.json").read_text())
    errors = sum(n for status, n in truth["status"].items() if status >= "500")
    found = ask(
        "SELECT app_name, COUNT(*) FROM logs WHERE year=2025 AND month=1 AND day=18 AND level='ERROR' GROUP BY app_name"
    )
    # The other log of the day names no app.
    assert sum(n for app, n in found if app is not None) == errors > 0  # type: ignore[misc]


# -- what is opened


def _only(archive: Archive, folder: Path, keep: Callable[[str], bool]) -> Archive:
    """The archive with garbage in the place of all files but some: a query that succeeds has not opened those."""
    shutil.copytree(archive.root, folder)
    copy = Archive.open(folder)
    for path in copy.snapshot().files:
        if not keep(path):
            (folder / path).write_bytes(b"not Parquet")
    return copy


@pytest.mark.parametrize(
    ("where", "opened", "rows"),
    [
        ("year=2025 AND month=1 AND day=17", r"cold/.*/day=17/", 897),
        ("year=2025 AND month=1 AND day=18", r"(hot|warm)/.*/day=18/", 1844),
        ("year=2025 AND month=1 AND day=19 AND hour=10", r"hot/.*/day=19/", None),
        ("day=19 AND hour BETWEEN 3 AND 5", r"hot/.*/day=19/", None),
        ("tier='warm'", r"warm/", 1794),
        ("year=2024", r"nothing", 0),
    ],
)
def test_only_the_files_needed_are_opened(
    tiered: Archive, tmp_path: Path, where: str, opened: str, rows: int | None
) -> None:
    query = f"SELECT count(*), count(path) FROM logs WHERE {where}"
    copy = _only(tiered, tmp_path / "copy", lambda path: re.match(opened, path) is not None)
    with open_session(tiered.storage, tiered.snapshot()) as whole, open_session(copy.storage, copy.snapshot()) as part:
        (expected,), (found,) = ([r for f in s.run(query) for r in f.rows()] for s in (whole, part))
        assert found == expected
        assert rows is None or found[0] == rows
        with pytest.raises(Exception, match=r"(?i)parquet"):  # and what is opened is noticed
            list(part.run("SELECT count(path) FROM logs"))


def test_a_range_of_time_reads_some_row_groups(tmp_path: Path) -> None:
    lines = [
        f'10.0.0.1 - - [17/Jan/2025:{i // 3600:02}:{i // 60 % 60:02}:{i % 60:02} +0000] "GET /{i} HTTP/1.1" 200 1\n'
        for i in range(86_400)
        for _ in range(4)
    ]
    (tmp_path / "a.log").write_text("".join(lines))
    archive = archives.make(tmp_path / "archive", [tmp_path / "a.log"])
    archives.move(archive, policy='[warm]\nafter = "1d"')
    with connect(archive.storage, archive.snapshot()) as connection:
        query = "SELECT count(*) FROM logs WHERE timestamp < '2025-01-17T01:00:00Z' AND path <> ''"
        plan = str(connection.execute("EXPLAIN ANALYZE FROM query($sql)", {"sql": query}).fetchall()[0][1])
        assert re.search(r"Row Groups Scanned: 1 / 2", plan), plan
        assert connection.execute("FROM query($sql)", {"sql": query}).fetchall() == [(14_400,)]


# -- read-only

SECRET = "/etc/passwd"
FORBIDDEN = [
    "COPY logs TO '{out}'",
    "COPY logs TO '{file}' (FORMAT parquet)",
    "COPY (SELECT 1) TO '{out}'",
    "ATTACH '{out}' AS other",
    "ATTACH '{file}' AS other",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{out}'",
    "EXPLAIN ANALYZE COPY logs TO '{file}'",
    "EXPLAIN COPY logs TO '{file}'",
    f"SELECT * FROM read_csv('{SECRET}')",
    f"SELECT * FROM read_text('{SECRET}')",
    f"SELECT * FROM read_blob('{SECRET}')",
    f"SELECT * FROM '{SECRET}'",
    f"SELECT * FROM sniff_csv('{SECRET}')",
    f"SELECT * FROM parquet_metadata('{SECRET}')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_parquet('{lifecycle}')",
    "SELECT * FROM read_csv('{lifecycle}')",
    "SELECT * FROM read_text('{folder}/commits/00000001.json')",
    "SELECT * FROM parquet_scan('{folder}/rejects/**/*.parquet')",
    "SELECT getenv('HOME')",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "SET enable_external_access = true",
    "SET allowed_paths = ['/']",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "SELECT * FROM a_python_variable",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY logs TO '{file}'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE VIEW logs AS SELECT 1",
    "DROP VIEW logs",
    "INSERT INTO logs VALUES (1)",
    "DELETE FROM logs",
    "UPDATE logs SET path = ''",
    "WITH x AS (INSERT INTO logs VALUES (1)) SELECT 1",
    "FROM query('COPY logs TO ''{out}''')",
    "FROM query('SET threads = 1')",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "USE memory",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_read_only(tiered: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    a_python_variable = pl.DataFrame({"secret": [1]})
    monkeypatch.chdir(tmp_path)
    before = archives.contents(tiered.root)
    snapshot = tiered.snapshot()
    places = {
        "out": tmp_path / "out",
        "file": tiered.storage.at(next(iter(snapshot.files))),
        "lifecycle": tiered.root / "lifecycle.toml",
        "folder": tiered.root,
    }
    text = sql.format(**places) if "{" in sql else sql
    with open_session(tiered.storage, snapshot) as session, pytest.raises(Exception) as failed:
        list(session.run(text))
    assert failed.type.__module__.startswith("logstats."), failed
    assert archives.contents(tiered.root) == before
    assert not list(tmp_path.iterdir())
    assert a_python_variable.height == 1


@pytest.mark.parametrize(
    "sql",
    [
        "FROM logs LIMIT 1",
        "WITH x AS (SELECT 1 AS a) FROM x",
        "DESCRIBE logs",
        "SUMMARIZE traffic",
        "VALUES (1), (2)",
        "SELECT 1 -- a comment",
        "SELECT 1;",
        "SELECT 'a''b', \"day\" FROM logs LIMIT 1",
        "PIVOT traffic ON kind IN ('request', 'event') USING count(*)",
    ],
)
def test_what_one_select_can_be(ask: Ask, sql: str) -> None:
    assert ask(sql)


def test_only_files_of_the_snapshot_can_be_read(tiered: Archive, tmp_path: Path) -> None:
    """Not even Parquet files of the archive's folder that are no part of it."""
    stray = tiered.root / "stray.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(stray)
    try:
        with (
            open_session(tiered.storage, tiered.snapshot()) as session,
            pytest.raises(Exception, match="Cannot access"),
        ):
            list(session.run(f"FROM read_parquet('{stray}')"))
    finally:
        stray.unlink()


# -- what is said


def test_wrong_sql_has_a_caret(tiered: Archive) -> None:
    done = invoke("query", "SELECT 'ä',\n  lvl\nFROM logs", "--archive", str(tiered.root))
    assert done.returncode == 2
    assert done.stdout == b""
    error = done.stderr.decode()
    assert "Traceback" not in error
    assert 'Referenced column "lvl" not found' in error
    assert "LINE 2:   lvl\n          ^^^\n" in error


@pytest.mark.parametrize(
    ("sql", "line", "carets"),
    [
        ("SELECT * FROM lgs", "LINE 1: SELECT * FROM lgs", "                      ^^^"),
        ("SELEC 1", "LINE 1: SELEC 1", "        ^^^^^"),
        ("SELECT 'ö' + foo(1)", "LINE 1: SELECT 'ö' + foo(1)", "                     ^^^^^^"),
    ],
)
def test_the_caret_is_below_the_place(ask: Ask, sql: str, line: str, carets: str) -> None:
    with pytest.raises(QueryError) as failed:
        ask(sql)
    assert failed.value.what.split("\n")[-2:] == [line, carets]


def test_long_lines_are_cut_around_the_place(ask: Ask) -> None:
    with pytest.raises(QueryError) as failed:
        ask("SELECT " + "1 + " * 200 + "nothing FROM logs")
    line, carets = failed.value.what.split("\n")[-2:]
    assert len(line) < 120
    assert line[carets.index("^") : carets.index("^") + carets.count("^")] == "nothing"


# -- forms of output


def test_outputs_agree(tiered: Archive, tmp_path: Path) -> None:
    query = (
        "SELECT endpoint, status, count(*) n, max(timestamp) AS last FROM logs WHERE day=17 GROUP BY ALL ORDER BY ALL"
    )

    def output(kind: str, *more: str) -> bytes:
        done = invoke("query", query, "--archive", str(tiered.root), "-o", kind, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout  # type: ignore[no-any-return]

    objects = [json.loads(line) for line in output("jsonl").splitlines()]
    cells = list(csv.DictReader(io.StringIO(output("csv").decode())))
    output("parquet", "--out", str(tmp_path / "out.parquet"))
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert len(objects) > 40
    assert objects[0]["last"].endswith("Z")
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in objects] == cells
    assert frame.select("endpoint", "status", "n").rows() == [(r["endpoint"], r["status"], r["n"]) for r in objects]
    assert frame["last"].dtype == pl.Datetime("us", "UTC")
    table = output("table").decode().splitlines()
    assert len(table) == len(objects) + 2
    assert table[0].split() == ["endpoint", "status", "n", "last"]


def test_values_that_polars_has_no_type_for(ask: Ask, tiered: Archive) -> None:
    sql = (
        "SELECT INTERVAL 1 DAY AS i, '101'::BIT AS b, MAP {'a': 1} AS m, 170141183460469231731687303715884105727 AS h,"
        " [1, NULL] AS l, {'x': INTERVAL 1 DAY} AS s, 'a'::ENUM('a', 'b') AS e, NULL AS n,"
        "  'infinity'::TIMESTAMPTZ AS t, 'nan'::DOUBLE AS f,"
        " '\\xAB'::BLOB AS o, TIME '10:00' AS c, 1.50::DECIMAL(9, 2) AS d, '{\"a\": 1}'::JSON AS j"
    )
    with open_session(tiered.storage, tiered.snapshot()) as session:
        assert sum(frame.height for frame in session.run(sql, "values")) == 1
        (texts,) = [row for frame in session.run(sql, "text") for row in frame.rows(named=True)]
        (made,) = [json.loads(row[0]) for frame in session.run(sql, "json") for row in frame.rows()]
    assert texts["t"] == made["t"] == "infinity"
    assert texts["c"] == "10:00:00"
    assert made["i"] == "1 day"
    assert made["b"] == "101"
    assert made["h"] == 2**127 - 1
    assert made["f"] is None
    assert made["m"] == {"a": 1}
    assert made["l"] == [1, None]


def test_rows_are_what_frames_hold(tiered: Archive) -> None:
    """And whole numbers of 128 bits, for which Polars has no type, are whole."""
    sql = (
        "SELECT minute, sum(requests) AS n, avg(bytes) AS b, any_value(method) AS m, count(*) > 1 AS many FROM traffic"
        " GROUP BY ALL ORDER BY ALL LIMIT 100"
    )
    with open_session(tiered.storage, tiered.snapshot()) as session:
        columns, pieces = session.rows(sql, "text")
        assert columns == [("minute", False), ("n", True), ("b", True), ("m", False), ("many", False)]
        rows = [row for piece in pieces for row in piece]
        assert rows == [row for frame in session.run(sql, "text") for row in frame.rows()] and len(rows) == 100
        objects = [row for piece in session.rows(sql, "json")[1] for row in piece]
        assert objects == [row for frame in session.run(sql, "json") for row in frame.rows()]
        assert [*session.rows(f"SELECT {2**127 - 1} AS h", "text")[1]] == [[], [(2**127 - 1,)]]


def test_a_table_or_jsonl_loads_neither_polars_nor_numpy(tiered: Archive) -> None:
    """Their import takes longer than most queries."""
    code = (
        "import sys; from logstats.cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "assert not {'polars', 'numpy', 'pyarrow'} & set(sys.modules)"
    )
    asked = ("query", "SELECT count(*) AS n FROM logs", "--archive", str(tiered.root), "-o", "jsonl")
    done = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["n"] > 0


def test_the_same_name_twice(tiered: Archive) -> None:
    done = invoke("query", "SELECT 1 AS a, 2 AS a", "--archive", str(tiered.root), "-o", "jsonl")
    assert list(json.loads(done.stdout).values()) == [1, 2]


def test_control_characters_do_not_reach_a_terminal(tiered: Archive) -> None:
    query = "SELECT chr(27) || '[31m' || chr(8238) AS \"a\x1b\", '=1+1' AS formula"
    for kind in ("table", "csv", "jsonl"):
        done = invoke("query", query, "--archive", str(tiered.root), "-o", kind)
        text = done.stdout.decode()
        assert done.returncode == 0
        assert "\x1b" not in text, kind
        assert kind == "csv" or "\u202e" not in text, kind
        assert kind != "csv" or "'=1+1" in text


def test_sql_from_standard_input(tiered: Archive) -> None:
    sql = b"SELECT count(*) AS n FROM logs WHERE day=17"
    done = invoke("query", "-", "-o", "csv", stdin=sql, env={"LOGSTATS_ARCHIVE": str(tiered.root)})
    assert done.stdout == b"n\r\n897\r\n"


def test_explain_says_how_many_files(tiered: Archive) -> None:
    done = invoke("query", "FROM traffic WHERE day=19", "--explain", "--archive", str(tiered.root))
    assert done.returncode == 0
    assert re.search(r"Scanning Files: 1/\d", done.stdout.decode())


def seconds_of(process: int) -> float:
    """The processor time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_ctrl_c_cancels(tiered: Archive, tmp_path: Path) -> None:
    query = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE (a.range * 7 + b.range) % 13 = 5"
    command = [sys.executable, "-m", "logstats", "query", query, "--archive", str(tiered.root)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=archives.ROOT,
        start_new_session=True,
        env=environment,
    ) as process:
        while process.poll() is None and not list(tmp_path.glob("logstats-query-*")):
            os.sched_yield()  # until DuckDB is open
        opened = seconds_of(process.pid)
        while process.poll() is None and seconds_of(process.pid) < opened + 1:
            os.sched_yield()  # until it has worked for a second
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=50)
    assert process.returncode == 130
    assert b"Traceback" not in error
    assert out == b""


# -- macros

EXAMPLES = [line[4:].strip() for line in catalog.macros().splitlines() if line.startswith("--> ")]


def test_every_macro_has_an_example() -> None:
    made = re.findall(r"CREATE OR REPLACE MACRO (\w+)", catalog.macros())
    assert len(made) >= 7
    assert all(any(f"{macro}(" in example for example in EXAMPLES) for macro in made)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_true(ask: Ask, example: str) -> None:
    assert ask(f"SELECT {example}") == [(True,)]


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 65_535, 65_536])
def test_hll_hash_is_the_packages(ask: Ask, size: int) -> None:
    """Register for register, by what the package makes of one value."""
    for text in ("x" * size, "ä" * (size // 2)):
        sketch = HyperLogLog(1.04 / 128)
        sketch.add(text)
        registers = {j: rank for j, rank in enumerate(sketch.M) if rank}
        ((value,),) = ask(f"SELECT hll_register(hll_hash('{text}'))")
        assert isinstance(value, int)
        assert registers == {value >> 6: value & 63}


@pytest.mark.parametrize("count", [0, 1, 2, 100, 5_000, 11_500, 15_000, 40_000, 81_920, 200_000])
def test_unique_users_is_the_packages_estimate(tiered: Archive, count: int) -> None:
    """Linear counting, bias correction and neither; sketches in parts that overlap."""
    texts = [f"user {number}" for number in range(count)]
    sketch = HyperLogLog(1.04 / 128)
    sketch.add_bulk(texts)
    hashed = hll.hash_strings(pl.Series(texts, dtype=pl.String))
    values = hashed.select(value=pl.col("register").cast(pl.UInt32) * 64 + pl.col("rank"))["value"].to_list()
    parts = [values[: count // 2 + 10], values[count // 3 :], []]
    with connect(tiered.storage, tiered.snapshot()) as connection:
        found = connection.execute("SELECT unique_users($1::UINTEGER[][])", [parts]).fetchone()
    assert found == (round(sketch.card()),)


def test_unique_users_of_minutes_are_those_of_a_report(ask: Ask, tmp_path: Path) -> None:
    source = archives.day_of("kv.log", 19, tmp_path)
    report = api.report([source], since="2025-01-19T03:00", until="2025-01-19T09:00")
    where = "minute >= '2025-01-19T03:00:00Z' AND minute < '2025-01-19T09:00:00Z'"
    ((users,),) = ask(f"SELECT unique_users(list(registers)) FROM users WHERE {where}")
    assert users == report.unique_users.total > 20
    per_minute = ask(f"SELECT minute, unique_users(list(registers)) FROM users WHERE {where} GROUP BY 1 ORDER BY 1")
    assert per_minute == report.unique_users.per_minute


def test_buckets_and_percentiles(ask: Ask) -> None:
    """Every percentile is within 1 % of the nearest rank of the sorted list."""
    durations: dict[str, list[float]] = defaultdict(list)
    for endpoint, ms in ask("SELECT endpoint, duration_ms FROM logs WHERE day=17 AND duration_ms IS NOT NULL"):
        durations[str(endpoint)].append(float(str(ms)))
    assert len(durations) > 10
    for p in ("1", "50", "90", "99", "99.9", "100"):
        found = ask(
            f"SELECT endpoint, latency_percentile(list(bucket), list(timed), {p}) "
            "FROM endpoints WHERE day=17 AND timed > 0 GROUP BY endpoint"
        )
        assert {str(endpoint) for endpoint, _ in found} == set(durations)
        for endpoint, estimate in found:
            exact = percentile(sorted(round(ms * 1000) for ms in durations[str(endpoint)]), p) / 1000
            assert abs(float(str(estimate)) - exact) <= 0.0101 * exact


def test_buckets_are_those_of_the_sketch(tiered: Archive) -> None:
    rng = np.random.default_rng(7)
    numbers = [
        0.0,
        5e-324,
        1e-9,
        0.001,
        1.0,
        99.0,
        100.0,
        1e10,
        1.7e308,
        *np.exp(rng.uniform(-12, 20, 20_000)).tolist(),
    ]
    frame = pl.DataFrame({"ms": numbers}).with_columns(bucket=loghist.bucket(pl.col("ms")))
    with duckdb.connect() as connection:
        connection.execute(catalog.macros())
        connection.register("frame", frame.to_arrow())
        wrong = "SELECT count(*) FROM frame WHERE latency_bucket(ms) IS DISTINCT FROM bucket"
        assert connection.execute(wrong).fetchone() == (0,)
        far = "SELECT count(*) FROM frame WHERE ms > 1e-300 AND abs(bucket_ms(bucket) / ms - 1) > 0.01000001"
        assert connection.execute(far).fetchone() == (0,)


# -- catalog.sql


def test_catalog_in_duckdbs_own_shell(tiered: Archive, tmp_path: Path) -> None:
    """The same views and macros, from the archive's folder, or with its place given."""
    shell = shutil.which("duckdb", path=str(Path(sys.executable).parent))
    assert shell, "pip install duckdb-cli"
    sql = (
        "SELECT count(*), min(timestamp)::VARCHAR, (SELECT unique_users(list(registers)) FROM users), "
        "(SELECT latency_percentile(list(bucket), list(count), 99) FROM latency) FROM logs"
    )
    (tmp_path / "there.sql").write_text(
        f"SET file_search_path = '{tiered.root}';\n.read {tiered.root / 'catalog.sql'}\n"
    )
    listing = [sys.executable, "-m", "logstats", "archive", "files", "-o", "sql", "--archive", str(tiered.root)]
    (tmp_path / "files.sql").write_bytes(subprocess.run(listing, capture_output=True, timeout=60, check=True).stdout)
    told = []
    for folder, script in ((tiered.root, "catalog.sql"), (tmp_path, "there.sql"), (tmp_path, "files.sql")):
        command = [shell, "-init", script, "-json", "-c", sql]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
        told.append(done.stdout)
    assert len(set(told)) == 1
    with open_session(tiered.storage, tiered.snapshot()) as session:
        (expected,) = [row for frame in session.run(sql) for row in frame.rows()]
    (row,) = json.loads(done.stdout)
    assert tuple(row.values()) == expected
    assert str(expected[1]).endswith("+00")


def test_catalog_is_rewritten_at_each_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third, _ = archives.logs_of_three_days(tmp_path)
    archive = archives.make(tmp_path / "archive", [first])
    monkeypatch.chdir(archive.root)
    for source, rows in ((second, 1794), (third, 2691)):
        api.add([source], archive.root)
        with duckdb.connect() as connection:
            connection.execute((archive.root / "catalog.sql").read_text())
            assert connection.execute("SELECT count(*) FROM logs").fetchone() == (rows,)


def test_names_that_need_quoting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archives.make(tmp_path / 'it\'s\n"here"', [archives.SAMPLES / "combined.log"])
    with open_session(archive.storage, archive.snapshot()) as session:
        assert [row for frame in session.run("SELECT count(*) FROM logs") for row in frame.rows()] == [(897,)]
    monkeypatch.chdir(archive.root)
    shown = "".join(f"{line}\n" for line in files.RENDERERS["sql"](archive, archive.snapshot(), None))
    for script in ((archive.root / "catalog.sql").read_text(), shown):
        with duckdb.connect() as connection:
            connection.execute(script)
            assert connection.execute("SELECT count(*) FROM logs").fetchone() == (897,)


def test_a_snapshot_stays_what_it_was(tmp_path: Path) -> None:
    """What is added after a session began is not in it."""
    first, second, *_ = archives.logs_of_three_days(tmp_path)
    archive = archives.make(tmp_path / "archive", [first])
    before: Snapshot = archive.snapshot()
    api.add([second], archive.root)
    archives.move(archive)
    with open_session(archive.storage, before) as session:
        assert [row for frame in session.run("SELECT count(*) FROM logs") for row in frame.rows()] == [(897,)]
