"""Workflows from a URL: what works, and what somebody hostile may send."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import UsageError
from gateway.service import fetching, launch
from gateway.service.fetching import Fetcher, parse
from gateway.workspace.unpack import Budget, unpack
from tests.api.conftest import SPEC, Place

YAML = json.dumps(SPEC)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/endless.yaml":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"#" * 65536)
            except OSError:
                self.close_connection = True
        else:
            super().do_GET()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An http server and its directory."""
    root = tmp_path / "web"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", root
    server.shutdown()
    thread.join()
    server.server_close()


Launch = Callable[..., Any]


@pytest.fixture
def here(place_with: Callable[..., Place]) -> Place:
    """A place that may fetch from this machine."""
    return place_with(launch_from_local_network=True)


def ask(place: Place, url: str, **body: Any) -> Any:
    return place.call("POST", "/api/launch", json={"url": url} | body)


def nothing_was_made(place: Place) -> bool:
    left = list((place.app.site.shared_root / "launches").glob("*"))
    return place.call("GET", "/api/workflows").json()["items"] == [] and left == []


def git(*words: str, cwd: Path) -> None:
    env = {**os.environ, "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *words], cwd=cwd, env=env, check=True, capture_output=True)


def repository(root: Path, tmp_path: Path, **links: str) -> None:
    """Put a bare repository with two branches where a dumb http server finds it."""
    work = tmp_path / "work"
    (work / "data").mkdir(parents=True)
    (work / "reana.yaml").write_text(YAML)
    (work / "data" / "in.txt").write_text("main")
    for name, target in links.items():
        (work / name).symlink_to(target)
    git("init", "-q", ".", cwd=work)
    git("add", ".", cwd=work)
    git("commit", "-qm", "one", cwd=work)
    git("checkout", "-qb", "fix/other", cwd=work)
    (work / "data" / "in.txt").write_text("other")
    git("commit", "-qam", "two", cwd=work)
    git("checkout", "-q", "main", cwd=work)
    git("clone", "-q", "--bare", str(work), str(root / "analysis.git"), cwd=work)
    git("update-server-info", cwd=root / "analysis.git")


def zipped(path: Path, **files: str) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)


def finish(place: Place, reply: Any) -> Path:
    """Run what was launched; return its workspace."""
    assert reply.status_code == 200, reply.text
    workflow = reply.json()["workflow_name"]
    place.drive()
    assert place.status(workflow)["status"] == "finished"
    return Path(place.app.views.find(workflow).workspace)


@pytest.mark.parametrize(("path", "content"), [("", "main"), ("/tree/fix/other", "other"),
                                               ("/-/tree/main/", "main")])  # fmt: skip
def test_a_git_repository_and_a_branch_of_it(
    here: Place, web: tuple[str, Path], tmp_path: Path, path: str, content: str
) -> None:
    url, root = web
    repository(root, tmp_path)
    reply = ask(here, f"{url}/analysis.git{path}", parameters='{"greeting": "hi"}')
    workspace = finish(here, reply)
    assert (workspace / "data/in.txt").read_text() == content
    assert (workspace / "results/out.txt").read_text() == "hi\n"
    assert (workspace / "reana.yaml").is_file()
    [listed] = here.call("GET", "/api/workflows").json()["items"]
    assert listed["launcher_url"] == f"{url}/analysis.git{path}"
    assert listed["name"].startswith("analysis")
    assert list((here.app.site.shared_root / "launches").iterdir()) == []


def test_archives_with_or_without_a_directory_of_their_own(
    here: Place, web: tuple[str, Path]
) -> None:
    url, root = web
    zipped(root / "a.zip", **{"demo-main/reana.yaml": YAML, "demo-main/data/in.txt": "z"})
    with tarfile.open(root / "b.tar.gz", "w:gz") as file:
        for name, content in {"reana.yaml": YAML, "data/in.txt": "t"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content.encode()))
    assert (finish(here, ask(here, f"{url}/a.zip")) / "data/in.txt").read_text() == "z"
    assert (
        finish(here, ask(here, f"{url}/b.tar.gz", name="tar")) / "data/in.txt"
    ).read_text() == "t"


def test_a_specification_alone_and_a_redirect(here: Place, web: tuple[str, Path]) -> None:
    url, root = web
    alone = SPEC | {"inputs": {"parameters": {"greeting": "x"}}}
    (root / "fit.yaml").write_text(json.dumps(alone))
    reply = ask(here, f"{url}/to/{url}/fit.yaml")
    assert (finish(here, reply) / "results/out.txt").read_text() == "x\n"
    assert reply.json()["workflow_name"] == "fit.1"


