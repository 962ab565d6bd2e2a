"""The user's configuration folder: `~/.config/logstats`, by the XDG base directory specification.

It may not exist, the home directory may be unknown (a uid that passwd does not list) or closed (systemd's
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
