"""The e-mail, as the standard library's parser reads it."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest
from hostile import ATTACKS, hostile_log

import logstats
from logstats.errors import UsageError
from logstats.reports.html.mail import to_email
from logstats.reports.html.page import to_html
from logstats.reports.model import Report
from logstats.reports.printable import printable, shortened

SAMPLE = Path(__file__).parent.parent / "sample_logs" / "combined_time.log"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("hostile") / "<b>hostile.log"
    path.write_bytes(hostile_log())
    return logstats.report(path, over_time=True, templates=False)


def parsed(data: bytes) -> EmailMessage:
    assert data.isascii() and b"\r" not in data
    assert max(map(len, data.split(b"\n"))) <= 998  # RFC 5322
    return cast(EmailMessage, message_from_bytes(data, policy=default))


def body(message: EmailMessage, kind: str) -> Any:
    part = message.get_body((kind,))
    assert part is not None
    return part.get_content()


def test_a_mail_has_text_html_and_the_page() -> None:
    report = logstats.report(SAMPLE, over_time=True)
    message = parsed(to_email(report, "ops@example.com, Zoë <zoe@example.com>", "logs@example.com"))
    assert [a.addr_spec for a in message["To"].addresses] == ["ops@example.com", "zoe@example.com"]
    assert message["To"].addresses[1].display_name == "Zoë"
    assert message["From"] == "logs@example.com"
    assert message["Subject"] == "Access log 2025-01-17: 897 requests, 1.0% errors, p99 743ms"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == report.generated_at
    assert "897 requests" in body(message, "plain") and "\x1b" not in body(message, "plain")
    html = body(message, "html")
    assert "897" in html and "GET /api/search" in html
    attached = list(message.iter_attachments())
    assert [part.get_filename() for part in attached] == ["report-2025-01-17.html"]
    assert attached[0].get_content() == to_html(report)


def test_the_body_is_what_mail_programs_show(hostile: Report) -> None:
    """No script, nothing to load, and short of the 102 KB at which a large provider clips; the log's text as text."""
    html = body(parsed(to_email(hostile, "ops@example.com")), "html")
    assert len(html.encode()) < 100_000
    tags = set(re.findall(r"<([a-z!][a-z0-9]*)", html))
    allowed = {
        "!doctype",
        "html",
        "head",
        "meta",
        "title",
        "body",
        "h1",
        "h2",
        "p",
        "table",
        "tr",
        "th",
        "td",
        "b",
        "br",
    }
    assert tags <= allowed | {"span", "div", "bdi"}
    assert not re.search(r"<[^>]*(?:href|src|onload|onerror|onfocus|onmouseover)=", html)
    for attack in ATTACKS[-4:]:  # the slowest
        assert _escaped(shortened(printable(f"GET /{attack}"), 120)) in html
    assert "<script" not in html and "\u202e" not in html


def _escaped(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ('"', "&#34;")):
        text = text.replace(character, entity)
    return text


def test_a_missed_threshold_is_in_the_subject() -> None:
    for condition, verdict in (("p99 > 1ms", "FAILED"), ("p99 > 100s", "OK"), ("GET /nothing: p99 > 1s", "NO DATA")):
        report = logstats.report(SAMPLE, over_time=True, fail_if=["requests < 1", condition])
        message = parsed(to_email(report, "ops@example.com"))
        assert message["Subject"].startswith(f"{verdict}: Access log 2025-01-17")
        assert condition.replace(">", "&gt;") in body(message, "html")
        assert condition in body(message, "plain")


def test_an_empty_report_is_a_mail_too(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    message = parsed(to_email(logstats.report(tmp_path, over_time=True), "ops@example.com", subject="Übersicht"))
    assert message["Subject"] == "Übersicht"
    assert "the input is empty" in body(message, "plain")
    assert "There is nothing to report" in body(message, "html")


@pytest.mark.parametrize("address", ["a@example.com\nBcc: b@example.com", "\r\n\r\nbody", "ü@example.com"])
def test_heads_cannot_be_forged(address: str) -> None:
    report = logstats.report([], over_time=True)
    for arguments in ((address,), ("ops@example.com", address)):
        try:
            message = parsed(to_email(report, *arguments))
        except UsageError:
            continue
        assert message["Bcc"] is None  # an address that is written in another way is harmless


def test_subjects_cannot_be_forged() -> None:
    with pytest.raises(UsageError):
        to_email(logstats.report([]), "ops@example.com", subject="x\nBcc: b@example.com")
