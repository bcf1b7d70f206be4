"""``gateway ls``, ``upload``, ``download``, ``rm``, ``mv``, ``du``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option, the_workflow, workflow_option
from gateway.cli.output import chosen_columns, counted, print_json, print_table, talk
from gateway.cli.run import stage_inputs
from gateway.composition.app import App
from gateway.errors import ExitCode, NotFoundError, UsageError
from gateway.vocabulary.units import show_bytes
from gateway.workspace.listing import Filters
from gateway.workspace.staging import Staged


@click.command("ls")
@workflow_option
@click.argument("pattern", required=False)
@click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="name=, size= or last-modified="
)
@click.option("--format", "columns", help="Columns to print: NAME,SIZE,LAST-MODIFIED.")
@click.option("-h", "--human-readable", "human", is_flag=True, help="Sizes such as 1.5 GiB.")
@json_option
@click.pass_context
def ls_command(
    context: click.Context,
    workflow: str,
    pattern: str | None,
    filters: tuple[str, ...],
    columns: str | None,
    human: bool,
    as_json: bool,
) -> None:
    """List the files of a workspace, all or those that a glob names.

    Example: gateway ls -w fit 'results/**/*.png'
    """
    found = app_of(context).files.listed(the_workflow(None, workflow), pattern, _filters(filters))
    rows = [
        {
            "name": each.name,
            "size": show_bytes(each.size) if human and not as_json else each.size,
            "last_modified": each.last_modified,
        }
        for each in found.items
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, chosen_columns(("name", "size", "last_modified"), columns))
    if not rows:
        talk("no file fits" if pattern or filters else "the workspace is empty")


def _filters(words: tuple[str, ...]) -> Filters:
    values: dict[str, list[str]] = {"name": [], "size": [], "last-modified": []}
    for word in words:
        key, _, value = word.partition("=")
        if key not in values or not value:
            raise UsageError(f"--filter {word}: write name=, size= or last-modified= and a value")
        values[key].append(value)
    return Filters(tuple(values["name"]), tuple(values["size"]), tuple(values["last-modified"]))


@click.command("upload")
@workflow_option
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-f",
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Specification whose inputs are uploaded when no file is named.",
)
@json_option
@click.pass_context
def upload_command(
    context: click.Context,
    workflow: str,
    sources: tuple[Path, ...],
    file: Path | None,
    as_json: bool,
) -> None:
    """Copy files into the workspace; without names, the declared inputs.

    A file that exists there is replaced. Paths are kept relative to this directory.

    Example: gateway upload -w fit code/fit.py
    """
    app = app_of(context)
    name = the_workflow(None, workflow)
    if not sources:
        staged = _upload_inputs(app, name, file)
        if as_json:
            print_json({"files": staged.files, "bytes": staged.bytes})
        return
    stored = app.files.upload(name, sources, Path.cwd())
    if as_json:
        print_json(stored)
        return
    for path in stored:
        talk(f"uploaded {path}")
    if not stored:
        talk("nothing was uploaded: there are no files in what you named")


def _upload_inputs(app: App, name: str, file: Path | None) -> Staged:
    from gateway.spec.inputs import require_inputs
    from gateway.spec.load import load_data, load_file

    workflow = app.views.find(name)
    loaded = load_file(file) if file else load_data(workflow.specification)
    base = file.resolve().parent if file else Path.cwd()
    require_inputs(loaded, base)
    staged = stage_inputs(app, workflow, loaded, base, overwrite=True)
    talk(f"{counted(staged.files, 'file')}, {show_bytes(staged.bytes)} staged in")
    return staged


@click.command("download")
@workflow_option
@click.argument("patterns", nargs=-1)
@click.option(
    "-o",
    "--output-directory",
    "destination",
    default=".",
    type=click.Path(path_type=Path),
    help="Where to; '-' writes one file to stdout.",
)
@click.option("--tar", "tar", type=click.Path(path_type=Path), help="Write one tar archive.")
@click.option("--zip", "zip_", type=click.Path(path_type=Path), help="Write one zip archive.")
@json_option
@click.pass_context
def download_command(
    context: click.Context,
    workflow: str,
    patterns: tuple[str, ...],
    destination: Path,
    tar: Path | None,
    zip_: Path | None,
    as_json: bool,
) -> None:
    """Copy files out of the workspace; without names, the declared outputs.

    Files appear complete or not at all. A missing file is an error.

    \b
    Example: gateway download -w fit 'results/*' -o plots
             gateway download -w fit --tar outputs.tar
    """
    app = app_of(context)
    name = the_workflow(None, workflow)
    archive = tar or zip_
    if archive is not None:
        _archive(app, name, patterns, archive, "tar" if tar else "zip")
        if as_json:
            print_json([str(archive)])
        return
    if str(destination) == "-":
        _to_stdout(app, name, patterns)
        return
    downloaded = app.files.download(name, patterns, destination)
    if as_json:
        print_json([str(path) for path in downloaded])
        return
    for path in downloaded:
        talk(f"downloaded {path}")


def _archive(
    app: App, name: str, patterns: tuple[str, ...], archive: Path, kind: Literal["tar", "zip"]
) -> None:
    from gateway.workspace.choosing import opened
    from gateway.workspace.copying import draft

    try:
        with (
            opened(os.open(archive.parent, os.O_RDONLY | os.O_DIRECTORY)) as directory,
            draft(directory, archive.name, overwrite=True, mode=0o644) as fd,
            os.fdopen(fd, "wb", closefd=False) as out,
        ):
            number = app.files.archive(name, patterns, out, kind)
    except OSError as error:
        raise UsageError(
            f"{archive} cannot be written: {error.strerror}",
            hint="name a file in a directory that exists and that you can write to",
        ) from error
    talk(f"{counted(number, 'file')} in {archive}")


def _to_stdout(app: App, name: str, patterns: tuple[str, ...]) -> None:
    import shutil

    from gateway.workspace.download import open_download

    root, paths = app.files.selected(name, patterns)
    for path in paths:
        with open_download(root, path) as source:
            shutil.copyfileobj(source, sys.stdout.buffer)


@click.command("rm")
@workflow_option
@click.argument("patterns", nargs=-1, required=True)
@json_option
@click.pass_context
def rm_command(
    context: click.Context, workflow: str, patterns: tuple[str, ...], as_json: bool
) -> int:
    """Remove files from the workspace.

    Example: gateway rm -w fit '*.log'
    """
    name = the_workflow(None, workflow)
    removal = app_of(context).files.remove(name, patterns)
    for path, size in removal.deleted.items():
        talk(f"removed {path} ({show_bytes(size)})")
    for path, reason in removal.failed.items():
        talk(f"not removed {path}: {reason}")
    if not removal.deleted and not removal.failed:
        raise NotFoundError(
            f"nothing in the workspace of {name} fits {' '.join(patterns)}",
            hint=f"`gateway ls -w {name}` shows what is there",
        )
    return int(ExitCode.FAILED if removal.failed else ExitCode.OK)


@click.command("mv")
@workflow_option
@click.argument("source")
@click.argument("target")
@json_option
@click.pass_context
def mv_command(
    context: click.Context, workflow: str, source: str, target: str, as_json: bool
) -> None:
    """Rename a file or directory within the workspace.

    Example: gateway mv -w fit data/raw.csv data/input.csv
    """
    app_of(context).files.move(the_workflow(None, workflow), source, target)
    if as_json:
        print_json({"source": source, "target": target})
    else:
        talk(f"{source} is now {target}")


@click.command("du")
@workflow_option
@click.option("-s", "--summarize", is_flag=True, help="Only the total.")
@click.option("-h", "--human-readable", "human", is_flag=True, help="Sizes such as 1.5 GiB.")
@json_option
@click.pass_context
def du_command(
    context: click.Context, workflow: str, summarize: bool, human: bool, as_json: bool
) -> None:
    """Show how much disk a workspace takes.

    Example: gateway du -w fit -s -h
    """
    usage = app_of(context).files.usage(the_workflow(None, workflow), summarize=summarize)[1]
    rows = [
        {"size": show_bytes(u.bytes) if human and not as_json else u.bytes, "name": f".{u.name}"}
        for u in usage
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("size", "name"))
