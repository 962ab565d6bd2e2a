"""The registry of formats: the TOML files in `builtin/`, and a user's own.

A broken file, or one without samples, does not load; the error names the key and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from logstats.errors import FormatError
from logstats.formats.index import indexed, written
from logstats.formats.model import DECODERS, ENGINES, KEYED, ROLES, UNITS, Field, Format, Sample
from logstats.formats.vocabulary import parsed as parsed_vocabulary
from logstats.formats.vocabulary import with_vocabulary
from logstats.frames import pl
from logstats.home import user_path

_KEYS: Final = {
    "title",
    "link",
    "engine",
    "pattern",
    "fields",
    "sample",
    "priority",
    "aliases",
    "fingerprint",
    "foreign",
    "requires",
    "also",
    "pairs",
    "vocabulary",
}
_FIELD_KEYS: Final[Mapping[str, tuple[type, str]]] = {
    "role": (str, "a text"),
    "of": (str, "a text"),
    "unit": (str, "a text"),
    "keys": (list, "a list of texts"),
    "port": (bool, "true or false"),
    "looks": (str, "a regular expression"),
    "extract": (str, "a regular expression"),
    "absent": (list, "a list of texts"),
    "decode": (str, "a text"),
    "sum": (bool, "true or false"),
    "listed": (bool, "true or false"),
    "form": (str, "a text"),
    "usual": (bool, "true or false"),
    "unnamed": (bool, "true or false"),
}
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HINT: Final = "see the built-in formats for examples: logstats formats show NAME"


@cache
def builtin() -> Mapping[str, Format]:
    """The formats that ship with logstats, by name."""
    found = {}
    for name, content, place in _files(resources.files("logstats.formats") / "builtin"):
        found[name] = indexed(name, content) or _decoded(name, content, place)
    return _with_foreign(found)


def index() -> str:
    """The text of the index of the built-in formats, from their files."""
    from logstats.formats.engines.regex import literals, opening

    files = _files(resources.files("logstats.formats") / "builtin")
    formats = ((_decoded(name, content, place), content) for name, content, place in files)
    return written(formats, parsed_vocabulary(), lambda pattern: (literals(pattern), opening(pattern)))


def builtin_names() -> list[str]:
    """The names of the built-in formats, in order; reads no file."""
    folder = resources.files("logstats.formats") / "builtin"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def formats(extra_dir: Path | None = None) -> Mapping[str, Format]:
    """Built-in formats, the user's, and those of a folder. A later one replaces an earlier one of the same name. Raises
    FormatError."""
    found = dict(builtin())
    own = user_path("formats")
    if own is not None and own.is_dir():
        found |= _load_all(own)
    if extra_dir is not None:
        if not extra_dir.is_dir():
            raise FormatError(f"{extra_dir}: no such folder", "--formats-dir takes a folder of .toml files")
        found |= _load_all(extra_dir)
    return found if found == builtin() else _with_foreign(found)


def _with_foreign(known: dict[str, Format]) -> dict[str, Format]:
    """The formats, where each generic one (a priority below 0, no fingerprint) has the fingerprints of all others of
    its engine as `foreign`. What is in a wrapper may be nothing known, and then its line may be an event."""
    marks: dict[str, list[str]] = {}
    for form in known.values():
        marks.setdefault(form.engine, []).extend(() if form.wraps else form.fingerprint)
    return {
        name: replace(form, foreign=tuple(dict.fromkeys(marks[form.engine])))
        if form.priority < 0 and not form.fingerprint and form.engine in KEYED
        else form
        for name, form in known.items()
    }


def named(name: str, extra_dir: Path | None = None) -> Format:
    """The built-in format of that name or alias. Raises FormatError, which suggests similar names."""
    return find(name, formats(extra_dir))


def find(name: str, known: Mapping[str, Format]) -> Format:
    """The format of that name or alias among these. Raises FormatError, which suggests similar names."""
    if name in known:
        return known[name]
    aliases = {alias: form for form in known.values() for alias in form.aliases}
    if name in aliases:
        return aliases[name]
    from difflib import get_close_matches

    near = get_close_matches(name, [*known, *aliases], n=3, cutoff=0.4)
    if near:
        raise FormatError(f"no format is called {name!r}", f"did you mean {', '.join(near)}?")
    raise FormatError(f"no format is called {name!r}", "logstats formats list shows them all")


def _load_all(folder: Path) -> dict[str, Format]:
    """The formats of a user's folder."""
    return {name: _decoded(name, content, place, check=True) for name, content, place in _files(folder)}


