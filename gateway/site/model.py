"""What a site file may say. Every field's description is its reference documentation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from gateway.vocabulary.resources import Resources
from gateway.vocabulary.units import parse_mib, parse_seconds


def _mib(value: Any) -> Any:
    if not isinstance(value, str | int):
        return value
    if str(value).strip().isdigit():
        raise ValueError(f"{value} has no unit: write for example {value} MiB")
    return parse_mib(str(value))


def _seconds(value: Any) -> Any:
    return parse_seconds(str(value)) if isinstance(value, str | int) else value


def _path(value: Any) -> Any:
    """Read a path with ``~`` and variables; cron and the shell must find the same one."""
    if not isinstance(value, str):
        return value
    path = Path(os.path.expandvars(value)).expanduser()
    if not path.is_absolute() or "$" in str(path):
        raise ValueError(f"{value!r} is not an absolute path: begin with '/', '~' or a variable")
    return path


def _show_mib(value: int) -> str:
    return f"{value} MiB"


Mib = Annotated[
    int, BeforeValidator(_mib), PlainSerializer(_show_mib, return_type=str, when_used="json")
]
Seconds = Annotated[int, BeforeValidator(_seconds)]
UserPath = Annotated[Path, BeforeValidator(_path)]


class SiteModel(BaseModel):
    """Base of every part of the site file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Request(SiteModel):
    """What a job gets when its step does not say, or the most that it may get."""

    cpus: int | None = Field(None, ge=1, description="Cores on one node.")
    memory: Mib | None = Field(None, ge=1, description="Memory of the job, such as `2 GiB`.")
    disk: Mib | None = Field(None, ge=1, description="Scratch disk of the job, such as `10 GiB`.")
    walltime: Seconds | None = Field(None, ge=1, description="Run time, such as `2h` or `90m`.")
    gpus: int | None = Field(None, ge=0, description="Graphics processors on one node.")

    def resources(self) -> Resources:
        """Return the request in the common resource model."""
        return Resources(
            cpus=self.cpus,
            memory_mib=self.memory,
            disk_mib=self.disk,
            walltime_s=self.walltime,
            gpus=self.gpus,
        )


class Ssh(SiteModel):
    """Another login node, with the same shared filesystem, on which commands are run.

    Needs the extra `ssh`: `pip install '/path/to/this/checkout[ssh]'`.
    """

    host: str = Field(description="Host name, or an alias of `~/.ssh/config`.")
    user: str | None = Field(None, description="Login there; default: as ssh decides.")
    port: int | None = Field(None, ge=1, le=65535, description="Default: as ssh decides.")
    known_hosts: UserPath | None = Field(
        None,
        description="File of host keys; default `~/.ssh/known_hosts`. Unknown hosts are refused.",
    )


class ClusterBase(SiteModel):
    """What every cluster has."""

    defaults: Request = Field(Request(), description="What a job gets when its step does not say.")
    maximum: Request = Field(
        Request(), description="The most that a job, also a retried one, may get."
    )
    ssh: Ssh | None = Field(
        None,
        description="Run the commands of Slurm or HTCondor on another login node; needs the extra "
        "`ssh`.",
    )
    status_interval: Seconds = Field(
        10, ge=1, description="Least time between two bulk status calls, while jobs are young."
    )
    status_interval_max: Seconds = Field(
        60, ge=1, description="Time between two bulk status calls once jobs run for long."
    )
    status_calls_per_minute: int = Field(
        12, ge=1, description="Hard limit of status calls, whatever happens."
    )
    command_timeout: Seconds = Field(60, ge=1, description="Longest wait for a scheduler command.")
    resend_after: Seconds = Field(
        120,
        ge=0,
        description="How long a submission without an answer must be provably absent before it is "
        "sent again. Longer than the scheduler's own message time-out.",
    )
    lost_after: Seconds = Field(
        900, ge=1, description="How long a job must be missing everywhere before it counts as lost."
    )
    held_for: Seconds = Field(
        4 * 3600, ge=0, description="How long a held job may wait for a person before it fails."
    )
    max_tasks_per_submission: int = Field(
        1000, ge=1, description="Most tasks in one array or cluster, below the scheduler's limit."
    )
    max_active_tasks: int | None = Field(
        None, ge=1, description="Most tasks that the gateway keeps in this scheduler at once."
    )


class LocalCluster(ClusterBase):
    """The host itself as a cluster: jobs are process groups that outlive the gateway."""

    type: Literal["local"]
    cpus: int | None = Field(None, ge=1, description="Cores to use; default: all of the host.")
    memory: Mib | None = Field(
        None, ge=1, description="Memory to use; default: 80 % of the host's."
    )
    resend_after: Seconds = Field(
        5, ge=0, description="As above; a local start is visible at once."
    )
    lost_after: Seconds = Field(10, ge=1, description="As above.")

    @model_validator(mode="after")
    def _runs_here(self) -> LocalCluster:
        if self.ssh is not None:
            raise ValueError("ssh is for Slurm and HTCondor; a local cluster is this host")
        return self


class SlurmCluster(ClusterBase):
    """A Slurm cluster, driven by `sbatch`, `squeue`, `sacct`, `scancel`."""

    type: Literal["slurm"]
    partition: str | None = Field(None, description="Default partition.")
    account: str | None = Field(None, description="Default account.")
    qos: str | None = Field(None, description="Default quality of service.")
    accounting: bool | None = Field(
        None, description="Whether `sacct` works; default: found out by asking it."
    )
    extra_arguments: tuple[str, ...] = Field(
        (), description="Words added to every `sbatch` call, such as `--reservation=tutorial`."
    )


