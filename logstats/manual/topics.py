"""The topics of `logstats help`: one page of Markdown each, in `pages/`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from logstats.errors import UsageError
from logstats.manual.reference import PARTS


def names() -> list[str]:
    """The topics, in order. No page is read."""
    pages = resources.files("logstats.manual") / "pages"
    return sorted(page.name.removesuffix(".md") for page in pages.iterdir() if page.name.endswith(".md"))


def titles() -> Mapping[str, str]:
    """Each topic, and what its page is about."""
    return {name: source(name).partition("\n")[0].removeprefix("# ") for name in names()}


def source(name: str) -> str:
    """A page as it is written, its tables still to be filled in. Raises UsageError."""
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose among {', '.join(known)}"
        raise UsageError(f"there is no help about {name!r}", hint)
    return (resources.files("logstats.manual") / "pages" / f"{name}.md").read_text(encoding="utf-8")


def page(name: str, program: Any) -> str:
    """A page with its tables. `program` is the command line that they are about. Raises UsageError."""
    return re.sub(
        r"^<!-- ([\w-]+) -->$",
        lambda match: PARTS[match[1]](program) if match[1] in PARTS else match[0],
        source(name),
        flags=re.MULTILINE,
    )
