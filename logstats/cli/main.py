"""The program: its commands, and how errors end it."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Iterator, MutableMapping
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from logstats import __version__
from logstats.cli import config
from logstats.cli.messages import Messages
from logstats.cli.output import abandon
from logstats.errors import ExitCode, LogstatsError, UsageError

# Each command by the module in `cli/` that has it, and its name there: a function, or a group of commands (Typer).
COMMANDS: Final = {
    "report": ("report", "report"),
    "watch": ("watch", "watch"),
    "serve": ("serve", "serve"),
    "parse": ("parse", "parse"),
    "search": ("search", "search"),
    "sessions": ("sessions", "sessions"),
    "scan": ("scan", "scan"),
    "limits": ("limits", "limits"),
    "slo": ("slo", "slo"),
    "diff": ("diff", "diff"),
    "merge": ("merge", "merge"),
    "archive": ("archive", "app"),
    "query": ("query", "query"),
    "formats": ("formats", "app"),
    "config": ("config", "config"),
    "help": ("help", "help_"),
}


@cache
def _command(name: str) -> Any:
    module, attribute = COMMANDS[name]
    found = getattr(import_module(f"logstats.cli.{module}"), attribute)
    alone = typer.Typer(add_completion=False)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return typer.main.get_group(alone).commands[name]


class Commands(MutableMapping[str, Any]):
    """The commands of the program by name. A command is imported, and its options read, when it is first looked up:
    running one command costs nothing of the others."""

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __getitem__(self, name: str) -> Any:
        return _command(name)

    def __setitem__(self, name: str, command: Any) -> None:
        raise TypeError("commands are named in COMMANDS")

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands are named in COMMANDS")


class Program(TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = Commands()


app = typer.Typer(
    name="logstats",
    cls=Program,
    help="Ask an access log a question: status codes, latency percentiles, slowest endpoints, unique users.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"logstats {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Ask an access log a question: status codes, latency percentiles, slowest endpoints, unique users."""
    if context.invoked_subcommand != "help":  # which is there when the configuration is wrong, too
        context.default_map = config.load(context.command).tree()


def run() -> None:
    """Run the program. Whatever a user can cause ends in words and an exit code, never in a traceback."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's linear algebra is not used; it would start threads
    # Standard streams that are closed: open their descriptors, so that no other file gets them. What is
    # written to standard output then fails, and `inputs` says that there is no standard input.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDONLY if name == "stdout" else os.O_RDWR)
            if name != "stdin":
                setattr(sys, name, os.fdopen(handle, mode))
    try:
        code = app(prog_name="logstats", standalone_mode=False)
        sys.stdout.flush()
    except LogstatsError as error:
        Messages().error(error)
        code = error.exit_code
    except SystemExit as exit:  # so Typer ends when a pipe breaks
        if not isinstance(exit.__context__, BrokenPipeError):
            raise
        abandon(sys.stdout)  # the reader has closed the pipe
        code = ExitCode.DONE
    except OSError as error:
        abandon(sys.stdout)
        where = f"{error.filename}: " if error.filename else ""
        if error.errno == errno.EBADF and not where:
            error = OSError("standard output is closed")
        hint = "make room for it" if error.errno == errno.ENOSPC else ""
        Messages().error(LogstatsError(where + (error.strerror or str(error)).lower(), hint))
        code = ExitCode.FAILED
    except typer.Abort:
        code = ExitCode.INTERRUPTED
    except BaseException as error:
        if not _is_want_of_memory(error):
            if not isinstance(error, Exception):
                raise
            code = _usage(error)
        else:
            Messages().error(
                LogstatsError("there is not enough memory", "raise the limit (ulimit -v, the container's)")
            )
            code = ExitCode.FAILED
    gc.freeze()  # skips the search for garbage at exit
    sys.exit(int(code or 0))


def _is_want_of_memory(error: BaseException) -> bool:
    """Python and NumPy raise MemoryError; threads without room for their stacks, and Rust, have words of their own."""
    if isinstance(error, MemoryError):
        return True
    words = str(error)
    if type(error).__name__ == "PanicException":
        return "could not spawn" in words or "memory allocation" in words
    return isinstance(error, RuntimeError) and "can't start new thread" in words


def _usage(error: Exception) -> int:
    """Print Typer's errors like our own; anything else is a bug and keeps its traceback."""
    code, context = getattr(error, "exit_code", None), getattr(error, "ctx", None)
    if code is None or not hasattr(error, "format_message"):
        raise error
    if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command is asked what it can do
        error.show()  # type: ignore[attr-defined]
        return int(code)
    words = error.format_message().rstrip(".").replace("is not a valid int range", "is not a whole number")
    below = getattr(getattr(context, "command", None), "commands", {})
    hint = f"{context.command_path if context else 'logstats'} --help" + (
        f"; its commands are {', '.join(below)}" if below else ""
    )
    Messages().error(UsageError(words[:1].lower() + words[1:], hint))
    return int(code)
