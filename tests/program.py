"""Runs the program in this process, as a process of its own would: arguments, file descriptors, folder, exit code.

Starting Python and loading Polars takes longer than most cases do. What is about processes (signals, pipes that break,
terminals, `python -m`) is tested with real ones.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from unittest import mock

from logstats.cli.main import run


@dataclass(frozen=True)
class Ran:
    """What a run came to; the names are those of subprocess.CompletedProcess."""

    returncode: int
    stdout: bytes
    stderr: bytes


def invoke(
    *arguments: str,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    alone: bool = False,
    together: bool = False,
) -> Ran:
    """Run `logstats` with these arguments.

    `alone`: with nothing in the environment but `env`. `together`: what goes to standard error is on standard output,
    as with `2>&1`.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(stdin)
        files[0].seek(0)
        if cwd is not None:
            stack.callback(os.chdir, Path.cwd())
            os.chdir(cwd)
        environment = {"COLUMNS": "80", "NO_COLOR": "", "LOGSTATS_ARCHIVE": "", **(env or {})}
        stack.enter_context(mock.patch.dict(os.environ, (env or {}) if alone else environment, clear=alone))
        stack.enter_context(mock.patch.object(sys, "argv", ["logstats", *arguments]))
        stack.enter_context(_descriptors([*files[:2], files[1]] if together else files))
        code: object = None
        try:
            run()
        except SystemExit as exit:
            code = exit.code
        sys.stdout.flush()
        sys.stderr.flush()
        for file in files:
            file.seek(0)
        assert isinstance(code, int), "the program ends by sys.exit"
        return Ran(code, files[1].read(), files[2].read())


@contextmanager
def _descriptors(files: list[BinaryIO]) -> Iterator[None]:
    """Put files in place of the three standard streams."""
    streams = ("stdin", "stdout", "stderr")
    for name in streams[1:]:
        getattr(sys, name).flush()
    kept = [os.dup(number) for number in range(3)]
    try:
        with ExitStack() as stack:
            for number, (name, file) in enumerate(zip(streams, files, strict=True)):
                os.dup2(file.fileno(), number)
                raw = io.FileIO(number, "w" if number else "r", closefd=False)
                buffered = io.BufferedWriter(raw) if number else io.BufferedReader(raw)
                text = io.TextIOWrapper(buffered, encoding="utf-8", write_through=bool(number))
                stack.enter_context(mock.patch.object(sys, name, text))
            yield
    finally:
        for number, descriptor in enumerate(kept):
            os.dup2(descriptor, number)
            os.close(descriptor)
