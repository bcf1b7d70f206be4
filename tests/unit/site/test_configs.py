"""The commented site files in ``configs/`` are valid and mean what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.site.load import read_site
from gateway.site.model import HTCondorCluster, SlurmCluster

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
OFFERED = re.compile(r"^( *)# ([a-z_]+:(?: .*)?|- .*)$", re.MULTILINE)
"""A setting that a person switches on by removing the mark: ``# account: hep``."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_site_file_is_valid(path: Path) -> None:
    loaded = read_site(path)
    assert loaded.origin == path
    assert loaded.site.cluster_for(None) in loaded.site.clusters


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_settings_that_are_commented_out_are_valid_too(path: Path, tmp_path: Path) -> None:
    everything = tmp_path / path.name
    everything.write_text(OFFERED.sub(r"\1\2", path.read_text()))
    offered = len(OFFERED.findall(path.read_text()))
    assert offered or path.name == "testbed.yaml"
    read_site(everything)


def test_each_kind_of_site_has_a_file() -> None:
    names = {path.stem for path in FILES}
    assert {"local", "slurm", "htcondor", "lxplus"} <= names


def test_reana_names_of_backends_are_served() -> None:
    slurm = read_site(CONFIGS / "slurm.yaml").site
    condor = read_site(CONFIGS / "lxplus.yaml").site
    assert isinstance(slurm.clusters[slurm.cluster_for("slurmcern") or ""], SlurmCluster)
    assert isinstance(condor.clusters[condor.cluster_for("htcondorcern") or ""], HTCondorCluster)
