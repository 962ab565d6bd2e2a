"""JSON lines: one object a line, flat or nested.

The value of a field is that of the first of its keys that is present and not null. `request.method` is the key `method`
inside `request`, or one key spelled so; `headers.Host[0]` is the first of a list. If a key occurs twice, the first
counts. A number or a boolean is read as its JSON text. An object or a list is no value, and neither is a text that
begins with a brace under a key that other keys use as an object (`request` beside `request.method`). A field with
`decode = "bytes"` may be a list of the bytes of its text, one with `decode = "object"` an object, whose text it is.
Almost-JSON that nginx writes is read as it is meant (`json_by_nginx`).

The fast path reads lines by their templates. Lines without a template are read by DuckDB's JSON reader, and those that
it cannot read by Python's, which decides.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from logstats.formats.engines.json_by_nginx import as_json
from logstats.formats.engines.json_template import JsonTemplate, TemplateReader
from logstats.formats.engines.program import Program
from logstats.formats.engines.scan import Reject, Tokens, fast_then_reference, in_order, left_of, rejects, scan_lines
from logstats.formats.engines.template import take_apart
from logstats.formats.model import Field
from logstats.formats.text import Text
from logstats.frames import pl
from logstats.kernels.columns import as_numbers

if TYPE_CHECKING:
    import duckdb

READERS: Final = 64  # templates that are kept
FEW: Final = 3000  # lines below which loading DuckDB costs more than it saves
_DOT = re.compile(r"(?<!\\)\.")  # separates the keys of nested objects; `\.` is part of a key
_INDEX = re.compile(r"^(.*)\[(\d+)\]$")


NUMERIC: Final = ("status", "bytes", "duration", "timestamp", "upstream_duration", "request_bytes")  # roles of numbers


class JsonLines:
    """The engine for one table of keys."""

    def __init__(self, fields: Mapping[str, Field], names: Collection[str], *, extra: bool = False) -> None:
        self._fields, self._wanted = fields, [name for name in fields if name in names]
        self._numeric = {name for name in self._wanted if fields[name].role in NUMERIC}
        self._times = {name for name in self._wanted if fields[name].role == "timestamp"}
        self._bytes = {name for name in self._wanted if fields[name].decode == "bytes"}
        self._whole = {name for name in self._wanted if fields[name].decode == "object"}
        self.names = [*self._wanted]
        self._extra = extra
        if extra:
            self.names.append("_extra")
        self._connections = threading.local()
        # Preparing one takes as long as reading a thousand lines.
        self._reader = lru_cache(READERS)(self._made_ready)

    @cached_property
    def _keys(self) -> dict[str, list[tuple[str | int, ...]]]:
        """The paths of each variable, best first."""
        return {name: _paths_of(self._fields[name].all_keys) for name in self._wanted}

    @cached_property
    def _by_first(self) -> dict[str | int, list[tuple[str, int]]]:
        """The variables that a key of an object, or what is in it, may have, each with the place in its paths."""
        found: dict[str | int, list[tuple[str, int]]] = {}
        for name, paths in self._keys.items():
            for place, path in enumerate(paths):
                found.setdefault(path[0], []).append((name, place))
        return found

    @cached_property
    def _objects(self) -> set[tuple[str | int, ...]]:
        """Keys that hold objects."""
        return {steps[:1] for paths in self._keys.values() for steps in paths if len(steps) > 1}

    @cached_property
    def _insides(self) -> set[tuple[str | int, ...]]:
        """Paths at which a list may be the bytes of a text, or an object a value."""
        return {path for name in self._bytes | self._whole for path in self._keys[name]}

    @cached_property
    def _known(self) -> set[str]:
        """Keys that are not part of `extra`."""
        known = (key for field in self._fields.values() for key in field.all_keys if field.role != "ignored")
        return {key.replace("\\.", ".") for key in known}

    def scan(self, line: str) -> dict[str, str | None]:
        """The reference path. Raises Reject."""
        tree = _tree(line)
        if not isinstance(tree, dict):
            raise Reject("not_an_object")
        fields = {name: self._first(tree, some, self._fields[name].decode) for name, some in self._paths(tree).items()}
        if self._extra:
            rest = _without(tree, self._known)
            fields["_extra"] = _encodable(json.dumps(rest, ensure_ascii=False)) if rest else None
        return fields

    def stop(self, line: str, name: str = "") -> int:
        """The position at which a line stops being JSON; or, in valid JSON, that of the value of this name."""
        try:
            value = self.scan(line).get(name)
        except Reject:
            try:
                json.loads(line)
            except json.JSONDecodeError as error:
                return error.pos
            except (ValueError, RecursionError):
                pass
            return 0
        return max(line.find(value), 0) if value else 0

    def __call__(self, text: Text) -> Tokens:
        """Both paths."""
        if self._extra:
            return scan_lines(enumerate(text.lines.to_list()), self.scan, self.names)
        read = take_apart(text, self._learn, self.names)
        if read.height == len(text):
            return Tokens(read, rejects(), 0)
        places = left_of(text, read)
        rest = self._odd(text.gather(places))
        moved = pl.lit(as_numbers(places.astype(np.uint32))).gather(pl.col("line"))
        return Tokens(
            in_order(read, rest.fields.with_columns(line=moved)),
            rest.rejected.with_columns(line=moved),
            rest.ignored,
        )

    def program(self, text: Text) -> Program | None:
        """The program of the template of the first line."""
        template = None if self._extra or not len(text) else self._learn(text.pick([0])[0])
        return template.program if template is not None else None

    def _learn(self, line: str) -> TemplateReader | None:
        template = JsonTemplate.from_line(line)
        if template is None or any(
            leaf.path[:length] in self._insides for leaf in template.leaves for length in range(1, len(leaf.path))
        ):
            return None
        return self._reader(template)

    def _made_ready(self, template: JsonTemplate) -> TemplateReader:
        marks = {name for name in self._wanted if self._fields[name].role == "ignored"}
        return TemplateReader(template, self._keys, self._objects, self._numeric, self._times, marks)

    def _odd(self, text: Text) -> Tokens:
        """Read lines without a template."""
        if len(text) < FEW:
            return scan_lines(enumerate(text.lines.to_list()), self.scan, self.names)
        return fast_then_reference(text, self.fast(text.lines), self.scan, self.names)

    def fast(self, lines: pl.Series) -> pl.DataFrame:
        """The fast path: the lines that it can read with certainty (`line`), and their fields."""
        there = self._paths(_keys_in(lines))
        paths = [_spelled(path) for name in there for path in there[name]]
        table = lines.alias("line").to_frame().to_arrow()
        connection = self._connection()
        connection.register("lines", table)
        query = "SELECT try(json_extract_string(line, $paths)) AS found FROM lines"
        found = pl.from_arrow(connection.sql(query, params={"paths": paths}).to_arrow_table())
        connection.unregister("lines")
        assert isinstance(found, pl.DataFrame)
        places = iter(range(len(paths)))
        numbered = {
            name: [(path, pl.col("found").list.get(next(places), null_on_oob=True)) for path in there[name]]
            for name in there
        }
        values = found.with_columns(
            pl.coalesce(
                pl.lit(None, pl.String),
                *(
                    pl.when(~value.str.starts_with("{")).then(value) if steps in self._objects else value
                    for steps, value in numbered[name]
                ),
            ).alias(name)
            for name in self.names
        ).select(self.names)
        # A text that begins like an object or a list may be one: the reference path decides.
        odd = values.select(pl.any_horizontal(pl.all().str.contains(r"^[\[{]").fill_null(value=False))).to_series()
        good = (found["found"].is_not_null() & lines.str.starts_with("{") & ~odd).fill_null(value=False)
        return values.with_columns(line=pl.int_range(pl.len(), dtype=pl.UInt32)).filter(good)

    def _first(self, tree: dict[str, Any], paths: list[tuple[str | int, ...]], decode: str) -> str | None:
        for path in paths:
            node: Any = tree
            for step in path:
                if isinstance(step, str):
                    node = node.get(step) if isinstance(node, dict) else None
                else:
                    node = node[step] if isinstance(node, list) and step < len(node) else None
            if decode == "bytes" and isinstance(node, list):
                node = _text_of(node)
            if decode == "object" and isinstance(node, dict):
                node = json.dumps(node, ensure_ascii=False)
            if node is None or isinstance(node, dict | list):
                continue
            text = node if isinstance(node, str) else json.dumps(node)
            if decode == "object" or not (text.startswith("{") and path in self._objects):
                return _encodable(text)
        return None

    def _paths(self, keys: Iterable[str]) -> dict[str, list[tuple[str | int, ...]]]:
        """The paths of each variable, best first, of which lines with these keys may have the first step."""
        places: dict[str, list[int]] = {name: [] for name in self._keys}
        for key in keys:
            for name, place in self._by_first.get(key, ()):
                places[name].append(place)
        return {name: [self._keys[name][place] for place in sorted(some)] for name, some in places.items()}

    def _connection(self) -> duckdb.DuckDBPyConnection:
        connection: duckdb.DuckDBPyConnection | None = getattr(self._connections, "one", None)
        if connection is None:
            import duckdb

            connection = duckdb.connect(config={"threads": 1})
            self._connections.one = connection
        return connection


def _spelled(path: tuple[str | int, ...]) -> str:
    """A path as DuckDB has it."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f'."{step}"' for step in path)


