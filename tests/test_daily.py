"""The daily job in scripts/, as cron runs it: with nothing in its environment."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import forked
import pytest

ROOT = Path(__file__).parent.parent
LOGSTATS = Path(sys.executable).with_name("logstats")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """The sample's day, as if it were yesterday, and a rotated log of the day before."""
    text = (ROOT / "sample_logs" / "combined_time.log").read_text()
    folder = tmp_path / "log"
    folder.mkdir()
    for days, name in ((1, "access.log"), (2, "access.log.1")):
        day = datetime.now(UTC) - timedelta(days=days)
        (folder / name).write_text(text.replace("17/Jan/2025", f"{day:%d/%b/%Y}"))
    return folder


def daily(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The job with a `logstats` that runs in forks."""
    environment = {
        "LOGSTATS": str(forked.install(folder)),
        "LOGSTATS_LOGS": f"{folder}/log/access.log* {folder}/log/none*",
        "LOGSTATS_ARCHIVE": f"{folder}/archive",
        "LOGSTATS_REPORTS": f"{folder}/reports",
        **settings,
    }
    words = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", "-i", *words, "/bin/sh", str(ROOT / "scripts" / "logstats-daily")]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60)


def test_the_job_reports_yesterday(tmp_path: Path, logs: Path) -> None:
    ran = daily(tmp_path, LOGSTATS_LOGS=f"{logs}/access.log*", LOGSTATS=str(LOGSTATS))
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    yesterday = datetime.now(UTC) - timedelta(days=1)
    page = tmp_path / "reports" / f"report-{yesterday:%Y-%m-%d}.html"
    assert list((tmp_path / "reports").iterdir()) == [page]
    assert "<dd>897</dd>" in page.read_text()
    # The log is rotated and has grown: its lines count once, and today's are not of yesterday.
    (logs / "access.log.1").rename(logs / "access.log.2")
    (logs / "access.log").rename(logs / "access.log.1")
    today = datetime.now(UTC)
    (logs / "access.log").write_text(
        f'10.0.0.1 - - [{today:%d/%b/%Y:%H:%M:%S} +0000] "GET / HTTP/1.1" 200 1 "-" "-" 1\n'
    )
    assert daily(tmp_path, LOGSTATS_LOGS=f"{logs}/access.log*").returncode == 0
    assert "<dd>897</dd>" in page.read_text()


def test_metrics_mail_and_a_missed_threshold(tmp_path: Path, logs: Path) -> None:
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f'#!/bin/sh\n[ "$*" = -t ] && exec /bin/cat > {tmp_path}/sent.eml\n')
    sendmail.chmod(0o755)
    ran = daily(
        tmp_path,
        LOGSTATS_LOGS=f"{logs}/access.log*",
        LOGSTATS_FAIL_IF="requests < 1; p99 > 1ms",
        LOGSTATS_METRICS=f"{tmp_path}/logstats.prom",
        LOGSTATS_MAIL_TO="ops@example.com",
        LOGSTATS_SENDMAIL=str(sendmail),
        PATH="/usr/bin:/bin",
    )
    assert ran.returncode == 3
    assert len(re.findall("p99 > 1ms", ran.stderr)) == 1
    metrics = (tmp_path / "logstats.prom").read_text()
    assert 'logstats_threshold_met{condition="p99 > 1ms"} 0' in metrics
    assert "logstats_request_duration_seconds_count 897" in metrics
    message = message_from_bytes((tmp_path / "sent.eml").read_bytes(), policy=default)
    assert message["Subject"].startswith("FAILED: Access log")
    assert (tmp_path / "logstats.prom").stat().st_mode & 0o777 == 0o644  # node_exporter is another user
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Against the day before" in text and "Against a week before" in text
    assert message["To"] == "ops@example.com"


def test_a_step_that_fails_does_not_stop_the_next(tmp_path: Path, logs: Path) -> None:
    ran = daily(tmp_path, LOGSTATS_LOGS=f"{logs}/access.log* {logs}/gone", LOGSTATS_METRICS=f"{tmp_path}/no/such.prom")
    assert ran.returncode == 1
    assert "gone" in ran.stderr and "such.prom" in ran.stderr
    assert "<dd>897</dd>" in next((tmp_path / "reports").iterdir()).read_text()


def test_a_day_without_data_is_not_fine(tmp_path: Path, logs: Path) -> None:
    """The log of the day before yesterday alone: yesterday has no requests."""
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f"#!/bin/sh\nexec /bin/cat > {tmp_path}/sent.eml\n")
    sendmail.chmod(0o755)
    settings = {
        "LOGSTATS_LOGS": f"{logs}/access.log.1",
        "LOGSTATS_MAIL_TO": "ops@example.com",
        "LOGSTATS_SENDMAIL": str(sendmail),
        "LOGSTATS_TITLE": "web-1",
        "PATH": "/usr/bin:/bin",
    }
    ran = daily(tmp_path, **settings)
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    assert ran.returncode == 3
    message = message_from_bytes((tmp_path / "sent.eml").read_bytes(), policy=default)
    assert message["Subject"] == f"NO DATA: Access log web-1 {yesterday}: no requests"
    page = (tmp_path / "reports" / f"report-{yesterday}.html").read_text()
    assert "web-1" in page and yesterday in page
    assert daily(tmp_path, **settings, LOGSTATS_NO_DATA="ok").returncode == 0
