"""``gateway --host``: the same commands on a login node, with files from here and to here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.output import counted, print_json, talk
from gateway.cli.relay import run_on
from gateway.cli.transfer_line import TransferLine
from gateway.errors import ExitCode, UsageError
from gateway.vocabulary.states import WorkflowStatus
from gateway.vocabulary.units import show_bytes

if TYPE_CHECKING:
    from gateway.client import Client, Workflow
    from gateway.client.ssh import Login
    from gateway.service.order import Order

FORWARDED = (
    "start", "stop", "delete", "wait", "status", "list", "logs", "explain",
    "ls", "rm", "mv", "du", "diff", "prune", "cluster", "launch", "retention-rules-list",
    "secrets-list", "secrets-delete", "tidy",
)  # fmt: skip
"""Commands that need nothing from here: they run there as they are."""


class There:
    """A login node, for the commands of one invocation.

    Parameters
    ----------
    site
        Site file over there.
    """

    def __init__(self, host: str, program: str, site: Path | None) -> None:
        self.host = host
        self._program = program
        self._site = site

    @cached_property
    def login(self) -> Login:
        """The ssh connection."""
        from gateway.client.places import require_httpx

        require_httpx()
        from gateway.client.ssh import Login

        options = ("--site", str(self._site)) if self._site else ()
        return Login(self.host, self._program, options=options)

    @cached_property
    def client(self) -> Client:
        """The API there."""
        from gateway.client import Client
        from gateway.client.places import through

        client = Client(through(self.login), self.login)
        client.ping()
        difference = self.login.difference()
        if difference:
            talk(f"Note: {difference}")
        return client

    def close(self) -> None:
        """Close the connection, if there is one."""
        if "client" in vars(self):
            self.client.close()
        elif "login" in vars(self):
            self.login.close()

    def run(self, arguments: Iterable[str]) -> int:
        """Run a command there."""
        code = run_on(self.login, [*arguments])
        if code == ExitCode.USAGE:
            self._say_difference()
        return code

    def _say_difference(self) -> None:
        """Say that versions differ: what is wrong there may be what only this one knows."""
        version = self.login.version_there()
        difference = self.login.difference() if version else None
        if difference:
            talk(f"Note: {difference}")


def there_of(context: click.Context) -> There:
    """Return the login node behind a command."""
    found: There = context.find_root().obj
    return found


class ForwardedCommand(click.Command):
    """Runs there with the very words that were given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leave the words to the gateway there."""
        ctx.args = [*args]
        return []

    def invoke(self, ctx: click.Context) -> int:
        """Run it."""
        return there_of(ctx).run([str(self.name), *ctx.args])


class RefusedCommand(ForwardedCommand):
    """Makes sense only where it runs."""

    def invoke(self, ctx: click.Context) -> int:
        """Say so."""
        host = there_of(ctx).host
        raise UsageError(
            f"`gateway {self.name}` does not go through --host",
            hint=f"run it there: ssh {host} gateway {self.name}; or here, without --host and "
            "GATEWAY_HOST",
        )


def command_there(name: str, command: click.Command) -> click.Command:
    """Return what a command is when it is for a login node."""
    from gateway.cli import remote_files

    callback = remote_files.CALLBACKS.get(name)
    if callback is not None:
        return click.Command(name, params=command.params, callback=callback, help=command.help)
    return (ForwardedCommand if name in FORWARDED else RefusedCommand)(name)


def check_here(order: Order, path: Path) -> None:
    """Refuse here what is wrong whatever the site is, with the places in the file."""
    from gateway.cli.run import say_warnings
    from gateway.errors import SpecError
    from gateway.spec.inputs import require_inputs
    from gateway.spec.validate import validate

    require_inputs(order.loaded, path.resolve().parent)
    report = validate(order.loaded, order.parameters, order.options)
    if report.errors:
        raise SpecError(f"{report.name} cannot be run here", problems=report.errors)
    say_warnings(report.warnings)


def created(there: There, order: Order, path: Path) -> Workflow:
    """Check and create a workflow there."""
    check_here(order, path)
    raw = order.loaded.specification.raw
    there.client.validate(
        raw, parameters=order.parameters, options=order.options, cluster=order.cluster
    )
    return there.client.create(raw, order.name, key=order.key, cluster=order.cluster)


def started(there: There, order: Order, path: Path) -> Workflow:
    """Create a workflow, bring its inputs there, and start it; safe to repeat with a key."""
    workflow = created(there, order, path)
    if workflow.status is not WorkflowStatus.CREATED:
        talk(f"{workflow.full_name} exists under key {order.key!r}: {workflow.status.value}")
        return there.client.same_start(workflow, order.parameters)
    files, size = send_inputs(
        there, workflow.id, order.loaded.specification.raw, path.resolve().parent
    )
    keep_specification(there, workflow.id, path)
    if files:
        talk(f"{workflow.full_name}: {counted(files, 'file')}, {show_bytes(size)} staged in")
    return there.client.start_once(workflow.id, parameters=order.parameters, options=order.options)


def send_inputs(there: There, workflow: str, raw: Any, base: Path) -> tuple[int, int]:
    """Upload declared inputs; return files and bytes."""
    from gateway.client.inputs import declared_inputs

    named, notices = declared_inputs(raw, base)
    for notice in notices:
        talk(f"Note: {notice}")
    sizes = [source.stat().st_size for _, source in named]
    send(there, workflow, named)
    return len(named), sum(sizes)


def send(there: There, workflow: str, named: Iterable[tuple[str, Path]]) -> tuple[str, ...]:
    """Upload files under names."""
    line = TransferLine("uploading")
    try:
        return there.client.upload_as(workflow, named, progress=line)
    finally:
        line.clear()


def keep_specification(there: There, workflow: str, path: Path) -> None:
    """Put the specification file itself into the workspace."""
    if path.is_file():
        send(there, workflow, [(path.name, path)])


def print_workflow(there: There, workflow: Workflow, *, as_json: bool) -> None:
    """Print as the command does where it runs."""
    if as_json:
        data = there.client.wire.get(f"/gateway/workflows/{workflow.id}")
        print_json({name: data[name] for name in data if name not in ("jobs", "images")})
    else:
        click.echo(workflow.full_name)


Callback = Callable[..., Any]
