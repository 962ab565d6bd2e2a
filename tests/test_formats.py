"""Formats: their samples, the agreement of the two paths, the server's own definitions, detection."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logstats.endpoints import Endpoints
from logstats.errors import FormatError
from logstats.formats import index, vocabulary
from logstats.formats.detection.detect import Detector
from logstats.formats.engines.delimited import Delimited, parse_pattern, scan
from logstats.formats.engines.json import JsonLines
from logstats.formats.engines.keyvalue import Pairs
from logstats.formats.engines.regex import codes, fits, literals, opening
from logstats.formats.engines.scan import Reject, Tokens, scan_lines
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.log_format.compile import compile_log_format
from logstats.formats.reader import reader
from logstats.formats.registry import builtin, load, named
from logstats.formats.text import Text
from logstats.formats.wrappers.wrapper import Wrapper

READING = ReadOptions(Endpoints(templates=False))
PACKAGE = Path(index.__file__).parent.parent
SAMPLES = [(f.name, i) for f in builtin().values() for i in range(len(f.samples))]
DERIVED = {"kind", "level", "endpoint", "extra"}  # compared only where the sample names them


def test_there_are_formats() -> None:
    assert {
        "app",
        "common",
        "combined",
        "combined_time",
        "combined_us",
        "vhost_combined",
        "json",
        "logfmt",
        "kv",
    } <= set(builtin())


def test_the_index_has_what_the_files_say() -> None:
    folder = PACKAGE / "formats" / "builtin"
    for name, form in builtin().items():
        content = (folder / f"{name}.toml").read_bytes()
        of_index, of_file = index.indexed(name, content), load(name, content.decode(), name)
        assert of_index == of_file == of_index and of_index.samples == of_file.samples, name
        assert of_index.roles == of_file.roles
        assert replace(form, foreign=of_file.foreign) == of_file
        if form.engine == "regex":
            assert index.screens()[form.pattern] == (literals(form.pattern), opening(form.pattern)), name
    assert index.vocabulary() == vocabulary.parsed()


def test_a_changed_file_is_read_itself() -> None:
    content = (PACKAGE / "formats" / "builtin" / "common.toml").read_bytes()
    assert index.indexed("common", content) and index.indexed("common", content.replace(b"ommon", b"omnon", 1)) is None
    assert index.indexed("uncommon", content) is None


@pytest.mark.parametrize(
    ("pattern", "expect"),
    [
        (r"^(?P<client_ip>[^ ]+) - \[x\]+ y?z*w{0,2}q(?P<status>[0-9]{3})$", (" - [x]", " ", "q")),
        (r"^a[]b]c\|d\.\d", ("a", "c|d.")),
        (r"^ab+c\\$", ("ab", "c\\")),
        (r"^[[\]x]:(?:a|b)?,", (":", ",")),
        (r"^GET|^POST", ()),
        (r"^(?i)get (?P<path>.*)", ()),
        (r"^(?i:get) (?P<path>.*)", ()),
    ],
)
def test_literals_of_a_pattern(pattern: str, expect: tuple[str, ...]) -> None:
    assert literals(pattern) == expect


@pytest.mark.parametrize(
    ("pattern", "fit", "unfit"),
    [
        (
            r"^\[?(?P<time>[0-9]{4}-[0-9]{2}(?:T[0-9]+)?)\]? (?P<level>INFO|WARN).*$",
            ["[2025-01] INFO x", "2025-01T1 WARN"],
            ["192.0.2.1 - - x", "2025-1", ""],
        ),
        (r"\x1b\[[0-9]+m.*", ["\x1b[31mred", "\x1b[3m"], ["31mred", "\x1b"]),
        (r"^(?:ab){2}c", ["ababc"], ["abc", "abab"]),
        (r"^a{2,3}b", ["aab", "aaab"], ["ab", "aa"]),
        (r"^(?:a|b+)c", ["ac", "bc", "bbc"], ["cc", "a"]),
        (r"^(?:ab)?c|x", ["abc", "c", "x"], ["b", ""]),
        (r"^[^ a]é*\\?", ["bé", "b\\"], ["a", " é"]),
    ],
)
def test_the_opening_of_a_pattern(pattern: str, fit: list[str], unfit: list[str]) -> None:
    assert [fits(opening(pattern), codes(line)) for line in [*fit, *unfit]] == [True] * len(fit) + [False] * len(unfit)
    assert opening(r"(?i)a") == opening("(?=a)b") == opening(".*") == opening("a?") == ()


@settings(max_examples=200)
@given(
    st.recursive(
        st.sampled_from(["a", "b", r"\[", "[ab]", r"[^]a]", r"\d", "."]),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.tuples(inner, st.sampled_from(["?", "*", "+", "{0,2}", "{2}"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
            st.tuples(st.sampled_from("ab"), st.sampled_from(["?", "*", "+", "{0,2}", "{2}"])).map("".join),
            st.tuples(inner, inner).map(lambda p: f"(?:{p[0]}|{p[1]})"),
            st.tuples(inner, inner).map("|".join),
        ),
        max_leaves=6,
    ),
    st.data(),
)
def test_each_line_that_matches_has_the_literals_and_the_opening(pattern: str, data: st.DataObject) -> None:
    line = data.draw(st.from_regex(pattern, fullmatch=True))
    assert fits(opening(pattern), codes(line)), (pattern, line)
    place = 0
    for text in literals(pattern):
        assert text in line[place:], (pattern, line)
        place = line.index(text, place) + len(text)


@pytest.mark.parametrize(("name", "number"), SAMPLES)
def test_sample(name: str, number: int) -> None:
    form = builtin()[name]
    sample = form.samples[number]
    if form.wraps:
        text = Wrapper(form)(Text.from_bytes(sample.line.encode()))
        about = text.envelope.row(0, named=True) if text.envelope is not None else {}
        assert {"payload": text.lines[0], **about} == {**dict.fromkeys(about), **sample.expect}
        return
    batch = reader(form, READING, named=True)(Text.from_bytes(sample.line.encode()))
    if sample.rejected:
        assert batch.rejected["reason"].to_list() == [sample.rejected]
        return
    assert batch.rejected.is_empty()
    row = batch.rows.row(0, named=True)
    for column, value in sample.expect.items():
        assert row[column] == value, column
    unsaid = {
        c for c, v in row.items() if v is not None and c not in sample.expect and c not in DERIVED and c != "line"
    }
    assert not unsaid, "the row has more than the sample says"


@pytest.mark.parametrize("name", list(builtin()))
def test_format_detects_its_own_samples(name: str) -> None:
    form = builtin()[name]
    lines = [line for s in form.samples if not s.rejected for line in s.line.split("\n")]
    if form.wraps:
        pytest.skip("a wrapper is found around other formats: see test_wrappers")
    found = Detector(builtin().values()).detect(lines)
    assert found is not None
    assert found.ranking[0].stack.name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = 1", "title"),
        ('title="a"\nlink="b"\nengine="x"', "engine"),
        ('title="a"\nlink="b"\nengine="delimited"\npattern="$status"', "sample"),
        (
            'title="a"\nlink="b"\nengine="delimited"\npattern="$a$b"\n[[sample]]\nline=""\nrejected=""',
            "nothing separates",
        ),
        ('title="a"\nlink="b"\nengine="json"\n[fields]\nx={role="colour"}\n[[sample]]\nline=""\nrejected="x"', "role"),
        ("title = [", "not TOML"),
    ],
)
def test_broken_format_file_says_where(text: str, words: str) -> None:
    with pytest.raises(FormatError) as caught:
        load("mine", text, "mine.toml")
    assert "mine.toml" in caught.value.what
    assert words in caught.value.what


def test_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(FormatError) as caught:
        named("combinde")
    assert "combined" in caught.value.hint


# ------------------------------------------------------------------ the two paths


def paths_agree(engine: Any, lines: list[str]) -> None:
    """Both paths give the same fields, or the same rejection, for every line of a chunk."""
    text = Text.from_bytes(("\n".join(lines) + "\n").encode())
    fast: Tokens = engine(text)
    slow = scan_lines(enumerate(text.lines.to_list()), engine.scan, engine.names)
    assert fast.fields.sort("line").to_dicts() == slow.fields.to_dicts()
    assert fast.rejected.sort("line").to_dicts() == slow.rejected.to_dicts()
    assert fast.ignored == slow.ignored


PATTERNS = [builtin()[n].pattern for n in ("common", "combined", "combined_time", "vhost_combined")] + [
    '$a - $b [$c] "$d" $e "$f" "$g"',
    'x=$a y="$b" $c;$d "$e"!',
    "$a $b $c",
    '"$a" "$b" "$c"',
    '[$a] "$b|$c" $d',
]
ALPHABET = ' "\\[]-=:;|!xab/\t\u00e9\x00\x0b\x85\u2028'


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATTERNS), st.lists(st.text(ALPHABET, max_size=40), min_size=1, max_size=12), st.randoms())
def test_paths_agree_on_anything(pattern: str, texts: list[str], draw: random.Random) -> None:
    parts = parse_pattern(pattern)
    lines = []
    for text in texts:
        line = pattern  # a line of the right shape, then damaged
        for part in parts:
            if not isinstance(part, str):
                line = line.replace(f"${part.name}", draw.choice(["", "a", "a b", "-", '\\"', "\\\\", text[:5]]), 1)
        lines.append(draw.choice([line, text, line + text, text + line, line[: len(line) // 2], mutated(line, draw)]))
    names = [part.name for part in parts if not isinstance(part, str)]
    paths_agree(Delimited(parts, names), lines)


def mutated(line: str, draw: random.Random) -> str:
    """Quotes added and removed, characters flipped, fields dropped, lines joined."""
    for _ in range(draw.randrange(1, 4)):
        place = draw.randrange(len(line) + 1)
        change = draw.randrange(7)
        if change == 0:
            line = line[:place] + '"' + line[place:]
        elif change == 1:
            line = line.replace('"', "", 1)
        elif change == 2:
            line = line[:place] + chr(draw.randrange(1, 0x250)) + line[place + 1 :]
        elif change == 3:
            words = line.split(" ")
            del words[draw.randrange(len(words))]
            line = " ".join(words)
        elif change == 4:
            line = line + line[place:]
        elif change == 5:
            line = line[:place] + "\\" + line[place:]
        else:
            line = line[:place]
    return line.replace("\n", " ").replace("\r", " ")


def test_paths_agree_on_mutated_real_lines(real_logs: Path) -> None:
    draw = random.Random(3)
    for kind, name in (("apache_combined", "combined"), ("nginx_combined", "combined"), ("apache_common", "common")):
        lines: list[str] = []
        for path in sorted((real_logs / kind).iterdir()):
            if path.suffix not in (".gz", ".jsonl"):
                lines += path.read_bytes().decode(errors="backslashreplace").splitlines()[:120]
        assert len(lines) > 20
        lines = [mutated(line, draw) if draw.random() < 0.7 else line.replace("\n", " ") for line in lines * 2]
        parts = parse_pattern(builtin()[name].pattern)
        paths_agree(Delimited(parts, [p.name for p in parts if not isinstance(p, str)]), lines)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.text(max_size=8)
    | st.floats(-1e6, 1e6).map(lambda f: round(f, 3)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["method", "status", "id", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
JSON_KEYS = st.sampled_from(
    ["status", "request", "request.method", "method", "user", "level", "ip", "time", "x", "duration_ms", "msg"]
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.dictionaries(JSON_KEYS, JSON_VALUES, max_size=6) | JSON_VALUES, min_size=1, max_size=8), st.booleans()
)
def test_json_paths_agree(values: list[Any], ascii_only: bool) -> None:
    form = builtin()["json"]
    engine = JsonLines(form.fields, list(form.fields))
    lines = pl.Series([json.dumps(value, ensure_ascii=ascii_only) for value in values], dtype=pl.String)
    fast = engine.fast(lines)
    sure = lines.gather(fast["line"])
    assert fast.drop("line").to_dicts() == [engine.scan(line) for line in sure]


def test_json_lane_hands_over_what_is_broken() -> None:
    form = builtin()["json"]
    engine = JsonLines(form.fields, list(form.fields))
    lines = pl.Series(['{"status":200}', '{"status":2', "[1]", "", "5", '{"status":200} x', '{"a":"\\ud800"}', "nul"])
    proven = engine.fast(lines)["line"].to_list()
    assert 0 in proven
    assert not {1, 2, 3, 4, 5} & {*proven}


PAIR_TEXTS = st.lists(
    st.sampled_from(
        [
            "method=GET",
            "path=/a",
            'path="/a b"',
            "status=200",
            "user=",
            'msg="x \\"y\\" z"',
            'ip="',
            'a="b"c',
            "word",
            "x=a=b",
            'user="q"',
        ]
    ),
    max_size=6,
).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(PAIR_TEXTS | st.text('ab= "\\', max_size=20), min_size=1, max_size=15))
def test_pairs_by_layout_are_the_pairs(texts: list[str]) -> None:
    form = builtin()["logfmt"]
    engine = Pairs(form.fields, list(form.fields))
    paths_agree(engine, [text for text in texts for _ in range(2)])


def test_one_bad_line_changes_no_other() -> None:
    good = [f'1.2.3.4 - - [17/Jan/2025:10:30:00 +0000] "GET /{i} HTTP/1.1" 200 5 "-" "-"' for i in range(50)]
    bad = [
        '1.2.3.4 - - [17/Jan/2025:10:30:00 +0000] "GET /x HTTP/1.1 200 5 "-" "-"',
        '"',
        '"""',
        "\x00",
        "\\",
        "[",
        '\\"',
    ]
    for broken in bad:
        lines = [*good[:25], broken, *good[25:]]
        batch = reader(builtin()["combined"], READING)(Text.from_bytes("\n".join(lines).encode()))
        assert batch.rows.sort("line")["path"].to_list() == [f"/{i}" for i in range(50)]
        assert batch.rejected["line"].to_list() == [25]


