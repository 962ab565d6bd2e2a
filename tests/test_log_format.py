"""--log-format: a server's own definition means exactly what that server writes.

Lines of the tables are as the servers' documentation says that they are written; those of nginx and Apache are also
written by the servers themselves, where they are installed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from program import invoke
from reference import apache, nginx_default, nginx_json

from logstats.endpoints import Endpoints
from logstats.errors import FormatError
from logstats.formats.fields.columns import ReadOptions
from logstats.formats.log_format.compile import compile_log_format
from logstats.formats.reader import reader
from logstats.formats.text import Text

READING = ReadOptions(Endpoints(templates=False))
AT = datetime(2025, 1, 17, 10, 30, tzinfo=UTC)
CLF = "17/Jan/2025:10:30:00 +0000"


def read(definition: str, *lines: str) -> list[dict[str, Any]]:
    """The rows of some lines, none of which may be rejected."""
    batch = reader(compile_log_format(definition), READING)(Text.from_bytes("\n".join(lines).encode()))
    assert batch.rejected.is_empty(), (definition, batch.rejected.to_dicts())
    return batch.rows.to_dicts()


def check(definition: str, line: str, expected: dict[str, Any]) -> None:
    (row,) = read(definition, line)
    assert {name: row[name] for name in expected} == expected


# ------------------------------------------------------------------ times

# definition (of the time), as it is written, and when that was
TIMES = [
    ("[%{%d/%b/%Y:%H:%M:%S}t.%{usec_frac}t]", "[17/Jan/2025:10:30:00.123456]", AT.replace(microsecond=123456)),
    (
        "[%{%d/%b/%Y:%H:%M:%S}t.%{msec_frac}t %{%z}t]",
        "[17/Jan/2025:11:30:00.123 +0100]",
        AT.replace(microsecond=123000),
    ),
    ("[%{%d/%b/%Y %T}t.%{msec_frac}t]", "[17/Jan/2025 10:30:00.123]", AT.replace(microsecond=123000)),
    ("%{begin:%Y-%m-%d}tT%{begin:%H:%M:%S}t", "2025-01-17T10:30:00", AT),
    ("%{%Y-%m-%d}t %{%H:%M:%S}t", "2025-01-17 10:30:00", AT),
    ("%{%Y%m%d%H%M%S}t", "20250117103000", AT),
    ("%{%Y%m%d}t%{%H%M%S}t", "20250117103000", AT),
    ("%{%Y%m%d%H%M%S}t%{msec_frac}t", "20250117103000123", AT.replace(microsecond=123000)),
    ("%{%y%m%d %H:%M}t", "250117 10:30", AT),
    ("%{%d.%m.%Y %I:%M:%S %p}t", "17.01.2025 10:30:00 PM", AT.replace(hour=22)),
    ("%{%A, %d %B %Y %H:%M:%S}t", "Friday, 17 January 2025 10:30:00", AT),
    ("%{%c}t", "Fri Jan 17 10:30:00 2025", AT),
    ("%{%c}t", "Tue Jan  7 10:30:00 2025", AT.replace(day=7)),
    ("%{%F %T %Z}t", "2025-01-17 10:30:00 GMT", AT),
    ("%{%FT%T%z}t", "2025-01-17T11:30:00+0100", AT),
    ("%{%D %r}t", "01/17/25 10:30:00 AM", AT),
    ("%{%Y-%j %R}t", "2025-017 10:30", AT),
    ("%{sec}t", "1737109800", AT),
    ("%{sec}t.%{usec_frac}t", "1737109800.123456", AT.replace(microsecond=123456)),
    ("%{sec}t,%{msec_frac}t", "1737109800,123", AT.replace(microsecond=123000)),
    ("%{msec}t", "1737109800123", AT.replace(microsecond=123000)),
    ("%{end:usec}t", "1737109800123456", AT.replace(microsecond=123456)),
    ("%{%s}t", "1737109800", AT),
    ("%t %{usec_frac}t", f"[{CLF}] 123456", AT.replace(microsecond=123456)),
    ("%t %{msec}t", f"[{CLF}] 1737109800123", AT.replace(microsecond=123000)),
    ("%{%H:%M:%S}t (%{%d/%b/%Y}t)", "10:30:00 (17/Jan/2025)", AT),
    ("%{sec}t %{msec_frac}t", "1737109800 123", AT.replace(microsecond=123000)),
    ("[%t]", f"[[{CLF}]]", AT),
    ("[%t]", f"[{CLF}]", AT),  # Logback's %t has no brackets of its own
]


@pytest.mark.parametrize(("form", "written", "at"), TIMES)
@pytest.mark.parametrize("around", ['%h {} "%r" %>s', '{} %h "%r" %>s', "%h|{}|%>s", "%h %>s {}", '"{}" %h %>s'])
def test_time(form: str, written: str, at: datetime, around: str) -> None:
    line = around.format(written).replace("%h", "192.0.2.7").replace("%r", "GET /a HTTP/1.1").replace("%>s", "200")
    check(around.format(form), line, {"timestamp": at, "client_ip": "192.0.2.7", "status": 200})


def test_time_of_java() -> None:
    """Tomcat's %{…}t is a SimpleDateFormat: https://tomcat.apache.org/tomcat-9.0-doc/config/valve.html"""
    for form, written in (
        ("yyyy-MM-dd HH:mm:ss.SSS", "2025-01-17 10:30:00.123"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2025-01-17T11:30:00.123+01:00"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2025-01-17T10:30:00.123Z"),
        ("end:yyyy-MM-dd'T'HH:mm:ss.SSSX", "2025-01-17T11:30:00.123+01"),
        ("dd/MMM/yyyy:HH:mm:ss.SSS Z", "17/Jan/2025:11:30:00.123 +0100"),
    ):
        definition = f"%h [%{{{form}}}t] &quot;%r&quot; %s"
        check(definition, f'192.0.2.7 [{written}] "GET /a HTTP/1.1" 200', {"timestamp": AT.replace(microsecond=123000)})


