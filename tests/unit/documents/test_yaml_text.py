"""YAML text: data, positions, and one readable line for everything that is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.documents.document import Document, Position
from gateway.documents.reading import read_document
from gateway.documents.yaml_text import MAX_BYTES, parse_yaml
from gateway.errors import ExitCode, SpecError


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "f.yaml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\n\tb: 2\n", "f.yaml:2:1: line 2 is indented with a tab; YAML wants spaces"),
        ("a:\n\t- 1\n", "f.yaml:2:1: line 2 is indented with a tab; YAML wants spaces"),
        ("a:\n  - 1\n\t- 2\n", "f.yaml:3:1: line 3 is indented with a tab; YAML wants spaces"),
        (
            "a: b: c\n",
            "f.yaml:1:5: a ':' is not allowed here; put the value in quotes if it contains ': ', "
            "and check the indentation",
        ),
        ("a: 1\nb\nc: 2\n", "f.yaml:3:1: a ':' is missing after the key"),
        ('a: "x\n', "f.yaml:2:1: a quoted text is not closed (it begins in line 1)"),
        (
            "a: [1, 2\nb: 3\n",
            "f.yaml:2:2: a ']' or ',' is missing (it begins in line 1); put the value in quotes "
            "if it is text",
        ),
        ("- *.txt\n", "f.yaml:1:4: '*' begins an alias in YAML; put the value in quotes"),
        (
            "a: *x\n",
            "f.yaml:1:4: the alias *x is not defined above; put the value in quotes if it is text",
        ),
        ("a: @x\n", "f.yaml:1:4: a value may not begin with '@'; put it in quotes"),
        (
            "a: !foo x\n",
            "f.yaml:1:4: the tag '!foo' is not understood; put the value in quotes if it begins "
            "with '!'",
        ),
        (
            "a: !!python/object/apply:os.system [x]\n",
            "f.yaml:1:4: the tag '!!python/object/apply:os.system' is not understood; put the "
            "value in quotes if it begins with '!'",
        ),
        ("a: 1\nb: 2\na: 1\n", "f.yaml:3:1: the key 'a' is there twice, also in line 1"),
        (
            "a: 1\n---\nb: 1\n",
            "f.yaml:2:1: a second document begins here ('---'); only one is allowed",
        ),
        ("a: &x [*x]\n", "f.yaml:1:4: contains itself through an alias"),
        ("a: &x {<<: *x}\n", "f.yaml:1:4: contains itself through an alias"),
        ("<<: 3\n", "f.yaml:1:5: '<<' takes an alias of a mapping"),
        ("a: 1\nb: x\0\n", "f.yaml:2:5: the character U+0000 is not allowed in YAML"),
        (
            "a: .nan\n",
            "f.yaml:1:4: the number .nan is not finite; put it in quotes if text is meant",
        ),
        ("a: !!int abc\n", "f.yaml:1:4: 'abc' is not a valid int"),
        (f"a: {'9' * 5000}\n", f"f.yaml:1:4: '{'9' * 40}' is not a valid int"),
        ("? [1]\n: 2\n", "f.yaml:1:3: a key must be text, not a list or a mapping"),
        ("a: | x\n", "f.yaml:1:6: after '|' or '>' the text begins in a new line, indented"),
        ("a: &x 1\nb: &x 2\n", "f.yaml:2:4: the anchor is defined twice"),
        ("[" * 100, "f.yaml:1:61: lists and mappings are nested more than 60 deep"),
        ("x" * (MAX_BYTES + 1), "f.yaml: is larger than 1024 KiB"),
    ],
)
def test_wrong_yaml_gives_one_readable_line(text: str, problem: str) -> None:
    assert problems_of(text) == (problem,)


def test_largest_text_is_read() -> None:
    assert parse_yaml("#" * MAX_BYTES, "f.yaml").data is None


def test_alias_bomb_is_refused_quickly() -> None:
    levels = [
        f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]"
        for below, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "\n".join(levels)
    (problem,) = problems_of(bomb)
    assert "more than 100000 values" in problem


def test_message_cannot_move_the_cursor_of_a_terminal() -> None:
    (problem,) = problems_of('"a\\e[31m": 1\n"a\\e[31m": 2\n')
    assert problem == "f.yaml:2:1: the key 'a\\x1b[31m' is there twice, also in line 1"


def test_message_cannot_fill_the_screen() -> None:
    (problem,) = problems_of(f"a: {'!' * 100_000}\n")
    assert len(problem) < 2100


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", None),
        ("# only a remark\n", None),
        ("a: yes\nb: no\nc: null\nd:\n", {"a": True, "b": False, "c": None, "d": None}),
        ("a: 2024-01-01\nb: 0x10\nc: 1e3\nd: 1.5\n", {"a": "2024-01-01",
         "b": 16, "c": "1e3", "d": 1.5}),
        ("1: a\non: b\n", {"1": "a", "on": "b"}),
        ("x: &x {p: 1, q: 2}\ny: {<<: *x, q: 3}\n", {"x": {"p": 1, "q": 2}, "y": {"p": 1, "q": 3}}),
        ("x: &x {p: 1}\ny: &y {p: 2, q: 2}\nz: {<<: [*x, *y]}\n",
         {"x": {"p": 1}, "y": {"p": 2, "q": 2}, "z": {"p": 1, "q": 2}}),
        ("a: |\n  one\n  \ttwo\n", {"a": "one\n\ttwo\n"}),
    ],
)  # fmt: skip
def test_data(text: str, data: object) -> None:
    assert parse_yaml(text, "f.yaml").data == data


def test_numbers_that_few_people_expect_are_noted() -> None:
    document = parse_yaml("start: 12:30\nrun: 0123\n", "f.yaml")
    assert document.data == {"start": "12:30", "run": 83}
    assert document.notes == (
        "f.yaml:1:8: 12:30 is kept as text; other readers of YAML 1.1 see a number of base 60",
        "f.yaml:2:6: 0123 is an octal number, 83; put it in quotes if text is meant",
    )


def test_positions_of_keys_values_and_absent_things() -> None:
    document = parse_yaml("a:\n  b: [x, y]\n", "f.yaml")
    assert document.prefix(("a", "b", 1)) == "f.yaml:2:10: "
    assert document.prefix(("a", "b"), key=True) == "f.yaml:2:3: "
    assert document.prefix(("a", "absent", "deeper")) == "f.yaml:2:3: "
    assert Document({"a": 1}).prefix(("a",)) == ""


def test_graft_takes_positions_of_the_other_text_along() -> None:
    trunk = parse_yaml("a: {b: 1}\n", "trunk.yaml")
    grafted = trunk.graft(("a", "c"), parse_yaml("d: 2\n", "branch.yaml"))
    assert grafted.data == {"a": {"b": 1, "c": {"d": 2}}}
    assert grafted.values[("a", "c", "d")] == Position("branch.yaml", 1, 4)
    assert trunk.data == {"a": {"b": 1}}


@given(
    st.text(
        alphabet=st.characters(codec="utf-8") | st.sampled_from(":-[]{}&*!|>'\"%@`#\n\t ,?<=0"),
        max_size=60,
    )
)
def test_any_text_is_read_as_json_data_or_refused_as_spec_error(text: str) -> None:
    try:
        document = parse_yaml(text, "f.yaml")
    except SpecError as error:
        refusal = error
    else:
        json.dumps(document.data, allow_nan=False)
        return
    assert refusal.exit_code is ExitCode.USAGE
    (problem,) = refusal.problems
    assert problem.startswith("f.yaml")
    assert problem.isprintable()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_json_is_yaml(data: object) -> None:
    assert parse_yaml(json.dumps(data), "f.yaml").data == data


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: 1\nb: \xff\n", "{name}:2:1: line 2 is not UTF-8 text"),
        (b"#" * (MAX_BYTES + 1), "{name}: is larger than 1024 KiB"),
        (None, "{name}: No such file or directory"),
    ],
)
def test_unreadable_files(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "f.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        read_document(path)
    assert caught.value.problems == (problem.format(name=path),)


def test_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_document(tmp_path)
    assert caught.value.problems == (f"{tmp_path}: Is a directory",)


def test_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(path).data == {"a": 1}
