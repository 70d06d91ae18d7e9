"""A Python job is read from its syntax tree: the decorated function and its parameters. It is never imported here."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.project.job import Input

DECORATORS = {"batch": ("batch_view",), "stream": ("alert_view", "process_manager")}
_KIND = {name: kind for kind, names in DECORATORS.items() for name in names}


def read_python(path: Path, text: str, kind: str) -> tuple[str, tuple[Input, ...]]:
    """The decorated function's name and its inputs; raises HeadraceError with every mistake that shows."""
    tree = _parse(path, text)
    lines = text.split("\n")

    def place(node: ast.expr | ast.arg | ast.stmt) -> Place:
        line = lines[node.lineno - 1] if node.lineno <= len(lines) else ""  # col_offset counts bytes
        return Place(path, node.lineno, len(line.encode()[: node.col_offset].decode(errors="ignore")) + 1)

    local = _imported(tree)
    found: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
    problems: list[Problem] = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            name = _decorator(decorator, local)
            if name in DECORATORS[kind]:
                found.append(node)
            elif name in _KIND:
                hint = f"move the file to jobs/{_KIND[name]}/"
                message = f"@{name} marks a {_KIND[name]} job, but this file is in jobs/{kind}/"
                problems.append(Problem(message, place(decorator), hint))
    if problems:
        raise HeadraceError(*problems)
    allowed = " or ".join(f"@{d}" for d in DECORATORS[kind])
    if not found:
        name = DECORATORS[kind][0]
        hint = (
            f"from headrace import {name}\n@{name}\ndef {path.stem}(orders): …      (its parameters are what it reads)"
        )
        near = _near(tree, local, kind, place)
        raise HeadraceError(
            near or Problem(f"a {kind} job in Python is one function with {allowed}", Place(path), hint)
        )
    if len(found) > 1:
        message = f"one file is one view, but {found[1].name!r} is a second function with {allowed}"
        raise HeadraceError(message, place=place(found[1]), hint="put it into a file of its own")
    return found[0].name, _inputs(found[0], place)


def _parse(path: Path, text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in a user's file is not our reader's business
            return ast.parse(text)
    except SyntaxError as error:
        place = Place(path, error.lineno or 1, error.offset or 0)
        raise HeadraceError(f"this is not Python: {error.msg}", place=place) from None
    except (ValueError, RecursionError, MemoryError):
        raise HeadraceError("this is not Python a person wrote", place=Place(path)) from None


def _inputs(function: ast.FunctionDef | ast.AsyncFunctionDef, place) -> tuple[Input, ...]:  # type: ignore[no-untyped-def]
    problems = []
    if isinstance(function, ast.AsyncFunctionDef):
        problems.append(Problem("a job's function can't be async", place(function), "def instead of async def"))
    for star in (function.args.vararg, function.args.kwarg):
        if star:
            problems.append(Problem("a job names each input as a parameter of its own", place(star), "no * and no **"))
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    if not arguments and not problems:
        hint = f"def {function.name}(orders, customers): …   (parameters are the tables it reads)"
        problems.append(Problem("the function takes no input", place(function), hint))
    if problems:
        raise HeadraceError(*problems)
    return tuple(Input(a.arg, place(a)) for a in arguments)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Local name → name in headrace, for `from headrace import batch_view as view`."""
    return {
        alias.asname or alias.name: alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module in {"headrace", "headrace.jobs"}
        for alias in node.names
    }


def _decorator(node: ast.expr, local: dict[str, str]) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Attribute):
        return node.attr
    name = getattr(node, "id", "")
    return local.get(name, name)


def _near(tree: ast.Module, local: dict[str, str], kind: str, place) -> Problem | None:  # type: ignore[no-untyped-def]
    for node in tree.body:
        for decorator in getattr(node, "decorator_list", ()):
            name = _decorator(decorator, local)
            hint = did_you_mean(name, DECORATORS[kind]) if name else ""
            if hint.startswith("did you mean"):
                return Problem(f"no such decorator @{name}", place(decorator), hint)
    return None
