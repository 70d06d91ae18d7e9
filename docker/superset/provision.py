"""Makes Superset's metadata what the files say: schema, administrator, roles, then every file of one folder.

    python docker/superset/provision.py FOLDER

Runs in the dashboards environment with the variables of superset_config.py and HEADRACE_SUPERSET_PASSWORD, any number
of times: a file that changed replaces what was imported from it before (found by uuid), and with it what was edited in
the browser. A file that is gone leaves its import behind.
FOLDER is in Superset's export format: metadata.yaml (type: assets), databases/, datasets/, charts/, dashboards/.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

USER = "admin"


def main(folder: Path) -> None:
    from superset.app import create_app

    with create_app().app_context():
        _schema()
        _administrator(os.environ["HEADRACE_SUPERSET_PASSWORD"])
        _files(folder)


def _schema() -> None:
    import superset
    from flask_migrate import upgrade

    print("metadata: schema", flush=True)
    upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
    print("metadata: roles", flush=True)
    superset.appbuilder.add_permissions(update_perms=True)
    superset.security_manager.sync_role_definitions()


def _administrator(password: str) -> None:
    from superset import security_manager

    user = security_manager.find_user(USER)
    if user:
        security_manager.reset_password(user.id, password)
    else:
        role = security_manager.find_role("Admin")
        security_manager.add_user(USER, "Headrace", "Admin", "admin@localhost", role, password=password)


def _files(folder: Path) -> None:
    from flask import g
    from superset import db, security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    files = {str(file.relative_to(folder)): file.read_text() for file in sorted(folder.rglob("*.yaml"))}
    g.user = security_manager.find_user(USER)
    try:
        ImportAssetsCommand(files).run()
    except Exception as error:
        sys.exit(f"{folder}: {error}\n{_reasons(error)}")
    db.session.commit()
    print(f"imported {len(files) - 1} files of {folder}", flush=True)


def _reasons(error: BaseException) -> str:
    """Every file's own mistake: the importer hides them behind a sentence."""
    lines = []
    for reason in getattr(error, "_exceptions", []):
        for file, mistakes in reason.messages.items() if isinstance(reason.messages, dict) else [("", reason.messages)]:
            lines.append(f"  {file}: {mistakes}")
    if error.__cause__:
        lines.append(f"  {error.__cause__!r}")
    return "\n".join(lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
