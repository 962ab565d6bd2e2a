"""`logstats help` and the manual page: every topic can be read, at 80 columns, and by roff without a warning."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from program import invoke
from typer.main import get_command

from logstats.cli.main import app
from logstats.formats.registry import builtin
from logstats.manual import man_page, markdown, terminal, topics
from logstats.manual.markdown import Bullets, Code, Heading, Paragraph, Span, Table
from logstats.manual.reference import PARTS, commands, visible
from logstats.reports.reasons import REASONS

PROGRAM = get_command(app)
MAN = man_page.render(PROGRAM, "0.0")


def test_blocks() -> None:
    text = "# A\n<!-- run -->\ntext `x`\ngoes on\n\n- one\n  more\n- two\n\n"
    text += "```sh\n$ | - #\n```\n| a | b |\n| - | - |\n| 1 | x\\|y |\n"
    assert markdown.blocks(text) == [
        Heading(1, "A"),
        Paragraph("text `x` goes on"),
        Bullets(("one more", "two")),
        Code(("$ | - #",)),
        Table(("a", "b"), (("1", "x|y"),)),
    ]


def test_spans() -> None:
    assert list(markdown.spans("a `b` **c** [d](http://e) f")) == [
        Span("a "), Span("b", "code"), Span(" "), Span("c", "bold"), Span(" "), Span("d", link="http://e"), Span(" f"),
    ]  # fmt: skip


@pytest.mark.parametrize("topic", topics.names())
def test_a_page_fits_into_80_columns(topic: str) -> None:
    """All but what a program printed, and a word that is longer."""
    page = topics.page(topic, PROGRAM)
    assert not re.search(r"^<!-- (?!run)", page, re.MULTILINE), "a table that is not filled in"
    shown = terminal.render(markdown.blocks(page), width=80)
    wide = [line for line in shown.splitlines() if len(line) > 80 and not line.startswith("    ")]
    assert not [line for line in wide if " " in line.strip()]
    assert "`" not in re.sub(r"(?m)^    .*$", "", shown) and "**" not in shown.replace("/**/", "/")
    assert shown == terminal.render(markdown.blocks(page), width=80, colour=True).replace("\x1b[1m", "").replace(
        "\x1b[0m", ""
    )


def test_nothing_is_lost_between_a_page_and_what_is_shown() -> None:
    """Every word of every page is in the terminal's text; of a table of two columns, not what they are called."""
    for topic in topics.names():
        page = topics.page(topic, PROGRAM)
        words = re.findall(
            r"\w{4,}", " ".join(line for line in page.splitlines() if not line.startswith(("```", "<!--")))
        )
        shown = set(re.findall(r"\w{4,}", terminal.render(markdown.blocks(page), width=80)))
        tables = [block for block in markdown.blocks(page) if isinstance(block, Table) and len(block.head) == 2]
        heads = {word for table in tables for cell in table.head for word in cell.split()}
        missing = [word for word in words if word not in heads and word not in shown]
        assert not missing[:3], topic


def test_the_tables_are_the_registries() -> None:
    formats = topics.page("formats", PROGRAM)
    assert all(f"| `{name}`" in formats for name in builtin())
    assert all(f"| `{reason}` |" in topics.page("reading", PROGRAM) for reason in REASONS)
    options = topics.page("options", PROGRAM)
    found = [param for _, command in commands("logstats", PROGRAM) for param in visible(command)]
    assert len(found) > 100 and all(all(f"{name}" in options for name in param.opts) for param in found)
    used = "".join(topics.source(name) for name in topics.names())
    assert all(f"<!-- {part} -->" in used for part in PARTS)


def test_help_shows_a_topic_a_command_or_all_topics() -> None:
    shown = invoke("help")
    assert shown.returncode == 0 and all(name.encode() in shown.stdout for name in topics.names())
    assert b"interrupted" in invoke("help", "exit-codes").stdout
    assert re.search(rb"143 +ended by SIGTERM or SIGHUP", invoke("help", "exit-codes").stdout)
    assert invoke("help", "json", "-o", "markdown").stdout.startswith(b"# The JSON report\n")
    assert b"logstats formats detect" in invoke("help", "formats", "detect").stdout
    assert b"--fail-if" in invoke("help", "report").stdout
    refused = invoke("help", "exit-cods")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert refused.stderr == b"logstats: there is no help about 'exit-cods' (did you mean exit-codes?)\n"


def test_the_manual_page_has_every_option_and_command() -> None:
    assert MAN.startswith('.TH LOGSTATS 1 "" "logstats 0.0"')
    assert MAN.isascii()
    for name, command in commands("logstats", PROGRAM):
        assert f"\\fB{name.replace('-', chr(92) + '-')}" in MAN or f'.SS "\\fB{name}' in MAN
        for param in visible(command):
            assert param.opts[-1].replace("-", "\\-") in MAN
    assert re.findall(r'^\.SH "(.*)"$', MAN, re.MULTILINE)[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert "\\- ask an access log a question" in MAN


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
def test_roff_reads_the_manual_page_without_a_warning() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-rLL=80n"], input=MAN.encode(), capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout.decode())
    assert "--exclude-status 5xx,404" in text and "p99 > 500ms" in text
