"""What a project's files can reach: nothing outside the project by a path, no database without the TLS they ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from headrace.errors import HeadraceError
from headrace.ingest import debezium
from headrace.project import load, tls

FILES = "kind: files\nconnection: {{path: '{0}'}}\ntables: {{visits: '*.csv', pages: '*.csv'}}\n"
STEPS = st.lists(
    st.sampled_from(["..", ".", "a", "link", "out", "etc", "", ".headrace", "circle"]), min_size=1, max_size=6
)


def said(folder, path: str) -> str:
    folder.write("lake/sources/site.yml", FILES.format(path))
    project = load(folder.root)
    assert ("site" in {s.name for s in project.sources}) == (not [p for p in project.problems if not p.follows])
    return "\n".join(p.render() for p in project.problems if not p.follows)


@pytest.fixture
def linked(folder):
    """The project with links: to a folder of its own, out of it, and to themselves."""
    (folder.root / "a").mkdir()
    (folder.root / "link").symlink_to("a")
    (folder.root / "out").symlink_to(folder.root.parent)
    (folder.root / "circle").symlink_to("circle")
    return folder


@pytest.mark.parametrize("path", ["/etc", "..", "../x", "a/../../x", "out", "out/x", "a/../a", "/", "link/../.."])
def test_a_path_out_of_the_project_is_a_mistake(linked, path):
    assert "leads out of the project" in said(linked, path)
    assert "lake/sources/site.yml:2" in said(linked, path) and "hint: a folder below" in said(linked, path)


@pytest.mark.parametrize("path", [".", ".headrace", ".headrace/run", "link/.././.headrace"])
def test_nor_is_what_the_platform_keeps_data(linked, path):
    assert said(linked, path)


@pytest.mark.parametrize("path", ["a", "link", "a/b", "./a", ".headrace/demo/prices", "not/there/yet"])
def test_a_folder_of_the_project_is_none(linked, path):
    assert said(linked, path) == ""


@given(STEPS, st.booleans())
@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_path_leads_out(linked, steps, whole):
    """Whatever is put together: accepted means that it really lies in the project."""
    path = ("/" if whole else "") + "/".join(steps)
    if path.strip() and said(linked, path) == "":
        real = (linked.root / path).resolve()
        assert real.is_relative_to(linked.root) and real != linked.root


def test_a_folder_elsewhere_is_allowed_by_the_settings(linked, tmp_path: Path):
    (tmp_path / "lists").mkdir()
    linked.write("headrace.yml", f"name: site\nfolders: [{tmp_path / 'lists'}]\n")
    assert said(linked, str(tmp_path / "lists")) == said(linked, str(tmp_path / "lists/of/today")) == ""
    assert "leads out of the project" in said(linked, str(tmp_path / "listsalike"))
    assert f"folders: [{tmp_path / 'other'}]" in said(linked, str(tmp_path / "other"))


@pytest.mark.parametrize(
    "line", ["folders: [lists]", "folders: [/]", "folders: [/srv/../etc]", "lake: ../lake", "lake: a/../../b"]
)
def test_settings_that_lead_out(folder, line):
    folder.write("headrace.yml", f"name: site\n{line}\n")
    with pytest.raises(HeadraceError, match=r"headrace\.yml:2"):
        load(folder.root)


@pytest.mark.parametrize(("folder_name", "name"), [
    ("jobs/batch", "x.sql"), ("jobs/stream", "x.sql"), ("schemas", "x.yaml"), ("lake/sources", "x.yml"),
])  # fmt: skip
def test_a_file_linked_from_outside_is_not_read(folder, tmp_path, folder_name, name):
    (tmp_path / name).write_text("secret: text\n")
    (folder.root / folder_name / name).symlink_to(tmp_path / name)
    told = folder.mistakes()
    assert "link to a file outside the project" in told and "secret: text" not in told


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "x.y", "/x"])
def test_names_of_tables_are_no_paths(folder, name):
    folder.write("lake/sources/site.yml", f"kind: postgresql\nconnection: {{local: true}}\ntables: {{'{name}': a.b}}\n")
    assert "can't name a table" in folder.mistakes()


@pytest.mark.parametrize(
    "table", ["delta.`/etc/x`", "text.`/etc/passwd`", "csv.`../x`", "parquet.`a`", "`/etc/passwd`"]
)
def test_a_batch_view_names_tables_not_paths(query, table):
    assert "jobs/batch/visits_per_page.sql" in query(f"SELECT * FROM {table} JOIN visits ON true")


DATABASE = (
    "kind: {0}\nconnection: {{url: '{0}://me:${{P}}@h/site{1}'}}\n"
    "tables: {{visits: public.visits, pages: public.pages}}\n"
)


@pytest.mark.parametrize(("kind", "parameters", "wrong"), [
    ("postgresql", "?sslmode=verify-full&sslrootcert=/ca.pem&sslpassword=${P}", ""),
    ("mariadb", "?ssl_ca=/ca.pem&ssl_truststore=/ca.p12&ssl_truststore_password=${P}", ""),
    ("postgresql", "?sslmode=yes", "sslmode is 'yes'"),
    ("postgresql", "?options=-c%20x=y", "takes no parameter 'options'"),
    ("postgresql", "?sslpassword=plain", "a password must not stand in a project file"),
    ("mariadb", "?ssl_mode=verify-full", "needs ssl_ca"),
    ("mariadb", "?ssl_truststore_password=plain", "a password must not stand in a project file"),
    ("mariadb", "?allowLoadLocalInfile=true", "takes no parameter 'allowLoadLocalInfile'"),
])  # fmt: skip
def test_tls_of_a_captured_database(folder, kind, parameters, wrong):
    folder.write("lake/sources/site.yml", DATABASE.format(kind, parameters))
    assert (wrong in folder.mistakes()) if wrong else folder.mistakes() == ""


def test_what_debezium_and_pymysql_are_told(folder, monkeypatch):
    monkeypatch.setenv("P", "secret words")
    secured = "?ssl_ca=/ca.pem&ssl_truststore=/ca.p12&ssl_truststore_password=${P}"
    folder.write("lake/sources/site.yml", DATABASE.format("mariadb", secured))
    project = load(folder.root)
    config = debezium.config(project, project.source("site"), 1)
    assert {n: v for n, v in config.items() if n.startswith("database.ssl")} == {
        "database.ssl.mode": "verify-full",
        "database.ssl.truststore": "/ca.p12",
        "database.ssl.truststore.password": "${env:P}",
    }
    address = project.addresses.source(project.source("site"))
    assert tls.client("mariadb", address) == {"ssl": {"ca": "/ca.pem", "check_hostname": True, "verify_mode": True}}
    assert tls.apart(address)[0] == "mariadb://me:secret%20words@h/site"
    assert tls.client("mariadb", "mariadb://h/d?ssl_mode=disable") == {"ssl_disabled": True}
    assert tls.client("mariadb", "mariadb://h/d") == {}
    trusting = tls.client("mariadb", "mariadb://h/d?ssl_mode=trust")
    assert trusting == {"ssl": {"check_hostname": False, "verify_mode": False}}
