"""A specification that has been read and checked: what engines and services work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.vocabulary.resources import Resources


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a serial workflow.

    Parameters
    ----------
    index
        Place in the specification, from 0; part of job keys.
    name
        As the user wrote it, else the step's number counted from 1.
    image
        Image reference, as written.
    commands
        Shell text with parameters not yet filled in; each becomes one job.
    backend
        ``compute_backend`` as written; which cluster serves it is the site's affair.
    retries
        How often an application error may be tried again; ``None`` leaves it to the site.
    cvmfs
        Whether the workflow asked for CVMFS repositories.
    """

    index: int
    name: str
    image: str
    commands: tuple[str, ...]
    backend: str | None = None
    resources: Resources = field(default_factory=Resources)
    retries: int | None = None
    cvmfs: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a workflow starts from; paths are relative and normalised."""

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a workflow leaves; paths are relative and normalised."""

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Specification:
    """A whole workflow.

    Parameters
    ----------
    type
        Language: ``serial``, ``yadage``, ``cwl`` or ``snakemake``.
    raw
        The document as REANA's client posts it: what is stored and given back. JSON types only.
    steps
        Of a serial workflow; empty for the other languages.
    retention_days
        Days after the end of the run until files go, by pattern of their names.
    root_path
        ``workspace.root_path``, if the document has one.
    cvmfs
        CVMFS repositories that every job needs.
    file
        ``workflow.file``, if the document has one.
    """

    type: str
    raw: Mapping[str, Any]
    steps: tuple[Step, ...] = ()
    inputs: Inputs = field(default_factory=Inputs)
    outputs: Outputs = field(default_factory=Outputs)
    tests: tuple[str, ...] = ()
    retention_days: Mapping[str, int] = field(default_factory=dict)
    root_path: str | None = None
    cvmfs: tuple[str, ...] = ()
    file: str | None = None
