"""REANA's own client against a gateway that serves; see ``scripts/conformance``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.place import Reana, Server, client_environment, complaints, serving

_users = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    venv = client_environment()
    with serving(tmp_path_factory.mktemp("gw"), venv) as server:
        yield server


@pytest.fixture
def reana(server: Server, tmp_path: Path) -> Iterator[Reana]:
    """Return a new user's client; every answer that it gets is checked at the end."""
    email = f"user{next(_users)}@example.org"
    server.app.accounts.add_user(email)
    token = server.app.accounts.new_token(email)[1]
    server.tap.take()
    reana = Reana(server, token, tmp_path)
    yield reana
    reana.exchanged()
    wrong = [each for exchange in reana.seen for each in complaints(server.agent, exchange)]
    assert not wrong, "\n".join(wrong)
    assert token not in server.log.read_text(), "the log holds a token"
