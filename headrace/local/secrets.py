"""Secrets of the embedded servers: drawn once, kept in `.headrace/secrets.env`, readable by the owner only."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from headrace.project import Project
from headrace.project.settings import read_secrets

FIXED = (
    "HEADRACE_SERVING_PASSWORD",
    "HEADRACE_READER_PASSWORD",
    "HEADRACE_WRITER_PASSWORD",
    "HEADRACE_AIRFLOW_PASSWORD",
    "HEADRACE_AIRFLOW_SECRET",
    "HEADRACE_AIRFLOW_FERNET",
    "HEADRACE_SUPERSET_PASSWORD",
    "HEADRACE_SUPERSET_SECRET",
)


def ensure(project: Project) -> None:
    """Adds the secrets that are missing and keeps the others; the file is replaced as a whole or not at all."""
    path = project.state / "secrets.env"
    have = read_secrets(path)
    wanted = (*FIXED, *(f"{s.name.upper()}_PASSWORD" for s in project.sources if s.local and s.kind != "rest"))
    missing = [name for name in wanted if name not in have]
    if not missing:
        return
    have |= {name: _fernet() if name.endswith("_FERNET") else secrets.token_urlsafe(18) for name in missing}
    write_private(path, "".join(f"{name}={value}\n" for name, value in have.items()))


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _fernet() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()
