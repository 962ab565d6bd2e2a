"""key=value pairs, as in logfmt: `method=GET path=/a msg="two words" status=200`.

A key runs up to `=` and has no space or quote in it; a value is quoted, with backslash escapes, or runs up to the next
space or tab. If each bare value but the last ends with a comma, commas stand between the pairs (echo):
`method=GET, status=200`. Other words are skipped, but a line of pairs does not begin with a time or a brace. If a key
occurs twice, the first counts. `pairs_of` is that definition. LTSV (`time:…<TAB>status:200`, http://ltsv.org) has other
separators and no quotes: `labels_of` is its definition. Lines with the same keys in the same order, as one program
writes them, have the same layout, and are split together by the delimited engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Final

from logstats.dataclass import dataclass
from logstats.formats.engines.delimited import Delimited, Variable
from logstats.formats.engines.scan import Reject, Tokens, fast_then_reference
from logstats.formats.engines.template import take_apart
from logstats.formats.model import Field
from logstats.formats.text import Text
from logstats.frames import pl

MOST: Final = 200  # limits of a layout: pairs, and characters of a key
LAYOUTS: Final = 64  # layouts that are kept

_PAIR = re.compile(r'(?<![^ \t])([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"(?![^ \t])|([^ \t]*))')
# A line with this before its first value is not made of pairs.
_OTHER = re.compile(r"[0-9]{4}[-/][0-9]{2}|[0-9]{2}:[0-9]{2}|\{")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_UNESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One key=value pair, and its place in a text."""

    key: str
    value: str
    quoted: bool
    plain: bool  # without escapes


def pairs_of(text: str) -> list[Pair]:
    """The pairs of a text, in order."""
    found = []
    for match in _PAIR.finditer(text):
        key, quoted, bare = match.groups()
        if quoted is None:
            found.append(Pair(key, bare, False, '"' not in bare))
        else:
            value = _ESCAPE.sub(lambda m: _UNESCAPED.get(m[1], m[1]), quoted)
            found.append(Pair(key, value, True, "\\" not in quoted))
    bare = [pair for pair in found[:-1] if not pair.quoted]
    if bare and all(pair.value.endswith(",") for pair in bare):
        return [replace(pair, value=pair.value[:-1]) if pair in bare else pair for pair in found]
    return found


