"""The shape of the repository: rooms import downwards, no circles, light rooms start no engine, small files."""

from __future__ import annotations

import ast
import re
import resource
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A room may import the rooms of later lines only, and itself.
ORDER = [
    {"cli"},
    {"local"},
    {"monitor"},
    {"orchestrate"},
    {"workflow"},
    {"audit"},
    {"live"},
    {"batch", "stream"},
    {"quality"},
    {"serve"},
    {"sources"},
    {"pulls"},
    {"ingest"},
    {"lake"},
    {"project"},
    {"sql"},
    {"errors", "jobs"},
    {"concealed"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
ENGINES = (
    "pyspark", "deltalake", "confluent_kafka", "duckdb", "psycopg", "pandas", "pyarrow", "pyflink", "airflow",
    "great_expectations",
)  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of the platform by its dotted name."""
    found = {}
    for path in sorted((ROOT / "headrace").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The platform's modules that a module imports when it runs, also inside functions; not those of types only."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    types = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test).endswith("TYPE_CHECKING")]
    only_types = {inner for block in types for inner in ast.walk(block)}
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if node in only_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names}
    return {f for f in found if f in known and f != name}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, or nothing."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            circle = walk(following, [*way, node])
            if circle:
                return circle
        done.add(node)
        return []

    return next((circle for node in graph if (circle := walk(node, []))), [])


def tracked() -> list[Path]:
    """The files of the repository, without what git ignores."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_every_room_has_a_place_in_the_order():
    assert {room(name) for name in modules()} - {""} <= set(LEVEL)


def test_imports_point_downwards():
    known = modules()
    wrong = [
        f"{name} imports {target}"
        for name, path in known.items()
        for target in imports(name, path, known)
        if room(name) and room(target) and room(name) != room(target) and LEVEL[room(name)] >= LEVEL[room(target)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_circle():
    known = modules()
    circle = find_circle({name: imports(name, path, known) for name, path in known.items()})
    assert not circle, " → ".join(circle)


def test_the_finder_of_circles_finds_one():
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("light", ["headrace.project", "headrace.sql.inputs", "headrace.cli", "headrace.orchestrate"])
def test_light_rooms_import_no_engine(light: str):
    code = f"import sys, {light}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint(ENGINES)


def test_help_is_quick_and_loads_no_verb():
    """In processor time, beside a program of typer's with one empty command: the machine may be busy or slow."""
    run = "import sys; sys.argv = ['headrace', '--help']\n{}\ntry: main()\nexcept SystemExit: pass\n"
    ours = run.format("from headrace.cli import main")
    ours += "print('LOADED', *[m for m in sys.modules if m.startswith(('headrace.project', 'headrace.cli.'))])"
    least = run.format("import typer; main = typer.Typer()\n@main.command()\ndef verb(): ...")
    took: dict[str, list[float]] = {ours: [], least: []}
    said = {}
    for code in (ours, least) * 8:  # so often that each has a moment of its own on a busy machine
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took[code].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        said[code] = done.stdout
    assert said[ours].splitlines()[-1] == "LOADED headrace.cli.context headrace.cli.app"
    assert " check " in said[ours]
    assert min(took[ours]) < 1.6 * min(took[least])


def test_files_are_small():
    sizes = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in (ROOT / "headrace").rglob("*.py")}
    for folder in ("demo", "tests", "dags", "jobs", "benchmarks"):
        sizes |= {p: len(p.read_text(encoding="utf-8").splitlines()) for p in (ROOT / folder).rglob("*.py")}
    long = [f"{path.relative_to(ROOT)}: {size} lines" for path, size in sizes.items() if size > 400]
    assert not long, "\n".join(long)
    assert statistics.median(s for p, s in sizes.items() if p.is_relative_to(ROOT / "headrace") and s) <= 120


def test_no_machine_paths_are_tracked():
    places = re.compile("|".join(f"/{place}/" for place in ("work", "tmp/boot", "home/[a-z]+", "Users/[A-Za-z]+")))
    wrong = []
    for path in tracked():
        if path.suffix in {".png", ".jpg", ".zip", ".lock"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if places.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not wrong, "\n".join(wrong)
