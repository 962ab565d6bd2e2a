"""`logstats help`."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer

from logstats.cli import options as shared
from logstats.cli.output import destination, screen, show
from logstats.errors import ExitCode

OUTPUTS = ("table", "markdown", "man")


def _topics(incomplete: str) -> list[str]:
    from logstats.manual.topics import names

    return [name for name in names() if name.startswith(incomplete)]


@shared.command()
def help_(
    context: typer.Context,
    topic: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOPIC]", help="A topic, or a command.", show_default=False, autocompletion=_topics),
    ] = None,
    output: Annotated[str, shared.output_option(*OUTPUTS)] = "table",
    out: shared.Out = None,
) -> int:
    """The manual: a topic, such as formats, archive or json, or a command. Without one, all topics.

    `-o markdown` gives the page as it is written, `-o man` the whole of logstats(1).
    """
    from datetime import UTC, datetime

    from logstats import __version__
    from logstats.manual import man_page, markdown, terminal, topics

    program = context.find_root().command
    words = topic or []
    if " ".join(words) not in topics.names() and words and words[0] in getattr(program, "commands", {}):
        program.main([*words, "--help"], prog_name="logstats", standalone_mode=False)
        return int(ExitCode.DONE)
    if output == "man":
        text = man_page.render(program, __version__)
    elif words:
        text = topics.page(" ".join(words), program)
    else:
        rows = "\n".join(f"| `{name}` | {title} |" for name, title in topics.titles().items())
        text = f"# Topics\n\n| topic | what it is about |\n| --- | --- |\n{rows}\n\n`logstats help TOPIC` shows one.\n"
    if output == "table":
        shown_on = screen(to_file=out is not None)
        width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80
        text = terminal.render(markdown.blocks(text), width=width, colour=shown_on.colour)
        encoded = text.encode(shown_on.encoding, "backslashreplace")
        if out is None:
            show(encoded)
            return int(ExitCode.DONE)
    with destination(out, datetime.now(UTC)) as file:
        file.write(text.encode("utf-8"))
    return int(ExitCode.DONE)
