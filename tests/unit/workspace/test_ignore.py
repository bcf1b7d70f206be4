import warnings

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.workspace.ignore import is_ignored, read_rules


@pytest.mark.parametrize(
    ("lines", "name", "ignored"),
    [
        (["*.log"], "a.log", True),
        (["*.log"], "deep/er/a.log", True),
        (["*.log"], "a.log.txt", False),
        (["/a.log"], "deep/a.log", False),
        (["data/"], "data/x", True),
        (["data/"], "deep/data/x", True),
        (["data/"], "data", False),
        (["data"], "data/x/y", True),
        (["deep/data"], "very/deep/data", False),
        (["a/**/z"], "a/z", True),
        (["a/**/z"], "a/b/c/z", True),
        (["**/z"], "z", True),
        (["a/**"], "a/x/y", True),
        (["a/**"], "a", False),
        (["*.root", "!keep.root"], "keep.root", False),
        (["!keep.root", "*.root"], "keep.root", True),
        (["data/", "!data/keep"], "data/keep", False),
        (["# note", "", "   "], "# note", False),
        (["\\#x"], "#x", True),
        (["\\!x"], "!x", True),
        (["a\\ "], "a ", True),
        (["a   "], "a", True),
        (["x?z"], "x/z", False),
        (["[ab].c"], "b.c", True),
        (["[!ab].c"], "b.c", False),
        (["*"], ".hidden", True),
        (["/"], "x", False),
        (["a[.txt"], "a[.txt", True),
    ],
)
def test_lines_mean_what_gitignore_says(lines: list[str], name: str, ignored: bool) -> None:
    assert is_ignored(name, read_rules(lines)) is ignored


WORDS = st.text(st.sampled_from("ab.*?!/#\\ []-^"), min_size=1, max_size=8)
NAMES = st.lists(
    st.text(st.sampled_from("ab.!# -"), min_size=1, max_size=3), min_size=1, max_size=4
)


PARTS = st.sampled_from(["**", "*", "a", "b", "*.a", "a*", "?", "a?b", ".a", "[ab]", "[!a]b", "ab"])
LINES = st.builds(
    lambda mark, lead, parts, tail: mark + lead + "/".join(parts) + tail,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(PARTS, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)


@settings(max_examples=400, deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=3), parts=NAMES)
def test_the_answer_is_that_of_the_clients_library(lines: list[str], parts: list[str]) -> None:
    pathspec = pytest.importorskip("pathspec")
    name = "/".join(part for part in parts if part not in (".", ".."))
    assume(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = pathspec.PathSpec.from_lines("gitwildmatch", lines)
    assert is_ignored(name, read_rules(lines)) == oracle.match_file(name)


@given(line=WORDS, parts=NAMES)
def test_no_line_breaks_the_reader(line: str, parts: list[str]) -> None:
    assert is_ignored("/".join(parts), read_rules([line])) in (True, False)
