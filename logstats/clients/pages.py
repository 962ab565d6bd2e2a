"""Pages, and what they are made of."""

from __future__ import annotations

from typing import Final

from logstats.frames import pl

# Files that a browser asks for on its own, by how their names end.
_ASSETS: Final = (
    *("css", "js", "mjs", "map", "json", "wasm", "webmanifest"),
    *("png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "avif", "bmp"),
    *("woff", "woff2", "ttf", "eot", "otf"),
    *("mp3", "mp4", "webm", "ogg", "m4a", "mov"),
)


# Folders that they lie in, whatever their names.
_FOLDERS: Final = (
    "assets?|static|images?|imgs?|pics?|photos?|thumbs?|thumbnails?|media|fonts?|css|js|scripts?|styles?|icons?"
)


def is_asset(path: str = "path") -> pl.Expr:
    """Whether a path is that of a style, a script, a picture, a font or a sound (Boolean; false for null)."""
    ends = rf"\.(?:{'|'.join(_ASSETS)})$"
    return pl.col(path).str.contains(rf"(?i){ends}|/(?:{_FOLDERS})/.").fill_null(value=False)


def is_page() -> pl.Expr:
    """Whether a request is for a page: by GET or POST, not an asset, not refused as one that the server lacks."""
    by_hand = pl.col("method").is_in(["GET", "POST"]).fill_null(value=False)
    return by_hand & ~is_asset() & (pl.col("status").fill_null(200) != 404)