@pytest.mark.parametrize("form", ["%{%d/%b %H:%M}t", "%{%H:%M:%S}t", "%{%Y-%m-%d}t", "%{msec_frac}t"])
def test_a_time_that_says_too_little_is_said(form: str) -> None:
    made = compile_log_format(f'%h [{form}] "%r" %>s')
    assert any("untimed" in note for note in made.notes)
    assert not any(field.role == "timestamp" for field in made.fields.values())


# ------------------------------------------------------------------ what is around a variable

GET = {"method": "GET", "path": "/a", "query": "b=1", "status": 200}
UNQUOTED = [
    ("$remote_addr | $request | $status", "192.0.2.7 | GET /a?b=1 HTTP/1.1 | 200", {**GET, "protocol": "HTTP/1.1"}),
    ("$remote_addr -- $request -- $status", "192.0.2.7 -- GET /a?b=1 HTTP/1.1 -- 200", GET),
    ("$remote_addr $request $status", "192.0.2.7 GET /a?b=1 HTTP/1.1 200", GET),
    ("%h %r %>s", "192.0.2.7 GET /a?b=1 HTTP/1.1 200", {**GET, "client_ip": "192.0.2.7"}),
    ("%r %>s", "GET /a b?b=1 HTTP/1.1 200", {**GET, "path": "/a b"}),
    ("%h %r %>s", "192.0.2.7 - 408", {"method": None, "path": None, "status": 408}),
    ("%h %r %>s", r"192.0.2.7 \x16\x03\x01 a 400", {"method": None, "status": 400}),
    ("%h %m %U%q %H %>s", "192.0.2.7 GET /a?b=1 HTTP/1.1 200", GET),
    ('%h "%m %U%q %H" %>s', '192.0.2.7 "GET /a c?b=1 HTTP/1.1" 200', {**GET, "path": "/a c"}),
    ("%h %U%q %>s", "192.0.2.7 /a?b=1 200", {"path": "/a", "query": "b=1", "status": 200}),
    ("%h %U%q %>s", "192.0.2.7 /a 200", {"path": "/a", "query": None, "status": 200}),
    ("%h %v%U%q %>s", "192.0.2.7 example.com/a?b=1 200", {"path": "/a", "query": "b=1", "host": "example.com"}),
    ('"$scheme://$host$request_uri" $status', '"https://example.com/a?b=1" 200', {"path": "/a", "host": "example.com"}),
    ("$scheme://$http_host$uri$is_args$args $status", "http://h.example/a?b=1 200", {"path": "/a", "query": "b=1"}),
    ("$request_method $scheme://$host:$server_port$request_uri", "GET http://h.example:80/a?b=1", {"path": "/a"}),
    ('$status "$request_method $uri$is_args$args $server_protocol"', '200 "GET /a?b=1 HTTP/1.1"', GET),
    ("$status $http_x_forwarded_proto://$http_host$request_uri", "200 -://h.example/a", {"path": "/a"}),
    # nginx writes `-` for $args where there are none, and nothing for $is_args.
    ('"$request_method $uri$is_args$args $server_protocol" $status', '"GET /a- HTTP/1.1" 200', {"path": "/a"}),
    ("$status $uri$is_args$args", "200 /a-", {"path": "/a", "query": None}),
    ("$status $uri?$args", "200 /a?-", {"path": "/a", "query": None}),
    ("$status $uri?$args", "200 /a?b=1", {"path": "/a", "query": "b=1"}),
    ("$http_user_agent $status $remote_addr", "A B/1.0 (c d) 200 192.0.2.7", {"user_agent": "A B/1.0 (c d)"}),
    ("$status,$http_user_agent,$remote_addr", "200,A, b,192.0.2.7", {"user_agent": "A, b", "client_ip": "192.0.2.7"}),
    ("$remote_addr\\t$request\\t$status", "192.0.2.7\tGET /a?b=1 HTTP/1.1\t200", GET),
    ("%h\\t%r\\t%>s", "192.0.2.7\tGET /a?b=1 HTTP/1.1\t200", GET),
    (
        "$upstream_response_time $request_time $status",
        "0.010, 0.020 : - 0.5 200",
        {"duration_ms": 500.0, "status": 200},
    ),
    (
        '%t %h %{SSL_PROTOCOL}x %{SSL_CIPHER}x "%r" %b',
        f'[{CLF}] 192.0.2.7 TLSv1.3 TLS_AES_256_GCM_SHA384 "GET /a?b=1 HTTP/1.1" 5',
        {"path": "/a", "bytes": 5, "timestamp": AT},
    ),
    ("%h %{X}i %{Y}e %>s", "192.0.2.7 one two 200", {"status": 200}),
    ("%h %{X}i %>s", "192.0.2.7 one two three 200", {"status": 200}),
    ("%{Referer}i -> %U", "https://example.com/ -> /a", {"referer": "https://example.com/", "path": "/a"}),
    ("$http_referer $http_user_agent $status", "- A B/1 200", {"user_agent": "A B/1", "status": 200}),
    ("$request_time|$status|$namespace|$req_id", "0.5|200|x|abc", {"duration_ms": 500.0, "trace_id": "abc"}),
    ("urt=$upstream_response_time rt=$request_time", "urt=0.1, 0.2 rt=0.5", {"duration_ms": 500.0}),
    ("$remote_user|$upstream_addr|$status", "john doe|10.0.0.1:80, 10.0.0.2:80|401", {"user_id": "john doe"}),
    (
        '%u %t "%r" %>s %{Content-Type}o %b',
        f'john doe [{CLF}] "GET /a?b=1 HTTP/1.1" 200 text/html; charset=utf-8 5',
        {**GET, "user_id": "john doe", "bytes": 5},
    ),
    (
        "$remote_user@$host $status",
        "bob@corp.example@h.example 200",
        {"user_id": "bob@corp.example", "host": "h.example"},
    ),
    ('%h %{hextid}P "%r" %>s', '192.0.2.7 7f3b2c1d "GET /a?b=1 HTTP/1.1" 200', {**GET, "client_ip": "192.0.2.7"}),
    # Where one variable ends and the next begins makes no difference if both are ignored.
    ("$upstream_scheme://$upstream_host$upstream_uri $status", "http://h.example:80/x 200", {"status": 200}),
    # nginx's status of an HTTP/0.9 request
    ('"$request" $status $body_bytes_sent', '"GET /a" 009 12', {"path": "/a", "status": None, "bytes": 12}),
    # Tengine
    ("$unix_time $status $request_time_msec $request_time_usec", "1737109800 200 12 12345", {"duration_ms": 12.345}),
    ("$year-$month-$day $hour:$minute:$second $status", "2025-01-17 10:30:00 200", {"timestamp": AT}),
    # NGINX Unit
    ('"$request_line" $status "$header_user_agent"', '"GET /a?b=1 HTTP/1.1" 200 "UA"', {**GET, "user_agent": "UA"}),
    ("$method $request_uri $status $header_host", "GET /a?b=1 200 h.example", {**GET, "host": "h.example"}),
    # A session of nginx's stream module
    ("$remote_addr $protocol $status $session_time", "192.0.2.7 TCP 200 12.345", {"duration_ms": 12345.0}),
]


