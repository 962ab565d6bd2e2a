"""Real servers' logs, read where they lie, with detection alone.

Beside some of them lies what another parser made of each line. Where we differ, EXCEPTIONS says on which line, in
which field and why; a line that no longer differs must leave the list. REJECTED names every line that is not read.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import logstats
from logstats.pipeline import Counts

COLUMNS = ("timestamp", "method", "path", "query", "status", "bytes", "client_ip")


@dataclass(frozen=True)
class Difference:
    """Lines of a file on which we and the other parser mean something else."""

    file: str
    lines: tuple[int, ...]
    field: str
    why: str


EXCEPTIONS = [
    Difference(
        "apache_combined/GoogleCloudPlatform_ops-agent__varnish.log", (1,), "target",
        "of an absolute URL the authority is the host, and the path begins at /",
    ),
    Difference(
        "apache_common/vectordotdev_vrl__parse_apache_log.log", (4,), "line",
        "only a time in brackets and dashes, in Apache's error log format: no request",
    ),
    Difference(
        "aws_alb/vectordotdev_vrl__parse_aws_alb_log.log", (1, 2, 3, 4, 5, 6, 7, 8, 11, 12), "client_ip",
        "the specification's client:port, of which the address is the client",
    ),
    Difference(
        "caddy_json/crowdsecurity_hub__caddy-logs.log", (1, 2, 3, 4, 5, 6, 7), "status",
        "0 is Caddy's word for no status: no response was written",
    ),
    Difference(
        "nginx_combined/crowdsecurity_hub__nginx_http-logs.log", (8,), "line",
        "`- [time]`: the format's $remote_user is missing, which the other parser lets pass",
    ),
]  # fmt: skip

NGINX_ERROR = "nginx's error log"
NOT_ACCESS_LOGS = {
    "apache_combined/crowdsecurity_hub__litespeed-admin-bf.log": "LiteSpeed's error log (read as events)",
    "docker/tstack_lnav__logfile_docker_compose.0": "no request in it",
    "docker/tstack_lnav__logfile_docker_compose_with_noise.0": "no request in it",
    "docker/tstack_lnav__logfile_docker_compose_with_ts.0": "no request in it",
    "haproxy_tcp/logstash-plugins_logstash-patterns-core__haproxy_spec.log": "HAProxy's TCP format has no request",
    "iis_w3c/crowdsecurity_hub__iis-xml-logs.log": "a Windows event in XML",
    "nginx_combined/crowdsecurity_hub__http-magento-bf.log": "Magento's application log",
    "nginx_combined/crowdsecurity_hub__nginx_req_limit_exceeded.log": NGINX_ERROR,
    "nginx_combined/crowdsecurity_hub__pfsense-rfc5424-nginx.log": NGINX_ERROR,
    "nginx_combined/crowdsecurity_hub__sympa_ww-http-scan.log": "the log of Sympa, a mailing list manager",
    "other/tstack_lnav__logfile_invalid_utf8.0": "an application's dump of XML",
}
REJECTED: dict[str, dict[tuple[int, ...], str]] = {
    "apache_combined/elastic_examples__apache_logs.log": {(8899,): "the closing quote of the user agent is missing"},
    "apache_combined/fcambus_logswan__invalid.log": {(2,): "an x in the address", (3,): "no line of a log, on purpose"},
    "apache_combined/nielsbasjes_logparser__access_log.gz": {(2,): "cut off inside the user agent"},
    "apache_combined/vectordotdev_vrl__parse_apache_log.log": {(3,): "no line of a log, on purpose"},
    "apache_common/vectordotdev_vrl__parse_apache_log.log": {
        (2, 5): "no line of a log, on purpose",
        (4,): "a time in brackets and dashes",
    },
    "apache_common/vectordotdev_vrl__parse_common_log.log": {
        (2, 5): "no line of a log, on purpose",
        (6,): "the request is not in quotes",
    },
    "haproxy_http/crowdsecurity_hub__haproxy-logs.log": {(3, 4, 5): "failed TLS handshakes: no request"},
    "haproxy_http/logstash-plugins_logstash-patterns-core__haproxy_spec.log": {
        (6,): "syslog cut it off inside the request"
    },
    "haproxy_http/tstack_lnav__logfile_haproxy.0": {
        (1, 2, 3): "HAProxy's own messages",
        (14,): "a failed TLS handshake: no request",
    },
    "nginx_combined/crowdsecurity_hub__nginx_http-logs.log": {(8,): "no $remote_user"},
    "nginx_custom/martin-helmich_prometheus-nginxlog-exporter__issues.log": {
        (1,): "somebody's own format of tabs, of which there is one line: for --log-format"
    },
    "traefik_json/crowdsecurity_hub__traefik_json.log": {(6,): "a message of a Traefik plugin"},
    "syslog_wrapped/tstack_lnav__logfile_syslog_with_access_log.0": {
        (1, 4, 5): "messages of other programs",
        (2, 3): "somebody's own format without a time: for --log-format",
    },
    "apache_custom/nielsbasjes_logparser__test_lines.log": {
        (2, 4, 13, 14, 24): "each line is in another format of somebody's own: for --log-format",
    },
}  # fmt: skip


def index(folder: Path) -> list[str]:
    lines = (folder / "INDEX.tsv").read_text().splitlines()[1:]
    return [line.split("\t")[0] for line in lines]


def read(path: Path) -> tuple[dict[int, dict[str, Any]], Counts]:
    counts = Counts()
    frames = list(logstats.read(path, columns=COLUMNS, counts=counts))
    return {row["line"]: row for frame in frames for row in frame.to_dicts()}, counts


def meant(path: Path) -> Iterator[int]:
    """The numbers of the lines that are neither blank nor directives."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for number, line in enumerate(data.decode(errors="replace").split("\n"), 1):
        if line.strip(" \t\r\v\f") and not line.startswith("#"):
            yield number


