"""Shows the place in a log string that an error is about."""

from __future__ import annotations


def pointer(body: str, place: int) -> str:
    """The line of the string around a place (from 0), and a caret under it."""
    line_start = body.rfind("\n", 0, place) + 1
    line = body[line_start:].split("\n", 1)[0]
    start = max(0, place - line_start - 40)
    return f"  {line[start : start + 76]}\n  {' ' * (place - line_start - start)}^"
