"""What the machine's kernel must offer, looked at before anything is started."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .errors import TestbedError
from .layers import say

# Settings that keep ordinary users from making namespaces, and the value that does so.
FORBIDDING = {
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
    "user/max_user_namespaces": "0",
}


def check_kernel() -> None:
    """Refuse where the node cannot come up; warn where Apptainer will not work in it."""
    if not _knows("overlay"):
        if shutil.which("modprobe"):
            subprocess.run(["modprobe", "overlay"], capture_output=True, check=False)
        if not _knows("overlay"):
            raise TestbedError("this kernel has no overlay file system (overlayfs)")
    if not Path("/proc/self/ns/net").exists():
        raise TestbedError("this kernel has no network namespaces")
    if not Path("/dev/fuse").exists():
        say("warning: no /dev/fuse; Apptainer will unpack images instead of mounting them")
    for setting, value in FORBIDDING.items():
        path = Path("/proc/sys") / setting
        if path.exists() and path.read_text().strip() == value:
            say(f"warning: {path} is {value}; ordinary users cannot run Apptainer then")


def _knows(filesystem: str) -> bool:
    return filesystem in Path("/proc/filesystems").read_text().split()
