#!/bin/bash
# Runs inside the node: the Python environment of the gateway.
set -euo pipefail
python3 -m venv /opt/gateway
/opt/gateway/bin/pip install --quiet --disable-pip-version-check -r /run/recipe/requirements.txt
