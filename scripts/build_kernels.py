"""Compiles logstats/kernels/*.c where logstats is built or installed: a build hook of hatchling.

The compiler is $CC, or cc where there is one, or else that of Zig, which comes from PyPI. If it fails, logstats is
installed without the library: it then reads every line in Python, and says so.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "logstats/kernels"
FLAGS = ("-O3", "-std=c11", "-fPIC", "-shared")
# Nothing of a C library is used but what every process has anyway: no headers of one need to be there.
WITHOUT_LIBRARY = ("-ffreestanding", "-nostdlib")


def compiler() -> list[str]:
    """The command that compiles, or nothing if there is none yet."""
    if asked := os.environ.get("CC"):
        return shlex.split(asked)
    return ["cc"] if shutil.which("cc") else []


class KernelsHook(BuildHookInterface[Any]):
    """What hatchling calls."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What has to be installed first."""
        return [] if compiler() else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library into the package, and say that the wheel is for this platform."""
        folder = Path(self.root) / FOLDER
        library = folder / "kernels.so"
        command = compiler() or [sys.executable, "-m", "ziglang", "cc"]
        flags = [*FLAGS, *(WITHOUT_LIBRARY if sys.platform == "linux" else ())]
        sources = sorted(str(path) for path in folder.glob("*.c"))
        try:
            library.unlink(missing_ok=True)
            subprocess.run([*command, *flags, "-o", str(library), *sources], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"{FOLDER} was not compiled, logstats will be slow: {error}")
            return
        build_data["artifacts"].append(f"{FOLDER}/kernels.so")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
