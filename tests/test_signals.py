"""Ctrl-C, SIGTERM and SIGHUP at any instant: an exit code, no traceback, nothing half-written, nothing left over."""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import archives
import pytest
from forked import Fork
from rounds import seeds

SAMPLES = Path(__file__).parent.parent / "sample_logs"
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# The instant is counted from when the program's own code begins: before that it is Python's own start-up.
BEGUN = "import os; from logstats.__main__ import main; os.write({0}, b'x'); os.close({0}); main()"
WHOLE = ("rows.jsonl", "diff.txt")
COMMANDS = {
    "report": ["report", "{logs}", "--out", "{out}/report.json", "-o", "json"],
    "page": ["report", "{logs}", "--out", "{out}/report.html", "-o", "html"],
    "pipe": ["report", "-", "-o", "json", "--out", "{out}/pipe.json"],
    "parse": ["parse", "{logs}", "--out", "{out}/rows.jsonl"],
    "parquet": ["parse", "{logs}", "-o", "parquet", "--out", "{out}/rows.parquet"],
    "slo": ["slo", "--policy", "{samples}/slo.toml", "{logs}", "--out", "{out}/slo.txt"],
    "diff": ["diff", "{samples}/combined.log", "{samples}/combined_us.log", "--out", "{out}/diff.txt"],
    "add": ["archive", "add", "{logs}", "--archive", "{archive}"],
    "tier": ["archive", "tier", "--archive", "{archive}"],
    "verify": ["archive", "verify", "--archive", "{made}/archive"],
    "query": [
        "query",
        "SELECT * FROM logs ORDER BY path",
        "--archive",
        "{archive}",
        "--out",
        "{out}/q.csv",
        "-o",
        "csv",
    ],
    "detect": ["formats", "detect", "{samples}/combined.log"],
    "help": ["report", "--help"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of some chunks, and an archive of it."""
    folder = tmp_path_factory.mktemp("signals")
    text = (SAMPLES / "combined_us.log").read_bytes()
    (folder / "a.log").write_bytes(text * 20)
    archives.make(folder / "archive", [SAMPLES / "combined_us.log"])
    for name in ("parse", "diff"):
        places = {"logs": folder / "a.log", "out": folder, "samples": SAMPLES}
        subprocess.run(
            [sys.executable, "-m", "logstats", *(word.format(**places) for word in COMMANDS[name]), "-q"], check=True
        )
    return folder


@pytest.mark.parametrize("part", seeds(8))
def test_random_signals(made: Path, tmp_path: Path, part: int) -> None:
    """25 of 200: any command, any of the signals, anywhere within a second of its beginning. In a quarter of them the
    program begins anew, so that signals come while it loads; the others are forks of one that has loaded, where they
    come while it works."""
    draw = random.Random(f"signals {part}")
    for number in range(25):
        name = draw.choice(list(COMMANDS))
        folder = tmp_path / str(number)
        (folder / "out").mkdir(parents=True)
        (folder / "tmp").mkdir()
        shutil.copytree(made / "archive", folder / "archive")
        places = {
            "made": made,
            "logs": made / "a.log",
            "out": folder / "out",
            "samples": SAMPLES,
            "archive": folder / "archive",
        }
        arguments = [word.format(**places) for word in COMMANDS[name]]
        run = anew if number % 4 == 0 else forked
        sent = draw.choice(NUMBERS)
        code, said = run(arguments, made / "a.log", folder / "tmp", sent, draw.random() ** 2)
        case = f"{run.__name__} {name} {sent!r} {code} {said!r}"
        # Before the program's first lines have run, it is the system that ends it, or Python.
        assert b"Traceback" not in said or (code == -sent and b"logstats" not in said), case
        assert code in (0, 143 if sent != signal.SIGINT else 130, -sent), case
        assert not [path for path in folder.rglob("*") if path.name.endswith(".tmp")], case
        assert not list((folder / "tmp").iterdir()), case
        for path in (folder / "out").iterdir():
            assert code != 143 or path.stat().st_size, case
            if path.suffix == ".json":
                assert json.loads(path.read_text())["schema_version"] == 1, case
            if path.name in WHOLE:  # a signal may come after the file: then it is all of it
                assert path.read_bytes() == (made / path.name).read_bytes(), case
        shutil.rmtree(folder)


def anew(arguments: list[str], stdin: Path, tmp: Path, number: int, seconds: float) -> tuple[int, bytes]:
    """Start the program and send it a signal so many seconds after it began: its exit code and standard error."""
    ours, theirs = os.pipe()
    with stdin.open("rb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", BEGUN.format(theirs), *arguments],
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(tmp),
            pass_fds=(theirs,),
        )
    os.close(theirs)
    assert process.stderr is not None
    assert os.read(ours, 1) == b"x"
    os.close(ours)
    with process.stderr:
        # It may say something first; that is as good an instant.
        select.select([process.stderr], [], [], seconds)
        process.send_signal(number)
        said = process.stderr.read()
    return process.wait(60), said


def forked(arguments: list[str], stdin: Path, tmp: Path, number: int, seconds: float) -> tuple[int, bytes]:
    """The same to a fork."""
    ours, theirs = os.pipe()
    with stdin.open("rb") as file, Path(os.devnull).open("wb") as nowhere, os.fdopen(ours, "rb") as stderr:
        streams = (file.fileno(), nowhere.fileno(), theirs)
        process = Fork(arguments, str(tmp), environment(tmp), streams)
        os.close(theirs)
        select.select([stderr], [], [], seconds)
        with suppress(ProcessLookupError):  # it has ended
            os.kill(process.pid, number)
        said = stderr.read()
    return process.wait(), said


def environment(tmp: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(tmp), "COLUMNS": "80"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_pipe_that_says_nothing_is_left(tmp_path: Path, number: int) -> None:
    ours, theirs = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "logstats", "report", "-"], stdin=ours, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.write(theirs, b"2025-01-17 10:30:00 GET /api/bugs 200 125ms\n" * 3)
        assert process.stderr is not None and process.stdout is not None
        assert process.stderr.readline() == b"logstats: -: format app\n"
        process.send_signal(number)
        assert process.wait(60) == 143
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
    os.close(ours)
    os.close(theirs)


def test_nohup_is_heeded(tmp_path: Path) -> None:
    """A signal that is ignored when the program starts stays so."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "logstats", "report", "-q", str(fifo)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with fifo.open("wb") as file:
            process.send_signal(signal.SIGHUP)
            file.write(b"2025-01-17 10:30:00 GET /api/bugs 200 125ms\n")
        assert b"1 request" in process.stdout.read()
    assert process.returncode == 0


LATE = """
import sys, types
import logstats.__main__ as program

class Finalized:
    def __init__(self, error):
        self.error = error

    def __del__(self):
        raise self.error

def run():
    Finalized(OSError("before"))
    program._heed_none()
    Finalized(OSError("Signal 2 ignored due to race condition"))
    Finalized(OSError(5, "after"))

sys.modules["logstats.cli.main"] = types.SimpleNamespace(run=run)
program.main()
"""


def test_a_signal_while_signals_begin_to_be_ignored_is_not_spoken_of() -> None:
    """Python says of it what is said here (CPython, `_PyErr_CheckSignalsTstate`), with a traceback."""
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "before" in done.stderr and "after" in done.stderr
    assert "Signal" not in done.stderr


LOST = """
import os, signal, sys, types
import logstats.__main__ as program

def run():
    raise SystemError({0!r})

sys.modules["logstats.cli.main"] = types.SimpleNamespace(run=run)
program.main()
"""


def test_a_signal_that_python_loses_is_one() -> None:
    """Seen once in some hundreds of signals: CPython 3.11, ceval.c, at its label `error`."""
    lost = "error return without exception set"
    done = subprocess.run([sys.executable, "-c", LOST.format(lost)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")
    other = subprocess.run([sys.executable, "-c", LOST.format("other")], capture_output=True, text=True, timeout=60)
    assert other.returncode == 1 and "SystemError: other" in other.stderr


CALLED = """
import ctypes, os, signal, sys, time, types
import logstats.__main__ as program

def once(frame, known=program._is_within):
    program._is_within = known
    raise SystemError("a method returned a result with an exception set")

def run():
    program._is_within = once
    ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), {0}))()
    time.sleep(60)

sys.modules["logstats.cli.main"] = types.SimpleNamespace(run=run)
program.main()
"""


WITHIN = """
import os, sys, types
import logstats.__main__ as program

source = "os.kill(os.getpid(), {0}); came.append(1)"
came = []
library = compile(source, os.path.join(os.sep, "lib", "polars", "series.py"), "exec")

def run():
    exec(library)
    assert came
    while True:
        came.append(1)

sys.modules["logstats.cli.main"] = types.SimpleNamespace(run=run)
program.main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("program", [pytest.param(CALLED, id="callback"), pytest.param(WITHIN, id="library")])
def test_a_signal_ends_the_program_wherever_python_was_called(program: str, number: signal.Signals, code: int) -> None:
    """CPython 3.11 drops what callbacks raise: seen once in some thousands, as memory of Arrow was released. And Polars
    panics if the Python that it calls raises: seen as it asked for NumPy's version."""
    done = subprocess.run(
        [sys.executable, "-c", program.format(number.value)], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (code, "")