def _files(folder: Path | Traversable) -> Iterator[tuple[str, bytes, str]]:
    """The format files of a folder, in order: the name of each, its content, and its place in words."""
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".toml"):
            continue
        name = file.name.removesuffix(".toml")
        if not _NAME.fullmatch(name):
            raise FormatError(f"{file}: a format cannot be called {name!r}", "use letters, digits, _ and -")
        try:
            content = file.read_bytes()
        except OSError as error:
            raise FormatError(f"{file}: cannot be read: {error}", _HINT) from None
        yield name, content, str(file)


def _decoded(name: str, content: bytes, place: str, *, check: bool = False) -> Format:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"{place}: cannot be read: {error}", _HINT) from None
    return load(name, text.replace("\r\n", "\n"), place, check=check)


def load(name: str, text: str, place: str, *, check: bool = True) -> Format:
    """Load one format file; errors name its `place`. `check` also compiles its expressions. Raises FormatError."""
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{place}: not TOML: {error}", _HINT) from None

    def demand(condition: bool, key: str, why: str) -> None:
        if not condition:
            raise FormatError(f"{place}: {key}: {why}", _HINT)

    for key in data:
        demand(key in _KEYS, key, f"no such key; the keys are {', '.join(sorted(_KEYS))}")
    for key in ("title", "link", "engine"):
        demand(isinstance(data.get(key), str), key, "must be there, and a text")
    engine = data["engine"]
    demand(engine in ENGINES, "engine", f"must be one of {', '.join(ENGINES)}")
    pattern, priority, aliases = data.get("pattern", ""), data.get("priority", 0), data.get("aliases", [])
    demand(isinstance(pattern, str), "pattern", "must be a text")
    demand(
        engine == "w3c" or bool(pattern) == (engine in ("delimited", "regex")), "pattern", f"does not go with {engine}"
    )
    demand(isinstance(priority, int) and not isinstance(priority, bool), "priority", "must be a whole number")
    demand(_texts(aliases), "aliases", "must be a list of texts")
    fingerprint = data.get("fingerprint", [])
    demand(_texts(fingerprint), "fingerprint", "must be a list of keys")
    foreign = data.get("foreign", [])
    demand(_texts(foreign), "foreign", "must be a list of keys")
    keyed = engine in KEYED or engine == "w3c"
    demand(
        keyed or not (fingerprint or foreign),
        "fingerprint",
        f"only {', '.join(KEYED)} lines have keys, and w3c files columns and directives",
    )
    requires = data.get("requires", [])
    demand(_texts(requires), "requires", "must be a list of roles")
    demand(ROLES.issuperset(requires), "requires", f"the roles are {', '.join(sorted(ROLES))}")
    demand(isinstance(data.get("pairs", False), bool), "pairs", "must be true or false")
    also = data.get("also", [])
    demand(_texts(also), "also", "must be a list of formats")
    demand(isinstance(data.get("fields", {}), dict), "fields", "must be a table of fields")
    fields = {}
    for key, value in data.get("fields", {}).items():
        demand(isinstance(value, dict), f"fields.{key}", 'must be a table, such as { unit = "s" }')
        fields[key] = _field(key, value, demand)
    if data.get("vocabulary"):
        demand(data["vocabulary"] is True, "vocabulary", "must be true")
        fields = with_vocabulary(fields)
    if engine == "delimited":
        fields = _with_pattern(place, pattern, fields)
    elif engine == "regex":
        fields = _with_groups(pattern, fields, demand)
    elif check:
        for key, field in fields.items():
            demand(bool(field.keys or field.of), f"fields.{key}.keys", "must name the keys under which lines have it")
    demand(bool(fields), "fields", "must name at least one field")
    if check:
        _compile(engine, pattern, fields, demand)
    demand(bool(data.get("sample")), "sample", "a format without samples does not load: add a line and its row")
    demand(isinstance(data["sample"], list), "sample", "is written [[sample]], in double brackets")
    samples = tuple(_sample(entry, place) for entry in data["sample"])
    return Format(
        name,
        data["title"],
        data["link"],
        engine,
        pattern,
        fields,
        samples,
        priority,
        tuple(aliases),
        tuple(fingerprint),
        tuple(foreign),
        requires=tuple(requires),
        also=tuple(also),
        pairs=data.get("pairs", False),
    )


