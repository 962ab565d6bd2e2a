"""The folder that holds what a user has set up: `~/.config/logstats`, as the XDG base directories have it.

It may not exist, the home directory may be unknown (a uid that passwd does not list) or closed (systemd's
`ProtectHome=yes`). All of these mean that nothing is set up; none of them is an error.
"""

from __future__ import annotations

import os
from pathlib import Path


def user_folder() -> Path | None:
    """The folder, whether or not it is there; None if there is no home directory to look in."""
    config = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if config.is_absolute():
        return config / "logstats"
    try:
        return Path.home() / ".config" / "logstats"
    except RuntimeError:
        return None


def user_path(name: str) -> Path | None:
    """A file or folder in it; None if it is not there, or nobody may look."""
    folder = user_folder()
    if folder is None:
        return None
    try:
        (folder / name).stat()
    except (OSError, ValueError):
        return None
    return folder / name
