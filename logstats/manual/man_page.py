"""logstats(1), in roff's man macros: the commands and options, and the pages that a manual page is expected to have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from logstats.manual import topics
from logstats.manual.markdown import Block, Bullets, Code, Heading, Paragraph, Table, blocks, spans
from logstats.manual.reference import first_paragraph, options

_WHOLE = ("expressions", "times", "configuration", "exit-codes")  # topics that stand in it as they are


def render(program: Any, version: str) -> str:
    """The page. `program` is the command line as Typer makes it."""
    listed = "\n".join(f"- `logstats help {name}`: {title}" for name, title in topics.titles().items())
    pages = "\n\n".join(topics.page(name, program) for name in _WHOLE)
    text = f"""
# Name

logstats - {program.help[0].lower()}{first_paragraph(program.help)[1:].rstrip(".")}

# Synopsis

`logstats` COMMAND [OPTIONS] [ARGUMENTS]

# Description

{topics.source("reading").split("## ", 1)[0].partition(chr(10))[2]}

# Commands

{options(program)}

{pages}

# Topics

{listed}
"""
    head = f'.TH LOGSTATS 1 "" "logstats {version}" "User Commands"\n'
    return head + "\n".join(line for block in blocks(text) for line in _block(block)) + "\n"


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        title = _text(block.text)
        yield f'.SH "{title.upper()}"' if block.level == 1 else f'.SS "{title}"'
    elif isinstance(block, Paragraph):
        yield ".PP"
        yield _line(block.text)
    elif isinstance(block, Bullets):
        for item in block.items:
            yield ".IP \\(bu 2"
            yield _line(item)
    elif isinstance(block, Code):
        yield from (".PP", ".RS 4", ".EX")
        yield from (_guarded(_escaped(line)) for line in block.lines)
        yield from (".EE", ".RE")
    elif isinstance(block, Table):
        for row in block.rows:
            yield ".TP"
            yield _line(row[0])
            yield _line("; ".join(row[1:]) if len(row) == 2 else _named(block.head, row))
    else:
        raise TypeError(block)


def _named(head: tuple[str, ...], row: tuple[str, ...]) -> str:
    return "; ".join(f"{name}: {cell}" for name, cell in zip(head[1:], row[1:], strict=True))


def _line(text: str) -> str:
    return _guarded(_text(text))


def _text(text: str) -> str:
    return "".join(
        (f"\\fB{_escaped(span.text)}\\fR" if span.style else _escaped(span.text))
        + (f" <{_escaped(span.link)}>" if span.link else "")
        for span in spans(text)
    )


_ESCAPES: Mapping[str, str] = {
    "\\": "\\e",
    "-": "\\-",
    "'": "\\(aq",
    "`": "\\(ga",
    "^": "\\(ha",
    "~": "\\(ti",
    '"': "\\(dq",
}


def _escaped(text: str) -> str:
    """Characters that mean something to roff, and those beyond ASCII, by their names."""
    return "".join(_ESCAPES.get(each, each if each.isascii() else f"\\[u{ord(each):04X}]") for each in text)


def _guarded(line: str) -> str:
    """A line that begins with a control character would be a request."""
    return f"\\&{line}" if line[:1] in (".", "'") else line
