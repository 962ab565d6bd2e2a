"""nginx's `log_format`: its variables, and a string → its parts.

Variables: https://nginx.org/en/docs/varindex.html; how values are escaped:
https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format
"""

from __future__ import annotations

import re
from typing import Final

from logstats.formats.log_format import shapes
from logstats.formats.log_format.shapes import Part, Shape, Slot, Time
from logstats.formats.model import Field

VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")

CLF_TIME: Final = Time("%d/%b/%Y:%H:%M:%S %z", frozenset({"year", "month", "day", "hour", "minute", "second", "zone"}))
CLF_SHAPE: Final = Shape(
    "[0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}|-", "0-9A-Za-z/: +-", spaces=1
)
_ISO: Final = Time("%Y-%m-%dT%H:%M:%S%:z", CLF_TIME.says)
_EPOCH: Final = Time("", frozenset({"epoch", "fraction"}))
# Variables that are a part of the time, in Tengine → what they write.
_TIMES: Final = {"time_local": CLF_TIME, "time_iso8601": _ISO, "msec": _EPOCH, "unix_time": _EPOCH} | {
    name: Time(form, frozenset({says}))
    for name, form, says in (
        ("year", "%Y", "year"),
        ("year2", "%y", "year"),
        ("month", "%m", "month"),
        ("day", "%d", "day"),
        ("hour", "%H", "hour"),
        ("minute", "%M", "minute"),
        ("second", "%S", "second"),
    )
}
# name → (shape, field, rank: of several for one role, the lowest is kept)
_KNOWN: Final[dict[str, tuple[Shape, Field | None, int]]] = {
    "remote_addr": (shapes.ADDRESS, Field("client_ip"), 0),
    "the_real_ip": (shapes.ADDRESS, Field("client_ip"), 1),
    "realip_remote_addr": (shapes.ADDRESS, Field("client_ip"), 9),
    "proxy_protocol_addr": (shapes.ADDRESS, Field("client_ip"), 5),
    "remote_user": (shapes.USER, Field("user_id"), 0),
    "time_local": (CLF_SHAPE, Field("timestamp"), 2),
    "time_iso8601": (shapes.WORD, Field("timestamp"), 1),
    "msec": (shapes.NUMBER, Field("timestamp"), 0),
    "request": (shapes.REQUEST, Field("request"), 0),
    "request_method": (shapes.METHOD, Field("method"), 0),
    "request_uri": (shapes.TARGET, Field("target"), 0),
    "uri": (shapes.PATH, Field("path"), 0),
    "document_uri": (shapes.PATH, Field("path"), 1),
    "args": (shapes.QUERY, Field("query"), 0),
    "query_string": (shapes.QUERY, Field("query"), 1),
    "is_args": (shapes.IS_ARGS, None, 0),
    "server_protocol": (shapes.PROTOCOL, Field("protocol"), 0),
    "status": (shapes.STATUS, Field("status"), 0),
    "body_bytes_sent": (shapes.NUMBER, Field("bytes"), 0),
    "bytes_sent": (shapes.NUMBER, Field("bytes"), 1),
    "request_time": (shapes.NUMBER, Field("duration", "s"), 0),
    "upstream_response_time": (shapes.UPSTREAM_TIMES, Field("upstream_duration", "s", listed=True), 0),
    "session_time": (shapes.NUMBER, Field("duration", "s"), 3),  # of a `stream`
    "request_length": (shapes.NUMBER, Field("request_bytes"), 0),
    "upstream_cache_status": (shapes.UPSTREAM, Field("cache"), 0),
    "upstream_addr": (shapes.UPSTREAM, Field("upstream"), 0),
    "ssl_protocol": (shapes.WORD, Field("tls"), 0),
    "host": (shapes.HOST, Field("host"), 0),
    "http_host": (shapes.HOST, Field("host"), 1),
    "server_name": (shapes.HOST, Field("host"), 2),
    "request_id": (shapes.WORD, Field("trace_id"), 0),
    "req_id": (shapes.WORD, Field("trace_id"), 1),
    "http_x_request_id": (shapes.WORD, Field("trace_id"), 1),
    "http_x_correlation_id": (shapes.WORD, Field("trace_id"), 2),
    "http_x_trace_id": (shapes.WORD, Field("trace_id"), 3),
    "http_x_amzn_trace_id": (shapes.WORD, Field("trace_id"), 4),
    "http_traceparent": (shapes.WORD, Field("trace_id"), 5),
    "http_referer": (shapes.VALUE, Field("referer"), 0),
    "http_user_agent": (shapes.TEXT, Field("user_agent"), 0),
    # The client according to a proxy in front; `choose` decides between these and the peer's address.
    "http_x_forwarded_for": (shapes.ADDRESSES, Field("forwarded_for"), 0),
    "proxy_add_x_forwarded_for": (shapes.ADDRESSES, Field("forwarded_for"), 1),
    "http_x_original_forwarded_for": (shapes.ADDRESSES, Field("forwarded_for"), 2),
    "http_cf_connecting_ip": (shapes.ADDRESS, Field("forwarded_for"), 3),
    "http_true_client_ip": (shapes.ADDRESS, Field("forwarded_for"), 4),
    "http_x_real_ip": (shapes.ADDRESS, Field("forwarded_for"), 5),
    "http_x_client_ip": (shapes.ADDRESS, Field("forwarded_for"), 6),
    "http_x_cluster_client_ip": (shapes.ADDRESS, Field("forwarded_for"), 7),
    "http_fastly_client_ip": (shapes.ADDRESS, Field("forwarded_for"), 8),
    "http_x_envoy_external_address": (shapes.ADDRESS, Field("forwarded_for"), 9),
    # Tengine: https://tengine.taobao.org/document/http_log.html
    "request_time_msec": (shapes.NUMBER, Field("duration", "ms"), 2),
    "request_time_usec": (shapes.NUMBER, Field("duration", "us"), -1),
    "unix_time": (shapes.NUMBER, Field("timestamp"), 3),
    # NGINX Unit: https://unit.nginx.org/configuration/#variables
    "request_line": (shapes.REQUEST, Field("request"), 0),
    "method": (shapes.METHOD, Field("method"), 1),
    "header_host": (shapes.HOST, Field("host"), 1),
    "header_referer": (shapes.VALUE, Field("referer"), 0),
    "header_user_agent": (shapes.TEXT, Field("user_agent"), 0),
    "header_x_request_id": (shapes.WORD, Field("trace_id"), 1),
    "header_x_forwarded_for": (shapes.ADDRESSES, Field("forwarded_for"), 0),
}
_PARTS: Final = {
    "scheme": "scheme",
    "http_x_forwarded_proto": "scheme",
    "host": "host",
    "http_host": "host",
    "server_name": "host",
    "remote_addr": "address",
    "realip_remote_addr": "address",
    "proxy_protocol_addr": "address",
    "server_addr": "address",
    "remote_port": "port",
    "realip_remote_port": "port",
    "proxy_protocol_port": "port",
    "proxy_protocol_server_addr": "address",
    "proxy_protocol_server_port": "port",
    "server_port": "port",
    "request_uri": "target",
    "uri": "path",
    "document_uri": "path",
    "is_args": "is_args",
    "args": "query",
    "query_string": "query",
    "request_method": "method",
    "method": "method",
    "server_protocol": "protocol",
}

