"""`logstats query`."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import destination
from logstats.errors import UsageError
from logstats.sizes import size


@shared.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; - reads it from standard input.")],
    archive: shared.ArchiveDir = None,
    output: Annotated[
        str,
        shared.output_option("table", "csv", "jsonl", "parquet"),
    ] = "table",
    out: shared.Out = None,
    explain: Annotated[
        bool, shared.Option("--explain", "Show DuckDB's plan instead of running it.", shared.OUTPUT_PANEL)
    ] = False,
    timeout: Annotated[
        str | None,
        shared.Option("--timeout DURATION", "Stop a query that takes longer: 500ms, 30s, 5m, 1h."),
    ] = None,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """SQL over an archive: DuckDB, read-only.

    Views: logs (tier, year, month, day, hour and the columns of parse), traffic, latency, endpoints, users. A condition
    on year, month, day and hour opens only those files. All times are UTC.
    """
    seconds = shared.seconds("--timeout", timeout) if timeout is not None else None
    place = shared.archive_dir(archive)
    if output == "parquet" and out is None and not explain and sys.stdout.isatty():
        raise UsageError("Parquet is not for terminals", "add --out FILE, or pipe it on")
    if sql == "-":
        sql = sys.stdin.buffer.read().decode("utf-8", "replace")
    if not sql.strip():
        raise UsageError("there is no SQL", "write one SELECT, such as 'FROM logs LIMIT 10'")
    messages = Messages(quiet=quiet, progress=progress)

    from logstats.archive.archive import Archive
    from logstats.archive.log.commit import ArchiveError
    from logstats.archive.query.sql import present, session
    from logstats.reports import results

    opened = Archive.open(place)
    snapshot, missing = present(opened.storage, opened.snapshot(lenient=True))
    asked_of = f"; what is asked is the archive after commit {snapshot.number}"
    without = "the answer is without what it held; see logstats archive verify"
    problems = [ArchiveError(one.what + asked_of, one.hint) for one in snapshot.torn]
    problems += [ArchiveError(f"{path}: the file is missing", without) for path in missing]
    for problem in problems:
        messages.codes.add(problem.exit_code)
        messages.error(problem)
    with session(opened.storage, snapshot, seconds) as asked:
        try:
            if explain:
                with destination(out, datetime.now(UTC)) as file:
                    file.write(asked.explain(sql).encode())
                return int(messages.exit_code)
            with destination(out, datetime.now(UTC)) as file:
                if output == "jsonl":
                    results.jsonl(file, asked.rows(sql, "json", progress=messages.percent)[1])
                elif output == "table":
                    terminal = out is None and sys.stdout.isatty()
                    encoding = (sys.stdout.encoding or "utf-8") if out is None else "utf-8"
                    text, rows = results.table(
                        *asked.rows(sql, "text", progress=messages.percent),
                        width=shutil.get_terminal_size((80, 24)).columns if terminal else None,
                        unicode=encoding.lower().startswith("utf"),
                    )
                    messages.done()
                    file.write(text.encode(encoding, "backslashreplace"))
                    if rows > results.MAX_ROWS:
                        messages.warn(
                            f"only the first {results.MAX_ROWS:,} rows are shown", "-o csv and -o jsonl give all"
                        )
                else:
                    with results.WRITERS[output](file) as write:
                        for frame in asked.run(sql, results.FORMS[output], progress=messages.percent):
                            write(frame)
        finally:
            messages.done()
        if opened.storage.fetched:
            held = sum(file.bytes for file in snapshot.files.values())
            messages.say(f"{size(opened.storage.fetched)} of {size(held)} were fetched from the store")
    return int(messages.exit_code)
