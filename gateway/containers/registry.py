"""What a tag means now: the one question that is put to a registry here.

The smallest client of the OCI distribution specification that answers it: a ``HEAD`` of the
manifest, which Docker Hub does not count against its pull limit, with the token flow of the
distribution project. Proxies come from the environment, certificates from the system. Layers are
fetched by Apptainer. No message ever holds a password or a token.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import NoReturn, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPSHandler, Request, build_opener

from gateway.containers.credentials import Credentials
from gateway.containers.failure import ImageUnavailableError
from gateway.containers.reference import DOCKER_HUB, RegistryImage

_HUB_HOST = "registry-1.docker.io"
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_DIGEST = re.compile(r"sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})")
_CHALLENGE = re.compile(r'([A-Za-z_]+)="([^"]*)"')
_LARGEST_ANSWER = 4 * 1024 * 1024
_LOGIN_HINT = (
    "check the spelling; for a private image log in once with "
    "`apptainer registry login --username NAME docker://{host}`"
)


class Opener(Protocol):
    """How requests go out; ``urllib``'s own by default."""

    def open(self, fullurl: Request, *, timeout: float) -> http.client.HTTPResponse:
        """Send a request, raise ``HTTPError`` for an error status."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The registry's answer.

    ``plain_http`` says that the registry does not speak TLS; that is accepted only of this host.
    """

    digest: str
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Message
    body: bytes


def resolve(
    image: RegistryImage,
    credentials: Credentials | None,
    *,
    timeout_s: float = 30.0,
    opener: Opener | None = None,
) -> Resolution:
    """Ask the registry for the digest of an image.

    Returns
    -------
    Resolution
        The digest of the index where the image exists for several architectures, else of its
        manifest: the one that registries show and that can be pulled.

    Raises
    ------
    ImageUnavailableError
        With the image, the registry and the cause in words.
    """
    client = _Client(
        image, credentials, timeout_s, opener or build_opener(HTTPSHandler(context=_tls()))
    )
    try:
        return Resolution(client.digest("https"))
    except _NoTlsError as refusal:
        if not _is_loopback(image.registry):
            raise refusal.error from None
        return Resolution(client.digest("http"), plain_http=True)


class _NoTlsError(Exception):
    """The other side does not speak TLS."""

    def __init__(self, error: ImageUnavailableError) -> None:
        super().__init__(str(error))
        self.error = error


