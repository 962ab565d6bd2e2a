"""Levels of log lines, in one spelling whatever library wrote them."""

from __future__ import annotations

from typing import Final

from logstats.frames import pl

_SPELLINGS: Final = {
    "TRACE": ("T", "TRC", "TRAC", "VERBOSE", "VRB", "FINEST", "FINER", "10", *(f"TRACE{n}" for n in range(1, 9))),
    "DEBUG": ("D", "DBG", "DEBU", "FINE", "20"),
    "INFO": ("I", "INF", "INFORMATION", "INFORMATIONAL", "30"),
    "NOTICE": ("NTC", "NOTI"),
    "WARN": ("W", "WRN", "WARNING", "40"),
    "ERROR": ("E", "ERR", "EROR", "ERRO", "SEVERE", "50"),
    "CRITICAL": ("C", "CRIT", "CRI", "CRT"),
    "FATAL": ("F", "FTL", "FATA", "FAT", "60"),
    "PANIC": ("PANI", "PNC", "DPANIC"),
    "ALERT": ("ALRT",),
    "EMERG": ("EMERGENCY", "EMRG"),
}  # the numbers of pino and bunyan; the letters of glog and Tornado
_KNOWN: Final = {other: level for level, others in _SPELLINGS.items() for other in others}
_COLOUR: Final = r"\x1b\[[0-9;]*m"
_OFFSET: Final = r"^(DEBUG|INFO|WARN|ERROR)[+-][0-9]+$"  # slog, of a level between its own
_SYSLOG: Final = ("EMERG", "ALERT", "CRITICAL", "ERROR", "WARN", "NOTICE", "INFO", "DEBUG")  # RFC 5424, table 2


def known_levels(texts: pl.Series) -> pl.DataFrame:
    """Levels in their common spelling; null for texts that are no level."""
    bare = pl.col("").str.replace_all(_COLOUR, "").str.strip_chars(" []").str.to_uppercase().str.replace(_OFFSET, "$1")
    return texts.to_frame("").select(bare.replace(_KNOWN))


def of_syslog(texts: pl.Expr) -> pl.Expr:
    """Severities of syslog (0 to 7) as levels; other texts are kept."""
    return texts.replace({str(number): level for number, level in enumerate(_SYSLOG)})


def level_of(logged: pl.Expr, status: pl.Expr | None) -> pl.Expr:
    """The logged level; else ERROR for 5xx, WARN for 4xx, INFO."""
    if status is None:
        return pl.coalesce(logged, pl.lit("INFO"))
    derived = pl.when(status >= 500).then(pl.lit("ERROR")).when(status >= 400).then(pl.lit("WARN"))
    return pl.coalesce(logged, derived.otherwise(pl.lit("INFO")))
