"""Paths → endpoints: the parts of a path that identify one of many things become placeholders.

    /api/users/123/files/7f3a9c1e.png   →   /api/users/{id}/files/{hash}.png

Routes, given by the user or taken from an OpenAPI document, come first; then the built-in templates below. A path
is judged by its text alone, so it is the same endpoint in every chunk, file and process. Parameters of the query belong
to the endpoint only if they are named: `/search?q=cats&page=2` becomes `/search?page={id}` if `page` is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

import numpy as np

from logstats.cache import BoundedCache
from logstats.dataclass import dataclass
from logstats.errors import RouteError
from logstats.frames import pl
from logstats.kernels import library as kernels
from logstats.kernels.columns import as_numbers
from logstats.query_strings import parameter

CACHED: Final = 100_000  # endpoints of paths that Python had to decide

_UUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_KINDS: Final = (
    ("{id}", re.compile(r"-?[0-9]+")),
    ("{uuid}", re.compile(_UUID)),
    ("{date}", re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:T[0-9:.]+(?:Z|[+-][0-9:]+)?)?)?")),
    ("{ip}", re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")),
    ("{email}", re.compile(r"[^@/]+(?:@|%40)[^@/]+\.[A-Za-z]{2,}")),
    ("{hash}", re.compile(r"(?=.*[0-9])(?=.*[A-Fa-f])[0-9A-Fa-f]{8,}|[0-9A-Fa-f]{16,}")),
)
_FILE = re.compile(r"(.+?)((?:\.min|\.tar)?(?:\.[A-Za-z][A-Za-z0-9]{0,5}){1,2})")
_JOINTS = re.compile(r"([._-])")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,}={0,2}")
_LONGEST = 256  # a longer segment is an identifier
LONGEST_PATH: Final = 4096  # bytes: the limit of Linux, and about that of servers; of a longer path, this many
KEPT_OF_PATH: Final = 1000  # characters are kept, and `{long}` replaces the rest


def template(path: str) -> str:
    """The endpoint of one path by the built-in templates. `Endpoints.templates` does the same in columns."""
    return "/".join(_segment(segment) for segment in path.split("/"))


def _segment(segment: str) -> str:
    if not segment or (len(segment) > _LONGEST and not segment.isdigit()):
        return segment
    kind = _kind(segment)
    if kind:
        return kind
    if file := _FILE.fullmatch(segment):
        return _file(file[1]) + file[2]
    return "{id}" if _random(segment) else segment


def _kind(text: str) -> str | None:
    return next((name for name, pattern in _KINDS if pattern.fullmatch(text)), None)


def _file(stem: str) -> str:
    """The stem of a file's name: `app.3f9c2b7a`, `main-5d8f3c2b1a`, `2025-01-17`, `123`."""
    kind = _kind(stem)
    if kind:
        return kind
    if _random(stem):
        return "{id}"
    pieces = _JOINTS.split(stem)
    return "".join("{hash}" if _content_hash(piece, first=i == 0) else piece for i, piece in enumerate(pieces))


def _content_hash(piece: str, *, first: bool) -> bool:
    """Whether a part of a file name is a content hash, as bundlers add: hexadecimal, or 8 or more characters of base
    64."""
    if len(piece) < 8 or not any(c.isdigit() for c in piece):
        return False
    if re.fullmatch(r"[0-9A-Fa-f]+", piece):
        return not piece.isdigit()
    mixed = any(c.isupper() for c in piece) and any(c.islower() for c in piece)
    return not first and mixed and piece.isalnum() and piece.isascii()


def _random(text: str) -> bool:
    """Whether a text is a long random token (base 64, ULID, nanoid); slugs of any length are not."""
    if not _TOKEN.fullmatch(text):
        return False
    digits = sum(c.isdigit() for c in text)
    upper, lower = any(c.isupper() for c in text), any(c.islower() for c in text)
    if upper and lower:
        return digits >= 2 and digits * 12 >= len(text)
    return digits * 5 >= len(text) and not ("-" in text or "_" in text)


