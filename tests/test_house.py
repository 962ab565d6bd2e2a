"""How the house is built: what may import what, what starting costs, what ships."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from logstats.cli.main import app

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "logstats"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each layer may import of the package, from DESIGN.md: cli → reports, archive, objectives → pipeline → inputs,
# formats, summaries → sketches, schema, errors. `api` is the library, which the command line is thin over.
BOTTOM = {"sketches", "schema", "errors", "remembered", "dictionary", "kernels", "memory", "logstats"}
SIDE = BOTTOM | {"inputs", "formats", "summaries", "filters", "endpoints"}
ABOVE = SIDE | {"pipeline"}
TOP = ABOVE | {"reports", "archive", "objectives"}
MAY_IMPORT = {
    "errors": set(),
    "schema": set(),
    "kernels": set(),
    "memory": set(),
    "dictionary": {"kernels"},
    "remembered": {"dictionary", "kernels"},
    "sketches": {"sketches", "remembered", "kernels"},
    "endpoints": BOTTOM,
    "filters": BOTTOM,
    "inputs": BOTTOM | {"inputs"},
    "formats": BOTTOM | {"formats"},
    "summaries": BOTTOM | {"summaries"},
    "pipeline": SIDE,
    "reports": ABOVE | {"reports", "archive"},  # how an archive is shown; the three stand side by side
    "archive": TOP,
    "objectives": TOP,
    "trial": TOP,
    "api": TOP | {"trial"},
    "cli": TOP | {"cli", "api", "trial"},
    "logstats": {"errors", "api", "reports", "archive", "objectives"},  # __init__ hands on what they define
    "__main__": {"cli"},
}


def layer(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "logstats" if first == "__init__" else first


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Layers of the package that a module imports, wherever in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            names = [
                f"{node.module}.{alias.name}" if node.module == "logstats" else node.module for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = (name or "").split(".")
            if parts[0] == "logstats":
                known = len(parts) > 1 and ((PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").exists())
                yield node.lineno, parts[1] if known else "logstats"


def test_layers_import_downwards() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {layer(path)} imports {name}"
        for path in MODULES
        for line, name in imports(path)
        if name not in MAY_IMPORT[layer(path)] | {layer(path)}
    ]
    assert not wrong, "\n".join(wrong)
    assert sum(1 for path in MODULES for _ in imports(path)) > 200, "a parser that finds nothing proves nothing"


def test_every_layer_is_known() -> None:
    assert {layer(path) for path in MODULES} == set(MAY_IMPORT)


HEAVY = {"polars", "pyarrow", "duckdb", "numpy", "yaml", "hyperloglog", "isal", "jinja2", "jsonschema"}


def loaded_by(code: str) -> set[str]:
    asked = f"import sys\n{code}\nprint(*sorted(set(m.split('.')[0] for m in sys.modules)), file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    return set(ran.stderr.split())


def test_a_report_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    lines = (ROOT / "sample_logs" / "combined.log").read_text(encoding="utf-8").splitlines()
    (tmp_path / "wrapped.log").write_text("\n".join(f"web-1  | {line}" for line in lines), encoding="utf-8")
    sources = [str(ROOT / "sample_logs" / "combined.log"), str(tmp_path / "wrapped.log")]
    code = f"import logstats; assert logstats.report({sources}).requests"
    ran = (
        f"{code}\nimport sys; print(*sorted({{'numpy.ma', 'pyarrow.compute', 'duckdb', 'jinja2'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", ran], capture_output=True, text=True, timeout=60, check=True)
    assert not done.stdout.split()


def test_importing_the_library_loads_nothing_heavy() -> None:
    assert not loaded_by("import logstats; logstats.LogstatsError; logstats.__version__") & (HEAVY | {"rich", "typer"})


def commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    yield name.strip(), command
    for part, under in getattr(command, "commands", {}).items():
        yield from commands(under, f"{name} {part}")


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_help_of_every_command_loads_nothing_heavy() -> None:
    """One process asks for all of it."""
    asked = [[*name.split(), "--help"] for name in COMMANDS] + [["--version"], ["report", "--schema"]]
    code = (
        "from logstats.cli.main import run\n"
        f"for arguments in {asked!r}:\n"
        "    sys.argv = ['logstats', *arguments]\n"
        "    try: run()\n"
        "    except SystemExit as exit: assert exit.code == 0, arguments\n"
    )
    assert not loaded_by(code) & HEAVY


def test_every_command_and_option_has_help() -> None:
    assert {"report", "parse", "query", "archive", "archive add", "slo", "diff"} <= set(COMMANDS)
    for name, command in COMMANDS.items():
        assert command.help, name
        for option in command.params:
            if not getattr(option, "hidden", False) and option.name != "sql":
                assert getattr(option, "help", None), f"{name}: {option.name}"


def test_names_of_the_design_are_options_of_report() -> None:
    names = {opt for param in COMMANDS["report"].params for opt in (*param.opts, *param.secondary_opts)}
    promised = """--format --log-format --formats-dir --tz --app --since --until --status --method --path --host
        --exclude-status --exclude-method --exclude-path --exclude-host --user-key --exact-users --trust-forwarded
        --route --routes --no-templates --max-endpoints --by --top --sort --percentiles -o --output --out --rejects
        --strict --progress --no-progress -q --archive --schema"""
    assert set(promised.split()) <= names


def test_what_ships() -> None:
    """Everything under logstats/ does, type marker, schema and formats included; no pattern leaves a file out."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["logstats"]
    assert not {"exclude", "only-include", "include"} & set(wheel)
    for name in ("py.typed", "reports/report.schema.json", "formats/builtin/combined.toml"):
        assert (PACKAGE / name).exists()
    tracked = subprocess.run(["git", "check-ignore", *map(str, MODULES)], cwd=ROOT, capture_output=True, text=True)
    assert not tracked.stdout, "hatch leaves out what git ignores"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_does_anything_when_it_is_imported(path: Path) -> None:
    """At the top of a module: definitions, constants, and no statement that acts."""
    allowed = (
        ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign | ast.Assert | ast.If
    )
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        registers = isinstance(node, ast.Expr) and ast.unparse(node).startswith("app.")  # commands, in cli
        assert isinstance(node, allowed) or docstring or (registers and layer(path) == "cli"), f"{path}:{node.lineno}"
        assert not isinstance(node, ast.If) or ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")


def test_times_are_read_without_the_c_library() -> None:
    """Months are English in any locale: nothing asks strptime, or the locale."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            assert name not in ("setlocale", "strptime") or _is_polars(path, node), (
                f"{path}:{getattr(node, 'lineno', 0)}"
            )


def _is_polars(path: Path, node: ast.AST) -> bool:
    """`.str.strptime` of a column is Rust's chrono, whose names are English."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "str"
