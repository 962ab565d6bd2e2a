"""`logstats formats`: list, show, detect, test."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logstats.cli import options as shared
from logstats.cli.messages import Messages
from logstats.errors import ExitCode, SourceError
from logstats.reports.printable import printable, shortened
from logstats.reports.reasons import describe_reason
from logstats.reports.units import counted

if TYPE_CHECKING:
    from logstats.explain import BadLine
    from logstats.formats.detection.candidates import Candidate
    from logstats.formats.detection.detect import Detected
    from logstats.formats.detection.verdicts import Verdict
    from logstats.formats.model import Field

app = typer.Typer(
    help="The formats that logs can have: those that are known, which one a log has, how well one reads it.",
    no_args_is_help=True,
)
_ORDER = ("timestamp", "status", "method", "path", "query", "duration_ms", "bytes", "client_ip", "user_id")
_VALUE = 40  # characters of a value in a row


def _names(incomplete: str) -> list[str]:
    return [name for name in shared.formats() if name.startswith(incomplete)]


@app.command("list")
@shared.command()
def list_(formats_dir: shared.FormatsDir = None) -> int:
    """All formats and wrappers, those of your own among them."""
    known = _known(formats_dir)
    own = _own(known)
    width = max(map(len, known))
    for title, some in (
        ("Formats", [f for f in known.values() if not f.wraps and f.name not in own]),
        ("Wrappers, taken off before the format is looked for", [f for f in known.values() if f.wraps]),
        ("Your own", [known[name] for name in own]),
    ):
        if some:
            print(title)
            for form in some:
                also = f"  (also {', '.join(form.aliases)})" if form.aliases else ""
                _print(f"  {form.name:{width}}  {form.title}{also}", indent=width + 4)
            print()
    print("logstats formats show NAME says more of one, formats detect FILE which one a log has.")
    return int(ExitCode.DONE)


@app.command()
@shared.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The format.", autocompletion=_names)],
    formats_dir: shared.FormatsDir = None,
) -> int:
    """A format: its fields and their units, how lines look, the row that becomes of one, its specification."""
    from logstats.formats.registry import find

    form = find(name, _known(formats_dir))
    _print(f"{form.name}: {form.title}")
    for word, value in (
        ("link", form.link),
        ("also", ", ".join(form.aliases)),
        ("engine", form.engine),
        ("pattern", form.pattern),
    ):
        if value:
            _print(f"  {word:8} {value}", indent=11)
    print("\nFields")
    names = {key: _place(key, field) for key, field in form.fields.items()}
    sample = next(sample for sample in form.samples if not sample.rejected)
    width = max(map(len, [*(field.role for field in form.fields.values()), *sample.expect]))
    for key, field in form.fields.items():
        if field.role != "ignored":
            _print(f"  {field.role:{width}}  {names[key]}{_unit(field)}", indent=width + 4)
    print("\nExample")
    for line in sample.line.split("\n"):
        _print(f"  {line}", indent=2)
    print()
    for column, value in sample.expect.items():
        _print(f"  {column:{width}}  {_value(value)}", indent=width + 4)
    return int(ExitCode.DONE)


@app.command()
@shared.command()
def detect(
    sources: shared.Sources = None,
    formats_dir: shared.FormatsDir = None,
    tz: shared.Zone = "UTC",
    output: Annotated[str, shared.output_option("table", "json")] = "table",
) -> int:
    """Which format a log has: what each that reads its first lines makes of them, best first; and of the others, why
    they do not."""
    import json

    from logstats import explain
    from logstats.inputs import discover
    from logstats.options import Options

    zone = Options(tz=tz).zone()
    known = _known(formats_dir)
    messages = Messages()
    found, problems = discover(sources or [])
    for problem in problems:
        messages.problem(problem)
    documents: list[dict[str, Any]] = []
    for number, source in enumerate(found):
        if number and output == "table":
            print()
        try:
            detected, lines = explain.detect(source, known)
        except SourceError as problem:
            messages.problem(problem)
            continue
        all_verdicts = explain.verdicts(source, known, detected, lines) if lines else []
        if detected is None:
            messages.codes.add(ExitCode.NOTHING_PARSED)
        if output == "json":
            documents.append(_document(source.name, detected, all_verdicts, lines, zone))
            continue
        if detected is None:
            words = "nothing to go by" if not lines else "no format reads these lines"
            print(f"{printable(source.name)}: {words}")
            if lines:
                print("  name one with --format, or paste the server's own definition: --log-format '…'")
        else:
            _show_detected(source.name, detected, lines, zone)
        _show_verdicts(all_verdicts)
    if output == "json":
        print(json.dumps({"sources": documents}, ensure_ascii=False))
    return int(messages.exit_code)


@app.command()
@shared.command()
def test(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The format; docker_json/combined says what is around it.", autocompletion=_names
        ),
    ],
    sources: shared.Sources = None,
    formats_dir: shared.FormatsDir = None,
    tz: shared.Zone = "UTC",
) -> int:
    """How well a format reads a log: lines accepted, lines rejected and why, and where the first of them stop to fit.

    Exits with 4 if a line was rejected, with 5 if none could be read.
    """
    from logstats import explain
    from logstats.formats.wrappers.stack import parse
    from logstats.inputs import discover
    from logstats.options import Options

    options = Options(tz=tz)
    stacks = parse(name, _known(formats_dir))
    messages = Messages()
    found, problems = discover(sources or [])
    for problem in problems:
        messages.problem(problem)
    result = explain.read_with(stacks, found, options.reading(frozenset(_columns())), messages)
    ignored = f" ({result.ignored:,} left out: blank lines, directives)" if result.ignored else ""
    print(f"{counted(result.lines - result.ignored, 'line')}{ignored}")
    print(f"  {result.accepted:>9,} accepted" + (f", {result.events:,} of them events" if result.events else ""))
    for reason, number in result.rejected.items():
        _print(f"  {number:>9,} rejected: {describe_reason(reason)}", indent=12)
    if result.example:
        print(f"\nThe first row\n  {_row(result.example)}")
    for bad in result.bad:
        print()
        for line in _pointed(bad):
            print(line)
    if result.rejected:
        messages.codes.add(ExitCode.REJECTED if result.accepted else ExitCode.NOTHING_PARSED)
    return int(messages.exit_code)


def _known(formats_dir: str | None) -> Any:
    from logstats.formats.registry import formats

    return formats(Path(formats_dir) if formats_dir else None)


def _own(known: Any) -> list[str]:
    from logstats.formats.registry import builtin

    return [name for name, form in known.items() if builtin().get(name) != form]


def _columns() -> tuple[str, ...]:
    from logstats import schema

    return tuple(column for column in schema.COLUMNS if column != "extra")


def _place(key: str, field: Field) -> str:
    """Where a format has a field."""
    return ", ".join(field.keys) if field.keys else f"${key}"


def _unit(field: Field) -> str:
    units = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
    words = []
    if field.role == "duration":
        words.append(units.get(field.unit, "with its unit, or milliseconds"))
        words += ["added up"] if field.sum else []
    if field.absent:
        words.append(f"{', '.join(field.absent)} is none")
    return f"  ({'; '.join(words)})" if words else ""


def _show_detected(name: str, detected: Detected, lines: list[str], zone: str) -> None:
    from logstats.explain import first_row
    from logstats.formats.detection.detect import SURE

    print(f"{printable(name)}: {detected.name}, {detected.sure:.0%} sure")
    shown: list[Candidate] = []
    for candidate in detected.ranking:
        if all(candidate.stack.name != other.stack.name for other in shown):
            shown.append(candidate)
    width = max(len(candidate.stack.name) for candidate in shown)
    for candidate in shown[:8]:
        row = _row(first_row(candidate.stack, lines, zone))
        _print(f"  {candidate.stack.name:{width}}  {candidate.share:>4.0%}  {row}", indent=6)
    if len(detected.stacks) > 1:
        print("  Lines of several layouts are mixed; each is read by the first of them that it fits.")
    for text in detected.kept_out:
        _print(f"  {text[0].upper()}{text[1:]}.", indent=2)
    if detected.share < SURE:
        first = detected.stacks[0].name
        _print(
            f"  The other lines fit none of them: logstats formats test {first} FILE shows where they stop; "
            "--format NAME or --log-format '…' says how they are written.",
            indent=2,
        )
    if detected.rival is not None:
        one, other = detected.ranking[0].stack, detected.rival.stack
        _print(f"  {one.name} and {other.name} read the same lines otherwise.", indent=2)
        _print(f"  {one.name}: {one.format.title}", indent=4)
        _print(f"  {other.name}: {other.format.title}", indent=4)
        print(f"  Say which with --format {one.name} or --format {other.name}.")


def _show_verdicts(verdicts: list[Verdict]) -> None:
    """The formats that the lines do not have, those with the same reason together; the nearest first."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if not verdict.chosen and verdict.misfit is not None:
            groups.setdefault(_why(verdict), []).append(verdict)
    if groups:
        print("  Why not:")
    for why, some in sorted(groups.items(), key=lambda group: (-max(one.read for one in group[1]), len(group[1]))):
        _print(f"    {', '.join(one.format.name for one in some)}: {why}", indent=6)