@dataclass(slots=True)
class _Node:
    """A node in the tree of routes."""

    literals: dict[str, _Node] = field(default_factory=dict)
    any_segment: _Node | None = None
    route: str | None = None  # the route of a path that ends here
    tail: str | None = None  # the route of a path with any further segments


class Endpoints:
    """Turns paths into endpoints. Threads may share it."""

    def __init__(self, routes: Sequence[str] = (), *, templates: bool = True, query: Sequence[str] = ()) -> None:
        self._templates = templates
        self._query = tuple(dict.fromkeys(query))
        self._suffixes = BoundedCache(self._suffix)
        self._routes = _tree(routes) if routes else None
        self._cache: dict[str, str] = {}

    @property
    def built_in(self) -> bool:
        """Whether nothing but the built-in templates decides about a path."""
        return self._templates and self._routes is None

    @property
    def of_paths(self) -> bool:
        """Whether the path alone decides about the endpoint."""
        return not self._query

    def templates(self, paths: pl.Series) -> pl.Series:
        """Paths (String) → endpoints (String), in the same order; null stays null.

        Only the beginning of a path longer than `LONGEST_PATH` is used, so that endpoints take bounded memory.
        """
        sizes = paths.str.len_bytes()
        if (sizes.max() or 0) > LONGEST_PATH:  # type: ignore[operator]
            paths = paths.zip_with(
                (sizes <= LONGEST_PATH).fill_null(value=True), paths.str.slice(0, KEPT_OF_PATH) + "{long}"
            )
        if self._routes is not None:
            return self._by_python(paths, self._one)
        if not self._templates:
            return paths
        if not kernels.AVAILABLE:
            return self._by_python(paths)
        found, certain = kernels.templates(paths)
        if certain.all():
            return found
        odd = as_numbers(np.flatnonzero(~certain))
        return found.scatter(odd, self._by_python(paths[odd]))

    def endpoint(self, path: str) -> str:
        """The endpoint of one path."""
        if len(path.encode()) > LONGEST_PATH:
            path = path[:KEPT_OF_PATH] + "{long}"
        cached = self._cache
        found = cached.get(path)
        if found is None:
            found = cached[path] = self._one(path)
            if len(cached) >= CACHED:
                self._cache = {}
        return found

    def parameters(self, queries: pl.Series) -> pl.Series | None:
        """Queries (String, without `?`) → what of them belongs to the endpoint, such as `?page={id}`: the parameters
        that are kept, in the order in which they were named, their values as segments of a path; "" without any. None
        if none are kept at all.
        """
        return self._suffixes.lookup(queries).to_series().fill_null("") if self._query else None

    def _suffix(self, queries: pl.Series) -> pl.DataFrame:
        values = queries.to_frame("query").select(parameter(name).alias(name) for name in self._query)
        as_segments = Endpoints(templates=self._templates)
        kept = values.with_columns(as_segments.templates(value).alias(value.name) for value in values)
        parts = [pl.lit(f"{name}=") + pl.col(name) for name in self._query]
        joined = pl.concat_str(parts, separator="&", ignore_nulls=True)
        return kept.select(pl.when(joined == "").then(pl.lit("")).otherwise(pl.lit("?") + joined).alias("suffix"))

    def _one(self, path: str) -> str:
        if self._routes is not None and path.startswith("/"):
            route = _match(self._routes, path.removesuffix("/").split("/")[1:])
            if route is not None:
                return route
        return template(path) if self._templates else path

    def _by_python(self, paths: pl.Series, decide: Callable[[str], str] = template) -> pl.Series:
        cached = self._cache
        found: list[str | None] = []
        for path in paths.to_list():
            endpoint = cached.get(path)
            if endpoint is None and path is not None:
                endpoint = decide(path)
                if len(cached) < CACHED:
                    cached[path] = endpoint
            found.append(endpoint)
        if len(cached) >= CACHED:
            self._cache = {}
        return pl.Series(found, dtype=pl.String)


