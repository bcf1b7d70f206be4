"""Free text in a specification that ends up in a scheduler's or a container's command line."""

from __future__ import annotations

import re


def scheduler_word(text: str) -> str:
    """Return a partition, account, group or constraint unchanged.

    Raises
    ------
    ValueError
        If a scheduler could read it as an option or as several words.
    """
    if not re.fullmatch(r"[^\s\-][^\s]*", text) or not text.isprintable():
        raise ValueError(f"{text!r} is not one word without blanks, not beginning with '-'")
    return text


def expression(text: str) -> str:
    """Return a ClassAd expression unchanged.

    Raises
    ------
    ValueError
        If it is empty or would end its line of a submit description.
    """
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line of text")
    return text


def image(text: str) -> str:
    """Return an image reference unchanged.

    Raises
    ------
    ValueError
        If it cannot be one.
    """
    if not text.strip():
        raise ValueError("names no image")
    if not re.fullmatch(r"[^\s\-][^\s]*", text) or not text.isprintable():
        raise ValueError(f"{text!r} is not an image name; blanks and a leading '-' are not allowed")
    return text


def command(text: str) -> str:
    """Return shell text unchanged.

    Raises
    ------
    ValueError
        If it is blank: a job that does nothing is a mistake.
    """
    if not text.strip():
        raise ValueError("the command is empty")
    return text


def repository(text: str) -> str:
    """Return the name of a CVMFS repository (pattern of REANA's schema) unchanged.

    Raises
    ------
    ValueError
        If it cannot be one.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.\-_]{0,59}", text):
        raise ValueError(f"{text!r} is not the name of a CVMFS repository, such as atlas.cern.ch")
    return text


def pattern(text: str) -> str:
    """Return a retention pattern unchanged.

    Raises
    ------
    ValueError
        If it could match outside the workspace.
    """
    if not text or text.startswith("/") or ".." in text.split("/"):
        raise ValueError(f"{text!r} must be a pattern of paths relative to the workspace")
    return text
