"""Why an image could not be had, and whether trying again can help."""

from __future__ import annotations

import errno

from gateway.errors import ExitCode, SiteError

_FULL = {errno.ENOSPC: "no space is left", errno.EDQUOT: "the quota is used up"}


class ImageUnavailableError(SiteError):
    """An image cannot be had.

    Parameters
    ----------
    permanent
        Whether the same request will fail again: a wrong name, missing rights, a broken image.
    retry_after_s
        How long the registry asks to be left alone, in seconds, where it does.
    """

    def __init__(
        self, message: str, *, permanent: bool, hint: str = "", retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message, hint=hint)
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.exit_code = ExitCode.SITE if permanent else ExitCode.UNREACHABLE


def cannot_write(what: str, error: OSError) -> ImageUnavailableError:
    """Say that a file of the store cannot be written; a full disk is named as such."""
    cause = _FULL.get(error.errno or 0)
    where = f" ({error.filename})" if error.filename and str(error.filename) not in what else ""
    if cause:
        return ImageUnavailableError(
            f"{cause}: {what}{where}",
            permanent=False,
            hint="free space, or set containers.image_store to a file system that has more",
        )
    return ImageUnavailableError(f"{what}{where}: {error.strerror or error}", permanent=False)
