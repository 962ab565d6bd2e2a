"""Inputs made from public reports of other log tools, read where they lie, with the rows that each must become.

A case names the options, the input, and of every line the fields that matter, or that it must be rejected. What is
compared: the rows of `logstats parse`, and how many lines `logstats report` rejects. DIFFERENT lists the cases that are
read otherwise, and why.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from program import invoke

CASES = ROOT.parent / "shared" / "cases"

NANOSECONDS = "a duration is what the log says, to the nanosecond; the case has it rounded to microseconds"

DIFFERENT: dict[str, str] = {
    "ga1166_gin": NANOSECONDS,
    "ga1376_beego": NANOSECONDS,
    "ga1376_beego_json": NANOSECONDS,
    "caddy_durstr": NANOSECONDS,  # 1.574238ms, 24.3µs
    "alias_traefik": NANOSECONDS,
    "hub1343_mixed": NANOSECONDS,  # Traefik's Duration is in nanoseconds: 5726712 are 5.726712 ms
}


def cases() -> Iterator[Any]:
    for file in sorted(CASES.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            name = case["name"]
            mark: tuple[pytest.MarkDecorator, ...] = ()
            if why := DIFFERENT.get(name):
                mark = (pytest.mark.xfail(reason=why, strict=True, raises=AssertionError),)
            yield pytest.param(case, id=name, marks=mark)


@pytest.mark.skipif(not CASES.is_dir(), reason="no shared cases here: they lie in a folder beside the project")
@pytest.mark.parametrize("case", [*cases()])
def test_case_is_read_as_wanted(case: dict[str, Any], tmp_path: Path) -> None:
    log = tmp_path / "input.log"
    log.write_bytes(base64.b64decode(case["base64"]) if "base64" in case else case["text"].encode())
    parsed = invoke("parse", "-q", *case["args"], str(log))
    rows = [json.loads(line) for line in parsed.stdout.decode(errors="replace").splitlines()]
    wanted = [row for row in case["want"] if row is not None]
    assert len(rows) == len(wanted), parsed.stderr.decode(errors="replace")
    for number, (row, want) in enumerate(zip(rows, wanted, strict=True)):
        wrong = {key: (row.get(key), value) for key, value in want.items() if not same(row.get(key), value)}
        assert not wrong, f"row {number}: (found, wanted)"
    report = json.loads(invoke("report", "-q", "-o", "json", *case["args"], str(log)).stdout)
    assert report["rejected"] == case["want"].count(None)


@pytest.mark.skipif(not CASES.is_dir(), reason="no shared cases here: they lie in a folder beside the project")
def test_the_list_names_only_cases_that_exist() -> None:
    assert {*DIFFERENT} <= {case.id for case in cases()}


def same(found: object, wanted: object) -> bool:
    """Whether a value is the one that is wanted; "ANY" wants some value, a duration may differ by a millionth."""
    if wanted == "ANY":
        return found is not None
    if isinstance(found, str) and isinstance(wanted, str):
        return timestamp(found) == timestamp(wanted)
    if isinstance(wanted, float) or isinstance(found, float):
        numbers = (int, float)
        if not (isinstance(found, numbers) and isinstance(wanted, numbers)):
            return False
        return abs(found - wanted) <= 1e-6 * max(1, abs(wanted))
    return found == wanted


def timestamp(text: str) -> str:
    """A timestamp without the zeros that end its fraction; another text as it is."""
    if text[4:5] == "-" and text[10:11] == "T" and "." in text:
        return text.rstrip("Z").rstrip("0").rstrip(".") + "Z"
    return text
