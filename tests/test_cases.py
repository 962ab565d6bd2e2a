"""The command line, case by case: tests/cases/*.toml.

A file holds `[files]` that each of its cases finds in its folder, and `[[case]]`s:

    name            says what is shown
    args            the arguments
    stdin           what comes in (nothing)
    files           more files, or others
    env             more environment
    exit            the exit code (0)
    stdout, stderr  the text, exactly; or a list: each is somewhere in it, in this order
    absent          texts that are on neither
    written         files afterwards: the text, or a list as above; false for none

A file is its text, or a table: `text` or `hex`, `repeat` (times), then `compressed` (gzip, bzip2, xz, zstd), then `cut`
(from its end); or `mode`, the permissions it is left with; or `folder`.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tomllib
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from program import invoke

CASES = [
    pytest.param(
        {**case, "files": {**table.get("files", {}), **case.get("files", {})}}, id=f"{path.stem}: {case['name']}"
    )
    for path in sorted((Path(__file__).parent / "cases").glob("*.toml"))
    for table in [tomllib.loads(path.read_text(encoding="utf-8"))]
    for case in table["case"]
]
KEYS = {"name", "args", "stdin", "files", "env", "exit", "stdout", "stderr", "absent", "written"}


def zstd(data: bytes) -> bytes:
    return bytes(pyarrow.Codec("zstd").compress(data))


COMPRESS: dict[str, Any] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}


def content(file: Any) -> bytes:
    if isinstance(file, str):
        return file.encode()
    data: bytes = bytes.fromhex(file["hex"]) if "hex" in file else file.get("text", "").encode()
    data = data * int(file.get("repeat", 1))
    if "compressed" in file:
        data = COMPRESS[file["compressed"]](data)
    return data[: len(data) - int(file.get("cut", 0))]


def check(found: bytes, expected: str | list[str], where: str) -> None:
    text = found.decode()
    if isinstance(expected, str):
        assert text == expected, where
        return
    place = 0
    for piece in expected:
        at = text.find(piece, place)
        assert at >= 0, f"{where}: {piece!r} is not in what is left of\n{text}"
        place = at + len(piece)


def test_there_are_cases() -> None:
    assert len(CASES) > 100
    assert all(set(case.values[0]) <= KEYS for case in CASES)  # type: ignore[arg-type]
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    for name, file in case["files"].items():
        path = tmp_path / name
        if isinstance(file, dict) and file.get("folder"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(file))
        if isinstance(file, dict) and "mode" in file:
            if os.geteuid() == 0:
                pytest.skip("root may read everything")
            path.chmod(file["mode"])
    ran = invoke(*case["args"], stdin=content(case.get("stdin", "")), cwd=tmp_path, env=case.get("env"))
    shown = f"{ran.stdout.decode()}\n{ran.stderr.decode()}"
    assert "Traceback" not in shown
    assert ran.returncode == case.get("exit", 0), shown
    for stream in ("stdout", "stderr"):
        if stream in case:
            check(getattr(ran, stream), case[stream], stream)
    for text in case.get("absent", ()):
        assert text not in shown
    for name, expected in case.get("written", {}).items():
        if expected is False:
            assert not list(tmp_path.glob(name)), name
        else:
            check((tmp_path / name).read_bytes(), expected, name)
