"""Filling in parameters: exactly ``string.Template``, with better errors."""

from __future__ import annotations

from string import Template

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import SpecError
from gateway.spec.substitution import flaws, names, substitute

PARAMETERS = {"events": 100, "out": "a b", "flag": True, "none": None, "seeds": [1, "x"]}


@pytest.mark.parametrize(
    ("command", "filled"),
    [
        ("run $events ${events}0 $out", "run 100 1000 a b"),
        ("$flag $none $seeds", "True None [1, 'x']"),
        ("echo $$HOME $$$events $$$$", "echo $HOME $100 $$"),
        ("no parameters", "no parameters"),
    ],
)
def test_filled_in_as_python_does(command: str, filled: str) -> None:
    assert substitute(command, PARAMETERS) == filled


def test_values_are_not_filled_in_again() -> None:
    assert substitute("$a", {"a": "$b", "b": "x"}) == "$b"


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("$evnts", ["$evnts is not an input parameter; did you mean 'events'?"]),
        ("$HOME", ["$HOME is not an input parameter; for a variable of the shell write $$HOME"]),
        ("${HOME}",
         ["${HOME} is not an input parameter; for a variable of the shell write $${HOME}"]),
        ("$(date)", ["$( is not a parameter; for a command substitution of the shell write $$("]),
        ("awk '{print $1}'", ["$1 is not a parameter; for a variable of the shell write $$1"]),
        ("echo $?", ["$? is not a parameter; for a variable of the shell write $$?"]),
        ("${x:-1}", ["${x:-1} is not a parameter; for a variable of the shell write $${x:-1}"]),
        ("${x", ["${x is not a parameter; for a variable of the shell write $${x"]),
        ("5 $", ["a single $ begins a parameter; for the character itself write $$"]),
        ('"$"', ["a single $ begins a parameter; for the character itself write $$"]),
        ("$a $a $1", ["$a is not an input parameter; for a variable of the shell write $$a",
                      "$1 is not a parameter; for a variable of the shell write $$1"]),
        ("true\n  $zz\n", ["its line 2: $zz is not an input parameter; for a variable of the shell "
                           "write $$zz"]),
        ("$zz\n", ["$zz is not an input parameter; for a variable of the shell write $$zz"]),
    ],
)  # fmt: skip
def test_flaws_say_what_to_write(command: str, found: list[str]) -> None:
    assert list(flaws(command, PARAMETERS)) == found
    with pytest.raises(SpecError) as caught:
        substitute(command, PARAMETERS)
    assert list(caught.value.problems) == found


def test_advice_of_every_flaw_works() -> None:
    command = "$$HOME $$(date) $$1 $$? $${x:-1} $$"
    assert substitute(command, {}) == "$HOME $(date) $1 $? ${x:-1} $"


def test_names() -> None:
    assert names("$a ${b} $$c $(d) $A") == {"a", "b", "A"}


commands = st.lists(
    st.sampled_from(["$", "${", "}", "$$", "a", "ab", "_", "1", " ", "(", "é", "\n", "A"])
    | st.characters(),
    max_size=12,
).map("".join)
parameters = st.dictionaries(
    st.sampled_from(["a", "ab", "aa", "_", "A", "a1"]),
    st.text(max_size=3) | st.integers() | st.none(),
)


@given(commands, parameters)
@example("${a}$$${ab}", {"a": "$", "ab": 1})
def test_equals_string_template_where_that_succeeds(
    command: str, values: dict[str, object]
) -> None:
    try:
        expected = Template(command).substitute(values)
    except (KeyError, ValueError):
        with pytest.raises(SpecError):
            substitute(command, values)
    else:
        assert substitute(command, values) == expected
