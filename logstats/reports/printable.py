"""Text from a log → text that a terminal only displays."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Control characters, format characters (among them the ones that reverse the direction of text), surrogates,
# line and paragraph separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})

# Characters that JSON does not escape, but terminals obey: DEL, C1 controls, those that change the direction of text.
_ORDERS: Final = re.compile("[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def printable(text: str) -> str:
    """Replace characters that do not print by visible escapes: `\\x1b`, `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escape(character) if unicodedata.category(character) in _UNSEEN else character for character in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def harmless(json: str) -> str:
    """JSON in which characters that a terminal would obey are written as `\\uNNNN`."""
    if json.isascii() and "\x7f" not in json:
        return json
    return _ORDERS.sub(lambda match: f"\\u{ord(match[0]):04x}", json)


def shortened(text: str, width: int) -> str:
    """Shorten a text to `width` characters by an ellipsis in its middle, since both ends of a path are informative."""
    if len(text) <= width:
        return text
    head = (width - 1 + 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}" if width > 1 else "…"