# ------------------------------------------------------------------ what servers really write

PREFIX = "1.2.3.4 - - [17/Jan/2025:10:30:00 +0000] "


@pytest.mark.parametrize(
    ("line", "expect"),
    [
        (PREFIX + '"-" 408 -', {"status": 408, "bytes": None, "method": None, "endpoint": "(malformed)"}),
        (PREFIX + '"" 400 0', {"status": 400, "endpoint": "(malformed)"}),
        (PREFIX + '"\\x16\\x03\\x01" 400 157', {"status": 400, "endpoint": "(malformed)"}),
        (PREFIX + '"GET /" 200 1', {"method": "GET", "path": "/", "protocol": None}),
        (PREFIX + '"GET /a b?c d HTTP/1.1" 200 1', {"path": "/a b", "query": "c d"}),
        (PREFIX + '"GET /\\"x\\" HTTP/1.1" 200 1', {"path": '/\\"x\\"'}),
        (PREFIX + '"GET /\\x22 HTTP/1.1" 200 1', {"path": "/\\x22"}),
        (PREFIX + '"GET / HTTP/1.1" 499 -', {"status": 499, "bytes": None}),
        (PREFIX + '"GET / HTTP/1.1" 000 -', {"status": None}),
        (PREFIX + '"GET http://h:80/p?q HTTP/1.1" 200 1', {"host": "h:80", "path": "/p", "query": "q"}),
        (PREFIX + '"CONNECT h:443 HTTP/1.1" 200 1', {"path": "h:443"}),
        (PREFIX + '"OPTIONS * HTTP/1.0" 200 1', {"path": "*"}),
        (
            '::1 - john doe [17/Jan/2025:10:30:00 +0000] "GET / HTTP/1.1" 200 1',
            {"client_ip": "::1", "user_id": "john doe"},
        ),
        ('1.2.3.4 - - [-] "GET / HTTP/1.1" 200 1', {"timestamp": None, "status": 200}),
        (
            '1.2.3.4 - - [01/Jan/0001:00:00:00 +0000] "GET / HTTP/1.1" 200 1',
            {"timestamp": datetime(1, 1, 1, tzinfo=UTC)},
        ),
        ('1.2.3.4 - - [31/Dec/9999:23:59:59 -0800] "GET / HTTP/1.1" 200 1', {"timestamp": None}),
    ],
)
def test_accepted(line: str, expect: dict[str, Any]) -> None:
    batch = reader(builtin()["common"], READING)(Text.from_bytes(line.encode()))
    assert batch.rejected.is_empty(), batch.rejected
    row = batch.rows.row(0, named=True)
    assert {column: row[column] for column in expect} == expect


