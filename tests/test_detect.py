"""Detection: what wins, how sure it is, what it hesitates between; a user's own formats; `logstats formats`."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import mixtures
import polars as pl
import pytest
from program import invoke

import logstats
from logstats.errors import FormatError
from logstats.formats.detection.detect import SURE, Detected, Detector
from logstats.formats.registry import builtin, formats
from logstats.formats.wrappers.stack import name_of, parse
from logstats.pipeline import Counts, Silence, sample_lines

COMBINED = [
    f'192.0.2.{i} - - [17/Jan/2025:10:30:{i:02d} +0000] "GET /{i} HTTP/1.1" 200 {i} "-" "curl/8.5.0"' for i in range(40)
]


def detect(lines: list[str]) -> Detected:
    found = Detector(builtin().values()).detect(lines)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("tail", "stack"),
    [
        ("", "combined"),
        (' "-"', "nginx_main"),
        (' "203.0.113.9, 10.0.0.1"', "nginx_main"),
        (' "-" 0.057', "nginx_main_time"),
        (" 0.057", "combined_time"),
        (" -", "combined_time"),
        (" 88{n:02d} 3{n:02d}", "combined_io"),
        (" 0.301 0.100, 0.200", "nginx_upstream"),
        (' rt=0.301 uct="0.000" uht="0.3" urt="0.3"', "nginx_upstream_time"),
        # What nobody has named: the known columns are still read.
        (' "gzip" TLSv1.3', "combined+"),
        (" 0.057 TLSv1.3 -", "combined_time+"),
        (" upstream=10.0.0.1", "combined+"),
    ],
)
def test_what_is_appended_to_combined(tail: str, stack: str) -> None:
    found = detect([line + tail.format(n=n) for n, line in enumerate(COMBINED)])
    assert (found.name, found.share) == (stack, 1.0)


def test_unknown_columns_after_a_known_layout_leave_it_as_it_is(tmp_path: Path) -> None:
    plain, more = tmp_path / "plain.log", tmp_path / "more.log"
    plain.write_text("\n".join(COMBINED))
    more.write_text("\n".join(f'{line} "gzip" TLSv1.3' for line in COMBINED))
    one, two = (next(iter(logstats.read(path))).drop("source") for path in (plain, more))
    assert one.equals(two)


def appended(numbers: list[int]) -> Detected:
    return detect([f"{line} {number}" for line, number in zip(COMBINED, numbers, strict=True)])


@pytest.mark.parametrize(
    ("numbers", "name", "rival"),
    [
        # Apache's %D. Not all of it could be milliseconds: one request in five took more than a minute, then.
        ([150, 420, 900, 80_000, 1_200, 310, 250, 95_000, 640, 350], "combined_us", None),
        # Nothing in the numbers tells.
        ([150, 420, 900, 800, 1_200, 310, 250, 5_000, 640, 350], "combined_us", "combined_ms"),
        # Tomcat's %D: hardly a request takes 12 µs, nor does every second one take 12 s.
        ([0, 12, 3, 410, 25, 7, 0, 2_500, 18, 33], "combined_ms", None),
        ([0, 1, 0, 0, 2, 1, 0, 0, 1, 0], "combined_ms", "combined_time"),
        # Apache's %T, or a server that answers within a millisecond.
        ([0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "combined_time", "combined_ms"),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 2], "combined_time", "combined_ms"),
    ],
)
def test_a_unit_is_told_by_what_requests_take(numbers: list[int], name: str, rival: str | None) -> None:
    found = appended(numbers * 4)
    assert (found.name, found.rival and found.rival.stack.name) == (name, rival)
    assert found.sure == (0.5 if rival else 1.0)
    assert found.share == 1.0  # whatever a line says, all of them have one unit


def test_there_is_no_rival_where_nothing_is_in_doubt() -> None:
    assert detect(COMBINED).rival is None
    assert detect(COMBINED).sure == 1.0 > SURE
    assert detect([f"{line} -" for line in COMBINED]).rival is None


def test_the_user_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join(f"{line} {512 + n % 7}" for n, line in enumerate(COMBINED)))
    told = invoke("report", "-o", "json", str(path))
    hint = "it is read as us, and could be ms: --unit duration=us settles it"
    assert "format combined_us" in told.stderr.decode()
    assert hint in told.stderr.decode()
    assert any(hint in note for note in json.loads(told.stdout)["notes"])
    assert invoke("report", str(path), "--unit", "duration=us").stderr.count(b"settles it") == 0
    assert invoke("report", str(path), "--format", "combined_us").stderr == b""


def test_two_layouts_in_one_source(tmp_path: Path) -> None:
    lines = [line if i % 3 else line.split(' "-"')[0] for i, line in enumerate(COMBINED)]
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines) + "\ngarbage\n\n")
    counts = Counts()
    rows = [row for frame in logstats.read(path, counts=counts) for row in frame.to_dicts()]
    assert counts.sources[0].format == "combined|common"
    assert [row["path"] for row in rows] == [f"/{i}" for i in range(40)]
    assert [row["user_agent"] for row in rows] == ["curl/8.5.0" if i % 3 else None for i in range(40)]
    assert (counts.lines, counts.requests, counts.rejected, counts.ignored) == (42, 40, 1, 1)


def test_one_layout_in_the_sample_is_the_layout_of_the_source(tmp_path: Path) -> None:
    """Bad lines do not become lines of some other format."""
    lines = [*COMBINED, *(line.split(" 200 ")[0] for line in COMBINED[:3]), '1.2.3.4 - - "x"', "GET / 200"]
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines))
    report = logstats.report(path)
    assert (report.sources[0].format, report.requests, report.rejected) == ("combined", 40, 5)


def test_files_of_one_run_may_differ(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(COMBINED))
    (tmp_path / "b.log").write_text('{"status": 200, "method": "GET", "path": "/", "time": "2025-01-17T10:30:00Z"}\n')
    (tmp_path / "c.log").write_text("time:2025-01-17T10:30:00Z\tmethod:GET\turi:/\tstatus:200\n")
    report = logstats.report([tmp_path / name for name in ("a.log", "b.log", "c.log")])
    assert [source.format for source in report.sources] == ["combined", "json", "ltsv"]


def test_what_is_no_log_is_no_format() -> None:
    draw = random.Random(5)
    words = ["the", "GET", "status", "200", "a=b", "-", "[x]", '"y"', "2025-01-17", "10:30:00", "{", "}"]
    prose = [" ".join(draw.choice(words) for _ in range(9)) for _ in range(100)]
    found = Detector(builtin().values()).detect(prose)
    assert found is None or found.share < 0.2


def test_trying_all_formats_finds_the_same(real_logs: Path) -> None:
    """Formats that could not win are not tried: that changes neither who wins nor whether there is a rival."""
    detector = Detector(builtin().values())
    samples = []
    for path in sorted(real_logs.rglob("*")):
        if path.is_file() and not path.name.endswith((".expected.jsonl", ".tsv", ".md")):
            samples.append(sample_lines(path.read_bytes()))
    draw = random.Random(7)
    for _ in range(30):  # of several files, mixed
        samples.append([draw.choice(lines) for lines in draw.sample(samples, 3) for _ in range(20) if lines])
    assert len(samples) > 130
    for lines in samples[::3]:  # scripts/fuzz.py does it with all kinds of lines
        few, all_of_them = detector.detect(lines), detector.detect(lines, thorough=True)
        if few is None or all_of_them is None:
            assert few is all_of_them
            continue
        assert (few.name, few.share, few.sure) == (all_of_them.name, all_of_them.share, all_of_them.sure)


class Told(Silence):
    def __init__(self) -> None:
        self.found: list[str] = []

    def format_found(self, source: str, found: Detected) -> None:
        self.found.append(found.name)


def test_layouts_are_spelled_and_read_again() -> None:
    known = builtin()
    for name in (
        "combined",
        "docker_json/combined",
        "cri/syslog/haproxy",
        "common|combined",
        "combined+",
        "cri/common+|json",
    ):
        assert name_of(parse(name, known)) == name
    assert parse("traefik_clf", known)[0].format.name == "traefik"
    for wrong in ("combine", "combined/common", "json+", "docker_json", "", "combined|"):
        with pytest.raises(FormatError):
            parse(wrong, known)


# ------------------------------------------------------------------ a user's own formats

OWN = """
title = "Ours"
link = "https://example.com"
engine = "delimited"
pattern = '$timestamp;$method;$target;$status;${took}us'
[fields]
took = { role = "duration", unit = "us" }
[[sample]]
line = '2025-01-17T10:30:00+01:00;GET;/a?b;200;1500us'
expect = { timestamp = 2025-01-17T09:30:00Z, method = "GET", path = "/a", query = "b", status = 200, duration_ms = 1.5 }
"""


def test_formats_of_a_folder_and_of_the_user(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("2025-01-17T10:30:00+01:00;GET;/a?b;200;1500us\n" * 5)
    folder = tmp_path / "config" / "logstats" / "formats"
    folder.mkdir(parents=True)
    (folder / "ours.toml").write_text(OWN)
    for arguments, environment in (
        (["--formats-dir", str(folder)], {}),
        ([], {"XDG_CONFIG_HOME": str(tmp_path / "config")}),
    ):
        shown = invoke("report", "-o", "json", str(log), *arguments, env=environment)
        report = json.loads(shown.stdout)
        assert (report["sources"][0]["format"], report["latency_ms"]["avg"]) == ("ours", 1.5)
    assert json.loads(invoke("report", "-o", "json", str(log)).stdout)["requests"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('unit = "us"', 'unit = "weeks"'), "fields.took.unit: must be s, ms, us, ns or auto"),
        (('role = "duration"', 'role = "speed"'), "fields.took.role: 'speed' is no role"),
        (("${took}", "${taken}"), "fields.took: the pattern has no $took"),
        (('engine = "delimited"', 'engine = "perl"'), "engine: must be one of"),
        (("pattern = ", "patern = "), "patern: no such key"),
        (("title = ", "title = 5 #"), "title: must be there, and a text"),
        (("[[sample]]", "[sample]"), "sample: is written [[sample]]"),
        (("expect", "expected"), "sample: needs `line`"),
        (('unit = "us"', 'unit = "us", extract = "(a"'), "fields.took.extract: not a regular expression"),
        (('unit = "us"', 'unit = "us", extract = "a"'), "fields.took.extract: needs a group"),
        (('unit = "us"', 'unit = "us", looks = "(?=a)"'), "fields.took.looks: not a regular expression"),
        (('unit = "us"', 'unit = "us", keys = "a"'), "fields.took.keys: must be a list of texts"),
        (('unit = "us"', 'unit = "us", decode = "rot13"'), "fields.took.decode: must be one of"),
        (("[fields]", "priority = 'high'\n[fields]"), "priority: must be a whole number"),
    ],
)
def test_a_broken_format_says_which_key_and_why(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    (tmp_path / "ours.toml").write_text(OWN.replace(*change, 1))
    with pytest.raises(FormatError) as caught:
        formats(tmp_path)
    assert "ours.toml: " in caught.value.what
    assert words in caught.value.what


def test_the_shipped_formats_pass_the_same_checks(tmp_path: Path) -> None:
    from importlib import resources

    from logstats.formats.registry import load

    for name, form in builtin().items():
        text = (resources.files("logstats.formats") / "builtin" / f"{name}.toml").read_text(encoding="utf-8")
        loaded = load(name, text, name, check=True)
        assert loaded == replace(form, foreign=loaded.foreign)
        assert form.link.startswith("http"), name
    names = [*builtin(), *(alias for form in builtin().values() for alias in form.aliases)]
    assert len(set(names)) == len(names)


# ------------------------------------------------------------------ the commands


def test_list_and_show_every_format() -> None:
    listed = invoke("formats", "list").stdout.decode()
    for name, form in builtin().items():
        assert f"  {name} " in listed
        shown = (
            invoke("formats", "show", name).stdout.decode()
            if name in ("haproxy", "otel", "squid", "cri", "iis")
            else ""
        )
        assert not shown or (form.link in shown and form.samples[0].line.split("\n")[-1] in shown)


def test_detect_shows_the_ranking_with_a_row_each(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join(f"{line} {512 + n % 7}" for n, line in enumerate(COMBINED)))
    shown = invoke("formats", "detect", str(path)).stdout.decode().splitlines()
    assert shown[0].endswith("a.log: combined_us, 50% sure")
    assert shown[1].split()[:2] == ["combined_us", "100%"]
    assert "duration_ms=0.512" in shown[1]
    assert "duration_ms=512" in shown[2]
    path.write_text("\n".join([*COMBINED[:6], *["not a log"] * 4]))
    unsure = invoke("formats", "detect", str(path)).stdout.decode()
    assert "a.log: combined, 60% sure" in unsure
    assert "logstats formats test combined FILE shows where they stop" in " ".join(unsure.split())
    path.write_text("not a log\n" * 9)
    unknown = invoke("formats", "detect", str(path))
    assert (unknown.returncode, b"no format reads these lines" in unknown.stdout) == (5, True)


def test_detect_says_of_each_format_why_it_has_the_lines_or_not(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join(f"{line} {[80, 443][n % 2]}" for n, line in enumerate(COMBINED)))
    (said,) = json.loads(invoke("formats", "detect", "-o", "json", str(path)).stdout)["sources"]
    verdicts = {verdict["name"]: verdict for verdict in said["formats"]}
    assert {*verdicts} == {name for name, form in builtin().items() if not form.wraps}
    assert (said["format"], "look like ports" in said["notes"][0]) == ("combined+", True)
    assert {name: verdicts[name]["reason"] for name in ("combined", "combined_us", "json", "w3c")} == {
        "combined": "trailing_text",
        "combined_us": "behaviour",
        "json": "not_json",
        "w3c": "no_fields_directive",
    }
    stop = COMBINED[0].index('"curl')
    asked = verdicts["nginx_main"]
    assert (asked["line"], asked["read"], asked["lines"]) == (1, 0, 40)
    assert verdicts["combined"]["column"] == len(COMBINED[0]) + 1 > stop
    assert verdicts["combined_us"]["why"] == "the numbers in it look like ports, not like durations"
    path.write_text("\n".join(f"{line} {512 + n % 7}" for n, line in enumerate(COMBINED)))
    shown = " ".join(invoke("formats", "detect", str(path)).stdout.decode().split())
    assert "Why not: combined_ms: it reads the same lines, but combined_us is more specific" in shown
    assert "combined_time: the durations would be less likely ones than with combined_us" in shown
    path.write_text(ECHO)
    (said,) = json.loads(invoke("formats", "detect", "-o", "json", str(path)).stdout)["sources"]
    verdicts = {verdict["name"]: verdict for verdict in said["formats"]}
    assert (verdicts["caddy"]["reason"], verdicts["json"]["chosen"]) == ("no_fingerprint", True)
    path.write_text(COMBINED[0].replace("192.0.2.0", "[httpd]"))
    (said,) = json.loads(invoke("formats", "detect", "-o", "json", str(path)).stdout)["sources"]
    (verdict,) = [verdict for verdict in said["formats"] if verdict["name"] == "combined"]
    assert (said["format"], verdict["reason"], verdict["field"], verdict["value"], verdict["column"]) == (
        None, "bad_client_ip", "client_ip", "[httpd]", 1
    )  # fmt: skip


def test_test_points_at_where_a_line_stops_to_fit(tmp_path: Path) -> None:
    good, path = COMBINED[0], tmp_path / "a.log"
    bad = {
        good.replace("200", "abc"): "abc",
        good.replace(' "-"', " -"): 'curl/8.5.0"',  # the field after ` "`, which is never closed by `" "`
        good + " 17": " 17",
    }
    path.write_text("\n".join([good, "", *bad]) + "\n")
    shown = invoke("formats", "test", "combined", str(path))
    lines = shown.stdout.decode().splitlines()
    assert shown.returncode == 4
    assert lines[0] == "4 lines (1 left out: blank lines, directives)"
    assert lines[1].split() == ["1", "accepted"]
    for line, rest in bad.items():
        place = lines.index(f"  {line}")
        assert line[lines[place + 1].index("^") - 2 :].startswith(rest)
    assert invoke("formats", "test", "combined", str(path), env={"COLUMNS": "60"}).returncode == 4
    path.write_text(good)
    assert invoke("formats", "test", "combined", str(path)).stdout.decode().splitlines()[0] == "1 line"


def test_escapes_of_a_log_never_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("\n".join([COMBINED[0].replace("curl", "\x1b[31mred"), "\x1b[2Jbad"]) + "\n")
    for arguments in (["detect"], ["test", "combined"]):
        assert b"\x1b" not in invoke("formats", *arguments, str(path)).stdout


# ------------------------------------------------------------------ fingerprints

ECHO = '{"time":"2025-01-17T10:30:00Z","level":"info","msg":"","method":"GET","uri":"/a","status":200,"bytes_out":5}'


@pytest.mark.parametrize("name", [name for name, form in builtin().items() if form.fingerprint])
def test_a_line_without_a_fingerprint_is_of_no_special_format(name: str) -> None:
    form = builtin()[name]
    requests = [sample.line for sample in form.samples if {"status", "method"} & {*sample.expect}]
    assert all(detect([line] * 3).name == name for line in requests)
    if form.engine == "json":
        assert detect([ECHO] * 3).name == "json"


def test_the_generic_format_leaves_lines_with_a_fingerprint_to_their_format(tmp_path: Path) -> None:
    traefik = builtin()["traefik_json"].samples[0].line
    path = tmp_path / "a.log"
    path.write_text("\n".join([*[ECHO] * 30, *[traefik] * 20]))
    report = logstats.report(path)
    assert (report.sources[0].format, report.requests, report.events) == ("json|traefik_json", 50, 0)
    # Whoever names the generic format gets what it reads.
    assert sum(logstats.report(path, format="json").status.values()) == 30


DOCKER = '{"log":%s,"stream":"stdout","time":"2025-01-17T10:30:00Z"}'


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("before", "name"),
    [("combined_time", "combined_ms"), ("common_time", "common_us"), ("combined", "combined_dash"), ("kv", "json")],
)
def test_a_source_is_read_as_by_itself_whatever_came_before(
    tmp_path: Path, before: str, name: str, *, wrapped: bool
) -> None:
    """Their lines have the same shapes (in a string of Docker's, all have): only numbers tell the units apart."""
    paths = [tmp_path / "a.log", tmp_path / "b.log"]
    for path, one in zip(paths, (before, name), strict=True):
        lines = [DOCKER % json.dumps(line + "\n") if wrapped else line for line in mixtures.dialect(one).lines]
        path.write_text("\n".join(lines))
    alone, after = Counts(), Counts()
    want = pl.concat(logstats.read(paths[1], columns=mixtures.SHOWN, counts=alone))
    have = pl.concat(logstats.read(paths, columns=mixtures.SHOWN, counts=after))
    assert have.filter(pl.col("source") == str(paths[1])).equals(want)
    assert after.sources[1].format == alone.sources[0].format


def test_sources_of_one_format_are_detected_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    detect = Detector.detect
    monkeypatch.setattr(Detector, "detect", lambda self, *given: asked.append(given) or detect(self, *given))
    for number in range(3):
        (tmp_path / f"{number}.log").write_text("\n".join(COMBINED[number * 10 : number * 10 + 10]))
    assert (logstats.report(tmp_path).requests, len(asked)) == (30, 1)
