"""Sizes for people. Archives and reports show them alike."""

from __future__ import annotations


def size(octets: int) -> str:
    """Bytes in units of 1024: 512 B, 1.5 KiB, 12.3 GiB."""
    value = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1023.5 or unit == "PiB":
            return f"{int(value)} B" if unit == "B" else f"{three_figures(value)} {unit}"
        value /= 1024
    raise AssertionError


def three_figures(value: float) -> str:
    """A positive number to three figures: 1.25, 12.5, 125."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