@pytest.mark.parametrize(("definition", "line", "expected"), UNQUOTED)
def test_what_is_written_around(definition: str, line: str, expected: dict[str, Any]) -> None:
    check(definition, line, expected)


@pytest.mark.parametrize(
    ("line", "method"),
    [
        ("GET /a", "GET"),
        ("get /a", "get"),
        ("- -", None),
        (r"\x16\x03\x01 /a", r"\x16\x03\x01"),  # as Apache writes what a client sent instead of a method
        (f'192.0.2.7 - - [{CLF}] "GET /a HTTP/1.1" 200 5', "bad_method"),
        ("[x] GET /a", "bad_method"),
    ],
)
def test_a_definition_of_two_words_does_not_take_every_line(line: str, method: str | None) -> None:
    batch = reader(compile_log_format("%m %U"), READING, named=True)(Text.from_bytes(line.encode()))
    if method == "bad_method":
        assert batch.rejected["reason"].to_list() == [method]
    else:
        assert batch.rows["method"].to_list() == [method]


CLIENTS = [
    ("$remote_addr:$remote_port", "2001:db8::1:52044", "2001:db8::1"),
    ("$remote_addr:$remote_port", "192.0.2.7:52044", "192.0.2.7"),
    ("[$remote_addr]:$remote_port", "[2001:db8::1]:52044", "2001:db8::1"),
    ("%a:%{remote}p", "2001:db8::1:52044", "2001:db8::1"),
    ("%{X-Forwarded-For}i %l %u", "203.0.113.9, 198.51.100.2 - -", "203.0.113.9"),
    ("%{X-Forwarded-For}i %l %u", "unknown, 198.51.100.2 - bob", "198.51.100.2"),
    ("%{X-Forwarded-For}i %h", "203.0.113.9, 198.51.100.2 192.0.2.7", "192.0.2.7"),
    ("%h %{X-Forwarded-For}i", "192.0.2.7 203.0.113.9, 198.51.100.2", "192.0.2.7"),
    ("$http_x_forwarded_for - $remote_user", "2001:db8::9, 192.0.2.1 - -", "2001:db8::9"),
    ("$http_x_real_ip - $remote_user", "203.0.113.9 - -", "203.0.113.9"),
    ("$http_cf_connecting_ip - $remote_addr", "203.0.113.9 - 192.0.2.7", "192.0.2.7"),
    ("$http_cf_connecting_ip -", "203.0.113.9 -", "203.0.113.9"),
    ("$http_true_client_ip $proxy_protocol_addr", "203.0.113.9 192.0.2.7", "192.0.2.7"),
    ("%{CF-Connecting-IP}i %l", "203.0.113.9 -", "203.0.113.9"),
    ("%{c}a %a", "198.51.100.1 192.0.2.7", "192.0.2.7"),
    ("%h %a", "host.example 192.0.2.7", "192.0.2.7"),
    ("%{peer}a %{remote}a", "198.51.100.1 192.0.2.7", "192.0.2.7"),  # Tomcat
    ("$http_x_forwarded_for -", "a b, 203.0.113.9:443, x -", "203.0.113.9"),
    ("$http_x_forwarded_for -", "unknown -", None),
    ("$http_x_forwarded_for -", "<script> -", None),
    ("%{c}a", "198.51.100.1", "198.51.100.1"),
    ("$realip_remote_addr $remote_addr", "198.51.100.1 192.0.2.7", "192.0.2.7"),
]


