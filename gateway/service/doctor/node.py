"""What one host offers to jobs: container runtime, user namespaces, an image that runs, CVMFS.

The same shell text is run here and, as the probe job, on a worker node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.service.doctor.check import Check, fail, ok, warn
from gateway.service.doctor.trial_image import TrialImage
from gateway.site.model import Site
from gateway.vocabulary.launch import Launch

_INSTALL = (
    "ask for Apptainer there, load its module, or write `containers: host` into the site file"
)
_NAMESPACES = (
    "ask for user namespaces (sysctl user.max_user_namespaces), or for a setuid installation of "
    "Apptainer"
)
_FACTS = ("host", "container", "version", "namespaces", "image")
_BY_HAND = (
    "to check it, run a workflow and then `gateway doctor` again, or in a job "
    "`apptainer exec IMAGE.sif true`"
)
# $1 is an image or empty, $2 says that it has no programs, the rest are directories.
# Answers are lines of NAME=VALUE.
_LOOK = r"""
say() { printf '%s=%s\n' "$1" "$2"; }
words() { tr '\n' ' ' | tail -c 300; }
say host "$(uname -n)"
container=$(command -v apptainer || command -v singularity || :)
say container "$container"
[ -z "$container" ] || say version "$("$container" --version 2>&1 | head -n 1)"
said=$(unshare --user true 2>&1) && say namespaces yes || say namespaces "$(echo "$said" | words)"
image=$1; bare=$2; shift 2
for root; do
    if ls "$root/" >/dev/null 2>&1; then say "readable $root" yes; else say "readable $root" no; fi
done
[ -n "$image" ] && [ -n "$container" ] || exit 0
if [ ! -r "$image" ]; then say image "not visible"; exit 0; fi
place=$(mktemp -d "${TMPDIR:-/tmp}/gateway-doctor-XXXXXX") || { say image "no scratch"; exit 0; }
mkdir "$place/home" "$place/tmp"
set --
[ -z "$bare" ] || for each in /bin /lib /lib64 /usr; do
    [ ! -d "$each" ] || set -- "$@" --bind "$each"
done
said=$("$container" -s exec --cleanenv --no-eval --contain --home "$place/home:/gateway/home" \
    --bind "$place/tmp:/tmp" "$@" --pwd / "$image" /bin/sh -c 'exit 0' 2>&1 </dev/null) &&
    say image yes || say image "failed: $(echo "$said" | words)"
rm -rf "$place"
"""


def look_argv(site: Site, image: TrialImage) -> tuple[str, ...]:
    """Return the command that looks at a host; it changes nothing there."""
    roots = site.containers.unpacked if site.containers.runtime != "host" else ()
    tried = (str(image.path or ""), "bare" if image.is_bare else "")
    return ("/bin/sh", "-c", _LOOK, "doctor", *tried, *map(str, roots))


def look_launch(site: Site, image: TrialImage, directory: Path) -> Launch:
    """Return the same as the command of a job."""
    return Launch(("env",), look_argv(site, image), {}, str(directory))


def parse_look(stdout: str) -> dict[str, str]:
    """Read what the command wrote; lines of others, such as a prolog's, are passed over."""
    facts: dict[str, str] = {}
    for line in stdout.splitlines():
        name, equals, value = line.partition("=")
        if equals and (name in _FACTS or name.startswith("readable ")):
            facts.setdefault(name, value.strip())
    return facts


def judge_node(
    facts: Mapping[str, str], where: str, site: Site, tried: TrialImage
) -> Iterator[Check]:
    """Say what jobs on a host can have.

    Parameters
    ----------
    where
        ``here``, or the cluster whose node it is.
    """
    if site.containers.runtime == "host":
        return
    name = f"containers {where}"
    if not facts.get("container"):
        yield fail(name, "neither apptainer nor singularity is on PATH", _INSTALL)
        return
    yield _runs(facts, name, tried)
    yield from _unpacked(facts, where, site)


def _runs(facts: Mapping[str, str], name: str, tried: TrialImage) -> Check:
    version = facts.get("version", "") or "version unknown"
    image, namespaces = facts.get("image", ""), facts.get("namespaces", "")
    if image == "yes":
        return ok(name, f"{version}; {tried} runs")
    if image == "not visible":
        fix = "put `shared_root` and `image_store` on the shared filesystem"
        return fail(name, f"{version}; {tried} is not visible: {tried.path}", fix)
    if image:
        fix = _NAMESPACES if namespaces != "yes" else "read the words of the runtime"
        return fail(name, f"{version}; running {tried} {image}", fix)
    untried = f"no image was tried, for none could be made ({tried.trouble or 'no answer'})"
    if namespaces != "yes":
        found = f"{version}; user namespaces do not work: {namespaces or 'no answer'}; {untried}"
        return warn(name, found, f"{_NAMESPACES}; {_BY_HAND}")
    return warn(name, f"{version}; user namespaces work; {untried}", _BY_HAND)


def _unpacked(facts: Mapping[str, str], where: str, site: Site) -> Iterator[Check]:
    for root in site.containers.unpacked:
        readable = facts.get(f"readable {root}")
        name = f"unpacked images {where}"
        if readable == "yes":
            yield ok(name, f"{root} is readable")
        elif "unpacked" in site.containers.model_fields_set:
            fix = "mount it (CVMFS), or remove it from `unpacked`: images are then converted"
            yield warn(name, f"{root} is not readable", fix)
        else:
            yield ok(name, f"{root} is not there; images are converted")
