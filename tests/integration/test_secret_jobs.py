"""Secrets of jobs in real containers on real schedulers, and everywhere else they must not be."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.place import IN_TEST_BED, Place, drive, make_place, workspace_of

pytestmark = [pytest.mark.apptainer, pytest.mark.timeout(300), IN_TEST_BED]

VARIABLE, CONTENT = "hidden'value-5518", b"hidden\x00file-5518"
HIDDEN = (b"value-5518", b"file-5518")
RECORDS = {
    "slurm": (["scontrol", "show", "job", "--details"], ["sacct", "--allusers", "--format=ALL"]),
    "htcondor": (["condor_q", "-allusers", "-long"], ["condor_history", "-long", "-limit", "50"]),
    "local": (),
}
COMMAND = (
    'printf %s "$$PASSWORD" | sha256sum > env.txt && sha256sum < /etc/reana/secrets/key > file.txt'
    # Processes of others may end meanwhile.
    " && { cat /proc/[0-9]*/cmdline > argv.txt 2> /dev/null || test -s argv.txt; }"
    " && ls -l /etc/reana/secrets"
)


@pytest.fixture
def place(home: Path) -> Place:
    made = make_place(home)
    (home / "key").write_bytes(CONTENT)
    made.environ["PASSWORD"] = VARIABLE
    added = made.call("secrets-add", "--env", "PASSWORD", "--file", str(home / "key"))
    assert added.returncode == 0, added.stderr
    del made.environ["PASSWORD"]
    return made


@pytest.mark.parametrize(
    "cluster",
    [
        "local",
        pytest.param("slurm", marks=pytest.mark.slurm),
        pytest.param("htcondor", marks=pytest.mark.htcondor),
    ],
)
def test_a_job_has_the_secrets_and_nothing_else_holds_them(
    place: Place, home: Path, cluster: str
) -> None:
    step = {"name": "use", "environment": "python:3.13-slim", "commands": [COMMAND]}
    spec = {"workflow": {"type": "serial", "specification": {"steps": [step]}}}
    file = home / "reana.json"
    file.write_text(json.dumps(spec))
    workflow = drive(place, "run", file, cluster)
    workspace = workspace_of(place, workflow)
    for name, value in (("env.txt", VARIABLE.encode()), ("file.txt", CONTENT)):
        expected = subprocess.run(
            ["sha256sum"], input=value, capture_output=True, check=True
        ).stdout
        assert (workspace / name).read_bytes() == expected
    (home / "key").unlink()
    asked = (("explain", workflow), ("logs", "-w", workflow), ("status", workflow, "--json"))
    said = [place.call(*words).stdout.encode() for words in asked]
    for words in RECORDS[cluster]:
        said.append(subprocess.run(words, capture_output=True, check=False).stdout)
    said += [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    assert [text for text in said for word in HIDDEN if word in text] == []
    assert len(said) > 10
    assert list((home / "shared root" / "secrets").iterdir()) == []
