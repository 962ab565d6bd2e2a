"""Forms of times, strftime's (Apache) and Java's (Tomcat, Jetty) → how to find and parse such times."""

from __future__ import annotations

import re
from string import ascii_letters, digits
from typing import Final

from logstats.dataclass import dataclass
from logstats.errors import FormatError
from logstats.formats.log_format.shapes import Shape, Time


@dataclass(frozen=True, slots=True)
class _Piece:
    """One conversion: its spelling in chrono (which Polars uses), its regular expression, and the part of the time that
    it gives."""

    form: str
    regex: str
    characters: str
    says: str = ""


_TWO: Final = "[0-9]{2}"
_PIECES: Final = {
    # https://pubs.opengroup.org/onlinepubs/9699919799/functions/strftime.html in the C locale
    "Y": _Piece("%Y", "[0-9]{4}", digits, "year"),
    "y": _Piece("%y", _TWO, digits, "year"),
    "m": _Piece("%m", _TWO, digits, "month"),
    "b": _Piece("%b", "[A-Za-z]{3}", ascii_letters, "month"),
    "h": _Piece("%b", "[A-Za-z]{3}", ascii_letters, "month"),
    "B": _Piece("%B", "[A-Za-z]+", ascii_letters, "month"),
    "d": _Piece("%d", _TWO, digits, "day"),
    "e": _Piece("%e", "[ 0-9]?[0-9]", " " + digits, "day"),
    "j": _Piece("%j", "[0-9]{3}", digits, "month day"),
    "H": _Piece("%H", _TWO, digits, "hour"),
    "k": _Piece("%k", "[ 0-9]?[0-9]", " " + digits, "hour"),
    "I": _Piece("%I", _TWO, digits, "hour12"),
    "l": _Piece("%l", "[ 0-9]?[0-9]", " " + digits, "hour12"),
    "p": _Piece("%p", "[AaPp][Mm]", "AaPpMm", "half"),
    "P": _Piece("%p", "[AaPp][Mm]", "AaPpMm", "half"),
    "M": _Piece("%M", _TWO, digits, "minute"),
    "S": _Piece("%S", _TWO, digits, "second"),
    "s": _Piece("%s", "[0-9]+", digits, "epoch"),
    "z": _Piece("%z", r"[+-][0-9]{2}:?[0-9]{2}", digits + ":+-", "zone"),
    "Z": _Piece("%Z", "[A-Za-z0-9_/+-]+", ascii_letters + digits + "_/+-", "zone name"),
    "a": _Piece("%a", "[A-Za-z]{3}", ascii_letters, "weekday"),
    "A": _Piece("%A", "[A-Za-z]+", ascii_letters, "weekday"),
    "u": _Piece("%u", "[1-7]", digits, "weekday"),
    "w": _Piece("%w", "[0-6]", digits, "weekday"),
    # Not of strftime: Apache's and Tomcat's msec_frac and usec_frac, and Java's XXX.
    "3f": _Piece("%3f", "[0-9]{3}", digits, "fraction"),
    "6f": _Piece("%6f", "[0-9]{6}", digits, "fraction"),
    "9f": _Piece("%9f", "[0-9]{9}", digits, "fraction"),
    "#z": _Piece("%#z", "Z|[+-][0-9]{2}:?(?:[0-9]{2})?", digits + ":+Z-", "zone"),
}
_COMPOUND: Final = {
    "c": "%a %b %e %H:%M:%S %Y",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "R": "%H:%M",
    "r": "%I:%M:%S %p",
    "T": "%H:%M:%S",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
    "n": "\n",
    "t": "\t",
    "+": "%a %b %e %H:%M:%S %Z %Y",
}
_SPEC: Final = re.compile(r"%((?:(?!#z)[-_0^#])?)[EO]?(#z|[369]f|.)", re.DOTALL)
WORDS: Final = {"sec": "%s", "msec_frac": "%3f", "usec_frac": "%6f"}  # Apache's forms besides strftime
NUMBERS: Final = (*WORDS, "msec", "usec")