def _keys_in(lines: pl.Series) -> set[str]:
    """The keys of lines of JSON, and maybe some texts that are none."""
    texts = lines.str.extract_all(r'"(?:[^"\\]|\\.)*"[ \t]*:').explode().unique().drop_nulls().to_list()
    return {key for text in texts if (key := _decoded(text.rstrip(" \t:"))) is not None}


def _decoded(text: str) -> str | None:
    try:
        return str(json.loads(text))
    except ValueError:
        return None


def _tree(line: str) -> Any:
    """The object of a line in JSON or almost JSON, which nobody may change. Raises Reject."""
    found = _parsed(line) if len(line) <= _REMEMBERED else _parse(line)
    if found is _NOT_JSON:
        raise Reject("not_json")
    return found


def _parse(line: str) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_first_of_each)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(as_json(line) or "", object_pairs_hook=_first_of_each)
    except (ValueError, RecursionError):
        return _NOT_JSON


_NOT_JSON: Final = object()
_REMEMBERED: Final = 8 << 10  # characters of a line
_parsed = lru_cache(maxsize=128)(_parse)  # detection asks each format about the same lines


@lru_cache(1024)
def _paths_of(keys: tuple[str, ...]) -> list[tuple[str | int, ...]]:
    """Each path, and the single key with dots in it (`a\\.b`) that some loggers write for nested objects. Nobody may
    change the list."""
    found: list[tuple[str | int, ...]] = []
    for key in keys:
        if "." in key or "[" in key:
            found += [_steps(spelling) for spelling in dict.fromkeys((key, _DOT.sub(r"\\.", key)))]
        else:
            found.append((key,))
    return found


def _steps(key: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    for part in _DOT.split(key):
        match = _INDEX.match(part)
        steps += [match[1], int(match[2])] if match else [part.replace("\\.", ".")]
    return tuple(steps)


def _text_of(values: list[Any]) -> str | None:
    try:
        return bytes(values).decode(errors="backslashreplace")
    except (TypeError, ValueError, OverflowError):  # that is some other list
        return None


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in pairs:
        tree.setdefault(key, value)
    return tree


def _encodable(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by the text of their escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _without(tree: dict[str, Any], known: Collection[str], prefix: str = "") -> dict[str, Any]:
    rest: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if path in known and not (isinstance(value, dict) and not prefix):
            continue
        inner = _without(value, known, f"{path}.") if isinstance(value, dict) else value
        if not (isinstance(value, dict) and value and not inner):
            rest[key] = inner
    return rest
