"""Clients that look automated, for people: on a terminal and as Markdown."""

from __future__ import annotations

from logstats.clients.probes import probes
from logstats.clients.scan import Client, Scan
from logstats.clients.text import notes_section
from logstats.reports.clock import Clock
from logstats.reports.document import Cell, Section
from logstats.reports.units import count, counted, share, size


def sections(made: Scan, clock: Clock, top: int) -> list[Section]:
    """All in short, the probes, and each client with its signs."""
    part = share(made.listed_requests, made.requests)
    clients = f"{counted(made.total, 'client')} of {count(made.clients)}"
    looks = "looks" if made.total == 1 else "look"
    line = f"{clients} {looks} automated: {part} of {counted(made.requests, 'request')}"
    found = [Section("Scan", lines=[Cell(line)])]
    if made.probes:
        rows = [[Cell(f"{kind}: {probes()[kind].title}"), Cell(count(n))] for kind, n in made.probes.items()]
        found.append(Section("Probes", heads=["probe", "requests"], rows=rows))
    for number, client in enumerate(made.listed[:top]):
        note = "" if number or made.total <= top else f"the first {top} of {count(made.total)}"
        found.append(_client(client, clock, note))
    notes = list(made.notes)
    if made.unknown:
        notes.append(f"{counted(made.unknown, 'request')} without a client: not looked at")
    return [*found, *notes_section(notes)]


def _client(client: Client, clock: Clock, note: str) -> Section:
    when = clock.span(client.first, client.last) if client.first and client.last else "no time"
    lines = [
        Cell(f"{counted(client.requests, 'request')}, {size(client.bytes)}, {when}"),
        Cell(client.user_agent or "no user agent", "dim"),
    ]
    for sign in client.signs:
        example = f": {sign.example[:200]}" if sign.example else ""
        number = f"{count(sign.requests)} × " if sign.name in probes() else ""
        lines.append(
            Cell(f"{sign.name}: {number}{sign.words}{example}", "yellow" if sign.name not in probes() else "red")
        )
    return Section(client.client, note, lines)
