"""The commands of ``gateway --host`` that read files here or write them here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.options import pairs, the_workflow
from gateway.cli.output import counted, print_json, talk
from gateway.cli.remote import (
    Callback,
    There,
    check_here,
    created,
    keep_specification,
    print_workflow,
    send_inputs,
    started,
    there_of,
)
from gateway.cli.run import creation_options, specification_options
from gateway.cli.secrets import named_secrets, say_added
from gateway.cli.transfer_line import TransferLine
from gateway.errors import ExitCode
from gateway.service.order import Order
from gateway.spec.inputs import require_inputs
from gateway.spec.load import load_data, load_file
from gateway.vocabulary.units import show_bytes


@click.pass_context
def _run(
    context: click.Context,
    path: Path,
    order: Order,
    timeout: float | None,
    follow: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    del follow
    there = there_of(context)
    workflow = started(there, order, path)
    words = ["wait", workflow.id]
    words += ["--timeout", str(timeout)] if timeout is not None else []
    words += [word for word, given in (("--quiet", quiet), ("--json", as_json)) if given]
    code = there.run(words)
    if code == ExitCode.OK and not as_json:
        _print_outputs(there, workflow.id, order.loaded.specification.raw)
    return code


def _print_outputs(there: There, workflow_id: str, raw: Mapping[str, Any]) -> None:
    """Print the paths of the declared outputs over there."""
    workspace = there.client.status(workflow_id).workspace
    files = [each.name for each in there.client.ls(workflow_id)]
    outputs = raw.get("outputs") or {}
    for name in (*(outputs.get("files") or ()), *(outputs.get("directories") or ())):
        bare = str(name).strip("/")
        if any(file == bare or file.startswith(f"{bare}/") for file in files):
            click.echo(f"{workspace}/{bare}")
        else:
            talk(f"declared output {name} was not written")


@click.pass_context
def _submit(context: click.Context, path: Path, order: Order, as_json: bool) -> None:
    workflow = started(there_of(context), order, path)
    if as_json:
        print_json({"id": workflow.id, "name": workflow.full_name, "status": workflow.status.value})
    else:
        click.echo(workflow.id)


@click.pass_context
def _create(context: click.Context, path: Path, order: Order, as_json: bool) -> None:
    there = there_of(context)
    workflow = created(there, order, path)
    keep_specification(there, workflow.id, path)
    print_workflow(there, workflow, as_json=as_json)


@click.pass_context
def _validate(context: click.Context, path: Path, order: Order, as_json: bool) -> None:
    there = there_of(context)
    check_here(order, path)
    warnings = there.client.validate(
        order.loaded.specification.raw,
        parameters=order.parameters,
        options=order.options,
        cluster=order.cluster,
    )
    if as_json:
        print_json({"valid": True, "warnings": list(warnings)})
    else:
        talk(f"{path} is valid")


@click.pass_context
def _restart(
    context: click.Context,
    asked: str | None,
    workflow: str,
    parameters: tuple[str, ...],
    options: tuple[str, ...],
    file: Path | None,
    follow: bool,
    as_json: bool,
) -> int:
    there = there_of(context)
    again = there.client.restart(
        the_workflow(asked, workflow),
        parameters=pairs(parameters, "-p"),
        options=pairs(options, "-o"),
        specification=load_file(file).specification.raw if file else None,
    )
    if file:
        keep_specification(there, again.id, file)
    print_workflow(there, again, as_json=as_json)
    return there.run(["wait", again.id]) if follow else int(ExitCode.OK)


@click.pass_context
def _upload(
    context: click.Context,
    workflow: str,
    sources: tuple[Path, ...],
    file: Path | None,
    as_json: bool,
) -> None:
    there = there_of(context)
    name = the_workflow(None, workflow)
    if not sources:
        _upload_inputs(there, name, file, as_json=as_json)
        return
    line = TransferLine("uploading")
    try:
        stored = there.client.upload(name, sources, progress=line)
    finally:
        line.clear()
    if as_json:
        print_json(stored)
        return
    for path in stored:
        talk(f"uploaded {path}")
    if not stored:
        talk("nothing was uploaded: there are no files in what you named")


def _upload_inputs(there: There, name: str, file: Path | None, *, as_json: bool) -> None:
    loaded = load_file(file) if file else load_data(there.client.specification(name))
    base = file.resolve().parent if file else Path.cwd()
    require_inputs(loaded, base)
    files, size = send_inputs(there, name, loaded.specification.raw, base)
    talk(f"{counted(files, 'file')}, {show_bytes(size)} staged in")
    if as_json:
        print_json({"files": files, "bytes": size})


@click.pass_context
def _download(
    context: click.Context,
    workflow: str,
    patterns: tuple[str, ...],
    destination: Path,
    tar: Path | None,
    zip_: Path | None,
    as_json: bool,
) -> None:
    client = there_of(context).client
    name = the_workflow(None, workflow)
    archive = tar or zip_
    line = TransferLine("downloading")
    try:
        if archive is not None:
            number = client.archive(
                name, archive, patterns, kind="tar" if tar else "zip", progress=line
            )
        elif str(destination) == "-":
            for file in client.selected(name, patterns):
                client.read(name, file, sys.stdout.buffer)
            return
        else:
            saved = client.download(name, patterns, destination, progress=line)
    finally:
        line.clear()
    if archive is not None:
        talk(f"{counted(number, 'file')} in {archive}")
        saved = (archive,)
    if as_json:
        print_json([str(path) for path in saved])
    elif archive is None:
        for path in saved:
            talk(f"downloaded {path}")


@click.pass_context
def _secrets_add(
    context: click.Context,
    variables: tuple[str, ...],
    files: tuple[Path, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Send values through the connection: over there they stand on no command line."""
    new = named_secrets(variables, files)
    values = {each.name: (each.kind, each.value) for each in new}
    there_of(context).client.store_secrets(values, overwrite=overwrite)
    say_added([each.name for each in new], as_json=as_json)


CALLBACKS: dict[str, Callback] = {
    "run": creation_options(_run),
    "submit": creation_options(_submit),
    "create": creation_options(_create),
    "validate": specification_options(_validate),
    "restart": _restart,
    "upload": _upload,
    "download": _download,
    "secrets-add": _secrets_add,
}
