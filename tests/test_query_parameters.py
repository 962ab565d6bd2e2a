"""`--query`: parameters that belong to the endpoint, against `urllib`, in every kind of format and kept in archives."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import invoke

import logstats
from logstats.endpoints import Endpoints, template

TARGETS = [
    ("/search?q=cats&page=2", "/search?page={id}"),
    ("/search?page=3&q=dogs&sort=name", "/search?page={id}&sort=name"),
    ("/search?sort=name&page=4", "/search?page={id}&sort=name"),
    ("/search?q=x", "/search"),
    ("/search", "/search"),
    ("/search?page", "/search?page="),
    ("/search?mypage=1&pages=2", "/search"),
    ("/users/7?page=6734e343-5754-48a6-ad05-178c40912249", "/users/{id}?page={uuid}"),
]
FORMATS = {
    "combined": '192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET {} HTTP/1.1" 200 5 "-" "curl/8"',
    "json": '{{"time": "2025-01-17T10:30:00Z", "method": "GET", "path": "{}", "status": 200}}',
}


@pytest.mark.parametrize("format", FORMATS)
def test_named_parameters_are_in_the_endpoint(tmp_path: Path, format: str) -> None:
    log = tmp_path / "x.log"
    log.write_text("".join(FORMATS[format].format(target) + "\n" for target, _ in TARGETS))
    (frame,) = logstats.read(log, format=format, query=["page", "sort"], columns=["endpoint"])
    assert frame["endpoint"].to_list() == [endpoint for _, endpoint in TARGETS]


def test_a_format_with_a_column_for_the_query(tmp_path: Path) -> None:
    head = "#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query sc-status\n"
    log = tmp_path / "x.log"
    rows = ["/a page=2&q=1", "/a -", "/b q=1"]
    log.write_text(head + "".join(f"2025-01-17 10:30:00 192.0.2.7 GET {row} 200\n" for row in rows))
    report = logstats.report(log, query=["page"])
    assert {row.endpoint for row in report.endpoints} == {"/a?page={id}", "/a", "/b"}


def test_an_archive_keeps_the_endpoints_it_was_added_with(tmp_path: Path) -> None:
    log, kept = tmp_path / "x.log", str(tmp_path / "kept")
    log.write_text("".join(FORMATS["combined"].format(target) + "\n" for target, _ in TARGETS))
    invoke("archive", "init", kept)
    assert invoke("archive", "add", "-q", "--archive", kept, "--query", "page,sort", str(log)).returncode == 0
    held = {row.endpoint for row in logstats.report(archive=kept).endpoints}
    assert held == {endpoint for _, endpoint in TARGETS}
    refused = invoke("report", "--archive", kept, "--query", "page")
    assert (refused.returncode, b"archive add" in refused.stderr) == (2, True)


def test_summaries_with_other_parameters_do_not_add_up(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(FORMATS["combined"].format("/a?page=1") + "\n")
    files = []
    for name in ("page", "sort"):
        files.append(tmp_path / f"{name}.summary")
        with files[-1].open("wb") as file:
            logstats.report(log, query=[name], summary=file)
    with pytest.raises(logstats.UsageError, match="--query sort"):
        logstats.merge(files)


def test_secrets_stay_secrets(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(FORMATS["combined"].format("/a?token=abc") + "\n")
    report = logstats.report(log, query=["token"], anonymize="ip")
    assert [row.endpoint for row in report.endpoints] == ["/a?token=***"]


@pytest.mark.parametrize("name", ["a=b", "", "a&b", "?a"])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.log").write_text(FORMATS["combined"].format("/a") + "\n")
    with pytest.raises(logstats.UsageError, match="no name of a parameter"):
        logstats.report(tmp_path / "x.log", query=[name])


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.text(max_size=5)), max_size=4))
def test_values_are_segments(pairs: list[tuple[str, str]]) -> None:
    """The first of each name that is kept, as a segment of a path would be."""
    pairs = [(name, quote(value.encode("utf-8", "replace"), safe="")) for name, value in pairs]
    query = "&".join(f"{name}={value}" for name, value in pairs)
    first = dict(reversed(pairs))
    expected = "&".join(f"{name}={template(first[name])}" for name in ("b", "a") if name in first)
    made = Endpoints(query=["b", "a"]).parameters(pl.Series([query, None], dtype=pl.String))
    assert made is not None
    assert made.to_list() == [f"?{expected}" if expected else "", ""]
