"""How the reports of `--split-by` are shown: pages in a folder, one JSON document, or one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from logstats.cli.messages import Messages
from logstats.cli.output import deliver
from logstats.cli.presenting import Presentation
from logstats.cli.presenting import exit_code as code_of
from logstats.errors import ExitCode, LogstatsError, UsageError
from logstats.reports.renderers import RENDERERS

if TYPE_CHECKING:
    from logstats.reports.model import Report

KINDS = ("table", "json", "markdown", "html")


def check(shown: Presentation, split_by: str, *, compare: bool, rows: bool) -> None:
    """Raise UsageError for what does not go together with `--split-by`."""
    kind = _kind(shown)
    if kind not in KINDS:
        raise UsageError(f"--split-by {split_by}: -o {kind} holds one report", f"choose among {', '.join(KINDS)}")
    if compare:
        raise UsageError("--split-by and --compare exclude each other", "filter by one value with --where to compare")
    if rows:
        raise UsageError("--split-by reads the rows of an archive anyway", "leave --rows out")
    if kind == "html" and not shown.out:
        raise UsageError("--split-by makes several pages", "name a folder for them: --out DIR")
    if kind == "html" and shown.out and Path(_place(shown)).is_file():
        raise UsageError(f"--out {shown.out} is a file", "the pages of --split-by go to a folder")


def show(shown: Presentation, split_by: str, reports: Mapping[str | None, Report]) -> None:
    """Write all reports."""
    from logstats.reports import index

    assert shown.renderer is not None
    titled = {value: replace(one, title=_title(shown, one.title)) for value, one in reports.items()}
    if _kind(shown) == "html":
        _pages(shown, split_by, titled, reports)
        return
    if _kind(shown) == "json":
        text = (index.to_json(split_by, reports) + "\n").encode()
    else:
        text = b"\n".join(_one(shown, split_by, report) for report in titled.values())
    deliver(text, shown.out, shown.moment, pager=shown.pager and shown.renderer is RENDERERS["table"])


def exit_code(split_by: str, reports: Mapping[str | None, Report], messages: Messages, *, strict: bool) -> ExitCode:
    """What the run ends with: what one of the reports would."""
    from logstats.reports.printable import printable

    for report in reports.values():
        code_of(report, messages, strict=strict, of=f"{split_by} {printable(report.title)}: ")
    return messages.exit_code


def _kind(shown: Presentation) -> str:
    return next((name for name, one in RENDERERS.items() if one is shown.renderer), "summary")


def _place(shown: Presentation) -> str:
    out = shown.out or ""
    return shown.moment.strftime(out) if "%" in out else out


def _title(shown: Presentation, value: str) -> str:
    return f"{shown.title}: {value}" if shown.title else value


def _one(shown: Presentation, split_by: str, report: Report) -> bytes:
    """A report on a terminal, which has no title by itself, or as Markdown, which has."""
    assert shown.renderer is not None
    from logstats.reports.printable import printable

    text = shown.renderer.render(report, shown.view)
    if shown.renderer is RENDERERS["table"]:
        head = f"== {split_by}: {printable(report.title)} =="
        return f"{head}\n\n".encode(shown.view.encoding, "backslashreplace") + text
    return text


def _pages(
    shown: Presentation, split_by: str, titled: Mapping[str | None, Report], reports: Mapping[str | None, Report]
) -> None:
    from logstats.reports import index
    from logstats.reports.clock import Clock

    assert shown.renderer is not None
    folder = Path(_place(shown))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogstatsError(f"{folder}: {(error.strerror or str(error)).lower()}", "--out takes a folder") from None
    names = index.file_names(reports)
    for value, report in titled.items():
        deliver(shown.renderer.render(report, shown.view), _literal(folder / names[value]), shown.moment, pager=False)
    zone = next(iter(reports.values())).zone if reports else "UTC"
    page = index.to_html(split_by, reports, Clock(zone))
    deliver(page.encode(), _literal(folder / "index.html"), shown.moment, pager=False)


def _literal(path: Path) -> str:
    """A path whose name is not read as a form of strftime."""
    return str(path).replace("%", "%%")
