"""The gateway from Python: the API over a unix socket, over TCP with a token, or through ssh.

    from gateway.client import connect

    with connect(host="me@login.example.org") as gateway:
        run = gateway.run("reana.yaml", name="fit", parameters={"events": 1000})
        gateway.wait(run.id)
        gateway.download(run.id, ["results/*"], "plots")

Errors are those of ``gateway.errors``, with the server's message and hint. Nothing of the server
is imported.
"""

from __future__ import annotations

from gateway.client.client import Client, connect
from gateway.client.results import (
    Attempt,
    Diff,
    Event,
    Explanation,
    Job,
    JobLog,
    Progress,
    RemoteFile,
    Removal,
    RetentionRule,
    SecretName,
    SiteFact,
    Transfer,
    Usage,
    User,
    Workflow,
)
from gateway.client.workflow_calls import TimedOutError

__all__ = [
    "Attempt", "Client", "Diff", "Event", "Explanation", "Job", "JobLog", "Progress", "RemoteFile",
    "Removal", "RetentionRule", "SecretName", "SiteFact", "TimedOutError", "Transfer", "Usage",
    "User", "Workflow", "connect",
]  # fmt: skip
