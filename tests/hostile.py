"""A log by somebody who wants to be seen in another way than as text."""

from __future__ import annotations

import json

# What must never work, as a path, a user, an agent, a referer, a host and a level.
ATTACKS = [
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "--><script>window.pwned=1</script><!--",
    "]]><svg onload=window.pwned=1>",
    "<img src=x onerror=window.pwned=1>",
    "<img src=//example.invalid/x.png>",
    "<a href=javascript:window.pwned=1>x</a>",
    "javascript:window.pwned=1",
    "\" autofocus onfocus=window.pwned=1 x=\"",
    "' onmouseover='window.pwned=1",
    "{{7*7}} {% raw %} ${7*7} #{7*7}",
    "</textarea></style></title></noscript><b>",
    "<style>*{display:none}</style>",
    "&lt;script&gt; &amp; &#60;b&#62;",
    "=cmd|'/c calc'!A1",
    "`id` | `id` |\\| [x](javascript:1) **b** <b> @everyone #1",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c\u200bzero\ufeff",
    "\u2028line\u2029paragraph",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u65e5\u672c\u8a9e",
    "a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301zalgo",
    "\x1b[31m\x1b]0;title\x07\x9b31m\x7f\x08\r",
    "\\x1b \\\" \\n \\",
    "x" * 4_000,
    "<" * 3_000,
]  # fmt: skip


def hostile_log() -> bytes:
    """JSON lines, in which any text is possible anywhere; some that cannot be read among them."""
    lines = []
    for number, attack in enumerate(ATTACKS):
        for minute in range(3):
            request = {
                "time": f"2025-01-17T10:{(number * 7 + minute) % 60:02d}:00Z",
                "method": "GET",
                "path": f"/{attack}" if minute < 2 else attack,
                "status": [200, 404, 500][minute],
                "duration_ms": 10.0 * (number + 1),
                "bytes": 100,
                "user": attack,
                "remote_addr": f"10.0.0.{number}",
                "host": attack,
                "referer": attack,
                "user_agent": attack,
                "app": attack,
            }
            lines.append(json.dumps(request, ensure_ascii=minute == 0).encode())
        lines.append(json.dumps({"time": "2025-01-17T10:00:00Z", "level": attack, "message": attack}).encode())
        lines.append(f"not JSON: {attack}".replace("\n", " ").replace("\r", " ").encode())
    return b"\n".join([*lines, b"\xff\xfe\x00 not text"]) + b"\n"


def github_html(markdown: str) -> str:
    """Markdown as GitHub's own program renders it, before GitHub takes out what it does not trust."""
    import cmarkgfm
    from cmarkgfm.cmark import Options

    return str(cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE))
