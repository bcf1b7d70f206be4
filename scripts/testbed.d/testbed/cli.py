"""The command line: scripts/testbed build | up | run | shell | slurmdbd | status | logs | down."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .entry import USERS, checkout_of, enter, showable
from .errors import TestbedError
from .images import build_registry, find_registry
from .instance import Instance, all_instances
from .kernel import check_kernel
from .layers import Layer, build_lock, disk_use, say
from .node import build_node, find_node
from .process import need_root
from .prune import prune
from .settings import FLAVOURS, PROJECT, cache_directory

FAILED_INSIDE = 125
DEFAULT_FLAVOUR = "sid"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="scripts/testbed",
        description="A small cluster on this machine: Slurm, HTCondor, Apptainer and an image "
        "registry in namespaces of their own, for trying and testing the gateway.",
        epilog="Needs root on a Linux machine; see docs/testbed.md.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str, instance: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary)
        versions = ", ".join(
            f"{f.name}: Slurm {f.slurm}, HTCondor {f.htcondor}" for f in FLAVOURS.values()
        )
        sub.add_argument("--flavour", choices=FLAVOURS, default=DEFAULT_FLAVOUR, help=versions)
        if instance:
            sub.add_argument("--name", default="default", help="which instance (default: default)")
        return sub

    build = add("build", "build the root file system and the images", instance=False)
    _images_option(build)
    build.add_argument("--prune", action="store_true", help="remove what no recipe needs any more")
    up = add("up", "bring an instance up, building what is missing")
    _up_options(up)
    run = add("run", "run a command inside, in the current directory")
    _entry_options(run)
    run.add_argument("--up", action="store_true", help="bring the instance up if it is not")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command")
    shell = add("shell", "open a shell inside")
    _entry_options(shell)
    database = add("slurmdbd", "switch Slurm's accounting database of a running instance")
    database.add_argument("action", choices=("on", "off", "start", "stop", "status"))
    logs = add("logs", "show the log of the start, or of a daemon")
    logs.add_argument("file", nargs="?", help="path below /var/log, such as slurm/slurmctld.log")
    add("down", "end every process of an instance and remove its files")
    status = commands.add_parser("status", help="what is built and what is up")
    status.set_defaults(flavour=DEFAULT_FLAVOUR)
    return top


def _images_option(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--no-images", dest="images", action="store_false", help="without images")


def _up_options(sub: argparse.ArgumentParser) -> None:
    _images_option(sub)
    sub.add_argument(
        "--slurmdbd",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="with Slurm's accounting database, so that sacct works (default: without)",
    )


def _entry_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--user", choices=USERS, default="alice", help="(default: alice)")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        return dispatch(arguments)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        entering = arguments.command in ("run", "shell")
        return FAILED_INSIDE if entering and error.code == 1 else error.code
    except OSError as error:
        print(f"testbed: {error.filename or ''}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def dispatch(arguments: argparse.Namespace) -> int:
    flavour = FLAVOURS[arguments.flavour]
    if arguments.command == "status":
        return status()
    need_root(f"testbed {arguments.command}")
    if arguments.command == "build":
        prepare(arguments)
        if arguments.prune:
            with build_lock():
                prune()
        return 0
    instance = Instance(flavour, arguments.name)
    if arguments.command == "up":
        return up(instance, arguments)
    if arguments.command == "down":
        with instance.lock():
            gone = instance.down()
        say(f"{instance.title} is down" if gone else f"{instance.title} was not up")
        return 0
    if arguments.command == "logs":
        return logs(instance, arguments.file)
    return inside(instance, arguments)


def inside(instance: Instance, arguments: argparse.Namespace) -> int:
    if arguments.command == "slurmdbd":
        enter(instance, "root", ["testbed-slurmdbd", arguments.action])
    if arguments.command == "shell":
        enter(instance, arguments.user, ["bash"])
    command = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not command:
        raise TestbedError("run what? scripts/testbed run -- CMD...", 2)
    if arguments.up and instance.record() is None:
        arguments.images, arguments.slurmdbd = True, False
        up(instance, arguments)
    enter(instance, arguments.user, command)
    return FAILED_INSIDE


def prepare(arguments: argparse.Namespace) -> tuple[Layer, Path]:
    """The node and the registry as the recipe wants them now, built if need be."""
    flavour = FLAVOURS[arguments.flavour]
    node, registry = find_node(flavour), find_registry()
    if node is None or (registry is None and arguments.images):
        with build_lock():
            node = build_node(flavour)
            if arguments.images:
                registry = build_registry(node)
    if registry is None:
        registry = cache_directory() / "no-images"
        registry.mkdir(exist_ok=True)
    return node, registry


def up(instance: Instance, arguments: argparse.Namespace) -> int:
    check_kernel()
    node, registry = prepare(arguments)
    shown = [PROJECT]
    if (here := checkout_of(Path.cwd())) != PROJECT and showable(here, node.stack):
        shown.append(here)
    with instance.lock():
        record = instance.record()
        if record is not None and instance.ready(record.pid):
            say(f"{instance.title} is up already")
            return 0
        if instance.down():
            say(f"{instance.title} was not in order; starting afresh")
        try:
            seconds = instance.up(node, registry, PROJECT, shown, arguments.slurmdbd)
        except KeyboardInterrupt:
            instance.down()
            raise
    say(f"{instance.title} is up ({seconds:.1f} s)")
    return 0


def logs(instance: Instance, file: str | None) -> int:
    record = instance.record()
    path = instance.boot_log
    if file is not None:
        if record is None:
            raise TestbedError(f"{instance.title} is not up")
        path = instance.inside(record.pid, Path("/var/log") / file)
    if not path.is_file():
        raise TestbedError(f"no such log: {file or path}")
    return subprocess.run(["cat", str(path)], check=False).returncode


def status() -> int:
    print(f"cache: {cache_directory()}")
    for flavour in FLAVOURS.values():
        print(f"  {flavour.name}: {'built' if find_node(flavour) else 'not built'}")
    print(f"  images: {'built' if find_registry() else 'not built'}")
    instances = all_instances(list(FLAVOURS.values()))
    print("instances:" if instances else "instances: none")
    for instance in instances:
        record = instance.record()
        size = f"{disk_use(instance.state) / 1e6:.0f} MB"
        if record is None:
            print(f"  {instance.title}: dead ({size}; testbed down removes it)")
        else:
            ready = "up" if instance.ready(record.pid) else "coming up or failed"
            node = find_node(instance.flavour)
            old = "" if node and node.path.name == record.node else ", of an older recipe"
            print(f"  {instance.title}: {ready}, pid {record.pid}, {size}, {record.source}{old}")
    return 0
