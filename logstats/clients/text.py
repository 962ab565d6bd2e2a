"""Sessions for people: the same document on a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from logstats.clients.story import Story, Visit
from logstats.clients.summary import PERCENTILES, Place, Spread, Summary
from logstats.reports.clock import Clock
from logstats.reports.document import Cell, Section
from logstats.reports.units import count, counted, duration, share, size

_NONE: Final = Cell("–", "dim")


def of_summary(made: Summary, clock: Clock, top: int) -> list[Section]:
    """All sessions."""
    pause = duration(made.gap.total_seconds() * 1000)
    time = clock.span(made.first, made.last) if made.first and made.last else "no requests"
    lines = [
        Cell(
            f"{counted(made.sessions, 'session')} of {counted(made.clients, 'client')}, {count(made.requests)} requests"
        ),
        Cell(f"{share(made.bounces, made.sessions)} bounced: {count(made.bounces)} saw a single page"),
        Cell(f"a session ends with a pause of more than {pause}"),
    ]
    rows = [
        _spread("length", made.length_s, lambda value: duration(value * 1000)),
        _spread("requests", made.requests_each, lambda value: f"{value:,.3g}"),
        _spread("pages", made.pages_each, lambda value: f"{value:,.3g}"),
    ]
    heads = ["a session's", "avg", *(f"p{text}" for text in PERCENTILES)]
    sections = [Section("Sessions", time, lines, heads, rows)]
    sections += [_places("Where they begin", made.entries, made, top), _places("Where they end", made.exits, made, top)]
    notes = list(made.notes)
    if made.left.untimed:
        notes.append(f"{counted(made.left.untimed, 'request')} without a time: in no session")
    if made.left.unknown:
        notes.append(f"{counted(made.left.unknown, 'request')} without a client: in no session")
    return [*sections, *notes_section(notes)]


def notes_section(notes: Sequence[str]) -> list[Section]:
    """A section with the notes, if there are any."""
    return [Section("Notes", lines=[Cell(note) for note in notes])] if notes else []


def _spread(name: str, spread: Spread | None, shown: Callable[[float], str]) -> list[Cell]:
    if spread is None:
        return [Cell(name), *[_NONE] * (1 + len(PERCENTILES))]
    return [Cell(name), Cell(shown(spread.average)), *(Cell(shown(spread.percentiles[text])) for text in PERCENTILES)]


def _places(title: str, places: Sequence[Place], made: Summary, top: int) -> Section:
    rows = [
        [
            Cell(place.endpoint),
            Cell(count(place.sessions)),
            Cell(share(place.sessions, made.sessions)),
            Cell(share(place.bounces, place.sessions)),
        ]
        for place in places[:top]
    ]
    note = f"{len(rows)} of {counted(len(places), 'endpoint')}" if len(places) > len(rows) else ""
    return Section(title, note, heads=["endpoint", "sessions", "share", "bounced"], rows=rows)


def of_story(made: Story, clock: Clock, top: int) -> list[Section]:
    """One client: all in short, then its last sessions."""
    if made.first is None or made.last is None:
        return [Section(f"Client {made.client}", "no request with a time is from it"), *notes_section(made.notes)]
    statuses = ", ".join(f"{count(number)} × {status}" for status, number in sorted(made.statuses.items()))
    lines = [
        Cell(f"{counted(made.requests, 'request')} in {counted(made.total, 'session')}: {statuses or 'no status'}"),
        *(Cell(f"{count(number)} × {_with_about(made, agent)}", "dim") for agent, number in made.agents.most_common(3)),
        *(
            Cell(f"{count(number)} from {_with_about(made, address)}", "dim")
            for address, number in made.addresses.most_common(3)
            if made.about.get(address) or address != made.client
        ),
    ]
    if made.untimed:
        lines.append(Cell(f"{counted(made.untimed, 'request')} without a time: in no session"))
    shown = made.visits[-top:]
    rows = [_row(visit, clock) for visit in shown]
    note = f"the last {len(shown)} of {count(made.total)}" if len(shown) < made.total else ""
    heads = ["from", "for", "requests", "pages", "errors", "bytes"]
    sections = [
        Section(f"Client {made.client}", clock.span(made.first, made.last), lines),
        Section("Sessions", note, heads=heads, rows=rows),
    ]
    if shown:
        sections.append(_steps(shown[-1], clock, top))
    return [*sections, *notes_section(made.notes)]


def _with_about(made: Story, value: str) -> str:
    """An agent or an address, and what is known of it."""
    about = ", ".join(dict.fromkeys(text for text in made.about.get(value, {}).values() if text != value))
    return f"{value} ({about})" if about else value


def _row(visit: Visit, clock: Clock) -> list[Cell]:
    errors = sum(number for status, number in visit.statuses.items() if status >= 400)
    return [
        Cell(clock.moment(visit.start)),
        Cell(duration((visit.end - visit.start).total_seconds() * 1000)),
        Cell(count(visit.requests)),
        Cell(count(visit.pages)),
        Cell(count(errors), "red" if errors else "dim"),
        Cell(size(visit.bytes)),
    ]


def _steps(visit: Visit, clock: Clock, top: int) -> Section:
    shown = visit.steps[:top]
    rows = [
        [
            Cell(f"{step.method or '-'} {step.target}"),
            Cell(clock.moment(step.time)[11:]),
            Cell("–" if step.status is None else str(step.status), "red" if (step.status or 0) >= 400 else ""),
            _NONE if step.duration_ms is None else Cell(duration(step.duration_ms)),
        ]
        for step in shown
    ]
    note = f"{clock.moment(visit.start)[:10]}"
    if visit.requests > len(shown):
        note += f", the first {len(shown)} of {count(visit.requests)} requests; -o json has {len(visit.steps):,}"
    return Section("The last session", note, heads=["request", "at", "status", "took"], rows=rows)
