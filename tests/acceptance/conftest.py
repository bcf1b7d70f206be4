"""A bench for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.bench import Bench, clean_environment


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A user's place with a site file, and nothing done yet."""
    made = Bench(tmp_path)
    for name, value in clean_environment(tmp_path, made.site_file).items():
        monkeypatch.setenv(name, value)
    for name in ("REANA_WORKON", "XDG_CONFIG_HOME", "SLURM_TMPDIR", "_CONDOR_SCRATCH_DIR"):
        monkeypatch.delenv(name, raising=False)
    made.here.mkdir()
    (tmp_path / "home").mkdir()
    made.write_site()
    return made
