"""Servers whose log definitions are Apache's in another spelling → Apache's directives.

Tomcat: https://tomcat.apache.org/tomcat-9.0-doc/config/valve.html#Access_Logging
Jetty: https://eclipse.dev/jetty/javadoc/jetty-12/org/eclipse/jetty/server/CustomRequestLog.html
Undertow: https://undertow.io/undertow-docs/undertow-docs-2.1.0/index.html#access-log-handler
Quarkus: https://quarkus.io/guides/http-reference#configuring-http-access-logs
Logback: https://logback.qos.ch/access.html#configuration
gunicorn: https://docs.gunicorn.org/en/stable/settings.html#access-log-format
Hypercorn: https://hypercorn.readthedocs.io/en/latest/how_to_guides/logging.html#access-log-atoms
uWSGI: https://uwsgi-docs.readthedocs.io/en/latest/LogFormat.html
"""

from __future__ import annotations

import re
from typing import Final

from logstats.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """The server that a string is for. `milliseconds` says that `%D` is in milliseconds; `java` that times have the
    form of a SimpleDateFormat; `escaped` that quotes in values are escaped; `port` that clients have one; `t` what
    stands around `%t`, and `form` what around times that have a form."""

    name: str
    milliseconds: bool = False
    java: bool = False
    escaped: bool = True
    port: bool = False
    note: str = ""
    t: tuple[str, str] = ("[", "]")
    form: tuple[str, str] = ("", "")


_TOMCAT_NOTE: Final = "%D is read as milliseconds, as Tomcat before 10 writes it; from Tomcat 10 on it is microseconds"
_OPEN_NOTE: Final = (
    "%D is read as microseconds, as Apache writes it; if Tomcat before 10 wrote the lines, --unit duration=ms is right"
)
_APACHE: Final = re.compile(r"%[<>!0-9]|%\^|%[kLOP]|%\{[^}]*\}(?:[nxTP]|\^)")  # what Tomcat has not
# Names of one letter or two, `%(h)s`, which Python puts in.
_ATOM: Final = re.compile(r"%\((\w|st|Uq|\{[^}]*\}[ioe])\)s")
_ATOMS: Final = {"f": "%{Referer}i", "a": "%{User-Agent}i", "p": "%P", "M": "%{ms}T", "L": "%{fracsec}T"} | {
    "q": "%{bare}q",
    "S": "%l",  # Hypercorn's scheme: a word
    "st": "%{phrase}e",
    "Uq": "%{target}U",
    "R": "%r",
}
_UWSGI: Final = {"addr": "%a", "user": "%u", "host": "%{Host}i", "method": "%m", "uri": "%{target}U", "proto": "%H"} | {
    "status": "%s",
    "rsize": "%B",
    "size": "%O",
    "cl": "%I",
    "micros": "%{us}T",
    "msecs": "%{ms}T",
    "secs": "%T",
    "ltime": "%{%d/%b/%Y:%H:%M:%S %z}t",
    "ctime": "%{%c}t",
    "time": "%{sec}t",
    "tmsecs": "%{msec}t",
    "tmicros": "%{usec}t",
    "epoch": "%{end:sec}t",
    "referer": "%{Referer}i",
    "uagent": "%{User-Agent}i",
}
# `%{REMOTE_IP}` of Undertow and Quarkus
_UNDERTOW: Final = {"REMOTE_IP": "%a", "REMOTE_HOST": "%h", "REMOTE_USER": "%u", "DATE_TIME": "%t", "METHOD": "%m"} | {
    "REQUEST_METHOD": "%m",
    "REQUEST_LINE": "%r",
    "REQUEST_URL": "%U",
    "QUERY_STRING": "%q",
    "PROTOCOL": "%H",
    "RESPONSE_CODE": "%s",
    "BYTES_SENT": "%B",
    "RESPONSE_TIME": "%{ms}T",
    "RESPONSE_TIME_MICROS": "%{us}T",
    "RESPONSE_TIME_NANOS": "%{ns}T",
    "LOCAL_SERVER_NAME": "%v",
    "LOCAL_IP": "%A",
    "LOCAL_PORT": "%p",
    "THREAD_NAME": "%{thread}e",
}
_LOGBACK: Final = {"clientHost": "%h", "remoteHost": "%h", "user": "%u", "date": "%t", "requestURL": "%r"} | {
    "requestMethod": "%m",
    "method": "%m",
    "requestURI": "%U",
    "queryString": "%q",
    "protocol": "%H",
    "statusCode": "%s",
    "bytesSent": "%b",
    "elapsedTime": "%D",
    "elapsedSeconds": "%T",
    "server": "%v",
    "localPort": "%p",
    "threadName": "%{thread}e",
}
_LONG: Final = re.compile(rf"%({'|'.join(_LOGBACK)})\b")
_TOMCAT: Final = re.compile(r"%\{\}[rs]|%F(?![A-Za-z])|%D ?(?:ms|msecs?|millis\w*)\b")  # arguments left out
_JAVA_TIME: Final = re.compile(r"%\{(?:begin:|end:)?([^%}]*[yMdHms][^%}]*)\}t")


