"""Times in forms for people → ISO 8601, which `times` reads.

    Fri, 17 Jan 2025 10:30:00 GMT       Fri Jan 17 10:30:00 UTC 2025       Jan 17, 2025 10:30:00 AM
    2025-01-17 10:30:00 +0000 UTC       1/17/2025 10:30:00 AM              17.01.2025 10:30:00
    17/janv./2025:10:30:00 +0000        20250117T103000Z                   Friday, 17-Jan-25 10:30:00 GMT
    2025-01-17 10:30:00:123             20250117103000123

In `3/4/2025` either number may be the day. With AM or PM it is the second one, as in the United States. Else the other
lines of the chunk decide; if they do not, it is no time.
"""

from __future__ import annotations

from typing import Final

from logstats.frames import pl

_CLOCK: Final = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,:](?P<fraction>[0-9]{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_ZONE: Final = r"(?: ?(?:GMT|UTC)?(?P<zone>Z|[A-Z]{3,4}|[+-][0-9]{2}:?[0-9]{2})(?: [A-Z]{3,4})?(?: m=[+-][0-9.]+)?)?"
_WEEKDAY: Final = r"(?:[A-Za-z]{3,9},? +)?"
_MONTH: Final = r"(?P<month>\pL{3,9})\.?"
_FORMS: Final = (
    rf"^{_WEEKDAY}(?P<day>[0-9]{{1,2}})[ -]{_MONTH}[ -](?P<year>[0-9]{{4}})[ T:]{_CLOCK}{_ZONE}$",  # RFC 1123
    rf"^[A-Za-z]{{6,9}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK}{_ZONE}$",  # RFC 850
    rf"^{_WEEKDAY}{_MONTH} +(?P<day>[0-9]{{1,2}}) {_CLOCK}{_ZONE} (?P<year>[0-9]{{4}})$",  # date(1), asctime
    rf"^{_WEEKDAY}{_MONTH} +(?P<day>[0-9]{{1,2}}),? (?P<year>[0-9]{{4}}),? {_CLOCK}{_ZONE}$",
    rf"^(?P<one>[0-9]{{1,2}})/(?P<two>[0-9]{{1,2}})/(?P<year>[0-9]{{4}}),?[ T]{_CLOCK}{_ZONE}$",
    rf"^(?P<day>[0-9]{{1,2}})\.(?P<month>[0-9]{{1,2}})\.(?P<year>[0-9]{{4}}),? {_CLOCK}{_ZONE}$",
    rf"^(?P<year>[0-9]{{4}})[-/.](?P<month>[0-9]{{1,2}})[-/.](?P<day>[0-9]{{1,2}})[ T]{_CLOCK}{_ZONE}$",  # Go
    r"^(?P<day>[0-9]{1,2})/(?P<month>[^/:]{3,24})/(?P<year>[0-9]{4}):(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):"
    r"(?P<second>[0-9]{2})(?: (?P<zone>[+-][0-9]{4}))?$",  # CLF in the server's language
    r"^(?P<year>(?:19|20)[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})[T ]?(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})"
    r"(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?$",  # ISO 8601, basic
    r"^(?P<year>(?:19|20)[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})"
    r"(?P<second>[0-9]{2})(?P<fraction>[0-9]{3})$",  # the same with milliseconds: as a number, it would be after 2270
)
_PARTS: Final = ("year", "month", "day", "hour", "minute", "second", "fraction", "half", "zone", "one", "two")

# Abbreviated months as C libraries have them (%b), without the point at their end: English, German, French, Spanish,
# Italian, Portuguese, Dutch, Swedish, Danish, Norwegian, Finnish, Polish, Czech, Hungarian, Romanian, Catalan, Turkish,
# Russian, Ukrainian. A name that means different months in two languages is left out.
_NAMES: Final = (
    "jan january januar janv janvier ene enero gen gennaio januari tammi sty led ian oca ocak янв січ",
    "feb february februar févr février febrero febbraio fev fevereiro februari helmi lut úno febr şub şubat фев лют",
    "mar march mär märz mrz mars marzo março març mrt maart maalis bře márc мар бер",
    "apr april avr avril abr abril aprile huhti kwi dub ápr nis nisan апр кві",
    "may mai mayo mag maggio mei maj touko kvě máj maio maig мая май тра",
    "jun june juni juin junio giu giugno junho kesä cze jún iun juny haz haziran июн чер",
    "jul july juli juil juillet julio lug luglio julho heinä lip iul júl tem temmuz июл",
    "aug august août ago agosto elo sie augusti ağu ağustos авг сер",
    "sep sept september septembre septiembre set settembre setembro syys wrz zář szept eyl eylül сен вер",
    "oct october okt oktober octobre octubre ott ottobre out outubro loka paź říj eki ekim окт жов",
    "nov november novembre noviembre novembro marras kas kasım ноя",
    "dec december dez dezember déc décembre dic diciembre dicembre dezembro des joulu gru pro ara aralık дек гру",
)
_ZONES: Final = {  # RFC 5322 4.3, and those of Central Europe
    **dict.fromkeys(("Z", "UT", "UTC", "GMT"), "+0000"),
    "EST": "-0500",
    "EDT": "-0400",
    "CST": "-0600",
    "CDT": "-0500",
    "MST": "-0700",
    "MDT": "-0600",
    "PST": "-0800",
    "PDT": "-0700",
    "CET": "+0100",
    "CEST": "+0200",
}


def _months() -> dict[str, str]:
    """Spelling of a month → its two digits. Latin-1 letters appear as `\\xe9`, like all bytes that are not UTF-8."""
    months: dict[str, str] = {}
    for number, names in enumerate(_NAMES, 1):
        for name in names.split():
            latin = "".join(c if c.isascii() or ord(c) > 255 else f"\\x{ord(c):02x}" for c in name)
            months |= dict.fromkeys((name, latin), f"{number:02d}")
        months |= dict.fromkeys((str(number), f"{number:02d}"), f"{number:02d}")
    return months


_MONTHS: Final = _months()


def as_iso(texts: pl.Series) -> pl.Series:
    """The times as `2025-01-17T10:30:00.123+0000`, without an offset if the text has none; null for other texts."""
    found = pl.Series(texts.name, [None], pl.String).new_from_index(0, len(texts))
    for form in _FORMS:
        left = found.is_null() & texts.str.contains(form).fill_null(value=False)
        if left.any():
            places = left.arg_true()
            found = found.scatter(places, _rewritten(texts.gather(places), form))
    return found


def _rewritten(texts: pl.Series, form: str) -> pl.Series:
    parts = texts.to_frame("text").select(pl.col("text").str.extract_groups(form)).unnest("text")
    none = pl.lit(None, pl.String)
    parts = parts.with_columns(none.alias(part) for part in _PARTS if part not in parts.columns)
    if "/(?P<two>" in form:
        parts = _with_days(parts)
    hour = pl.col("hour").cast(pl.Int8, strict=False)
    of_half = hour % 12 + pl.when(pl.col("half").is_in(["p", "P"])).then(12).otherwise(0)
    hour = pl.when(pl.col("half").is_null()).then(hour).when(hour.is_between(1, 12)).then(of_half)
    zone = pl.when(pl.col("zone").str.contains("^[+-]")).then("zone").otherwise(_known("zone", _ZONES))
    known = pl.col("zone").is_null() | zone.is_not_null()
    month = _known(pl.col("month").str.to_lowercase().str.strip_chars_end("."), _MONTHS)
    two = [part.cast(pl.String).str.zfill(2) for part in (pl.col("day"), hour)]
    fraction = pl.when(pl.col("fraction").is_null()).then(pl.lit("")).otherwise("." + pl.col("fraction"))
    short = pl.col("year").str.len_bytes() == 2  # POSIX, %y
    century = pl.when(pl.col("year") < "69").then(pl.lit("20")).otherwise(pl.lit("19"))
    year = pl.when(short).then(century + pl.col("year")).otherwise("year")
    date = pl.concat_str(year, pl.lit("-"), month, pl.lit("-"), two[0], pl.lit("T"), two[1], pl.lit(":"), "minute")
    whole = pl.concat_str(date, pl.lit(":"), pl.col("second").fill_null("00"), fraction, zone.fill_null(""))
    return parts.select(pl.when(known).then(whole)).to_series()


def _known(name: str | pl.Expr, table: dict[str, str]) -> pl.Expr:
    column = pl.col(name) if isinstance(name, str) else name
    return column.replace_strict(table, default=None, return_dtype=pl.String)


def _with_days(parts: pl.DataFrame) -> pl.DataFrame:
    """Decide which of two numbers is the day: one above 12, the second one with AM or PM, or as in the other lines."""
    one, two = (parts[name].cast(pl.Int16, strict=False) for name in ("one", "two"))
    first = bool(((one > 12) & (two <= 12)).any())
    second = bool(((two > 12) & (one <= 12)).any()) or bool(parts["half"].is_not_null().any())
    if first == second:  # neither order fits all lines, or both do: decide line by line
        day_first = (one > 12) | (one == two)
        sure = day_first | (two > 12) | parts["half"].is_not_null()
    else:
        sure = one.is_not_null()
        day_first = sure & first
    day = pl.select(pl.when(sure).then(pl.when(day_first).then(parts["one"]).otherwise(parts["two"]))).to_series()
    month = pl.select(pl.when(day_first).then(parts["two"]).otherwise(parts["one"])).to_series()
    return parts.with_columns(day.alias("day"), month.alias("month"))
