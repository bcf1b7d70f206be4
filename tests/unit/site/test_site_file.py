"""The site file: where it is looked for, and what is said of mistakes in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ExitCode, SpecError, UsageError
from gateway.site import load
from gateway.site.load import find_site_file, load_site, read_site
from gateway.site.model import Site

GOOD = """\
shared_root: /data/gateway
clusters:
  farm:
    type: slurm
    partition: short
    defaults: {memory: 2 GiB, walltime: 1h}
backends: {slurmcern: farm}
"""


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    return tmp_path / "site.yaml"


def problems_of(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_site(path)
    assert caught.value.exit_code is ExitCode.USAGE
    return [problem.replace(str(path), "site.yaml") for problem in caught.value.problems]


def test_file_is_read_with_origin_and_positions(site_file: Path) -> None:
    site_file.write_text(GOOD)
    loaded = read_site(site_file)
    assert loaded.site.shared_root == Path("/data/gateway")
    assert loaded.site.cluster_for("slurmcern") == "farm"
    assert loaded.site.clusters["farm"].defaults.memory == 2048
    assert loaded.origin == site_file
    assert loaded.positions["clusters.farm.partition"] == f"{site_file}:5:5"
    assert "containers" not in loaded.positions


@pytest.mark.parametrize("text", ["", "# nothing set\n", "{}"])
def test_empty_file_means_defaults(site_file: Path, text: str) -> None:
    site_file.write_text(text)
    assert load_site(site_file) == Site()


def test_no_file_means_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "SYSTEM_FILE", tmp_path / "absent")
    loaded = read_site(None, {"HOME": str(tmp_path)})
    assert (loaded.site, loaded.origin, loaded.positions) == (Site(), None, {})


def test_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("asked", "named", "xdg/gateway/site.yaml", "home/.config/gateway/site.yaml", "system")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    asked, named, xdg, home, system = (tmp_path / name for name in names)
    monkeypatch.setattr(load, "SYSTEM_FILE", system)
    environ = {
        "GATEWAY_SITE": str(named),
        "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
        "HOME": str(tmp_path / "home"),
    }
    assert find_site_file(asked, environ) == asked
    assert find_site_file(None, environ) == named
    del environ["GATEWAY_SITE"]
    assert find_site_file(None, environ) == xdg
    del environ["XDG_CONFIG_HOME"]
    assert find_site_file(None, environ) == home
    home.unlink()
    assert find_site_file(None, environ) == system


@pytest.mark.parametrize("source", ["--site", "$GATEWAY_SITE"])
def test_file_that_was_asked_for_must_exist(tmp_path: Path, source: str) -> None:
    absent = tmp_path / "absent.yaml"
    path, environ = (absent, {}) if source == "--site" else (None, {"GATEWAY_SITE": str(absent)})
    with pytest.raises(UsageError, match=r"absent\.yaml does not exist") as caught:
        find_site_file(path, environ)
    assert source in caught.value.hint


def test_file_that_cannot_be_seen_is_not_passed_over(tmp_path: Path) -> None:
    hidden = "x" * 5000
    environ = {"XDG_CONFIG_HOME": f"{tmp_path}/{hidden}"}
    with pytest.raises(SpecError) as caught:
        read_site(None, environ)
    assert caught.value.problems[0].startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("sharedroot: /x\n",
         ["site.yaml:1:1: unknown key 'sharedroot'; did you mean 'shared_root'?"]),
        ("- a\n", ["site.yaml:1:1: must be a mapping of keys, not a list"]),
        (
            "clusters:\n  a: {type: slurm, partion: x}\n",
            ["site.yaml:2:20: clusters.a: unknown key 'partion'; did you mean 'partition'?"],
        ),
        (
            "clusters:\n  a: {type: slrm}\n",
            ["site.yaml:2:6: clusters.a: type: must be one of local, slurm, htcondor, not 'slrm'; "
             "did you mean 'slurm'?"],
        ),
        ("clusters:\n  a: {}\n", ["site.yaml:2:6: clusters.a: the key 'type' is missing"]),
        ("clusters: {}\n", ["site.yaml:1:11: clusters: must not be empty"]),
        (
            "clusters:\n  a: {type: local, cpus: 0}\n",
            ["site.yaml:2:26: clusters.a.cpus: must be at least 1, not 0"],
        ),
        (
            "clusters:\n  a: {type: local, cpus: many}\n",
            ["site.yaml:2:26: clusters.a.cpus: must be a whole number, not 'many'"],
        ),
        (
            "clusters:\n  a: {type: local, defaults: {memory: lots, walltime: soon}}\n",
            ["site.yaml:2:39: clusters.a.defaults.memory: 'lots' is not a size: write for example "
             "512MiB or 4GiB",
             "site.yaml:2:55: clusters.a.defaults.walltime: 'soon' is not a duration: write for "
             "example 90s, 30m, 2h or 1d"],
        ),
        (
            "containers: docker\n",
            ["site.yaml:1:13: containers.runtime: must be one of apptainer, host, not 'docker'"],
        ),
        (
            "containers: {binds: /data, image_map: [x]}\n",
            ["site.yaml:1:21: containers.binds: must be a list (items begin with '- '), not "
             "'/data'",
             "site.yaml:1:39: containers.image_map: must be a mapping of keys, not a list"],
        ),
        (
            "containers: {build_cluster: farm}\n",
            ["site.yaml:1:1: containers.build_cluster names the cluster 'farm', which is not "
             "defined"],
        ),
        (
            "clusters: {local: {type: local, ssh: {host: h}}}\n",
            ["site.yaml:1:19: clusters.local: ssh is for Slurm and HTCondor; a local cluster is "
             "this host"],
        ),
        (
            "default_cluster: farm\n",
            ["site.yaml:1:1: default_cluster names the cluster 'farm', which is not defined"],
        ),
        (f"clusters:\n  a: {{type: local, memory: {'9' * 400} GB}}\n",
         [
            f"site.yaml:2:28: clusters.a.memory: '{'9' * 40}' is not a size: write for example "
            "512MiB or 4GiB"
        ]),
        ("a: 1\n\tb: 2\n", ["site.yaml:2:1: line 2 is indented with a tab; YAML wants spaces"]),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_places(
    site_file: Path, text: str, problems: list[str]
) -> None:
    site_file.write_text(text)
    assert problems_of(site_file) == problems


def test_all_mistakes_come_at_once_in_the_order_of_the_file(site_file: Path) -> None:
    site_file.write_text("state_dir: [x]\nclusters:\n  a: {type: local, cpu: 1}\nfoo: 1\n")
    assert [problem.split(": ")[0] for problem in problems_of(site_file)] == [
        "site.yaml:1:12",
        "site.yaml:3:20",
        "site.yaml:4:1",
    ]