def dialect(body: str, *, java: bool) -> tuple[Dialect, str]:
    """(the server that a string is for, the string in Apache's notation). `java` says that it stood where Tomcat and
    its relatives have theirs."""
    if _ATOM.search(body):
        return Dialect("gunicorn", port=True), _ATOM.sub(lambda m: _ATOMS.get(m[1], f"%{m[1]}"), body)
    if any(name in _UWSGI for name in re.findall(r"%\((\w+)\)", body)):
        return Dialect("uWSGI", escaped=False), re.sub(
            r"%\(([\w.]+)\)", lambda m: _UWSGI.get(m[1], f"%{{{m[1]}}}e"), body
        )
    if re.search(r"%\{\w,", body) or any(name in _UNDERTOW for name in re.findall(r"%\{(\w+)\}(?![A-Za-z^])", body)):
        body = re.sub(r"%\{time,\s*([^}]+)\}", r"%{\1}t", body)
        body = re.sub(r"%\{([ioc]),\s*([^}]+)\}", r"%{\2}\1", body)
        body = re.sub(r"%\{\w,\s*([^}]+)\}", r"%{\1}e", body)
        body = re.sub(r"%\{(\w+)\}(?![A-Za-z^])", lambda m: _UNDERTOW.get(m[1], f"%{{{m[1]}}}e"), body)
        return Dialect("Undertow", milliseconds=True, java=True), body
    if re.search(r"%[ioct]\{", body) or _LONG.search(body):
        body = re.sub(r"%date\b", "%t", body)
        body = re.sub(r"%([ioct])\{\"?([^}\"]+)\"?\}", r"%{\2}\1", _LONG.sub(lambda m: _LOGBACK[m[1]], body))
        body = re.sub(r"%\{ISO8601\b", "%{yyyy-MM-dd HH:mm:ss,SSS", body)
        body = re.sub(r"%\{([^{}%]*?),\s*[A-Z][\w/+-]*\}t", r"%{\1}t", body)  # a zone
        return Dialect("Logback", milliseconds=True, java=True, t=("", "")), body
    if re.search(r"%\{(?:client|server|local)\}a|%\{(?i:clf)\}[ISO]|%\{[^}]*\|[^}]*\}t", body):
        body = re.sub(r"%\{([^}]*)\}attr", r"%{\1}e", body)
        return Dialect("Jetty", java=True, form=("[", "]")), re.sub(r"%a", "%{server}a", body)
    spelled = any(m[1] not in ("sec", "msec", "usec", "msec_frac", "usec_frac") for m in _JAVA_TIME.finditer(body))
    if java or spelled or _TOMCAT.search(re.sub(r"\{[^}]*\}", "{}", body)):
        note = _TOMCAT_NOTE if re.search("%D", body) else ""
        return Dialect("Tomcat", milliseconds=True, java=True, note=note), body
    bare = "%D" in body and not _APACHE.search(body)
    return Dialect("Apache", note=_OPEN_NOTE if bare else ""), body.replace("%Tf", "%{fracsec}T")  # aiohttp's
