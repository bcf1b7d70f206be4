"""Remove the secrets of attempts that are over.

They lie on the shared filesystem from just before the scheduler is called until the attempt has
ended. The directory is the list of them, so what a killed driver left is found by the next one.
"""

from __future__ import annotations

from gateway.core.parts import Parts
from gateway.submitters import control


class Tidying:
    """Removes secrets that no job needs any more."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def remove_secrets(self) -> int:
        """Make one pass; return how many attempts it was for.

        What no attempt of ours is named by is left alone: it may be another gateway's.
        """
        root = self._parts.site.secrets
        kept = control.kept_secrets(root)
        if not kept:
            return 0
        with self._parts.store.read() as transaction:
            over = transaction.secrets.needless(kept)
        for key in over:
            control.remove_secrets(root, key)
        return len(over)
