"""How the house is built: what may import what, what starting costs, what ships."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import logstats
from logstats.cli.main import app

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "logstats"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each room may import of the package, from DESIGN.md: cli → api → reports, archive, objectives → pipeline →
# inputs, formats, summaries → sketches, schema, errors. Files at the top level are rooms of one file.
BOTTOM = {"critical", "home", "sizes", "sketches", "schema", "errors", "cache", "kernels", "allocators", "dataclass"}
BOTTOM |= {"logstats", "query_strings", "durations"}
SIDE = BOTTOM | {"expressions", "inputs", "formats", "enrich", "summaries", "filters", "endpoints"}
ABOVE = SIDE | {"pipeline", "options"}
TOP = ABOVE | {"reports", "archive", "objectives", "line_search", "clients", "rate_limits", "scale"}
ANYWHERE = {"dataclass", "frames"}  # what stands for a library
MAY_IMPORT = {
    "": {
        "errors": set(),
        "dataclass": set(),
        "frames": set(),
        "home": set(),
        "critical": set(),
        "sizes": set(),
        "schema": set(),
        "query_strings": set(),
        "allocators": set(),
        "kernels": set(),
        "cache": {"kernels"},
        "durations": {"kernels"},
        "sketches": {"cache", "critical", "kernels"},
        "endpoints": BOTTOM,
        "expressions": BOTTOM,
        "filters": BOTTOM | {"expressions"},
        "inputs": BOTTOM,
        "formats": BOTTOM,
        "enrich": BOTTOM,
        "summaries": BOTTOM,
        "pipeline": SIDE,
        "options": SIDE | {"pipeline"},
        "scale": ABOVE,
        "archive": ABOVE | {"scale"},  # what workers do with its files
        "reports": ABOVE | {"archive"},  # how an archive is shown
        "objectives": ABOVE | {"archive", "reports", "scale"},
        "line_search": ABOVE | {"archive", "ordered"},
        "clients": ABOVE | {"ordered", "reports"},
        "rate_limits": ABOVE | {"ordered", "reports"},
        "ordered": BOTTOM,
        "explain": ABOVE,
        "live": ABOVE | {"reports", "objectives", "archive"},
        "api": TOP | {"explain", "live"},
        "manual": TOP,
        "cli": TOP | {"api", "explain", "manual", "live"},
        "logstats": {"errors", "api", "options", "reports"},  # __init__ hands on what they define
        "__main__": {"cli"},
    },
    "formats": {
        "model": set(),
        "text": set(),
        "engines": {"model", "text"},
        "index": {"model"},
        "vocabulary": {"model", "index"},
        "fields": {"model", "vocabulary", "engines"},
        "log_format": {"model", "engines"},
        "registry": {"model", "index", "vocabulary", "engines"},
        "reader": {"model", "text", "engines", "fields"},
        "wrappers": {"model", "text", "engines", "fields", "log_format", "registry", "reader"},
        "detection": {"model", "text", "index", "engines", "fields", "reader", "wrappers"},
    },
    "archive": {
        "log": set(),
        "publish": {"log"},
        "archive": {"log", "publish"},
        "ingest": {"log", "archive"},
        "staging": {"log", "archive", "ingest"},
        "apart": {"archive", "log", "staging"},
        "stretches": {"archive", "log", "ingest", "staging"},
        "tiers": {"log", "archive", "publish", "ingest", "apart"},
        "query": {"log", "archive", "publish", "ingest", "apart"},
        "create": {"log", "archive", "tiers"},
        "add": {"log", "archive", "ingest", "tiers", "apart", "stretches"},
        "spool": {"log", "archive", "ingest"},
        "follow": {"log", "archive", "ingest", "tiers", "add", "spool"},
        "status": {"log", "archive", "tiers"},
        "files": {"log", "archive", "publish"},
        "verify": {"log", "archive", "publish", "ingest", "tiers", "query", "apart"},
        "repair": {"log", "archive", "ingest", "query", "verify"},
        "person": set(),
        "erase": {"log", "archive", "ingest", "tiers", "query", "person"},
    },
    "reports": {"html": {"clock", "document", "grids", "model", "units", "printable", "terminal", "view"}},
}


def place(path: Path) -> tuple[str, ...]:
    """The names on the way to a module: ("formats", "engines", "delimited"); a room's `__init__` is the room."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return (parts[:-1] or ("logstats",)) if parts[-1] == "__init__" else parts


