"""A REST service that fails, refuses or lies: asked again where that helps, else one clear error without a secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.project import Project, load
from headrace.pulls import rest, service
from headrace.pulls.service import TRIES, Service

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: meals
version: 1.0.0
schema:
  - name: meals
    properties:
      - {name: id, logicalType: integer, required: true, primaryKey: true}
"""


@pytest.fixture
def shop(tmp_path: Path, site) -> Callable[..., Project]:
    """shop(table, connection): a project with the source `shop` at the site; both are YAML."""

    def make(table: str = "/meals", connection: str = "") -> Project:
        (tmp_path / "lake/sources").mkdir(parents=True, exist_ok=True)
        (tmp_path / "schemas").mkdir(exist_ok=True)
        (tmp_path / "headrace.yml").write_text("name: shop\n")
        (tmp_path / "schemas/meals.yaml").write_text(CONTRACT)
        connection = connection or f"{{url: '{site.url}/v1'}}"
        text = f"kind: rest\nconnection: {connection}\ntables:\n  meals: {table}\n"
        (tmp_path / "lake/sources/shop.yml").write_text(text)
        project = load(tmp_path)
        assert not project.problems, project.problems
        return project

    return make


def opened(project: Project, **more: Any) -> Service:
    source = project.source("shop")
    return Service(project.addresses, source, source.tables[0], **more)


def get(project: Project, **more: Any) -> Any:
    with opened(project, **more) as there:
        return there.get(there.address("/meals"), {"page": "3"})


def test_what_passes_by_itself_is_asked_again_after_growing_pauses(shop, site) -> None:
    short = (200, b'[{"id"', {"Content-Length": "99"})
    answers: list[Any] = [(503, b"busy"), None, short, (429, b"", {"Retry-After": "7"}), b'[{"id": 1}]']
    site.answer = lambda request: answers.pop(0)
    pauses: list[float] = []
    assert get(shop(), sleep=pauses.append).body == [{"id": 1}]
    assert site.asked == ["/v1/meals?page=3"] * 5
    wanted = (0.5, 1.0, 2.0, 7.0)
    assert all(least <= pause <= 1.25 * least for pause, least in zip(pauses, wanted, strict=True))


def test_a_date_to_come_again_is_kept(shop, site) -> None:
    again = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    answers: list[Any] = [(503, b"", {"Retry-After": again}), (503, b"", {"Retry-After": "soon"}), b"[]"]
    site.answer = lambda request: answers.pop(0)
    pauses: list[float] = []
    get(shop(), sleep=pauses.append)
    assert 28 < pauses[0] < 38 and 1 <= pauses[1] <= 1.25


def test_a_service_that_asks_for_an_hour_is_left_alone(shop, site) -> None:
    site.answer = lambda request: (429, b"", {"Retry-After": "3600"})
    with pytest.raises(HeadraceError, match="left alone for 3600 s"):
        get(shop(), sleep=pytest.fail)


def test_a_time_out_is_tried_again(shop, site, monkeypatch) -> None:
    from threading import Event

    held = Event()
    monkeypatch.setattr(service, "_TIMEOUT", 0.2)
    monkeypatch.setattr(service, "_FIRST", 0.01)
    site.answer = lambda request: held.wait(10) and b"[]" if len(site.asked) == 1 else b"[]"
    assert get(shop()).body == []
    held.set()
    assert len(site.asked) == 2


