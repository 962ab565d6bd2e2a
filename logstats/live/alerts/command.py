"""A command that is run for each change of an alert, with the alert as JSON on its standard input."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from threading import Event
from typing import Final

from logstats.dataclass import dataclass

SECONDS: Final = 30.0  # that it may take
_LOOK: Final = 0.1  # seconds between two looks at whether it has ended
_KEPT: Final = 300  # bytes of what it said last on standard error


@dataclass(frozen=True, slots=True)
class Command:
    """`text` is given to the shell. Nothing of a log is in it: that comes on standard input alone."""

    text: str
    seconds: float = SECONDS

    @property
    def name(self) -> str:
        """As it is called in messages."""
        return "--exec"

    def send(self, body: bytes, stop: Event) -> str:
        """Run it to its end, of the time it may take, or until `stop`: "", or what went wrong."""
        with tempfile.TemporaryFile() as given:  # which, other than a pipe, waits for no reader
            given.write(body + b"\n")  # a line, as `read` of the shell wants it
            given.seek(0)
            try:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", self.text],
                    stdin=given,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                return f"it could not be started: {error.strerror}"
        assert process.stderr is not None
        with process.stderr:
            said, ended = self._wait(process, process.stderr.fileno(), stop)
        if not ended:
            return "it was ended, because logstats ends" if stop.is_set() else f"it was killed after {self.seconds:g} s"
        if process.returncode == 0:
            return ""
        how = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        last = said.decode("utf-8", "backslashreplace").strip().splitlines()[-1:]
        return ": ".join([how, *last])

    def _wait(self, process: subprocess.Popen[bytes], errors: int, stop: Event) -> tuple[bytes, bool]:
        """(what it said last, whether it has ended by itself). What it says is read, so that it waits for nobody."""
        end, said, open_ = time.monotonic() + self.seconds, b"", True
        while True:
            if open_ and select.select([errors], [], [], _LOOK)[0]:
                read = os.read(errors, 1 << 16)
                said, open_ = (said + read)[-_KEPT:], bool(read)
            elif not open_:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK)
            if process.poll() is not None:
                return said, True
            if stop.is_set() or time.monotonic() >= end:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started
                process.wait()
                return said, False
