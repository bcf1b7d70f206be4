"""A YAML file to a document."""

from __future__ import annotations

from pathlib import Path

from gateway.documents.document import Document
from gateway.documents.yaml_text import MAX_BYTES, parse_yaml, unreadable


def read_document(path: Path, name: str = "", *, if_absent: str = "") -> Document:
    """Read a YAML file; messages call it ``name``, or as ``path`` was given.

    Parameters
    ----------
    if_absent
        What to do where there is no such file.

    Raises
    ------
    SpecError
        If the file cannot be read, is too large, is not UTF-8 or not YAML.
    """
    name = name or str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise unreadable(name, f"{name}: {error.strerror}", if_absent) from error
    except OSError as error:
        raise unreadable(name, f"{name}: {error.strerror or error}") from error
    except ValueError as error:
        raise unreadable(name, f"{name!r}: is not a file name") from error
    if len(content) > MAX_BYTES:
        raise unreadable(name, f"{name}: is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise unreadable(name, f"{name}:{line}:1: line {line} is not UTF-8 text") from error
    return parse_yaml(text, name)
