"""The client's second program: a CWL file is created, uploaded and refused at its start."""

from __future__ import annotations

from tests.conformance.place import Reana
from tests.conformance.test_languages import FILES, NOT_YET


def test_the_cwl_runner_says_that_cwl_is_not_run_yet(reana: Reana) -> None:
    for name, content in FILES["cwl"].items():
        reana.write(name, content)
    program = str(reana.server.venv / "bin/reana-cwl-runner")
    done = reana.run([program, "--quiet", "workflow.cwl", "input.yaml"])
    # It logs every error and ends with 0.
    assert f"cwl {NOT_YET}" in done.err
    asked = [(each.method, each.path.rsplit("/", 1)[1], each.status) for each in reana.exchanged()]
    assert asked[0] == ("POST", "workflows", 201)
    assert asked[-1] == ("POST", "start", 400)
    assert set(asked[1:-1]) == {("POST", "workspace", 200)}
    names = {each["name"] for each in reana.ok("ls", "-w", "cwl-test", "--json").data}
    assert {"workflow.cwl", "say.tool", "input.yaml"} == names
    assert reana.ok("status", "-w", "cwl-test", "--json").data[0]["status"] == "created"
