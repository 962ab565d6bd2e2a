"""Chooses between several variables for the same role."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from logstats.formats.log_format.shapes import Part, Slot
from logstats.formats.model import Field

TIME_ROLES: Final = ("timestamp", "date", "time", "zone")  # in the order in which they are joined
# The first address in a list, or the empty text at its end: `unknown` is skipped, as is whatever else a client sends.
_FIRST_ADDRESS: Final = r"(?:^|[ ,]|$)(\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.]+\]?|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|$)"
# The first of these that is present gives the request; the others would repeat it, or have less of it.
_REQUEST: Final = (
    (("request",), ("method", "target", "path", "query", "protocol")),
    (("target",), ("path", "query")),
)
_FRACTION: Final = frozenset({"fraction"})


def choose(parts: Sequence[Part]) -> list[Part]:
    """The parts; a variable that is not chosen loses its field."""
    slots = [part for part in parts if isinstance(part, Slot)]
    keep: dict[str, Field] = {}
    by_role: dict[str, list[Slot]] = {}
    for slot in slots:
        if slot.field is not None and slot.time is None:
            by_role.setdefault(slot.field.role, []).append(slot)
    for role, rivals in by_role.items():
        best = min(rivals, key=lambda slot: slot.rank)
        assert best.field is not None
        keep[best.name] = replace(best.field, role=role)
    _drop_repeated(keep)
    _find_client(keep)
    for slot in times(slots):
        keep[slot.name] = Field("timestamp")
    return [replace(part, field=keep.get(part.name)) if isinstance(part, Slot) else part for part in parts]


def times(slots: Iterable[Slot]) -> list[Slot]:
    """The variables that make up the time: the finest one that is a time by itself, with its fraction if that is
    separate; else parts that are a time together. When a request begins is its time, if that is there. None if they
    are not enough for a time."""
    timed = [slot for slot in slots if slot.time is not None]
    complete = [(slot.time, slot) for slot in timed if slot.time and slot.time.complete]
    if complete:
        _, best = min(complete, key=lambda one: (one[0].moment == "end", not one[0].says >= _FRACTION, one[1].rank))
        says = best.time.says if best.time else frozenset()
        chosen = [best]
        for other in timed:
            if (
                other.time
                and other.time.form
                and best.time
                and best.time.form
                and other.time.moment == best.time.moment
            ):
                adds = other.time.says & {"fraction", "zone"}
                if adds == other.time.says and not adds & says:
                    chosen.append(other)
                    says |= adds
        return sorted(chosen, key=lambda slot: slot.place)
    for moment in ("begin", "end"):
        chosen, says = [], frozenset()
        for slot in timed:
            if slot.time and slot.time.moment == moment and not slot.time.says & says and len(chosen) < len(TIME_ROLES):
                chosen.append(slot)
                says |= slot.time.says
        if {"year", "month", "day", "hour", "minute"} <= says:
            return chosen
    return []


def _drop_repeated(keep: dict[str, Field]) -> None:
    roles = {field.role for field in keep.values()}
    for better, others in _REQUEST:
        if roles.intersection(better):
            for name in [name for name, field in keep.items() if field.role in others]:
                del keep[name]


def _find_client(keep: dict[str, Field]) -> None:
    """If no variable has the peer's address, the address that a proxy forwarded is the client's."""
    roles = {field.role: name for name, field in keep.items()}
    if "client_ip" not in roles and "forwarded_for" in roles:
        keep[roles["forwarded_for"]] = Field("client_ip", extract=_FIRST_ADDRESS, port=True)