def test_one_that_never_works_is_an_error_with_page_and_hint(shop, site) -> None:
    site.answer = lambda request: (502, b"<html>\n  Bad\x1b[31m   gateway</html>")
    with pytest.raises(HeadraceError) as caught:
        get(shop(), sleep=lambda seconds: None)
    (problem,) = caught.value.problems
    assert problem.message == (
        f"source 'shop', table 'meals': GET {site.url}/v1/meals?page=3 is answered with 502 Bad Gateway:"
        f" <html> Bad [31m gateway</html> ({TRIES} tries)"
    )
    assert problem.place and problem.place.line == 4
    assert problem.hint == "headrace source check shop"
    site.server_close()
    with pytest.raises(HeadraceError, match="refused"):
        get(shop(), sleep=lambda seconds: None)


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        ((401, b'{"error": "who?"}'), '401 Unauthorized: {"error": "who?"}', "credentials"),
        ((404, b"no"), "404 Not Found", "the table's path"),
        ((302, b"", {"Location": "https://shop.example/v2"}), "302 Found", "https://shop.example/v2"),
        ((200, b"<html>login</html>"), "not JSON: Expecting value (line 1, column 1): <html>login", ""),
        ((200, b'[{"id": 1'), "not JSON", ""),
        ((200, b""), "not JSON", ""),
        ((200, b"[" * 100_000), "nested too deep", ""),
    ],
    ids=["401", "404", "redirect", "html", "half", "empty", "deep"],
)
def test_what_does_not_pass_is_asked_once(shop, site, answer, said, hint) -> None:
    site.answer = lambda request: answer
    with pytest.raises(HeadraceError) as caught:
        get(shop(), sleep=pytest.fail)
    assert said in caught.value.problems[0].message
    assert hint in caught.value.problems[0].hint


SECRET = 'k/y+"ä =&%41\\x'


@pytest.mark.parametrize(
    ("connection", "table", "sent"),
    [
        ("headers: {Authorization: 'Bearer ${KEY}'}", "/meals", "authorization"),
        ("headers: {X-Shop: '${KEY}'}", "/meals", "x-shop"),
        ("", "{path: /meals, parameters: {api_key: '${KEY}'}}", "api_key"),
        ("", "{path: '/meals/${KEY}'}", "path"),
        ("basic", "/meals", "authorization"),
    ],
    ids=["bearer", "header", "parameter", "path", "basic"],
)
@pytest.mark.parametrize("status", [403, 503, 200])
def test_a_secret_is_sent_and_never_said(shop, site, monkeypatch, connection, table, sent, status) -> None:
    monkeypatch.setenv("KEY", SECRET)
    monkeypatch.setattr(service, "_FIRST", 0.001)
    seen = []

    def echo(request: Any) -> Any:
        """All that was sent, in every way in which a service shows it."""
        headers = {name.lower(): value.encode("latin-1").decode() for name, value in request.headers.items()}
        known = headers | request.query | {"path": request.path, "raw": SECRET}
        seen.append(known)
        padding = "x" * 280  # the end of what is shown lies within the secret
        return status, f"{SECRET} {padding}{SECRET} {json.dumps(known)} {known!r}".encode()

    site.answer = echo
    url = site.url.replace("//", "//me:${KEY}@") if connection == "basic" else site.url
    more = f", {connection}" if connection.startswith("headers") else ""
    project = shop(table, f"{{url: '{url}'{more}}}")
    with pytest.raises(HeadraceError) as caught:
        rest.probe(project.addresses, project.source("shop"))
    text = str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    given = seen[0][sent]
    basic = base64.b64encode(f"me:{SECRET}".encode()).decode()
    if connection == "basic":
        assert given == f"Basic {basic}"
    assert sent == "path" or SECRET in given or basic in given
    for form in (SECRET[:4], basic[:12], "k%2Fy", "k/y", "41\\", "%41"):
        assert form not in text.replace(str(project.root), ""), form
    assert "${KEY}" in text


def test_a_secret_that_cannot_be_sent_or_is_not_set_is_said_by_name(shop, site, monkeypatch) -> None:
    project = shop("/meals", f"{{url: '{site.url}', headers: {{Authorization: 'Bearer ${{KEY}}'}}}}")
    with pytest.raises(HeadraceError, match="the secret KEY is not set") as caught:
        get(project)
    assert caught.value.problems[0].place
    monkeypatch.setenv("KEY", "abc\n")
    with pytest.raises(HeadraceError, match="the secret KEY can't be sent") as caught:
        get(project)
    assert "abc" not in str(caught.value)