PLACES = {place(path) for path in MODULES}
ROOMS = {place(path) for path in MODULES if path.name == "__init__.py"} - {("logstats",)}


def layer(path: Path) -> str:
    return place(path)[0]


def imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The places of the package that a module imports from, wherever in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, *parts = name.split(".")
            if package == "logstats":
                while parts and tuple(parts) not in PLACES:
                    parts.pop()
                yield node.lineno, tuple(parts) or ("logstats",)


def doors(room: tuple[str, ...]) -> set[str]:
    """What others may import from a room: the names in its `__all__`."""
    tree = ast.parse((PACKAGE.joinpath(*room) / "__init__.py").read_text(encoding="utf-8"))
    named = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert named, f"{'/'.join(room)}/__init__.py has no __all__"
    return set(named[0])


def wrong_turn(here: tuple[str, ...], there: tuple[str, ...]) -> str | None:
    """Why a module in one place may not import from another."""
    shared = 0
    while shared < min(len(here), len(there)) and here[shared] == there[shared]:
        shared += 1
    if shared == len(there) or (shared == len(here) and here in ROOMS):
        return None  # the room that it is in, or a room's own files
    if there[0] in ANYWHERE:
        return None
    rules = MAY_IMPORT.get("/".join(here[:shared]), {})
    if shared < len(here) and here[shared] in rules and there[shared] not in rules[here[shared]]:
        return f"{here[shared]} does not build on {there[shared]}"
    for depth in range(shared + 1, len(there)):
        if there[:depth] in ROOMS and there[depth] not in doors(there[:depth]):
            return f"{there[depth]} is inside {'/'.join(there[:depth])}: not in its __all__"
    return None


def test_nothing_else_lies_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    tops = {name.split("/")[0].strip('"') for name in listed.stdout.splitlines()}
    named = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "logstats", "tests", "sample_logs", "scripts"}
    assert {name for name in tops if not name.startswith(".")} == named


def test_rooms_import_downwards_and_through_doors() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {why}"
        for path in MODULES
        for line, there in imports(path)
        if (why := wrong_turn(place(path), there))
    ]
    assert not wrong, "\n".join(wrong)
    assert sum(1 for path in MODULES for _ in imports(path)) > 200, "a parser that finds nothing proves nothing"
    assert wrong_turn(("formats", "engines", "scan"), ("formats", "fields", "columns"))
    assert wrong_turn(("api",), ("formats", "engines", "template"))
    assert wrong_turn(("cache",), ("formats", "text"))


def test_no_room_takes_the_name_of_a_function() -> None:
    """Importing `logstats.x` sets the attribute `x`: a function of that name would be gone after its first call."""
    assert not set(logstats.__all__) & {layer(path) for path in MODULES}


def test_every_room_is_known() -> None:
    assert {layer(path) for path in MODULES} == set(MAY_IMPORT[""])
    for room in ("formats", "archive"):
        assert {there[1] for there in PLACES if there[0] == room and len(there) > 1} == set(MAY_IMPORT[room])


def test_no_two_files_import_each_other() -> None:
    """Not at any distance: what a file builds on never builds on it."""
    builds_on: dict[tuple[str, ...], set[tuple[str, ...]]] = {
        place(path): {there for _, there in imports(path)} - {place(path)} - ROOMS for path in MODULES
    }
    builds_on.pop(("logstats",))  # hands on what others define
    done: set[tuple[str, ...]] = set()

    def visit(here: tuple[str, ...], way: tuple[tuple[str, ...], ...]) -> None:
        assert here not in way, " → ".join("/".join(there) for there in (*way[way.index(here) :], here))
        if here not in done:
            for there in builds_on.get(here, ()):
                visit(there, (*way, here))
            done.add(here)

    for here in builds_on:
        visit(here, ())


