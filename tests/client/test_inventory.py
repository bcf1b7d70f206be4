"""What the command line does with workflows, ``gateway.client`` does too, option by option."""

from __future__ import annotations

import inspect

import click
import pytest

from gateway.cli.main import cli
from gateway.client import Client

SHOWN = {"--json", "--format", "--quiet", "--verbose", "--human-readable", "asked"}
"""How a command prints, or the other way to name a workflow."""

CALLS: dict[str, dict[str, str]] = {
    "run": {
        "--name": "run.name", "--key": "run.key", "file": "run.specification",
        "--file": "run.specification", "--cluster": "run.cluster",
        "--parameter": "run.parameters", "--option": "run.options",
        "--timeout": "wait.timeout", "--follow": "follow.workflow",
    },
    "submit": {
        "--name": "run.name", "--key": "run.key", "file": "run.specification",
        "--file": "run.specification", "--cluster": "run.cluster",
        "--parameter": "run.parameters", "--option": "run.options",
    },
    "launch": {
        "url": "launch.url", "--name": "launch.name", "--file": "launch.specification",
        "--parameter": "launch.parameters", "--follow": "follow.workflow",
    },
    "create": {
        "--name": "create.name", "--key": "create.key", "file": "create.specification",
        "--file": "create.specification", "--cluster": "create.cluster",
        "--parameter": "start.parameters", "--option": "start.options",
    },
    "start": {
        "--workflow": "start.workflow", "--parameter": "start.parameters",
        "--option": "start.options", "--follow": "follow.workflow",
    },
    "restart": {
        "--workflow": "restart.workflow", "--parameter": "restart.parameters",
        "--option": "restart.options", "--file": "restart.specification",
        "--follow": "follow.workflow",
    },
    "stop": {"--workflow": "stop.workflow", "--force": "stop.workflow", "--wait": "wait.workflow"},
    "delete": {
        "--workflow": "delete.workflow", "--include-all-runs": "delete.all_runs",
        "--include-workspace": "delete.workflow",
    },
    "wait": {"--workflow": "wait.workflow", "--timeout": "wait.timeout"},
    "status": {"--workflow": "status.workflow"},
    "list": {"--workflow": "list.name", "--all": "list.statuses", "--filter": "list.statuses"},
    "logs": {
        "--workflow": "logs.workflow", "--step": "logs.steps", "--follow": "follow.workflow",
    },
    "explain": {"--workflow": "explain.asked"},
    "ls": {"--workflow": "ls.workflow", "pattern": "ls.pattern", "--filter": "ls.last_modified"},
    "upload": {
        "--workflow": "upload.workflow", "sources": "upload.sources",
        "--file": "upload_inputs.specification",
    },
    "download": {
        "--workflow": "download.workflow", "patterns": "download.patterns",
        "--output-directory": "download.destination", "--tar": "archive.workflow",
        "--zip": "archive.workflow",
    },
    "rm": {"--workflow": "rm.workflow", "patterns": "rm.patterns"},
    "mv": {"--workflow": "mv.workflow", "source": "mv.source", "target": "mv.target"},
    "du": {"--workflow": "du.workflow", "--summarize": "du.summarize"},
    "diff": {
        "left": "diff.workflow", "right": "diff.other", "--brief": "diff.brief",
        "--unified": "diff.context_lines",
    },
    "prune": {
        "--workflow": "prune.workflow", "--include-inputs": "prune.include_inputs",
        "--include-outputs": "prune.include_outputs",
    },
    "retention-rules-list": {"--workflow": "retention_rules.workflow"},
    "secrets-add": {
        "--env": "add_secrets.env", "--file": "add_secrets.files",
        "--overwrite": "add_secrets.overwrite",
    },
    "secrets-list": {"": "secrets"},
    "secrets-delete": {"names": "delete_secrets.names"},
    "validate": {
        "file": "validate.specification", "--file": "validate.specification",
        "--cluster": "validate.cluster", "--parameter": "validate.parameters",
        "--option": "validate.options",
    },
}  # fmt: skip
OF_THE_PLACE = {
    "serve": "it is what a client asks", "tick": "it drives", "connect": "ssh starts it",
    "doctor": "it tries the place itself", "config": "it reads the site file of the place",
    "cluster": "calls and blocks are the operator's; `info` names the clusters",
    "token": "an entry is given out on the place alone", "user": "as tokens are",
    "completion": "it is about the shell", "tidy": "files of all users are the operator's",
}  # fmt: skip


def commands() -> dict[str, click.Command]:
    assert isinstance(cli, click.Group)
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def test_every_command_is_a_call_or_belongs_to_the_place() -> None:
    assert set(commands()) == set(CALLS) | set(OF_THE_PLACE)


@pytest.mark.parametrize("name", CALLS)
def test_every_option_of_a_command_is_an_argument_of_a_call(name: str) -> None:
    options = {each.opts[-1] for each in commands()[name].params} - SHOWN
    assert set(CALLS[name]) - {""} == options
    for call in CALLS[name].values():
        method, _, argument = call.partition(".")
        arguments = inspect.signature(getattr(Client, method)).parameters
        assert not argument or argument in arguments, call