_WORDS: Final = """
    acme_certificate acme_certificate_key ancient_browser connection_time connection_requests fastcgi_script_name
    geoip_area_code geoip_city_continent_code geoip_city_country_code geoip_city_country_code3 geoip_country_code
    geoip_country_code3 geoip_dma_code geoip_latitude geoip_longitude geoip_postal_code geoip_region gzip_ratio hostname
    http2 http3 https invalid_referer is_args limit_conn_status limit_rate limit_req_status modern_browser msie
    nginx_version otel_parent_id otel_parent_sampled otel_span_id otel_trace_id pid pipe protocol proxy_host proxy_port
    request_completion secure_link secure_link_expires server_name slice_range spdy spdy_request_priority
    ssl_alpn_protocol ssl_cipher ssl_ciphers ssl_client_fingerprint ssl_client_serial ssl_client_sigalg
    ssl_client_v_remain ssl_client_verify ssl_curve ssl_curves ssl_early_data ssl_preread_alpn_protocols
    ssl_preread_protocol ssl_preread_server_name ssl_server_name ssl_session_id ssl_session_reused
    ssl_sigalg uid_got uid_reset uid_set
"""
# Variables of widely used distributions and modules: ingress-nginx, APISIX, Kong, Brotli and zstd; NGINX Unit.
_OF_OTHERS: Final = """
    balancer_ewma_score balancer_ip best_http_host brotli_ratio dollar global_rate_limit_exceeding hour12
    ingress_name kong_request_id location_path namespace pass_access_scheme pass_port pass_server_port
    proxy_alternative_upstream_name proxy_upstream_name resource_name resource_namespace resource_type service
    service_name service_port upstream_host upstream_scheme upstream_uri zstd_ratio
"""
_NUMBERS: Final = """
    bytes_received connection connections_active connections_reading connections_waiting connections_writing
    content_length session_time tcpinfo_rcv_space tcpinfo_rtt tcpinfo_rttvar tcpinfo_snd_cwnd
"""
_TEXTS: Final = """
    binary_remote_addr content_type date_gmt date_local document_root fastcgi_path_info geoip_city
    geoip_city_country_name geoip_country_name geoip_org geoip_region_name jwt_payload memcached_key realpath_root
    request_body request_body_file request_filename session_log_binary_id session_log_id ssl_client_cert
    ssl_client_escaped_cert ssl_client_i_dn ssl_client_i_dn_legacy ssl_client_raw_cert ssl_client_s_dn
    ssl_client_s_dn_legacy ssl_client_v_end ssl_client_v_start
"""
_UPSTREAM: Final = """
    upstream_bytes_received upstream_bytes_sent upstream_cache_age upstream_cache_key
    upstream_cache_last_modified upstream_connect_time upstream_first_byte_time
    upstream_header_time upstream_last_server_name upstream_queue_time upstream_response_length
    upstream_session_time upstream_status
"""
# Prefixes of open sets of names: `$http_x_powered_by`, `$arg_page`, `$cookie_session`; and `$1` of a regular
# expression.
_PREFIXES: Final = (
    "arg_",
    "cookie_",
    "http_",
    "sent_http_",
    "sent_trailer_",
    "upstream_http_",
    "upstream_trailer_",
    "upstream_cookie_",
    "proxy_protocol_tlv_",
    "jwt_claim_",
    "jwt_header_",
    "geoip2_",
    "header_",
    "response_header_",
    "opentracing_context_",
)
_SHAPES: Final = {
    **dict.fromkeys(_WORDS.split(), shapes.WORD),
    **dict.fromkeys(_OF_OTHERS.split(), shapes.WORD),
    **dict.fromkeys(_NUMBERS.split(), shapes.NUMBER),
    **dict.fromkeys(_TEXTS.split(), shapes.TEXT),
    **dict.fromkeys(_UPSTREAM.split(), shapes.UPSTREAM),
}
_SHAPES_OF_PARTS: Final = {"scheme": shapes.SCHEME, "port": shapes.PORT, "address": shapes.ADDRESS}
NAMES: Final = frozenset({*_KNOWN, *_PARTS, *_SHAPES, *_TIMES})


