"""Globs and regular expressions of texts. Both are matched by Rust's regex, in time that is linear in the text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from logstats.frames import pl


def wrong_pattern(pattern: str) -> str:
    """Why a text is no regular expression, "" if it is one."""
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        lines = str(error).partition("This error occurred")[0].strip().splitlines()
        return lines[-1].removeprefix("error: ").removeprefix("regex error: ").rstrip(".")
    return ""


def glob_matches(name: str, wanted: Sequence[str]) -> pl.Expr:
    """Whether a column matches one of some globs, null where it is null: `*` is any run of characters, `?` any one."""
    return pl.col(name).str.contains("|".join(f"(?:{regex_of(word)})" for word in wanted))


def regex_of(glob: str) -> str:
    """The glob as a regular expression of Rust. (fnmatch writes Python's.)"""
    parts = re.split(r"([*?])", glob)
    return "(?s)^" + "".join({"*": ".*", "?": "."}.get(part) or _literal(part) for part in parts) + "$"


def _literal(text: str) -> str:
    return re.sub(r"([\\.+^$|()\[\]{}*?#&~-])", r"\\\1", text)
