"""Amounts of four worlds to cores, MiB and seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.spec import quantities as q

Read = Callable[[Any], int]

GOOD: list[tuple[Read, Any, int]] = [
    (q.count, 3, 3), (q.count, "3", 3), (q.count_or_none, 0, 0),
    (q.size, "2 GiB", 2048), (q.size, "1GB", 954), (q.size, "1 B", 1),
    (q.duration, 90, 90), (q.duration, "1h30m", 5400), (q.duration, "1-00:00:01", 86401),
    (q.kubernetes_memory, "8Gi", 8192), (q.kubernetes_memory, "1.5Gi", 1536),
    (q.kubernetes_memory, "8G", 7630), (q.kubernetes_memory, "512Mi", 512),
    (q.kubernetes_memory, 1048577, 2), (q.kubernetes_memory, "100K", 1),
    (q.kubernetes_cpus, "500m", 1), (q.kubernetes_cpus, "1500m", 2), (q.kubernetes_cpus, 0.5, 1),
    (q.kubernetes_cpus, "2", 2), (q.kubernetes_cpus, 2, 2), (q.kubernetes_cpus, "2000m", 2),
    (q.condor_runtime, "60", 60), (q.condor_runtime, 60, 60), (q.condor_runtime, "espresso", 1200),
    (q.condor_runtime, "nextweek", 604800),
    (q.condor_memory, "2000", 2000), (q.condor_memory, "4 GB", 4096), (q.condor_memory, "4g", 4096),
    (q.condor_memory, "1.5GB", 1536), (q.condor_memory, "1024K", 1), (q.condor_memory, "1024 B", 1),
    (q.condor_disk, "2048", 2), (q.condor_disk, "2049", 3), (q.condor_disk, "1 TB", 1024**2),
    (q.slurm_time, "5", 300), (q.slurm_time, 5, 300), (q.slurm_time, "1:30", 90),
    (q.slurm_time, "1:30:00", 5400),
    (q.slurm_time, "1-12", 129600), (q.slurm_time, "1-12:30", 131400),
    (q.slurm_time, "0-00:00:01", 1),
]  # fmt: skip

BAD: list[tuple[Read, Any]] = [
    (q.count, 0), (q.count, -1), (q.count, 1.5), (q.count, "two"), (q.count, True), (q.count, None),
    (q.count, "1" * 200), (q.count, "²"), (q.count, "٣"), (q.count_or_none, -1),
    (q.size, 2000), (q.size, "2000"), (q.size, "0 GiB"), (q.size, "9" * 90 + "T"), (q.size, [1]),
    (q.size, "9" * 400 + "GB"), (q.duration, "9" * 400 + "h"), (q.duration, "٣h"),
    (q.duration, 0), (q.duration, "-1h"), (q.duration, "9" * 90),
    (q.kubernetes_memory, "8GB"), (q.kubernetes_memory, "8gi"), (q.kubernetes_memory, "2KI"),
    (q.kubernetes_memory, "10i"), (q.kubernetes_memory, "0"), (q.kubernetes_memory, "9" * 99),
    (q.kubernetes_cpus, "half"), (q.kubernetes_cpus, "0"), (q.kubernetes_cpus, "0m"),
    (q.kubernetes_cpus, "9" * 99), (q.kubernetes_cpus, "-1"),
    (q.condor_runtime, "expresso"), (q.condor_runtime, "0"), (q.condor_runtime, "1h"),
    (q.condor_memory, "4 PB"),
    (q.condor_memory, "much"), (q.condor_memory, ""), (q.condor_disk, "-1"),
    (q.slurm_time, "UNLIMITED"),
    (q.slurm_time, "0"), (q.slurm_time, "1:2:3:4"), (q.slurm_time, "1-"),
    (q.slurm_time, "1-2:3:4:5"), (q.slurm_time, ""), (q.slurm_time, {}),
]  # fmt: skip


@pytest.mark.parametrize(("read", "value", "amount"), GOOD)
def test_amount(read: Read, value: Any, amount: int) -> None:
    assert read(value) == amount


@pytest.mark.parametrize(("read", "value"), BAD)
def test_no_amount(read: Read, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^[^_]+$") as caught:
        read(value)
    assert "literal" not in str(caught.value)


@given(
    st.sampled_from(sorted({read for read, *_ in GOOD}, key=lambda read: read.__name__)),
    st.text(alphabet="0123456789.-: kKMGTPEimBhdsx²", max_size=120) | st.floats() | st.integers(),
)
def test_any_value_is_a_positive_amount_or_refused(read: Read, value: Any) -> None:
    try:
        amount = read(value)
    except ValueError:
        return
    assert isinstance(amount, int)
    assert 0 <= amount <= 2**53


@given(st.integers(1, 10**6), st.sampled_from(["Ki", "Mi", "Gi", "K", "M", "G", ""]))
def test_memory_is_never_rounded_below_what_was_asked(number: int, unit: str) -> None:
    base = 1024 if unit.endswith("i") else 1000
    asked = number * base ** " KMG".index(unit[:1] or " ")
    got = q.kubernetes_memory(f"{number}{unit}") * 1024**2
    assert asked <= got < asked + 1024**2
