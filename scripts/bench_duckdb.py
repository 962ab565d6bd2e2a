#!/usr/bin/env python3
"""The statistics of `logstats report` as somebody who knows DuckDB would write them by hand: the peer of bench.py.

    python scripts/bench_duckdb.py [--tuned | --lean] access.log

One read_csv into a temporary table, then the aggregates that the report shows, endpoints by regular expressions. With
--tuned the expressions run once for each distinct request, and unused columns are left out; --lean is that with one
template, for numbers, and only the ten slowest endpoints.

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


def main(path: str, *, tuned: bool, lean: bool) -> None:
    """Print the answers as JSON."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(READ.format(columns="" if tuned or lean else "ident, referer, user_agent,"), [path])
    connection.execute(LEAN_MACROS if lean else MACROS)
    connection.execute(NAMED_ONCE if tuned or lean else NAMED)
    questions = {**QUESTIONS, "endpoints": f"{QUESTIONS['endpoints']} LIMIT 10"} if lean else QUESTIONS
    print(json.dumps({name: connection.execute(sql).fetchall() for name, sql in questions.items()}, default=str))


if __name__ == "__main__":
    main(sys.argv[-1], tuned="--tuned" in sys.argv, lean="--lean" in sys.argv)