# https://docs.oracle.com/javase/8/docs/api/java/text/SimpleDateFormat.html
_JAVA: Final = {
    "yyyy": "%Y",
    "yy": "%y",
    "MM": "%m",
    "MMM": "%b",
    "MMMM": "%B",
    "M": "%-m",
    "dd": "%d",
    "d": "%-d",
    "DDD": "%j",
    "HH": "%H",
    "H": "%-H",
    "hh": "%I",
    "h": "%-I",
    "mm": "%M",
    "ss": "%S",
    "SSS": "%3f",
    "SSSSSS": "%6f",
    "SSSSSSSSS": "%9f",
    "a": "%p",
    "E": "%a",
    "EEE": "%a",
    "EEEE": "%A",
    "Z": "%z",
    "ZZZ": "%z",
    "X": "%#z",
    "XX": "%#z",
    "XXX": "%#z",
    "z": "%Z",
    "zzz": "%Z",
    "u": "%u",
}
_JAVA_TOKEN: Final = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+", re.DOTALL)


def time_of(form: str, moment: str, where: str) -> tuple[Time, Shape]:
    """The shape and parts of the times that strftime writes for a form. Raises FormatError, which shows `where`."""
    if form in ("msec", "usec"):  # numbers whose unit follows from their size
        return Time("", frozenset({"epoch", "fraction"}), moment), Shape("[0-9]+", "0-9")
    form = _expanded(WORDS.get(form, form))
    made, regex, characters, says = "", "", "", set[str]()
    place = 0
    for match in _SPEC.finditer(form):
        literal = form[place : match.start()]
        place = match.end()
        flag, letter = match.groups()
        if letter == "%":
            literal, piece = literal + "%", None
        elif letter in _PIECES:
            piece = _PIECES[letter]
        else:
            raise FormatError(
                f"a time cannot be parsed by %{letter}:\n{where}", "use what strftime has in the C locale"
            )
        made += literal.replace("%", "%%")
        regex += re.escape(literal)
        characters += literal
        if piece is not None:
            numeric = piece.characters.strip() == digits
            unpadded = flag in ("-", "_") and numeric
            made += f"%{flag}{piece.form[1:]}" if flag == "-" and numeric else piece.form
            regex += "(?:[ 0-9]?[0-9])" if unpadded else f"(?:{piece.regex})"
            characters += piece.characters + (" " if unpadded else "")
            said = {piece.says}
            if said & says:
                raise FormatError(f"this says the {piece.says} twice:\n{where}", "leave one of the two out")
            says |= set(piece.says.split()) if piece.says != "zone name" else said
    literal = form[place:]
    if "%" in literal:
        raise FormatError(f"a time cannot end in %:\n{where}", "write %% for a per cent sign")
    says |= _half_day(says)
    made += literal.replace("%", "%%")
    made_of = "".join(re.escape(character) for character in sorted({*characters, *literal}))
    spaces = -1 if re.search("%[ekl]", made) else made.count(" ")  # padded with a space, or not
    return Time(made, frozenset(says), moment), Shape(regex + re.escape(literal), made_of, spaces=spaces)


def joined(one: Time, literal: str, other: Time) -> Time:
    """Two parts of a time with text between them."""
    form = one.form + literal.replace("%", "%%") + other.form
    return Time(form, one.says | other.says | _half_day(one.says | other.says), one.moment)


def is_number(form: str) -> bool:
    """Whether times of a form are numbers, which `fields.times` reads without being told."""
    return form in ("%s", "%s%3f", "%s%6f", "%s.%3f", "%s.%6f")


def parsable(form: str) -> str:
    """The form for `fields.times`."""
    return re.sub(r"(?<=%S)\.%[369]f", "%.f", form)  # Polars reads this one fastest


def _half_day(says: frozenset[str] | set[str]) -> set[str]:
    return {"hour"} if {"hour12", "half"} <= says else set()


def from_java(pattern: str, where: str) -> str:
    """The strftime form of a SimpleDateFormat. Raises FormatError."""
    form = ""
    for match in _JAVA_TOKEN.finditer(pattern):
        token = match[0]
        if token.startswith("'"):
            form += (match[1].replace("''", "'") or "'").replace("%", "%%")
        elif match[2] is None:
            form += token.replace("%", "%%")
        elif token in _JAVA:
            form += _JAVA[token]
        else:
            raise FormatError(f"a time cannot be parsed by {token}:\n{where}", "use what Java's SimpleDateFormat has")
    if pattern.count("'") % 2:
        raise FormatError(
            f"a quote in this time is not closed:\n{where}", "Java's SimpleDateFormat quotes text so: 'T'"
        )
    return form


def _expanded(form: str) -> str:
    """The form without abbreviations such as `%T`."""
    return re.sub(r"%%|%[EO]?([cDFRrTxXnt+])", lambda match: _COMPOUND[match[1]] if match[1] else match[0], form)