def test_rooms_say_what_is_in_them() -> None:
    for room in ROOMS:
        text = ast.get_docstring(ast.parse((PACKAGE.joinpath(*room) / "__init__.py").read_text(encoding="utf-8")))
        assert text and {"May use", "Begin with"} <= set(re.findall("May use|Begin with", " ".join(text.split()))), room
        doors(room)


HEAVY = {"polars", "pyarrow", "duckdb", "numpy", "yaml", "hyperloglog", "isal", "jinja2", "jsonschema", "starlette"}


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


NOT_FOR_A_TABLE = {
    *("markupsafe", "rich.progress", "rich.markdown", "rich.syntax"),
    *(
        "logstats.manual.reference",
        "logstats.reports.grids",
        "logstats.reports.html.charts",
        "logstats.reports.html.series",
    ),
}


def test_a_command_loads_no_other_command(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from logstats.cli.main import COMMANDS, run\n"
        f"sys.argv = ['logstats', 'report', '-q', {str(ROOT / 'sample_logs' / 'combined.log')!r}]\n"
        "try: run()\n"
        "except SystemExit as exit: assert not exit.code\n"
        "print(*(c for c, (m, _) in COMMANDS.items() if f'logstats.cli.{m}' in sys.modules), file=sys.stderr)\n"
        f"assert not {NOT_FOR_A_TABLE!r} & set(sys.modules), {NOT_FOR_A_TABLE!r} & set(sys.modules)"
    )
    asked = [sys.executable, "-c", code]
    here = {**os.environ, "LOGSTATS_CONFIG": ""}  # a configuration file is checked against every command
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True, env=here)
    assert set(done.stderr.split()) == {"report", "config"}, "whose module reads the configuration file"


# What a report of a plain log has no use for: other commands, sources that never end, other processes, expressions of
# objectives, files of the user's, and of the libraries what is slow to load.
NOT_FOR_A_PLAIN_LOG = {
    *(
        f"logstats.{room}"
        for room in ("archive", "live", "clients", "objectives", "rate_limits", "line_search", "manual")
    ),
    *(
        f"logstats.api.{file}"
        for file in ("adding", "clients", "limiting", "objectives", "rows", "serving", "watching")
    ),
    *(f"logstats.inputs.{file}" for file in ("endless", "follower", "known_files", "syslog", "tracker")),
    *(f"logstats.scale.{file}" for file in ("processes", "run", "shards", "cluster")),
    *(
        "logstats.objectives",
        "logstats.enrich.privacy",
        "logstats.formats.log_format.compile",
        "logstats.reports.html",
        "logstats.explain",
    ),
    *("rich", "jinja2", "jsonschema", "yaml", "duckdb", "isal", "obstore"),
    *("numpy.ma", "numpy.random", "numpy.fft", "pyarrow"),
    *("multiprocessing", "tomllib", "configparser", "asyncio", "http.client", "xml", "unittest"),
}


@pytest.mark.parametrize(
    ("log", "output"), [("combined", "table"), ("combined_time", "table"), ("json", "json"), ("kv", "json")]
)
def test_a_report_of_a_plain_log_loads_no_more_than_it_needs(log: str, output: str) -> None:
    """Modules are named, since times depend on the machine."""
    code = (
        "import sys\n"
        "from logstats.cli.main import run\n"
        f"sys.argv = ['logstats', 'report', '-q', '-o', {output!r}, {str(ROOT / 'sample_logs' / f'{log}.log')!r}]\n"
        "try: run()\n"
        "except SystemExit as exit: assert not exit.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    here = {**os.environ, "LOGSTATS_CONFIG": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=here
    )
    loaded = set(done.stderr.split())
    assert ("polars" in loaded) is (log in ("json", "kv"))
    assert not NOT_FOR_A_PLAIN_LOG & loaded


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