def _field(key: str, value: dict[str, Any], demand: Any) -> Field:
    for part, content in value.items():
        known = ", ".join(sorted(_FIELD_KEYS))
        demand(part in _FIELD_KEYS, f"fields.{key}.{part}", f"no such key; the keys are {known}")
        kind, words = _FIELD_KEYS[part]
        demand(
            isinstance(content, kind) and (kind is not list or _texts(content)),
            f"fields.{key}.{part}",
            f"must be {words}",
        )
    given: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in value.items()}
    field = Field(**{"role": key, **given})
    demand(
        field.role in ROLES,
        f"fields.{key}.role",
        f"{field.role!r} is no role; the roles are {', '.join(sorted(ROLES))}",
    )
    demand(field.unit in UNITS or field.unit == "auto", f"fields.{key}.unit", "must be s, ms, us, ns or auto")
    demand(field.decode in ("", *DECODERS), f"fields.{key}.decode", f"must be one of {', '.join(DECODERS)}")
    return field


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _with_pattern(place: str, pattern: str, fields: dict[str, Field]) -> dict[str, Field]:
    """Add a field for each variable of a pattern that is named like a role."""
    from logstats.formats.engines.delimited import Variable, parse_pattern

    try:
        names = [part.name for part in parse_pattern(pattern) if isinstance(part, Variable)]
    except FormatError as error:
        raise FormatError(f"{place}: pattern: {error.what}", error.hint) from None
    for name, field in fields.items():
        source = field.of or name
        if source not in names:
            raise FormatError(f"{place}: fields.{name}: the pattern has no ${source}", _HINT)
    found = {name: fields.get(name) or Field(name) for name in names if name in fields or name in ROLES}
    return found | {name: field for name, field in fields.items() if field.of}


def _with_groups(pattern: str, fields: dict[str, Field], demand: Any) -> dict[str, Field]:
    """Add a field for each group of a regular expression that is named like a role."""
    names = re.findall(r"\(\?P<(\w+)>", pattern)
    for name, field in fields.items():
        known = (field.of or name) in names or (bool(field.keys) and "fields" in names)
        demand(known, f"fields.{name}", f"the pattern has no group (?P<{name}>…)")
    return {**{name: Field(name) for name in names if name in ROLES}, **fields}


def _compile(engine: str, pattern: str, fields: Mapping[str, Field], demand: Any) -> None:
    """Compile a regular expression in both Python and Rust, which must agree that it is valid."""
    expressions = {"pattern": pattern} if engine == "regex" else {}
    for name, field in fields.items():
        expressions |= {
            f"fields.{name}.{part}": text for part in ("looks", "extract") if (text := getattr(field, part))
        }
    for key, expression in expressions.items():
        try:
            re.compile(expression)
            pl.Series([""]).str.contains(expression)
        except (re.error, RecursionError, OverflowError, pl.exceptions.ComputeError) as error:
            demand(False, key, f"not a regular expression that Rust and Python share: {str(error).splitlines()[0]}")
        if key.endswith(".extract"):
            demand(re.compile(expression).groups > 0, key, "needs a group ( ) for the value")


def _sample(entry: Any, place: str) -> Sample:
    match entry:
        case {"line": str(line), "expect": dict(expect), **rest} if not rest:
            return Sample(line, expect)
        case {"line": str(line), "rejected": str(reason), **rest} if not rest:
            return Sample(line, {}, reason)
    raise FormatError(f"{place}: sample: needs `line`, and either `expect` or `rejected`", _HINT)
