"""Runs commands of REANA's client in children of a process that has its dependencies loaded.

Starting the client means importing half a second's worth of libraries. The client itself is read
afresh by each child, with the arguments and the environment that it is given: what it reads from
these when it is imported is right. Must not import the gateway.
"""

# mypy: ignore-errors
# (it is run, and would be checked, in another environment)

import json
import os
import runpy
import sys
import traceback
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import bravado.client  # noqa: E402, F401
import bravado_core.spec  # noqa: E402
import bravado_core.validate  # noqa: E402, F401
import click  # noqa: E402, F401
import fs  # noqa: E402, F401
import jsonschema  # noqa: E402, F401
import kombu  # noqa: E402, F401
import pathspec  # noqa: E402, F401
import requests  # noqa: E402, F401
import tablib  # noqa: E402, F401
import wcmatch.glob  # noqa: E402, F401
import werkzeug.local  # noqa: E402, F401
import yaml  # noqa: E402, F401

SCRIPT = str(Path(sys.executable).with_name("reana-client"))


def _code_of(script):
    """Run a script as Python would, and return its exit code."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _become(order):
    for number, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(order["environ"])
    os.chdir(order["cwd"])
    sys.argv = [SCRIPT, *order["argv"]]
    sys.path[0] = str(Path(SCRIPT).parent)


def main():
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            answers.close()
            _become(order)
            code = _code_of(SCRIPT)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        status = os.waitpid(child, 0)[1]
        answer = {"number": order["number"], "code": os.waitstatus_to_exitcode(status)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
