"""Standard output, or a file that is written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from logstats.critical import uninterrupted
from logstats.dataclass import dataclass
from logstats.errors import LogstatsError

if TYPE_CHECKING:
    from logstats.reports.clock import Clock
    from logstats.reports.document import Section


def abandon(stream: TextIO) -> None:
    """Discard what a stream still holds, without an error: its reader is gone, or its disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def destination(out: str | None, moment: datetime) -> Iterator[BinaryIO]:
    """Where bytes go. `out` may have strftime fields, which are those of `moment`. Raises LogstatsError.

    A file appears under its name when all is written; until then it is a hidden file beside it. A device or a named
    pipe is written to as it is.
    """
    if out is None:
        # Not sys.stdout.buffer: with PYTHONUNBUFFERED a signal cuts short what is written to it.
        with open(sys.stdout.fileno(), "wb", closefd=False) as stream:
            yield stream
        return
    path = Path(moment.strftime(out) if "%" in out else out)
    if path.exists() and not path.is_file():
        try:
            stream = path.open("wb")
        except OSError as error:
            raise LogstatsError(f"{path}: {(error.strerror or str(error)).lower()}", "--out takes a file") from None
        with stream:
            yield stream
        return
    target = path.resolve()  # what a symbolic link points to, not the link, is replaced
    temporary: str | None = None
    try:
        try:
            with uninterrupted():
                handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".tmp")
        except OSError as error:
            raise LogstatsError(
                f"{path}: {(error.strerror or str(error)).lower()}", "--out needs a folder that is there"
            ) from None
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(target)
    except OSError as error:
        raise LogstatsError(f"{path}: {(error.strerror or str(error)).lower()}", "nothing was written") from None
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()


def reachable(out: str | None, moment: datetime) -> None:
    """Raise LogstatsError if the folder of `--out` is not there: before anything is read, not after."""
    if out is None:
        return
    path = Path(moment.strftime(out) if "%" in out else out)
    if not path.resolve().parent.is_dir():
        raise LogstatsError(f"{path}: no such file or directory", "--out needs a folder that is there")


def show(text: bytes, *, pager: bool = True) -> None:
    """Write what is meant to be read to standard output; through a pager if it is a terminal with fewer lines.

    As git does it: `LOGSTATS_PAGER`, else `PAGER`, else `less`, which gets `LESS=FRX` if nothing says otherwise; an
    empty name or `cat` means none. Without `pager`, or where it cannot be started, the text is written as it is.
    """
    program = os.environ.get("LOGSTATS_PAGER", os.environ.get("PAGER", "less")).strip()
    rows = shutil.get_terminal_size((80, 0)).lines or sys.maxsize  # unknown height: no pager
    needed = pager and sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and text.count(b"\n") >= rows
    if needed and program not in ("", "cat") and _paged(program, text):
        return
    with destination(None, datetime.now(UTC)) as file:
        file.write(text)


def _paged(program: str, text: bytes) -> bool:
    """Show a text in a pager; whether that could be started."""
    environment = {"LESS": "FRX", "LV": "-c", **os.environ}
    before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the pager's
    try:
        done = subprocess.run(["/bin/sh", "-c", program], input=text, env=environment, check=False)
        return done.returncode not in (126, 127)  # the shell's word for "there is no such program"
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)


def deliver(text: bytes, out: str | None, moment: datetime, *, pager: bool) -> None:
    """Write a finished text to the file `out` (see `destination`), or to standard output, with `pager` by `show`."""
    if out is None and pager:
        show(text)
        return
    with destination(out, moment) as file:
        file.write(text)


@dataclass(frozen=True, slots=True)
class Screen:
    """The properties of the terminal, or of what takes its place."""

    width: int
    colour: bool
    encoding: str

    @property
    def unicode(self) -> bool:
        """Whether it has more characters than ASCII's."""
        return self.encoding.lower().replace("-", "") in ("utf8", "utf16", "utf32")


def screen(*, to_file: bool) -> Screen:
    """The screen for standard output."""
    return Screen(
        shutil.get_terminal_size((80, 24)).columns,
        not to_file and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
        "utf-8" if to_file else sys.stdout.encoding or "utf-8",
    )


def rendered(
    document: Sequence[Section], made: dict[str, Any], output: str, *, to_file: bool, clock: Clock | None = None
) -> bytes:
    """A document as `table`, `markdown` or, with a clock, `html`; or what it is about as `json`, ASCII only."""
    if output == "json":
        return (json.dumps(made, allow_nan=False) + "\n").encode()
    from logstats.reports.document import to_markdown, to_terminal

    if output == "markdown":
        return to_markdown(document).encode()
    if output == "html" and clock is not None:
        from logstats.reports.html.document import to_html

        return to_html(document[0].title, document, clock, None).encode("utf-8", "backslashreplace")
    shown_on = screen(to_file=to_file)
    text = to_terminal(document, width=shown_on.width, colour=shown_on.colour, unicode=shown_on.unicode)
    return text.encode(shown_on.encoding, "backslashreplace")
