"""A workflow from a program, as REANA's Python API is shown to be used.

usage: walk_through.py STEPS-FILE INPUT OUTPUT...
"""

# mypy: ignore-errors
# (it is run, and would be checked, in the environment of REANA's client)

import json
import os
import sys
import time
from pathlib import Path

from reana_client.api.client import (
    create_workflow_from_json,
    download_file,
    get_workflow_logs,
    get_workflow_status,
    list_files,
    start_workflow,
    upload_to_server,
)

token = os.environ["REANA_ACCESS_TOKEN"]
steps_file, given, *results = sys.argv[1:]

steps = json.loads(Path(steps_file).read_text())
created = create_workflow_from_json(
    name="walk-through",
    access_token=token,
    workflow_json=steps,
    workflow_engine="serial",
    parameters={"files": [given], "parameters": {"source": given}},
    outputs={"files": results},
)
workflow = created["workflow_name"]
upload_to_server(workflow, [str(Path(given).resolve())], token)
start_workflow(workflow, token, {})

while (status := get_workflow_status(workflow, token)["status"]) in (
    "queued",
    "pending",
    "running",
):
    time.sleep(1)

logs = json.loads(get_workflow_logs(workflow, token)["logs"])
for job in logs["job_logs"].values():
    print(job["compute_backend"], job["status"], job["logs"], end="")
print("files:", *sorted(each["name"] for each in list_files(workflow, token)))
for result in results:
    content, name, _ = download_file(workflow, result, token)
    Path(Path(name).name).write_bytes(content)
print(workflow, status)
sys.exit(status != "finished")