class HTCondorCluster(ClusterBase):
    """An HTCondor pool, driven by `condor_submit`, `condor_q`, `condor_history`, `condor_rm`."""

    type: Literal["htcondor"]
    schedd: str | None = Field(None, description="Name of the schedd; default: the pool's choice.")
    pool: str | None = Field(None, description="Central manager; default: as configured.")
    accounting_group: str | None = Field(None, description="Default accounting group.")
    send_credential: bool = Field(False, description="Hand the user's Kerberos ticket to jobs.")
    extra_lines: tuple[str, ...] = Field(
        (),
        description='Lines added to every submit description, such as `+JobFlavour = "espresso"`.',
    )


Cluster = Annotated[LocalCluster | SlurmCluster | HTCondorCluster, Field(discriminator="type")]


class Containers(SiteModel):
    """How images are found and run. `containers: host` is short for `{runtime: host}`."""

    runtime: Literal["apptainer", "host"] = Field(
        "apptainer",
        description="`apptainer` (or singularity, if that is there); `host` runs commands without "
        "any container, with the programs of the host.",
    )
    image_store: UserPath | None = Field(
        None, description="Directory of converted images; default `<shared_root>/images`."
    )
    unpacked: tuple[UserPath, ...] = Field(
        (Path("/cvmfs/unpacked.cern.ch"),),
        description="Directories of unpacked images, `<registry>/<repository>:<tag>` below them.",
    )
    image_map: dict[str, str] = Field(
        {}, description="Image names to be replaced by others or by files, before anything else."
    )
    binds: tuple[str, ...] = Field(
        (), description="More directories of the node in every container, `path` or `path:target`."
    )
    build_cluster: str = Field(
        "local",
        description="Cluster on which images are converted; `local` is this host, also if the file "
        "does not define it.",
    )
    build_timeout: Seconds = Field(1800, ge=10, description="Longest conversion of one image.")
    build_memory: Mib = Field(
        2048,
        ge=256,
        description="Memory that a conversion asks for; less where `maximum.memory` is less.",
    )


class Site(SiteModel):
    """One place: its filesystem, clusters and images."""

    shared_root: UserPath = Field(
        Path("~/.local/share/gateway").expanduser(),
        description="Directory that the login node and all nodes share: workspaces, control files.",
    )
    state_dir: UserPath = Field(
        Path("~/.local/state/gateway").expanduser(),
        description="Directory for the database and locks; best on a local disk.",
    )
    database: str | None = Field(
        None,
        description="SQLAlchemy URL; default: SQLite in `state_dir`. PostgreSQL, with the extra "
        "`postgresql`: `postgresql+psycopg://user@host/name`.",
    )
    containers: Containers = Field(Containers(), description="How images are found and run.")
    clusters: dict[str, Cluster] = Field(
        {"local": LocalCluster(type="local")}, min_length=1, description="Clusters by name."
    )
    default_cluster: str | None = Field(
        None, description="Where jobs go that name none; default: the only or the first cluster."
    )
    backends: dict[str, str] = Field(
        {}, description="REANA's `compute_backend` names, each with the cluster that serves it."
    )

    retries: int = Field(
        0,
        ge=0,
        description="How often a job whose command failed is tried again, unless its step says "
        "`retries`.",
    )
    launch_from_local_network: bool = Field(
        False,
        description="Whether `gateway launch` and `POST /api/launch` may fetch from this machine "
        "and from addresses of the local network.",
    )

    @field_validator("containers", mode="before")
    @classmethod
    def _containers_by_name(cls, value: Any) -> Any:
        return {"runtime": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _names_exist(self) -> Site:
        wanted = {"default_cluster": self.default_cluster} | {
            f"backends.{name}": cluster for name, cluster in self.backends.items()
        }
        if self.containers.build_cluster != "local":
            wanted["containers.build_cluster"] = self.containers.build_cluster
        for where, cluster in wanted.items():
            if cluster is not None and cluster not in self.clusters:
                raise ValueError(f"{where} names the cluster {cluster!r}, which is not defined")
        if any(mark in str(self.shared_root) for mark in ":,\n"):
            raise ValueError(
                "shared_root may not contain ':', ',' or a line break: bind lists need them"
            )
        if any(mark in str(self.state_dir) for mark in "?\n"):
            raise ValueError("state_dir may not contain '?' or a line break")
        return self

    @property
    def workspaces(self) -> Path:
        """Directory of workspaces, one per workflow."""
        return self.shared_root / "workspaces"

    @property
    def control(self) -> Path:
        """Directory of control files, one per submission."""
        return self.shared_root / "control"

    @property
    def secrets(self) -> Path:
        """Directory of the secrets that jobs in the scheduler need, one per attempt."""
        return self.shared_root / "secrets"

    @property
    def images(self) -> Path:
        """Directory of converted images."""
        return self.containers.image_store or self.shared_root / "images"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the state."""
        return self.database or f"sqlite:///{self.state_dir / 'gateway.db'}"

    def cluster_for(self, backend: str | None) -> str | None:
        """Return the cluster for a ``compute_backend``, or ``None`` if no cluster serves it.

        A cluster's own name is always accepted; no backend means the default cluster.
        """
        if backend is None or (backend == "kubernetes" and backend not in self.backends):
            return self.default_cluster or next(iter(self.clusters))
        if backend in self.backends:
            return self.backends[backend]
        return backend if backend in self.clusters else None
