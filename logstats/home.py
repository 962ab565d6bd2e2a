"""The user's folders, `~/.config/logstats` and `~/.cache/logstats`, by the XDG base directory specification.

The first may not exist, the home directory may be unknown (a uid that passwd does not list) or closed (systemd's
`ProtectHome=yes`). In all these cases there is no configuration, which is no error.
"""

from __future__ import annotations

import os
from pathlib import Path


def user_folder() -> Path | None:
    """The folder, whether or not it exists; None if there is no home directory."""
    config = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if config.is_absolute():
        return config / "logstats"
    try:
        return Path.home() / ".config" / "logstats"
    except RuntimeError:
        return None


def user_path(name: str) -> Path | None:
    """A file or folder in it; None if it does not exist or is not accessible."""
    folder = user_folder()
    if folder is None:
        return None
    try:
        (folder / name).stat()
    except (OSError, ValueError):
        return None
    return folder / name


def cache_folder() -> Path | None:
    """The folder for what can be made anew, `~/.cache/logstats`, whether or not it exists; None if there is no home
    directory."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if cache.is_absolute():
        return cache / "logstats"
    try:
        return Path.home() / ".cache" / "logstats"
    except RuntimeError:
        return None
