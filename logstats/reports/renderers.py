"""The registry of renderers: `--output`, its help, the tests and the README read it.

To add a kind, add a function and a line to `RENDERERS`. A function imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from logstats.dataclass import dataclass
from logstats.reports.view import View

if TYPE_CHECKING:
    from logstats.reports.model import Report


@dataclass(frozen=True, slots=True)
class Renderer:
    """One kind of output.

    `over_time` says that it shows latency and users over time, which are only computed then. `cuts` says that
    it shows so many rows by itself and must be given all; the others carry all rows, or the `--top` first. `one_table`
    says that `View.table` chooses what is in it. `compares` says that it shows `View.compared`.
    """

    what: str
    render: Callable[[Report, View], bytes]
    binary: bool = False
    over_time: bool = False
    cuts: bool = False
    one_table: bool = False
    compares: bool = False


def _table(report: Report, view: View) -> bytes:
    from logstats.reports.terminal import render

    unicode = view.encoding.lower().replace("-", "") in ("utf8", "utf16", "utf32")
    text = render(
        report,
        width=view.width,
        colour=view.colour,
        top=view.top or 10,
        sort=view.sort,
        unicode=unicode,
        compared=view.compared,
    )
    return text.encode(view.encoding, "backslashreplace")


def _json(report: Report, view: View) -> bytes:
    if view.compared:
        import json

        made = {**report.to_dict(), "compared": [{"against": one.title, **one.data} for one in view.compared]}
        return (json.dumps(made, allow_nan=False) + "\n").encode()
    return (report.to_json() + "\n").encode()


def _csv(report: Report, view: View) -> bytes:
    from logstats.reports.tables import table, to_csv

    return to_csv(table(report, view.table)).encode()


def _parquet(report: Report, view: View) -> bytes:
    from logstats.reports.tables import table, to_parquet

    return to_parquet(table(report, view.table))


def _markdown(report: Report, view: View) -> bytes:
    from logstats.reports.markdown import to_markdown

    text = to_markdown(report, view.top or 10, view.sort)
    if view.compared:
        from logstats.reports.document import to_markdown as sections_to_markdown

        for one in view.compared:
            text += f"\n## {one.title}\n\n" + sections_to_markdown(one.sections, level=3)
    return text.encode()


def _html(report: Report, view: View) -> bytes:
    from logstats.reports.html.page import to_html

    return to_html(report, view.top, view.sort, view.compared).encode()


def _email(report: Report, view: View) -> bytes:
    from logstats.reports.html.mail import to_email

    return to_email(report, view.to, view.sender, view.subject, sort=view.sort, compared=view.compared)


def _openmetrics(report: Report, view: View) -> bytes:
    from logstats.reports.openmetrics import to_openmetrics

    return to_openmetrics(report, view.top).encode()


RENDERERS: Final = {
    "table": Renderer("for a terminal", _table, cuts=True, compares=True),
    "json": Renderer("everything, for programs", _json, compares=True),
    "csv": Renderer("one table (--table), for spreadsheets", _csv, one_table=True),
    "parquet": Renderer("one table (--table), for data frames", _parquet, binary=True, one_table=True),
    "markdown": Renderer("for chats and tickets", _markdown, cuts=True, compares=True),
    "html": Renderer("one page that opens offline, with charts", _html, over_time=True, cuts=True, compares=True),
    "email": Renderer("a message for sendmail -t (--email-to)", _email, over_time=True, cuts=True, compares=True),
    "openmetrics": Renderer("for Prometheus", _openmetrics, cuts=True),
}
