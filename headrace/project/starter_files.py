"""The files of a new project, copied from the folder `starter/` beside this file."""

from __future__ import annotations

import re
from pathlib import Path

from headrace.errors import HeadraceError

STARTER = Path(__file__).with_name("starter")


def create(directory: Path) -> list[Path]:
    """Writes an empty project that `check` accepts; returns its files.

    A folder with anything in it (but .git) is left alone.

    Raises HeadraceError when the folder is not empty or can't be written.
    """
    if directory.is_file():
        raise HeadraceError(f"{directory} is a file", hint="headrace init DIR   needs the name of a new folder")
    try:
        there = sorted(p.name for p in directory.iterdir() if p.name != ".git") if directory.exists() else []
        if there:
            shown = ", ".join(there[:3]) + (f" and {len(there) - 3} more" if len(there) > 3 else "")
            hint = f"headrace init {directory / 'my-project'}   makes it in a new folder"
            raise HeadraceError(f"{directory} is not empty: it holds {shown}", hint=hint)
        return [_write(path, directory) for path in sorted(STARTER.rglob("*")) if path.is_file()]
    except OSError as error:
        raise HeadraceError(f"can't write {error.filename or directory}: {error.strerror}") from None


def _write(path: Path, directory: Path) -> Path:
    # .txt hides what the platform's own tools would read where it lies: Python files, and a list of ignored files
    name = str(path.relative_to(STARTER)).removesuffix(".txt")
    target = directory / (".gitignore" if name == "gitignore" else name)
    target.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8").replace("{{name}}", project_name(directory.resolve().name))
    target.write_text(text, encoding="utf-8")
    return target


def project_name(folder: str) -> str:
    """A project's name made from its folder's: small letters, digits and hyphens, a letter first."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-0123456789")
    return name or "my-project"
