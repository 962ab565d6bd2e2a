"""The entry point of `logstats` and `python -m logstats`.

Ctrl-C, SIGTERM and SIGHUP end the program at any time, also while it loads: by an exception, so that temporary files
are deleted, and without a traceback. Only the first of them raises, so that cleaning up is not interrupted.
"""

import os
import signal
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(BaseException):
    """Raised by SIGTERM and SIGHUP."""


def _heed_none() -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def main() -> None:
    """Load the command line and run it."""
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name in ("cb", "__del__"):
            os.kill(os.getpid(), number)  # Python drops what is raised in a finalizer (`cb`: importlib's): try again
            return
        _heed_none()
        stopped.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    try:
        for each in _SIGNALS:
            if signal.getsignal(each) != signal.SIG_IGN:  # nohup, or a job in the background
                signal.signal(each, stop)
        from logstats.cli.main import run

        try:
            run()
        finally:
            _heed_none()  # the program has finished; only Python has to end
    except BaseException as error:
        # Python and DuckDB turn an exception raised by a signal into other errors, so the signal is remembered here.
        if not stopped and not isinstance(error, KeyboardInterrupt):
            raise
        raise SystemExit(143 if stopped and stopped[0] != signal.SIGINT else 130) from None


if __name__ == "__main__":
    main()