@pytest.mark.parametrize(
    ("text", "invalid", "milliseconds"),
    [
        ("-0.001", 1, None), ("nan", 1, None), ("inf", 1, None), ("1e300", 1, None), ("-", 0, None), ("abc", 1, None),
        ("0.000", 0, 0.0), ("0.0015", 0, 1.5), ("123456.789", 0, 123456789.0),
    ],
)  # fmt: skip
def test_durations(text: str, invalid: int, milliseconds: float | None) -> None:
    line = PREFIX + f'"GET / HTTP/1.1" 200 1 "-" "-" {text}'
    batch = reader(builtin()["combined_time"], READING)(Text.from_bytes(line.encode()))
    assert batch.rejected.is_empty()
    assert {name: len(lines) for name, lines in batch.invalid.items()} == ({"duration": 1} if invalid else {})
    assert batch.rows["duration_ms"].to_list() == [milliseconds]


def test_bytes_that_are_not_utf8_become_text() -> None:
    batch = reader(builtin()["common"], READING)(
        Text.from_bytes(PREFIX.encode() + b'"GET /\xff\xc3\xa9 HTTP/1.1" 200 1')
    )
    assert batch.rows["path"].to_list() == ["/\\xffé"]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", [""]),
        (b"\n\n", ["", ""]),
        (b"\r\n", [""]),
        (b"a\r\n b\rc\r\n", ["a", " b\rc"]),
        (b"a\r\r\n\nlast", ["a", "", "last"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\xef\xbb\xbf\n", ["a", "b\ufeff"]),  # two files in one
        (b"\0\0a\n", ["a"]),
        (b"a\0\0b\nc\n", ["\0a\0\0b", "c"]),  # a hole, which begins what no format reads
    ],
)
def test_text_has_the_lines(data: bytes, lines: list[str]) -> None:
    assert Text.from_bytes(data).lines.to_list() == lines


