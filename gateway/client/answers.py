"""From what the server says, or does not say, to errors that a person reads."""

from __future__ import annotations

from typing import Any

from gateway.errors import (
    ConflictError,
    ExitCode,
    GatewayError,
    NotFoundError,
    SiteError,
    SpecError,
    UnreachableError,
    UsageError,
)

_BY_CODE: dict[int, type[GatewayError]] = {
    ExitCode.USAGE: UsageError,
    ExitCode.SITE: SiteError,
    ExitCode.NOT_FOUND: NotFoundError,
    ExitCode.CONFLICT: ConflictError,
    ExitCode.UNREACHABLE: UnreachableError,
}
_BY_STATUS: dict[int, type[GatewayError]] = {
    403: ConflictError,
    404: NotFoundError,
    408: UnreachableError,
    409: ConflictError,
    429: UnreachableError,
    501: UsageError,
    502: UnreachableError,
    503: UnreachableError,
    504: UnreachableError,
    507: SiteError,
}
_UNKNOWN_WORKFLOW = "REANA_WORKON is set to "
_TOKEN_WORDS = ("Token not valid.", "User access token revoked.", "User has no active tokens")
_NO_ENTRY_HINT = (
    "set REANA_ACCESS_TOKEN, or pass token=...; `gateway token show` prints it on the login node"
)
CAME_BACK_LATE = (
    "whether it was done is not known: look before you ask again (`gateway list`, `gateway status`)"
)


class ServerMistakeError(GatewayError):
    """The server met a mistake of its own."""

    exit_code = ExitCode.INTERNAL


def refusal(status: int, body: Any, where: str) -> GatewayError:
    """Return the error that an answer other than success stands for.

    Parameters
    ----------
    body
        The decoded JSON, or the text of what is none.
    """
    if isinstance(body, list) and status == 404:
        return NotFoundError(f"there is no {', '.join(map(str, body))}")
    if not isinstance(body, dict) or not isinstance(body.get("message"), str):
        words = " ".join(str(body).split())[:200]
        return _kind(status)(f"{where} answered with status {status}: {words or 'no words'}")
    message = str(body.get("error") or body["message"])
    hint = str(body.get("hint") or "")
    code = body.get("exit_code")
    if isinstance(code, int):
        return _from_code(code, message, hint, tuple(map(str, body.get("problems") or ())))
    if status == 401 or message in _TOKEN_WORDS:
        return UsageError(f"{where} does not let us in: {message}", hint=_NO_ENTRY_HINT)
    if message.startswith(_UNKNOWN_WORKFLOW):
        name = message.removeprefix(_UNKNOWN_WORKFLOW).partition(",")[0]
        return NotFoundError(
            f"there is no workflow {name!r}", hint="`gateway list --all` shows what there is"
        )
    return _kind(status)(message, hint=hint)


def _kind(status: int) -> type[GatewayError]:
    other = UsageError if 400 <= status < 500 else ServerMistakeError
    return _BY_STATUS.get(status, other)


def _from_code(code: int, message: str, hint: str, problems: tuple[str, ...]) -> GatewayError:
    if problems:
        return SpecError(message, problems=problems, hint=hint)
    return _BY_CODE.get(code, GatewayError)(message, hint=hint)


def lost(where: str, cause: Exception, *, unsent: bool, repeatable: bool) -> UnreachableError:
    """Return the error for an answer that did not come."""
    words = " ".join(str(cause).split()) or type(cause).__name__
    if unsent:
        return UnreachableError(
            f"{where} cannot be reached: {words}", hint="is `gateway serve` running there?"
        )
    return UnreachableError(
        f"{where} gave no answer: {words}", hint="" if repeatable else CAME_BACK_LATE
    )


def untrusted(where: str, cause: Exception) -> SiteError:
    """Return the error for a certificate that nobody vouches for."""
    _, _, words = str(cause).partition("verify failed: ")
    return SiteError(
        f"the certificate of {where} is not trusted: {words.partition(' (_ssl')[0] or cause}",
        hint="for a self-signed one, give its file: verify='gateway.pem'",
    )
