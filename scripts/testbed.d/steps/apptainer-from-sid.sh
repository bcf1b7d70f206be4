#!/bin/bash
# Runs inside a trixie node: Apptainer, which trixie lacks, from sid.
set -euo pipefail
work=$(mktemp -d)
mkdir -p "$work/lists/partial"
sed -n 's/ trixie / sid /p' /etc/apt/sources.list | head -n 1 >"$work/sources.list"
options=(
    -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/nonexistent
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o Acquire::Check-Valid-Until=false
    -o APT::Sandbox::User=root
)
cd "$work"
apt-get "${options[@]}" -qq update
apt-get "${options[@]}" -qq download apptainer
DEBIAN_FRONTEND=noninteractive dpkg --install ./apptainer_*.deb
rm -rf "$work"
