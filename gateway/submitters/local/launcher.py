"""Starting job scripts that outlive us.

One short-lived shell starts all tasks of a submission, each as the leader of its own session.
It ends when every task is at least in ``setsid``: from then on its command line is in the process
table. It is nobody's child that we would have to wait for, so there are no zombies.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from gateway.submitters.base import Submission
from gateway.submitters.control import write_whole
from gateway.submitters.local.process_table import Host
from gateway.submitters.local.task_process import marks
from gateway.transport.base import CommandResult, Failure
from gateway.vocabulary.resources import Resources

# Job control keeps SIGINT and SIGQUIT alive in what the shell starts in the background, and makes
# each a group leader, so that setsid(1) of any age forks and its parent ends at once.
_SCRIPT = """
command -v setsid >/dev/null || exit 127
set -m
control=$1 words=("$2" "$3" "$4")
shift 4
for index; do
    setsid bash "$control/job.sh" "$control" "$index" local 0 "${words[@]}" \\
        </dev/null >>"$control/scheduler.$index.out" 2>&1 &
done
wait
"""
NO_SETSID = 127
"""Exit status of the launcher where the host has no ``setsid``; nothing was started then."""
_STARTED = "started.json"
_TIMEOUT_S = 60.0
_KEPT = frozenset(
    {
        "HOME", "USER", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "LANG", "XDG_RUNTIME_DIR",
        "KRB5CCNAME", "KRB5_CONFIG", "X509_USER_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    }
)  # fmt: skip
_KEPT_PREFIXES = ("APPTAINER_", "SINGULARITY_")


def job_environment(environ: Mapping[str, str], resources: Resources) -> dict[str, str]:
    """Choose the environment of job scripts.

    It holds what a login gives, and the proxies and settings that image conversion needs.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    if resources.walltime_s:
        kept["GATEWAY_WALLTIME_S"] = str(resources.walltime_s)
    return kept


def write_started(control_dir: Path, host: Host) -> None:
    """Say where a submission is being started, before it is."""
    write_whole(control_dir / _STARTED, json.dumps(asdict(host)))


def read_started(control_dir: Path) -> Host | None:
    """Return where a submission was started, ``None`` if it certainly never was.

    Raises
    ------
    OSError
        If the control directory cannot be read now.
    """
    try:
        text = (control_dir / _STARTED).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return Host(**json.loads(text))
    except (ValueError, TypeError):
        return Host("an unknown host", "")


def start(submission: Submission, cluster: str, environ: Mapping[str, str]) -> CommandResult:
    """Start every task of a submission; never raises for what the command does."""
    words = (str(submission.control_dir), *marks(cluster, submission.resources))
    indexes = tuple(str(task.index) for task in submission.tasks)
    argv = ("bash", "-c", _SCRIPT, "gateway-start", *words, *indexes)
    begun = time.monotonic()

    def result(status: int | None, said: str, failure: Failure | None = None) -> CommandResult:
        return CommandResult(("bash",), status, "", said, time.monotonic() - begun, failure)

    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
            cwd="/",
            env=job_environment(environ, submission.resources),
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return result(None, "", Failure.TIMEOUT)
    except OSError as error:
        return result(None, str(error), Failure.NOT_ATTEMPTED)
    return result(done.returncode, done.stderr.decode(errors="replace"))
