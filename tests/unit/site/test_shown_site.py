"""A site as ``gateway config show`` prints it is a site file that says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.site.load import load_site
from gateway.site.model import Site

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1)
SIZES = st.integers(1, 10**9).map(lambda n: f"{n} MiB") | st.sampled_from(["1.5 GB", "2TiB", "3k"])
SPANS = st.integers(1, 10**8) | st.sampled_from(["90s", "1h30m", "2d", "1-00:00:00"])


def some(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


REQUESTS = some(cpus=st.integers(1, 9), memory=SIZES, disk=SIZES, walltime=SPANS)
LOCAL = some(memory=SIZES, defaults=REQUESTS, lost_after=SPANS, max_active_tasks=st.integers(1, 9))
SLURM = some(account=WORDS, maximum=REQUESTS, extra_arguments=st.lists(WORDS), held_for=SPANS)
CLUSTERS = st.dictionaries(
    WORDS,
    LOCAL.map(lambda given: {"type": "local", **given})
    | SLURM.map(lambda given: {"type": "slurm", **given}),
    min_size=1,
    max_size=3,
)
SITES = some(
    clusters=CLUSTERS,
    containers=some(runtime=st.just("host"), image_map=st.dictionaries(WORDS, WORDS, max_size=2)),
    retries=st.integers(0, 9),
    database=WORDS,
)


@given(given_site=SITES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_shown_site_is_the_same_site(tmp_path: Path, given_site: dict[str, Any]) -> None:
    site = Site.model_validate(given_site)
    shown = yaml.safe_dump(site.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (tmp_path / "site.yaml").write_text(shown, encoding="utf-8")

    assert load_site(tmp_path / "site.yaml") == site