@pytest.mark.parametrize(("definition", "written", "client"), CLIENTS)
def test_client(definition: str, written: str, client: str | None) -> None:
    nginx = "$" in definition
    definition += ' [$time_local] "$request" $status' if nginx else ' %t "%r" %>s'
    check(definition, f'{written} [{CLF}] "GET /a HTTP/1.1" 200', {"client_ip": client, "timestamp": AT, "status": 200})


@pytest.mark.parametrize("begins_first", [True, False])
def test_when_a_request_begins_is_its_time_however_fine_its_end_is(begins_first: bool) -> None:
    parts = [("%{begin:%Y-%m-%dT%T}t", "2025-01-17T10:30:00"), ("%{end:msec}t", "1737109805250")]
    forms, texts = zip(*(parts if begins_first else parts[::-1]), strict=True)
    check(f'%h {" ".join(forms)} "%r" %>s', f'192.0.2.7 {" ".join(texts)} "GET /a HTTP/1.1" 200', {"timestamp": AT})


DURATIONS = [
    ("%T %D", "1 1400123", 1400.123),
    ("%D/%T", "1400123/1", 1400.123),
    ("%{ms}T %T", "1400 1", 1400.0),
    ("%{us}T", "1400123", 1400.123),
    ("$request_time $upstream_response_time", "0.016 0.004, 0.012", 16.0),
    ("$upstream_header_time $request_time", "- 0.016", 16.0),
]


@pytest.mark.parametrize(("definition", "written", "milliseconds"), DURATIONS)
def test_the_finest_duration_counts(definition: str, written: str, milliseconds: float) -> None:
    status = "$status" if "$" in definition else "%>s"
    check(f"{status} {definition}", f"200 {written}", {"duration_ms": milliseconds, "status": 200})
    check(f"{definition} {status}", f"{written} 200", {"duration_ms": milliseconds, "status": 200})


def test_bytes_are_those_of_the_body() -> None:
    check("%I %O %S %b %X %k %P %>s", "77 305 382 5 + 0 42 200", {"bytes": 5, "status": 200})
    check("$bytes_sent $body_bytes_sent $status", "305 5 200", {"bytes": 5})


# ------------------------------------------------------------------ what was pasted

LINE = f'192.0.2.7 - - [{CLF}] "GET /a HTTP/1.1" 200 5'
PASTED = [
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent',
    "'$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent'",
    '"$remote_addr - $remote_user [$time_local] \\"$request\\" $status $body_bytes_sent"',
    "'$remote_addr - $remote_user [$time_local] '\n'\"$request\" $status $body_bytes_sent';",
    "log_format main '$remote_addr - $remote_user [$time_local] '\n  '\"$request\" $status $body_bytes_sent';",
    "log_format main escape=default '$remote_addr - $remote_user [$time_local] ' '\"$request\" $status ' "
    "$body_bytes_sent;",
    '\tlog_format  main  "$remote_addr - ${remote_user} [$time_local] \\"$request\\" $status $body_bytes_sent" ;\n',
    "log_format main '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent';\n"
    "access_log /var/log/nginx/access.log main;",
    "#log_format  main  '$remote_addr - $remote_user [$time_local] \"$request\" '\n"
    "#                  '$status $body_bytes_sent';",
    '%h %l %u %t "%r" %>s %b',
    '"%h %l %u %t \\"%r\\" %>s %b"',
    'LogFormat "%h %l %u %t \\"%r\\" %>s %b" common',
    "LogFormat '%h %l %u %t \"%r\" %>s %b' common",
    'LogFormat "%h %l %u %t \\\n  \\"%r\\" %>s %b"',
    'CustomLog ${APACHE_LOG_DIR}/access.log "%h %l %u %t \\"%r\\" %>s %b" env=!dontlog',
    'CustomLog "|/usr/bin/rotatelogs /var/log/a 86400" "%h %l %u %t \\"%r\\" %>s %b"',
    '<Valve className="org.apache.catalina.valves.AccessLogValve" directory="logs"\n'
    '  pattern="%h %l %u %t &quot;%r&quot; %s %b" />',
    "%h %l %u %t &quot;%r&quot; %s %b",
    '%(h)s %(l)s %(u)s [17/Jan/2025:10:30:00 +0000] "%(r)s" %(s)s %(b)s',
    # with what stands around it
    "http {\n  log_format main '$remote_addr - $remote_user [$time_local] ' # who\n   # and what\n"
    "    '\"$request\" $status $body_bytes_sent';\n}",
    '<IfModule logio_module>\n  # for %I and %O\n  LogFormat "%h %l %u %t \\"%r\\" %>s %b" x\n</IfModule>',
    '<VirtualHost *:80>\n  CustomLog a.log "%h %l %u %t \\"%r\\" %>s %b"\n</VirtualHost>',
    "log-format-upstream: '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent'",
    "data:\n  log-format-upstream: >-\n    $remote_addr - $remote_user [$time_local]\n"
    '    "$request" $status $body_bytes_sent',
    'accesslog.format = "%h %l %u %t \\"%r\\" %>s %b"',
    'server.tomcat.accesslog.pattern=%h %l %u %t "%r" %s %b',
    "server.tomcat.accesslog.pattern=common",
    '<Valve className="org.apache.catalina.valves.AccessLogValve" pattern="common"/>',
    '<encoder><pattern>%h %l %u [%t] "%r" %s %b</pattern></encoder>',
    "access_log_format = (\n    '%(h)s %(l)s %(u)s %(t)s '\n    '\"%(r)s\" %(s)s %(b)s'\n)",
    "--access-logformat '%(h)s %(l)s %(u)s %(t)s \"%(r)s\" %(s)s %(b)s'",
]


