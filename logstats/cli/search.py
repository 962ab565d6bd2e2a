"""`logstats search`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.cli.output import destination, screen
from logstats.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from logstats.formats.detection.detect import Detected

MATCHING = "What is looked for"


@shared.command(shared.READING, shared.FILTERS)
def search(
    terms: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATTERN [SOURCE]...",
            help="A text that a line holds, then files, globs, folders, or - for standard input. With filters, the "
            "pattern may be left out: a first word that is a source is one.",
            show_default=False,
        ),
    ] = None,
    shared_options: shared.SharedOptions = shared.SHARED,
    archive: shared.ArchiveDir = None,
    pattern: Annotated[
        str | None, shared.Option("-e, --pattern PATTERN", "The pattern; then all words are sources.", MATCHING)
    ] = None,
    regex: Annotated[
        bool, shared.Option("-E, --regex", "The pattern is a regular expression (Rust's).", MATCHING)
    ] = False,
    ignore_case: Annotated[
        bool, shared.Option("-i, --ignore-case", "Capital and small letters are alike.", MATCHING)
    ] = False,
    around: Annotated[
        int, shared.Option("-C, --context N", "Show N lines before and after, too.", shared.OUTPUT_PANEL, least=0)
    ] = 0,
    count: Annotated[bool, shared.Option("--count", "Only say how many lines there are.", shared.OUTPUT_PANEL)] = False,
    places: Annotated[
        bool, shared.Option("-n, --line-number", "Before each line its source and number.", shared.OUTPUT_PANEL)
    ] = False,
    follow: Annotated[
        bool,
        shared.Option(
            "-f, --follow",
            "Go on with what is written to the sources, over rotation, until Ctrl-C; lines come as they arrive. A "
            "source may be syslog://HOST:PORT.",
            MATCHING,
        ),
    ] = False,
    output: Annotated[str, shared.output_option("text", "jsonl")] = "text",
    out: shared.Out = None,
    progress: shared.Progress = None,
    quiet: shared.Quiet = False,
) -> int:
    """Whole lines of logs, or rows of an archive, that hold a text, in order of time.

    Lines come as they are written, those of all sources together; standard input comes as it arrives. Filters look at
    what a line means, so a line that cannot be read passes none.
    """
    messages = _Messages(quiet=quiet, progress=progress)

    from logstats import api
    from logstats.line_search.archived import as_text
    from logstats.line_search.find import Findings
    from logstats.line_search.pattern import Pattern
    from logstats.pipeline import Counts, Interrupt
    from logstats.reports.found import LineWriter, as_rows
    from logstats.reports.rows import jsonl

    chosen = shared.reading_options(shared_options)
    filtered = messages.filtered = chosen.filters().expression() is not None
    words = list(terms or ())
    if pattern is None and words and not (filtered and _is_source(words[0])):
        pattern = words.pop(0)
    wanted = Pattern(pattern, regex, ignore_case) if pattern is not None else None
    if wanted is None and not filtered:
        raise UsageError("what is looked for?", "logstats search PATTERN [SOURCE]...")
    place = shared.archive_or_none(archive, words)
    if place and around:
        raise UsageError("-C is about lines around a line, which an archive no longer has", "leave it out")
    if follow and count:
        raise UsageError("--count says how many lines there are at the end, which --follow has not", "leave one out")
    shared.refuse_overwriting(out, [word for word in words if "://" not in word], "--out")
    findings, counts = Findings(), Counts()
    with Interrupt() as interrupt, destination(out, shared.moment(chosen)) as file:
        try:
            found = api.search(
                wanted,
                words,
                chosen,
                archive=place,
                rows=output == "jsonl",
                context=around,
                shown=not count,
                follow=follow,
                say=messages.warn,
                listener=messages,
                interrupt=interrupt,
                counts=counts,
                findings=findings,
            )
            if output == "jsonl":
                with jsonl(file) as write:
                    for frame in found:
                        write(as_rows(frame))
            else:
                shown_on = screen(to_file=out is not None)
                terminal = out is None and sys.stdout.isatty()
                lines = LineWriter(
                    file,
                    places=places,
                    context=bool(around),
                    terminal=terminal,
                    encoding=shown_on.encoding,
                    spans=wanted.spans if shown_on.colour and wanted else None,
                )
                for frame in found:
                    lines.write(as_text(frame) if place or chosen.anonymize else frame)
        finally:
            messages.done()
        if count:
            file.write(f"{findings.count}\n".encode())
        interrupted = (interrupt.asked and follow) or counts.interrupted
        messages.only_whole(counts, out)
        if counts.interrupted:
            messages.warn("interrupted: this is what had arrived until then")
    for note in findings.notes:
        messages.warn(note)
    if findings.incomplete:
        messages.codes.add(ExitCode.FAILED)
    if filtered and counts.rejected:
        messages.warn(f"{counts.rejected:,} of {counts.lines:,} lines could not be read, and so pass no filter")
    if interrupted:
        messages.codes.add(ExitCode.INTERRUPTED)
    if filtered and counts.rejected and not counts.read:
        messages.codes.add(ExitCode.NOTHING_PARSED)
    return int(messages.exit_code)


class _Messages(Messages):
    """Says nothing of formats, since lines are shown whole; but that there is none, if filters ask what lines mean."""

    filtered = False

    def format_unknown(self, source: str) -> None:
        """Nothing is said, unless there are filters."""
        if self.filtered:
            super().format_unknown(source)

    def format_found(self, source: str, found: Detected) -> None:
        """Nothing is said."""

    def format_added(self, source: str, name: str, line: int) -> None:
        """Nothing is said."""


def _is_source(word: str) -> bool:
    from logstats.inputs import discover

    return word == "-" or word.startswith("syslog://") or bool(discover([word])[0])
