"""Settings that all tests share."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import configuration, settings

# Machines that run tests are busy and their checkouts may be read-only.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "gateway-hypothesis")
