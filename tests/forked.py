"""The program in processes that are forks of one which has loaded it.

Starting Python and loading Polars takes longer than most runs do. A fork is a process like any other: it has streams, a
folder, an environment, a umask, signals and an exit code of its own, and costs its run only. How the program loads is
tested with processes that begin anew.

This file is also what a shell starts as `logstats`: it hands all of that to a fork, and ends as the fork does. So it
imports little.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_SERVE = "import sys; sys.path.insert(0, {tests!r}); import forked; forked._serve({address!r})"


class Fork:
    """A run: its process, from when the program's own code begins, and then its exit code."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: str,
        environment: Mapping[str, str],
        streams: Sequence[int],
        place: str | None = None,
    ) -> None:
        variables = (f"{name}={value}" for name, value in environment.items())
        os.umask(umask := os.umask(0o077))
        asked = socket.socket(socket.AF_UNIX)
        asked.connect(place or address())
        socket.send_fds(asked, [b"\n"], streams)
        asked.sendall(os.fsencode("\0".join([str(umask), folder, str(len(arguments)), *arguments, *variables])))
        asked.shutdown(socket.SHUT_WR)
        self._answer = asked.makefile("rb")
        asked.close()
        self.pid = int(self._answer.readline())

    def wait(self) -> int:
        """Its exit code; less than 0 for a signal."""
        with self._answer:
            return int(self._answer.readline())


@cache
def address() -> str:
    """Where the process listens that has loaded the program. It ends with the one that asks first."""
    import atexit
    import subprocess
    import tempfile

    folder = tempfile.TemporaryDirectory(prefix="logstats-forks-")
    place = f"{folder.name}/socket"
    code = _SERVE.format(tests=str(Path(__file__).parent), address=place)
    server = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout and server.stdout.read() == b"loaded"  # and has closed it

    def end() -> None:
        server.communicate()
        folder.cleanup()

    atexit.register(end)
    return place


def install(folder: Path) -> Path:
    """Put a `logstats` into a folder that runs in forks."""
    program = folder / "logstats"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {__file__} {address()} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


def _serve(address: str) -> None:
    """Load the program, and fork for whoever asks, until standard input is closed."""
    import gc
    import select
    import signal
    from contextlib import suppress
    from importlib import import_module
    from pkgutil import walk_packages

    import logstats
    from logstats import allocators

    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    allocators.configure()
    for module in walk_packages(logstats.__path__, "logstats."):
        with suppress(ImportError):  # of a library that is not installed; of the functions in C, which are no module
            import_module(module.name)
    gc.freeze()  # what is not looked at is not copied
    ended, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(ended, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    running: dict[int, socket.socket] = {}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        os.write(1, b"loaded")
        os.close(1)
        os.open(os.devnull, os.O_WRONLY)
        while True:
            ready, _, _ = select.select([0, listening.fileno(), ended], [], [])
            if 0 in ready:
                return
            if ended in ready:
                os.read(ended, 1 << 10)
            if listening.fileno() in ready:
                asking, _ = listening.accept()
                _, streams, _, _ = socket.recv_fds(asking, 1, 3)
                with asking.makefile("rb") as file:
                    words = os.fsdecode(file.read()).split("\0")
                process = os.fork()
                if not process:
                    for other in (listening, *running.values()):
                        other.close()
                    os.close(ended)
                    os.close(woken)
                    _run(asking, streams, words)
                running[process] = asking
                for stream in streams:
                    os.close(stream)
            while running and (found := os.waitpid(-1, os.WNOHANG))[0]:
                with running.pop(found[0]) as asked, suppress(OSError):  # who asked is gone
                    asked.sendall(b"%d\n" % os.waitstatus_to_exitcode(found[1]))


def _run(asking: socket.socket, streams: Sequence[int], words: Sequence[str]) -> None:
    """Be the process that was asked for."""
    import signal

    from logstats.__main__ import main

    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115
    end = 3 + int(words[2])
    os.umask(int(words[0]))
    os.chdir(words[1])
    sys.argv = ["logstats", *words[3:end]]
    os.environ.clear()
    os.environ.update(word.partition("=")[::2] for word in words[end:])
    asking.sendall(b"%d\n" % os.getpid())
    asking.close()
    try:
        main()
    except SystemExit as done:
        os._exit(done.code if isinstance(done.code, int) else 1)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(1)


if __name__ == "__main__":
    _code = Fork(sys.argv[2:], str(Path.cwd()), os.environ, (0, 1, 2), sys.argv[1]).wait()
    if _code < 0:
        os.kill(os.getpid(), -_code)
    sys.exit(_code)
