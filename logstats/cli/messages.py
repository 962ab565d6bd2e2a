"""Messages on standard error during a run, and the resulting exit code."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from logstats.cli.output import abandon
from logstats.errors import ExitCode, LogstatsError, SourceError, gravest
from logstats.reports.printable import printable

if TYPE_CHECKING:
    from logstats.formats.detection.detect import Detected
    from logstats.options import Options
    from logstats.pipeline import Counts, Reading


class Messages:
    """Reports events on standard error (only errors if `quiet`), shows progress on a terminal, collects exit codes."""

    def __init__(self, *, quiet: bool = False, progress: bool | None = None) -> None:
        self.codes: set[ExitCode] = set()
        self._quiet = quiet
        terminal = sys.stderr.isatty()
        self._shows = (terminal if progress is None else progress and terminal) and not quiet
        self._bar: Any = None
        self._task: Any = None
        self._source: Reading | None = None
        self._hinted = self._reading = False
        self._began = time.monotonic()

    def options_read(self, options: Options) -> None:
        """Say which variables of a server's own log format are kept."""
        for stack in (options.chosen_format() or ()) if options.log_format else ():
            for note in stack.format.notes:
                self.say(note)

    # -- the pipeline's listener

    def format_found(self, source: str, found: Detected) -> None:
        """A source's format was found out."""
        sure = "" if found.share > 0.995 else f" (reads {found.share:.0%} of the first lines)"
        self.say(f"{source}: format {found.name}{sure}")

    def note(self, source: str, text: str) -> None:
        """Something about a source's lines that its reader should know."""
        self.say(f"{source}: {text}")

    def format_added(self, source: str, name: str, line: int) -> None:
        """A source has lines of a further format."""
        self.say(f"{source}: from line {line:,} on also format {name}")

    def format_unknown(self, source: str) -> None:
        """No format reads the first lines of a source."""
        hint = "name one with --format, or paste the server's own definition: --log-format '…'"
        self.warn(f"{source}: no format reads these lines", "" if self._hinted else hint)
        self._hinted = True  # of a folder of such files, once is enough

    def problem(self, error: SourceError) -> None:
        """A source cannot be read, or not to its end."""
        self.codes.add(error.exit_code)
        self.error(error)

    def progress(self, reader: Reading | None, counts: Counts) -> None:
        """Bytes, lines per second and the time left, on a terminal."""
        if not self._reading:
            self._reading = True
            self._say_if_slow()
        if not self._shows or reader is None or time.monotonic() - self._began < 0.5:
            return
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bar is None:
            from rich.console import Console

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(binary_units=True),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(file=sys.stderr, markup=False, highlight=False),
                transient=True,
            )
            self._bar.start()
        rate = f"{counts.lines / (time.monotonic() - self._began):,.0f} lines/s"
        if self._source is None or reader.source.name != self._source.source.name:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._source = reader
            name = printable(reader.source.name)[-40:]
            self._task = self._bar.add_task(name, total=reader.total_bytes, rate=rate)
        self._bar.update(self._task, completed=reader.read_bytes, rate=rate)

    def percent(self, share: float) -> None:
        """How much of one long thing is done, in per cent (below 0 if that is not known), on a terminal."""
        if not self._shows or time.monotonic() - self._began < 0.5:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

            console = Console(file=sys.stderr, markup=False, highlight=False)
            self._bar = Progress(
                BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), console=console, transient=True
            )
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        if share >= 0:
            self._bar.update(self._task, completed=share, total=100)

    def _say_if_slow(self) -> None:
        from logstats.kernels import library as kernels

        if not kernels.AVAILABLE:
            what = "of another version, and not used" if kernels.LIBRARY.exists() else "missing"
            self.warn(
                f"the part of logstats that is compiled is {what}: reading takes ten times as long",
                "install it again with a C compiler at hand, or from a wheel",
            )

    def done(self) -> None:
        """Erase the progress line."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    # -- words

    def say(self, text: str) -> None:
        """Print information."""
        if not self._quiet:
            self._write(text)

    def warn(self, text: str, hint: str = "") -> None:
        """Print a warning; `-q` silences it too."""
        if not self._quiet:
            self._write(text, hint)

    def missed(self, text: str) -> None:
        """A threshold or an objective that was missed, or had no data."""
        self.codes.add(ExitCode.MISSED)
        self._write(text)

    def alert(self, text: str) -> None:
        """An alert, or that somebody could not be told of it."""
        self._write(text)

    def error(self, error: LogstatsError) -> None:
        """Print an error, and what to do."""
        self._write(error.what if not isinstance(error, SourceError) else str(error), error.hint)

    def _write(self, text: str, hint: str = "") -> None:
        lines = text.split("\n")
        shown = "\n".join(printable(line) for line in lines)
        if hint:
            shown += (
                f"\n  {printable(hint)}" if len(lines) > 1 or len(shown) + len(hint) > 90 else f" ({printable(hint)})"
            )
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(f"logstats: {shown}"), soft_wrap=True)
        else:
            try:
                print(f"logstats: {shown}", file=sys.stderr, flush=True)
            except OSError:  # standard error is closed
                abandon(sys.stderr)

    def only_whole(self, counts: Counts, out: str | None) -> None:
        """Raise KeyboardInterrupt if reading was interrupted, before a file of some rows passes for one of all."""
        if counts.interrupted and out is not None:
            self.warn(f"interrupted: {out} is not written")
            raise KeyboardInterrupt

    def account(self, counts: Counts, *, said: bool) -> None:
        """Keep the exit codes of lines that were read; what a reader should know, unless the output has `said` it."""
        for caveat in [] if said else counts.caveats()[len(counts.notes) :]:  # the notes were said as they came
            self.warn(caveat)
        if counts.interrupted:
            self.codes.add(ExitCode.INTERRUPTED)
        if counts.rejected and not counts.read:
            self.codes.add(ExitCode.NOTHING_PARSED)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the run."""
        return gravest(self.codes)
