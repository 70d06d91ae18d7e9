"""Fetches what the embedded platform runs: Python environments by uv, servers and connectors by Maven.

Standard library only: it runs before the first environment exists. Every part is made beside its place and renamed into
it, then stamped with the hash of what it was made from; so it is quick when nothing changed and safe when interrupted.

    python3.11 -m headrace.local.install            everything that `make run` needs
    python3.11 -m headrace.local.install dashboards the environment of Superset
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local import checksums, unpack
from headrace.local.progress import say, step

ROOT = Path(__file__).resolve().parents[2]  # the folder that holds the headrace package, environments and jars
JARS = ROOT / ".jars"
POMS = Path(__file__).parent / "jars"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
ENVIRONMENTS = {
    "platform": (".venv", ("platform", "dev")),
    "flink": (".venv-flink", ("flink",)),
    "airflow": (".venv-airflow", ("airflow",)),
    "dashboards": (".venv-dashboards", ("dashboards",)),
}
# How events are read from the bus: Flink's own JSON format takes messages for events that landing does not.
FLINK_FORMAT = POMS / "ObjectFormatFactory.java"
FLINK_SERVICE = {"org.apache.flink.table.factories.Factory": "headrace.ObjectFormatFactory"}
NEEDED = ("platform", "flink", "airflow")
SELDOM = ("cassandra", "neo4j", "s3")  # jars that few projects ask for: fetched when one does
FREE_BYTES = 4_000_000_000  # environments, jars and room for a first day's data


def environment(name: str) -> Path:
    """The folder of one of the Python environments: platform, flink, airflow or dashboards."""
    return ROOT / ENVIRONMENTS[name][0]


def install(names: tuple[str, ...] = NEEDED) -> None:
    """Makes the named environments and jars, in parallel. Raises HeadraceError naming each part that failed."""
    poms = [pom for pom in _poms() if not _jars_fresh(pom)]
    stale = [name for name in names if not _fresh(environment(name), _environment_stamp())]
    if poms or stale:
        _room()
        with _alone():
            _all_of([*(partial(_sync, name) for name in stale), *(partial(_jars, pom) for pom in poms)])
    if "flink" in names:
        _flink_home()


def require() -> None:
    """Raises HeadraceError when a part is missing that a server needs; says what to type."""
    missing = [name for name in NEEDED if not environment(name).exists()]
    missing += [pom.stem for pom in _poms() if not _jars_fresh(pom)]
    if missing:
        raise HeadraceError(
            f"not installed yet: {', '.join(missing)}", hint="make setup   fetches environments and jars"
        )
    _flink_home()


def seldom(kinds: set[str]) -> None:
    """Fetches the jars that `install` leaves out for these kinds of sources or lake; quick when they are there."""
    poms = [POMS / f"{kind}.xml" for kind in SELDOM if kind in kinds]
    poms = [pom for pom in poms if not _jars_fresh(pom)]
    if poms:
        _room()
        with _alone():
            _all_of([partial(_jars, pom) for pom in poms])


def _poms() -> list[Path]:
    return [pom for pom in sorted(POMS.glob("*.xml")) if pom.stem not in SELDOM]


def _all_of(tasks: list[Callable[[], None]]) -> None:
    problems: list[HeadraceError] = []
    with ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(task) for task in tasks]:
            try:
                future.result()
            except HeadraceError as error:
                problems.append(error)
    if problems:
        raise HeadraceError(*(p for e in problems for p in e.problems))


def _sync(name: str) -> None:
    folder, stamp = environment(name), _environment_stamp()
    if _fresh(folder, stamp):
        return
    uv = os.environ.get("UV") or shutil.which(
        "uv", path=f"{ROOT}/.tools/uv/bin{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if not uv:
        raise HeadraceError("uv is not installed", hint="make setup   installs it into .tools/uv")
    groups = [word for group in ENVIRONMENTS[name][1] for word in ("--group", group)]
    settings = os.environ | {
        "UV_PROJECT_ENVIRONMENT": str(folder),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_LINK_MODE": os.environ.get("UV_LINK_MODE", "hardlink"),
    }
    settings.pop("VIRTUAL_ENV", None)
    with step(f"environment {folder.name}"):
        _run(
            [
                uv,
                "sync",
                "--quiet",
                "--locked",
                "--python",
                sys.executable if not _in_environment() else "3.11",
                *groups,
            ],
            f"environment {folder.name}",
            settings,
        )
    _stamp(folder, stamp)


def _in_environment() -> bool:
    return sys.prefix != sys.base_prefix


def _environment_stamp() -> str:
    return _hash((ROOT / "uv.lock").read_bytes() + (ROOT / "pyproject.toml").read_bytes())


def _jars_fresh(pom: Path) -> bool:
    return all(_fresh(JARS / place, _jars_stamp(pom)) for place in unpack.PLACES.get(pom.stem, (pom.stem,)))


def _jars_stamp(pom: Path) -> str:
    source = unpack.SOURCES.get(pom.stem)
    return _hash(pom.read_bytes() + (source.read_bytes() if source else b""))


def fetch(pom: Path, folder: Path) -> list[str]:
    """The command that puts what a pom names, and what that needs, into a folder."""
    goal = (COPY, "-DincludeScope=runtime", f"-DoutputDirectory={folder}")
    return ["mvn", "-B", "-q", "-f", str(pom), *goal]


def _jars(pom: Path) -> None:
    if _jars_fresh(pom):
        return
    fetched = JARS / f".{pom.stem}.part"
    shutil.rmtree(fetched, ignore_errors=True)
    with step(f"jars: {pom.stem}"):
        command = fetch(pom, fetched)
        try:
            _run(command, f"jars of {pom.name}")
        except HeadraceError:
            # Several Mavens on an empty repository can trip over each other's half-written files; once more.
            _run(command, f"jars of {pom.name}")
        checksums.verify(fetched)
        made = unpack.UNPACK.get(pom.stem, unpack.keep)(fetched)
        for place, folder in made.items():
            _stamp(folder, _jars_stamp(pom))
            _replace(folder, JARS / place)
    shutil.rmtree(fetched, ignore_errors=True)


def _flink_home() -> None:
    """A Flink home out of the wheel's folder with our jars in lib/ and opt/. Hard links: it costs no space."""
    wheel = environment("flink") / "lib" / "python3.11" / "site-packages" / "pyflink"
    (version,) = (file.name for file in wheel.parent.glob("apache_flink_libraries-*.dist-info"))
    texts = (POMS / "flink.xml").read_text() + FLINK_FORMAT.read_text()
    place, stamp = JARS / "flink-home", _hash(f"{version}{texts}".encode())
    if _fresh(place, stamp):
        return
    with _alone(), step("Flink home"):
        made = JARS / ".flink-home.part"
        shutil.rmtree(made, ignore_errors=True)
        for folder in ("bin", "conf", "lib", "opt", "plugins"):
            shutil.copytree(wheel / folder, made / folder, copy_function=_link)
        for jar in (JARS / "flink").glob("*.jar"):
            _link(jar, made / ("opt" if "gateway" in jar.name else "lib") / jar.name)
        unpack.compiled(FLINK_FORMAT, [made / "lib"], made / "lib" / "headrace-flink.jar", FLINK_SERVICE)
        (made / "log").mkdir()
        _stamp(made, stamp)
        _replace(made, place)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _run(command: list[str], what: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise HeadraceError(f"{what}: {Path(command[0]).name} failed", hint="\n".join(said[:12]) or "it said nothing")


def _room() -> None:
    free = shutil.disk_usage(ROOT).free
    if free < FREE_BYTES:
        raise HeadraceError(
            f"too little space in {ROOT}: {free / 1e9:.1f} GB free, the set-up needs {FREE_BYTES / 1e9:.0f} GB"
        )


class _alone:
    """One installer at a time on this folder: a second one waits, then finds everything done."""

    def __enter__(self) -> None:
        JARS.mkdir(exist_ok=True)
        self.file = (JARS / ".lock").open("w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()


def _replace(made: Path, place: Path) -> None:
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    made.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _fresh(folder: Path, stamp: str) -> bool:
    file = folder / ".made-from"
    return file.exists() and file.read_text() == stamp


def _stamp(folder: Path, stamp: str) -> None:
    (folder / ".made-from").write_text(stamp)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def main() -> int:
    """Installs the parts named on the command line (default: what `make run` needs); one message when it can't."""
    try:
        install(tuple(sys.argv[1:]) or NEEDED)
    except HeadraceError as error:
        for problem in error.problems:
            say(problem.render())
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        say(
            f"  the disk of {ROOT} is full\n  hint: make room, then the same command again: it goes on where it stopped"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
