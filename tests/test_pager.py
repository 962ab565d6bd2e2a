"""A report that is taller than the terminal goes through a pager, as git's output does."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parent.parent / "sample_logs" / "combined.log"


def on_a_terminal(rows: int, *arguments: str, **environment: str) -> str:
    """What a terminal of so many rows and 80 columns shows when `logstats report` has ended."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
    command = [sys.executable, "-m", "logstats", "report", "-q", str(SAMPLE), *arguments]
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "PAGER")}
    environment = {**inherited, "TERM": "xterm", **environment}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # nobody holds the other end any more
                break
            if not data:
                break
            shown += data
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()


@pytest.mark.parametrize(
    ("rows", "arguments", "paged"),
    [(24, [], True), (200, [], False), (24, ["--no-pager"], False), (24, ["-o", "json"], False)],
)
def test_what_is_taller_than_the_terminal_is_paged(
    tmp_path: Path, rows: int, arguments: list[str], paged: bool
) -> None:
    seen = tmp_path / "seen"
    shown = on_a_terminal(rows, *arguments, LOGSTATS_PAGER=f"cat > '{seen}'")
    assert seen.exists() == paged
    text = seen.read_text(encoding="utf-8") if paged else shown
    assert "897 requests" in text or '"requests": 897' in text
    assert paged == (not shown)


def test_a_pager_that_is_not_there_is_none() -> None:
    assert "897 requests" in on_a_terminal(24, LOGSTATS_PAGER="no-such-program-at-all 2>/dev/null")
    assert "897 requests" in on_a_terminal(24, LOGSTATS_PAGER="")


def test_less_is_told_to_leave_the_text_and_to_show_colours() -> None:
    """`LESS=FRX`, where nothing else is set, is in what the pager sees."""
    shown = on_a_terminal(24, LOGSTATS_PAGER='cat >/dev/null; echo "LESS is $LESS"')
    assert "LESS is FRX" in shown or "LESS" in os.environ