def labels_of(text: str) -> list[Pair]:
    """The labelled values of an LTSV line, in order; values without a label are skipped."""
    parts = (part.partition(":") for part in text.split("\t"))
    return [Pair(key, value, False, True) for key, colon, value in parts if colon and key and " " not in key]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The syntax of pairs: the separator of pairs, that of key and value, and the characters that an unquoted value
    cannot contain."""

    find: Callable[[str], list[Pair]]
    between: str
    assign: str
    never: bytes  # in a bare value


GRAMMARS: Final = {"keyvalue": Grammar(pairs_of, " ", "=", b' \t"'), "ltsv": Grammar(labels_of, "\t", ":", b"\t")}


class Pairs:
    """Reads the wanted variables from texts of key=value pairs; also the engine for lines that consist of pairs."""

    def __init__(
        self,
        fields: Mapping[str, Field],
        names: Collection[str],
        grammar: Grammar = GRAMMARS["keyvalue"],
        *,
        extra: bool = False,
    ) -> None:
        self.find = grammar.find
        self._grammar = grammar
        self.names = [name for name in fields if name in names and fields[name].keys]
        self._fields, self._named = fields, tuple(self.names)
        self._extra = extra
        self._made_ready = lru_cache(LAYOUTS)(self._new_layout)
        if extra:
            self.names.append("_extra")

    @cached_property
    def _keys(self) -> dict[str, tuple[int, str]]:
        """Key → (its rank among the keys of a variable, the variable). Made when a line first has pairs."""
        return {key: (rank, name) for name in self._named for rank, key in enumerate(self._fields[name].all_keys)}

    @cached_property
    def _known(self) -> set[str]:
        return {key for field in self._fields.values() if field.role != "ignored" for key in field.all_keys}

    def scan(self, line: str) -> dict[str, str | None]:
        """The reference path for a line of pairs. Raises Reject."""
        found = self.find(line)
        head = f"{found[0].key}{self._grammar.assign}" if found else ""
        if not found or line.startswith("\0") or _OTHER.search(line[: line.find(head) + len(head)]):
            raise Reject("no_pairs")
        return self.choose(found)

    def stop(self, line: str, name: str = "") -> int:
        """The position of the value of this name in a line."""
        found = self.find(line)
        value = self.choose(found).get(name) if found else None
        return max(line.find(value), 0) if value else 0

    def choose(self, found: list[Pair]) -> dict[str, str | None]:
        """The value of each variable, from the best of its keys that is present."""
        best: dict[str, tuple[int, str]] = {}
        for pair in found:
            rank, name = self._keys.get(pair.key, (0, ""))
            if name and (name not in best or rank < best[name][0]):
                best[name] = (rank, pair.value)
        values: dict[str, str | None] = {name: value for name, (_, value) in best.items()}
        if self._extra:
            rest = {p.key: p.value for p in reversed(found) if p.key not in self._known}
            values["_extra"] = json.dumps(rest, ensure_ascii=False) if rest else None
        return values

    def program(self, text: Text) -> None:
        """There is none: it takes more than one."""

    def __call__(self, text: Text) -> Tokens:
        """Both paths, for whole lines."""
        return fast_then_reference(text, self.columns(text), self.scan, self.names)

    def columns(self, text: Text) -> pl.DataFrame:
        """The lines that were read (`line`), with one column for each variable; the others are for `scan`."""
        if self._extra:
            return pl.DataFrame(schema={"line": pl.UInt32, **dict.fromkeys(self.names, pl.String)})
        return take_apart(text, self._layout, self.names)

    def _layout(self, text: str | None) -> _Layout | None:
        found = self.find(text or "")
        quotes = {True: '"', False: ""}
        words = [f"{p.key}{self._grammar.assign}{quotes[p.quoted]}{p.value}{quotes[p.quoted]}" for p in found]
        if not 0 < len(found) <= MOST or any('"' in p.key or "\0" in p.key or len(p.key) > MOST for p in found):
            return None
        if self._grammar.between.join(words) != text or not all(p.plain for p in found):
            return None
        pairs = tuple((p.key, p.quoted) for p in found)
        return self._made_ready(pairs)

    def _new_layout(self, pairs: tuple[tuple[str, bool], ...]) -> _Layout:
        return _Layout(pairs, self._grammar, self._chosen(tuple(key for key, _ in pairs)))

    def _chosen(self, keys: tuple[str, ...]) -> list[pl.Expr]:
        """The best key of a layout for each variable."""
        chosen: dict[str, tuple[int, int]] = {}
        for number, key in enumerate(keys):
            rank, name = self._keys.get(key, (0, ""))
            if name and (name not in chosen or rank < chosen[name][0]):
                chosen[name] = (rank, number)
        return [
            (pl.col(f"v{chosen[name][1]}") if name in chosen else pl.lit(None, pl.String)).alias(name)
            for name in self.names
        ]


class _Layout:
    """The same keys in the same order, quoted in the same places."""

    def __init__(self, pairs: tuple[tuple[str, bool], ...], grammar: Grammar, chosen: list[pl.Expr]) -> None:
        self._chosen = chosen
        pattern: list[str | Variable] = []
        literal = ""
        for number, (key, quoted) in enumerate(pairs):
            pattern += [f"{literal}{key}{grammar.assign}" + ('"' if quoted else ""), Variable(f"v{number}")]
            literal = '"' * quoted + grammar.between
        if pairs[-1][1]:
            pattern.append('"')
        wanted = {name for expression in chosen for name in expression.meta.root_names()}
        bare = [f"v{number}" for number, (_, quoted) in enumerate(pairs[:-1]) if not quoted]
        # Of pairs with commas in between, which have the same keys, any bare value ends with one.
        self._comma = next((name for name in bare if name in wanted), bare[0] if bare else "")
        wanted |= {self._comma} - {""}
        never = {f"v{n}": b"\\" if quoted else grammar.never for n, (_, quoted) in enumerate(pairs)}
        self._engine = Delimited(tuple(pattern), wanted, never)

    def columns(self, text: Text) -> pl.DataFrame:
        """The texts that certainly have this layout (`line`), with their variables."""
        found = self._engine.fast(text)
        if self._comma and (commas := found[self._comma].str.ends_with(",")).any():
            found = found.filter(~commas)
        return found.select("line", *self._chosen)
