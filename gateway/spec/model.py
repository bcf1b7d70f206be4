"""What reana.yaml may say. Every field's description is its reference documentation.

REANA's keys, those of 0.95 included, and the gateway's own step keys (``OWN_STEP_KEYS``). Unknown
keys are errors: REANA's client only warns, and a misspelt resource then does nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from gateway.spec import paths, quantities, words

OWN_STEP_KEYS = (
    "cpus", "memory", "disk", "walltime", "gpus", "retries",
    "slurm_account", "slurm_qos", "slurm_constraint",
)  # fmt: skip
"""Step keys that REANA does not have; its client warns about them and sends them."""


def _refused(why: str) -> AfterValidator:
    def refuse(value: Any) -> Any:
        if value:
            raise ValueError(why)
        return value

    return AfterValidator(refuse)


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_Cores = Annotated[int | None, BeforeValidator(quantities.count)]
_Count = Annotated[int | None, BeforeValidator(quantities.count_or_none)]
_Size = Annotated[int | None, BeforeValidator(quantities.size)]
_Span = Annotated[int | None, BeforeValidator(quantities.duration)]
_Seconds = Annotated[int | None, BeforeValidator(quantities.count)]
_K8sCpu = Annotated[int | None, BeforeValidator(quantities.kubernetes_cpus)]
_K8sSize = Annotated[int | None, BeforeValidator(quantities.kubernetes_memory)]
_CondorSpan = Annotated[int | None, BeforeValidator(quantities.condor_runtime)]
_CondorSize = Annotated[int | None, BeforeValidator(quantities.condor_memory)]
_CondorDisk = Annotated[int | None, BeforeValidator(quantities.condor_disk)]
_SlurmSpan = Annotated[int | None, BeforeValidator(quantities.slurm_time)]
_Word = Annotated[str, AfterValidator(words.scheduler_word)]
_Expression = Annotated[str, AfterValidator(words.expression)]
_File = Annotated[str, AfterValidator(paths.file_path)]
_Directory = Annotated[str, AfterValidator(paths.directory_path)]
_Files = Annotated[tuple[_File, ...], AfterValidator(paths.without_duplicates)]
_Directories = Annotated[tuple[_Directory, ...], AfterValidator(paths.without_duplicates)]

_OWN_ACCOUNT = (
    "not supported yet; jobs run under your own account, so remove this if its credentials are "
    "enough"
)
_Credential = Annotated[StrictBool, _refused(_OWN_ACCOUNT)]
_Dask = Annotated[Any, _refused("not supported yet; no Dask cluster can be started for a workflow")]


class SpecModel(BaseModel):
    """Base of every part: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StepModel(SpecModel):
    """A step of a serial workflow."""

    name: str | None = Field(None, min_length=1, description="Name; default: its number, from 1.")
    environment: Annotated[str, AfterValidator(words.image)] = Field(
        description="Container image: a registry's name, a SIF file or an unpacked directory."
    )
    commands: tuple[Annotated[str, AfterValidator(words.command)], ...] = Field(
        min_length=1, description="Shell commands; each runs as a job of its own, one by one."
    )
    compute_backend: _Word | None = Field(
        None, description="Where to run: a name that the site maps to a cluster, or a cluster."
    )

    cpus: _Cores = Field(None, description="Cores on one node.")
    memory: _Size = Field(None, description="Memory of the job, with its unit: `2 GiB`.")
    disk: _Size = Field(None, description="Scratch disk of the job, with its unit: `10 GiB`.")
    walltime: _Span = Field(None, description="Longest run time: seconds, `90m`, `2h`, `01:30:00`.")
    gpus: _Count = Field(None, description="Graphics processors on one node.")
    retries: _Count = Field(
        None, description="How often the job is tried again after the command itself failed."
    )

    kubernetes_cpu_request: _K8sCpu = Field(None, description="Cores: `500m`, `2`; rounded up.")
    kubernetes_cpu_limit: _K8sCpu = Field(None, description="The same; wins over the request.")
    kubernetes_memory_request: _K8sSize = Field(None, description="Memory: bytes, `512Mi`, `8G`.")
    kubernetes_memory_limit: _K8sSize = Field(None, description="The same; wins over the request.")
    kubernetes_job_timeout: _Seconds = Field(None, description="Longest run time in seconds.")
    kubernetes_uid: StrictInt | None = Field(
        None, ge=0, description="Accepted with a warning: jobs run under your own user id."
    )
    unpacked_img: StrictBool = Field(
        False, description="Accepted: unpacked images are looked for first in any case."
    )
    unpacked_image: StrictBool = Field(False, description="Older name of `unpacked_img`.")
    kerberos: _Credential = Field(False, description="Only `false` is supported.")
    voms_proxy: _Credential = Field(False, description="Only `false` is supported.")
    rucio: _Credential = Field(False, description="Only `false` is supported.")

    htcondor_max_runtime: _CondorSpan = Field(
        None, description="Longest run time: seconds or a flavour, `espresso` to `nextweek`."
    )
    htcondor_accounting_group: _Word | None = Field(None, description="HTCondor's group.")
    htcondor_request_cpus: _Cores = Field(None, description="Cores.")
    htcondor_request_memory: _CondorSize = Field(None, description="Memory: `2000` (MB), `4 GB`.")
    htcondor_request_disk: _CondorDisk = Field(None, description="Disk: `2000000` (KB), `4 GB`.")
    htcondor_requirements: _Expression | None = Field(None, description="A ClassAd expression.")

    slurm_partition: _Word | None = Field(None, description="Slurm's partition.")
    slurm_time: _SlurmSpan = Field(
        None, description="Longest run time: minutes, or a clock as of `sbatch --time`."
    )
    slurm_account: _Word | None = Field(None, description="Slurm's account.")
    slurm_qos: _Word | None = Field(None, description="Slurm's quality of service.")
    slurm_constraint: _Word | None = Field(None, description="Features of nodes, Slurm's syntax.")

    c4p_cpu_cores: _Cores = Field(None, description="Cores.")
    c4p_memory_limit: _CondorSize = Field(None, description="Memory: `2000` (MB), `4 GB`.")
    c4p_additional_requirements: _Expression | None = Field(
        None, description="A ClassAd expression."
    )


