#!/bin/bash
# Runs inside the python base image: make Debian's Python look like the one users know.
set -euo pipefail
ln -s python3 /usr/bin/python
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
rm -rf /var/lib/apt/lists /var/cache/apt /var/log/apt /var/log/*.log
mkdir -p /workspace /shared /scratch /cvmfs
find /dev -mindepth 1 -delete
: >/etc/resolv.conf
rm -f /etc/hostname
