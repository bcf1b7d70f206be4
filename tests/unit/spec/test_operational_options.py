"""FROM and TARGET."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.errors import SpecError
from gateway.spec.options import option_problems, selected_steps, step_problems
from gateway.spec.specification import Step

STEPS = tuple(
    Step(index, name, "a:1", ("true",))
    for index, name in enumerate(["gen", "Fit", "3", "twice", "twice"])
)


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"CACHE": "off"}, [0, 1, 2, 3, 4]),
        ({"FROM": "fit"}, [1, 2, 3, 4]),
        ({"TARGET": "FIT"}, [0, 1]),
        ({"FROM": "fit", "TARGET": 3}, [1, 2]),
        ({"FROM": "gen", "TARGET": "gen"}, [0]),
    ],
)
def test_selection(options: Mapping[str, Any], chosen: list[int]) -> None:
    assert [step.index for step in selected_steps(STEPS, options)] == chosen


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"FROM": "fitt"}, ["option FROM: there is no step 'fitt'; did you mean 'Fit'?"]),
        ({"FROM": "x", "TARGET": "4"},
         ["option FROM: there is no step 'x'; steps: gen, Fit, 3, twice, twice",
          "option TARGET: there is no step '4'; steps: gen, Fit, 3, twice, twice"]),
        ({"TARGET": "twice"},
         ["option TARGET: 2 steps are called 'twice'; give them different names"]),
        ({"FROM": "3", "TARGET": "fit"}, ["option FROM: step '3' comes after TARGET, step 'Fit'"]),
        ({"FROM": "Fit",
         "TARGET": "gen"}, ["option FROM: step 'Fit' comes after TARGET, step 'gen'"]),
    ],
)  # fmt: skip
def test_selections_that_cannot_be(options: Mapping[str, Any], problems: list[str]) -> None:
    assert list(step_problems(STEPS, options)) == problems
    with pytest.raises(SpecError) as caught:
        selected_steps(STEPS, options)
    assert list(caught.value.problems) == problems


@pytest.mark.parametrize(
    ("language", "name", "problem"),
    [
        ("serial", "report", "is for snakemake workflows, not for serial ones"),
        ("snakemake", "TARGET", "is for serial and cwl workflows, not for snakemake ones"),
        ("serial", "FORM", "is not an option; did you mean 'FROM'?"),
        ("serial", "xyz", "is not an option; serial workflows know CACHE, FROM, TARGET"),
    ],
)
def test_options_of_other_languages(language: str, name: str, problem: str) -> None:
    assert option_problems(language, {name: "x"}) == ((name, problem),)
