"""Markdown, as GitHub's own program renders it."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from hostile import ATTACKS, github_html, hostile_log

import logstats
from logstats.reports.markdown import code, escaped, to_markdown
from logstats.reports.printable import printable, shortened

SAMPLE = Path(__file__).parent.parent / "sample_logs" / "combined_time.log"


def cells(html: str) -> list[list[str]]:
    """The rows of all tables, as text."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [[unescape(re.sub(r"</?code>", "", c)) for c in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", r)] for r in rows]


def test_tables_render_with_what_the_report_holds() -> None:
    report = logstats.report(SAMPLE, by=["user_agent"], fail_if=["p99 > 1ms"])
    html = github_html(to_markdown(report, 5))
    assert html.count("<table>") == 6
    rows = cells(html)
    for row in report.endpoints[:5]:
        assert any(cell[0] == row.name and cell[1] == f"{row.requests:,}" for cell in rows)
    assert "<strong>failed</strong> <code>p99 &gt; 1ms</code>" in html
    assert any(
        cell[0] == max(report.breakdowns["user_agent"], key=lambda row: row.requests).value[:120] for cell in rows
    )
    assert "*** log rotated ***" in html


def test_a_hostile_log_is_shown_as_text(tmp_path: Path) -> None:
    path = tmp_path / "hostile.log"
    path.write_bytes(hostile_log())
    report = logstats.report(path, templates=False, by=["user_agent"])
    markdown = to_markdown(report, 100)
    assert all(line.isprintable() for line in markdown.splitlines())
    html = github_html(markdown)
    tags = set(re.findall(r"<(/?[a-zA-Z!][^ >]*)", html))
    allowed = ["h1", "h2", "p", "ul", "li", "strong", "em", "code", "table", "thead", "tbody", "tr", "th", "td"]
    assert tags <= {*allowed, *(f"/{tag}" for tag in allowed)}
    shown = [row[0] for row in cells(html)]
    for attack in ATTACKS:
        text = shortened(printable(f"GET /{attack}"), 120).replace("`", r"\x60").replace("|", r"\x7c")
        assert text.replace("  ", " ") in [name.replace("  ", " ") for name in shown]
    widths = {len(row) for row in cells(html)}
    assert 1 not in widths and len(widths) <= 6  # no cell was cut in two


@pytest.mark.parametrize(
    "text", ["a`b", "``", "|", r"\|", " ", "@octocat #1 :smile: $x$ www.example.com", "<b>&amp;", "*"]
)
def test_code_is_nothing_but_text(text: str) -> None:
    shown = text.replace("`", r"\x60").replace("|", r"\x7c")
    html = github_html(f"| a |\n| --- |\n| {code(text)} |\n")
    assert unescape(re.findall(r"<td><code>(.*)</code></td>", html)[0]) == shown
    assert unescape(re.findall(r"<p>(.*)</p>", github_html(f"x{escaped(text)}x"))[0]) == f"x{text}x"
