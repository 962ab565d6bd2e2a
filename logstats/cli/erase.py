"""`logstats archive erase`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.errors import LogstatsError, UsageError

if TYPE_CHECKING:
    from logstats.archive.erase import Erased
    from logstats.archive.log.paths import Partition


@shared.command()
def erase(
    archive: shared.ArchiveDir = None,
    user: Annotated[list[str] | None, shared.Option("--user ID", "A user_id; repeatable.")] = None,
    ip: Annotated[list[str] | None, shared.Option("--ip ADDRESS", "An address of a client; repeatable.")] = None,
    mentions: Annotated[
        bool,
        shared.Option(
            "--mentions/--no-mentions", "Also mask them in other rows' texts, in endpoints and in rejected lines."
        ),
    ] = True,
    dry_run: Annotated[bool, shared.Option("--dry-run", "Say what would be erased, and change nothing.")] = False,
    grace: Annotated[
        str,
        shared.Option("--grace AGE", "How long replaced files stay for those who read them."),
    ] = "24h",
    output: Annotated[str, shared.output_option("table", "json")] = "table",
    quiet: shared.Quiet = False,
) -> int:
    """Take a person out of the archive: all tiers, rollups and rejected lines.

    Requests of theirs are still counted, but nothing says whose they were: user_id, client_ip, user_agent, referer,
    path, query, message, trace_id and extra become null. Days that hold nothing of them stay as they are. A day is one
    commit; the files that it replaces are deleted after the grace, by this command or by `archive tier`.
    """
    place = shared.archive_dir(archive)
    messages = Messages(quiet=quiet)

    from logstats.archive.archive import Archive
    from logstats.archive.erase import erase as erase_from
    from logstats.archive.erase import look
    from logstats.archive.log.orphans import sweep
    from logstats.archive.person import Persons
    from logstats.archive.tiers.policy import age

    try:
        keep = age(grace)
    except ValueError as error:
        raise UsageError(f"--grace: {error}", "write 24h, 7d or 2w") from None
    persons = Persons.named(user or [], ip or [])
    opened = Archive.open(place)
    told = _Told(messages)
    if dry_run:
        for day in look(opened, persons, mentions=mentions):
            told.finished(day)
    else:
        erase_from(opened, persons, told, mentions=mentions)
        swept = sweep(opened, datetime.now(UTC), keep)
        if swept.removed:
            messages.say(f"{swept.removed:,} replaced files deleted")
    if output == "json":
        days = [day.to_dict() for day in told.days]
        print(json.dumps({"dry_run": dry_run, "mentions": mentions, "days": days, "failed": told.failures}))
    else:
        print(_text(told, dry_run=dry_run, mentions=mentions), end="")
    if not dry_run and any(day.files for day in told.days):
        until = (datetime.now(UTC) + keep).isoformat(sep=" ", timespec="minutes").partition("+")[0]
        messages.say(f"what was replaced lies aside until {until} UTC; then `logstats archive tier` deletes it")
        messages.say("the logs themselves, copies and backups still hold it")
    return int(messages.exit_code)


class _Told:
    """Keeps what was found, and reports days that failed."""

    def __init__(self, messages: Messages) -> None:
        self.days: list[Erased] = []
        self.failures: list[str] = []
        self._messages = messages

    def finished(self, day: Erased) -> None:
        self.days.append(day)

    def failed(self, day: Partition, error: LogstatsError) -> None:
        from logstats.archive.erase import name_of

        self.failures.append(name_of(day))
        self._messages.codes.add(error.exit_code)
        self._messages.error(LogstatsError(f"{name_of(day)}: {error}", error.hint))


def _text(told: _Told, *, dry_run: bool, mentions: bool) -> str:
    """For people: what became of each day, and what was left."""
    if not told.days and not told.failures:
        return "nothing of them is in the archive\n"
    lines = []
    for day in told.days:
        found = [
            (day.rows, "row of theirs", "rows of theirs"),
            (day.mentions, "other row that names them", "other rows that name them"),
            (day.rejects, "rejected line", "rejected lines"),
            (day.endpoints, "endpoint of rollups", "endpoints of rollups"),
        ]
        parts = [f"{number:,} {one if number == 1 else many}" for number, one, many in found if number]
        if day.users == "made again":
            parts.append("sketches of users")
        files = f"{day.files:,} file{'s' if day.files != 1 else ''} {'to rewrite' if dry_run else 'rewritten'}"
        tiers = f" ({', '.join(day.tiers)})" if day.tiers else ""
        lines.append(f"{day.date}{tiers}: {', '.join(parts) or 'nothing found'}; {files}")
        lines += [f"  left: {why}" for why in day.left]
        if not mentions and day.mentions + day.rejects:
            lines.append("  left: other rows and rejected lines that name them (--mentions)")
    lines += [f"{day}: failed; run it again" for day in told.failures]
    total, of = sum(day.rows for day in told.days), sum(bool(day.rows) for day in told.days)
    lines.append(f"{total:,} row{'s' if total != 1 else ''} of theirs on {of:,} day{'s' if of != 1 else ''}")
    return "".join(f"{line}\n" for line in lines)