@pytest.mark.parametrize("pasted", PASTED)
def test_pasted(pasted: str) -> None:
    expected = {"client_ip": "192.0.2.7", "method": "GET", "path": "/a", "status": 200, "bytes": 5}
    check(pasted, LINE, expected | ({} if "(h)" in pasted else {"timestamp": AT}))


@pytest.mark.parametrize(
    ("definition", "line"),
    [
        ('"%r" %>s %h %t', f'"GET /a HTTP/1.1" 200 192.0.2.7 [{CLF}]'),
        ('"$request" "$status" "$remote_addr" "$time_local"', f'"GET /a HTTP/1.1" "200" "192.0.2.7" "{CLF}"'),
        ('"$request";$status;"$remote_addr";"$time_local"', f'"GET /a HTTP/1.1";200;"192.0.2.7";"{CLF}"'),
        ("'$request' $status '$remote_addr' [$time_local]", f"'GET /a HTTP/1.1' 200 '192.0.2.7' [{CLF}]"),
        ("$time_local;$status;$remote_addr;$request;", f"{CLF};200;192.0.2.7;GET /a HTTP/1.1;"),
    ],
)
def test_a_string_that_begins_with_a_quote_is_a_format(definition: str, line: str) -> None:
    check(definition, line, {"path": "/a", "status": 200, "client_ip": "192.0.2.7", "timestamp": AT})


def test_the_name_of_a_format_means_the_same() -> None:
    """An archive records a source's format by its name, and compiles it again."""
    for pasted in PASTED:
        made = compile_log_format(pasted)
        again = compile_log_format(made.name.removeprefix("log_format:"))
        assert (again.engine, again.pattern, again.fields) == (made.engine, made.pattern, made.fields)


# ------------------------------------------------------------------ JSON templates

JSON = [
    (
        'escape=json \'{"t":"$time_iso8601","http":{"m":"$request_method","uri":["$request_uri"],"s":$status},'
        '"rt":$request_time,"ua":"$http_user_agent"}\'',
        '{"t":"2025-01-17T10:30:00+00:00","http":{"m":"GET","uri":["/a?b=1"],"s":200},'
        '"rt":0.012,"ua":"a \\"b\\" \\\\"}',
        {**GET, "timestamp": AT, "duration_ms": 12.0, "user_agent": 'a "b" \\'},
    ),
    (
        'escape=json \'{"url":"$scheme://$host$request_uri","urt":$upstream_response_time,"s":$status}\'',
        '{"url":"https://example.com/a?b=1","urt":,"s":200}',
        {"path": "/a", "query": "b=1", "host": "example.com", "status": 200},
    ),
    (
        'escape=json \'{"urt":$upstream_response_time, "s":$status, "u":"$remote_user"}\'',
        '{"urt":0.003, 0.004, "s":200, "u":""}',
        {"status": 200, "user_id": None},
    ),
    ('\'{"urt":$upstream_response_time,"s":$status}\'', '{"urt":-,"s":200}', {"status": 200}),
    (
        '\'{"r":"$request","s":$status,"ua":"$http_user_agent"}\'',
        '{"r":"GET /a?b=\\x221 HTTP/1.1","s":200,"ua":"x \\x5C\\x22"}',
        {"path": "/a", "query": "b=\\x221", "user_agent": "x \\x5C\\x22"},
    ),
    ('\'{"time": $time_local, "s": $status}\'', '{"time": 17/Jan/2025:10:30:00 +0000, "s": 200}', {"timestamp": AT}),
    ('escape=none \'{"ua":"$http_user_agent","s":$status}\'', '{"ua":"a "b" c","s":200}', {"user_agent": 'a "b" c'}),
    ('escape=json \'{"c":"$remote_addr:$remote_port","s":$status}\'', '{"c":"::1:80","s":200}', {"client_ip": "::1"}),
]


@pytest.mark.parametrize(("definition", "line", "expected"), JSON)
def test_json_template(definition: str, line: str, expected: dict[str, Any]) -> None:
    check(f"log_format j {definition};", line, expected)
    if definition.startswith("escape="):  # without what stands before it
        check(definition, line, expected)
        check(f"j {definition}", line, expected)


# ------------------------------------------------------------------ what other servers write