class _Client:
    """One conversation about one image."""

    def __init__(
        self,
        image: RegistryImage,
        credentials: Credentials | None,
        timeout_s: float,
        opener: Opener,
    ) -> None:
        self._image = image
        self._host = _HUB_HOST if image.registry == DOCKER_HUB else image.registry
        self._credentials = credentials
        self._timeout = timeout_s
        self._opener = opener
        self._authorization = ""

    def digest(self, scheme: str) -> str:
        """Return the digest of the manifest, computed from its bytes where no header says it."""
        what = self._image.digest or self._image.tag
        url = f"{scheme}://{self._host}/v2/{self._image.repository}/manifests/{what}"
        answer = self._authorized("HEAD", url)
        said = answer.headers.get("Docker-Content-Digest", "")
        if answer.status == 200 and _DIGEST.fullmatch(said):
            return said
        if answer.status in {200, 400, 405, 501}:
            answer = self._authorized("GET", url)
        if answer.status != 200:
            self._refuse(answer)
        said = answer.headers.get("Docker-Content-Digest", "")
        computed = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        return said if _DIGEST.fullmatch(said) else computed

    def _authorized(self, method: str, url: str) -> _Answer:
        """Send a request, and once more with what the registry asked for."""
        answer = self._send(method, url, self._authorization)
        if answer.status == 401 and not self._authorization:
            self._authorization = self._permission(answer.headers.get("WWW-Authenticate", ""), url)
            if self._authorization:
                answer = self._send(method, url, self._authorization)
        return answer

    def _permission(self, challenge: str, url: str) -> str:
        """Return the ``Authorization`` that a challenge asks for, or nothing if there is none."""
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            return self._credentials.basic if self._credentials else ""
        fields = dict(_CHALLENGE.findall(rest))
        realm = fields.get("realm", "")
        if kind.lower() != "bearer" or not realm:
            return ""
        if urlsplit(realm).scheme != "https" and urlsplit(url).scheme == "https":
            raise self._error("it wants the login sent to an address without TLS", permanent=True)
        return self._token(realm, fields)

    def _token(self, realm: str, fields: Mapping[str, str]) -> str:
        scope = fields.get("scope") or f"repository:{self._image.repository}:pull"
        query = urlencode({"service": fields.get("service", ""), "scope": scope})
        login = self._credentials.basic if self._credentials else ""
        joint = "&" if urlsplit(realm).query else "?"
        answer = self._send("GET", f"{realm}{joint}{query}", login)
        if answer.status in {401, 403} and login:
            raise self._error(
                f"it does not accept the login of {self._credentials and self._credentials.user}",
                permanent=True,
                hint=_LOGIN_HINT.format(host=self._image.registry),
            )
        if answer.status != 200:
            self._refuse(answer)
        try:
            data = json.loads(answer.body)
            token = data.get("token") or data.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not token.isprintable():
            raise self._error("its token server gave no token", permanent=False)
        return f"Bearer {token}"

    def _send(self, method: str, url: str, authorization: str) -> _Answer:
        request = Request(url, method=method)  # noqa: S310 - http or https, built above
        request.add_header("Accept", _ACCEPT)
        request.add_header("User-Agent", "gateway")
        if authorization:
            # Not to be sent on where the registry redirects to.
            request.add_unredirected_header("Authorization", authorization)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                body = response.read(_LARGEST_ANSWER + 1)
                answer = _Answer(response.status, response.headers, body)
        except HTTPError as error:
            with error:
                return _Answer(error.code, error.headers, b"")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error, urlsplit(url).netloc) from None
        if len(body) > _LARGEST_ANSWER:
            raise self._error("its answer is longer than any manifest", permanent=True)
        return answer

    def _refuse(self, answer: _Answer) -> NoReturn:
        """Say in words what an error status means."""
        status = answer.status
        hint = _LOGIN_HINT.format(host=self._image.registry)
        if status == 404:
            raise self._error("it has no such image", permanent=True, hint=hint)
        if status in {401, 403}:
            raise self._error(
                "it has no such image, or you may not read it", permanent=True, hint=hint
            )
        if status == 429:
            wait = _seconds(answer.headers.get("Retry-After", ""))
            raise self._error(
                "it has had too many requests from here" + (f", wait {wait:.0f} s" if wait else ""),
                permanent=False,
                hint="log in for a higher limit, or let the site keep the image (image_map)",
                retry_after_s=wait,
            )
        transient = status >= 500 or status == 408
        raise self._error(f"it answered with HTTP status {status}", permanent=not transient)

    def _unreachable(self, error: Exception, host: str) -> Exception:
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return self._error(
                f"the certificate of {host} is not trusted ({cause.verify_message})",
                permanent=True,
                hint="the site's certificate authority belongs into the system's store; "
                "$SSL_CERT_FILE names another one",
            )
        if isinstance(cause, ssl.SSLError):
            why = getattr(cause, "reason", None) or "connection closed"
            words = f"there is no TLS with {host} ({why})"
            return _NoTlsError(self._error(words, permanent=False))
        if isinstance(cause, socket.gaierror):
            known = cause.errno != socket.EAI_AGAIN
            return self._error(f"there is no host {host}", permanent=known)
        if isinstance(cause, TimeoutError):
            return self._error(f"{host} did not answer within {self._timeout:g} s", permanent=False)
        words = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
        return self._error(
            f"no connection to {host} ({words or type(cause).__name__})", permanent=False
        )

    def _error(
        self, cause: str, *, permanent: bool, hint: str = "", retry_after_s: float = 0.0
    ) -> ImageUnavailableError:
        return ImageUnavailableError(
            f"image {self._image.name} cannot be had from {self._image.registry}: {cause}",
            permanent=permanent,
            hint=hint,
            retry_after_s=retry_after_s,
        )


def _tls() -> ssl.SSLContext:
    """Trust what Apptainer trusts: many sites' own authorities fail Python's strict checks."""
    context = ssl.create_default_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0


def _is_loopback(registry: str) -> bool:
    host = urlsplit(f"//{registry}").hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")
