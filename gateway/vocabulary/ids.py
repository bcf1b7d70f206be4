"""Random ids of workflows, jobs and submissions."""

from __future__ import annotations

import uuid


def new_id() -> str:
    """Return a new random id."""
    return str(uuid.uuid4())