OTHERS = [
    # Tomcat before 10 writes %D in milliseconds, and %T with a fraction.
    ("%h %t &quot;%r&quot; %s %b %D", f'192.0.2.7 [{CLF}] "GET /a HTTP/1.1" 200 5 40', {"duration_ms": 40.0}),
    ("%h %{X}r &quot;%r&quot; %s %T", '192.0.2.7 x "GET /a HTTP/1.1" 200 0.040', {"duration_ms": 40.0}),
    ("%h %t &quot;%r&quot; %s %I", f'192.0.2.7 [{CLF}] "GET /a HTTP/1.1" 200 http-nio-8080-exec-1', {"status": 200}),
    # `%F` is Tomcat's, unless it is strftime's; a unit behind `%D` says whose it is.
    ("%h %{%F %T}t %D", "192.0.2.7 2025-01-17 10:30:00 40123", {"duration_ms": 40.123, "timestamp": AT}),
    ("%h %s %F %D", "192.0.2.7 200 3 40", {"duration_ms": 40.0}),
    (
        "%t %{X-AUSERNAME}o %I %h %r %s %Dms %b",
        f"[{CLF}] bob http-nio-8090-exec-1 192.0.2.7 GET /a?b=1 HTTP/1.1 200 40ms 5",
        {**GET, "duration_ms": 40.0, "bytes": 5},
    ),
    # Undertow: https://undertow.io/undertow-docs/undertow-docs-2.1.0/index.html#access-log-handler
    ('%h %t "%r" %s %b "%{i,Referer}" %D', f'192.0.2.7 [{CLF}] "GET /a HTTP/1.1" 200 5 "-" 40', {"duration_ms": 40.0}),
    # Jetty's CustomRequestLog; %D is microseconds.
    ('%{client}a - %u %t "%r" %s %O %D', f'192.0.2.7 - - [{CLF}] "GET /a HTTP/1.1" 200 5 40', {"duration_ms": 0.04}),
    # gunicorn
    ('%(h)s "%(r)s" %(s)s %(M)s "%(a)s"', '192.0.2.7 "GET /a HTTP/1.1" 200 40 "UA"', {"duration_ms": 40.0}),
    ('%(h)s "%(r)s" %(s)s %(L)s %(T)s', '192.0.2.7 "GET /a HTTP/1.1" 200 0.040123 0', {"duration_ms": 40.123}),
    ("%(h)s %(m)s %(U)s?%(q)s %(s)s %({x-request-id}i)s", "192.0.2.7 GET /a?b=1 200 abc", {**GET, "trace_id": "abc"}),
    ("%(h)s %(p)s %(r)s %(s)s %(L)s", "192.0.2.7 <42> GET /a HTTP/1.1 200 0.040123", {"duration_ms": 40.123}),
    # Hypercorn's clients have a port.
    ("%(h)s %(m)s %(Uq)s %(s)s %(S)s %(st)s", "192.0.2.7:52044 GET /a?b=1 404 https Not Found", {**GET, "status": 404}),
    # uWSGI does not escape quotes.
    (
        '%(addr) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size) "%(uagent)" %(msecs)/%(micros)',
        f'192.0.2.7 [{CLF}] "GET /a?b=1 HTTP/1.1" 200 305 "a "b"" 40/40123',
        {**GET, "timestamp": AT, "bytes": 305, "user_agent": 'a "b"', "duration_ms": 40.123},
    ),
    (
        "log-format = %(ftime) %(pid):%(core) %(addr) %(method) %(uri) %(status) %(rsize)b %(micros)us (%(vars)v)",
        "2025-01-17 10:30:00 42:0 192.0.2.7 GET /a?b=1 200 5b 40123us (36v)",
        {**GET, "bytes": 5, "duration_ms": 40.123},
    ),
    # Jetty writes brackets around each time, and %a is the server.
    (
        '%{client}a %a %{yyyy-MM-dd HH:mm:ss|UTC}t "%r" %s %{clf}O %{x}attr %{ms}T',
        '192.0.2.7 10.0.0.1 [2025-01-17 10:30:00] "GET /a?b=1 HTTP/1.1" 200 5 y 40',
        {**GET, "timestamp": AT, "bytes": 5, "duration_ms": 40.0},
    ),
    # Undertow and Quarkus
    (
        "%{time,yyyy-MM-dd'T'HH:mm:ssX} %{REMOTE_IP} \"%{REQUEST_LINE}\" %{RESPONSE_CODE} %{RESPONSE_TIME_MICROS}",
        '2025-01-17T10:30:00Z 192.0.2.7 "GET /a?b=1 HTTP/1.1" 200 40123',
        {**GET, "timestamp": AT, "duration_ms": 40.123},
    ),
    # Logback, of which Dropwizard and others make access logs
    (
        '%h %user [%t{ISO8601,UTC}] "%r" %s %b "%i{User-Agent}" %D',
        '192.0.2.7 bob [2025-01-17 10:30:00,123] "GET /a?b=1 HTTP/1.1" 200 5 "UA" 40',
        {**GET, "timestamp": AT.replace(microsecond=123000), "user_id": "bob", "user_agent": "UA", "duration_ms": 40.0},
    ),
    # H2O: %{duration}x is in seconds.
    (
        '%h "%r" %s %{connect-time}x %{duration}x',
        '192.0.2.7 "GET /a HTTP/2" 200 0.01 0.040123',
        {"duration_ms": 40.123},
    ),
    # aiohttp
    ('%a %t "%r" %s %b %Tf', f'192.0.2.7 [{CLF}] "GET /a HTTP/1.1" 200 5 0.040123', {"duration_ms": 40.123}),
]


@pytest.mark.parametrize(("definition", "line", "expected"), OTHERS)
def test_relatives_of_apache(definition: str, line: str, expected: dict[str, Any]) -> None:
    check(definition, line, {"client_ip": "192.0.2.7", **expected})


# ------------------------------------------------------------------ what is refused, and what is said

