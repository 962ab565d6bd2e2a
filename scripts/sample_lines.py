"""The lines of the sample logs: the values of one request, and how each format writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

MALFORMED: Final = "(malformed)"


class Request(NamedTuple):
    """The values behind one line, each as the line tells it."""

    tick: int  # seconds from two before the minute
    time: str
    ip: str
    user: str  # "" if nobody
    method: str
    target: str
    line: str  # method, target and protocol
    endpoint: str  # method and template
    status: int
    size: int | None  # None: a line of `app` that tells neither size, user nor address
    micros: int
    referer: str
    agent: str
    host: str
    noise: int  # 16 random bits


class Odd(NamedTuple):
    """A request that few clients would send, but that a server answers and logs."""

    line: str
    method: str
    target: str
    endpoint: str
    status: int
    size: int
    micros: int = 0
    agent: str = "-"


_QUOTED: Final = 'Mozilla/5.0 (compatible; "Bug Finder" 2.0)'
_COMMON_ODDS: Final = (
    Odd("GET /", "GET", "/", "GET /", 400, 150),
    Odd("GET /old bugs/list HTTP/1.1", "GET", "/old bugs/list", "GET /old bugs/list", 404, 146, 900, "curl/8.5.0"),
    Odd("GET http://bugs.example.com/?a HTTP/1.1", "GET", "http://bugs.example.com/?a", "GET /", 200, 5200, 9000),
    Odd("GET / HTTP/1.1", "GET", "/", "GET /", 200, 5200, 11000, _QUOTED),
)
ODDS: Final = {
    "apache": (
        Odd("-", "", "", MALFORMED, 408, 0, 20_000_000),
        Odd(r"\x16\x03\x01", "", "", MALFORMED, 400, 226),
        Odd("OPTIONS * HTTP/1.0", "OPTIONS", "*", "OPTIONS *", 200, 0, 60, "Apache/2.4.62 (internal dummy connection)"),
        *_COMMON_ODDS,
    ),
    "nginx": (
        Odd("-", "", "", MALFORMED, 408, 0, 60_000_000),
        Odd("", "", "", MALFORMED, 400, 0),
        Odd(r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03\x8B", "", "", MALFORMED, 400, 150),
        *_COMMON_ODDS,
    ),
    "application": (),  # its server answers nonsense itself
}
ESCAPES: Final[dict[str, Callable[[str], str]]] = {
    "apache": lambda text: text.replace("\\", "\\\\").replace('"', '\\"'),
    "nginx": lambda text: text.replace("\\", "\\x5C").replace('"', "\\x22"),
    "json": lambda text: json.dumps(text)[1:-1],
}

# ---------------------------------------------------------------------------------------------------------- formats

# English wherever this runs
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _clf_time(t: datetime) -> str:
    return f"{t.day:02}/{_MONTHS[t.month - 1]}/{t.year:04}:{t.hour:02}:{t.minute:02}:{t.second:02} +0000"


def iso(t: datetime) -> str:
    """A time in UTC, without an offset: 2025-01-17T10:30:00Z."""
    return f"{t.replace(tzinfo=None).isoformat()}Z"


def _iso_offset(t: datetime) -> str:
    return t.isoformat()


def _plain_time(t: datetime) -> str:
    return t.replace(tzinfo=None).isoformat(" ")


def _level(status: int) -> str:
    return "error" if status >= 500 else "warn" if status >= 400 else "info"


def _common(r: Request) -> str:
    """As Apache writes it, with `-` for no size."""
    return f'{r.ip} - {r.user or "-"} [{r.time}] "{r.line}" {r.status} {r.size or "-"}'


def _combined(r: Request) -> str:
    """As nginx writes it, with 0 for no size."""
    return f'{r.ip} - {r.user or "-"} [{r.time}] "{r.line}" {r.status} {r.size} "{r.referer}" "{r.agent}"'


def _combined_time(r: Request) -> str:
    return f"{_combined(r)} {r.micros / 1e6:.3f}"


def _combined_us(r: Request) -> str:
    return f'{_common(r)} "{r.referer}" "{r.agent}" {r.micros}'


def _vhost_combined(r: Request) -> str:
    return f'{r.host} {_common(r)} "{r.referer}" "{r.agent}"'


def _json(r: Request) -> str:
    return (
        f'{{"time_iso8601":"{r.time}","remote_addr":"{r.ip}","remote_user":"{r.user}",'
        f'"request_method":"{r.method}","request_uri":"{r.target}","status":{r.status},'
        f'"body_bytes_sent":{r.size},"request_time":{r.micros / 1e6:.3f},'
        f'"http_referer":"{"" if r.referer == "-" else r.referer}","http_user_agent":"{r.agent}"}}'
    )


def _json_nested(r: Request) -> str:
    user = f'"{r.user}"' if r.user else "null"
    return (
        f'{{"@timestamp":"{r.time}","level":"{_level(r.status)}","message":"request completed",'
        f'"request":{{"method":"{r.method}","path":"{r.target}","duration_ms":{r.micros / 1000}}},'
        f'"response":{{"status":{r.status},"bytes":{r.size}}},"user":{{"id":{user}}},'
        f'"client":{{"ip":"{r.ip}"}},"service":"bugs","trace_id":"{_trace(r)}"}}'
    )


def _app(r: Request) -> str:
    line = f"{r.time} {r.method} {r.target} {r.status} {r.micros // 1000}ms"
    if r.size is None:
        return line
    user = f" user={r.user}" if r.user else ""
    return f"{line}{user} ip={r.ip} bytes={r.size} trace={_trace(r)}"


def _logfmt(r: Request) -> str:
    user = f" user_id={r.user}" if r.user else ""
    return (
        f'time={r.time} level={_level(r.status)} msg="request completed" method={r.method} path={r.target} '
        f"status={r.status} duration={r.micros / 1000:.1f}ms bytes={r.size}{user} ip={r.ip}"
    )


def _kv(r: Request) -> str:
    user = f" user_id={r.user}" if r.user else ""
    return (
        f"[{r.time}] {_level(r.status).upper()} Request completed method={r.method} path={r.target} "
        f"status={r.status} duration_ms={r.micros // 1000}{user}"
    )


def _trace(r: Request) -> str:
    return f"{(r.noise << 32 | r.micros) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFF:012x}"


def _json_event(time: str, noise: int) -> str:
    return (
        f'{{"@timestamp":"{time}","level":"warn","message":"cache miss rate is high","ratio":{noise % 100 / 100},'
        f'"service":"bugs"}}'
    )


def _kv_event(time: str, noise: int) -> str:
    return f"[{time}] WARN Cache miss rate high ratio={noise % 100 / 100}"


# Lines that no reader of the format may take for a request: cut off, of something else, with a quote that is not
# closed. The last only where a quote is what holds the line together: readers of logfmt rightly differ about it.
def _cut(length: int) -> Callable[[str], str]:
    return lambda line: line[:length]


def _cut_in_request(line: str) -> str:
    return line[: line.index('"') + 5]


def _garbage(_: str) -> str:
    return "*** log rotated ***"


def _trace_back(_: str) -> str:
    return '  File "/srv/bugs/search.py", line 88, in run'


def _open_request(line: str) -> str:
    start = line.index('"') + 1
    return line[:start] + re.sub(r'(?<!\\)"', "", line[start:], count=1)


def _open_string(line: str) -> str:
    return line.replace('","', ",", 1)


_BAD_CLF: Final = (_cut_in_request, _garbage, _open_request)
_BAD_JSON: Final = (_cut(60), _garbage, _open_string)
_BAD_PLAIN: Final = (_cut(20), _garbage, _trace_back)


@dataclass(frozen=True)
class Format:
    """How a request becomes a line, and what of it the line tells."""

    line: Callable[[Request], str]
    time: Callable[[datetime], str]
    server: str  # a key of ODDS
    bad: tuple[Callable[[str], str], ...]
    unit: int | None = None  # microseconds that durations are logged in, if they are
    escape: str = ""  # a key of ESCAPES, if not that of the server
    ip: bool = True
    size: bool = True
    headers: int = 0  # bytes counted besides the body
    bare: int = 0  # one line in so many tells neither size, user nor address
    event: Callable[[str, int], str] | None = None


FORMATS: Final = {
    "app": Format(_app, _plain_time, "application", _BAD_PLAIN, unit=1000, bare=6),
    "common": Format(_common, _clf_time, "apache", _BAD_CLF),
    "combined": Format(_combined, _clf_time, "nginx", _BAD_CLF),
    "combined_time": Format(_combined_time, _clf_time, "nginx", _BAD_CLF, unit=1000),
    "combined_us": Format(_combined_us, _clf_time, "apache", _BAD_CLF, unit=1),
    "vhost_combined": Format(_vhost_combined, _clf_time, "apache", _BAD_CLF, headers=240),
    "json": Format(_json, _iso_offset, "nginx", _BAD_JSON, unit=1000, escape="json"),
    "json_nested": Format(_json_nested, iso, "application", _BAD_JSON, unit=1, event=_json_event),
    "logfmt": Format(_logfmt, _iso_offset, "application", (_cut(3), _garbage, _trace_back), unit=100),
    "kv": Format(
        _kv, _plain_time, "application", _BAD_PLAIN, unit=1000, ip=False, size=False, event=_kv_event
    ),
}  # fmt: skip
