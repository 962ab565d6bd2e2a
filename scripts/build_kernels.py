"""Compiles logstats/kernels/*.c, and writes logstats(1), where logstats is built or installed: a hook of hatchling.

The compiler is $CC, or cc where there is one, or else that of Zig, which is fetched from PyPI. If there is none, or it
fails, logstats is installed without the library: it then reads every line in Python, and says so.

`LOGSTATS_TARGET` names a platform of `TARGETS` to compile for, with Zig; scripts/build_wheels.py does so for all.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER: Final = "logstats/kernels"
FLAGS: Final = ("-O3", "-std=c11", "-fPIC", "-shared")
TOGETHER: Final = "-flto"  # small functions of one file are compiled into those of another; not every linker can
# Nothing of a C library is used but what every process has anyway: no headers of one need to be there.
WITHOUT_LIBRARY: Final = ("-ffreestanding", "-nostdlib")
CLI: Final = ("typer>=0.20,<0.29", "rich>=14")  # the manual page says what options there are
# The platforms of the wheels, by their tag (PEP 600, PEP 656), and as Zig calls them.
TARGETS: Final = {
    "manylinux_2_28_x86_64": "x86_64-linux-gnu.2.28",
    "manylinux_2_28_aarch64": "aarch64-linux-gnu.2.28",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
}


def compiler(folder: str) -> list[str]:
    """The command that compiles. If Zig is to do it and is not there, it is put into the folder."""
    if asked := os.environ.get("CC"):
        return shlex.split(asked)
    if shutil.which("cc"):
        return ["cc"]
    return zig(folder)


def zig(folder: str) -> list[str]:
    """Zig's C compiler, from where Python finds it or from PyPI."""
    command = [sys.executable, "-m", "ziglang"]
    if subprocess.run([*command, "version"], capture_output=True, check=False).returncode:
        # Not a requirement of the build: without it there is none to install, but logstats still is.
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--retries", "1", "--target", folder]
        subprocess.run([*pip, "ziglang"], check=True)
        command = [sys.executable, "-c", f"import sys, runpy; sys.path.insert(0, {folder!r}); sys.argv[0] = 'zig'; "
                   "runpy.run_module('ziglang', run_name='__main__')"]  # fmt: skip
    return [*command, "cc"]


class KernelsHook(BuildHookInterface[Any]):
    """What hatchling calls."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What has to be installed first: what the command line is made with, and pip to fetch a compiler with."""
        return (
            [*CLI] if os.environ.get("CC") or shutil.which("cc") or os.environ.get("LOGSTATS_TARGET") else [*CLI, "pip"]
        )

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library into the package, say which platform the wheel is for, and write the manual page."""
        self._compile(build_data)
        if version != "editable":
            page = Path(self.root) / "build" / "logstats.1"
            page.parent.mkdir(exist_ok=True)
            run = [sys.executable, "-m", "logstats", "help", "-o", "man"]
            with page.open("wb") as file:
                subprocess.run(run, cwd=self.root, stdout=file, check=True)
            build_data["shared_data"][str(page)] = "share/man/man1/logstats.1"

    def _compile(self, build_data: dict[str, Any]) -> None:
        folder = Path(self.root) / FOLDER
        library = folder / "kernels.so"
        target = os.environ.get("LOGSTATS_TARGET", "")
        tag = target or sysconfig.get_platform().replace("-", "_").replace(".", "_")
        linux = "linux" in tag
        sources = sorted(str(path) for path in folder.glob("*.c"))
        with tempfile.TemporaryDirectory() as temporary:
            try:
                library.unlink(missing_ok=True)
                command = [*zig(temporary), "-target", TARGETS[target], "-s"] if target else compiler(temporary)
                flags = [*FLAGS, *(WITHOUT_LIBRARY if linux else ())]
                command += [*flags, "-o", str(library), *sources]
                if subprocess.run([*command, TOGETHER], capture_output=True, check=False).returncode:
                    subprocess.run(command, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                if target:
                    raise
                self.app.display_warning(f"{FOLDER} was not compiled, logstats will be slow: {error}")
                return
        build_data["artifacts"].append(f"{FOLDER}/kernels.so")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"
