"""Paths → endpoints: what becomes a placeholder, routes, OpenAPI documents."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import logstats
from logstats.endpoints import CACHED, Endpoints, load_openapi, template
from logstats.errors import RouteError

UUID = "6734e343-5754-48a6-ad05-178c40912249"

# Written by hand: what somebody who reads the paths would say.
EXPECTED = {
    "/": "/",
    "/api/bugs": "/api/bugs",
    "/api/bugs/": "/api/bugs/",
    "/api/bugs/123": "/api/bugs/{id}",
    "/api/bugs/123/": "/api/bugs/{id}/",
    "/api/bugs/-1": "/api/bugs/{id}",
    "/0": "/{id}",
    "//7//": "//{id}//",
    "/api/v2/users": "/api/v2/users",
    "/v1.2/users/5": "/v1.2/users/{id}",
    "/api/bugs/123/comments/456": "/api/bugs/{id}/comments/{id}",
    "/1/2/3": "/{id}/{id}/{id}",
    "/1234567890123456": "/{id}",
    "/12345678901234567890123456789012": "/{id}",
    "/orders/12a": "/orders/12a",
    "/orders/a12": "/orders/a12",
    "/orders/१२": "/orders/१२",
    f"/attachments/{UUID}": "/attachments/{uuid}",
    f"/attachments/{UUID.upper()}/raw": "/attachments/{uuid}/raw",
    f"/attachments/{UUID}x": f"/attachments/{UUID}x",
    "/commits/e45b314d91a2f492c31d7466a46dae26a708f8d5": "/commits/{hash}",
    "/commits/e45b314d": "/commits/{hash}",
    "/commits/e45b31": "/commits/e45b31",
    "/words/defaced": "/words/defaced",
    "/words/deadbeef": "/words/deadbeef",
    "/blobs/abcdefabcdefabcd": "/blobs/{hash}",
    "/reports/2025-01-17": "/reports/{date}",
    "/reports/2025-01": "/reports/{date}",
    "/reports/2025": "/reports/{id}",
    "/reports/2025/01/17": "/reports/{id}/{id}/{id}",
    "/reports/2025-01-17T10:30:00Z": "/reports/{date}",
    "/hosts/10.0.0.1": "/hosts/{ip}",
    "/users/bob@example.com": "/users/{email}",
    "/users/bob%40example.com/settings": "/users/{email}/settings",
    "/@bob": "/@bob",
    "/assets/app.3f9c2b7a.js": "/assets/app.{hash}.js",
    "/assets/main-5d8f3c2b1a.min.css": "/assets/main-{hash}.min.css",
    "/assets/jquery-3.7.1.min.js": "/assets/jquery-3.7.1.min.js",
    "/files/7f3a9c1e.png": "/files/{hash}.png",
    "/files/123.pdf": "/files/{id}.pdf",
    "/files/2025-01-17.tar.gz": "/files/{date}.tar.gz",
    f"/files/{UUID}.jpg": "/files/{uuid}.jpg",
    "/sessions/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9": "/sessions/{id}",
    "/k/01ARZ3NDEKTSV4RRFFQ69G5FAV": "/k/{id}",
    "/blog/how-to-read-10-logs-in-5-minutes-or-less": "/blog/how-to-read-10-logs-in-5-minutes-or-less",
    "/blog/the-quick-brown-fox-jumps-over": "/blog/the-quick-brown-fox-jumps-over",
    "/docs/InternationalizationGuidelines": "/docs/InternationalizationGuidelines",
    "/{id}/5": "/{id}/{id}",
    "/{id}x/5": "/{id}x/{id}",
    "*": "*",
    "": "",
}


@pytest.mark.parametrize(("path", "endpoint"), EXPECTED.items())
def test_template(path: str, endpoint: str) -> None:
    assert template(path) == endpoint


def test_templates_in_columns_are_those() -> None:
    paths = pl.Series([*EXPECTED, None], dtype=pl.String)
    assert Endpoints().templates(paths).to_list() == [*EXPECTED.values(), None]


DIGITS, HEX = string.digits, string.hexdigits
SEGMENT = st.one_of(
    st.text(max_size=12),
    st.text(DIGITS, min_size=1, max_size=40),
    st.text(DIGITS, min_size=15, max_size=18),
    st.text(HEX, min_size=6, max_size=40),
    st.text(HEX + "-", min_size=30, max_size=40),
    st.uuids().map(str),
    st.text("ab01{}/-_.@%=~" + DIGITS, max_size=30),
    st.text(string.ascii_letters + DIGITS + "-_", min_size=18, max_size=30),
    st.text("0123456789٠١२③Ⅷ", max_size=20),
    st.sampled_from(["{id}", "{hash}", "{uuid}", "{id}x", "x{id}", "}", "{", "%40", "a@b.cd", "a%40b.cd", ".", ".."]),
    st.sampled_from(["2025-01-17", "10.0.0.1", "app.3f9c2b7a.js", "x.min.css", "1.tar.gz", "9" * 255, "9" * 300]),
    st.sampled_from(["f" * 16, "f" * 255, "f" * 256, "f" * 257, "f" * 300, "0" * 16 + "f" * 300, "1" * 256 + "a"]),
    st.dates().map(str),
    st.emails(),
)
PATH = st.builds(
    lambda segments, front, back: front + "/".join(segments) + back,
    st.lists(st.one_of(SEGMENT, st.builds(str.__add__, SEGMENT, SEGMENT)), max_size=5),
    st.sampled_from(["/", "", "//", "/api/"]),
    st.sampled_from(["", "/", "\n", " "]),
).filter(lambda path: not re.search("[\ud800-\udfff]", path))


@settings(max_examples=80)
@given(st.lists(PATH, min_size=1, max_size=30))
def test_columns_equal_the_definition(paths: list[str]) -> None:
    assert Endpoints().templates(pl.Series(paths)).to_list() == [template(path) for path in paths]


@given(PATH)
def test_a_template_is_stable_and_keeps_the_segments(path: str) -> None:
    assert template(path).count("/") == path.count("/")
    assert template(template(path)) == template(path)


def test_an_endpoint_does_not_depend_on_what_came_before() -> None:
    """Past the cap of what is remembered, too."""
    endpoints = Endpoints()
    paths = pl.Series([f"/x/{i:x}-{i}-z/9" for i in range(CACHED + 10)])
    first = endpoints.templates(paths)
    assert endpoints.templates(paths.reverse()).reverse().equals(first)
    assert first[5] == "/x/5-5-z/{id}"


def test_templates_can_be_left_out() -> None:
    paths = pl.Series(list(EXPECTED))
    assert Endpoints(templates=False).templates(paths).to_list() == list(EXPECTED)


# ------------------------------------------------------------------ routes

ROUTES = [
    "/users/{name}",
    "/users/me",
    "/users/{name}/posts/:post",
    "/files/**",
    "/files/{id}/info",
    "/flask/<int:number>",
    "/star/*/end",
    "/fast/{rest:path}",
]
ROUTED = {
    "/users/bob": "/users/{name}",
    "/users/42": "/users/{name}",
    "/users/me": "/users/me",
    "/users/me/": "/users/me",
    "/users/": "/users/",
    "/users": "/users",
    "/users/bob/posts/7": "/users/{name}/posts/:post",
    "/users/me/posts/7": "/users/{name}/posts/:post",
    "/users/bob/comments/7": "/users/bob/comments/{id}",
    "/files/a/b/c.txt": "/files/**",
    "/files/7/info": "/files/{id}/info",
    "/files/7/other": "/files/**",
    "/flask/7": "/flask/<int:number>",
    "/star/x/end": "/star/*/end",
    "/star/x/y/end": "/star/x/y/end",
    "/fast/a/b": "/fast/{rest:path}",
    "/else/9": "/else/{id}",
    "/Users/bob": "/Users/bob",
    "*": "*",
}


@pytest.mark.parametrize(("path", "endpoint"), ROUTED.items())
def test_routes_come_first(path: str, endpoint: str) -> None:
    assert Endpoints(ROUTES).templates(pl.Series([path])).to_list() == [endpoint]


def test_routes_in_any_order_are_the_same() -> None:
    paths = pl.Series(list(ROUTED))
    assert Endpoints(ROUTES[::-1]).templates(paths).to_list() == list(ROUTED.values())


def test_routes_alone() -> None:
    found = Endpoints(["/users/{name}"], templates=False).templates(pl.Series(["/users/5", "/x/5"]))
    assert found.to_list() == ["/users/{name}", "/x/5"]


def test_many_parameters_do_not_take_for_ever() -> None:
    """A backtracking matcher would try 2^40 ways."""
    routes = [f"/{'/'.join('{x}' if (i >> n) & 1 else 'a' for n in range(8))}/end{i}" for i in range(256)]
    paths = pl.Series(["/" + "/".join("a" * 8) + "/nowhere"])
    assert Endpoints(routes).templates(paths).to_list() == paths.to_list()


# ------------------------------------------------------------------ OpenAPI

OPENAPI = {
    "openapi": "3.0.3",
    "servers": [{"url": "https://example.com/api/v1/"}, {"url": "/{stage}/x"}],
    "paths": {"/bugs/{bugId}": {"get": {}}, "/bugs": {}, "x-extension": 1},
}
VARIABLES = {"host": {"enum": ["a"]}, "v": {"default": 3}}
SWAGGER = {"swagger": "2.0", "basePath": "/api", "paths": {"/bugs/{bugId}": {}, "/": {}}}
YAML = """
openapi: 3.1.0
info: {title: a, version: 1.0}
paths:
  /bugs/{bugId}:
    get: {}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "api"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("document", "routes"),
    [
        (json.dumps(OPENAPI), ["/api/v1/bugs/{bugId}", "/api/v1/bugs", "/{stage}/x/bugs/{bugId}", "/{stage}/x/bugs"]),
        (json.dumps({**OPENAPI, "servers": []}), ["/bugs/{bugId}", "/bugs"]),
        (json.dumps({"paths": {"/a": {}}}), ["/a"]),
        (json.dumps({"paths": {"/a": {}}, "servers": [{"url": "{host}/b{v}", "variables": VARIABLES}]}), ["/b3/a"]),
        (json.dumps({"paths": {"/a": {}}, "servers": [{"url": "https://[::1]:80/b?x=/c"}]}), ["/b/a"]),
        (json.dumps(SWAGGER), ["/api/bugs/{bugId}", "/api/"]),
        (YAML, ["/bugs/{bugId}"]),
        ("swagger: '2.0'\nbasePath: /v2\npaths: {/a: {}}\n", ["/v2/a"]),
        ("swagger: '2.0'\nbasePath: /\npaths: {/a: {}}\n", ["/a"]),
    ],
)
def test_openapi(tmp_path: Path, document: str, routes: list[str]) -> None:
    assert load_openapi(write(tmp_path, document)) == routes


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "no paths in it"),
        ("{}", "no paths in it"),
        ("[]", "no paths in it"),
        ("42", "no paths in it"),
        ('{"paths": ["/a"]}', "no paths in it"),
        ('{"paths": {}}', "no paths in it"),
        ('{"paths": {"/a": {}}', "not JSON"),
        ("paths: {/a: {}", "not YAML"),
        ("a: b: c", "not YAML"),
        ("paths: !!python/object/apply:os.system ['true']", "not YAML"),
        ("[" * 100_000, "not "),
        ("{" * 100_000, "not JSON"),
        ("\x00", "not YAML"),
        ('{"openapi": "3.0.0", "servers": 5, "paths": {"/a": {}}}', ""),
        ('{"openapi": "3.0.0", "servers": [{"url": "http://[x"}], "paths": {"/a": {}}}', ""),
        ('{"swagger": "2.0", "basePath": ["/x"], "paths": {"/a": {}}}', ""),
        ('{"paths": {"/a{b}c/{d": {}}}', ""),
    ],
)
def test_broken_documents_end_in_words_or_are_read(tmp_path: Path, document: str, said: str) -> None:
    path = write(tmp_path, document)
    try:
        Endpoints(load_openapi(path))
    except RouteError as error:
        assert said in str(error)
    else:
        assert not said


