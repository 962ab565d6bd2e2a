#!/usr/bin/env python3
"""Build what PyPI gets, into dist/: an sdist and a wheel for each platform; and check all of it.

Needs `pip install -e '.[release]'`. With names of platforms (`manylinux_2_28_x86_64`), only these wheels are built;
`--check FILE...` builds nothing.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from build_kernels import TARGETS

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
LIBRARY = "logstats/kernels/kernels.so"
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
MACH_O = {"x86_64": 0x01000007, "arm64": 0x0100000C}  # cputype, mach/machine.h
COMPILERS = {"memcpy", "memmove", "memset", "memcmp"}  # GCC, "Language Standards Supported by GCC": freestanding
MEMBERS = ("share/man/man1/logstats.1", "share/logstats/logstats-daily.service", "share/logstats/logstats-daily.timer",
           "scripts/logstats-daily", "logstats/py.typed", "logstats/manual/pages/options.md",
           "logstats/formats/builtin/combined.toml", "logstats/reports/report.schema.json")  # fmt: skip


def problems(wheel: Path) -> list[str]:
    """What is wrong with a wheel: what it lacks, or a library that its platform could not load.

    A library of Linux must be of the machine that the tag says, and need nothing of the system but what a compiler
    takes for granted (`COMPILERS`): no other library, no version of a symbol. So it is fit for every manylinux and
    musllinux tag, which is what auditwheel looks at.
    """
    tag = wheel.stem.split("-")[-1]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        found = [f"{member} is missing" for member in MEMBERS if not any(name.endswith(member) for name in names)]
        library = archive.read(LIBRARY) if LIBRARY in names else b""
    if not library:
        return [*found, f"{LIBRARY} is missing"]
    return found + (_mach_o(library, tag) if tag.startswith("macosx") else _elf(library, tag))


def _elf(library: bytes, tag: str) -> list[str]:
    from elftools.elf.elffile import ELFFile

    elf: Any = ELFFile(io.BytesIO(library))
    found = []
    machine = next(name for name in MACHINES if tag.endswith(name))
    if elf["e_machine"] != MACHINES[machine]:
        found.append(f"the library is for {elf['e_machine']}, the wheel for {machine}")
    dynamic = elf.get_section_by_name(".dynamic")
    needed = [entry.needed for entry in dynamic.iter_tags("DT_NEEDED")]
    found += [f"the library needs {name}" for name in needed]
    symbols = elf.get_section_by_name(".dynsym").iter_symbols()
    found += [
        f"the library needs the symbol {symbol.name}"
        for symbol in symbols
        if symbol.name and symbol["st_shndx"] == "SHN_UNDEF" and symbol.name not in COMPILERS
    ]
    if elf.get_section_by_name(".gnu.version_r"):
        found.append("the library needs versions of symbols")
    return found


def _mach_o(library: bytes, tag: str) -> list[str]:
    machine = next(name for name in MACH_O if tag.endswith(name))
    magic, kind = (int.from_bytes(library[at : at + 4], "little") for at in (0, 4))
    return [] if (magic, kind) == (0xFEEDFACF, MACH_O[machine]) else [f"the library is no Mach-O of {machine}"]


def build(*arguments: str, target: str = "") -> None:
    """Run the build frontend in this environment."""
    environment = {**os.environ, **({"LOGSTATS_TARGET": target} if target else {})}
    run = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), *arguments, str(ROOT)]
    subprocess.run(run, env=environment, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Build and check, or check."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--check"]:
        files = [Path(name) for name in arguments[1:]]
    else:
        kernels = ROOT / LIBRARY
        ours = kernels.read_bytes() if kernels.exists() else None
        before = set(DIST.glob("*"))
        try:
            if not arguments:
                build("--sdist")
            for target in arguments or TARGETS:
                build("--wheel", target=target)
        finally:
            if ours is not None:  # what a checkout runs with is that of this machine
                kernels.write_bytes(ours)
        files = sorted(set(DIST.glob("*")) - before) or sorted(DIST.glob("*"))
    wrong = {file.name: problems(file) for file in files if file.suffix == ".whl"}
    for name, found in wrong.items():
        print(f"{name}: {'; '.join(found) or 'as it should be'}")
    check = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], check=False)
    return int(any(wrong.values()) or check.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