REFUSED = [
    ("$remote_addr $reqest_time $status", "$request_time"),
    ("$remote_addr $remote_adr", "$remote_addr"),
    ("$remote_addr $status $something_else", "--allow-unknown"),
    ('%h %{X}Z "%r"', "%{X}Z"),
    ('%h %Q "%r"', "%Q"),
    ("%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST", "HAProxy"),
    ('[%START_TIME%] "%REQ(:METHOD)% %PROTOCOL%" %RESPONSE_CODE%', "Envoy"),
    ('%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st', "Squid"),
    ("%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %un", "Squid"),
    ('logformat mine %>a %[ui [%tl] "%rm %ru HTTP/%rv" %>Hs %<st', "Squid"),
    ('log-format "%{+json}o %(client)ci %(status)ST"', "HAProxy"),
    ('%h %^[%d:%t %^] "%r" %s %b "%R" "%u"', "GoAccess"),
    ('LogFormat="%host %other %logname %time1 %methodurl %code %bytesd"', "AWStats"),
    ("#Fields: date time cs-method cs-uri-stem sc-status time-taken", "w3c"),
    ('<Valve className="…ExtendedAccessLogValve" pattern="date time cs-method cs-uri sc-status"/>', "W3C"),
    ('{"ip":"$context.identity.sourceIp","status":"$context.status"}', "aws_api_gateway"),
    ('{"t":"${time_rfc3339_nano}","method":"${method}","status":${status}}', "Echo"),
    ("[${time}] ${ip} ${status} - ${latency} ${method} ${path}", "Fiber"),
    ('{"t":"%{strftime({"%Y-%m-%d"}, time.start)}V","status":%{resp.status}V}', "Fastly"),
    ('%<chi> - %<caun> [%<cqtn>] "%<cqtx>" %<pssc> %<pscl>', "Traffic Server"),
    ("{common_log}", "Caddy"),
    ('%R - %u %t "%m %r%Q%q" %s', "PHP-FPM"),
    ("%(asctime)s %(levelname)s %(message)s", "Python"),
    ("combined", "--format"),
    (":method :url :status :response-time ms", "morgan"),
    ('LogFormat "%h" a\nLogFormat "%r" b', "more than one"),
    ("%h %{%Q}t", "%Q"),
    ("%h %{min}T", "%T"),
    ("%h 100%", "Apache"),
    ("$ssl_client_s_dn $http_user_agent $status", "spaces"),
    ("%{SSL_CLIENT_S_DN}x %{User-Agent}i", "spaces"),
    ("$remote_addr$status", "nothing separates"),
    ('ErrorLogFormat "[%t] %M"', "ErrorLogFormat"),
    ("access_log /var/log/nginx/access.log main;", "log_format"),
    ("CustomLog logs/access.log combined", "nickname"),
    ("log_format main escape=yes '$status';", "escape=yes"),
    ("", "empty"),
    ("''", "empty"),
    ("nothing", "nothing"),
    ("$upstream_status", "no variable"),
]


