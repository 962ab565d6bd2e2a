"""The program as a process: signals, pipes that are slow or break, streams that are closed or full.

Nothing sleeps: each step waits for what the one before it caused.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import logstats
from logstats.pipeline import Interrupt, Silence

LINE = b"2025-01-17 10:30:00 GET /api/bugs 200 125ms\n"


def start(*arguments: str, **more: Any) -> subprocess.Popen[bytes]:
    # Unbuffered, as in many containers: then a signal may cut a write short.
    environment = {**os.environ, "COLUMNS": "80", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen([sys.executable, "-m", "logstats", *arguments], env=environment, **streams)


def shell(command: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`command` runs the program as "$@"."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command, "bash", sys.executable, "-m", "logstats", *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "80", "PYTHONUTF8": "1"},
    )


def test_python_m() -> None:
    ran = shell('"$@"', "--version")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"logstats {logstats.__version__}\n".encode(), b"")


# ------------------------------------------------------------------ pipes


def test_a_row_shows_before_the_pipe_ends() -> None:
    with start("parse", "-q") as process:
        assert process.stdin and process.stdout
        for number in (1, 2, 3):
            process.stdin.write(LINE)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["line"] == number
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_head_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(LINE * 50_000)
    ran = shell('"$@" | head -1', "parse", "-q", str(tmp_path / "a.log"))
    assert (ran.returncode, ran.stdout.count(b"\n"), ran.stderr) == (0, 1, b"")


@pytest.mark.parametrize("arguments", [["report", "-q", "-o", "json"], ["report", "--schema"], ["--help"]])
def test_nobody_reads_at_all(arguments: list[str]) -> None:
    with start(*arguments) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        process.stdin.write(LINE)
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [["report", "-q"], ["parse", "-q"], ["report", "--schema"], ["--help"]])
def test_a_full_disk_is_said(arguments: list[str]) -> None:
    ran = shell('"$@" > /dev/full', *arguments, stdin=LINE)
    assert ran.returncode == 1
    assert ran.stderr == b"logstats: no space left on device (make room for it)\n"


def test_standard_error_that_is_full_stops_nothing() -> None:
    ran = shell('"$@" 2> /dev/full', "report", "-o", "json", stdin=LINE)
    assert (ran.returncode, json.loads(ran.stdout)["requests"]) == (0, 1)


@pytest.mark.parametrize(
    ("closed", "code"), [("<&-", 1), (">&-", 1), ("2>&-", 0), ("<&- >&- 2>&-", 1), ("2>&- none.log", 1)]
)
def test_streams_that_are_closed(closed: str, code: int) -> None:
    ran = shell(f'"$@" {closed}', "report", "-", stdin=LINE)
    assert ran.returncode == code
    assert b"Traceback" not in ran.stderr and b"Error" not in ran.stderr
    said = {"<&-": b"-: standard input is closed", ">&-": b"standard output is closed"}.get(closed, b"")
    assert said in ran.stderr


def test_out_is_a_named_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with start("report", "-q", "-o", "json", "--out", str(fifo)) as process:
        assert process.stdin
        process.stdin.write(LINE)
        process.stdin.close()
        assert json.loads(fifo.read_bytes())["requests"] == 1
    assert process.returncode == 0
    assert fifo.is_fifo()


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v is of Linux")
@pytest.mark.parametrize("limit", [300_000, 600_000])
def test_too_little_memory_is_one_sentence(limit: int) -> None:
    ran = shell(f'ulimit -v {limit}; "$@"', "report", "-q", "-", stdin=LINE)
    assert ran.returncode == 1
    assert ran.stderr.count(b"\n") == 1 and b"of address space are too few" in ran.stderr


@pytest.mark.parametrize("error", ['MemoryError("x")', 'RuntimeError("can\'t start new thread")'])
def test_memory_that_runs_out_is_one_sentence(error: str) -> None:
    code = (
        "import logstats.api\n"
        f"def fail(*_, **__): raise {error}\n"
        "logstats.api.report = fail\n"
        "from logstats.__main__ import main; import sys; sys.argv[1:] = ['report', '-']; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=LINE, capture_output=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr.startswith(b"logstats: there is not enough memory (raise") and ran.stderr.count(b"\n") == 1


# ------------------------------------------------------------------ Ctrl-C


def test_ctrl_c_on_a_slow_pipe_reports_what_came() -> None:
    """What is said of the format shows that the lines have arrived; half a line is left."""
    with start("report", "-", "-o", "json") as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(LINE * 3 + LINE[:20])
        process.stdin.flush()
        assert process.stderr.readline() == b"logstats: -: format app\n"
        process.send_signal(signal.SIGINT)
        report = json.loads(process.stdout.read())
        assert process.stderr.read() == b""
    assert process.returncode == 130
    assert (report["lines"], report["requests"], report["rejected"], report["interrupted"]) == (3, 3, 0, True)


def test_ctrl_c_before_anything_came(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with start("report", str(fifo)) as process:
        assert process.stdout and process.stderr
        with fifo.open("wb"):  # waits for the reader
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == b"interrupted before the first line\n"
        assert process.stderr.read() == b""
    assert process.returncode == 130


def test_ctrl_c_beats_every_other_exit_code(tmp_path: Path) -> None:
    """A missing file (1), a rejected line and --strict (4), and 130."""
    with start("report", "none.log", "-", "--strict") as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(LINE * 100 + b"what is this\n")
        process.stdin.flush()
        assert b"none.log: there is no such file" in process.stderr.readline()
        assert b"format app" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert b"1 rejected" in process.stdout.read()
    assert process.returncode == 130


def test_ctrl_c_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """Rows that have begun to come are whole, without a gap, and not all: it cannot have ended, since nobody read."""
    (tmp_path / "a.log").write_bytes((LINE + b"#" * 2_000 + b"\n") * 30_000)
    with start("parse", str(tmp_path / "a.log")) as process:
        assert process.stdout and process.stderr
        rows = [process.stdout.readline()]
        process.send_signal(signal.SIGINT)
        rows += process.stdout.readlines()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 130
    assert [json.loads(row)["line"] for row in rows] == list(range(1, 2 * len(rows), 2))
    assert len(rows) < 30_000


class InterruptedAt(Silence):
    """Presses Ctrl-C, as often as told, when so many chunks have been read."""

    def __init__(self, chunk: int, times: int = 1) -> None:
        self.left, self.times = chunk, times

    def progress(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            for _time in range(self.times):
                signal.raise_signal(signal.SIGINT)


def test_what_was_read_until_ctrl_c_is_counted_whole(tmp_path: Path, chunks_of: Callable[[int], None]) -> None:
    """Every line carries its number in its size: the sum tells whether exactly the first ones were counted."""
    chunks_of(1 << 20)
    path = tmp_path / "a.log"
    path.write_bytes(
        b"".join(b"2025-01-17 10:30:00 GET /api/bugs/%d 200 125ms bytes=%d\n" % (i, i) for i in range(400_000))
    )
    with Interrupt() as interrupt:
        report = logstats.report([path, tmp_path / "a.log"], listener=InterruptedAt(2), interrupt=interrupt)
    assert report.interrupted
    assert 0 < report.lines == report.requests < 400_000
    assert report.bytes == report.lines * (report.lines - 1) // 2
    assert [s.lines for s in report.sources] == [report.lines]


def test_the_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(LINE)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        logstats.report([path], listener=InterruptedAt(1, times=2), interrupt=interrupt)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_is_pythons_own_without_an_interrupt(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(LINE)
    with pytest.raises(KeyboardInterrupt):
        logstats.report([path], listener=InterruptedAt(1))


def test_ctrl_c_while_the_program_loads_is_quiet() -> None:
    code = """
import os, signal, sys
class AtTyper:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, AtTyper())
from logstats.__main__ import main
main()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, b"", b"")


# ------------------------------------------------------------------ the shell


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_completion_installs(tmp_path: Path) -> None:
    """Typer asks which shell it was started by."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    command = f"{shlex.join([sys.executable, '-m', 'logstats'])} --install-completion; exit $?"
    ran = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / ".bashrc").exists()
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_LOGSTATS_COMPLETE" in text for text in written)


def completed(words: str, complete: Callable[[str], dict[str, str]]) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-m", "logstats"], env={**os.environ, **complete(words)}, capture_output=True, timeout=60
    )
    return ran.stdout.decode().split("\n")


def test_bash_completes_commands_and_options() -> None:
    def bash(words: str) -> dict[str, str]:
        return {
            "_LOGSTATS_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }

    assert "report" in completed("logstats rep", bash)
    assert "--percentiles" in completed("logstats report --perc", bash)