class StepsModel(SpecModel):
    """A serial workflow."""

    steps: tuple[StepModel, ...] = Field(min_length=1, description="Steps, run one after another.")


class ResourcesModel(SpecModel):
    """What all jobs of a workflow need."""

    cvmfs: Annotated[
        tuple[Annotated[str, AfterValidator(words.repository)], ...],
        AfterValidator(paths.without_duplicates),
    ] = Field((), description="CVMFS repositories.")
    kerberos: _Credential = Field(False, description="Only `false` is supported.")
    voms_proxy: _Credential = Field(False, description="Only `false` is supported.")
    rucio: _Credential = Field(False, description="Only `false` is supported.")
    dask: _Dask = Field(None, description="Not supported.")


class ParametersFileModel(SpecModel):
    """Where parameters of a workflow of another language stand."""

    file: _File = Field(description="A file of parameters.")


class WorkflowModel(SpecModel):
    """The workflow itself."""

    type: Literal["serial", "yadage", "cwl", "snakemake"] = Field(description="The language.")
    file: _File | None = Field(None, description="The workflow, in a file of its own.")
    specification: Any = Field(None, description="The workflow, here; of a serial one: `steps`.")
    resources: ResourcesModel = Field(ResourcesModel(), description="What all jobs need.")
    files: _Files = Field((), description="More files that make up the workflow.")
    directories: _Directories = Field((), description="More directories that make it up.")
    parameters: ParametersFileModel | None = Field(None, description="Its file of parameters.")


class InputsModel(SpecModel):
    """What the workflow starts from."""

    files: _Files = Field((), description="Files, relative to the directory of reana.yaml.")
    directories: _Directories = Field((), description="Directories, with all they contain.")
    parameters: dict[str, Any] = Field({}, description="Values for `$name` in commands.")
    options: dict[str, Any] = Field({}, description="Options of the engine, by name: see below.")

    @model_validator(mode="after")
    def _listed_once(self) -> InputsModel:
        paths.without_duplicates(self.files + self.directories)
        return self


class OutputsModel(SpecModel):
    """What the workflow leaves behind."""

    files: _Files = Field((), description="Files to download and to keep.")
    directories: _Directories = Field((), description="Directories to download and to keep.")


class TestsModel(SpecModel):
    """Tests of the workflow; kept, and read by REANA's `test` command."""

    files: _Files = Field((), description="Gherkin features.")


class WorkspaceModel(SpecModel):
    """The directory in which the workflow runs."""

    root_path: str | None = Field(
        None, min_length=1, description="Refused: the site decides where workspaces lie."
    )
    retention_days: dict[
        Annotated[str, AfterValidator(words.pattern)], Annotated[StrictInt, Field(ge=0)]
    ] = Field({}, description="Days until files go after the run, by pattern of their names.")


class SpecificationModel(SpecModel):
    """The whole of reana.yaml."""

    version: Annotated[str, BeforeValidator(_as_text)] = Field(
        "", description="REANA's version for which it was written; not looked at."
    )
    inputs: InputsModel = Field(InputsModel(), description="What the workflow starts from.")
    workflow: WorkflowModel = Field(description="The workflow itself.")
    outputs: OutputsModel = Field(OutputsModel(), description="What it leaves behind.")
    tests: TestsModel = Field(TestsModel(), description="Its tests.")
    workspace: WorkspaceModel = Field(WorkspaceModel(), description="Where it runs.")


class SerialWorkflowModel(WorkflowModel):
    """A workflow whose steps stand in the document."""

    specification: StepsModel = Field(description="The steps.")


class SerialSpecificationModel(SpecificationModel):
    """The whole of a reana.yaml for a serial workflow."""

    workflow: SerialWorkflowModel = Field(description="The workflow itself.")
