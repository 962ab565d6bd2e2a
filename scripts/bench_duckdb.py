#!/usr/bin/env python3
"""The statistics of `logstats report` as somebody who knows DuckDB would write them by hand: the peer of bench.py.

    python scripts/bench_duckdb.py [--tuned | --lean] access.log
    python scripts/bench_duckdb.py --copy FOLDER access.log
    python scripts/bench_duckdb.py --rows FOLDER

One read_csv into a temporary table, then the aggregates that the report shows, endpoints by regular expressions. With
--tuned the expressions run once for each distinct request, and unused columns are left out; --lean is that with one
template, for numbers, and only the ten slowest endpoints. With --copy the rows go to Parquet in that folder, by hour,
compressed by zstd, as an archive has them; with --rows the questions are about the Parquet files below that folder.

It is easier on itself than logstats: what is quoted oddly is dropped, a user name with a space shifts the columns of
its line, a path has four templates, and users are counted by DuckDB's own, coarser sketch.
"""

from __future__ import annotations

import json
import sys

import duckdb

READ = """
CREATE TEMP TABLE logs AS
SELECT {columns} client_ip, user_id, request,
       try_strptime("time" || ' ' || "zone", '[%d/%b/%Y:%H:%M:%S %z]') AS "timestamp",
       try_cast(status AS USMALLINT) AS status, try_cast(bytes AS BIGINT) AS bytes,
       try_cast(request_time AS DOUBLE) * 1000 AS ms
FROM read_csv(?, delim=' ', quote='"', escape='\\', header=false, auto_detect=false, ignore_errors=true,
              strict_mode=false, columns={{
    'client_ip': 'VARCHAR', 'ident': 'VARCHAR', 'user_id': 'VARCHAR', 'time': 'VARCHAR', 'zone': 'VARCHAR',
    'request': 'VARCHAR', 'status': 'VARCHAR', 'bytes': 'VARCHAR', 'referer': 'VARCHAR', 'user_agent': 'VARCHAR',
    'request_time': 'VARCHAR'}})
"""

MACROS = """
CREATE TEMP MACRO method_of(request) AS split_part(request, ' ', 1);
CREATE TEMP MACRO endpoint_of(request) AS regexp_replace(regexp_replace(regexp_replace(regexp_replace(
    split_part(split_part(request, ' ', 2), '?', 1),
    '/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}', '/{uuid}', 'g'),
    '/[0-9]{4}-[0-9]{2}-[0-9]{2}', '/{date}', 'g'),
    '/-?[0-9]+', '/{id}', 'g'),
    '[.][0-9a-f]{8,}[.]', '.{hash}.', 'g')
"""
LEAN_MACROS = """
CREATE TEMP MACRO method_of(request) AS split_part(request, ' ', 1);
CREATE TEMP MACRO endpoint_of(request) AS
    regexp_replace(split_part(split_part(request, ' ', 2), '?', 1), '/[0-9]+', '/{id}', 'g')
"""
NAMED = """
CREATE TEMP VIEW named AS
SELECT *, method_of(request) AS method, endpoint_of(request) AS endpoint FROM logs
"""
NAMED_ONCE = """
CREATE TEMP TABLE named AS
SELECT logs.*, method, endpoint
FROM logs JOIN (SELECT request, method_of(request) AS method, endpoint_of(request) AS endpoint
                FROM (SELECT DISTINCT request FROM logs)) USING (request)
"""

FIGURES = """count(ms) AS timed, avg(ms) AS avg, min(ms) AS min, max(ms) AS max,
             quantile_disc(ms, [0.5, 0.9, 0.95, 0.99, 0.999]) AS percentiles"""

QUESTIONS = {
    "totals": f'SELECT count(*), sum(bytes), min("timestamp"), max("timestamp"), {FIGURES} FROM logs',
    "status": "SELECT status, count(*) FROM logs GROUP BY status ORDER BY status",
    "endpoints": f"""SELECT method, endpoint, count(*) AS requests, sum(bytes),
        count(*) FILTER (status // 100 = 1), count(*) FILTER (status // 100 = 2), count(*) FILTER (status // 100 = 3),
        count(*) FILTER (status // 100 = 4), count(*) FILTER (status // 100 = 5), {FIGURES}
        FROM named GROUP BY method, endpoint ORDER BY avg DESC""",
    "minutes": """SELECT date_trunc('minute', "timestamp"), count(*), count(*) FILTER (status >= 500), sum(bytes),
        approx_count_distinct(coalesce(nullif(user_id, '-'), client_ip)) FROM logs GROUP BY 1 ORDER BY 1""",
    "users": "SELECT approx_count_distinct(coalesce(nullif(user_id, '-'), client_ip)) FROM logs",
}


COPY = """
COPY (SELECT "timestamp", method, split_part(split_part(request, ' ', 2), '?', 1) AS path,
             split_part(split_part(request, ' ', 2), '?', 2) AS query, split_part(request, ' ', 3) AS protocol,
             endpoint, status, ms AS duration_ms, bytes, nullif(user_id, '-') AS user_id, client_ip, referer,
             user_agent, year("timestamp") AS year, month("timestamp") AS month, day("timestamp") AS day,
             hour("timestamp") AS hour
      FROM named ORDER BY "timestamp")
TO {folder} (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (year, month, day, hour), OVERWRITE)
"""
STORED = """
CREATE TEMP VIEW named AS
SELECT "timestamp", method, endpoint, status, duration_ms AS ms, bytes, user_id, client_ip
FROM read_parquet({pattern}, hive_partitioning=true, union_by_name=true);
CREATE TEMP VIEW logs AS FROM named
"""


def quoted(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def main(path: str, *, tuned: bool = False, lean: bool = False, copy: str = "", rows: bool = False) -> None:
    """Print the answers as JSON, or write Parquet files into the folder `copy`; of `rows`, `path` is the folder."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    if rows:
        connection.execute(STORED.format(pattern=quoted(f"{path}/**/*.parquet")))
        print(json.dumps({name: connection.execute(sql).fetchall() for name, sql in QUESTIONS.items()}, default=str))
        return
    connection.execute(READ.format(columns="" if tuned or lean else "ident, referer, user_agent,"), [path])
    connection.execute(LEAN_MACROS if lean else MACROS)
    connection.execute(NAMED_ONCE if tuned or lean else NAMED)
    if copy:
        connection.execute(COPY.format(folder=quoted(copy)))
        return
    questions = {**QUESTIONS, "endpoints": f"{QUESTIONS['endpoints']} LIMIT 10"} if lean else QUESTIONS
    print(json.dumps({name: connection.execute(sql).fetchall() for name, sql in questions.items()}, default=str))


if __name__ == "__main__":
    asked = sys.argv[1:-1]
    main(
        sys.argv[-1],
        tuned="--tuned" in asked,
        lean="--lean" in asked,
        copy=asked[1] if asked[:1] == ["--copy"] else "",
        rows="--rows" in asked,
    )