def test_the_specification_can_be_named(here: Place, web: tuple[str, Path]) -> None:
    url, root = web
    zipped(root / "a.zip", **{"sub/one.yaml": YAML, "sub/data/in.txt": "z", "x": ""})
    assert ask(here, f"{url}/a.zip").status_code == 400
    finish(here, ask(here, f"{url}/a.zip", specification="sub/one.yaml"))
    assert ask(here, f"{url}/a.zip", specification="../../x").status_code == 400


@pytest.mark.parametrize(
    "url",
    [
        "", "file:///etc/passwd", "ssh://host/x", "git@host:x", "ext::sh -c id", "ftp://h/x.yaml",
        "http://", "http:///x", "http://user:word@host/x.git", "--upload-pack=id",
        "http://h/a b", "http://h/\nx", "http://h/x/tree/--upload-pack=id",
        "http://h/x/tree/a..b", "http://h:99999/x", "http://[::1/x", "http://h", "http://h/é",
        "http://h/" + "x" * 3000,
    ],
)  # fmt: skip
def test_urls_of_which_nothing_is_fetched(
    here: Place, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("something was fetched")

    monkeypatch.setattr(launch, "Fetcher", never)
    reply = ask(here, url)
    assert reply.status_code == 400, reply.text
    assert nothing_was_made(here)


@pytest.mark.parametrize(
    "body", [{"parameters": "{"}, {"parameters": "[]"}, {"parameters": {}}, {"name": 1}, {"url": 1}]
)
def test_malformed_requests(here: Place, body: Any) -> None:
    assert (
        here.call("POST", "/api/launch", json={"url": "http://h/x.git"} | body).status_code == 400
    )


@pytest.mark.parametrize("path", ["a.yaml", "a.zip", "analysis.git"])
@pytest.mark.parametrize("excepted", ["", "127.0.0.1"])
def test_the_local_network_is_refused_unless_the_site_allows_it(
    place: Place,
    web: tuple[str, Path],
    path: str,
    excepted: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, root = web
    monkeypatch.setenv("no_proxy", excepted)
    (root / "a.yaml").write_text(YAML)
    reply = ask(place, f"{url}/{path}")
    assert reply.status_code == 400
    assert "local network" in reply.json()["message"]
    assert "launch_from_local_network" in reply.json()["hint"]
    assert nothing_was_made(place)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0", "::1", "fe80::1%eth0",
     "::ffff:127.0.0.1"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    with pytest.raises(UsageError):
        fetching._require_public(address)


def test_public_addresses() -> None:
    fetching._require_public("188.184.21.108")
    fetching._require_public("2001:1458:d00::1")


def test_a_proxy_of_the_site_may_be_on_the_local_network(
    place: Place, web: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server here takes any path, also the whole URL that a proxy is asked for."""
    url, root = web
    folder = root / "http:" / "far.example.org"
    folder.mkdir(parents=True)
    (folder / "x.yaml").write_text(json.dumps(SPEC | {"inputs": SPEC["inputs"] | {"files": []}}))
    monkeypatch.setenv("http_proxy", url.removeprefix("http://"))
    monkeypatch.setenv("no_proxy", "")
    finish(place, ask(place, "http://far.example.org/x.yaml"))


@pytest.mark.parametrize("url", ["file:///etc/x.yaml", "ftp://127.0.0.1/x.yaml"])
def test_a_redirect_to_another_scheme_is_refused(
    here: Place, web: tuple[str, Path], url: str
) -> None:
    reply = ask(here, f"{web[0]}/to/{url}")
    assert reply.status_code == 400
    assert "not allowed" in reply.text or "only http" in reply.text


@pytest.mark.parametrize("path", ["none.yaml", "none.zip", "none.git"])
def test_what_is_not_there(here: Place, web: tuple[str, Path], path: str) -> None:
    reply = ask(here, f"{web[0]}/{path}")
    assert reply.status_code == 400
    assert "none" in reply.json()["message"]
    assert nothing_was_made(here)


def test_a_server_that_is_not_there(here: Place, web: tuple[str, Path]) -> None:
    reply = ask(here, "http://127.0.0.1:1/x.yaml")
    assert reply.status_code == 503
    assert "cannot be fetched" in reply.json()["message"]


def test_size_is_bounded(web: tuple[str, Path], tmp_path: Path) -> None:
    url, root = web
    repository(root, tmp_path)
    for path in ("endless.yaml", "analysis.git"):
        folder = tmp_path / path
        folder.mkdir()
        with pytest.raises(UsageError, match="larger than"):
            Fetcher(allow_private=True, most_bytes=100).fetch(parse(f"{url}/{path}"), folder)


def test_time_is_bounded(web: tuple[str, Path], tmp_path: Path) -> None:
    url, root = web
    repository(root, tmp_path)
    times = iter([0.0, *[100.0] * 1000])
    for path in ("endless.yaml", "analysis.git"):
        folder = tmp_path / path
        folder.mkdir()
        times = iter([0.0, *[100.0] * 1000])
        with pytest.raises(UsageError, match="longer than"):
            Fetcher(allow_private=True, clock=partial(next, times)).fetch(
                parse(f"{url}/{path}"), folder
            )


def test_a_link_that_leads_out_of_a_repository_is_refused(
    here: Place, web: tuple[str, Path], tmp_path: Path
) -> None:
    repository(web[1], tmp_path, secret="/etc/passwd", inside="data/in.txt")
    reply = ask(here, f"{web[0]}/analysis.git")
    assert reply.status_code == 400
    assert "'secret' leads out" in reply.json()["message"]
    assert nothing_was_made(here)


def test_git_asks_for_no_login_and_uses_none_of_the_accounts(
    here: Place, web: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, root = web
    repository(root, tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "ssh://evil/"]\n\tinsteadOf = {url}/\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    finish(here, ask(here, f"{url}/analysis.git"))


def test_a_specification_that_cannot_run_makes_nothing(here: Place, web: tuple[str, Path]) -> None:
    (web[1] / "a.yaml").write_text("workflow: {type: serial}")
    assert ask(here, f"{web[0]}/a.yaml").status_code == 400
    (web[1] / "b.yaml").write_text(YAML)
    reply = ask(here, f"{web[0]}/b.yaml")
    assert "data/in.txt" in reply.json()["message"]
    assert nothing_was_made(here)


def test_only_a_few_at_once(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_slots", threading.BoundedSemaphore(1))
    launch._slots.acquire()
    assert ask(here, "http://127.0.0.1:1/x.yaml").status_code == 503


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "info",
    [
        member("../x"), member("/etc/x"), member("a/../../x"), member("a\\b"),
        member("x", tarfile.SYMTYPE, "/etc"), member("x", tarfile.LNKTYPE, "y"),
        member("x", tarfile.CHRTYPE), member("x", tarfile.FIFOTYPE), member("x" * 300),
    ],
)  # fmt: skip
def test_hostile_tar_archives(tmp_path: Path, info: tarfile.TarInfo) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        file.addfile(info)
    refused(tmp_path / "a.tar")


def refused(archive: Path, most: int = 10_000) -> None:
    target = archive.parent / "target"
    target.mkdir(exist_ok=True)
    with pytest.raises(UsageError):
        unpack(archive, target, Budget(most, lambda: None))
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert {path.name for path in archive.parent.iterdir()} == {archive.name, "target"}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\..\\x"])
def test_zip_archives_with_names_that_lead_out(tmp_path: Path, name: str) -> None:
    zipped(tmp_path / "a.zip", **{name: "x"})
    refused(tmp_path / "a.zip")


def test_a_zip_archive_with_a_link(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("x")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc")
    refused(tmp_path / "a.zip")


def test_bombs(tmp_path: Path) -> None:
    for number, kind in enumerate((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with zipfile.ZipFile(folder / "a.zip", "w", kind) as file:
            file.writestr("zeros", bytes(3_000_000))
        assert (folder / "a.zip").stat().st_size < 10_000
        refused(folder / "a.zip")
        assert sum(path.stat().st_size for path in (folder / "target").rglob("*")) <= 10_000


def test_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.workspace.unpack.MOST_FILES", 3)
    zipped(tmp_path / "a.zip", a="", b="", c="", d="")
    refused(tmp_path / "a.zip")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18) + b"x",
                                     b"\x1f\x8b\x08broken", b"PK\x03\x04" + bytes(30)])  # fmt: skip
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    target = tmp_path / "target"
    target.mkdir()
    with suppress(UsageError):
        unpack(tmp_path / "a.zip", target, Budget(1000, lambda: None))
    assert list(target.iterdir()) == []


def test_a_file_in_the_place_of_a_directory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("x", "1")
        file.writestr("x/y", "2")
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(Exception, match="x"):
        unpack(tmp_path / "a.zip", target, Budget(1000, lambda: None))