def _why(verdict: Verdict) -> str:
    from logstats.reports.reasons import describe_verdict

    misfit = verdict.misfit
    assert misfit is not None
    value = f"{misfit.field} {misfit.value!r}" if misfit.field else misfit.value
    return describe_verdict(misfit.reason, shortened(value, _VALUE))


def _document(
    name: str, detected: Detected | None, verdicts: list[Verdict], lines: list[str], zone: str
) -> dict[str, Any]:
    """The same as data."""
    from logstats.explain import first_row

    stacks = {candidate.format.name: candidate.stack for candidate in (detected.ranking if detected else ())}
    formats = []
    for verdict in verdicts:
        misfit, stack = verdict.misfit, stacks.get(verdict.format.name)
        row = first_row(stack, lines, zone) if stack and verdict.read else None
        formats.append(
            {
                "name": verdict.format.name,
                "chosen": verdict.chosen,
                "read": verdict.read,
                "lines": verdict.lines,
                "row": row and {column: _plain(value) for column, value in row.items()},
                "reason": misfit and misfit.reason,
                "why": misfit and _why(verdict),
                "line": None if verdict.line is None else verdict.line + 1,
                "column": None if misfit is None or misfit.column is None else misfit.column + 1,
                "field": (misfit and misfit.field) or None,
                "value": (misfit and misfit.value) or None,
            }
        )
    found = {
        "format": detected and detected.name,
        "share": detected and detected.share,
        "sure": detected and detected.sure,
    }
    return {"name": name, **found, "notes": list(detected.kept_out) if detected else [], "formats": formats}