def test_every_line_is_read_or_named(real_logs: Path) -> None:
    """Whatever is not read is named above, line by line, and nothing is named that is read."""
    names = index(real_logs)
    assert len(names) == 135
    found, sizes = {}, {}
    for name in names:
        rows, counts = read(real_logs / name)
        lines = list(meant(real_logs / name))
        assert counts.lines == counts.requests + counts.events + counts.rejected + counts.ignored, name
        assert counts.requests + counts.events == len(rows), name
        if name in NOT_ACCESS_LOGS:
            assert not counts.requests, name
            continue
        sizes[name] = len(lines)
        if left := sorted(set(lines) - set(rows)):
            found[name] = left
    assert found == {name: sorted(sum(lines, ())) for name, lines in REJECTED.items()}
    assert sum(map(len, found.values())) < 0.01 * sum(sizes.values())


def test_every_line_agrees_with_the_other_parser(real_logs: Path) -> None:
    differences: dict[tuple[str, str], list[int]] = {}
    compared = 0
    for name in index(real_logs):
        expected = real_logs / f"{name}.expected.jsonl"
        if not expected.exists():
            continue
        rows, _ = read(real_logs / name)
        for text in expected.read_text().splitlines():
            other = json.loads(text)
            fields = {key: value for key, value in other["fields"].items() if key in CHECKS and value != "now"}
            compared += bool(fields)
            row = rows.get(other["line"])
            for key, value in fields.items() if row else []:
                if CHECKS[key](row, value):
                    differences.setdefault((name, key), []).append(other["line"])
            if fields and row is None:
                differences.setdefault((name, "line"), []).append(other["line"])
    assert compared > 200
    assert differences == {(e.file, e.field): list(e.lines) for e in EXCEPTIONS}
    assert sum(len(e.lines) for e in EXCEPTIONS) < 0.1 * compared


def _target(row: dict[str, Any]) -> str | None:
    return row["path"] if row["query"] is None else f"{row['path']}?{row['query']}"


def _time(text: str) -> datetime:
    if "/" in text:
        return datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC)
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


# Whether a row differs from what the other parser says.
CHECKS: dict[str, Any] = {
    "method": lambda row, value: row["method"] != value,
    "status": lambda row, value: row["status"] != value,
    "bytes": lambda row, value: row["bytes"] != value,
    "client_ip": lambda row, value: row["client_ip"] != value,
    "target": lambda row, value: _target(row) != value,
    "url": lambda row, value: (row["path"], row["query"] or "") != (urlsplit(value).path or "/", urlsplit(value).query),
    "timestamp": lambda row, value: row["timestamp"] != _time(value),
    "time_local": lambda row, value: row["timestamp"] != _time(value),
}


@pytest.mark.parametrize(
    ("name", "stack"),
    [
        ("apache_combined/elastic_examples__apache_logs.log", "combined"),
        ("apache_combined/tstack_lnav__logfile_shop_access_log.0", "nginx_main"),
        ("aws_alb/crowdsecurity_hub__aws-alb-logs.log", "aws_alb"),
        ("aws_cloudfront/crowdsecurity_hub__aws-cloudfront-logs.log", "aws_cloudfront"),
        ("aws_elb/logstash-plugins_logstash-patterns-core__aws_spec.log", "aws_elb|aws_elb_2014"),
        ("aws_s3/logstash-plugins_logstash-patterns-core__aws_spec.log", "aws_s3"),
        ("caddy_json/tstack_lnav__logfile_caddy_log.0", "compose/json|compose/caddy"),
        ("cloudflare_json/tstack_lnav__logfile_cloudflare.1", "cloudflare"),
        ("envoy/crowdsecurity_hub__envoy-logs.log", "cri/envoy_json|cri/envoy"),
        ("haproxy_http/tstack_lnav__logfile_haproxy.0", "syslog/haproxy"),
        ("heroku_logfmt/gnerkus_dynowatch__valid.log", "heroku/heroku_router"),
        ("iis_w3c/tstack_lnav__logfile_w3c_big.0", "iis"),
        ("lighttpd/google_mtail__lighttpd_access.log", "lighttpd_time"),
        ("ltsv/tkuchiki_alp__ltsv_access.log", "ltsv"),
        ("nginx_custom/crowdsecurity_hub__base-upsun-httplog-logs.log", "json_message/syslog_untimed/combined"),
        ("nginx_custom/crowdsecurity_hub__bunkerweb-logs.log", "bunkerweb"),
        ("nginx_custom/crowdsecurity_hub__nginx-proxy-manager-logs.log", "npm_proxy|npm|combined|nginx_error"),
        ("nginx_custom/crowdsecurity_hub__npmplus-logs.log", "npmplus|nginx_error"),
        ("nginx_custom/crowdsecurity_hub__zoraxy-http-logs.log", "zoraxy"),
        ("nginx_ingress/vectordotdev_vrl__parse_nginx_log.log", "ingress_nginx"),
        ("other/tstack_lnav__logfile_uwsgi.0", "uwsgi"),
        ("squid/logstash-plugins_logstash-patterns-core__squid_spec.log", "squid"),
        ("tomcat/GoogleCloudPlatform_ops-agent__jetty-access.log", "combined|common"),
        ("traefik_clf/crowdsecurity_hub__traefik_clf.log", "traefik"),
        ("traefik_json/crowdsecurity_hub__traefik_base-http-scenario.log", "traefik_json"),
    ],
)
def test_layout_is_found(real_logs: Path, name: str, stack: str) -> None:
    assert [source.format for source in logstats.report(real_logs / name).sources] == [stack]
