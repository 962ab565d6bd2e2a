"""The program: what `logstats` and `python -m logstats` start.

Ctrl-C, SIGTERM and SIGHUP end it at any instant, also while it loads: by an exception, so that temporary files go, and
without a traceback. Only the first of them raises; then cleaning up is left in peace.
"""

import os
import signal
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(BaseException):
    """SIGTERM, or SIGHUP."""


def _heed_none() -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    if frame is not None and frame.f_code.co_name in ("cb", "__del__"):
        os.kill(os.getpid(), number)  # Python drops what is raised in a finalizer (`cb` is importlib's): try again
        return
    _heed_none()
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _stopped(error: BaseException | None) -> BaseException | None:
    """The signal that an error comes from: Python wraps what is raised while it makes a class in a RuntimeError."""
    while error is not None and not isinstance(error, (Terminated, KeyboardInterrupt)):
        error = error.__cause__
    return error


def main() -> None:
    """Load the command line and run it."""
    try:
        for each in _SIGNALS:
            if signal.getsignal(each) != signal.SIG_IGN:  # nohup, or a job in the background
                signal.signal(each, _stop)
        from logstats.cli.main import run

        try:
            run()
        finally:
            _heed_none()  # it is over, and only Python has to end
    except BaseException as error:
        stopped = _stopped(error)
        if stopped is None:
            raise
        raise SystemExit(143 if isinstance(stopped, Terminated) else 130) from None


if __name__ == "__main__":
    main()