def known(name: str) -> bool:
    """Whether nginx has a variable of this name. Names that begin with `_` are accepted, for text to be ignored."""
    return name in NAMES or name.isdigit() or name.startswith((*_PREFIXES, "_"))


def parts_of(body: str, *, escaped: bool) -> list[Part]:
    """The literal text and variables of a `log_format` string, in order."""
    parts: list[Part] = []
    place = 0
    for match in VARIABLE.finditer(body):
        parts.append(body[place : match.start()])
        place = match.end()
        parts.append(_slot(match[1] or match[2], match[0], match.start(), escaped))
    parts.append(body[place:])
    return [part for part in parts if part != ""]


def _slot(name: str, written: str, place: int, escaped: bool) -> Slot:
    shape, field, rank = _KNOWN.get(name, (_shape_of(name), None, 0))
    return Slot(name, written, place, shape, field, rank, _TIMES.get(name), _PARTS.get(name, ""), escaped)


def _shape_of(name: str) -> Shape:
    """The shape of a variable that logstats does not use; any text, if it does not know the variable."""
    if name in _TIMES:
        return Shape("[0-9]{2,4}", "0-9")
    return _SHAPES_OF_PARTS.get(_PARTS.get(name, ""), _SHAPES.get(name, shapes.VALUE))
