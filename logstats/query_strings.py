"""The parameters of a query string (what follows the `?` of a request target)."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

from logstats.frames import pl


def parameter(name: str, column: str = "query") -> pl.Expr:
    """The value of the first parameter of this name, as it stands in a query: "" if it has none, null without it."""
    spellings = "|".join(dict.fromkeys(_literal(form(name)) for form in (str, quote, quote_plus)))
    begin = f"(?:^|&)(?:{spellings})"
    return pl.coalesce(
        pl.col(column).str.extract(rf"{begin}(?:=([^&]*))?(?:&|$)", 1),
        pl.when(pl.col(column).str.contains(rf"{begin}(?:&|$)")).then(pl.lit("")),
    )


def _literal(text: str) -> str:
    """A text as a regular expression of Rust."""
    return "".join(c if c.isalnum() or c == "_" else rf"\x{{{ord(c):x}}}" for c in text)
