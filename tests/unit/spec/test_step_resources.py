"""The table from step keys to the resource model."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.spec.load import load_data
from gateway.spec.model import OWN_STEP_KEYS, StepModel
from gateway.spec.step_resources import _KEYS, step_resources
from gateway.vocabulary.resources import Resources

WITHOUT_RESOURCES = {
    "name", "environment", "commands", "compute_backend", "retries", "kubernetes_uid",
    "unpacked_img", "unpacked_image", "kerberos", "voms_proxy", "rucio",
}  # fmt: skip


def resources(**keys: Any) -> Resources:
    step = {"environment": "a:1", "commands": ["true"], **keys}
    data = {"workflow": {"type": "serial", "specification": {"steps": [step]}}}
    return load_data(data).specification.steps[0].resources


def test_every_step_key_asks_for_something_or_is_known_not_to() -> None:
    assert {key for _, key, _ in _KEYS} == set(StepModel.model_fields) - WITHOUT_RESOURCES


def test_own_keys_are_those_reana_does_not_have() -> None:
    prefixes = ("kubernetes_", "htcondor_", "c4p_", "unpacked_", "slurm_partition", "slurm_time")
    others = {
        "name",
        "environment",
        "commands",
        "compute_backend",
        "kerberos",
        "voms_proxy",
        "rucio",
    }
    ours = {key for key in StepModel.model_fields if not key.startswith(prefixes)} - others
    assert ours == set(OWN_STEP_KEYS)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, Resources()),
        ({"cpus": 4, "memory": "2GiB", "disk": "1GiB", "walltime": "1h", "gpus": 1},
         Resources(cpus=4, memory_mib=2048, disk_mib=1024, walltime_s=3600, gpus=1)),
        ({"kubernetes_memory_limit": "2Gi", "kubernetes_memory_request": "1Gi"},
         Resources(memory_mib=2048)),
        ({"kubernetes_cpu_request": "4", "kubernetes_cpu_limit": "500m"}, Resources(cpus=1)),
        ({"kubernetes_memory_request": "1Gi", "kubernetes_job_timeout": 60},
         Resources(memory_mib=1024, walltime_s=60)),
        ({"htcondor_request_cpus": "2", "htcondor_request_memory": "4 GB",
          "htcondor_request_disk": "1048576", "htcondor_max_runtime": "espresso",
          "htcondor_requirements": "HasGPU && x", "htcondor_accounting_group": "group_u.me"},
         Resources(cpus=2, memory_mib=4096, disk_mib=1024, walltime_s=1200,
                   requirements="HasGPU && x", accounting_group="group_u.me")),
        ({"slurm_partition": "short", "slurm_time": "5", "slurm_account": "a", "slurm_qos": "q",
          "slurm_constraint": "[a&b]*2"},
         Resources(partition="short", walltime_s=300, account="a", qos="q", constraint="[a&b]*2")),
        ({"c4p_cpu_cores": "8", "c4p_memory_limit": "20000", "c4p_additional_requirements": "x"},
         Resources(cpus=8, memory_mib=20000, requirements="x")),
        ({"kubernetes_memory_limit": "8Gi", "memory": "1GiB", "htcondor_request_memory": "4 GB"},
         Resources(memory_mib=1024)),
        ({"gpus": 0}, Resources(gpus=0)),
    ],
)  # fmt: skip
def test_keys(keys: dict[str, Any], expected: Resources) -> None:
    assert resources(**keys) == expected


@pytest.mark.parametrize(
    ("backend", "walltime_s"),
    [("slurmcern", 60), ("htcondorcern", 120), ("kubernetes", 180), (None, 180), ("farm", 180)],
)
def test_keys_of_the_backend_win(backend: str | None, walltime_s: int) -> None:
    amounts = {"slurm_time": 60, "htcondor_max_runtime": 120, "kubernetes_job_timeout": 180}
    assert step_resources(amounts, backend).walltime_s == walltime_s


def test_keys_of_another_backend_fill_gaps() -> None:
    assert resources(compute_backend="slurmcern", htcondor_max_runtime="60").walltime_s == 60
