import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.quoting import shell_command, shell_name, shell_word

NO_NUL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
HOSTILE = st.one_of(
    NO_NUL,
    st.text(st.sampled_from("'\"\\$`!*?[]{}()<>|&;~#=% \t\n\r\x01\x7f-"), max_size=20),
    st.sampled_from(["", "-n", "$(id)", "`id`", "';id;'", "a'b\"c", "\\", "~root", "@M@", "é\x80"]),
)
SHELLS = [shell for shell in ("bash", "dash") if shutil.which(shell)]


def heard(shell: str, text: str) -> list[str]:
    """What words a shell makes of a text."""
    script = f"printf '%s\\0' x {text}"
    done = subprocess.run(
        [shell, "-c", script], capture_output=True, check=True, env={"V": "v v'\"$V", "LC_ALL": "C"}
    )
    return done.stdout.decode().split("\0")[1:-1]


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=60, deadline=None)
@given(words=st.lists(HOSTILE, max_size=4))
def test_a_shell_hears_exactly_the_words(shell: str, words: list[str]) -> None:
    assert heard(shell, shell_command(words)) == words


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(HOSTILE, min_size=1, max_size=4))
def test_only_markers_become_variables(shell: str, pieces: list[str]) -> None:
    text = "@M@".join(pieces)
    assert heard(shell, shell_word(text, {"@M@": "V"})) == [text.replace("@M@", "v v'\"$V")]


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        shell_word("a\0b")


@pytest.mark.parametrize("name", ["A", "_x9", "lower"])
def test_names_of_variables_pass(name: str) -> None:
    assert shell_name(name) == name


@pytest.mark.parametrize("name", ["", "9a", "a-b", "a b", "a=b", "$(id)", "ä", "A\n", "a;id"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="environment variable"):
        shell_name(name)