def test_a_document_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "api"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RouteError, match="not UTF-8"):
        load_openapi(path)
    with pytest.raises(RouteError, match="is a directory"):
        load_openapi(tmp_path)


def test_the_report_has_the_endpoints_of_the_document(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"2025-01-17 10:30:00 GET /api/v1/bugs/{b} 200 1ms\n" for b in ("abc", "x-1", "7")))
    found = logstats.report(log, openapi=write(tmp_path, json.dumps(OPENAPI)))
    assert [(row.endpoint, row.requests) for row in found.endpoints] == [("/api/v1/bugs/{bugId}", 3)]
    with_more = logstats.report(log, openapi=tmp_path / "api", routes=["/api/v1/bugs/abc"])
    assert {row.endpoint: row.requests for row in with_more.endpoints} == {
        "/api/v1/bugs/abc": 1,
        "/api/v1/bugs/{bugId}": 2,
    }


def test_endless_paths_are_one_endpoint_by_their_beginning() -> None:
    """4,096 bytes are a path as it is; of a longer one the first 1,000 characters tell, and it says so."""
    at_most, longer = "/" + "é" * 2047 + "x", "/" + "é" * 2047 + "xy"
    assert [len(path.encode()) for path in (at_most, longer)] == [4096, 4097]
    for endpoints in (Endpoints(), Endpoints(templates=False), Endpoints(["/users/{id}"])):
        found = endpoints.templates(pl.Series([at_most, longer, None, longer + "z"])).to_list()
        assert found == [at_most, longer[:1000] + "{long}", None, longer[:1000] + "{long}"]
