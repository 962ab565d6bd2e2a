"""Says where the project is to be found, in the metadata of a package: a hook of hatchling.

The address is that of the repository which the package is built from: `LOGSTATS_URL`, or the one that a GitHub workflow
names, or the `origin` of the checkout. A package that is built of an sdist has what the sdist says. Where none of these
is known, there are no project URLs: a wrong address would be worse than none.
"""

from __future__ import annotations

import os
import re
import subprocess
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAGES: Final = {
    "Homepage": "",
    "Documentation": "#readme",
    "Source": "",
    "Issues": "/issues",
    "Changelog": "/blob/main/CHANGELOG.md",
}
_SSH: Final = re.compile(r"(?:ssh://)?git@([\w.-]+)[:/](.+)")
_HTTPS: Final = re.compile(r"https://(?:[^@/]*@)?([\w.-]+(?::[0-9]+)?)/(.+)")  # what precedes @ may be a password


def address(given: str) -> str:
    """The page of a repository, given what git clones it from; "" if it is not on the web."""
    found = _SSH.fullmatch(given) or _HTTPS.fullmatch(given)
    return f"https://{found[1]}/{found[2].removesuffix('/').removesuffix('.git')}" if found else ""


def repository(root: Path) -> str:
    """The page of the repository which a package is built from; "" if that is not known."""
    if asked := os.environ.get("LOGSTATS_URL"):
        return address(asked)
    if name := os.environ.get("GITHUB_REPOSITORY"):
        return address(f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}")
    if not (root / ".git").exists():  # not the origin of whatever the folder may lie in
        return ""
    run = ["git", "-C", str(root), "config", "--get", "remote.origin.url"]
    try:
        return address(subprocess.run(run, capture_output=True, text=True, check=False).stdout.strip())
    except OSError:
        return ""


def urls(root: Path) -> dict[str, str]:
    """The project URLs, by their labels."""
    told = root / "PKG-INFO"
    if told.exists():
        lines = HeaderParser().parsestr(told.read_text(encoding="utf-8")).get_all("Project-URL", [])
        return dict(line.split(", ", 1) for line in lines)
    page = repository(root)
    return {label: page + path for label, path in PAGES.items()} if page else {}


class AddressHook(MetadataHookInterface):
    """What hatchling calls."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the project URLs."""
        metadata["urls"] = urls(Path(self.root))