@pytest.mark.parametrize(("definition", "said"), REFUSED)
def test_refused(definition: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        compile_log_format(definition, allow_unknown=False)
    assert said in f"{caught.value.what} {caught.value.hint}"
    assert caught.value.hint


def test_unknown_variables_are_asked_about(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("192.0.2.7 x 200\n")
    arguments = ("report", "-o", "json", "--log-format", "$remote_addr $zork $status", str(log))
    refused = invoke(*arguments)
    assert (refused.returncode, b"--allow-unknown" in refused.stderr) == (2, True)
    allowed = invoke(*arguments, "--allow-unknown")
    assert allowed.returncode == 0
    assert b"ignores $zork" in allowed.stderr
    assert b"ignores $zork" in allowed.stdout  # among the report's notes
    assert invoke("report", "--allow-unknown", str(log)).returncode == 2


def test_what_is_kept_is_said_once(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(f'192.0.2.7 [{CLF}] "GET /a HTTP/1.1" 0.1\n')
    ran = invoke("parse", "--log-format", '$remote_addr [$time_local] "$request" $upstream_connect_time', str(log))
    said = ran.stderr.decode()
    assert said.count("keeps") == 1
    for words in ("client $remote_addr", "time $time_local", "request $request", "ignores $upstream_connect_time"):
        assert words in said
    quiet = invoke("parse", "-q", "--log-format", '$remote_addr "$request"', str(log))
    assert quiet.stderr == b""


def test_a_layout_of_its_authors_own_behind_pythons_logging(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "[2025-01-17 10:30:00] [INFO    ] [gunicorn.access:12] GET /a HTTP/1.1 - 'Mozilla/5.0 (X)' 200 - 0.055556 ::1\n"
    )
    ran = invoke("parse", "-q", "--log-format", "%(m)s %(U)s %(H)s - '%(a)s' %(s)s - %(L)s %(h)s", str(log))
    row = json.loads(ran.stdout)
    assert (row["timestamp"], row["method"], row["path"], row["status"]) == ("2025-01-17T10:30:00Z", "GET", "/a", 200)
    assert (row["duration_ms"], row["user_agent"], row["client_ip"]) == (55.556, "Mozilla/5.0 (X)", "::1")


# ------------------------------------------------------------------ whatever is composed is read back

_WORD = st.text("abcXYZ019_-.%", min_size=1, max_size=8).filter(lambda text: text != "-")
_TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs", "Cc")), min_size=1, max_size=12)
_TARGET = st.builds(lambda path, query: f"/{path}" + (f"?{query}" if query else ""), _WORD, st.just("") | _WORD)
_MOMENT = st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC))
_SIZE = st.integers(0, 10**9)


def _clf(at: datetime) -> str:
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{at:%d}/{months[at.month - 1]}/{at.year}:{at:%H:%M:%S} +0000"


# What a variable is for: its values, nginx's name and Apache's, how they are written before escaping, and the columns.
_VARIABLES: dict[str, tuple[Any, str, str, Any, Any]] = {
    "client": (
        st.ip_addresses().map(str),
        "$remote_addr",
        "%a",
        str,
        lambda v: {"client_ip": v},
    ),
    "user": (_WORD, "$remote_user", "%u", str, lambda v: {"user_id": v}),
    "time": (_MOMENT, "[$time_local]", "%t", lambda at: f"[{_clf(at)}]", lambda at: {"timestamp": at}),
    "status": (st.integers(100, 599), "$status", "%>s", str, lambda v: {"status": v}),
    "size": (_SIZE, "$body_bytes_sent", "%B", str, lambda v: {"bytes": v}),
    "request": (
        _TARGET,
        '"$request"',
        '"%r"',
        lambda v: f'"GET {v} HTTP/1.1"',
        lambda v: {"method": "GET", "path": v.partition("?")[0], "query": v.partition("?")[2] or None},
    ),
    "bare request": (
        _TARGET,
        "$request",
        "%r",
        lambda v: f"PUT {v} HTTP/2.0",
        lambda v: {"method": "PUT", "path": v.partition("?")[0], "protocol": "HTTP/2.0"},
    ),
    "agent": (_TEXT, '"$http_user_agent"', '"%{User-Agent}i"', None, lambda v: {"user_agent": v}),
    "bare agent": (_TEXT, "$http_user_agent", "%{User-Agent}i", None, lambda v: {"user_agent": v}),
    "unused": (_TEXT, '"$http_x_other"', '"%{X-Other}i"', None, lambda _: {}),
    "upstream": (st.sampled_from(["-", "0.1, 0.2", "0.1 : -"]), "$upstream_response_time", "%l", str, lambda _: {}),
}


def test_times_of_upstreams_end_where_something_else_begins() -> None:
    made = compile_log_format("$upstream_response_time/$http_user_agent/$request", allow_unknown=False)
    batch = reader(made, READING)(Text.from_bytes(b"0.1, -/0/PUT /0 HTTP/2.0\n"))
    (row,) = batch.rows.to_dicts()
    assert (row["user_agent"], row["method"], row["path"]) == ("0", "PUT", "/0")


_SEPARATORS = [" ", " | ", " -- ", ",", ";", "\t", " - ", "|", " x=", "/"]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_what_a_server_writes_is_read_back(data: st.DataObject) -> None:
    """For a definition that compiles, a record as the server writes it is read as that record, or rejected.

    Text that is not in quotes does not hold what is written behind it here: nobody could tell the two apart.
    """
    server = data.draw(st.sampled_from(["default", "json", "apache"]))
    escape = {"default": nginx_default, "json": nginx_json, "apache": apache}[server]
    names = data.draw(st.lists(st.sampled_from(sorted(_VARIABLES)), min_size=1, max_size=6, unique=True))
    if {"request", "bare request"} <= set(names) or {"agent", "bare agent"} <= set(names):
        names.remove("bare request" if "bare request" in names else "bare agent")
    assume(server != "apache" or "upstream" not in names)
    assume(not {"request", "bare request"} <= set(names) and not {"agent", "bare agent"} <= set(names))
    separators = data.draw(st.lists(st.sampled_from(_SEPARATORS), min_size=len(names), max_size=len(names)))
    definition, line, expected = "", "", {}
    for name, separator in zip(names, separators, strict=True):
        values, nginx, httpd, write, columns = _VARIABLES[name]
        value = data.draw(values)
        after = separator if name != names[-1] else ""
        if write is not None:
            written = write(value)
        else:
            written = escape(value)
            value = written
            if name.startswith("bare"):
                assume(after.strip(" ") not in written or not after.strip(" "))
                assume(after != " " or " " not in written)
            else:
                written = f'"{written}"'
            value = None if value == "-" else value
        definition += (httpd if server == "apache" else nginx) + after
        line += written + after
        expected |= columns(value)
    if server != "apache":
        definition = f"log_format x escape={server} '{definition}';"
    assume("\n" not in line)
    try:
        made = compile_log_format(definition, allow_unknown=False)
    except FormatError:
        assume(False)
    batch = reader(made, READING)(Text.from_bytes(line.encode()))
    if batch.rejected.is_empty():
        (row,) = batch.rows.to_dicts()
        assert {name: row[name] for name in expected} == expected, (definition, line, made.pattern)
    else:
        # Only what looks as if it were something else may be rejected: a bare text beside other words.
        assert "bare agent" in names or "bare request" in names, (definition, line, made.pattern)


# ------------------------------------------------------------------ JSON by nginx that nobody pasted the template of


@pytest.mark.parametrize(
    ("value", "agent"),
    [
        ("-", "a"),
        ("", "a"),
        ("0.003, 0.004", "a"),
        ("0.003 : -", "a"),
        ("0.003", "a \\x22b\\x22 \\x5C"),
        ("-", "\\x0A, :-, {"),
        (" - ", ': -, "'.replace('"', "\\x22")),
    ],
)
def test_nearly_json(value: str, agent: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    plain = (
        '{"time_iso8601":"2025-01-17T10:30:00+00:00","request":"GET /a HTTP/1.1","status":200,"request_time":0.01}\n'
    )
    log.write_text(
        plain
        * 3
        + f'{{"time_iso8601":"2025-01-17T10:30:00+00:00","upstream_response_time":{value},"request":"GET /a HTTP/1.1",'
        f'"status":200,"http_user_agent":"{agent}","request_time":0.012}}\n'
    )
    rows = [json.loads(line) for line in invoke("parse", str(log)).stdout.splitlines()]
    assert len(rows) == 4
    assert {"path": "/a", "status": 200, "duration_ms": 12.0, "user_agent": agent}.items() <= rows[3].items()


@pytest.mark.parametrize(
    ("definition", "open_"),
    [('%h %t "%r" %s %b %D', True), ('%h %t "%r" %>s %b %D', False), ('%h %t "%r" %s %b %{ms}T', False)],
)
def test_a_duration_without_a_sign_of_its_server_is_said(definition: str, open_: bool) -> None:
    """Apache's %D is in microseconds, that of Tomcat before 10 in milliseconds; `%>s` is Apache's only."""
    notes = [note for note in compile_log_format(definition).notes if "%D is read as microseconds" in note]
    assert bool(notes) is open_
    assert all("--unit duration=ms" in note for note in notes)