def _plain(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _row(row: dict[str, object]) -> str:
    """A row in one line, the columns that matter first."""
    shown = [*(column for column in _ORDER if column in row), *(column for column in row if column not in _ORDER)]
    left = {"kind", "level", "endpoint", "extra"}
    return "  ".join(f"{column}={shortened(_value(row[column]), _VALUE)}" for column in shown if column not in left)


def _value(value: object) -> str:
    text = value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)
    return printable(f"{value:g}" if isinstance(value, float) else text)


def _pointed(bad: BadLine) -> Iterator[str]:
    """A bad line, as far as it fits, and a caret where reading stopped."""
    width = max(_columns_of_terminal() - 4, 40)
    start = max(0, bad.column - width * 2 // 3)
    before, after = printable(bad.text[start : bad.column]), printable(bad.text[bad.column : start + width])
    lead = "…" if start else ""
    yield f"{printable(bad.source)}, line {bad.number:,}: {describe_reason(bad.reason)}"
    yield f"  {shortened_end(lead + before + after, width)}"
    yield f"  {' ' * (len(lead) + len(before))}^"


def shortened_end(text: str, width: int) -> str:
    """At most `width` characters, the end cut off."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _columns_of_terminal() -> int:
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 200


def _print(text: str, indent: int = 0) -> None:
    """Text in the width of the terminal, further lines indented; a pipe gets it in one line."""
    width = max(_columns_of_terminal(), 40)
    line = printable(text)
    while sys.stdout.isatty() and len(line) > width and (cut := line.rfind(" ", indent + 1, width)) > indent:
        print(line[:cut])
        line = " " * indent + line[cut + 1 :]
    print(line)