# ------------------------------------------------------------------ the server's own definition

NGINX = """log_format timed '$remote_addr - $remote_user [$time_local] "$request" '
                 '$status $body_bytes_sent "$http_referer" '
                 '"$http_user_agent" rt=$request_time up="$upstream_response_time"';"""
APACHE = r'LogFormat "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" %{ms}T" timed'
LINE = '203.0.113.7 - bob [17/Jan/2025:10:30:00 +0100] "GET /x?y HTTP/1.1" 200 512 "-" "curl"'


@pytest.mark.parametrize(
    ("definition", "line", "milliseconds"),
    [
        (NGINX, LINE + ' rt=0.125 up="0.1, 0.2"', 125.0),
        (APACHE, LINE + " 125", 125.0),
        ('%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %D', LINE + " 125000", 125.0),
        ('%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %T %{X}e', LINE + " 2 foo bar", 2000.0),
        ('\'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$a" "$b"\'', LINE, None),
    ],
)
def test_log_format(definition: str, line: str, milliseconds: float | None) -> None:
    batch = reader(compile_log_format(definition), READING)(Text.from_bytes(line.encode()))
    row = batch.rows.row(0, named=True)
    assert row["client_ip"] == "203.0.113.7"
    assert row["user_id"] == "bob"
    assert row["timestamp"] == datetime(2025, 1, 17, 9, 30, tzinfo=UTC)
    assert (row["method"], row["path"], row["query"], row["status"], row["bytes"]) == ("GET", "/x", "y", 200, 512)
    assert row["duration_ms"] == milliseconds


