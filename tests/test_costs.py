"""What an archive costs: the table of the manual is that of the script, and its figures are those of the formula."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "logstats" / "manual" / "pages" / "costs.md"


def made(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(ROOT / "scripts" / "archive_cost.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_table_of_the_manual_is_that_of_the_script() -> None:
    assert made().stdout in PAGE.read_text(encoding="utf-8")


def test_the_figures_are_those_of_the_formula() -> None:
    """1 TB a day, a tenth of it after gzip, all of that in hot for 10 days: 1,000 GB at $0.5."""
    asked = ("--terabytes", "1", "--gzip", "0.1", "--size", "hot=1", "--days", "hot=10", "--price", "mine=0.5")
    hot = made(*asked).stdout.splitlines()[2].split(" | ")
    assert (hot[3], hot[-1]) == ("1.0 TB", "$500 |")
    ran = made("--size", "frozen=1")
    assert ran.returncode == 1 and "hot, warm, cold" in ran.stderr
