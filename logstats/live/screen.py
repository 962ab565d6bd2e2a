"""A snapshot → the lines of a screen of any size, for rich. Every text of a log is made printable first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from rich.cells import set_cell_size
from rich.text import Text

from logstats.dataclass import dataclass
from logstats.frames import pl
from logstats.live.snapshot import PERCENTILES, Snapshot
from logstats.live.view import HELP, View
from logstats.reports.clock import Clock
from logstats.reports.model import EndpointRow, Latency
from logstats.reports.printable import printable, shortened
from logstats.reports.units import count, counted, duration, share

SMALLEST: Final = (40, 10)  # columns and lines, below which there is no room
WIDE: Final = 150  # columns from which on three rankings stand side by side
_STYLES: Final = {"1xx": "dim", "2xx": "green", "3xx": "cyan", "4xx": "yellow", "5xx": "bold red"}
_ALERTS: Final = 3  # lines of the screen
_SHOWN: Final = timedelta(minutes=5)  # how long what was resolved is shown
_LABEL: Final = 13
_FIGURE: Final = 8


@dataclass(frozen=True, slots=True)
class Screen:
    """Draws snapshots; `unicode` says whether the terminal has more than ASCII."""

    zone: str = "UTC"
    unicode: bool = True

    def lines(self, snapshot: Snapshot, view: View, recent: pl.DataFrame, width: int, height: int) -> list[Text]:
        """As many lines as the screen has at the most, none wider than it."""
        if width < SMALLEST[0] or height < SMALLEST[1]:
            drawn = [Text(f"{SMALLEST[0]}x{SMALLEST[1]} at least"), Text("q quits")]
        elif view.help:
            drawn = [_title("Keys"), Text(), *(Text(f"  {key:<6} {what}") for key, what in HELP)]
        else:
            top = [*self._head(snapshot, view, width)]
            bottom = [*self._foot(snapshot, view, width)]
            room = height - len(top) - len(bottom)
            inside = view.inside is not None
            body = self._inside if inside else self._rankings
            middle = [*body(snapshot, view, recent, width, room)][:room]
            drawn = [*top, *middle, *(Text() for _ in range(room - len(middle))), *bottom]
        for line in drawn:
            line.truncate(width)
            line.no_wrap, line.overflow = True, "crop"
            if not self.unicode:
                line.plain = line.plain.translate(_ASCII)
        return drawn[:height]

    # -- figures of everything

    def _head(self, snapshot: Snapshot, view: View, width: int) -> Iterator[Text]:
        clock = Clock(self.zone)
        names = [source.name for source in snapshot.sources]
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        of = printable(names[0]) + more if names else "nothing yet"
        formats = dict.fromkeys(source.format for source in snapshot.sources if source.format)
        head = Text(" logstats ", "reverse")
        at = f"{clock.zoned(snapshot.time)} " if snapshot.time else ""
        state = "PAUSED " if view.paused else "ENDED " if snapshot.ended else ""
        left = f" {of}" + (f" ({printable(', '.join(formats))})" if formats else "")
        head.append(_fit(left, max(8, width - 11 - len(at) - len(state))))
        head.append(f" {state}", "bold yellow").append(at)
        yield head
        yield from self._alerts(snapshot, width)
        rates = "  ".join(f"{name} {_rate(rate)}" for name, rate in snapshot.rates.items())
        lag = f"   lag {duration(max(0.0, snapshot.lag) * 1000)}" if snapshot.lag is not None else ""
        yield _labelled("requests/s", f"{rates}   {_rate(snapshot.lines_per_second)} lines/s{lag}")
        classes = _labelled("status", "")
        total = sum(snapshot.status_classes.values())
        for name, number in snapshot.status_classes.items():
            classes.append(f"{name} {share(number, total)}", _STYLES[name]).append(f" ({count(number)})  ")
        yield classes if total else _labelled("status", "none in the window")
        yield _labelled("latency", _latencies(snapshot))
        users = f"{count(snapshot.users_minute)} this minute   {count(snapshot.users_hour)} this hour"
        yield _labelled("users", users)
        cells = min(60, width - _LABEL - 24)
        history = snapshot.history[-cells:]
        for label, values, peak in (
            ("requests", [float(requests) for requests, _, _ in history], count),
            ("5xx", [float(errors) for _, errors, _ in history], count),
            ("p95", [p95 or 0.0 for _, _, p95 in history], None),
        ):
            most = max(values, default=0.0)
            shown = (peak(int(most)) if peak else duration(most)) if most else "none"
            line = _labelled(label, self._sparkline(values))
            yield line.append(f"  at most {shown} a minute" if peak else f"  at most {shown}", "dim")

    def _alerts(self, snapshot: Snapshot, width: int) -> Iterator[Text]:
        """What fires, then what was resolved a moment ago; the first of many."""
        clock = Clock(self.zone)
        firing = [state for state in snapshot.alerts if state.state == "firing"]
        resolved = [
            state
            for state in snapshot.alerts
            if state.state != "firing" and state.resolved and snapshot.time and snapshot.time - state.resolved < _SHOWN
        ]
        for state in (*firing, *resolved)[:_ALERTS]:
            fires = state.state == "firing"
            since = state.since if fires else state.resolved
            at = f" {'since' if fires else 'at'} {clock.local(since):%H:%M}" if since else ""
            line = Text(" FIRING " if fires else " RESOLVED ", "bold white on red" if fires else "black on green")
            yield line.append(_fit(f"{at} {printable(state.rule.text)}: {printable(state.words)}", width - len(line)))
        more = len(firing) + len(resolved) - _ALERTS
        if more > 0:
            yield Text(f" and {counted(more, 'more alert')}", "bold")

    def _foot(self, snapshot: Snapshot, view: View, width: int) -> Iterator[Text]:
        counted_lines = [f"{counted(snapshot.lines, 'line')}", f"{count(snapshot.rejected)} rejected"]
        for number, what in (
            (snapshot.filtered, "filtered"),
            (snapshot.late, "too late"),
            (snapshot.ahead, "in the future"),
            (snapshot.untimed, "without a time"),
            (snapshot.truncated, "truncations"),
        ):
            if number:
                counted_lines.append(f"{count(number)} {what}")
        yield Text("  ".join(counted_lines), "dim")
        rejected = snapshot.newest_rejected
        if snapshot.notes:
            yield Text(_fit(f"note: {printable(snapshot.notes[-1])}", width), "yellow")
        if rejected is not None:
            where = f"rejected: {printable(rejected.source)}:{rejected.line} {rejected.reason}: "
            yield Text(where, "yellow").append(printable(rejected.text))
        if view.typing or view.filter:
            yield Text("/", "bold").append(printable(view.filter)).append("▏" if view.typing else "", "blink")
        help = "q quit  s order  / filter  p pause  ↑↓ Enter endpoint  Esc back  ? help"
        yield Text(_fit(help, width), "reverse")

    def _sparkline(self, values: Sequence[float]) -> str:
        bars = "▁▂▃▄▅▆▇█" if self.unicode else "_.-=+*#@"
        most = max(values, default=0.0)
        return "".join(bars[min(len(bars) - 1, int(value * len(bars) / most))] if value else " " for value in values)

    # -- endpoints

    def _rankings(self, snapshot: Snapshot, view: View, _recent: pl.DataFrame, width: int, room: int) -> Iterator[Text]:
        window = f"last {snapshot.window_minutes} min" if snapshot.window_minutes > 1 else "this minute"
        rows = view.shown(snapshot.endpoints)
        title = f"by {snapshot.sort}, {window}: {count(snapshot.endpoints_total)}"
        if width < WIDE:
            yield from _ranking(f"endpoints {title}", rows, width, room, view.chosen)
            return
        part = (width - 6) // 3
        tables = [
            [*_ranking(title, rows, part, room, view.chosen)],
            [*_ranking("busiest", view.shown(snapshot.busiest), part, room, None)],
            [*_ranking("most failing", view.shown(snapshot.failing), part, room, None)],
        ]
        for number in range(max(map(len, tables))):
            line = Text()
            for place, table in enumerate(tables):
                cell = table[number].copy() if number < len(table) else Text()
                cell.truncate(part, pad=True)
                line.append(" │ " if place else "", "dim").append_text(cell)
            yield line

    def _inside(self, snapshot: Snapshot, view: View, recent: pl.DataFrame, width: int, room: int) -> Iterator[Text]:
        """One endpoint: figures of the window, and of its last requests."""
        assert view.inside is not None
        method, endpoint = view.inside
        rows = (*snapshot.endpoints, *snapshot.busiest, *snapshot.failing)
        row = next((row for row in rows if (row.method, row.endpoint) == view.inside), None)
        yield _title(printable(f"{method} {endpoint}" if method else endpoint))
        if row is None:
            yield Text("no requests in the window, or not among those that are shown")
        else:
            classes = "  ".join(f"{name} {count(number)}" for name, number in row.status_classes.items())
            yield _labelled("window", f"{counted(row.requests, 'request')}  {classes}")
            yield _labelled("latency", _figures(row.latency) if row.latency else "no durations are logged")
        if not recent.height:
            return
        same = (pl.col("endpoint") == endpoint) & pl.col("method").eq_missing(pl.lit(method, pl.String))
        last = recent.filter(same)
        statuses = last.group_by("status").len().sort("status").drop_nulls().iter_rows()
        shown = "  ".join(f"{status} {count(number)}" for status, number in statuses)
        yield _labelled("last", f"{counted(last.height, 'request')} kept: {shown}")
        yield _labelled("users", f"{counted(last['user'].drop_nulls().n_unique(), 'user')} of these")
        yield _title(f"{'time':<9}{'status':>6}{'took':>9}  {'path':<{max(4, (width - 28) * 2 // 3)}}  user")
        clock = Clock(self.zone)
        newest = last.tail(max(0, room - 6)).reverse()
        columns = ("timestamp", "status", "duration_ms", "path", "user")
        for time, status, took, path, user in newest.select(columns).iter_rows():
            at = f"{clock.local(time):%H:%M:%S}" if time else "-"
            place = _fit(shortened(printable(path or "-"), (width - 28) * 2 // 3), max(4, (width - 28) * 2 // 3))
            line = Text(f"{at:<9}")
            line.append(f"{status or '-':>6}", _STYLES.get(f"{(status or 0) // 100}xx", ""))
            line.append(f"{duration(took) if took is not None else '-':>9}  {place}  {printable(user or '-')}")
            yield line


def _ranking(title: str, rows: Sequence[EndpointRow], width: int, room: int, chosen: int | None) -> Iterator[Text]:
    """A table of endpoints with a line for its head. The chosen one is always among those that are shown."""
    columns: list[tuple[str, int]] = [("requests", 9), ("5xx", 6)]
    timed = any(row.latency for row in rows)
    if timed:
        wide = ("avg", "p50", "p95", "p99", "max") if width >= 100 else ("avg", "p95", "p99")
        columns += [(name, _FIGURE) for name in (wide if width >= 60 else ("p95",))]
    name_width = max(10, width - sum(size for _, size in columns))
    yield _title(_fit(title, name_width) + "".join(f"{name:>{size}}" for name, size in columns))
    fit = max(1, room - 1)
    first = 0 if chosen is None else max(0, min(chosen, len(rows) - 1) - fit + 1)
    for number, row in enumerate(rows[first : first + fit], first):
        line = Text(_fit(shortened(printable(row.name), name_width - 1), name_width))
        line.append(f"{count(row.requests):>9}")
        line.append(f"{count(row.errors) if row.errors else '':>6}", "bold red")
        for name, size in columns[2:]:
            line.append(f"{_figure(row.latency, name):>{size}}")
        if number == chosen:
            line.stylize("reverse")
        yield line


def _figure(latency: Latency | None, name: str) -> str:
    if latency is None:
        return "-"
    if name in ("avg", "max"):
        return duration(getattr(latency, name))
    return duration(latency.percentiles[name[1:]])


def _figures(latency: Latency) -> str:
    return "  ".join(f"{name} {_figure(latency, name)}" for name in ("avg", *(f"p{p}" for p in PERCENTILES), "max"))


def _latencies(snapshot: Snapshot) -> str:
    """The last whole minute against the last hour."""
    minute, hour = snapshot.last_minute, snapshot.last_hour
    if hour is None:
        return "no durations are logged"
    parts = []
    for p in PERCENTILES:
        now = duration(minute.percentiles[p]) if minute else "-"
        parts.append(f"p{p} {now} ({duration(hour.percentiles[p])})")
    return "  ".join(parts) + "  1m (1h)"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 1 or not rate else f"{rate:.2f}"


def _fit(text: str, width: int) -> str:
    return set_cell_size(text, max(0, width))


def _title(text: str) -> Text:
    return Text(text, "bold underline")


def _labelled(label: str, text: str) -> Text:
    return Text(f"{label:<{_LABEL}}", "bold").append(text)


_ASCII: Final = str.maketrans({"…": "~", "µ": "u", "│": "|", "↑": "^", "↓": "v", "▏": "_"})