def test_log_format_of_json() -> None:
    form = compile_log_format(
        'log_format j escape=json \'{"t":"$time_iso8601","m":"$request_method",\' '
        '\'"u":"$request_uri","s":$status,"rt":$request_time}\';'
    )
    batch = reader(form, READING)(
        Text.from_bytes(b'{"t":"2025-01-17T10:30:00+01:00","m":"PUT","u":"/a?b","s":200,"rt":0.25}')
    )
    row = batch.rows.row(0, named=True)
    assert (row["method"], row["path"], row["status"], row["duration_ms"]) == ("PUT", "/a", 200, 250.0)


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        ("$remote_addr$status", 12),
        ("$status $http_user_agent $ssl_client_s_dn", 8),
        ("%h%s", 2),
        ("%h %{User-Agent}i %{SSL_CLIENT_S_DN}x", 3),
    ],
)
def test_ambiguous_log_format_is_refused_with_its_place(definition: str, place: int) -> None:
    with pytest.raises(FormatError) as caught:
        compile_log_format(definition)
    *_, shown, caret = caught.value.what.split("\n")
    assert shown.strip() == definition
    assert caret.index("^") - 2 == place


def test_scan_is_linear() -> None:
    """A line of a million quotes or backslashes takes no longer than it should."""
    parts = parse_pattern(builtin()["combined"].pattern)
    for evil in ('"' * 1_000_000, "\\" * 1_000_000 + '"', '\\"' * 500_000, "[" * 1_000_000):
        with pytest.raises(Reject):
            scan(parts, f'1.1.1.1 - - [x] "{evil}')
