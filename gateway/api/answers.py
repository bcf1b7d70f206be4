"""The shapes of answers, for the description of the API: by the name of the route.

The routes build their answers themselves; ``tests/api/test_fuzz.py`` holds what they say against
what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.vocabulary.states import WorkflowStatus

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TRUTH: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}
TIME: Schema = {
    "type": "string",
    "description": "UTC without a zone, such as 2026-11-28T09:30:00",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$",
}
STATUS: Schema = {"type": "string", "enum": [status.value for status in WorkflowStatus]}


def thing(optional: Mapping[str, Schema] | None = None, **required: Schema) -> Schema:
    """Return the schema of an object; a name ending in ``_`` stands for the word without it."""
    named = {name.rstrip("_"): schema for name, schema in required.items()}
    known = named | dict(optional or {})
    return {"type": "object", "required": list(named), "properties": known}


def several(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def by_name(schema: Schema) -> Schema:
    """Return the schema of an object whose keys are names of something."""
    return {"type": "object", "additionalProperties": schema}


def maybe(schema: Schema) -> Schema:
    """Return the schema of what may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


SIZE = thing(raw=WHOLE, human_readable=TEXT)
QUOTA = thing(usage=SIZE)
BUCKET = thing(total=WHOLE, job_ids=several(TEXT))
_RUN_TIMES = {
    "run_started_at": maybe(TIME), "run_finished_at": maybe(TIME), "run_stopped_at": maybe(TIME),
}  # fmt: skip
COUNTS = thing(
    {"total": BUCKET, "running": BUCKET, "finished": BUCKET, "failed": BUCKET}, **_RUN_TIMES
)
PROGRESS = thing(
    total=BUCKET,
    running=BUCKET,
    finished=BUCKET,
    failed=BUCKET,
    current_command=maybe(TEXT),
    current_step_name=maybe(TEXT),
    **_RUN_TIMES,
)
ACCEPTED = thing(
    message=TEXT, workflow_id=TEXT, workflow_name=TEXT, run_number=TEXT, status=STATUS, user=TEXT
)
PAGED = {"page": WHOLE, "size": WHOLE, "total": WHOLE, "has_next": TRUTH, "has_prev": TRUTH}
FINDING = thing(code=TEXT, message=TEXT)
MESSAGE = thing(message=TEXT)
CREATED = thing(
    {"validation_warnings": several(FINDING)}, message=TEXT, workflow_id=TEXT, workflow_name=TEXT
)
LISTED = thing(
    id=TEXT,
    name=TEXT,
    status=STATUS,
    user=TEXT,
    created=TIME,
    launcher_url=maybe(TEXT),
    progress=COUNTS,
    size=SIZE,
)
ATTEMPT = thing(
    key=TEXT,
    number=WHOLE,
    state=TEXT,
    outcome=maybe(TEXT),
    reason=TEXT,
    waits_for=TEXT,
    node=maybe(TEXT),
    exit_code=maybe(WHOLE),
    resources=ANYTHING,
)
JOB = thing(
    id=TEXT,
    step=TEXT,
    command=TEXT,
    image=TEXT,
    cluster=TEXT,
    state=TEXT,
    reason=TEXT,
    outcome=maybe(TEXT),
    exit_code=maybe(WHOLE),
    started=maybe(TIME),
    ended=maybe(TIME),
    attempts=several(ATTEMPT),
)
EVENT = thing(at=TIME, kind=TEXT, text=TEXT)
RULE = thing(id=TEXT, workspace_files=TEXT, retention_days=WHOLE, apply_on=maybe(TIME), status=TEXT)

