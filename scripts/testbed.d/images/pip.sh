#!/bin/bash
# Runs inside an image: wheels on top of its base.
set -euo pipefail
python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary :all: "$@"