def _tree(routes: Iterable[str]) -> _Node:
    root = _Node()
    for route in routes:
        _plant(root, route)
    return root


_PARAMETER = re.compile(r"\{[^{}/]+\}|:[A-Za-z_]\w*|<(?:\w+:)?\w+>|\*")
_TAIL = re.compile(r"\*\*|\{\*\w*\}|\{\w+\*\}|\{\w+:path\}|<path:\w+>")


def _plant(root: _Node, route: str) -> None:
    if not route.startswith("/"):
        raise RouteError(f"route {route!r} does not begin with /", "write the path only: /users/{id}")
    node = root
    segments = route.removesuffix("/").split("/")[1:]
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        if _TAIL.fullmatch(segment) or (last and segment == "*" and len(segments) > 1):
            if not last:
                raise RouteError(f"route {route!r}: {segment} can only stand at the end", "split it into two routes")
            if node.tail is None:
                node.tail = route
            return
        if _PARAMETER.fullmatch(segment):
            node.any_segment = node.any_segment or _Node()
            node = node.any_segment
        elif "{" in segment or "}" in segment:
            raise RouteError(
                f"route {route!r}: cannot read the segment {segment!r}",
                "a parameter takes a segment of its own: {id}",
            )
        else:
            node = node.literals.setdefault(segment, _Node())
    if node.route is None:
        node.route = route


def _match(node: _Node, segments: Sequence[str], place: int = 0) -> str | None:
    """The route of a path, the most literal one: a literal beats a parameter, a parameter beats a tail."""
    stack: list[tuple[_Node, int]] = [(node, place)]
    while stack:
        node, place = stack.pop()
        if place == len(segments):
            if node.route is not None:
                return node.route
            continue
        if place < 0:  # a tail is tried after all other children of its node
            return node.tail
        if node.tail is not None:
            stack.append((node, -1))
        if node.any_segment is not None and segments[place]:
            stack.append((node.any_segment, place + 1))
        literal = node.literals.get(segments[place])
        if literal is not None:
            stack.append((literal, place + 1))
    return None


def load_openapi(file: str | Path) -> list[str]:
    """The routes of an OpenAPI 3 or Swagger 2 document (JSON or YAML), with their base path. Raises RouteError."""
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "not UTF-8"
        raise RouteError(f"{path}: {why}", "check the path") from None
    document = _parse(path, text)
    paths = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(paths, dict) or not paths:
        raise RouteError(f"{path}: no paths in it", "--routes takes an OpenAPI 3 or Swagger 2 document")
    bases = _bases(document)
    return [f"{base}{route}" for base in bases for route in paths if isinstance(route, str) and route.startswith("/")]


def _parse(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("{"):
            raise RouteError(f"{path}: not JSON: {error}") from None
    try:
        import yaml
    except ImportError:
        raise RouteError(f"{path}: reading YAML needs PyYAML", "pip install 'logstats[routes]'") from None
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError) as error:
        raise RouteError(f"{path}: not YAML: {error}") from None


def _bases(document: dict[str, Any]) -> list[str]:
    if "swagger" in document:
        bases = [str(document.get("basePath") or "")]
    else:
        servers = document.get("servers")
        found = [server for server in servers if isinstance(server, dict)] if isinstance(servers, list) else []
        bases = [_base(server) for server in found] or [""]
    return list(dict.fromkeys(base.rstrip("/") for base in bases))


def _base(server: dict[str, Any]) -> str:
    """The path of a server's URL. A variable without a default remains as a parameter of the route."""
    variables = server.get("variables")
    url = str(server.get("url", ""))
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict) and "default" in variable:
            url = url.replace(f"{{{name}}}", str(variable["default"]))
    path = re.sub(r"^(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*|^[^/?#]+", "", url)
    return re.split(r"[?#]", path)[0]