ANSWERS: dict[str, Schema] = {
    "ping": thing(
        message=TEXT, status=TEXT, api_capabilities=several(TEXT), reana_server_version=TEXT
    ),
    "you": thing(
        email=TEXT,
        full_name=TEXT,
        username=TEXT,
        reana_server_version=TEXT,
        reana_token=ANYTHING,
        quota=thing(cpu=QUOTA, disk=QUOTA),
    ),
    "info": by_name(thing(title=TEXT, value={"anyOf": [TEXT, several(TEXT)]})),
    "site_status": by_name(ANYTHING),
    "ui_config": ANYTHING,
    "create_workflow": CREATED,
    "validate_bundle": thing(
        {"environments": several(thing(image=TEXT, runtime_uid=WHOLE, runtime_gid=WHOLE))},
        valid=TRUTH,
        errors=several(FINDING),
        warnings=several(FINDING),
    ),
    "launch": thing(
        {"validation_warnings": ANYTHING}, message=TEXT, workflow_id=TEXT, workflow_name=TEXT
    ),
    "list_workflows": thing(PAGED, items=several(LISTED), user_has_workflows=TRUTH),
    "workflow_status": thing(
        id_=TEXT, name=TEXT, created=TIME, status=STATUS, user=TEXT, progress=PROGRESS, logs=TEXT
    ),
    "set_workflow_status": ACCEPTED,
    "start_workflow": ACCEPTED,
    "restart_workflow": ACCEPTED,
    "workflow_specification": thing(specification=ANYTHING, parameters=ANYTHING),
    "workflow_parameters": thing(id_=TEXT, name=TEXT, type_=TEXT, parameters=ANYTHING),
    "workflow_logs": thing(
        workflow_id=TEXT,
        workflow_name=TEXT,
        user=TEXT,
        live_logs_enabled=TRUTH,
        logs={**TEXT, "description": "JSON text: `workflow_logs`, and `job_logs` by id"},
    ),
    "compare_workflows": thing(reana_specification=TEXT, workspace_listing=TEXT),
    "list_files": thing(
        PAGED, items=several(thing({"last-modified": TIME}, name=TEXT, size=SIZE))
    ),
    "upload_file": MESSAGE,
    "delete_files": thing(
        deleted=by_name(thing(size=WHOLE)), failed=by_name(thing(error=TEXT))
    ),
    "move_files": thing(message=TEXT, workflow_id=TEXT, workflow_name=TEXT),
    "disk_usage": thing(
        workflow_id=TEXT,
        workflow_name=TEXT,
        user=TEXT,
        disk_usage_info=several(thing(name=TEXT, size=SIZE)),
    ),
    "prune_workspace": thing(message=TEXT, workflow_id=TEXT, workflow_name=TEXT),
    "list_secrets": several(thing(name=TEXT, type_=TEXT)),
    "add_secrets": MESSAGE,
    "delete_secrets": several(TEXT),
    "retention_rules": thing(
        workflow_id=TEXT, workflow_name=TEXT, retention_rules=several(RULE)
    ),
    "health": thing(status=TEXT, version=TEXT),
    "ready": thing(
        ready=TRUTH,
        message=TEXT,
        heartbeat_age_s=maybe(NUMBER),
        active_workflows=WHOLE,
        blocked_clusters=several(TEXT),
    ),
    "workflow_details": thing(
        id_=TEXT,
        name=TEXT,
        run_number=TEXT,
        status=STATUS,
        message=TEXT,
        workspace=TEXT,
        progress=by_name(WHOLE),
        held_up=several(thing(kind=TEXT, reason=TEXT, hint=TEXT)),
        images=several(ANYTHING),
        jobs=several(JOB),
    ),
    "workflow_jobs": thing(items=several(JOB)),
    "explain": thing(
        title=TEXT, sentence=TEXT, facts=several(thing(name=TEXT, value=TEXT)),
        events=several(EVENT),
    ),
    "validate": thing(valid=TRUTH, warnings=several(TEXT)),
}  # fmt: skip

OPEN = frozenset({"ping", "health", "ready", "ui_config"})
"""Routes that need no token."""


NOT_HERE = frozenset(
    {"create_workflow", "open_session", "share_workflow", "unshare_workflow", "share_status"}
)
"""Routes that answer 501 to all requests or to some: REANA has what this gateway has not."""


def refusals(operation: Mapping[str, Any], path: str) -> dict[str, str]:
    """Return what an operation may answer besides success, and what that means."""
    found = {"429": "Too many requests with a wrong token, or without one"}
    if "{workflow}" in path or "{asked}" in path:
        found["404"] = "There is no such workflow, or file"
        found["409"] = "It does not fit the state of the workflow"
    if "requestBody" in operation:
        found |= {"408": "The body did not come in time", "413": "The body is too large"}
    if operation["operationId"] in NOT_HERE:
        found["501"] = "This gateway does not have it"
    found |= {"503": "The state or a part of the site does not answer: try again"}
    return found | {"500": "A mistake of the gateway, or of the site"}
