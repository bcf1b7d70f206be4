"""Runs in the environment of REANA's client: calls its Python API, and checks answers as it does.

Reads one JSON object per line and answers each with one. Must not import the gateway.
"""

# mypy: ignore-errors
# (it is run, and would be checked, in another environment)

import base64
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")


def _schema_of_answers():
    """Return a function that says what is wrong with an answer, by the client's own rules."""
    from bravado_core.spec import Spec
    from bravado_core.validate import validate_schema_object
    from reana_commons import api_client

    client = api_client.BaseAPIClient
    spec = Spec.from_dict(client._get_spec(client, "reana_server.json"), origin_url="")
    operations = {
        operation.operation_id: operation
        for resource in spec.resources.values()
        for operation in resource.operations.values()
    }
    patterns = [(_pattern(each.path_name), each) for each in operations.values()]

    def check(method, path, status, body):
        found = [
            operation
            for pattern, operation in patterns
            if operation.http_method.upper() == method and _matches(pattern, path.split("/"))
        ]
        if not found:
            return "the client knows no such operation"
        response = found[0].op_spec["responses"].get(str(status))
        if response is None:
            return None if status >= 400 else f"the client does not expect status {status}"
        if "schema" in response:
            schema = spec.deref(response["schema"])
            try:
                validate_schema_object(spec, schema, body)
            except Exception as error:
                return f"{type(error).__name__}: {error}"
        return None

    return check


def _pattern(path):
    return [None if part.startswith("{") else part for part in path.split("/")]


def _matches(pattern, parts):
    if pattern[-1] is None:
        parts = [*parts[: len(pattern) - 1], "/".join(parts[len(pattern) - 1 :])]
    return len(parts) == len(pattern) and all(
        wanted is None or wanted == part for wanted, part in zip(pattern, parts, strict=True)
    )


def _inventory():
    """Return commands with the spellings of their parameters, functions with what is optional."""
    import inspect

    import reana_client.api.client as api
    from reana_client.cli import cli

    def spelt(command):
        return [each.opts for each in command.params]

    def optional(function):
        parameters = inspect.signature(function).parameters.values()
        return [each.name for each in parameters if each.default is not each.empty]

    functions = {
        name: optional(found)
        for name, found in vars(api).items()
        if inspect.isfunction(found) and found.__module__ == api.__name__ and name[0] != "_"
    }
    commands = {name: spelt(command) for name, command in cli.commands.items()}
    return {"commands": {"": spelt(cli), **commands}, "functions": functions}


def _plain(value):
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _call(question):
    import reana_client.api.client as api

    if "cwd" in question:
        os.chdir(question["cwd"])
    try:
        result = getattr(api, question["call"])(*question["args"], **question["words"])
        return {"result": _plain(result)}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    check = _schema_of_answers()
    for line in sys.stdin:
        question = json.loads(line)
        if "call" in question:
            answer = _call(question)
        elif "check" in question:
            answer = {"result": check(**question["check"])}
        else:
            answer = {"result": _inventory()}
        answer["number"] = question["number"]
        print(json.dumps(answer, default=str), file=answers, flush=True)


main()
