"""The API over a real site: host runtime, local cluster, SQLite."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from gateway.api.application import create_api
from gateway.api.server import Listener, Tcp
from gateway.composition.app import App

SPEC: dict[str, Any] = {
    "version": "0.9.4",
    "inputs": {"files": ["data/in.txt"], "parameters": {"greeting": "hello"}},
    "workflow": {
        "type": "serial",
        "specification": {
            "steps": [
                {
                    "name": "greet",
                    "environment": "img:1",
                    "commands": ["mkdir -p results", "echo ${greeting} > results/out.txt"],
                }
            ]
        },
    },
    "outputs": {"files": ["results/out.txt"]},
}


@dataclass
class Place:
    """One site with its API, asked in this process."""

    app: App
    client: TestClient
    token: str

    def user(self, email: str) -> str:
        """Add a user and return its token."""
        self.app.accounts.add_user(email)
        return self.app.accounts.new_token(email)[1]

    def call(
        self, method: str, path: str, token: str | None = None, **words: Any
    ) -> httpx2.Response:
        """Ask the API as the default user, or with another token; the token goes as REANA's."""
        query = {"access_token": self.token if token is None else token}
        query |= words.pop("params", {})
        reply: httpx2.Response = self.client.request(method, path, params=query, **words)
        return reply

    def create(self, spec: dict[str, Any] = SPEC, name: str = "w") -> str:
        """Create a workflow; return its full name."""
        reply = self.call("POST", "/api/workflows", params={"workflow_name": name}, json=spec)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["workflow_name"])

    def upload(self, workflow: str, name: str, content: bytes) -> httpx2.Response:
        """Upload a file."""
        return self.call(
            "POST",
            f"/api/workflows/{workflow}/workspace",
            params={"file_name": name},
            content=content,
            headers={"Content-Type": "application/octet-stream"},
        )

    def start(self, workflow: str, **body: Any) -> httpx2.Response:
        """Start a workflow."""
        return self.call("POST", f"/api/workflows/{workflow}/start", json=body)

    def drive(self) -> None:
        """Drive everything to its end."""
        driver = self.app.driver("test")
        while self.app.has_work():
            driver.once(lambda _: None, span_s=0.2)

    def status(self, workflow: str) -> dict[str, Any]:
        """Return the status of a workflow."""
        found: dict[str, Any] = self.call("GET", f"/api/workflows/{workflow}/status").json()
        return found


def make_place(tmp_path: Path, **site: Any) -> Iterator[Place]:
    """Write a site file and serve its API."""
    file = tmp_path / "site.yaml"
    settings = {
        "shared_root": str(tmp_path / "shared"),
        "state_dir": str(tmp_path / "state"),
        "containers": "host",
        # Gateways of one account share a host's room by the name of the cluster.
        "clusters": {"local": {"type": "local", "cpus": 16, "memory": "16 GiB"}},
    }
    file.write_text(json.dumps(settings | site))
    app = App(file)
    app.prepare_to_serve()
    token = app.accounts.ensure_token()
    assert token is not None
    with TestClient(create_api(app), raise_server_exceptions=False) as client:
        yield Place(app, client, token)
    app.store.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield from make_place(tmp_path)


@pytest.fixture
def address(place: Place) -> Iterator[tuple[str, int]]:
    """Serve the place on a port of this host; return the address."""
    with Listener(create_api(place.app), Tcp("127.0.0.1", 0), None) as listener:
        assert listener.url is not None
        host, _, port = listener.url.removeprefix("http://").partition(":")
        yield host, int(port)


@pytest.fixture
def place_with(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Return a maker of places with their own settings."""
    made: list[Iterator[Place]] = []

    def make(**site: Any) -> Place:
        made.append(make_place(tmp_path, **site))
        return next(made[-1])

    yield make
    for each in made:
        next(each, None)
