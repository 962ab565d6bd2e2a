"""The entry point of `logstats` and `python -m logstats`.

Ctrl-C, SIGTERM and SIGHUP end the program at any time, also while it loads: by an exception, so that temporary files
are deleted, and without a traceback. Only the first of them raises, so that cleaning up is not interrupted.
"""

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

# CPython 3.11 says so, and drops what a handler of signals raised, if the signal came where a frame begins.
_LOST = "error return without exception set"
_OURS = os.path.dirname(__file__) + os.sep  # noqa: PTH120  # pathlib takes longer to load
_LIBRARIES = tuple(f"{os.sep}{name}{os.sep}" for name in ("polars", "numpy"))
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(BaseException):
    """Raised by SIGTERM and SIGHUP."""


def _spare(_phase: str, _info: dict[str, int]) -> None:
    """Leave out what is there when garbage is first looked for: it was imported, and stays."""
    gc.callbacks.remove(_spare)
    gc.freeze()


def _heed_none() -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def _is_within(frame: FrameType | None) -> bool:
    """Whether a module is being imported, or a library in Rust may have called the Python that runs: at an exception
    there it panics."""
    called = True
    while frame is not None:
        file = frame.f_code.co_filename
        called = called and not file.startswith(_OURS)
        if file.startswith("<frozen importlib") or (called and any(name in file for name in _LIBRARIES)):
            return True
        frame = frame.f_back
    return False


def _soon(handler: Callable[[int, FrameType | None], None]) -> None:
    """Call a handler in a moment, as if a signal had come only then."""
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.005)


def _end(done: SystemExit) -> None:
    """End the process once everything that wants to be told has been told. Python would then take apart each module and
    each object, which takes as long as reading some thousand lines, and the system frees all of it anyway."""
    if not isinstance(done.code, int):
        return
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except Exception:
        return  # Python ends it, and says what is wrong
    os._exit(done.code)


def main() -> None:
    """Load the command line and run it."""
    came: list[int] = []
    stopped: list[int] = []
    waiting: list[int] = []  # a signal that came while a module was loading, or within a library

    def stop(number: int, frame: FrameType | None) -> None:
        came[:] = [number]
        if _is_within(frame) and hasattr(signal, "setitimer"):  # a library might panic, or make something else of it
            waiting[:] = [number]
            _soon(lambda _, later: stop(number, later))
            return
        _heed_none()
        stopped[:] = [number]
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    def unraisable(dropped: "sys.UnraisableHookArgs") -> None:
        """What is raised in finalizers, and in some callbacks, Python drops: then it is raised once more.

        A signal that comes while `_heed_none` is at work, Python reports as an OSError without a number; one that comes
        where a callback begins, CPython 3.11 hands to `stop` with an error set, at which that fails.
        """
        error = dropped.exc_value
        if isinstance(error, OSError) and error.errno is None and signal.getsignal(_SIGNALS[0]) == signal.SIG_IGN:
            return
        failed = bool(came) and isinstance(error, SystemError)
        if not stopped and not failed:
            sys.__unraisablehook__(dropped)
        elif (failed or isinstance(error, KeyboardInterrupt | Terminated)) and hasattr(signal, "setitimer"):
            _soon(lambda _, later: stop((stopped or came)[0], later))

    sys.unraisablehook = unraisable
    try:
        for each in _SIGNALS:
            if signal.getsignal(each) != signal.SIG_IGN:  # nohup, or a job in the background
                signal.signal(each, stop)
        # Importing makes many objects and no garbage: looking for it takes a tenth of the start. A small report ends
        # before there are as many; later, all of them are left out, which took 20 ms with every thread waiting.
        gc.set_threshold(100_000)
        gc.callbacks.append(_spare)
        from logstats.cli.main import run

        if waiting:
            stop(waiting[0], None)
        try:
            run()
        finally:
            _heed_none()  # the program has finished; only Python has to end
    except BaseException as error:
        # Python and DuckDB turn an exception raised by a signal into other errors, so the signal is remembered here.
        if not stopped and isinstance(error, SystemError) and str(error) == _LOST:
            stopped[:] = came or [signal.SIGINT]
        if not stopped and not isinstance(error, KeyboardInterrupt):
            if isinstance(error, SystemExit) and sys.getprofile() is None and sys.gettrace() is None:
                _end(error)
            raise
        ended = SystemExit(143 if stopped and stopped[0] != signal.SIGINT else 130)
        _end(ended)  # a thread of DuckDB that wants Python while Python is taken apart aborts the process
        raise ended from None


if __name__ == "__main__":
    main()
