"""What is built from the project: a wheel with everything in it, with and without a compiler, and its platforms."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import build_metadata
import pytest

from logstats.kernels import library

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FROM_CC = shutil.which("cc") is not None


def source(folder: Path) -> Path:
    """What git tracks, copied, so that nothing of the checkout is written to."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def wheel(folder: Path, **environment: str) -> Path:
    """The wheel that pip makes of the project, with the build tools of this environment."""
    run = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--disable-pip-version-check",
    ]
    done = subprocess.run(
        [*run, "--wheel-dir", str(folder / "wheels"), str(source(folder / "source"))],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [made] = (folder / "wheels").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not FROM_CC:
        pytest.skip("needs a C compiler")
    return wheel(tmp_path_factory.mktemp("wheel"), LOGSTATS_URL="https://git.example.org/tools/logstats.git")


def test_a_wheel_holds_everything_that_a_user_needs(made: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        names = set(archive.namelist())
        page = next(name for name in names if name.endswith("share/man/man1/logstats.1"))
        assert archive.read(page).startswith(b'.TH LOGSTATS 1 "" "logstats ')
    tracked = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "logstats").rglob("*")
        if path.suffix in (".py", ".toml", ".md", ".sql", ".c")
    }
    assert tracked <= names, tracked - names
    for ending in (
        "/share/logstats/logstats-daily.service",
        "/share/logstats/logstats-daily.timer",
        "/share/logstats/logstats-follow.service",
        "/share/logstats/logstats-serve.service",
        "/scripts/logstats-daily",
    ):
        assert any(name.endswith(ending) for name in names), ending
    assert "logstats/kernels/kernels.so" in names
    assert re.fullmatch(r"logstats-[\w.]+-py3-none-(linux|macosx)\w+\.whl", made.name)


def test_a_wheel_says_where_the_project_is(made: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = HeaderParser().parsestr(archive.read(name).decode())
    urls = dict(line.split(", ", 1) for line in told.get_all("Project-URL", []))
    assert urls["Homepage"] == urls["Source"] == "https://git.example.org/tools/logstats"
    assert urls["Issues"] == "https://git.example.org/tools/logstats/issues"
    assert {"Documentation", "Changelog"} < set(urls)


@pytest.mark.parametrize(
    ("given", "page"),
    [
        ("https://git.example.org/tools/logstats.git", "https://git.example.org/tools/logstats"),
        ("https://user:secret@git.example.org:8443/logstats/", "https://git.example.org:8443/logstats"),
        ("git@git.example.org:tools/logstats.git", "https://git.example.org/tools/logstats"),
        ("ssh://git@git.example.org/tools/logstats", "https://git.example.org/tools/logstats"),
        ("/srv/git/logstats.git", ""),
        ("file:///srv/git/logstats.git", ""),
        ("../logstats", ""),
        ("", ""),
    ],
)
def test_the_page_of_a_repository(given: str, page: str) -> None:
    assert build_metadata.address(given) == page


def test_project_urls_are_known_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGSTATS_URL", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    assert build_metadata.urls(tmp_path) == {}
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert build_metadata.urls(tmp_path) == {}
    subprocess.run([*git, "remote", "add", "origin", "git@git.example.org:tools/logstats.git"], check=True)
    assert build_metadata.urls(tmp_path)["Source"] == "https://git.example.org/tools/logstats"
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/logstats")
    assert build_metadata.urls(tmp_path)["Source"] == "https://github.com/somebody/logstats"
    (tmp_path / "PKG-INFO").write_text("Name: logstats\nProject-URL: Source, https://git.example.org/a, b\n\nText\n")
    assert build_metadata.urls(tmp_path) == {"Source": "https://git.example.org/a, b"}


def test_an_install_has_the_program_its_job_and_its_manual_page(made: Path, tmp_path: Path) -> None:
    """Offline, into an environment of its own."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True, timeout=120)
    python = tmp_path / "env" / "bin" / "python"
    run = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*run, "--disable-pip-version-check", str(made)], check=True, timeout=300)
    for name in (
        "bin/logstats",
        "bin/logstats-daily",
        "share/man/man1/logstats.1",
        "share/logstats/logstats-daily.timer",
    ):
        assert (tmp_path / "env" / name).exists(), name
    assert os.access(tmp_path / "env" / "bin" / "logstats-daily", os.X_OK)


def test_without_any_compiler_it_installs_and_says_that_it_is_slow(tmp_path: Path) -> None:
    """Neither cc nor, with an index that does not answer, Zig's."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "env", "git"):
        (tools / name).symlink_to(shutil.which(name) or "/bin/false")
    made = wheel(tmp_path, PATH=str(tools), PIP_NO_INDEX="1", CC="")
    if "none-any" not in made.name:
        pytest.skip("Zig is installed here, and compiles")
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "package")
    (tmp_path / "a.log").write_text('192.0.2.7 - - [17/Jan/2025:10:30:00 +0000] "GET / HTTP/1.1" 200 5\n')
    done = subprocess.run(
        [sys.executable, "-m", "logstats", "report", "a.log"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "package")},
    )  # fmt: skip
    assert done.returncode == 0 and "1 request" in done.stdout
    assert "the part of logstats that is compiled is missing: reading takes ten times as long" in done.stderr


@pytest.mark.skipif(not FROM_CC, reason="needs a C compiler")
@pytest.mark.parametrize(
    "change", [(f"#define ABI {library.ABI}", "#define ABI 99"), ("int64_t abi(void)", "int64_t other(void)")]
)
def test_kernels_that_are_called_otherwise_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str]
) -> None:
    for path in (ROOT / "logstats" / "kernels").glob("*.[ch]"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    built = tmp_path / "kernels.so"
    subprocess.run(
        ["cc", "-std=c11", "-fPIC", "-shared", "-o", str(built), *map(str, tmp_path.glob("*.c"))], check=True
    )
    monkeypatch.setattr(library, "LIBRARY", built)
    assert library._loaded() is None


def test_the_number_of_the_kernels_is_one() -> None:
    header = (ROOT / "logstats" / "kernels" / "kernels.h").read_text(encoding="utf-8")
    assert f"#define ABI {library.ABI}\n" in header
    assert library.AVAILABLE


def test_the_readme_holds_on_pypi() -> None:
    """There, only addresses in full lead anywhere."""
    text = (ROOT / PROJECT["project"]["readme"]).read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    for link in links:
        assert link.startswith("https://") or link.removeprefix("#") in headings, link
